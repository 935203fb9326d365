"""Owns where a source takes an error and says nothing of it: quiet except clauses and error handlers, what they stand around, and the line that breaks the silence."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, patch
from toughen.codemod.mechanics import before, replace, use
from toughen.codemod.module import FUNCTIONS, Module, UnmendableError, dotted, halt, scope
from toughen.handling import Place, called, parsed, within
from toughen.model.patch import Patch, Unmended
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import FunctionNode
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.trace import Exchange

_DEEPEST = 3
_TELLS = re.compile(r"log|warn|print|capture|sentry|notif|report|track|alert|rollbar|bugsnag|audit|metric|counter|traceback|exc_info|stderr|stdout|record", re.IGNORECASE)
"""Words of what tells somebody of an error: a clause that has one is left alone."""
_HARMLESS = {"str", "repr", "type", "format", "isinstance", "getattr", "hasattr", "jsonify", "dict", "HTTPException", "JSONResponse", "abort", "make_response", "flash", "render_template", "Response"}
"""What may be handed an exception and tells nobody but the client."""
_ANSWERS = re.compile(r"HTTPException$|Abort$|^abort$|Response$")
_TRACKERS = {"airbrake", "appsignal", "bugsnag", "ddtrace", "elasticapm", "honeybadger", "logfire", "newrelic", "opentelemetry", "raygun4py", "rollbar", "scout_apm", "sentry_sdk"}
"""Packages that hook themselves into a framework and may hear of errors that its handlers answer."""
_REGISTERS = {"errorhandler", "app_errorhandler", "exception_handler"}
_EXPECTED = re.compile(r"^(4\d\d|NotFound|HTTPException|RequestValidationError|ValidationError|StarletteHTTPException|BadRequest|Unauthorized|Forbidden|\w*RateLimit\w*)$")
_BRIEF = "Log the exception where it is caught (`logger.exception(...)`), and go on answering as before."


@dataclass(frozen=True)
class Silence:
    """A place that takes an error and tells nobody of it."""

    module: Module
    owner: FunctionNode
    node: ast.ExceptHandler | FunctionNode
    number: int
    """Which of the function's except clauses it is, -1 for a function that is an error handler itself."""

    @property
    def location(self) -> Location:
        """Where it stands."""
        return Location(self.module.file, self.node.lineno, self.module.qualified(self.owner))

    @property
    def key(self) -> str:
        """What tells it from others: the function, and which of several clauses it is."""
        return self.module.qualified(self.owner) + (f" {self.number + 1}" if self.number > 0 else "")

    @property
    def lines(self) -> range:
        """Lines of what it does."""
        return range(self.node.body[0].lineno, (self.node.body[-1].end_lineno or self.node.body[-1].lineno) + 1)


def silences(blueprint: Blueprint, sources: Mapping[str, str]) -> list[Silence]:
    """All of them in the files that the application is made of."""
    near = within(blueprint.entry, sources)
    return [each for file, module in parsed(sources).items() if file in near for each in _of(module)]


def tracker(blueprint: Blueprint, sources: Mapping[str, str]) -> str:
    """The package by which the application may tell somebody of errors without a word in the clause, "" where it imports none."""
    near = within(blueprint.entry, sources)
    heads = {origin.partition(".")[0] for file, module in parsed(sources).items() if file in near for origin in module.imports.values()}
    return min(heads & _TRACKERS, default="")


@lru_cache(maxsize=512)
def _of(module: Module) -> tuple[Silence, ...]:
    return tuple(_found(module))


def _found(module: Module) -> Iterator[Silence]:
    for function in module.functions:
        if _takes_errors(function) and _quiet(function.body, (function.args.args or [ast.arg("")])[-1].arg):
            yield Silence(module, function, function, -1)
        clauses = clauses_of(module, function)
        for number, clause in enumerate(clauses):
            if _quiet(clause.body, clause.name or ""):
                yield Silence(module, function, clause, number)


def clauses_of(module: Module, function: FunctionNode) -> list[ast.ExceptHandler]:
    """The except clauses of a function's own body, in the order of the source."""
    found = [each for each in ast.walk(function) if isinstance(each, ast.ExceptHandler) and module.enclosing(each) is function]
    return sorted(found, key=lambda each: each.lineno)


def _takes_errors(function: FunctionNode) -> bool:
    """Whether a function is registered to answer errors that nobody expects."""
    for each in function.decorator_list:
        if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in _REGISTERS and each.args:
            what = each.args[0]
            named = str(what.value) if isinstance(what, ast.Constant) else dotted(what).rpartition(".")[2]
            return bool(named) and _EXPECTED.match(named) is None
    return False


def _quiet(body: list[ast.stmt], name: str) -> bool:
    """Whether statements neither tell anybody of the exception, nor raise it again, nor hand it to somebody."""
    for statement in body:
        for node in scope(statement):
            match node:
                case ast.Raise(exc=None):
                    return False
                case ast.Raise(exc=raised) if raised is not None:
                    made = raised.func if isinstance(raised, ast.Call) else raised
                    if _ANSWERS.search(dotted(made).rpartition(".")[2]) is None:
                        return False
                case ast.Call(func=func, args=arguments, keywords=keywords):
                    last = dotted(func).rpartition(".")[2]
                    given = [*arguments, *(each.value for each in keywords)]
                    handed = name and any(isinstance(each, ast.Name) and each.id == name for each in given)
                    if _TELLS.search(dotted(func)) or (handed and last not in _HARMLESS):
                        return False
    return bool(body)


