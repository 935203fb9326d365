"""Owns the comparison of traces that race rules rest on: where to stop a request, and whether an outcome has a serial order.

Pure functions over Traces. Sources: serializability by comparison with serial executions, as ACIDRain (Warszawski and
Bailis, SIGMOD 2017) and DPOR explore it; the judgement of state and answers together is from measurements on wallets,
where the final state alone often equals a serial one.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from toughen import sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange, RowChange, Statement, Trace

_TIME = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_SECOND, _EPOCH = 1_000, (1_400_000_000, 4_000_000_000)
_TAKES = re.compile(r"\b(\w+)\s*=\s*(?:\w+\.)?\1\s*-", re.IGNORECASE)
"""`SET balance = balance - ?`."""
_ADVISORY = re.compile(r"(^|_)(views?|clicks?|hits?|visits?|visitors?|impressions?|downloads?|plays?|logins?|reads|accesses|seen|popularity)(_(count|counter|number|total))?$", re.IGNORECASE)
_RANDOM = re.compile(r"^(?:[0-9a-f]{16,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\$2[aby]\$.*|[\w\-]{40,})$", re.IGNORECASE)

State = Counter[str]
Outcome = tuple[tuple[tuple[str, int], ...], tuple[str, ...]]
"""(multiset of changed rows, how each request was answered)."""


def succeeded(exchange: Exchange) -> bool:
    """Whether a request was answered with success, by status and by what a JSON body says of itself."""
    response = exchange.response
    if response is None or response.status >= 400:  # noqa: PLR2004
        return False
    body = response.json
    if isinstance(body, dict):
        if body.get("success") is False or body.get("ok") is False:
            return False
        status = body.get("status")
        if isinstance(status, str) and status.lower() in {"fail", "failed", "failure", "error"}:
            return False
        if isinstance(body.get("error"), str) and body["error"] and not body.get("success"):
            return False
    return True


def own(exchange: Exchange, habits: frozenset[str] = frozenset()) -> list[tuple[int, Statement]]:
    """The statements that are the route's own, with their index; those that nearly every request runs are left out."""
    return [(index, each) for index, each in enumerate(exchange.statements) if each.text not in habits or each.verb == "commit"]


def touched(exchange: Exchange, habits: frozenset[str] = frozenset()) -> tuple[frozenset[str], frozenset[str]]:
    """Tables that a request read, and those that it wrote."""
    statements = [each for _, each in own(exchange, habits)]
    reads = frozenset(table for each in statements for table in each.reads)
    writes = frozenset(table for each in statements if each.rows != 0 for table in each.writes)
    return reads, writes


def updated(exchange: Exchange, habits: frozenset[str] = frozenset()) -> frozenset[str]:
    """Tables in which a request changed or deleted rows that were there."""
    return frozenset(table for _, each in own(exchange, habits) if each.verb in {"update", "delete"} and each.rows != 0 for table in each.writes)


def stops(first: Exchange, second: Exchange, habits: frozenset[str] = frozenset(), most: int = 3) -> tuple[int, ...]:
    """Statements of `first` before which `second` should run whole, the most telling first.

    Before each write whose earlier read touched a table that `second` writes; then before each later read of such a
    table; then before the commit that follows a write.
    """
    _, other = touched(second, habits)
    read: set[str] = set()
    before_writes, between_reads, before_commits = [], [], []
    wrote = False
    for index, statement in own(first, habits):
        if statement.writes:
            if read & other and (not wrote or set(statement.writes) & read):
                before_writes.append(index)
            wrote = True
        elif statement.verb == "select":
            if set(statement.reads) & other & read:
                between_reads.append(index)
            read |= set(statement.reads)
        elif statement.verb == "commit" and wrote:
            before_commits.append(index)
    return tuple(dict.fromkeys((*before_writes[:2], *between_reads[:1], *before_commits, *before_writes[2:])))[:most]


def volatile(one: Trace, other: Trace) -> frozenset[tuple[str, str]]:
    """(table, column) whose values differ between two runs of the same order."""
    found: set[tuple[str, str]] = set()
    pairs = zip(_sorted(one.changes), _sorted(other.changes), strict=False)
    for left, right in pairs:
        if left.table == right.table and left.kind == right.kind:
            found.update((left.table, name) for name in {*left.after, *right.after} if left.after.get(name) != right.after.get(name))
    return frozenset(found)


def _sorted(changes: Iterable[RowChange]) -> list[RowChange]:
    return sorted(changes, key=lambda each: (each.table, each.kind, str(list(each.before.values())[:1])))


def state(changes: Iterable[RowChange], masked: frozenset[tuple[str, str]]) -> State:
    """Changed rows as a multiset, without new keys, clock readings and random values."""
    listed = list(changes)
    new_keys = {(each.table, str(next(iter(each.after.values()), None))) for each in listed if each.kind == "inserted"}
    numbers = {key for _, key in new_keys}
    return Counter(
        repr((each.table, each.kind, _row(each.before, each.table, masked, frozenset()), _row(each.after, each.table, masked, frozenset(numbers), inserted=each.kind == "inserted")))
        for each in listed
    )


def _row(
    row: Mapping[str, Json], table: str, masked: frozenset[tuple[str, str]], new: frozenset[str], *, inserted: bool = False
) -> tuple[tuple[str, str], ...]:
    shown = []
    for index, (name, value) in enumerate(row.items()):
        text = repr(value)
        if (table, name) in masked or clock(value) or dated(value) or changing(value):
            text = "~"
        elif inserted and ((index == 0 and isinstance(value, int)) or (name.endswith("_id") and str(value) in new)):
            text = "#"
        shown.append((name, text))
    return tuple(shown)


