"""Owns what a request leaves that is cut off: where, which half of its change is there then, and what sending it again makes of that."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.module import scope_of
from toughen.handling import called, sought
from toughen.model.trial import Experiment, Fault, Kill, Trial
from toughen.oracle import advisory, changing, clock, dated, own, state, volatile
from toughen.touches import Rows, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Suspicion
    from toughen.model.journey import Call, Grant, Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Target
    from toughen.touches import Touch

_MOST = 3
_SESSIONS = ({"session_key", "session_data", "expire_date"}, {"id", "session_id", "data", "expiry"})
"""Columns of the tables in which Django and Flask-Session keep who is logged in: whoever loses that logs in again."""


@dataclass(frozen=True, slots=True)
class Half:
    """A change that was cut in two."""

    there: tuple[RowChange, ...]
    """Rows as the killed request left them."""
    missing: tuple[RowChange, ...]
    """Rows that the whole request changes as well, and the killed one did not touch."""


def points(exchange: Exchange, habits: frozenset[str] = frozenset()) -> tuple[int, ...]:
    """Numbers of the writes before which a kill may leave half of a change: those that follow a commit first."""
    wrote = committed = False
    after_commit: list[int] = []
    others: list[int] = []
    for index, statement in own(exchange, habits):
        if statement.verb == "commit":
            committed = wrote
        elif statement.writes and statement.rows != 0:
            if wrote:
                (after_commit if committed else others).append(index)
            wrote, committed = True, False
    return (*after_commit, *others)[:_MOST]


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """One for each point: killed there, and sent again afterwards by a client that heard nothing."""
    honest = target.honest(route.id)
    if honest is None or not honest.final_changes:
        return
    calls, last = journey.calls, len(journey.calls) - 1
    detail = (("seen", ",".join(sorted(seen(target)))),)
    for point in points(honest.last, target.habits()):
        trials = interrupted(calls, journey.grants, kills=(Kill(last, point),))
        yield Experiment(trials, f"killed before statement {point}", (*detail, ("point", str(point))))
    for number, point, host in _calls_outside(honest.last):
        trials = interrupted(calls, journey.grants, fault=Fault("refused", number, call=last))
        yield Experiment(trials, f"{host} refuses", (*detail, ("point", str(point)), ("host", host)))


def interrupted(calls: tuple[Call, ...], grants: tuple[Grant, ...], kills: tuple[Kill, ...] = (), fault: Fault | None = None) -> dict[str, Trial]:
    """The honest request, the same cut off in its last call (`killed`), and sent again after that by a client that heard nothing."""
    return {
        "control": Trial(calls, grants),
        "again": Trial(calls, grants, isolated=True),
        "killed": Trial(calls, grants, kills=kills, fault=fault),
        "retried": Trial((*calls, calls[-1]), grants, kills=kills, fault=fault),
    }


def _calls_outside(exchange: Exchange) -> Iterator[tuple[int, int, str]]:
    """(number, statements before it, host) of connections that follow a write; one for each place of the source."""
    places: set[tuple[str, object]] = set()
    for number, each in enumerate(exchange.outgoing):
        wrote = any(one.writes and one.rows != 0 for one in exchange.statements[: each.after])
        if wrote and not each.behind and (each.host, each.location) not in places and len(places) < _MOST:
            places.add((each.host, each.location))
            yield number, each.after, each.host


def seen(target: Target) -> set[str]:
    """Tables that some honest request reads, other than what it has just written: what nobody looks at is a log, and a framework's sessions are nobody's business."""
    habits = target.habits()
    found: set[str] = set()
    for journey in target.journeys():
        trace, written = target.honest(journey.route), set[str]()
        for _, each in own(trace.last, habits) if trace is not None else ():
            if each.verb == "select":
                found |= set(each.reads) - written
            written |= set(each.writes)
    return found - {table.name.lower() for table in target.blueprint.tables if {each.name.lower() for each in table.columns} in _SESSIONS}


def half(control: Trace, killed: Trace, seen: Iterable[str]) -> Half | None:
    """What is there and what is missing; None where nothing is left, where nothing is missing, where one row only got less far, or where a row says that it is not done."""
    known = {each.lower() for each in seen}
    whole = dict(zip(_names(control.final_changes), control.final_changes, strict=True))
    named = list(zip(_names(killed.final_changes), killed.final_changes, strict=True))
    if any(name in whole and _says(each, whole[name]) for name, each in named):
        return None
    there = [each for _, each in named if each.table.lower() in known and telling(each)]
    touched = {name for name, _ in named}
    missing = [each for name, each in whole.items() if name not in touched and each.table.lower() in known and telling(each)]
    return Half(tuple(there), tuple(missing)) if there and missing else None


def telling(change: RowChange) -> bool:
    """Whether more changed than what counts how often somebody looked, or notes when."""
    return change.kind != "updated" or any(not (advisory(name) or clock(change.after.get(name)) or dated(change.after.get(name))) for name in change.columns)


def _says(row: RowChange, whole: RowChange) -> bool:
    """Whether a row says itself that it is not done: a word or a flag in it is another one than when all is."""
    pairs = [(row.after.get(name), value) for name, value in whole.after.items()]
    return any(now != done and isinstance(done, str | bool) and isinstance(now, str | bool) and not (dated(done) or changing(done)) for now, done in pairs)


def _names(changes: Iterable[RowChange]) -> list[tuple[str, str, str]]:
    """What tells the rows of one request apart, and is the same in every run: keys of old rows, numbers of new ones."""
    found: list[tuple[str, str, str]] = []
    made: dict[str, int] = {}
    for each in changes:
        if each.kind == "inserted":
            made[each.table] = made.get(each.table, 0) + 1
            found.append((each.table, each.kind, str(made[each.table])))
        else:
            found.append((each.table, "kept", str(next(iter(each.before.values()), ""))))
    return found


def healed(traces: Mapping[str, Trace]) -> bool:
    """Whether the rows are those of the whole request once it was sent again, in a new process."""
    masked = volatile(traces["control"], traces["again"])
    return state(traces["retried"].changes, masked) == state(traces["control"].changes, masked)


def repeated(traces: Mapping[str, Trace]) -> tuple[RowChange, ...]:
    """What sending it again left otherwise than the whole request alone leaves."""
    masked = volatile(traces["control"], traces["again"])
    whole = state(traces["control"].changes, masked)
    found = []
    for each in traces["retried"].changes:
        one = state([each], masked)
        if whole & one:
            whole -= one
        else:
            found.append(each)
    return tuple(found)


# -- in the source -----------------------------------------------------------------------------------------------------


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Handlers that commit a change and go on to write more; the first of each route."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        for found in rows(handler):
            line = _cut(handler, found.place, found)
            if line:
                yield handler.suspicion(break_id, line, "part of the change is committed before the rest is written: cut off in between, half of it is left", found.place)
                return

    return sought(blueprint, sources, look)


def _cut(handler: Handler, place: Place, found: Rows) -> int:
    """Line of a commit between two writes of one function, 0 where there is none; what a called function does happens where it is called."""
    writes = [each.line for each in found.touches if _keeps(handler, each) and not (each.columns and all(map(advisory, each.columns)))]
    commits: list[ast.Call] = []
    for node in scope_of(place.node):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            commits.append(node)
            continue
        inner = called(place, node, handler.project)
        if inner is not None and inner.node is not place.node and any(_keeps(handler, each) for each in Rows(handler, inner).touches):
            writes.append(node.lineno)
            commits += [node] if any(isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "commit" for each in scope_of(inner.node)) else []
    for commit in sorted(commits, key=lambda each: each.lineno):
        later = [line for line in writes if line > commit.lineno and _goes_on(place, commit, line)]
        if later and any(line <= commit.lineno for line in writes):
            return commit.lineno
    return 0


def _keeps(handler: Handler, touch: Touch) -> bool:
    """Whether it writes what the table has: an attribute that is no column goes nowhere."""
    table = handler.blueprint.table(touch.table)
    known = {each.name.lower() for each in table.columns} if table else set[str]()
    return touch.verb != "select" and (touch.verb != "update" or not known or any(each == "*" or each.lower() in known for each in touch.columns))


def _goes_on(place: Place, commit: ast.AST, line: int) -> bool:
    """Whether the function comes from that statement to that line: not out of a branch that leaves, nor from one branch into another."""
    module = place.module
    for above in module.ancestors(commit):
        if above is place.node:
            return True
        blocks = [block for name in ("body", "orelse", "finalbody") if isinstance(block := getattr(above, name, None), list) and block]
        own = next((block for block in blocks if block[0].lineno <= getattr(commit, "lineno", 0) <= (block[-1].end_lineno or 0)), None)
        if own is None or own[0].lineno <= line <= (own[-1].end_lineno or 0):
            continue
        inside = above.lineno <= line <= (getattr(above, "end_lineno", 0) or 0) if isinstance(above, ast.stmt) else False
        if isinstance(own[-1], ast.Return | ast.Raise | ast.Continue) or (inside and isinstance(above, ast.If)):
            return False
    return True
