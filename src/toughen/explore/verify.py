"""Owns the proof of a Journey: replayed from the snapshot with only what it needs, twice, and once as anonymous."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.explore.outcomes import Depth, depth, explain
from toughen.explore.values import Candidate
from toughen.model.journey import Argument, Call, Extract, Journey, Literal, Stored, Unreached, stepped, steps_of
from toughen.model.trial import Trial
from toughen.sql import written_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Entry, Plan, RouteState, Session
    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Json
    from toughen.model.journey import Grant, Value
    from toughen.model.trace import Trace

_MOST_STEPS = 8
_CODE = re.compile(r"(^|_)(code|otp|pin|token|nonce|secret)$", re.IGNORECASE)


def verify(session: Session, target: LabTarget, state: RouteState) -> Journey | Unreached:
    """The minimal Journey to a route that was reached, or why it cannot be repeated."""
    assert state.reached is not None
    found: Journey | Unreached | None = None
    if session.lab.world.databases and not target.keeping:
        # What is only looked for is looked for in one process: most start-ups cost more than the requests.
        with target.sharing():
            found = _verified(session, target, state, state.reached)
    return found if isinstance(found, Journey) else _verified(session, target, state, state.reached)


def _verified(session: Session, target: LabTarget, state: RouteState, entry: Entry) -> Journey | Unreached:
    last: Trace | None = None
    for variant, indexes in _variants(session, state, entry):
        calls = _calls(session, variant, indexes)
        grants = _granted(session, target, variant, indexes)
        trace = target.run(Trial(calls, grants))
        if not _as_before(trace, entry):
            # Steps that are refused when they are sent again (what they make is there already) are no prerequisites.
            fewer, grants = _without_refused(calls, grants, trace)
            if len(fewer) == len(calls):
                last = trace
                continue
            calls, trace = fewer, target.run(Trial(fewer, grants))
            if not _as_before(trace, entry):
                last = trace
                continue
        calls, grants = _smallest(target, calls, grants, entry)
        calls = _by_one(target, calls, grants, entry)
        again = target.anew(Trial(calls, grants))
        if not _as_before(again, entry):
            last = again
            continue
        anonymous = True
        if any(call.identity for call in calls):
            nobody = target.run(Trial(tuple(call.by(None) for call in calls), grants))
            anonymous = _as_before(nobody, entry)
            if anonymous:
                calls = tuple(call.by(None) for call in calls)
        assert again.last.status is not None
        sources = tuple((".".join(map(str, path)), candidate.source) for (_, path), candidate in variant.plan.values)
        together = len(calls) > 1 and not _as_before(target.anew(Trial(calls, grants, isolated=True)), entry)
        return Journey(state.route.id, calls, again.last.status, grants, state.shallow, anonymous, sources, together)
    reason = explain(last.last) if last is not None else "nothing to replay"
    return Unreached(state.route.id, f"reached once, but not again from the snapshot: {reason}", last.last.status if last else None)


def _granted(session: Session, target: LabTarget, variant: Entry, indexes: list[int]) -> tuple[Grant, ...]:
    """Grants of the steps and of the last call, each written once its row is there: before all, or after the steps that make it."""
    found = []
    for number, entry in enumerate([*(session.history[index] for index in indexes), variant]):
        for grant in entry.plan.grants:
            there = any(all(row.get(column) == value for column, value in grant.where) for row in target.rows(grant.table))
            found.append(grant if there else replace(grant, after=number))
    return tuple(found)


def _without_refused(calls: tuple[Call, ...], grants: tuple[Grant, ...], trace: Trace) -> tuple[tuple[Call, ...], tuple[Grant, ...]]:
    """The calls without the steps that were refused, as far as no later one takes a value from them; what is granted stays before the same step."""
    for index in range(len(calls) - 2, -1, -1):
        answer = trace.exchanges[index].response if index < len(trace.exchanges) else None
        fewer = _without(calls, index) if answer is None or answer.status >= 400 else None  # noqa: PLR2004
        if fewer:
            calls, grants = fewer, tuple(replace(each, after=each.after - (each.after > index)) for each in grants)
    return calls, grants


def _as_before(trace: Trace, entry: Entry) -> bool:
    """Every step answered, the last with the status that it had, and it wrote where it wrote."""
    if any(exchange.response is None or exchange.response.status >= 400 for exchange in trace.exchanges[:-1]):  # noqa: PLR2004
        return False
    if depth(trace.last, identified=entry.call.identity is not None) is not Depth.SUCCESS or trace.last.status != entry.exchange.status:
        return False
    wrote = any(statement.writes and statement.rows != 0 for statement in entry.exchange.statements)
    return not wrote or any(statement.writes for statement in trace.last.statements)


def _variants(session: Session, state: RouteState, entry: Entry) -> Iterator[tuple[Entry, list[int]]]:
    """What to replay, the smallest first: alone; with fresh names; with the steps that its values came from; with more."""
    place = next((index for index, each in enumerate(session.history) if each is entry), len(session.history))
    founded = session.founded.get(entry.call.identity or "")
    origins = sorted({*_origins(session, entry.plan, place), *([founded] if founded is not None and founded < place else [])})
    touched = {table for statement in entry.exchange.statements for table in (*statement.reads, *statement.writes)}
    writers = [
        index for index, each in enumerate(session.history[:place])
        if index not in session.baked and each.kept and any(set(statement.writes) & touched for statement in each.exchange.statements)
    ][-_MOST_STEPS:]
    changed = [index for index, each in enumerate(session.history[:place]) if index not in session.baked and each.kept and not each.route.startswith("GET ")][-2 * _MOST_STEPS :]
    fresh = replace(entry, plan=_fresh(session, state, entry.plan))
    stored = replace(entry, plan=entry.plan)
    tried: set[str] = set()
    for plan_entry in (entry, fresh):
        for steps in ([], origins, sorted({*origins, *writers}), sorted({*origins, *writers, *changed})):
            key = repr((plan_entry.plan.signature, steps))
            if key not in tried:
                tried.add(key)
                yield plan_entry, steps
    for steps in ([], *([origins] if origins else []), sorted({*origins, *writers}), sorted({*origins, *writers, *changed})):
        yield replace(stored, plan=_by_row(entry.plan)), steps
        yield replace(stored, plan=_by_row(fresh.plan)), steps


def _origins(session: Session, plan: Plan, before: int) -> list[int]:
    """Steps that the values came from or that wrote the rows which they were read from, and what those came from in turn."""
    found: set[int] = set()
    waiting = list(_sources(session, plan, before))
    while waiting:
        index = waiting.pop()
        if index in found or index in session.baked or index >= before:
            continue
        found.add(index)
        waiting.extend(_sources(session, session.history[index].plan, index))
    return sorted(found)


def _sources(session: Session, plan: Plan, before: int) -> Iterator[int]:
    for _, candidate in plan.values:
        if candidate.origin:
            yield candidate.origin.entry
        elif candidate.stored:
            # Who set the column last, else who made a row last.
            wrote = [index for verb in ("update", "insert") for index in reversed(range(before)) if _wrote(session.history[index], verb, *candidate.stored)]
            yield from (index for index in wrote[:1] if index not in session.baked)


def _wrote(entry: Entry, verb: str, table: str, column: str) -> bool:
    """Whether a request made a row of a table, or updated that column of one."""
    return any(
        each.verb == verb and table.lower() in each.writes and each.rows != 0 and (verb == "insert" or column.lower() in written_columns(each.text))
        for each in entry.exchange.statements
    )


def _fresh(session: Session, state: RouteState, plan: Plan) -> Plan:
    """The plan with new names where its own were made up: the snapshot may hold the old ones already."""
    from toughen.explore.people import password_parameter

    changes = {}
    for key, candidate in plan.values:
        parameter = state.parameters.get(key)
        if parameter and candidate.source in {"name", "type", "422", "fresh", "demanded", "default"} and isinstance(candidate.value, str) and "tg" in candidate.value and not password_parameter(parameter.name):
            changes[key] = Candidate(session.maker.make(parameter), "fresh")
    return plan.put(changes, plan.why)


def _by_row(plan: Plan, *, codes_only: bool = False) -> Plan:
    """The plan with values that were read from rows read again when it runs."""
    read = {key: candidate for key, candidate in plan.values if candidate.stored}
    # A code changes from run to run, and whom it was sent to does not.
    codes = {key: candidate for key, candidate in read.items() if candidate.stored and _CODE.search(candidate.stored[1])}
    return plan.put({key: replace(candidate, source="stored") for key, candidate in (codes if codes_only else codes or read).items()}, plan.why)


def _calls(session: Session, entry: Entry, indexes: list[int]) -> tuple[Call, ...]:
    """The steps as calls of one trial: values from earlier answers are taken from the trial's own answers."""
    position = {index: number for number, index in enumerate(indexes)}
    steps = [session.history[index] for index in indexes]
    # Codes that a step sends are other ones in each run.
    return (*(_call(replace(each, plan=_by_row(each.plan, codes_only=True)), position) for each in steps), _call(entry, position))


