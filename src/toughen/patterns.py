"""Owns patterns that come from the client: which texts of a request are compiled, and how the time of a match grows with the text."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.extents import filled
from toughen.flows import Sink
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Argument, Grant, Literal
from toughen.model.patch import Unmended
from toughen.model.trial import Experiment, Trial
from toughen.rule import Fails, Holds, Unclear
from toughen.twists import answer, literal, named, parameter_of, shown, succeeded, texts, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.flows import Flow
    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Judgement, Target

_COMPILES = {"compile", "search", "match", "fullmatch", "findall", "finditer", "sub", "subn", "split"}
_SOURCE = re.compile(r"\bre\.(compile|search|match|fullmatch|findall|finditer|subn?|split)\(\s*(?!r?[\"'])")
_REFUSED = re.compile(r"^(re|sre_constants|re\._constants)\.(error|PatternError)$")
_INVALID = "(tgn"
_STEEP, _FLAT = "(a+)+$", "(b+)+$"
"""A pattern whose time doubles with each `a` in front of something else (CWE-1333), and one of the same length that such a text does not start."""
_EITHER, _NEVER = "(?:.|{}){{{}}}\\x00", "\\x01"
"""A pattern that tries two ways for each of so many letters of any text, and what makes it one way."""
_SHORT, _LONG, _WAYS, _MORE = 20, 24, 18, 4
_GROWTH, _ABOVE, _SEEN = 6.0, 10.0, 60.0
"""Four letters more make it sixteen times as long; half of the exponent is demanded, that the flat pattern takes a tenth, and milliseconds
that no pause of the machine's explains."""
_MOST, _COLUMNS = 4, 6
_BRIEF = (
    "Take a text to look for and escape it (`re.escape`); where patterns are the feature, match by an engine that runs in linear time (RE2), and bound the length of the pattern and of the text."
)


def _find(flow: Flow, node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call) and node.args and flow.module.resolve(node.func).partition(".")[::2] in {("re", each) for each in _COMPILES}:
        yield node.args[0]


PATTERN = Sink(_find, frozenset({"escape"}), "{} is compiled as a pattern, and a steep one keeps the worker for as long as it likes")


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """Each text that is compiled (an invalid pattern raises what `re` raises), as a steep pattern over texts that the client or a row holds."""
    if not any(_SOURCE.search(text) for text in target.texts().values()):
        return
    sent = [each for each in texts(journey.call) if each.place is not Place.PATH or literal(each)]
    left_out = [each for each in unsent(target, route, journey) if each.place in {Place.QUERY, Place.JSON, Place.FORM} and _may_be_text(route, each)]
    for each in [*sent, *left_out][:_MOST]:
        trace = target.run(Trial((*journey.calls[:-1], journey.call.with_argument(each.place, each.path, Literal(_INVALID))), journey.grants, traced=True))
        if not _compiled(trace.last):
            continue
        for other in (one for one in sent if one.place is not Place.PATH and (one.place, one.path) != (each.place, each.path)):
            yield _experiment(journey, each, f"over {named(other)}", other, [])
        whole, columns = _held(target, journey, route)
        if columns:
            yield _experiment(whole, each, f"over rows of {columns[0][0]}", None, columns)
        elif len(sent) - (each in sent) == 0:
            # What it is matched with is the prototype's own: files, processes.
            texts_of = {"flat": _EITHER.format(_NEVER, _WAYS), "short": _EITHER.format("..", _WAYS - _MORE), "long": _EITHER.format("..", _WAYS)}
            trials = {name: Trial((*journey.calls[:-1], journey.call.with_argument(each.place, each.path, Literal(text))), journey.grants) for name, text in texts_of.items()}
            detail = (("kind", "pattern"), ("field", named(each)), ("over", "over what it finds"), ("pattern", texts_of["long"]))
            yield Experiment({"control": Trial(journey.calls, journey.grants), **trials}, f"{named(each)} = {texts_of['long']}", detail)


