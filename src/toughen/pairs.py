"""Owns the pairing of honest requests for races: who runs against whom, from which state, stopped where."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from toughen import sql, timeline
from toughen.model.blueprint import Place
from toughen.model.journey import Call, Extract, Grant, Literal, stepped
from toughen.model.trial import Experiment, Schedule, Trial
from toughen.oracle import clock, own, read_before, same_rows, state, stops, succeeded, touched, updated, volatile
from toughen.parting import parted
from toughen.timeline import row_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json, Route
    from toughen.model.journey import Argument, Journey
    from toughen.model.source import Location
    from toughen.model.trace import Exchange, RowChange, Statement, Trace
    from toughen.rule import Target

_APART = 1.1
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?UPDATE\b|\bFOR\s+(KEY\s+)?SHARE\b|\bLOCK\s+IN\s+SHARE\s+MODE\b", re.IGNORECASE)
"""What keeps a row that is read from everybody else."""
_SERVERS = ("postgresql", "mysql")
_FLAG = re.compile(r"^(is|has|was)_|ed$|^(done|active|open|read|available|enabled)$", re.IGNORECASE)
AMPLE = 12
"""How many honest requests a tuned resource has room for where none should be refused."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Two honest calls that may run at once, after common prerequisites."""

    before: tuple[Call, ...]
    first: Call
    second: Call
    grants: tuple[Grant, ...]
    about: str
    places: tuple[int, ...]
    """Statements of the first before which the second runs whole."""
    apart: float = 0.0

    def experiments(self, detail: tuple[tuple[str, str], ...] = ()) -> Iterator[Experiment]:
        """One experiment for each place to stop at; all share their serial runs."""
        one, two = self.first, self.second
        both = (*self.before, one, two)
        serial = {
            "control": self.in_turn,
            "again": Trial(both, self.grants, isolated=True, apart=self.apart),
            "reverse": Trial((*self.before, two, one), self.grants, apart=self.apart),
            "first": Trial((*self.before, one), self.grants),
            "second": Trial((*self.before, two), self.grants),
        }
        for place in self.places:
            yield Experiment({**serial, "race": self.race(place)}, f"{self.about}, stopped before statement {place}", detail)

    @property
    def in_turn(self) -> Trial:
        """One after the other."""
        return Trial((*self.before, self.first, self.second), self.grants, apart=self.apart)

    def race(self, place: int) -> Trial:
        """Both at once, the first stopped before that statement."""
        return Trial(self.before, self.grants, Schedule(self.first, self.second, place), isolated=True, apart=self.apart)


@dataclass(frozen=True, slots=True)
class Consumption:
    """A number that one honest request takes from a row."""

    table: str
    column: str
    where: tuple[tuple[str, object], ...]
    before: float
    taken: float
    """How much one request takes (positive) or adds (negative)."""


def consumption(trace: Trace) -> tuple[Consumption, ...]:
    """Numbers of existing rows that the request changed."""
    found = []
    for change in trace.final_changes or trace.changes:
        if change.kind != "updated":
            continue
        key = next(iter(change.before), None)
        for name in change.columns:
            old, new = change.before.get(name), change.after.get(name)
            if key and _number(old) and _number(new) and name != key:
                found.append(Consumption(change.table, name, ((key, change.before[key]),), old, old - new))  # type: ignore[arg-type,operator]
    return tuple(found)


def writes_number(trace: Trace) -> bool:
    """Whether the request left a number in a row, other than its key: what another may overwrite, or be overwritten by."""
    changes = (*trace.final_changes, *trace.changes)
    return any(_number(value) for each in changes if each.kind != "deleted" for name, value in [*each.after.items()][1:] if name in each.columns or each.kind == "inserted")


def switches(target: Target, route: Route, journey: Journey) -> bool:
    """Whether somebody logged in only switches a row from one state to another: flags, words and dates, with no number moved and no row made."""
    honest = target.honest(route.id)
    if honest is None or journey.identity is None or not honest.final_changes:
        return False
    return all(each.kind == "updated" and all(_switched(target, each, name) for name in each.columns) for each in honest.final_changes)


