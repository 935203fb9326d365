"""Owns limits that are counted in rows: how often the honest request passes before it is refused, where the limit stands, and the two that compete for the last place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen import sql
from toughen.model.journey import Literal, Marker
from toughen.model.trial import Trial
from toughen.oracle import clock, own, stops, succeeded
from toughen.pairs import AMPLE, Consumption, Pair, put, tuned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.blueprint import Json, Route, Table
    from toughen.model.journey import Call, Grant, Journey
    from toughen.model.trace import Exchange, Statement, Trace
    from toughen.rule import Target

_MOST = 7
"""Requests after which nobody is going to be refused."""
_NO_QUOTA = (401, 403, 404, 429)
"""Refusals of who asks, of what is not there, and of who asks too often: they count no rows."""
_CLIENT, _SERVER = 400, 500
_LIMITS = 4
"""Numbers that are tried as limits."""


def last_place(target: Target, route: Route, journey: Journey) -> Pair | None:
    """The pair that competes for the last of several places that one user may take; None where nobody counts them, or one is all."""
    honest, habits = target.honest(route.id), target.habits()
    if route.method == "GET" or honest is None or not any(each.kind == "inserted" for each in honest.final_changes):
        return None
    places = stops(honest.last, honest.last, habits)
    if not places:
        return None
    calls, grants = tuned(journey, honest, AMPLE)
    before, own = calls[:-1], calls[-1]
    again = [numbered(own, index) for index in range(_MOST)]
    limit = _limit(target, before, again, grants)
    if not limit:
        return None
    return Pair((*before, *again[: limit - 1]), again[limit - 1], again[limit], grants, f"{route.id} twice at once, for the last of {limit} places", places)


def last_of_many(target: Target, route: Route, journey: Journey) -> Pair | None:
    """The pair that competes for the last of several places of which each user takes one; None where there is a place for each of those who are known."""
    honest, habits, call = target.honest(route.id), target.habits(), journey.call
    if route.method == "GET" or call.identity is None or honest is None or not any(each.kind == "inserted" for each in honest.final_changes):
        return None
    peer, places = target.peer(call.identity), stops(honest.last, honest.last, habits)
    if peer is None or not places:
        return None
    calls, grants = tuned(journey, honest, AMPLE)
    people = (call.identity, peer.name, *(each.name for each in target.spares(call.identity)))
    again = [numbered(calls[-1].by(each), index) for index, each in enumerate(people)]
    limit = _limit(target, calls[:-1], again, grants)
    if not limit:
        return None
    return Pair((*calls[:-1], *again[: limit - 1]), again[limit - 1], again[limit], grants, f"{route.id} by two users at once, for the last of {limit} places", places)


def _limit(target: Target, before: tuple[Call, ...], again: list[Call], grants: tuple[Grant, ...]) -> int:
    """How many of the requests pass before all that follow are refused; 0 where none is, where only one passes, or where no count refuses."""
    exchanges = target.run(Trial((*before, *again), grants)).exchanges[len(before) :]
    passed = [succeeded(each) for each in exchanges]
    limit = passed.index(False) if False in passed else 0
    if limit <= 1 or any(passed[limit:]) or not _counted_out(exchanges[limit]):
        return 0
    return limit


def numbered(call: Call, index: int) -> Call:
    """The call with canaries of its own: what must be another one each time is."""
    for each in call.arguments:
        if isinstance(each.value, Marker):
            call = call.with_argument(each.place, each.path, replace(each.value, name=f"{each.value.name}-{index}"))
    return call


def _counted_out(exchange: Exchange) -> bool:
    return _CLIENT <= (exchange.status or _SERVER) < _SERVER and exchange.status not in _NO_QUOTA


def only_place(target: Target, route: Route, journey: Journey) -> Pair | None:
    """The pair that competes for the only place, where the number of places stands in a row that the request reads (`events.capacity`).

    Two that both pass, the same user's or else two users', of whom the second is refused once that number is small. None
    where no number that is read is such a limit.
    """
    honest, habits = target.honest(route.id), target.habits()
    if route.method == "GET" or honest is None or not honest.final_changes or not stops(honest.last, honest.last, habits):
        return None
    found = limits(target, honest)
    calls, grants = tuned(journey, honest, AMPLE)
    call = calls[-1]
    rival = _rival(target, Trial(calls, grants)) if found else None
    if rival is None:
        return None
    for each, value in _tries(found, call):
        less, given = put(calls, grants, each, value, honest)
        first, second = target.run(Trial((*less, rival), given)).exchanges[-2:]
        if succeeded(first) and _counted_out(second):
            about = f"{route.id} twice at once, for {each.table}.{each.column} = {value}"
            return Pair(less[:-1], call, rival, given, about, stops(honest.last, honest.last, habits))
    return None


def _rival(target: Target, trial: Trial) -> Call | None:
    """Who passes as well after the trial's last call: the same user once more, else another one."""
    call = trial.calls[-1]
    peer = target.peer(call.identity) if call.identity else None
    for each in (call, *((call.by(peer.name),) if peer is not None else ())):
        other = numbered(each, 1)
        if all(map(succeeded, target.run(replace(trial, calls=(*trial.calls, other))).exchanges[-2:])):
            return other
    return None


def _tries(found: tuple[Consumption, ...], call: Call) -> Iterator[tuple[Consumption, float]]:
    """Each number that may be a limit, as one place, then as what one request asks for."""
    asked = [each.value.value for each in call.arguments if isinstance(each.value, Literal) and _countable(each.value.value)]
    for each in found:
        for value in dict.fromkeys((1, *asked[:2])):
            if value < each.before:  # type: ignore[operator]
                yield each, value  # type: ignore[misc]


def limits(target: Target, honest: Trace) -> tuple[Consumption, ...]:
    """Numbers in rows that the last request reads by a key and leaves as they are."""
    changed = {(each.table.lower(), name.lower()) for each in honest.final_changes for name in each.columns}
    found: dict[tuple[str, str], Consumption] = {}
    for _, statement in own(honest.last, target.habits()):
        for name in statement.reads if statement.verb == "select" and statement.sample else ():
            table = target.blueprint.table(name)
            where = _asked_for(statement, name) if table is not None else ()
            for column, value in _numbers(table, statement.sample[0]) if table is not None and where else ():
                if (name, column.lower()) not in changed:
                    found.setdefault((name, column), Consumption(table.name, column, where, value, 0))  # type: ignore[union-attr]
    return tuple(found.values())[:_LIMITS]


def _asked_for(statement: Statement, table: str) -> tuple[tuple[str, Json], ...]:
    """The equalities by which a SELECT asks for rows of that table."""
    bound = zip(sql.bindings(statement.text), statement.parameters, strict=False)
    return tuple((column, value) for (where, column, how), value in bound if where == table and how == "eq")


def _numbers(table: Table, row: dict[str, Json]) -> Iterator[tuple[str, float]]:
    """Columns of a row that was read whose numbers count something: no key, no flag, no clock."""
    for column in table.columns:
        value = next((row[name] for name in (column.name, f"{table.name}_{column.name}") if name in row), None)
        key = column.primary_key or column.references is not None or column.name.lower().endswith("_id") or column.type in {"boolean", "string", "datetime", "date"}
        if not key and _countable(value):
            yield column.name, value  # type: ignore[misc]


def _countable(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0 and not clock(value)
