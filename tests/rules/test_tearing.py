"""Variables of a module beside the same prototype with a lock around: each booted and attacked for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Status
from toughen.pipeline import Run
from toughen.samples.memory import COUNTED, DEPOSITS, LOCKED, PIECES

if TYPE_CHECKING:
    from pathlib import Path


ADDED = "POST /products"
"""`len(products) + 1` gives two at once the same number: true whatever is locked elsewhere."""


@pytest.mark.parametrize(
    ("source", "need", "torn"),
    [
        (DEPOSITS, "fastapi", {"POST /accounts/{account_id}/deposit"}),
        (LOCKED, "fastapi", set()),
        pytest.param(PIECES, "flask", {ADDED, "POST /products/{product_id}/buy"}, marks=pytest.mark.long),
        (COUNTED, "flask", {ADDED}),
        pytest.param(DEPOSITS.replace("    await ask_the_bank(data.amount)\n", ""), "fastapi", set(), marks=pytest.mark.long),
    ],
    ids=["tasks", "tasks locked", "threads", "threads locked", "a task that never gives way"],
)
def test_what_a_lock_holds_together_is_not_torn(tmp_path: Path, source: str, need: str, torn: set[str]) -> None:
    """Two at once tear it without a lock, and never with one, nor where no task gives way; that it lies in memory is told of either."""
    (tmp_path / "main.py").write_text(source)
    (tmp_path / "requirements.txt").write_text(need + "\n")
    verdict = Run(tmp_path, config.read(tmp_path, only=("race/shared-memory",))).check()
    proven = [each for each in verdict.findings if each.status is Status.PROVEN]
    assert {each.route for each in proven if each.id.endswith("torn")} == torn
    assert any(not each.id.endswith("torn") for each in proven)