def _may_be_text(route: Route, argument: Argument) -> bool:
    known = parameter_of(route, argument)
    return known is None or known.type in {"string", "any"}


def _compiled(exchange: Exchange) -> bool:
    """Whether the prototype, or what it called, had the pattern refused by `re`."""
    return any(_REFUSED.match(each.type) for each in (*((exchange.failure,) if exchange.failure else ()), *exchange.handled))


def _held(target: Target, journey: Journey, route: Route) -> tuple[Journey, list[tuple[str, str]]]:
    """The Journey over rows that are there, and the free texts of the tables that its last call reads."""
    honest = target.honest(route.id)
    own = [each for each in honest.last.statements if each.verb == "select" and each.text not in target.habits()] if honest else []
    tables = [table for each in own for name in each.reads if (table := target.blueprint.table(name)) is not None]
    whole = filled(target, journey, tables[0].name.lower()) if tables and not any(each.rows for each in own) else journey
    columns = [
        (table.name, column.name) for table in dict.fromkeys(tables) for column in table.columns
        if column.type == "string" and not (column.unique or column.primary_key or column.references or column.enum) and (column.max_length or _LONG * 2) > _LONG
    ]
    return whole, columns[:_COLUMNS]


def _experiment(journey: Journey, argument: Argument, about: str, other: Argument | None, columns: list[tuple[str, str]]) -> Experiment:
    """The honest request; then flat over a long text, steep over a short one and over a long one."""
    trials = {"control": Trial(journey.calls, journey.grants)}
    for name, pattern, size in (("flat", _FLAT, _LONG), ("short", _STEEP, _SHORT), ("long", _STEEP, _LONG)):
        call, text = journey.call.with_argument(argument.place, argument.path, Literal(pattern)), "a" * size + "!"
        if other is not None:
            call = call.with_argument(other.place, other.path, Literal(text))
        grants = (Grant(table, (), column, text, len(journey.calls) - 1) for table, column in columns)
        trials[name] = Trial((*journey.calls[:-1], call), (*journey.grants, *grants))
    return Experiment(trials, f"{named(argument)} = {_STEEP} {about}", (("kind", "pattern"), ("field", named(argument)), ("over", about)))


def steep(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    """Four letters more make the steep pattern many times as slow, and the flat one is answered at once."""
    control = traces["control"]
    if not succeeded(control.last):
        return Unclear(f"the honest request does not succeed: {answer(control.last)}")
    flat, short, long = (traces[name].last for name in ("flat", "short", "long"))
    if flat.response is None or short.response is None:
        return Unclear(f"a harmless pattern is not answered: {flat.ended}")
    growth = (long.milliseconds - flat.milliseconds) / max(short.milliseconds - flat.milliseconds, 0.1)
    hangs = long.response is None and long.ended == "timeout"
    if not hangs and (growth < _GROWTH or long.milliseconds < max(flat.milliseconds * _ABOVE, flat.milliseconds + _SEEN)):
        return Fails()
    took = "is not answered any more" if hangs else f"takes {long.milliseconds:.0f} ms"
    facts: dict[str, Json] = {
        "request": shown(long), "milliseconds": {"steep, short": round(short.milliseconds), "steep, four letters more": round(long.milliseconds), "flat": round(flat.milliseconds)},
        "honest": shown(control.last),
    }
    field = experiment.fact("field")
    pattern = experiment.fact("pattern") or _STEEP
    message = f"{field} is compiled as a pattern: {pattern} {experiment.fact('over')} {took}, and took {short.milliseconds:.0f} ms with {_MORE} letters less"
    return Holds(Evidence(message, facts, None, experiment.detail, key=f"{field}-pattern", severity=Severity.HIGH))


def mends(finding: Finding, evidence: Evidence, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:  # noqa: ARG001 - as all mends of this rule are called
    """None: what patterns are meant is for the owner to say."""
    yield Unmended(f"Python's `re` cannot be kept from a steep pattern, and whether {evidence.fact('field')} must be a pattern is for you to say", _BRIEF)

