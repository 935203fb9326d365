"""Owns what a request has somebody outside do once its rows are there: how its loss is tried, and whether it was lost."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import timeline
from toughen.afterwards import NOWHERE, closure, finisher, hands_on, jobs
from toughen.codemod.clients import client_of
from toughen.halves import seen, telling
from toughen.handling import called, calls_of, sought
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import ANSWERED, Experiment, Kill, Trial
from toughen.oracle import own, state, volatile
from toughen.rule import Fails, Holds, Unclear
from toughen.timeline import row_facts
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Suspicion
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, Outgoing, Trace
    from toughen.rule import Judgement, Target

_DONE = re.compile(r"charge|payment|payout|/pay\b|transfer|refund|withdraw|capture|order|booking|reservation|invoice|subscription|shipment|shipping|label|dispatch", re.IGNORECASE)
"""Paths of what somebody outside does because of the request, for money or goods."""
_BY_THE_WAY = re.compile(r"notif|mail|sms|message|hook|event|slack|chat|analytics|track|log\b|metric|score|search|quote|check", re.IGNORECASE)
"""Paths of what may be lost, or is only asked."""
_MOST = 3


def binding(each: Outgoing) -> bool:
    """Whether it has somebody outside do something that the rows are about: what is posted to be done, and no note or question."""
    method, _, rest = each.request.partition(" ")
    return method == "POST" and _is_binding(rest.partition("?")[0].rpartition(" HTTP")[0] or rest)


def _is_binding(path: str) -> bool:
    return _DONE.search(path) is not None and _BY_THE_WAY.search(path) is None


def behind(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """What is told behind the answer: the process ends as soon as the client has that."""
    honest = target.honest(route.id)
    if honest is None or not hands_on(target.blueprint, target.texts(), route):
        return
    control = Trial(journey.calls, journey.grants, patient=True)
    for number, each in enumerate(target.run(control).last.outgoing):
        if binding(each) and each.behind:
            yield _tried(target, journey, number, each, Kill(len(journey.calls) - 1, ANSWERED), "its process ends as soon as the client has the answer")
            return


def between(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """What is told before the answer, once the request's rows are committed: the process ends before it is."""
    honest = target.honest(route.id)
    if honest is None or not honest.final_changes:
        return
    last, tried = len(journey.calls) - 1, 0
    for number, each in enumerate(honest.last.outgoing):
        if binding(each) and not each.behind and _is_committed(honest.last, each, target.habits()) and tried < _MOST:
            tried += 1
            yield _tried(target, journey, number, each, Kill(last, outside=number), f"its process ends before {each.host} is told")


def _tried(target: Target, journey: Journey, number: int, call: Outgoing, kill: Kill, about: str) -> Experiment:
    calls, grants = journey.calls, journey.grants
    trials = {
        "control": Trial(calls, grants, patient=True),
        "again": Trial(calls, grants, isolated=True, patient=True),
        "died": Trial((*calls, NOWHERE), grants, kills=(kill,), patient=True),
        # Who has no answer sends it again.
        **({} if kill.before == ANSWERED else {"retried": Trial((*calls, calls[-1]), grants, kills=(kill,), patient=True)}),
    }
    detail = (("untold", str(number)), ("seen", ",".join(sorted(seen(target)))), ("finisher", finisher(target.texts())), ("host", call.host))
    return Experiment(trials, about, detail)


def _is_committed(exchange: Exchange, call: Outgoing, habits: frozenset[str]) -> bool:
    """Whether the request's own writes are all committed before a call outside."""
    wrote = committed = False
    for index, each in own(exchange, habits):
        if each.writes and each.rows != 0:
            if index >= call.after:
                return False
            wrote, committed = True, False
        elif each.verb == "commit" and index < call.after:
            committed = wrote
    return committed


