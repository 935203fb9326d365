"""Owns what answers give away of the machinery behind them: tracebacks, paths, statements, objects, connection strings and keys; and its repair."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from toughen.codemod import patch
from toughen.codemod.errors import concealed, leaks
from toughen.handling import handlers, parsed
from toughen.model.finding import Suspicion
from toughen.model.patch import FileChange, Patch, Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment, Fault, Trial
from toughen.outages import dependencies
from toughen.recovery import fallen_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange
    from toughen.rule import Target

HAPPENS = {
    "refused": "a service refuses the connection", "error": "a service answers 500", "malformed": "a service answers a page instead of JSON", "locked": "the database is locked",
    "full": "the database has no room left", "serialization": "the database cannot keep two requests apart", "lost": "the database breaks off the connection", "down": "nobody answers where the database is",
}
_PATH = "a path of the server"
DATABASE = "what the database said"
_SIGNS = (
    ("a traceback", re.compile(r'Traceback \(most recent call last\)|File \\?"[^"\n]+\.py\\?", line \d+')),
    (_PATH, re.compile(r"(?<![\w:/.])/(?:[\w.-]+/)+[\w-]+\.py\b")),
    ("a connection string", re.compile(r"\b(?:postgres(?:ql)?|mysql|mongodb|redis|amqp|mssql)(?:\+\w+)?://[^\s\"'/]+:[^\s\"'/]+@[^\s\"']+")),
    ("the address of a server inside", re.compile(r"connection to server (?:at|on) \W|could not translate host name \W|Can't connect to (?:MySQL )?server on ")),
    ("an object of the program", re.compile(r"<[\w.]+ object at 0x[0-9a-fA-F]+>")),
    ("the program's own exception", re.compile(r"\(?\b[a-z_]\w*(?:\.[a-z_]\w*)*\.[A-Z]\w*(?:Error|Exception)\b\)?[: ].{3,}")),
)
_KEY = re.compile(r"key|token|secret|appid|app_id|passw|auth|signature", re.IGNORECASE)
_SERVER = ("serialization", "full", "lost", "down")
"""What befalls the database where it is a server; before the first statement where nobody answers."""
_SHORTEST, _TELLING, _SHOWN, _FILES = 4, 24, 160, 60


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """Each service that the honest request calls fails in several ways; so does the database, at its first write."""
    honest = target.honest(route.id)
    if honest is None:
        return
    calls, grants = journey.calls, journey.grants
    detail = (("files", "\n".join(sorted(target.texts())[:_FILES])),)
    for each in dependencies(honest.last):
        trials = {"control": Trial(calls, grants)}
        trials |= {kind: Trial(calls, grants, traced=True, fault=Fault(kind, each.number, 0, each.host)) for kind in ("refused", "error", "malformed")}
        place = each.location
        called = (("host", each.host), ("call", f"{place.file}:{place.line}" if place else ""), ("function", place.function or "" if place else ""))
        yield Experiment(trials, f"{each.host} fails", (*detail, *called))
    write = next((index for index, each in enumerate(honest.last.statements) if each.writes), None)
    kinds = ("locked", "full") if target.blueprint.database == "sqlite" else _SERVER
    if write is not None and target.blueprint.database is not None:
        trials = {"control": Trial(calls, grants)}
        trials |= {kind: Trial(calls, grants, fault=Fault(kind, 0 if kind == "down" else write)) for kind in kinds}
        yield Experiment(trials, "the database fails", detail)


def given_away(exchange: Exchange, control: Exchange, files: str) -> tuple[str, str] | None:
    """(what it is, the piece of the answer that holds it); None where the answer holds nothing that the honest one, or the request, does not hold as well."""
    response = exchange.response
    if response is None or _is_debug_page(exchange):
        return None
    body = response.body.replace("\\n", "\n").replace('\\"', '"')
    known = f"{control.response.body if control.response else ''} {exchange.target} {unquote(exchange.target)} {exchange.request_body}"
    for name, value in _keys(control):
        if value in body and value not in known:
            return f"the key that it calls the service with ({name})", _around(body, body.index(value))
    flat = " ".join(body.split())
    for each in exchange.statements:
        text = " ".join(each.text.split())
        if len(text) >= _TELLING and text[:80] in flat and text[:80] not in known:
            return "the text of a SQL statement", _around(flat, flat.index(text[:80]))
    said = next((each for each in _said(exchange) if each in flat and each not in known), None)
    for what, pattern in _SIGNS:
        match = pattern.search(body)
        if what == _PATH and match is not None and not re.search(r"/(?:site-packages|python3)/", match.group()) and not match.group().endswith(tuple(f"/{each}" for each in files.split("\n") if each)):
            continue
        if match is not None and match.group() not in known:
            return what, _around(body, match.start())
    return (DATABASE, _around(flat, flat.index(said))) if said is not None else None


def _said(exchange: Exchange) -> Iterator[str]:
    """What a database server answered to statements that failed, each the first line; SQLite's own words tell nobody anything."""
    for each in exchange.statements:
        kind, _, words = (each.error or "").partition(": ")
        line = " ".join(words.split("\n", 1)[0].split())
        if len(line) >= _TELLING and not kind.startswith("sqlite3."):
            yield line


