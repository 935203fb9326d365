"""The comparison of traces that races rest on."""

from __future__ import annotations

import pytest

from toughen.model.trace import RowChange, Trace
from toughen.oracle import clock, differing_number, same_rows


def left(**values: float) -> Trace:
    """A trace after which the row of item 1 holds these values; each was 100 before."""
    return Trace((), (RowChange("items", "updated", {"id": 1, **dict.fromkeys(values, 100)}, {"id": 1, **values}),))


def test_only_a_number_that_no_order_leaves_is_lost() -> None:
    """Where the last writer's number stands, the other order left it too; a stock that neither order leaves was lost."""
    ab, ba = left(stock=90, editor=7), left(stock=90, editor=8)
    assert differing_number(left(stock=90, editor=8), ab, ba) is None
    assert differing_number(left(stock=95, editor=8), ab, ba) == ("items", "stock", 90, 95)


@pytest.mark.parametrize(
    ("column", "serial", "raced"),
    [("views", 102, 101), ("login_count", 2, 1), ("done", 0, 1), ("updated", 1_732_565_000, 1_732_565_001), ("updated", 1_732_565_000_123.5, 1_732_565_001_777.5)],
    ids=["views", "logins", "flag", "seconds", "milliseconds"],
)
def test_views_flags_and_the_clock_are_no_loss(column: str, serial: float, raced: float) -> None:
    """A counter of views, a flag that was switched back and a reading of the clock differ, and nobody lost by it."""
    assert differing_number(left(**{column: raced}), left(**{column: serial})) is None


def test_a_stock_of_views_is_not_told_by_a_part_of_its_name() -> None:
    """`previews_left` and `hits_sold` are no counters of views."""
    for column in ("previews_left", "hits_sold", "stock"):
        assert differing_number(left(**{column: 5}), left(**{column: 4}))


def test_readings_of_the_clock_are_told_by_their_size() -> None:
    """Seconds, thousandths, millionths and billionths since the epoch; prices, ids and flags are none."""
    assert all(map(clock, (1_732_565_000, 1_732_565_000.25, 1_732_565_000_123, 1_732_565_000_123_456, 1_732_565_000_123_456_789)))
    assert not any(map(clock, (0, 1, True, 12.5, 100_000, -1_732_565_000, 15_550_100_062, None, "1732565000")))


def test_rows_are_compared_with_the_orders_that_are_named() -> None:
    """What one request alone leaves is the other's alone, or is not."""
    traces = {"ab": left(stock=90), "ab_again": left(stock=90), "ba": left(stock=90), "a": left(stock=95), "b": left(stock=94)}
    assert same_rows(traces["a"], traces) is False
    assert same_rows(traces["a"], traces, among=("a", "b"))
    assert not same_rows(traces["a"], traces, among=("b",))
