"""Owns what answers say of the software behind them: a header that names it with its version, the statement that sets it, and its removal."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod import patch, word
from toughen.codemod.mechanics import remove
from toughen.handling import handlers, parsed, within
from toughen.model.finding import Evidence, Severity, Suspicion
from toughen.model.patch import Patch, Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.twists import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.draft import Draft
    from toughen.codemod.module import Module
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange
    from toughen.rule import Target

KIND = "banner"
_NAMES = ("x-powered-by", "server", "x-generator")
_VERSION = re.compile(r"[A-Za-z][\w.+-]*[ /^~v]+\d+(?:\.\d+)+")
_BRIEF = "Let no answer name the software behind it with its version: leave out the header, and what a proxy in front adds."


def experiments(target: Target, journey: Journey) -> Iterator[Experiment]:
    """The honest request of the first route whose answer names software and version, where the project's own source sets that header."""
    for name, place in _set(target.blueprint, target.texts()).items():
        first = next((each for each in target.journeys() if (trace := target.honest(each.route)) is not None and _said(trace.last, name)), None)
        if first is not None and first.route == journey.route:
            yield Experiment({"control": Trial(journey.calls, journey.grants)}, f"the header {name}", (("kind", KIND), ("header", name), ("file", place.file), ("line", str(place.line))))


def evidence(experiment: Experiment, exchange: Exchange) -> Evidence | None:
    """The header as the answer carries it."""
    name = experiment.fact("header")
    value = _said(exchange, name)
    if not value:
        return None
    place = Location(experiment.fact("file"), int(experiment.fact("line")), None)
    return Evidence(
        f"the header {name} tells whoever asks which software answers, and in which version: {value}",
        {"request": shown(exchange), "header": f"{name}: {value}"}, place, (("kind", KIND), ("header", name)), key=name, severity=Severity.LOW,
    )


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Statements that set such a header to a text with a version."""
    routes = {id(place.node): handler.route.id for handler in handlers(blueprint, sources) for place in handler.reach}
    for module, statement, name, value in _statements(blueprint, sources):
        if _VERSION.search(value):
            node = module.enclosing(statement)
            where = Location(module.file, statement.lineno, module.qualified(node) if node is not None else None)
            yield Suspicion(break_id, routes.get(id(node)), where, f"it names the software and its version in {name}")


def removed(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The statement that sets the header is left out."""
    name = finding.evidence.fact("header") if finding.evidence else ""
    made: Patch | Unmended = Unmended("the statement that sets the header is not seen in the source", _BRIEF)
    for module, statement, header, _ in _statements(blueprint, sources):
        if header == name:
            made = patch(finding.id, f"Leave out the header {name}", _without(module, statement))
            yield made
            return
    yield made


@word
def _without(module: Module, statement: ast.stmt) -> Draft:
    return remove(module, statement)


def _said(exchange: Exchange, name: str) -> str:
    value = (exchange.response.header(name) if exchange.response else None) or ""
    return value if _VERSION.search(value) else ""


def _set(blueprint: Blueprint, sources: Mapping[str, str]) -> dict[str, Location]:
    return {name: Location(module.file, statement.lineno, None) for module, statement, name, _ in _statements(blueprint, sources)}


def _statements(blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[tuple[Module, ast.stmt, str, str]]:
    """`response.headers["X-Powered-By"] = ...` -> (module, statement, header in small letters, text of its constants)."""
    own = within(blueprint.entry, sources)
    for file, module in parsed(sources).items():
        if file not in own or not any(each in module.text.lower() for each in _NAMES):
            continue
        for node in ast.walk(module.tree):
            match node:
                case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value) if name.lower() in _NAMES:
                    yield module, node, name.lower(), " ".join(str(each.value) for each in ast.walk(value) if isinstance(each, ast.Constant))