def _switched(target: Target, change: RowChange, name: str) -> bool:
    known = target.blueprint.table(change.table)
    column = known.column(name) if known else None
    value = change.after.get(name)
    if column is not None and column.type == "boolean":
        return True
    flag = _FLAG.search(name) is not None and all(str(each) in {"0", "1", "None"} for each in (value, change.before.get(name)))
    return flag or clock(value) or not _number(value)


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def tuned(journey: Journey, trace: Trace, room: float) -> tuple[tuple[Call, ...], tuple[Grant, ...]]:
    """The journey with every number that it takes from set so that it suffices for `room` such requests.

    The number is set where it came from: in the request that made the row, else by a grant.
    """
    calls, grants = journey.calls, journey.grants
    for each in consumption(trace):
        if each.taken > 0:
            wanted = each.taken * room
            calls, grants = put(calls, grants, each, int(wanted) if float(wanted).is_integer() and isinstance(each.before, int) else wanted, trace)
    return calls, grants


def put(calls: tuple[Call, ...], grants: tuple[Grant, ...], each: Consumption, value: float, trace: Trace) -> tuple[tuple[Call, ...], tuple[Grant, ...]]:
    """The calls and grants that leave a number of a row at that value before the last call."""
    made = _made_by(calls[:-1], each)
    if made is not None:
        index, place, path = made
        return (*calls[:index], calls[index].with_argument(place, path, Literal(value)), *calls[index + 1 :]), grants
    # A row that the journey makes itself can be written only once it is there.
    late = any(one.kind == "inserted" and one.table == each.table and str(next(iter(one.after.values()), None)) == str(each.where[0][1]) for one in trace.changes)
    kept = tuple(grant for grant in grants if late or (grant.table, grant.column) != (each.table, each.column))
    return calls, (*kept, Grant(each.table, each.where, each.column, value, len(calls) - 1 if late else 0))  # type: ignore[arg-type]


def _made_by(calls: tuple[Call, ...], each: Consumption) -> tuple[int, Place, tuple[str | int, ...]] | None:
    for index, call in enumerate(calls):
        for argument in call.arguments:
            if argument.path and argument.path[-1] == each.column and argument.value == Literal(each.before):
                return index, argument.place, argument.path
    return None


def pairs(target: Target, route: Route, journey: Journey, room: float, most: int = 4) -> Iterator[Pair]:
    """Pairs with this route first: the same request twice, the same by another user, and other routes on the same rows.

    Where the second of two serial requests ends in a 5xx (a key made of the clock), they are kept a second apart.
    """
    honest = target.honest(route.id)
    if honest is None or not touched(honest.last, target.habits())[1]:
        return
    journey, honest = _two_rows(target, journey, honest)
    calls, grants = tuned(journey, honest, AMPLE)
    status = target.run(Trial((*calls, calls[-1]), grants)).last.status
    apart = _APART if status is not None and status >= 500 else 0.0  # noqa: PLR2004
    for pair in _pairs(target, route, (journey, honest), room, most):
        yield replace(pair, apart=apart)


def _two_rows(target: Target, journey: Journey, honest: Trace) -> tuple[Journey, Trace]:
    """The journey, and what it does, with two rows where its last request names one twice."""
    calls, grants = tuned(journey, honest, AMPLE)
    other = parted(target, calls, grants, honest)
    if other == calls:
        return journey, honest
    changed = replace(journey, calls=(*journey.calls[:-1], other[-1]))
    return changed, target.run(Trial(changed.calls, changed.grants))


def _pairs(target: Target, route: Route, known: tuple[Journey, Trace], room: float, most: int) -> Iterator[Pair]:
    (journey, honest), habits = known, target.habits()
    calls, grants = tuned(journey, honest, room)
    before, call = calls[:-1], calls[-1]
    given = 0
    places = stops(honest.last, honest.last, habits)
    if places:
        given += 1
        yield Pair(before, call, call, grants, f"{route.id} twice at once", places)
    peer = target.peer(call.identity) if call.identity else None
    if peer is not None and places:
        given += 1
        yield Pair(before, call, call.by(peer.name), grants, f"{route.id} by two users at once", places)
    opposed = crossed(target, route, known, room) if given < most else None
    if opposed is not None:
        given += 1
        yield opposed
    for other in target.journeys():
        if given >= most:
            return
        if other.route == route.id or other.route.startswith("GET "):
            continue
        facing = target.honest(other.route)
        if facing is None or not updated(honest.last, habits) & updated(facing.last, habits):
            continue
        # Stopped before its COMMIT, this route is done, and what goes wrong is the other's, which read too early.
        places = tuple(each for each in stops(honest.last, facing.last, habits) if honest.last.statements[each].verb != "commit")
        if places:
            given += 1
            moved = [shifted(each, len(before)) for each in other.calls]
            yield Pair((*before, *moved[:-1]), call, moved[-1], (*grants, *other.grants), f"{route.id} and {other.route} at once", places)


