"""Owns what is asked of the prototype's own tests: which requests they send, to which routes, and which guards are a route's."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted
from toughen.handling import handlers, parsed
from toughen.model.finding import Suspicion
from toughen.model.source import Location
from toughen.model.trial import Experiment, Rehearsal, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.mutant import Asked, Mutant, SuiteRun
    from toughen.model.trace import Trace
    from toughen.rule import Target

ALL = Trial((), rehearsal=Rehearsal())
_TOLD = 100
REFUSED, EMPTY = 500, 200
"""Answers that are nobody's."""


def heard(trace: Trace) -> SuiteRun | str:
    """What the tests said, or why nothing can be said of them."""
    run = trace.suite
    if run is None or run.problem:
        return f"the prototype's own tests cannot be run: {run.problem if run else 'nobody ran them'}"
    if not run.tests:
        return "the prototype has no tests"
    if not run.passed:
        return f"none of its {len(run.tests)} tests passes here: {_first(run)}"
    return run


def _first(run: SuiteRun) -> str:
    failed = next(iter(run.failed), None)
    return " ".join(failed.said.split())[-120:] if failed else "all are skipped, or pass now and then"


def sent(run: SuiteRun) -> str:
    """`1 test sends 1 request`, `12 tests send 40 requests`."""
    tests, requests = len(run.tests), len(run.requests)
    return f"{tests} {'test sends' if tests == 1 else 'tests send'} {requests} {'request' if requests == 1 else 'requests'}"


def asks(asked: Asked, method: str, path: str, others: Sequence[str]) -> bool:
    """Whether a request goes to the route of that method and path; a path that fits it better is another route's."""
    if asked.method != method or not _pattern(path).fullmatch(asked.path):
        return False
    return not any(each.count("{") < path.count("{") and _pattern(each).fullmatch(asked.path) for each in others)


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\})", path)
    return re.compile("".join((".+" if "path" in part else "[^/]+") if part.startswith("{") else re.escape(part) for part in parts) + "/?")


_assigned: list[tuple[Blueprint, dict[int, str]]] = []
"""What was assigned last: every route asks for it."""


def mutants_of(target: Target, route: Route) -> Iterator[Mutant]:
    """Guards of what a route's handler runs; each is the first route's that runs it, and what no route is seen to run is the first one's."""
    known = next((homes for blueprint, homes in _assigned if blueprint is target.blueprint), None)
    if known is None:
        known = _homes(target)
        _assigned[:] = [*_assigned[-3:], (target.blueprint, known)]
    return (each for each in target.mutants() if known.get(each.number) == route.id)


def _homes(target: Target) -> dict[int, str]:
    """Mutant -> route."""
    routes = [each.id for each in target.blueprint.routes]
    owners = {handler.route.id: {(place.module.file, place.name) for place in handler.reach} for handler in handlers(target.blueprint, target.texts())}
    named = {each: _named(target, each) for each in routes}
    found: dict[int, str] = {}
    for mutant in target.mutants():
        home = next((each for each in routes if (mutant.file, mutant.function) in owners.get(each, ())), None)
        last = mutant.function.rpartition(".")[2]
        found[mutant.number] = home or next((each for each in routes if last and last in named[each]), routes[0])
    return found


def _named(target: Target, route_id: str) -> set[str]:
    """Names in the source of a route's handler: the models that it takes."""
    handler = next((each for each in handlers(target.blueprint, target.texts()) if each.route.id == route_id), None)
    return set(re.findall(r"\w+", handler.home.module.segment(handler.home.node))) if handler is not None else set()


def without(mutant: Mutant) -> Experiment:
    """The tests as they are, and those that ask a guard while it is off."""
    off = Trial((), rehearsal=Rehearsal(off=mutant.key))
    detail = (
        ("number", str(mutant.number)), ("kind", mutant.kind), ("file", mutant.file), ("line", str(mutant.line)), ("function", mutant.function), ("text", mutant.text), ("without", mutant.without),
        ("at_import", "yes" if mutant.at_import else ""), ("nth", f" ({mutant.nth})" if mutant.nth > 1 else ""),
    )
    return Experiment({"control": ALL, "off": off}, f"{mutant.file}:{mutant.line} {mutant.without}", detail)


def told(mutant: Mutant) -> str:
    """How a guard is told of: what it is, where, how it is written, and which of those that are alike."""
    return f"{mutant.kind} in {mutant.function or mutant.file}: {mutant.text}"[:_TOLD] + (f" ({mutant.nth})" if mutant.nth > 1 else "")


# -- in the source -----------------------------------------------------------------------------------------------------

_ASSERTING = re.compile(r"^(assert|fail|raises|warns|expect|should|check|verify|has_calls|assertpy)", re.IGNORECASE)


def hollow(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Test functions that assert nothing, or constants only; whoever calls a helper of the tests' own may assert there."""
    for file, module in parsed(sources).items():
        if file not in blueprint.suite.files:
            continue
        helpers = {each.name for each in module.functions if not each.name.startswith("test")}
        for node in module.functions:
            if node.name.startswith("test") and not _asserts(node, helpers):
                yield Suspicion(break_id, None, Location(file, node.lineno, module.qualified(node)), f"{node.name} asserts nothing that could fail")


def _asserts(node: ast.AST, helpers: set[str]) -> bool:
    for inner in ast.walk(node):
        match inner:
            case ast.Assert(test=ast.Constant()):
                continue
            case ast.Assert():
                return True
            case ast.Call(func=func) if _ASSERTING.search(dotted(func).rpartition(".")[2]) or dotted(func).rpartition(".")[2] in helpers:
                return True
    return False