def around(silence: Silence, sources: Mapping[str, str]) -> list[tuple[str, range]] | None:
    """(file, lines) of what runs under a clause: its `try`, and the project's functions that are called there; None where that is whatever is handed to it."""
    module = silence.module
    block = module.parent(silence.node)
    if silence.number < 0 or not isinstance(block, ast.Try):
        return None
    project = tuple(parsed(sources).values())
    arguments = {each.arg for each in ast.walk(silence.owner.args) if isinstance(each, ast.arg)}
    outer = {each.arg for above in module.ancestors(silence.owner) if isinstance(above, FUNCTIONS) for each in ast.walk(above.args) if isinstance(each, ast.arg)}
    calls = [each for statement in block.body for each in ast.walk(statement) if isinstance(each, ast.Call)]
    if any(isinstance(each.func, ast.Name) and each.func.id in arguments | outer for each in calls):
        return None
    found = [(module.file, range(block.body[0].lineno, (block.body[-1].end_lineno or 0) + 1))]
    level = [place for each in calls if (place := called(Place(module, silence.owner), each, project)) is not None]
    seen: set[int] = set()
    for _ in range(_DEEPEST):
        new = [each for each in level if id(each.node) not in seen]
        seen |= {id(each.node) for each in new}
        found += [(each.module.file, range(each.node.lineno, (each.node.end_lineno or 0) + 1)) for each in new]
        level = [inner for each in new for call in ast.walk(each.node) if isinstance(call, ast.Call) and (inner := called(each, call, project)) is not None]
    return found


def met(silence: Silence, exchange: Exchange, sources: Mapping[str, str]) -> tuple[str, int] | None:
    """What an honest request does under a clause that can fail: (host, number of its connection), or ("", number of the statement)."""
    spans = around(silence, sources)

    def under(place: Location | None) -> bool:
        return spans is None or (place is not None and any(place.file == file and place.line in lines for file, lines in spans))

    counted: dict[str, int] = {}
    for each in exchange.outgoing:
        number = counted[each.host] = counted.get(each.host, -1) + 1
        if under(each.location):
            return each.host, number
    return next((("", index) for index, each in enumerate(exchange.statements) if each.verb not in {"commit", "rollback", "begin"} and under(each.location)), None)


def broken(finding: Finding, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
    """The clause with a line that logs what it caught."""
    evidence = finding.evidence
    module = parsed(sources).get(evidence.location.file) if evidence is not None and evidence.location is not None else None
    if evidence is None or module is None:
        yield Unmended("the place is not in the project's own source", _BRIEF)
        return
    try:
        function = module.function(evidence.fact("function"))
        number = int(evidence.fact("number"))
        clauses = clauses_of(module, function)
        if number >= len(clauses):
            halt("the clause is not there any more")
        yield patch(finding.id, f"Log what {function.name} catches", _logged(module, function, clauses[number] if number >= 0 else function))
    except UnmendableError as error:
        yield Unmended(error.message, _BRIEF)


def _logged(module: Module, function: FunctionNode, node: ast.ExceptHandler | FunctionNode) -> Draft:
    name = node.name or "" if isinstance(node, ast.ExceptHandler) else (node.args.args or [ast.arg("")])[-1].arg
    if not _quiet(node.body, name):
        halt("what is caught there is told already")
    logger, draft = _logger(module)
    said = module.literal(f"{function.name} failed")
    line = f"{logger}.exception({said})" if isinstance(node, ast.ExceptHandler) else f"{logger}.error({said}, exc_info={name or True})"
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1:
        first = node.body[1]
    if isinstance(first, ast.Pass) and len(node.body) == 1:
        return draft + replace(module, first, line)
    return draft + before(module, first, line)


def _logger(module: Module) -> tuple[str, Draft]:
    """The logger that the file has, else a new one as the standard library has it."""
    for statement in module.tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if re.search(r"(^|\.)get_?logger$", dotted(func), re.IGNORECASE):
                return name, Draft(module)
    if module.imports.get("logger", "") == "loguru.logger":
        return "logger", Draft(module)
    for known in ("logger", "log"):
        # Another file's, which this one imports.
        if known in module.imports:
            return known, Draft(module)
    name = next((each for each in ("logger", "log", "_logger") if each not in module.globals), None) or halt(f"{module.file} has other things of the names that a logger would have")
    last = next((each for each in reversed(module.tree.body) if isinstance(each, ast.Import | ast.ImportFrom)), None)
    needs = use(module, "import logging")
    if last is None:
        halt(f"{module.file} imports nothing")
    return name, needs + _behind(module, name)


def _behind(module: Module, name: str) -> Draft:
    """The statement that makes a logger, in front of the first one that is no import and no docstring."""
    body = [each for each in module.tree.body if not isinstance(each, ast.Import | ast.ImportFrom) and not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
    head = max((each.end_lineno or 0 for each in module.tree.body[: _heads(module)]), default=0)
    first = next((each for each in body if each.lineno > head), None) or halt(f"{module.file} holds imports alone")
    return before(module, first, f"{name} = logging.getLogger(__name__)" + ("\n" if not isinstance(first, ast.Assign) else ""))


def _heads(module: Module) -> int:
    """How many statements make up the head of a file: its docstring and the imports behind it."""
    count = 0
    for each in module.tree.body:
        if not isinstance(each, ast.Import | ast.ImportFrom | ast.Expr):
            break
        count += 1
    return count
