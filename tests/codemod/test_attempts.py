"""Claims about exhausted: where every attempt of a loop was lost, the answer says so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import exhausted

if TYPE_CHECKING:
    from collections.abc import Callable

BUY = """
from fastapi import FastAPI, HTTPException

app = FastAPI()

@app.post("/buy/{id}")
def buy(id: int):
    for _ in range(3):
        row = db.read(id)
        if row.left < 1:
            raise HTTPException(status_code=400, detail="Sold out")
        if db.swap(row):
            break
        db.rollback()
    db.sell(id)
    return {"ok": True}
"""


def _line(source: str = BUY) -> int:
    return next(number for number, line in enumerate(source.splitlines(), 1) if "db.swap" in line)


def test_the_loop_gets_an_else(changed: Callable[..., Any]) -> None:
    """The refusal is in the file's own style, and nothing else changes."""
    assert changed(BUY, lambda m: exhausted(m, _line())) == [
        "+    else:",
        '+        raise HTTPException(status_code=409, detail="Too many requests at once, please try again")',
    ]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("        db.rollback()\n", "        db.rollback()\n    else:\n        return None\n", "says what comes of it"),
        ("            break\n", "            return {}\n", "nothing breaks off"),
        ("for _ in range(3):", "for row in rows:", "goes over things"),
        ("    for _ in range(3):", "    if True:", "is not tried in a loop"),
    ],
)
def test_other_loops_are_left(refused: Callable[..., Any], old: str, new: str, reason: str) -> None:
    """A loop that answers already, that nothing breaks off, that goes over things, and what stands in none."""
    source = BUY.replace(old, new)
    assert reason in refused(source, lambda m: exhausted(m, _line(source)))


def test_a_broad_handler_would_swallow_it(refused: Callable[..., Any]) -> None:
    """Within `try: … except Exception` a raised refusal would come to nothing."""
    inner = BUY[BUY.index("    for _") : BUY.index("    db.sell")]
    deeper = "    try:\n" + "".join(f"    {line}\n" for line in inner.splitlines()) + "    except Exception:\n        pass\n"
    source = BUY.replace(inner, deeper)
    assert "swallow" in refused(source, lambda m: exhausted(m, _line(source)))