def _is_debug_page(exchange: Exchange) -> bool:
    """The framework's own page about an exception, which it shows in debug mode."""
    return exchange.failure is not None and exchange.response is not None and not exchange.response.is_json and "Traceback" in exchange.response.body


def _keys(control: Exchange) -> Iterator[tuple[str, str]]:
    """Keys that stand in the addresses that the honest request calls."""
    for each in control.outgoing:
        parts = each.request.split(" ")
        for name, value in parse_qsl(urlsplit(parts[1]).query) if len(parts) > 1 and parts[1].startswith("/") else ():
            if _KEY.search(name) and len(value) >= _SHORTEST:
                yield name, value


def _around(text: str, at: int) -> str:
    return " ".join(text[max(0, at - 40) : at + _SHOWN].split())


def suspected(blueprint: Blueprint, sources: Mapping[str, str], break_id: str) -> Iterator[Suspicion]:
    """Handlers of exceptions that answer with what the exception says."""
    for handler in handlers(blueprint, sources):
        for place in handler.reach:
            found = [each for each in leaks(place.module, place.node) if isinstance(each, ast.ExceptHandler)]
            if found:
                yield handler.suspicion(break_id, found[0].lineno, "the answer repeats what the exception says", place)
                break
    for file, module in parsed(sources).items():
        for node in leaks(module, module.tree):
            if not isinstance(node, ast.ExceptHandler):
                # It answers for every route: which of them come to it is seen when they fail.
                yield Suspicion(break_id, None, Location(file, node.lineno, module.qualified(node)), "the answer to an exception repeats what it says")


def concealing(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """A constant text where the answer is made; the place that the proof saw first, then those of the route, then those of the application."""
    brief = "Answer a constant text, and write the exception to the log (`logging.exception`)."
    if finding.evidence is not None and finding.evidence.fact("call"):
        for offer in fallen_back(finding, blueprint, sources, malformed=True):
            yield _without_words(offer, finding.route, blueprint, sources)
    place = finding.evidence.location if finding.evidence else None
    modules = parsed(sources)
    spots: list[tuple[str, int]] = [(place.file, place.line)] if place is not None else []
    for handler in handlers(blueprint, sources):
        if handler.route.id == finding.route:
            spots += [(each.module.file, node.lineno) for each in handler.reach for node in leaks(each.module, each.node)]
    spots += [(file, node.lineno) for file, module in modules.items() for node in leaks(module, module.tree) if not isinstance(node, ast.ExceptHandler)]
    reason = "no handler of an exception in the source answers with what the exception says"
    for file, line in dict.fromkeys(spots):
        draft = concealed(modules[file], line) if file in modules else Unmended(reason)
        if not isinstance(draft, Unmended):
            yield patch(finding.id, f"Keep exceptions out of the answers of {finding.route}", draft)
    yield Unmended(reason, brief)


def _without_words(offer: Patch, route: str | None, blueprint: Blueprint, sources: Mapping[str, str]) -> Patch:
    """A patch by which the route goes on without a service, and its answers to what is left to fail hold constant texts."""
    known = {**sources, **{each.file: each.after for each in offer.changes}}
    for _ in range(_FILES):
        spots = [(each.module, node.lineno) for handler in handlers(blueprint, known) if handler.route.id == route for each in handler.reach for node in leaks(each.module, each.node)]
        draft = concealed(*spots[0]) if spots else Unmended("")
        if isinstance(draft, Unmended) or known[draft.module.file] == (text := draft.done()):
            break
        known[draft.module.file] = text
    changes = tuple(FileChange(file, sources.get(file, ""), text) for file, text in known.items() if text != sources.get(file))
    return Patch(offer.finding, changes, offer.summary, offer.note)
