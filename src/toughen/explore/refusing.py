"""Owns reading which branch of the source refused a request, from the lines that it ran."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.trace import Exchange

_MOST = 4


@dataclass(frozen=True, slots=True)
class Guarding:
    """A branch that refused: its test, and whether the refusal is its body or its `else`."""

    test: ast.expr
    negated: bool
    text: str
    """Source of the test."""
    said: str
    """Constant strings of the refusal."""
    function: ast.AST | None


def refusals(sources: Mapping[str, str], traced: Exchange) -> list[Guarding]:
    """The branch around the last line, those that were passed by before it, then every other one that was left early, the latest first."""
    place = traced.last_line
    found: list[Guarding] = []
    if place is not None and place.file in sources:
        innermost = guarding(sources[place.file], place.line)
        found += [innermost] if innermost is not None else list(_passed_by(sources[place.file], place.line))
    for file, lines in reversed(traced.lines):
        if file in sources:
            found += _left_early(sources[file], lines)
    seen: dict[str, Guarding] = {}
    for each in found:
        seen.setdefault(f"{each.text} {each.negated}", each)
    return list(seen.values())[:_MOST]


def guarding(text: str, line: int) -> Guarding | None:
    """The innermost branch around the last executed line (or that line's own test) which leaves the function."""
    function = _function(text, line)
    if function is None:
        return None
    best: tuple[int, Guarding] | None = None
    for node in ast.walk(function):
        if isinstance(node, ast.If):
            for suite, negated in ((node.body, False), (node.orelse, True)):
                if suite and suite[0].lineno <= line <= (suite[-1].end_lineno or suite[-1].lineno):
                    size = (suite[-1].end_lineno or 0) - suite[0].lineno
                    if (best is None or size <= best[0]) and _leaves(suite):
                        best = (size, _guarding(node, suite, negated, function))
        elif isinstance(node, ast.Assert) and node.lineno <= line <= (node.end_lineno or node.lineno):
            best = (0, Guarding(node.test, negated=True, text=ast.unparse(node.test), said="", function=function))
    return best[1] if best else None


def _guarding(node: ast.If, suite: list[ast.stmt], negated: bool, function: ast.AST) -> Guarding:  # noqa: FBT001 - which of the two suites
    return Guarding(node.test, negated, ast.unparse(node.test), _strings(suite), function)


def _function(text: str, line: int) -> ast.AST | None:
    """The innermost function around a line; the module where there is none; None where the text does not parse."""
    tree = syntax.tree(text)
    if tree is None:
        return None
    around = [node for node in _landmarks(text)[0] if node.lineno <= line <= (node.end_lineno or node.lineno)]
    return max(around, key=lambda node: node.lineno) if around else tree


@lru_cache(maxsize=256)
def _landmarks(text: str) -> tuple[tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...], tuple[ast.If, ...]]:
    """All functions and all branches of a text that parses."""
    nodes = list(ast.walk(syntax.tree(text) or ast.Module([], [])))
    return tuple(node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)), tuple(node for node in nodes if isinstance(node, ast.If))


def _passed_by(text: str, line: int) -> Iterator[Guarding]:
    """Where the refusal is what is left at the end: the branches before it that would have returned, the nearest first."""
    function = _function(text, line)
    if function is None or isinstance(function, ast.Module):
        return
    before = [node for node in ast.walk(function) if isinstance(node, ast.If) and (node.end_lineno or node.lineno) < line and _leaves(node.body)]
    for node in sorted(before, key=lambda node: -node.lineno)[:2]:
        yield _guarding(node, node.body, True, function)  # noqa: FBT003


def _left_early(text: str, lines: tuple[int, ...]) -> list[Guarding]:
    """Branches whose body ran and left its function, the one that ran last first."""
    tree = syntax.tree(text)
    if tree is None:
        return []
    order = {line: number for number, line in enumerate(lines)}
    found = [
        (order[node.body[0].lineno], _guarding(node, node.body, False, tree))  # noqa: FBT003
        for node in _landmarks(text)[1] if node.body[0].lineno in order and _leaves(node.body)
    ]
    return [each for _, each in sorted(found, key=lambda item: -item[0])]


def _leaves(suite: list[ast.stmt]) -> bool:
    for statement in suite:
        for node in ast.walk(statement):
            if isinstance(node, ast.Return | ast.Raise):
                return True
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in {"abort", "redirect"}:
                return True
    return False


def _strings(suite: list[ast.stmt]) -> str:
    return " ".join(
        node.value for statement in suite for node in ast.walk(statement) if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )[:300]


def comparisons(branch: Guarding) -> Iterator[tuple[ast.expr, ast.cmpop, ast.expr]]:
    """(left, operator, right) of each comparison in its test."""
    for node in ast.walk(branch.test):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield node.left, node.ops[0], node.comparators[0]


def tail(node: ast.expr) -> str:
    """The last name of `user.balance`, `card["is_frozen"]`, `data.get("pin")`, `amount`."""
    match node:
        case ast.Attribute(attr=attr):
            return attr
        case ast.Subscript(slice=ast.Constant(value=str() as key)):
            return key
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as key), *_]):
            return key
        case ast.Call(args=[inner, *_]):
            return tail(inner)
        case ast.Call(func=ast.Attribute(value=inner)):
            # `name.strip()`
            return tail(inner)
        case ast.Name(id=name):
            return name
        case ast.BinOp(left=left):
            return tail(left)
    return ""
