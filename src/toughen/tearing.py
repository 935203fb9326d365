"""Owns how what lies in the memory of one process is torn: two requests of its threads, or of its tasks, change it at once."""

from __future__ import annotations

import ast
import json
from collections import Counter
from typing import TYPE_CHECKING

from toughen.handling import handlers
from toughen.memories import stores, written_at
from toughen.model.trial import Experiment, Together, Trial
from toughen.oracle import changing, clock, dated, succeeded
from toughen.pairs import shifted
from toughen.quotas import numbered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json, Route
    from toughen.model.journey import Call, Journey
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Target

_PLACES, _AWAITS, _MOST = 4, 3, 7
"""Lines and awaits at which the first stands still, and requests after which nobody is going to be refused."""
_CLIENT, _SERVER = 400, 500
_NO_LIMIT = (401, 403, 404, 429)
Seen = tuple[tuple[str, ...], str]
"""(how each request was answered, what is read afterwards)."""


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """For each variable that this route changes and another one reads: the same request twice at once in one process, with room for both and for one."""
    if route.method == "GET":
        return
    handler = next((each for each in handlers(target.blueprint, target.texts()) if each.route.id == route.id), None)
    for store in stores(target.blueprint, target.texts()) if handler is not None else ():
        assert handler is not None
        lines = written_at(handler, store)
        reading = next((found for each in store.readers if (found := target.journey(each)) is not None), None)
        if not lines or reading is None:
            continue
        waits = isinstance(handler.home.node, ast.AsyncFunctionDef)
        if waits and not any(isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor) for node in ast.walk(handler.home.node)):
            # Nothing comes between two statements of a task that never gives way.
            continue
        detail = (("store", store.name), ("file", store.file), ("line", str(store.line)), ("how", "torn"), ("writers", route.id), ("readers", reading.route))
        for before, one, two in _pairs(target, journey):
            yield from _torn(journey, (before, one, two), _reader(reading, len(before)), _places(lines, waits=waits), detail)


def _places(lines: list[tuple[str, int]], *, waits: bool) -> list[tuple[str, int, int]]:
    """(file, line, awaits) at which the first stands still."""
    return [("", 0, number) for number in range(1, _AWAITS + 1)] if waits else [(file, line, 0) for file, line in lines[:_PLACES]]


def _pairs(target: Target, journey: Journey) -> Iterator[tuple[tuple[Call, ...], Call, Call]]:
    """(calls before, first, second): the two first ones; and the two that compete for the last one that is not refused."""
    again = [numbered(journey.call, index) for index in range(_MOST)]
    before = journey.calls[:-1]
    yield before, again[0], again[1]
    exchanges = target.run(Trial((*before, *again), journey.grants, workers="one")).exchanges[len(before) :]
    passed = [succeeded(each) for each in exchanges]
    limit = passed.index(False) if False in passed else 0
    status = exchanges[limit].status or _SERVER
    if limit >= 1 and not any(passed[limit:]) and _CLIENT <= status < _SERVER and status not in _NO_LIMIT:
        yield (*before, *again[: limit - 1]), again[limit - 1], again[limit]


def _reader(reading: Journey, steps: int) -> Call:
    """The request that looks: alone, as what it needs was done before."""
    return shifted(reading.call, steps - len(reading.calls) + 1) if len(reading.calls) > 1 else reading.call


def _torn(journey: Journey, calls: tuple[tuple[Call, ...], Call, Call], reader: Call, places: list[tuple[str, int, int]], detail: tuple[tuple[str, str], ...]) -> Iterator[Experiment]:
    before, one, two = calls
    serial = {
        name: Trial((*before, *order, reader), journey.grants, workers="one")
        for name, order in {"control": (one, two), "reverse": (two, one), "first": (one,), "second": (two,)}.items()
    }
    serial["again"] = Trial((*before, one, two, reader), journey.grants, workers="one", isolated=True)
    for file, line, awaits in places:
        race = Trial(before, journey.grants, together=Together(one, two, reader, file, line, awaits), workers="one")
        yield Experiment({**serial, "race": race}, "twice at once in one process", detail)


def torn(traces: Mapping[str, Trace]) -> tuple[str, str, str] | None:
    """(what is read after two at once, after one and the other, what was answered), where it is that of no serial order; None where it is."""
    race = traces["race"]
    if not race.schedule:
        return None
    masked = _volatile(traces["control"], traces["again"])
    now = _seen(race, 2, masked)
    both = (_seen(traces["control"], 2, masked), _swapped(_seen(traces["reverse"], 2, masked)))
    alone: dict[tuple[str, ...], str] = {("yes", "no"): _seen(traces["first"], 1, masked)[1], ("no", "yes"): _seen(traces["second"], 1, masked)[1]}
    if now in both or now[1] == alone.get(now[0]) or now[0] == ("no", "no"):
        return None
    if any((each.status or _SERVER) >= _SERVER for trace in (race, traces["control"], traces["reverse"]) for each in trace.exchanges[-3:]):
        # An error is something else, also one under contention; and what fails one after the other says nothing of both at once.
        return None
    if race.exchanges[-3].method in {"PUT", "DELETE"} and now[1] in {both[0][1], both[1][1]}:
        # They are idempotent (RFC 9110 9.2.2): told yes twice, and all is as after the two.
        return None
    return _body(race.last)[:300], _body(traces["control"].last)[:300], ", ".join(str(each.status) for each in race.exchanges[-3:-1])


def _seen(trace: Trace, count: int, masked: frozenset[str]) -> Seen:
    answers = tuple("yes" if succeeded(each) else "no" for each in trace.exchanges[-1 - count : -1])
    return answers, repr(sorted(_leaves(trace, masked).items()))


def _swapped(seen: Seen) -> Seen:
    return tuple(reversed(seen[0])), seen[1]


def _leaves(trace: Trace, masked: frozenset[str] = frozenset()) -> Counter[str]:
    """What the last answer of a trace holds: each value with the names above it, however it is ordered; canaries go by their names."""
    held: Counter[str] = Counter()
    names = {canary: name for name, canary in trace.markers.items()}
    response = trace.last.response
    for path, value in _walk(response.json if response is not None and response.is_json else _body(trace.last)):
        text = "~" if path in masked or clock(value) or dated(value) or changing(value) else json.dumps(value)
        for canary, name in names.items():
            text = text.replace(canary, name.rpartition("-")[0] or name)
        held[f"{path}={text}"] += 1
    return held


def _walk(value: Json, path: str = "") -> Iterator[tuple[str, Json]]:
    match value:
        case dict():
            for name, each in value.items():
                yield from _walk(each, f"{path}.{name}")
        case list():
            for each in value:
                yield from _walk(each, f"{path}[]")
        case _:
            yield path, value


def _volatile(one: Trace, other: Trace) -> frozenset[str]:
    """Paths whose values differ between two runs of the same order."""
    apart = _leaves(one) - _leaves(other)
    return frozenset(each.partition("=")[0] for each in apart)


def _body(exchange: Exchange) -> str:
    return exchange.response.body if exchange.response else ""
