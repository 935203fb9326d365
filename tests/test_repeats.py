"""What a second request does of what the first had done."""

from __future__ import annotations

from toughen.model.trace import Exchange, Outgoing, RowChange, Statement, Trace
from toughen.repeats import again, beyond, does, held_back, same, uncommitted


def trace(*changes: RowChange) -> Trace:
    return Trace((Exchange("POST", "/pay", "", None),), changes, changes)


def row(table: str, key: int, **after: object) -> RowChange:
    return RowChange(table, "inserted", {}, {"id": key, **after})  # type: ignore[dict-item]


def moved(key: int, before: int, after: int) -> RowChange:
    return RowChange("accounts", "updated", {"id": key, "balance": before}, {"id": key, "balance": after})


def test_rows_are_made_once_more_and_numbers_moved_further() -> None:
    """In tables that somebody reads; a line of a log is none."""
    first = trace(row("payments", 1), row("log", 1), moved(7, 100, 60))
    second = trace(row("payments", 2), row("log", 2), moved(7, 60, 20))
    assert [each.table for each in again(first, second, {"payments"})] == ["payments", "accounts"]
    assert again(first, trace(row("log", 2)), {"payments"}) == ()
    assert held_back(first, trace(row("log", 2)), {"payments", "log"}) == ("payments",)


def test_two_at_once_do_more_than_one() -> None:
    """One row more, or a number moved twice as far, is beyond what one does alone."""
    one = trace(row("payments", 1), moved(7, 100, 60))
    assert [each.table for each in beyond(one, trace(row("payments", 1), row("payments", 2), moved(7, 100, 20)), {"payments"})] == ["payments", "accounts"]
    assert beyond(one, one, {"payments"}) == ()


def test_a_call_outside_is_early_where_nothing_is_committed_before() -> None:
    """A pending row that is committed first tells who it was for."""
    insert, commit = Statement("INSERT INTO orders VALUES (1)", verb="insert", writes=("orders",), rows=1), Statement("COMMIT", verb="commit")
    charge = Outgoing("pay.example", 443, "POST /v1/charges HTTP/1.1", after=0)
    early = Exchange("POST", "/orders", "", None, statements=(insert, commit), outgoing=(charge,))
    assert uncommitted(early, charge, frozenset()) == 0
    late = Outgoing("pay.example", 443, "POST /v1/charges HTTP/1.1", after=2)
    assert uncommitted(Exchange("POST", "/orders", "", None, statements=(insert, commit, insert, commit), outgoing=(late,)), late, frozenset()) is None


def test_who_is_told_twice_may_know_by_the_key() -> None:
    """The same key is the same request; a question is nothing done; a mail is."""
    charge, keyed, other = (Outgoing("pay.example", 443, "POST /v1/charges HTTP/1.1", key=key) for key in ("", "a", "b"))
    assert same(charge, charge)
    assert same(keyed, other)
    assert not same(keyed, keyed)
    assert does(charge)
    assert not does(Outgoing("pay.example", 443, "POST /v1/score HTTP/1.1"))
    assert not does(Outgoing("pay.example", 443, "GET /v1/charges HTTP/1.1"))
    assert does(Outgoing("smtp.example", 25, "MAIL a@x -> b@x"))
