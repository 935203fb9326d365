"""Owns what a request does that is sent twice: the key by which it is known again, what it does once, and what it does a second time."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.halves import interrupted, seen
from toughen.handling import called, calls_of, sought
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Literal
from toughen.model.trial import Experiment, Kill, Trial
from toughen.oracle import advisory, clock, own, stops, succeeded, volatile
from toughen.pairs import AMPLE, Pair, tuned
from toughen.settlements import otherwise
from toughen.twists import parameter_of, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.handling import Handler
    from toughen.handling import Place as Function
    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Suspicion
    from toughen.model.journey import Call, Journey
    from toughen.model.trace import Exchange, Outgoing, RowChange, Trace
    from toughen.rule import Target

KEY = re.compile(r"idempot", re.IGNORECASE)
"""Keys that say of themselves what they are for (draft-ietf-httpapi-idempotency-key-header)."""
_UUID = "6f1c2d9e-3b7a-4c58-9e21-7d0b5a4f8c13"
_NUMBER = 48151623
_CHARGES = re.compile(
    r"charge|payment|payout|/pay\b|transfer|refund|withdraw|capture|order|booking|reservation|invoice|subscription|shipment|label|sms|message|notif|mail|webhook|hook", re.IGNORECASE
)
"""Paths of what somebody outside does because of the request, rather than answers it."""
_MAIL = "MAIL "


def keyed(target: Target, route: Route, journey: Journey) -> tuple[Call, str]:
    """The route's own call with an idempotency key in it, and where the key stands; "" where the prototype asks for none."""
    for each in journey.call.arguments:
        if each.path and KEY.search(str(each.path[-1])):
            return journey.call, _place(each)
    for each in unsent(target, route, journey):
        if KEY.search(str(each.path[-1])):
            known = parameter_of(route, each)
            value: Json = _NUMBER if known is not None and known.type in {"integer", "number"} else _UUID
            return journey.call.with_argument(each.place, each.path, Literal(value)), _place(each)
    return journey.call, ""


def _place(each: Argument) -> str:
    return f"{'header' if each.place is Place.HEADER else each.place.value} {each.path[-1]}"


def twice(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """The same request twice: in turn, to another worker, and at once; of a request without a key only where the second does nothing in turn."""
    honest = target.honest(route.id)
    call, key = keyed(target, route, journey)
    if honest is None or not (honest.final_changes or key):
        return
    calls, grants = tuned(journey, honest, AMPLE)
    before, call = calls[:-1], calls[-1] if call == journey.call else call
    detail = (("key", key), ("seen", ",".join(sorted(seen(target)))))
    trials = {
        "control": Trial((*before, call), grants),
        "again": Trial((*before, call), grants, isolated=True),
        "twice": Trial((*before, call, call), grants, workers="one"),
    }
    elsewhere = Trial((*before, call, call), grants, workers="each")
    if not honest.final_changes:
        yield Experiment({**trials, "elsewhere": elsewhere}, "sent again to another worker", (*detail, ("how", "answers")))
        return
    alone, both = target.run(trials["control"]), target.run(Trial((*before, call, call), grants))
    if not (succeeded(alone.last) and both.last.status is not None):
        return
    if key:
        yield Experiment(trials, "sent again with the same key", (*detail, ("how", "turn")))
    else:
        yield from _settled_again(Trial((*before, call), grants), alone, detail)
    touched = {each.table for each in alone.final_changes} & {each.table for each in both.final_changes}
    if not again(alone, both, seen(target)) and (key or (succeeded(both.last) and not touched)):
        yield Experiment({**trials, "elsewhere": elsewhere}, "sent again to another worker", (*detail, ("how", "worker")))
        if succeeded(both.last):
            pair = Pair(before, call, call, grants, "the same request twice at once", stops(alone.last, alone.last, target.habits()))
            for each in pair.experiments((*detail, ("how", "once"))):
                yield Experiment({**trials, "race": each.trials["race"]}, each.about, each.detail)


def _settled_again(trial: Trial, alone: Trace, detail: tuple[tuple[str, str], ...]) -> Iterator[Experiment]:
    """Sent again once it is settled; the number moves by another amount where another one stands in the row."""
    other = otherwise(trial, alone)
    if other is not None:
        trials = {
            "control": other, "again": replace(other, isolated=True), "plain": trial,
            "twice": replace(other, calls=(*other.calls, other.calls[-1]), workers="one"),
        }  # fmt: skip
        yield Experiment(trials, "sent again once it is settled", (*detail, ("how", "settled")))


def again(first: Trace, second: Trace, known: set[str]) -> tuple[RowChange, ...]:
    """What the last request of the second trace did of what that of the first had done: rows in the same tables that somebody reads, the same numbers moved once more."""
    made = {each.table for each in first.final_changes if each.kind == "inserted" and each.table.lower() in known}
    moved = dict(_moves(first))
    steps = {place for place, step in _moves(second) if step * moved.get(place, 0) > 0}
    return tuple(each for each in second.final_changes if (each.kind == "inserted" and each.table in made) or any(place[:2] == _row(each) for place in steps))


def beyond(one: Trace, both: Trace, known: set[str]) -> tuple[RowChange, ...]:
    """What two requests at once did beyond what one of them does alone."""
    made = Counter(each.table for each in one.final_changes if each.kind == "inserted" and each.table.lower() in known)
    moved = dict(_moves(one))
    further = {place for place, step in _moves(both) if step * moved.get(place, 0) > 0 and abs(step) > abs(moved[place])}
    seen_so_far = Counter[str]()
    found = []
    for each in both.final_changes:
        seen_so_far[each.table] += each.kind == "inserted"
        if (each.kind == "inserted" and seen_so_far[each.table] > made[each.table] > 0) or any(place[:2] == _row(each) for place in further):
            found.append(each)
    return tuple(found)


def held_back(first: Trace, second: Trace, known: set[str]) -> tuple[str, ...]:
    """Tables to which the first request adds rows that somebody reads, and the second does not."""
    made, more = ({each.table for each in trace.final_changes if each.kind == "inserted" and each.table.lower() in known} for trace in (first, second))
    return tuple(sorted(made - more))


def _moves(trace: Trace) -> Iterator[tuple[tuple[str, str, str], float]]:
    for each in trace.final_changes:
        for name in each.columns if each.kind == "updated" else ():
            old, new = each.before.get(name), each.after.get(name)
            numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (old, new))
            if numbers and not clock(new) and not advisory(name):
                yield (*_row(each), name), float(new) - float(old)  # type: ignore[arg-type]