def _call(entry: Entry, position: dict[int, int]) -> Call:
    arguments = []
    for (place, path), candidate in entry.plan.values:
        value: Value = Literal(candidate.value)
        if candidate.origin and candidate.origin.entry in position:
            value = Extract(position[candidate.origin.entry], candidate.origin.pointer)
        elif candidate.source == "stored" and candidate.stored:
            table, column = candidate.stored
            named = _named(entry.plan, candidate, position)
            value = Stored(table, column, named or tuple((each.stored[1], each.value) for _, each in entry.plan.values if each.stored and each.stored[0] == table and each.source != "stored"))
        arguments.append(Argument(place, path, value))
    return replace(entry.call, arguments=tuple(arguments))


def _named(plan: Plan, candidate: Candidate, position: dict[int, int]) -> tuple[tuple[str, Extract | Json], ...]:
    """What names the row that a value is read from, where something else of the request does."""
    if candidate.beside is None:
        return ()
    column, key = candidate.beside
    other = plan.get(key)
    if other is None:
        return ()
    if other.origin is not None and other.origin.entry in position:
        return ((column, Extract(position[other.origin.entry], other.origin.pointer)),)
    return ((column, other.value),)


def _smallest(
    target: LabTarget, calls: tuple[Call, ...], grants: tuple[Grant, ...], entry: Entry
) -> tuple[tuple[Call, ...], tuple[Grant, ...]]:
    """Leave out every step and grant without which the last call still answers as before."""
    index = len(calls) - 2
    while index >= 0:
        fewer = _without(calls, index)
        sooner = tuple(replace(each, after=each.after - 1) if each.after > index else each for each in grants)
        if fewer is not None and _as_before(target.run(Trial(fewer, sooner)), entry):
            calls, grants = fewer, sooner
        index -= 1
    for grant in grants:
        fewer_grants = tuple(each for each in grants if each is not grant)
        if _as_before(target.run(Trial(calls, fewer_grants)), entry):
            grants = fewer_grants
    return calls, grants


def _by_one(target: LabTarget, calls: tuple[Call, ...], grants: tuple[Grant, ...], entry: Entry) -> tuple[Call, ...]:
    """One user in it where that is answered as well: an honest client asks for what is his own, not for what another made."""
    last = calls[-1].identity
    if last is None:
        return calls
    for name in dict.fromkeys(call.identity for call in calls[:-1] if call.identity):
        peer = target.peer(name)
        if name != last and peer is not None and (one := target.identity(last)) is not None and one.role == peer.role:
            alone = tuple(call.by(name) if call.identity == last else call for call in calls)
            if _as_before(target.run(Trial(alone, grants)), entry):
                return alone
    return calls


def _without(calls: tuple[Call, ...], index: int) -> tuple[Call, ...] | None:
    """The calls without one; None where a later one takes a value from its answer."""
    kept = []
    for number, call in enumerate(calls):
        if number == index:
            continue
        arguments = []
        for argument in call.arguments:
            if index in steps_of(argument.value):
                return None
            arguments.append(replace(argument, value=stepped(argument.value, -1, index)))
        kept.append(replace(call, arguments=tuple(arguments)))
    return tuple(kept)
