"""Owns whether the source can do without a variable that it reads: who relies on its value never asks whether it is there."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen import syntax

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_ASKS = (ast.BoolOp, ast.Compare, ast.IfExp, ast.If, ast.While, ast.Assert)
_CONVERSIONS = frozenset({"str", "int", "float", "bytes"})


def relied_on(file: str, line: int, variable: str, texts: dict[str, str]) -> bool:
    """Whether nothing asks for the absence of what `os.getenv("X")` on that line gives: no `if`, `or`, `is None`, here or where its name is used."""
    tree = syntax.tree(texts.get(file, ""))
    call = next((node for node in ast.walk(tree) if _reads(node, line, variable)), None) if tree is not None else None
    if tree is None or call is None:
        return False
    parents = _parents(tree)
    node: ast.AST = call
    while (above := parents.get(node)) is not None:
        if isinstance(above, _ASKS) or (isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.Not)):
            return False
        if isinstance(above, ast.Call) and node is not above.func and not _converts(above):
            return not _is_bool(above)
        if isinstance(above, ast.Assign | ast.AnnAssign):
            names = list(_names(above.targets if isinstance(above, ast.Assign) else [above.target]))
            return bool(names) and not any(_asked(name, texts.values()) for name in names)
        if isinstance(above, ast.stmt | ast.Dict):
            return False
        node = above
    return False


def _reads(node: ast.AST, line: int, variable: str) -> bool:
    match node:
        case ast.Call(args=[ast.Constant(value=value)], keywords=[]):
            return value == variable and node.lineno <= line <= (node.end_lineno or node.lineno)
    return False


@lru_cache(maxsize=8)
def _parents(tree: ast.Module) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def _converts(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in _CONVERSIONS


def _is_bool(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in {"bool", "all", "any"}


def _names(targets: Iterable[ast.expr]) -> Iterator[str]:
    for each in targets:
        if isinstance(each, ast.Name):
            yield each.id
        elif isinstance(each, ast.Attribute):
            yield each.attr


def _asked(name: str, texts: Iterable[str]) -> bool:
    """Whether some line asks whether that name holds anything; a comparison with a value does not."""
    own = rf"(?:\w+\.)*{re.escape(name)}\b"
    asks = re.compile(rf"\b(?:if|elif|while|assert|not|and|or)\s+\(?{own}(?!\s*[.\[(=<>!])|\b{re.escape(name)}\s+(?:or|and|is|if)\b|\bbool\({own}\)|\b{re.escape(name)}\s*[=!]=\s*None|\b(?:all|any)\([^)\n]*{own}")
    return any(name in text and asks.search(text) for text in texts)
