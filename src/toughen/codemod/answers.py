"""Owns answers to exceptions: one statement handled, casts that raise, HTTP errors that broad handlers swallow."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import follow, layout, use, wrap
from toughen.codemod.module import Module, Span, dotted, halt, scope, scope_of
from toughen.codemod.refusals import Refusal, refusals, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator


@word
def answer(
    module: Module, line: int, exception: str, status: int, text: str, *, imports: tuple[str, ...] = ()
) -> Draft:
    """Answer an exception of the one statement at `line` with a refusal in the file's style.

    `exception` is what follows `except` (`(TypeError, ValueError)`). Shapes: a simple statement with its line to
    itself is wrapped in try/except; where it stands directly in a `try` whose broad handler would swallow a raised
    refusal, a handler goes in front of the broad one. Refuses compound statements, and statements already so wrapped.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    if hasattr(statement, "body"):
        halt(f"the statement at {module.file}:{line} is a compound one and cannot be wrapped alone")
    refusal = refuse(module, function, status, text)
    draft = _handled(module, statement, exception, refusal)
    for needed in imports:
        draft += use(module, needed)
    return draft + refusal.needs(module)


def _handled(module: Module, statement: ast.stmt, exception: str, refusal: Refusal) -> Draft:
    wanted = syntax.expression(exception)
    names = {dotted(item) for item in (wanted.elts if isinstance(wanted, ast.Tuple) else [wanted])}
    for attempt in attempts(module, statement):
        caught = {name for handler in attempt.handlers for name in caught_names(handler)}
        if names <= caught or any(refusals(module, handler) for handler in _broad(attempt)):
            halt(f"{exception} is already handled around {module.file}:{statement.lineno}")
    broad = swallowing(module, statement) if refusal.raises else None
    if broad is not None:
        lines = f"except {exception}:\n" + refusal.indented
        return put_handler(module, broad, lines)
    return wrap(module, [statement], "try:", f"except {exception}:\n" + refusal.indented)


def put_handler(module: Module, handler: ast.ExceptHandler, lines: str) -> Draft:
    """Put a handler in front of another one of the same `try`."""
    at = module.span(handler).start
    start = module.line_start(at)
    if module.cut(Span(start, at)).strip():
        halt(f"the handler at {module.file}:{handler.lineno} shares its line")
    return Draft(module, (Edit(start, start, layout(module, lines, module.indent(handler)) + module.newline),))


def attempts(module: Module, node: ast.AST) -> Iterator[ast.Try]:
    """The `try` statements whose body holds a node, innermost first, within its function."""
    child = node
    for above in module.ancestors(node):
        if isinstance(above, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            return
        if isinstance(above, ast.Try) and any(item is child for item in above.body):
            yield above
        child = above


def caught_names(handler: ast.ExceptHandler) -> set[str]:
    """Names of the exceptions that a handler catches; `BaseException` for a bare one."""
    if handler.type is None:
        return {"BaseException"}
    return {dotted(item) for item in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])}


def swallowing(module: Module, node: ast.AST) -> ast.ExceptHandler | None:
    """The broad handler that would catch an HTTPException raised here; None where one lets it pass or there is none."""
    for attempt in attempts(module, node):
        for handler in attempt.handlers:
            names = {name.rpartition(".")[2] for name in caught_names(handler)}
            if "HTTPException" in names:
                return None
            if names & {"Exception", "BaseException"}:
                return handler
    return None


@word
def cast(module: Module, line: int, text: str = "Invalid value", status: int = 400) -> Draft:
    """Answer a cast that raises (`float(data.get(...))`, `int(request.args["n"])`) with 400 in the file's style.

    The one simple statement at `line` is wrapped in `try ... except (TypeError, ValueError)`, with KeyError where it
    subscribes a key. Refuses statements
    without a call of int, float, Decimal, UUID or a date's parser, and those that `answer` refuses.
    """
    statement = module.statement(line)
    casts = {"int", "float", "complex", "Decimal", "UUID", "fromisoformat", "strptime", "bool", "Fraction"}
    called = {dotted(item.func).rpartition(".")[2] for item in scope(statement) if isinstance(item, ast.Call)}
    if not called & casts:
        halt(f"nothing is cast at {module.file}:{line}")
    missing = any(isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Constant) and isinstance(item.slice.value, str) for item in scope(statement))
    names = [*(["ArithmeticError"] if "Decimal" in called else []), *(["KeyError"] if missing else []), "TypeError", "ValueError"]
    errors = f"({', '.join(names)})"
    function = module.enclosing(statement) or halt(f"no function holds line {line} of {module.file}")
    if hasattr(statement, "body"):
        halt(f"the cast at {module.file}:{line} is part of a compound statement")
    refusal = refuse(module, function, status, text)
    return _handled(module, statement, errors, refusal) + refusal.needs(module)