def outcome(trace: Trace, masked: frozenset[tuple[str, str]], answers: tuple[Exchange, ...]) -> Outcome:
    """State and answers, judged together."""
    return tuple(sorted(state(trace.changes, masked).items())), tuple("yes" if succeeded(each) else "no" for each in answers)


def serial(race: Trace, traces: Mapping[str, Trace]) -> bool:
    """Whether the race's outcome is that of some serial order, or one request failed and the state is the other's alone.

    `traces` holds `ab`, `ab_again`, `ba`, `a` and `b`: the two orders (A is the first of the race's two answers), the
    first order repeated, and each request alone.
    """
    masked = volatile(traces["ab"], traces["ab_again"])
    first, second = race.exchanges[-2:]
    seen = outcome(race, masked, (first, second))
    ab = outcome(traces["ab"], masked, tuple(traces["ab"].exchanges[-2:]))
    ba = outcome(traces["ba"], masked, tuple(reversed(traces["ba"].exchanges[-2:])))
    if seen in {ab, ba}:
        return True
    yes = (succeeded(first), succeeded(second))
    state_now = seen[0]
    if yes == (True, False):
        return state_now == outcome(traces["a"], masked, ())[0]
    if yes == (False, True):
        return state_now == outcome(traces["b"], masked, ())[0]
    return yes == (False, False)


def same_rows(race: Trace, traces: Mapping[str, Trace], among: tuple[str, ...] = ("ab", "ba")) -> bool:
    """Whether the race left the rows of a serial order (or of another of the traces), whatever was answered."""
    masked = volatile(traces["ab"], traces["ab_again"])
    seen = state(race.changes, masked)
    return any(seen == state(traces[name].changes, masked) for name in among)


def read_before(exchange: Exchange, table: str) -> str:
    """`file:line` of the first statement that read the table for the project's own code, "" where there is none."""
    found = next((each.location for each in exchange.statements if each.verb == "select" and table.lower() in each.reads and each.location), None)
    return f"{found.file}:{found.line}" if found else ""


def telling_write(exchange: Exchange, race: Trace) -> Statement | None:
    """The write that the race is about: one that takes from a number, else of a row that was there, else of a new one; notes of the clock do not count."""
    tables = {each.table.lower() for each in race.changes}
    writes = [
        each for each in exchange.statements
        if set(each.writes) & tables and not (each.verb == "update" and _clock_only(sql.written_columns(each.text)))
    ]
    taking = next((each for each in reversed(writes) if each.verb == "update" and _TAKES.search(each.text)), None)
    return taking or next((each for each in reversed(writes) if each.verb != "insert"), writes[-1] if writes else None)


def _clock_only(columns: tuple[str, ...]) -> bool:
    return bool(columns) and all(re.search(r"last_|_at$|seen|login|visited", name) for name in columns)


def advisory(column: str) -> bool:
    """Whether a column counts what was looked at: nobody settles an account with it."""
    return _ADVISORY.search(column) is not None


def clock(value: Json) -> bool:
    """Whether a number is a reading of the clock: seconds since the epoch, or thousandths, millionths, billionths of them."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return any(_EPOCH[0] < value / _SECOND**power < _EPOCH[1] for power in range(4))


def dated(value: Json) -> bool:
    """Whether a text is a date with its time of day."""
    return isinstance(value, str) and _TIME.match(value) is not None


def changing(value: Json) -> bool:
    """Whether a text is random: a token, a hash, an identifier that nobody chose."""
    return isinstance(value, str) and _RANDOM.match(value) is not None


def differing_number(race: Trace, *orders: Trace) -> tuple[str, str, float, float] | None:
    """(table, column, serial value, value after the race) of the first number that no order leaves: in a row that was there, else in a new one."""
    found = [_differing(each, race) for each in orders]
    return next((each for each in found[0] if all(any(each[:2] == one[:2] for one in other) for other in found[1:])), None)


def _differing(control: Trace, race: Trace) -> list[tuple[str, str, float, float]]:
    """Numbers that one order leaves otherwise than the race.

    The key of a new row is the database's choice, and tells nothing; nor does a flag that is switched to and fro, the
    clock, or a counter of what was looked at.
    """
    kept: dict[tuple[str, str], list[RowChange | None]] = {}
    made: dict[tuple[str, int], list[RowChange | None]] = {}
    for side, trace in enumerate((control, race)):
        for index, each in enumerate(trace.changes):
            if each.kind == "updated":
                kept.setdefault((each.table, str(next(iter(each.before.values()), None))), [None, None])[side] = each
            elif each.kind == "inserted":
                made.setdefault((each.table, index), [None, None])[side] = each
    differing: list[tuple[str, str, float, float]] = []
    for (table, _), (expected, found) in kept.items():
        known = expected or found
        assert known is not None
        for column in dict.fromkeys([*(expected.columns if expected else ()), *(found.columns if found else ())]):
            pair = ((expected.after if expected else known.before).get(column), (found.after if found else known.before).get(column))
            if _differ(pair) and not advisory(column):
                differing.append((table, column, pair[0], pair[1]))  # type: ignore[arg-type]
    for (table, _), (expected, found) in made.items():
        for column in list(expected.after)[1:] if expected and found else ():
            assert expected is not None
            assert found is not None
            pair = (expected.after[column], found.after.get(column))
            if not column.endswith("_id") and _differ(pair) and not advisory(column):
                differing.append((table, column, pair[0], pair[1]))  # type: ignore[arg-type]
    return differing


def _differ(pair: tuple[Json, Json]) -> bool:
    numbers = all(isinstance(each, int | float) for each in pair) and not any(map(clock, pair))
    return numbers and pair[0] != pair[1] and not set(pair) <= {0, 1}
