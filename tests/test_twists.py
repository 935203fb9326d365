"""The words that rules twist and judge calls in."""

from __future__ import annotations

from dataclasses import replace

from toughen.model.trace import Exchange, Response, RowChange, Statement, Trace
from toughen.twists import unseen

WRITE = Statement("UPDATE items SET price = ? WHERE id = ?", (-17, 1), "update", (), ("items",), 1)


def trace(*statements: Statement, changes: tuple[RowChange, ...] = ()) -> Trace:
    """A trace of one call with these statements."""
    return Trace((Exchange("PUT", "/items/1", "", Response(200), statements=statements),), final_changes=changes)


def is_hostile(value: object) -> bool:
    """The value that the hostile request carries."""
    return value == -17


def test_a_write_that_no_row_shows_says_nothing() -> None:
    """A hostile value that hit a row while none is seen to change is no refutation; another value, no hit, or a seen row is."""
    assert unseen(trace(WRITE), is_hostile)
    assert not unseen(trace(replace(WRITE, parameters=(5, 1))), is_hostile)
    assert not unseen(trace(replace(WRITE, rows=0)), is_hostile)
    assert not unseen(trace(replace(WRITE, error="CHECK constraint failed")), is_hostile)
    assert not unseen(trace(WRITE, changes=(RowChange("items", "updated", {"id": 1, "price": 2}, {"id": 1, "price": 5}),)), is_hostile)