def crossed(target: Target, route: Route, known: tuple[Journey, Trace], room: float) -> Pair | None:
    """This request and the one that goes the other way (A to B, B to A), where two arguments name rows of one table of a server, which each holds until it has both.

    Whoever holds the first row waits for whoever holds the second; the server chooses a victim. None where no two arguments are such, or where
    nobody may go the other way.
    """
    (journey, honest), habits = known, target.habits()
    if target.blueprint.database not in _SERVERS or target.blueprint.stand_in:
        return None
    holds = _holding(honest.last, habits)
    found = next((each for each in combinations(journey.call.arguments, 2) if _of_one_table(each, honest, holds)), None)
    if found is None:
        return None
    calls, grants = tuned(journey, honest, room)
    for each in consumption(honest):
        if each.taken < 0:
            # What one gives the other takes.
            calls, grants = put(calls, grants, each, int(-each.taken * room) if float(-each.taken * room).is_integer() else -each.taken * room, honest)
    call, (one, two) = calls[-1], found
    back = call.with_argument(one.place, one.path, two.value).with_argument(two.place, two.path, one.value)
    peer = target.peer(call.identity) if call.identity else None
    for way in (back, *((back.by(peer.name),) if peer is not None else ())):
        if all(map(succeeded, target.run(Trial((*calls, way), grants)).exchanges[-2:])):
            places = tuple(dict.fromkeys((*(index for index, _, _ in holds[1:2]), *stops(honest.last, honest.last, habits)[:1])))
            names = " and ".join(".".join(map(str, each.path)) for each in found)
            return Pair(calls[:-1], call, way, grants, f"{route.id} and the same with {names} the other way round at once", places)
    return None


def _holding(exchange: Exchange, habits: frozenset[str]) -> list[tuple[int, tuple[str, str], str]]:
    """(statement, (table, column), value) of each row that a request comes to hold, by the key that it is asked for by; of each row the first."""
    found: dict[tuple[tuple[str, str], str], int] = {}
    for index, statement in own(exchange, habits):
        if statement.verb in {"update", "delete"} or (statement.verb == "select" and _LOCKS.search(statement.text)):
            for (table, column, how), value in zip(sql.bindings(statement.text), statement.parameters, strict=False):
                if how == "eq" and not isinstance(value, list | dict):
                    found.setdefault(((table, column), str(value)), index)
    return [(index, column, value) for (column, value), index in found.items()]


def _of_one_table(both: tuple[Argument, ...], honest: Trace, holds: list[tuple[int, tuple[str, str], str]]) -> bool:
    """Whether two arguments name two rows of one table that the request comes to hold one after the other."""
    values = [_sent(each, honest) for each in both]
    if None in values or values[0] == values[1]:
        return False
    columns = [{(column, index) for index, column, value in holds if value == each} for each in values]
    return any(one == two and first != second for one, first in columns[0] for two, second in columns[1])


def _sent(argument: Argument, honest: Trace) -> str | None:
    """What the honest request sent at an argument's place, as text; None where that is not told."""
    value: object = None
    sent = honest.last.request_body or ""
    match argument.place, argument.value:
        case _, Literal(known):
            value = known
        case Place.QUERY | Place.FORM, _:
            text = urlsplit(honest.last.target).query if argument.place is Place.QUERY else sent
            value = dict(parse_qsl(text)).get(str(argument.path[-1]))
        case Place.JSON, _:
            value = _below(_parsed(sent), argument.path)
        case _, Extract(step, pointer) if step < len(honest.exchanges):
            response = honest.exchanges[step].response
            value = _below(response.json if response is not None else None, pointer)
    return None if value is None or isinstance(value, list | dict) else str(value)


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _below(value: object, path: tuple[str | int, ...]) -> object:
    for part in path:
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def shifted(call: Call, steps: int) -> Call:
    """A call whose values come from steps that now stand later."""
    return replace(call, arguments=tuple(replace(each, value=stepped(each.value, steps)) for each in call.arguments))