@word
def reraise(module: Module, line: int) -> Draft:
    """Let HTTP errors pass the broad handlers of the function at `line`: `except HTTPException: raise` first.

    Shapes: `except Exception`, `except BaseException` and bare `except` of any `try` in the function. Refuses
    functions without one, files of an unknown framework, and files in which `HTTPException` means something else.
    """
    function = module.function_at(line)
    found = [handler for node in scope_of(function) if isinstance(node, ast.Try) for handler in _broad(node)]
    if not found:
        halt(f"no broad handler of {function.name} swallows an HTTPException")
    roots = {origin.partition(".")[0] for origin in module.imports.values()}
    origin = next((known for root, known in _HTTP_ERRORS.items() if root in roots), "")
    if not origin:
        halt(f"{module.file} is of an unknown framework")
    draft = use(module, f"from {origin} import HTTPException")
    for handler in found:
        draft += put_handler(module, handler, "except HTTPException:\n    raise")
    return draft


def keeps_http_errors(module: Module) -> bool:
    """Whether a handler of the application for every exception answers Flask's own 4xx by itself, as 500.

    It does not where 4xx have a handler of their own (Flask takes the most specific one), or where it lets them pass.
    """
    found = {name.rpartition(".")[2] for name, _ in _registered(module)}
    if "Exception" not in found or found & {"HTTPException", "BadRequest", "400"}:
        return False
    bodies = [ast.unparse(function) for name, function in _registered(module) if name == "Exception"]
    return not any(re.search(r"HTTPException|get_response|\.code\b", text) for text in bodies)


def _registered(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """(exception or status, function) of what is registered to answer errors of the application."""
    for function in module.functions:
        for each in function.decorator_list:
            if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"errorhandler", "app_errorhandler"} and each.args:
                yield ast.unparse(each.args[0]), function
    for call in ast.walk(module.tree):
        match call:
            case ast.Call(func=ast.Attribute(attr="register_error_handler"), args=[kind, ast.Name(id=name)]):
                yield from ((ast.unparse(kind), each) for each in module.functions if each.name == name)


_OVERFLOW = """
@{app}.errorhandler(OverflowError)
def refuse_large_number(error):
    return jsonify({{{key}: {text}}}), 400
"""


@word
def overflow(module: Module) -> Draft:
    """Let Flask answer 400 to integers that the database's driver does not take, wherever they are read.

    Shapes: `app = Flask(...)` at module level or in a factory; the handler follows it. Refuses files that handle
    OverflowError already or create no application or several.
    """
    if re.search(r"errorhandler\(\s*(OverflowError|Exception)\b", module.text):
        halt("OverflowError is handled already")
    found = [item for item in ast.walk(module.tree) if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call) and module.resolve(item.value.func) == "flask.Flask"]
    if len(found) != 1 or not isinstance(found[0].targets[0], ast.Name):
        halt(f"{module.file} creates {len(found)} Flask applications")
    lines = _OVERFLOW.format(app=found[0].targets[0].id, key=module.literal("error"), text=module.literal("A number is too large"))
    return follow(module, found[0], lines) + use(module, "from flask import jsonify")


_HTTP_ERRORS = {"fastapi": "fastapi", "starlette": "starlette.exceptions", "flask": "werkzeug.exceptions"}


def _broad(node: ast.Try) -> Iterator[ast.ExceptHandler]:
    for handler in node.handlers:
        names = {name.rpartition(".")[2] for name in caught_names(handler)}
        if "HTTPException" in names:
            return
        if names & {"Exception", "BaseException"}:
            yield handler
            return
