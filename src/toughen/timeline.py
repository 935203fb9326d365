"""Owns the story of a proof in the order of time: who sent which statement when, who waited, how the rows ended, and how they should have.

Pure functions from Traces to JSON, which is what proofs keep and reports draw.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange, RowChange, Statement, Trace

_PLACE = re.compile(r"\?|%s|%\(\w+\)s|\$\d+|(?<![:\w]):[A-Za-z_]\w*")
_COLUMNS = re.compile(r"^(SELECT\s+(?:DISTINCT\s+)?)(.{30,}?)(\s+FROM\s)", re.IGNORECASE)
_WHEN = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d")
_ONE = re.compile(r"\s+LIMIT 1(\s+OFFSET 0)?$", re.IGNORECASE)
_LONGEST, _VALUE, _FOUND = 160, 24, 3
WAITS = {"stops": "stands still", "waits": "waits for the other's lock", "fails": "never comes to an end"}


def raced(race: Trace, habits: Iterable[str] = (), parties: int = 2) -> list[Json]:
    """Rows of a race of so many: {"who": A, B or C, "kind": statement|stop|wait|answer, "text"}."""
    both = dict(zip("ABC", race.exchanges[-parties:], strict=False))
    columns = frozenset(name for each in race.changes if each.kind == "updated" for name in each.columns)
    rows: list[Json] = []
    done = dict.fromkeys(both, 0)
    for turn in race.turns:
        if turn.who not in both:
            continue
        exchange, left_out = both[turn.who], frozenset(habits)
        upto = max(turn.upto, done[turn.who]) if turn.then != "fails" else len(exchange.statements)
        new = [_row(turn.who, "statement", spoken(each, columns)) for each in exchange.statements[done[turn.who] : upto] if each.text not in left_out]
        rows += new
        done[turn.who] = upto
        if turn.then == "answers":
            rows.append(_row(turn.who, "answer", str(exchange.status)))
        elif turn.then != "stops" or new:
            rows.append(_row(turn.who, "stop" if turn.then == "stops" else "wait", WAITS[turn.then]))
    return rows


def cut(whole: Exchange, before: int, again: Exchange | None = None, why: str = "") -> list[Json]:
    """Rows of a request that is cut off: what it sent until then, why (its process is killed), and what was done when it was sent again (B)."""
    rows: list[Json] = _said("A", whole, before if before >= 0 else len(whole.statements))
    rows.append(_row("A", "kill", why or "its process is killed"))
    if again is not None:
        rows += _said("B", again, len(again.statements))
        rows.append(_row("B", "answer", str(again.status)))
    return rows


def unfinished(whole: Exchange) -> list[Json]:
    """Rows of a process that ends as soon as the client has its answer."""
    rows = _said("A", whole, max(0, whole.answered_after))
    return [*rows, _row("A", "answer", str(whole.status)), _row("A", "kill", "its process is killed")]


def _said(who: str, exchange: Exchange, upto: int) -> list[Json]:
    """Rows of the statements before that number, and of what was sent outside between them."""
    rows: list[Json] = []
    for number in range(upto + 1):
        rows += [_row(who, "statement", f"{each.request or 'connects'} to {each.host}"[:_LONGEST]) for each in exchange.outgoing if each.after == number]
        if number < upto:
            rows.append(_row(who, "statement", spoken(exchange.statements[number])))
    return rows


def told(columns: Sequence[str], rows: list[Json], here: Sequence[str], serial: Sequence[str] = ()) -> dict[str, Json]:
    """The whole story: what each column is, the rows, how the rows of the database ended, and how they end one after the other."""
    return {"columns": list(columns), "rows": rows, "ends": list(here), "in turn": list(serial)}


def spoken(statement: Statement, columns: frozenset[str] = frozenset()) -> str:
    """A statement as one says it: with its values in place, without a long list of columns, with what it found (in these columns first)."""
    sets = [each for each in statement.parameters if isinstance(each, list)]
    # One statement that is sent with several sets of values at once.
    many = sets[:_FOUND] if sets and len(sets) == len(statement.parameters) else [list(statement.parameters)]
    text = "; ".join(_filled(" ".join(statement.text.split()), values) for values in many)
    text = _ONE.sub("", _COLUMNS.sub(r"\1…\3", text))
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    if statement.error:
        return f"{text} -> {statement.error.rpartition('.')[2][:80]}"
    if statement.verb == "select" and statement.sample:
        found = [(name, value) for name, value in statement.sample[0].items() if any(name == each or name.endswith(f"_{each}") for each in columns)]
        row = (found or list(statement.sample[0].items()))[:_FOUND]
        return f"{text} -> {', '.join(f'{name} {shown!r}'[:40] for name, shown in row)}"
    if statement.verb in {"select", "update", "delete"} and statement.rows == 0:
        return f"{text} -> no row"
    return text


def _filled(text: str, values: Sequence[Json]) -> str:
    """A statement's text with its values where their places are; as it is where it has none."""
    left = iter(values)

    def value(_: re.Match[str]) -> str:
        shown = repr(next(left, None))
        return shown if len(shown) <= _VALUE else shown[: _VALUE - 1] + "…"

    return _PLACE.sub(value, text) if values else text


def row_facts(changes: tuple[RowChange, ...], beside: tuple[RowChange, ...] = ()) -> list[str]:
    """Row changes in words: `accounts 7: balance 100 -> 50`; of a new row what it holds otherwise than in the changes `beside`."""
    told = []
    for each in changes[:6]:
        row = each.after or each.before
        key = next(iter(row.values()), "?")
        columns = ", ".join(f"{name} {each.before.get(name)!r} -> {each.after.get(name)!r}" for name in each.columns[:4]) if each.kind == "updated" else _made(each, beside)
        told.append(f"{each.table} {key}: {columns}"[:200])
    return told


def _made(change: RowChange, beside: tuple[RowChange, ...]) -> str:
    """`inserted with quantity 11`, where a row of that key holds another quantity beside it."""
    key = next(iter(change.after.values()), None)
    other = next((each.after for each in beside if (each.table, each.kind) == (change.table, "inserted") and next(iter(each.after.values()), None) == key), None)
    if change.kind != "inserted" or other is None:
        return change.kind
    apart = [name for name, value in change.after.items() if value != other.get(name) and not name.endswith("_id") and not (_WHEN.match(str(value)) and _WHEN.match(str(other.get(name))))]
    return f"inserted with {', '.join(f'{name} {change.after[name]!r}' for name in apart[:4])}" if apart else change.kind


def _row(who: str, kind: str, text: str) -> dict[str, Json]:
    return {"who": who, "kind": kind, "text": text}
