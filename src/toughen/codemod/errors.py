"""Owns answers that repeat what an exception says: the text of the exception goes to the log, a constant one to the client."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import before, replace, use
from toughen.codemod.module import Module, dotted, halt, names_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode

TEXT = "An internal error occurred"
_TRACES = frozenset({"traceback.format_exc", "traceback.format_exception", "traceback.format_tb", "sys.exc_info"})
_TOLD = frozenset({"ValueError", "KeyError", "TypeError", "ValidationError", "HTTPException", "PermissionError"})
"""Exceptions whose words are often the project's own, meant for the client."""


def leaks(module: Module, root: ast.AST) -> list[ast.ExceptHandler | FunctionNode]:
    """The handlers of exceptions below a node that answer with what the exception says; functions that are registered for it, too."""
    found: list[ast.ExceptHandler | FunctionNode] = []
    for node in ast.walk(root):
        match node:
            case ast.ExceptHandler(type=kind):
                names = {dotted(each).rpartition(".")[2] for each in (kind.elts if isinstance(kind, ast.Tuple) else [kind])} if kind is not None else {"Exception"}
                if not names <= _TOLD and list(_told(module, node)):
                    found.append(node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() if _registered(node) and list(_told(module, node)):
                found.append(node)
    return found


def _registered(node: FunctionNode) -> bool:
    """Whether a function answers exceptions of the application; not the framework's own refusals, whose words are meant for the client."""
    for each in node.decorator_list:
        if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"errorhandler", "app_errorhandler", "exception_handler"}:
            names = {dotted(one).rpartition(".")[2] for one in each.args}
            return bool(names) and "" not in names and not names <= {*_TOLD, "RequestValidationError", "StarletteHTTPException"}
    return False


def _caught(node: ast.ExceptHandler | FunctionNode) -> str:
    """The name of the exception."""
    if isinstance(node, ast.ExceptHandler):
        return node.name or ""
    return node.args.args[-1].arg if node.args.args else ""


def _told(module: Module, node: ast.ExceptHandler | FunctionNode) -> Iterator[tuple[ast.stmt, ast.expr]]:
    """(the statement that answers, the outermost expression in it that repeats the exception)."""
    name = _caught(node)
    carried = {name} if name else set()
    for statement in node.body:
        for each in ast.walk(statement):
            if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name) and _repeats(module, each.value, carried):
                carried.add(each.targets[0].id)
            raised = each.exc if isinstance(each, ast.Raise) and isinstance(each.exc, ast.Call) and dotted(each.exc.func).endswith("HTTPException") else None
            answered = each.value if isinstance(each, ast.Return) else raised if isinstance(each, ast.Raise) else each.value if isinstance(each, ast.Expr) and _aborts(each.value) else None
            if isinstance(each, ast.stmt) and answered is not None:
                yield from ((each, found) for found in _repeating(module, answered, carried))


def _aborts(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "abort"


def _repeats(module: Module, node: ast.expr, carried: set[str]) -> bool:
    return bool(names_in(node) & carried) or any(isinstance(each, ast.Call) and module.resolve(each.func) in _TRACES for each in ast.walk(node))


def _repeating(module: Module, node: ast.expr, carried: set[str]) -> Iterator[ast.expr]:
    """The expressions of a text that repeat it: `str(e)`, `f"failed: {e}"`, `"failed: " + str(e)`, `traceback.format_exc()`."""
    match node:
        case ast.JoinedStr() | ast.BinOp() if _repeats(module, node, carried):
            yield node
        case ast.Name(id=name) if name in carried:
            yield node
        case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in carried:
            if attribute not in {"code", "status_code", "errno"}:
                yield node
        case ast.Call(func=function) if module.resolve(function) in _TRACES or (dotted(function) in {"str", "repr"} and _repeats(module, node, carried)):
            yield node
        case ast.Call(func=ast.Attribute(attr="format")) if _repeats(module, node, carried):
            yield node
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield from _repeating(module, child, carried)
                elif isinstance(child, ast.keyword):
                    yield from _repeating(module, child.value, carried)


@word
def concealed(module: Module, line: int) -> Draft:
    """Answer a constant text where the handler of an exception at `line` repeats the exception, and write the exception to the log.

    Shapes: `except ... as e` that returns, raises or aborts with `str(e)`, an f-string, a sum or a traceback; functions that are
    registered for exceptions. Refuses other ones.
    """
    found = [each for each in leaks(module, module.tree) if each.lineno <= line <= (each.end_lineno or each.lineno)]
    if not found:
        halt(f"nothing at {module.file}:{line} answers with what an exception says")
    node = found[-1]
    draft = Draft(module)
    statements: dict[int, ast.stmt] = {}
    for statement, expression in _told(module, node):
        statements[statement.lineno] = statement
        draft += replace(module, expression, module.literal(_constant(expression)))
    logged = any(isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"exception", "error", "critical"} and "log" in dotted(each.func) for each in ast.walk(node))
    if not logged:
        logger = next((name for name in ("logger", "log", "LOGGER") if name in module.globals), "")
        first = min(statements.values(), key=lambda each: each.lineno)
        said = module.literal("Request failed")
        given = f"{logger or 'logging'}.exception({said})" if isinstance(node, ast.ExceptHandler) else f"{logger or 'logging'}.error({said}, exc_info={_caught(node)})"
        draft += before(module, first, given)
        if not logger:
            draft += use(module, "import logging")
    return draft


def _constant(node: ast.expr) -> str:
    """What stands in front of the exception in a text; a text of its own where nothing does."""
    first = node
    while isinstance(first, ast.BinOp):
        first = first.left
    if isinstance(node, ast.JoinedStr) and node.values:
        first = node.values[0]
    said = first.value.strip(" :-(,.\n") if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return said or TEXT
