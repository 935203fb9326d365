"""Owns honest requests that name the same row twice (a transfer from an account to itself), and so hide what they do: the second name becomes another row's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.model.journey import Literal
from toughen.model.trial import Trial
from toughen.oracle import succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.blueprint import Json
    from toughen.model.journey import Argument, Call, Grant
    from toughen.model.trace import Trace
    from toughen.rule import Target

_MOST = 4


def parted(target: Target, calls: tuple[Call, ...], grants: tuple[Grant, ...], honest: Trace) -> tuple[Call, ...]:
    """The calls, the last of them with two rows where it named one twice; as they are where it succeeds with no other row."""
    twice = [name for name in {table for each in honest.last.statements if each.verb == "update" for table in each.writes} if _written_twice(honest, name)]
    last = calls[-1]
    for table in twice:
        for argument, value in _others(target, last, table):
            other = last.with_argument(argument.place, argument.path, Literal(value))
            trace = target.run(Trial((*calls[:-1], other), grants))
            if succeeded(trace.last) and _rows(trace, table) > _rows(honest, table):
                return (*calls[:-1], other)
    return calls


def _written_twice(honest: Trace, table: str) -> bool:
    """Whether two statements wrote rows of the table, and no two rows of it changed."""
    writes = [each for each in honest.last.statements if each.verb == "update" and table in each.writes and each.rows]
    return len(writes) > 1 and _rows(honest, table) < 2  # noqa: PLR2004 - one row, or none where the two undo each other


def _rows(trace: Trace, table: str) -> int:
    return len({str(next(iter(each.before.values()), "")) for each in trace.final_changes if each.table.lower() == table and each.kind == "updated"})


def _others(target: Target, call: Call, table: str) -> Iterator[tuple[Argument, Json]]:
    """Arguments whose value another one has as well, later ones first, with the same column's values in other rows."""
    literals = [each for each in call.arguments if isinstance(each.value, Literal)]
    rows, tried = target.rows(table), 0
    for one in reversed(literals):
        held = one.value.value  # type: ignore[union-attr]
        if isinstance(held, bool) or not isinstance(held, str | int) or sum(each.value == one.value for each in literals) < 2:  # noqa: PLR2004
            continue
        for column in {name for row in rows for name, value in row.items() if str(value) == str(held)}:
            for row in rows:
                value = row.get(column)
                if value is not None and str(value) != str(held) and tried < _MOST:
                    tried += 1
                    yield one, value