def judged(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """The rows are there as they are when all is done, and nobody outside was told, nor is after a restart."""
    control, died = traces["control"], traces["died"]
    killed, later = died.exchanges[-2], died.last
    number = int(experiment.fact("untold"))
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    call = next((each for each in control.last.outgoing if each.host == experiment.fact("host") and binding(each)), None)
    if call is None:
        return Unclear(f"the request did not come to call {experiment.fact('host')} again")
    told = [each for exchange in (killed, later) for each in (*exchange.early, *exchange.outgoing) if _same(each, call)]
    if len(told) > 1 and len({each.key or number for number, each in enumerate(told)}) > 1:
        return Unclear(f"{call.host} is told {len(told)} times after a restart, and cannot know that it is the same")
    if told:
        return Fails()
    if killed.ended != "killed" or later.response is None:
        return Unclear("its process did not end there, or no new one came up")
    answered = experiment.trials["died"].kills[0].before == ANSWERED
    if answered and not succeeded(killed):
        return Unclear(f"the honest request does not succeed: {answer(killed)}")
    masked, known = volatile(control, traces["again"]), {each.lower() for each in experiment.fact("seen").split(",")}
    there = tuple(each for each in died.changes if each.table.lower() in known and telling(each))
    if not there or state(died.changes, masked) != state(control.changes, masked):
        return Fails()
    if not answered and state(traces["retried"].changes, masked) == state(control.changes, masked) and any(_same(each, call) for each in traces["retried"].last.outgoing):
        return Fails()
    if experiment.fact("finisher"):
        return Unclear(f"{experiment.fact('finisher')} may come back to it later")
    cut = f"the client is told {killed.status}, the process ends" if answered else "its rows are committed, the process ends"
    rows = timeline.unfinished(control.last) if answered else timeline.cut(control.last, call.after, why=f"its process ends before {call.host} is told")
    happened = timeline.told([shown(control.last)[:60]], rows, [f"{call.host} is never told"], [f"{call.host} is told: {call.request.rpartition(' HTTP')[0]}"])
    place = call.location
    return Holds(
        Evidence(
            f"{cut}, and {call.host} is never told ({call.request.rpartition(' HTTP')[0]}): {row_facts(there)[0]} says that all is done",
            {
                "request": shown(control.last), "outside": f"{call.host}: {call.request}", "sent": call.sent[:200], "is there": [*row_facts(there)], "is missing": f"{call.request} to {call.host}",
                "answer": answer(killed) if answered else "none", "timeline": happened,
            },
            place,
            (("untold", str(number)), ("host", call.host), ("call", f"{place.file}:{place.line}" if place else "")),
            severity=None if answered else Severity.MEDIUM,
        )
    )


def _same(one: Outgoing, other: Outgoing) -> bool:
    return one.request == other.request and one.host == other.host


# -- in the source -----------------------------------------------------------------------------------------------------


def posted(place: Place) -> Iterator[ast.Call]:
    """Calls of a function by which it has somebody outside do something."""
    for node in calls_of(place.node):
        call = client_of(place.module, node)
        if call is not None and call.name.rpartition(".")[2] == "post" and node.args and _is_binding(re.sub(r"^\w+://[^/]*", "", place.module.segment(node.args[0]).strip("f\"'"))):
            yield node


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str], *, later: bool) -> Iterator[Suspicion]:
    """Handlers that have somebody outside do something behind their answer (`later`), or behind their commit; the first of each route."""
    known = finisher(sources)

    def look(handler: Handler) -> Iterator[Suspicion]:
        for place in handler.reach:
            if later:
                found = [(call, inner) for call, doer in jobs(place) for each in closure(place, doer, handler.project) for inner in posted(each)]
                if found and not known:
                    yield handler.suspicion(break_id, found[0][0].lineno, "somebody outside is told after the answer: where the process ends before, nobody tells him", place)
                    return
                continue
            commits = [each.lineno for each in calls_of(place.node) if isinstance(each.func, ast.Attribute) and each.func.attr == "commit"]
            told = [each.lineno for each in posted(place)] if commits else []
            told += [call.lineno for call in calls_of(place.node) if commits and (inner := called(place, call, handler.project)) is not None and inner.node is not place.node and any(True for _ in posted(inner))]
            lines = sorted(each for each in told if any(line < each for line in commits))
            if lines and not known:
                yield handler.suspicion(break_id, lines[0], "rows are committed before somebody outside is told: where the process ends in between, nobody tells him", place)
                return

    return sought(blueprint, sources, look)