def orders(traces: Mapping[str, Trace]) -> dict[str, Trace]:
    """The serial runs of a pair's experiment, under the names that the oracle compares them by."""
    return {"ab": traces["control"], "ab_again": traces["again"], "ba": traces["reverse"], "a": traces["first"], "b": traces["second"]}


def apart(traces: Mapping[str, Trace]) -> bool:
    """Whether the rows live in one process's memory, so that no race is seen: two processes leave other kinds of rows, or none at all."""
    one, race = _kinds(traces["control"]), traces["race"]
    if one and one == _kinds(race):
        # Two processes left what one leaves.
        return False
    own = _kinds(traces["again"])
    # Two that undo each other's change leave nothing one after the other, either.
    lost = bool(one) and not race.changes and any(map(succeeded, race.exchanges[-2:]))
    return one != own or (lost and bool(traces["first"].changes and traces["second"].changes))


def _kinds(trace: Trace) -> Counter[tuple[str, str]]:
    return Counter((each.table, each.kind) for each in trace.changes)


def stumbles(traces: Mapping[str, Trace]) -> tuple[str, Location] | None:
    """What is said of a race that leaves sound rows, and in which one request ended in an error that nobody handled; None where none did."""
    race, serially = traces["race"], orders(traces)
    both = race.exchanges[-2:]
    for one, other, alone in ((both[0], both[1], "b"), (both[1], both[0], "a")):
        failure = one.failure
        if failure is not None and failure.location is not None and succeeded(other) and same_rows(race, serially, among=(alone,)):
            said = " ".join(failure.message.split())[:100]
            return f"of two requests at once one ends in {failure.type}: {said}; the rows stay sound, but it wants a clean answer or another attempt", failure.location
    return None


def noted_once(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether one and the same request was told yes twice and its rows are as after once, with no number moved: a log-out, a vote that counts once."""
    schedule, race = experiment.trials["race"].schedule, traces["race"]
    if schedule is None or schedule.first != schedule.second or schedule.first.identity is None or not same_rows(race, orders(traces)):
        return False
    moved = ((each.before.get(name), each.after.get(name)) for each in race.changes if each.kind == "updated" for name in each.columns)
    return not any(_number(old) and _number(new) for old, new in moved)


def known_again(traces: Mapping[str, Trace]) -> bool:
    """Whether both requests are the same one, which in turn does nothing the second time: none is lost where it is done twice."""
    one, two = traces["control"].exchanges[-2:]
    if (one.method, one.target, one.request_body) != (two.method, two.target, two.request_body):
        return False
    masked = volatile(traces["control"], traces["again"])
    return state(traces["control"].changes, masked) == state(traces["first"].changes, masked)


def told(race: Trace, control: Trace, parties: int = 2) -> dict[str, Json]:
    """What was sent, answered and forced, for the evidence, with its picture."""
    all_of = race.exchanges[-parties:]
    columns = [f"{each.method} {each.target}" for each in all_of]
    picture = timeline.told(columns, timeline.raced(race, parties=parties), row_facts(race.changes, control.changes), row_facts(control.changes, race.changes))
    return {
        "requests": [f"{each.method} {each.target} {each.request_body}".strip() for each in all_of],
        "answers": [each.status for each in all_of],
        "schedule": list(race.schedule),
        "timeline": picture,
        "workers": "a process for each request, as two workers have; what only locks the threads of one process holds neither back",
    }


def steer(one: Exchange, write: Statement | None, table: str, column: str = "") -> tuple[tuple[str, str], ...]:
    """What the mend needs: the table and column, the statement that wrote, and the read that it rests on."""
    return (("table", table), ("column", column), ("statement", write.text if write else ""), ("read", read_before(one, table)))
