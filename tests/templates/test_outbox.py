"""Claims about the outbox that a mend writes: what is committed is delivered once, also by the next process; what is rolled back is not."""

from __future__ import annotations

import ast
import sqlite3
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from toughen.templates import outbox

if TYPE_CHECKING:
    from pathlib import Path


class App:
    """An application that keeps what comes before its requests."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.before: list[Any] = []

    def before_request(self, function: Any) -> Any:
        """Keep it."""
        self.before.append(function)
        return function


def _process(path: Path) -> dict[str, Any]:
    """The module as a process has it, on a database in a file; its messages go to `told`."""
    names: dict[str, Any] = {"__name__": "outbox", "__file__": str(path / "outbox.py")}
    exec(compile(outbox.module("connection", "?", flask=True, postgres=False), "outbox.py", "exec", dont_inherit=True), names)  # noqa: S102 - the template is what is under test
    names["told"] = []

    def tell(number: int, how: str = "") -> None:
        if how == "fails":
            raise OSError(number)
        names["told"].append((number, names["key"]()))

    names["sender"](tell)
    names["tell"], names["send"] = tell, names["deliver"]
    names["install"](App(), lambda: sqlite3.connect(path / "app.db"))
    names["_begin"]()
    return names


def _said(path: Path, process: dict[str, Any], *values: Any, commit: bool = True) -> None:
    conn = sqlite3.connect(path / "app.db")
    process["put"](conn, process["tell"], *values)
    if commit:
        conn.commit()
    conn.close()


@pytest.mark.parametrize(("kind", "flask", "postgres", "client"), list(product(sorted(outbox.WAYS), (True, False), (True, False), ("", *outbox.CLIENTS))))
def test_every_module_is_python(kind: str, flask: bool, postgres: bool, client: str) -> None:  # noqa: FBT001 - a table of cases
    """Each way to a database, in both frameworks, parses."""
    ast.parse(outbox.module(kind, "%s", flask=flask, postgres=postgres, client=client))


def test_what_is_committed_is_told_once(tmp_path: Path) -> None:
    """In order, each with a key of its own, and not again."""
    process = _process(tmp_path)
    _said(tmp_path, process, 1)
    _said(tmp_path, process, 2)
    process["deliver"]()
    process["deliver"]()
    assert [number for number, _ in process["told"]] == [1, 2]
    assert len({key for _, key in process["told"]}) == 2
    assert not process["key"]()


def test_what_is_rolled_back_is_never_told(tmp_path: Path) -> None:
    """The message goes with the transaction that it belongs to."""
    process = _process(tmp_path)
    _said(tmp_path, process, 1, commit=False)
    process["deliver"]()
    assert process["told"] == []


def test_the_next_process_tells_what_the_last_one_left(tmp_path: Path) -> None:
    """A process that ends behind its commit loses nothing."""
    _said(tmp_path, _process(tmp_path), 7)
    process = _process(tmp_path)
    assert [number for number, _ in process["told"]] == [7]
    assert _process(tmp_path)["told"] == []


def test_what_fails_waits_and_holds_nothing_up(tmp_path: Path) -> None:
    """Others are told meanwhile; it keeps its key, and is given up in the end."""
    process = _process(tmp_path)
    process["threading"].Timer = lambda *_: type("Never", (), {"start": lambda _: None})()
    _said(tmp_path, process, 1, "fails")
    _said(tmp_path, process, 2)
    for _ in range(process["MOST"] + 2):
        process["deliver"]()
    assert [number for number, _ in process["told"]] == [2]
    conn = sqlite3.connect(tmp_path / "app.db")
    assert conn.execute("SELECT attempts, sent FROM outbox WHERE id = 1").fetchone() == (process["MOST"], None)
    conn.close()
