"""Owns what is settled once: a row that a request brings to its last state, and the number that it moves by what stands in that row."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen.codemod import Module, claim_sql, settle
from toughen.codemod.states import assigned
from toughen.entrusting import conditional
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.oracle import clock
from toughen.pairs import Consumption, put

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod import Draft
    from toughen.model.blueprint import Blueprint, Json
    from toughen.model.finding import Finding
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.model.trial import Trial

_LAST = re.compile(
    r"(^|_|\b)(approved|accepted|cancell?ed|refunded|paid|redeemed|used|completed?|settled|returned|closed|rejected|declined|done|delivered|received|claimed|withdrawn|released"
    r"|disbursed|voided|reversed|credited|processed|confirmed|fulfilled|spent|expired|finished|resolved|executed)($|_|\b)",
    re.IGNORECASE,
)
"""States after which nothing comes; one that goes on (active, open, running) may be charged for again."""
_NEAR = 1e-6


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one request settles."""

    settled: RowChange
    state: str
    """The column that holds its state."""
    moved: RowChange
    column: str
    """The number that moves in another row."""
    step: float
    amount: str
    """The column of the settled row that says by how much."""


def settlement(trace: Trace) -> Settlement | None:
    """What the last request of a trace settles: a row that it names goes to its last state, and a number of another row moves by what the first one holds."""
    updated = [each for each in trace.final_changes if each.kind == "updated"]
    for row in updated:
        state = next((name for name in row.columns if _ends(name, row.before.get(name), row.after.get(name))), "")
        for other in updated if state and _named(row, trace.last) else ():
            for column in other.columns if _key(other) != _key(row) else ():
                step = moved(other, column)
                amount = next((name for name, value in list(row.after.items())[1:] if step and _is(value, abs(step)) and name not in row.columns and not name.endswith("_id")), "")
                if amount:
                    return Settlement(row, state, other, column, step, amount)
    return None


def otherwise(trial: Trial, trace: Trace) -> Trial | None:
    """The trial that settles another amount, set where it came from; None where it settles nothing."""
    first = settlement(trace)
    if first is None:
        return None
    key, held = next(iter(first.settled.before.items())), float(first.settled.after[first.amount])  # type: ignore[arg-type]
    wanted = held + 2 if held.is_integer() else held * 2
    place = Consumption(first.settled.table, first.amount, (key,), first.settled.after[first.amount], 0)  # type: ignore[arg-type]
    calls, grants = put(trial.calls, trial.grants, place, int(wanted) if float(wanted).is_integer() else wanted, trace)
    return replace(trial, calls=calls, grants=grants)


def again(first: Settlement, second: Trace) -> bool:
    """Whether the last request of another trace moves the number once more, while the settled row stays in its state."""
    rows = {_key(each): each for each in second.final_changes if each.kind == "updated"}
    settled, other = rows.get(_key(first.settled)), rows.get(_key(first.moved))
    stays = settled is None or settled.before.get(first.state) not in {None, first.settled.before.get(first.state)}
    return stays and other is not None and abs(moved(other, first.column) - first.step) < _NEAR


def moved(change: RowChange, column: str) -> float:
    """By how much a number of a row moved; 0 where it is none."""
    old, new = change.before.get(column), change.after.get(column)
    if not _number(old) or not _number(new) or clock(new):
        return 0.0
    return float(new) - float(old)  # type: ignore[arg-type]


def _ends(column: str, before: Json, after: Json) -> bool:
    """Whether a column comes to a last state: a word (`cancelled`), or a flag or date whose name says it (`is_paid`, `refunded_at`)."""
    if isinstance(after, str) and _LAST.fullmatch(after.strip()):
        return before != after
    flag = after == 1 and before in {0, None}
    dated = before is None and isinstance(after, str) and re.match(r"\d{4}-\d\d-\d\d", after) is not None
    return (flag or dated) and _LAST.search(column) is not None


def _named(row: RowChange, exchange: Exchange) -> bool:
    """Whether the request names the row by its key."""
    key = re.escape(str(next(iter(row.before.values()), "")))
    return re.search(rf"(?<![\w-]){key}(?![\w-])", f"{exchange.target} {exchange.request_body}") is not None


def _key(change: RowChange) -> tuple[str, str]:
    return change.table, str(next(iter(change.before.values()), ""))


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is(value: Json, amount: float) -> bool:
    return _number(value) and abs(float(value) - amount) < _NEAR  # type: ignore[arg-type]


# -- mends -------------------------------------------------------------------------------------------------------------


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The state as the condition of its own UPDATE: whoever comes second hits no row, and is refused."""
    evidence = finding.evidence
    place = evidence.location if evidence else None
    if evidence is None or place is None or place.file not in sources:
        yield Unmended("the proof names no statement of the project's own code", BRIEF)
        return
    text, column, unset = sources[place.file], evidence.fact("state"), evidence.fact("was") == ""
    function = place.function or ""
    reason = f"no place where {column} is written is known"
    for module, draft in _drafts(Module(place.file, text), place.line, function, column, evidence.fact("now"), unset=unset):
        if isinstance(draft, Unmended):
            reason = draft.reason
            continue
        yield Patch(finding.id, (FileChange(place.file, module.text, draft.done()),), f"Bring {evidence.fact('table')} to that {column} only once", " ".join(draft.notes))
    condition = f"{column} IS NULL" if unset else f"{column} <> {evidence.fact('now')}"
    for entrusted in conditional(finding, blueprint, sources, evidence.fact("statement"), lambda *_: [(condition, ())]):
        if isinstance(entrusted, Unmended):
            reason = entrusted.reason
        else:
            yield entrusted
    yield Unmended(reason, BRIEF)


def _drafts(module: Module, line: int, function: str, column: str, now: str, *, unset: bool) -> Iterator[tuple[Module, Draft | Unmended]]:
    for at in assigned(module.text, function, column):
        yield module, settle(module, at, unset=unset)
    condition = f"{column} IS NULL" if unset else f"{column} <> ?"
    yield module, claim_sql(module, line, condition, () if unset else (now,))


BRIEF = (
    "What must hold afterwards: what is settled is settled once. Let the UPDATE that sets the state ask for the state before it in its WHERE, count the rows that it hit, and "
    "refuse where it hit none; do it in the transaction of what is paid out."
)
