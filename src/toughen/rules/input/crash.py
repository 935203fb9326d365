"""Owns input/crash."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer, body_of, literal, named, raw_json, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Argument, Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Judgement, Target

_HUGE = 10**30
_MOST = 6
_SWEEP = 60
_BATCH = 10
_SLOW = 1500.0
"""Milliseconds after which a request is taken to wait for something that an earlier one left behind."""


class Crash(Rule):
    """A value of the wrong kind ends in an unhandled exception: the client gets a 500 and the log a traceback.

    Who pays: every client that sends a typo, and whoever is woken by the alarm; a caller who knows it can fill the log
    and, where the failing code holds a lock or a connection, take the service down.

    Example: `{"amount": "ten"}` reaches `float(data["amount"])`.
    Instead: check kind and bounds at the boundary, and answer 400 or 422 that says which field is wrong.
    """

    id = "input/crash"
    title = "A value of the wrong kind crashes the request"
    severity = Severity.MEDIUM
    cwe = (20, 248)
    owasp = "API8:2023"
    asvs = "V2.2.1"
    order = 50
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Sweep all hostile values in one process first; then each crash gets an experiment of its own."""
        hostile = list(_hostile(journey.call))[:_SWEEP]
        control = Trial(journey.calls, journey.grants)
        seen: set[str] = set()
        for (field, about, call), exchange in _swept(target, journey, hostile):
            if not _crashed(exchange) or _site(exchange) in seen or len(seen) >= _MOST:
                continue
            seen.add(_site(exchange))
            yield Experiment(
                {"control": control, "hostile": Trial((*journey.calls[:-1], call), journey.grants)},
                about, (("field", field),),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request succeeds, the hostile one ends in an exception that nobody handled."""
        control, hostile = traces["control"].last, traces["hostile"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        if not _crashed(hostile):
            return Fails()
        failure = hostile.failure
        where = failure.location if failure else None
        what = f"{failure.type}: {failure.message[:120]}" if failure else answer(hostile)
        return Holds(
            Evidence(
                f"{experiment.about} ends in {what}",
                {
                    "request": shown(hostile), "answer": answer(hostile), "honest": shown(control), "honest answer": answer(control),
                    "exception": what, "traceback": failure.traceback if failure else "",
                },
                where,
                (("field", experiment.fact("field")), ("exception", failure.type if failure else ""), ("about", experiment.about)),
                key=experiment.fact("field"),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()


def _swept(target: Target, journey: Journey, hostile: list[tuple[str, str, Call]]) -> Iterator[tuple[tuple[str, str, Call], Exchange]]:
    """All hostile calls, several in one process; one by one as soon as an earlier one is seen to hold up the others."""
    size, start = _BATCH, 0
    while start < len(hostile):
        batch = hostile[start : start + size]
        trace = target.run(Trial((*journey.calls[:-1], *(call for _, _, call in batch)), journey.grants))
        exchanges = trace.exchanges[len(journey.calls) - 1 :]
        yield from zip(batch, exchanges, strict=False)
        start += size
        if any(each.milliseconds > _SLOW or each.response is None for each in exchanges):
            size = 1


def _crashed(exchange: Exchange) -> bool:
    return exchange.failure is not None or exchange.status == 500  # noqa: PLR2004


def _site(exchange: Exchange) -> str:
    failure = exchange.failure
    return f"{failure.type} {failure.location}" if failure else answer(exchange)


def _hostile(call: Call) -> Iterator[tuple[str, str, Call]]:
    """(field, what it tries, call): the whole body first, then each field."""
    if call.body == "json" or any(each.place is Place.JSON for each in call.arguments):
        for value, words in (([1], "a list"), ("text", "a string"), (7, "a number")):
            yield "body", f"a body that is {words} instead of an object", raw_json(call, value)
        yield "body", "a body that is not JSON", replace(raw_json(call, None), raw_body="{")
    for argument in call.arguments:
        for value, words in _wrong(argument):
            yield named(argument), f"{named(argument)} = {words}", call.with_argument(argument.place, argument.path, Literal(value))
        if argument.place in {Place.JSON, Place.FORM, Place.QUERY}:
            yield named(argument), f"no {named(argument)}", call.without_argument(argument.place, argument.path)
        value = literal(argument)
        body = body_of(call)
        if argument.place is Place.JSON and isinstance(value, int | float) and not isinstance(value, bool) and isinstance(body, dict) and len(argument.path) == 1:
            yield named(argument), f"{named(argument)} = NaN", raw_json(call, {**body, str(argument.path[0]): float("nan")})


def _wrong(argument: Argument) -> Iterator[tuple[Json, str]]:
    """Values of another kind than the honest one."""
    value = literal(argument)
    if argument.place in {Place.HEADER, Place.COOKIE, Place.FILE}:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if argument.place in {Place.PATH, Place.QUERY, Place.FORM}:
        if number or (isinstance(value, str) and value.isdigit()):
            yield "abc", "abc"
            yield str(_HUGE), "10**30"
            yield "-1", "-1"
        if argument.place is not Place.PATH:
            yield "", "nothing"
        return
    if number:
        yield "abc", "a string"
        yield _HUGE, "10**30"
        yield -1, "-1"
    else:
        yield 7, "a number"
        yield True, "true"
    yield None, "null"
    yield [], "a list"
    yield {"a": 1}, "an object"
    if isinstance(value, str):
        yield "x" * 5000, "5,000 characters"
        yield "a\x00b", "a text with a zero byte"