def _row(change: RowChange) -> tuple[str, str]:
    return change.table, str(next(iter(change.before.values()), ""))


def holders(trace: Trace, call: Call, place: str) -> tuple[tuple[str, str], ...]:
    """(table, column) of new rows that hold the key which was sent."""
    name = place.rpartition(" ")[2]
    sent = {str(each.value.value) for each in call.arguments if each.path and str(each.path[-1]) == name and isinstance(each.value, Literal)}
    return tuple(dict.fromkeys((each.table, column) for each in trace.final_changes if each.kind == "inserted" for column, value in each.after.items() if str(value) in sent))


def cut_off(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """Killed after it told somebody outside to do something and before its rows are committed, and sent again by a client that heard nothing."""
    honest = target.honest(route.id)
    if honest is None or not honest.final_changes:
        return
    calls, grants = tuned(journey, honest, AMPLE)
    last = len(calls) - 1
    for number, each in enumerate(honest.last.outgoing):
        point = uncommitted(honest.last, each, target.habits())
        if point is None or not does(each):
            continue
        trials = interrupted(calls, grants, kills=(Kill(last, point),))
        yield Experiment(trials, f"killed before statement {point}, after {each.request[:60]}", (("how", "killed"), ("point", str(point)), ("call", str(number))))


def does(each: Outgoing) -> bool:
    """Whether somebody outside does something for it, once for each time that he is asked: a mail, or what is posted to be done."""
    method, _, rest = each.request.partition(" ")
    return each.request.startswith(_MAIL) or (method == "POST" and _CHARGES.search(rest.partition("?")[0].rpartition(" HTTP")[0] or rest) is not None)


def uncommitted(exchange: Exchange, call: Outgoing, habits: frozenset[str]) -> int | None:
    """Number of the first statement after a call outside, where the request's own writes are committed only later; None where they are there before it."""
    wrote = False
    for index, each in own(exchange, habits):
        if index < call.after:
            if each.writes and each.rows != 0:
                wrote = True
            elif each.verb == "commit" and wrote:
                return None
        elif each.verb == "commit" or (each.writes and each.rows != 0):
            return index
    return None


def same(one: Outgoing, other: Outgoing) -> bool:
    """Whether two calls outside ask for the same, and whoever is asked cannot tell that the second is the first again."""
    return one.request == other.request and one.host == other.host and (not one.key or one.key != other.key)


def masked(traces: Mapping[str, Trace]) -> frozenset[tuple[str, str]]:
    """Columns that differ from run to run."""
    return volatile(traces["control"], traces["again"])



_ASKED = re.compile(r"""(get\(|\[)\s*["'](x-)?idempotency[-_]key["']""", re.IGNORECASE)
_CLIENTS = {"requests": {"post"}, "httpx": {"post"}, "stripe": {"create"}, "smtplib": {"sendmail", "send_message"}}


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Handlers that ask for a key which no unique column keeps, and those that tell somebody outside before they commit."""
    unique = any(KEY.search(f"{table.name} {column.name}") and (column.unique or column.primary_key) and column.type not in {"integer", "number"} for table in blueprint.tables for column in table.columns)
    unique = unique or any(KEY.search(name) for table in blueprint.tables for key in table.uniques for name in key)

    def look(handler: Handler) -> Iterator[Suspicion]:
        text = handler.home.module.segment(handler.home.node)
        named = any(each.path and KEY.search(str(each.path[-1])) for each in handler.route.parameters) or _ASKED.search(text)
        if named and not unique and handler.route.method != "GET":
            yield handler.suspicion(break_id, handler.home.node.lineno, "it asks for an idempotency key, and no unique column keeps two requests with the same one apart")
            return
        line = _told_early(handler.home, handler.project)
        if line and handler.route.method != "GET":
            yield handler.suspicion(break_id, line, "somebody outside is told before the rows are committed: cut off in between and sent again, he is told twice")

    return sought(blueprint, sources, look)


def _told_early(home: Function, project: tuple[Module, ...]) -> int:
    """Line of the call outside that a function makes before its only commits; 0 where there is none, or it carries a key."""
    commits = [each.lineno for each in calls_of(home.node) if isinstance(each.func, ast.Attribute) and each.func.attr == "commit"]
    for each in calls_of(home.node):
        helper = called(home, each, project)
        outside = [(home, each)] if helper is None else [(helper, inner) for inner in calls_of(helper.node)]
        if any(_goes_out(place, call) for place, call in outside) and commits and min(commits) > each.lineno:
            return each.lineno
    return 0


def _goes_out(place: Function, call: ast.Call) -> bool:
    client, last = place.module.resolve(call.func).partition(".")[0], call.func.attr if isinstance(call.func, ast.Attribute) else ""
    text = place.module.segment(call)
    asks = client in {"requests", "httpx"} and not _CHARGES.search(text)
    return (last in _CLIENTS.get(client, ()) or last in _CLIENTS["smtplib"]) and not asks and not KEY.search(text)
