"""Owns pages that are put together in several steps: the local names that gather markup, and what is added to them."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted, scope_of
from toughen.codemod.statements import single_assignment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode, Module

MARKUP = re.compile(r"<[a-zA-Z/!]")
_ADDS = {"append", "extend", "insert"}
_PAGES = {"make_response", "Response", "HTMLResponse", "Markup", "render_template_string"}


def holds_markup(node: ast.AST) -> bool:
    """Whether an expression holds a literal with tags in it."""
    return any(isinstance(each, ast.Constant) and isinstance(each.value, str) and MARKUP.search(each.value) for each in ast.walk(node))


def added(node: ast.AST) -> tuple[str, ast.expr] | None:
    """(name, what is put into it) for `name = ...`, `name += ...` and `name.append(...)`."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, value
        case ast.AugAssign(target=ast.Name(id=name), op=ast.Add(), value=value):
            return name, value
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attr), args=[*_, value]) if attr in _ADDS:
            return name, value
    return None


@lru_cache(maxsize=256)
def gathered(module: Module, function: FunctionNode) -> frozenset[str]:
    """Local names that markup is put into in more than one step."""
    steps: dict[str, list[ast.expr]] = {}
    for node in scope_of(function):
        found = added(node)
        if found is not None:
            steps.setdefault(found[0], []).append(found[1])
    return frozenset(name for name, values in steps.items() if len(values) > 1 and any(holds_markup(each) or based(module, each) is not None for each in values))


@lru_cache(maxsize=256)
def shown(module: Module, function: FunctionNode) -> frozenset[str]:
    """Those of them that a function returns as a page, and those that become a part of one."""
    names = gathered(module, function)
    found: set[str] = set()
    for node in scope_of(function):
        if isinstance(node, ast.Return) and node.value is not None:
            text = node.value.elts[0] if isinstance(node.value, ast.Tuple) and node.value.elts else node.value
            if not isinstance(text, ast.Call) or dotted(text.func).rpartition(".")[2] in _PAGES | {"join", "format"}:
                found |= _behind(module, node, text) & names
        elif isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in _PAGES:
            found |= set().union(*(_behind(module, node, each) for each in node.args)) & names
    while True:
        inner = {name for node in scope_of(function) if (step := added(node)) is not None and step[0] in found for name in _behind(module, node, step[1])} & names
        if inner <= found:
            return frozenset(found)
        found |= inner


def _behind(module: Module, use: ast.AST, node: ast.expr) -> set[str]:
    """Names that an expression reads, also through local names that are bound once."""
    found = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    for name in list(found):
        once = single_assignment(module, use, name)
        if once is not None:
            found |= {each.id for each in ast.walk(once[1]) if isinstance(each, ast.Name)}
    return found


def is_gathered(module: Module, node: ast.expr, names: frozenset[str]) -> bool:
    """Whether an expression is such a name, or its pieces joined."""
    match node:
        case ast.Name(id=name):
            return name in names
        case ast.Call(func=ast.Attribute(attr="join" | "strip"), args=args):
            return any(is_gathered(module, each, names) for each in (*args, *([node.func.value] if isinstance(node.func, ast.Attribute) else [])))
    return False


def based(module: Module, node: ast.expr) -> str | None:
    """The text of the module's own that an expression fills: `TEMPLATE.format(...)`, `TEMPLATE % ...`, `TEMPLATE.replace(...)`; None for other expressions."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="format" | "replace")) | ast.BinOp(left=value, op=ast.Mod()):
            if isinstance(value, ast.Name):
                return constant(module, node, value.id)
            return based(module, value)
    return None


def constant(module: Module, use: ast.AST, name: str) -> str | None:
    """A text with tags in it that a name of the module, or a local one that is bound once, stands for."""
    once = single_assignment(module, use, name)
    values = [once[1]] if once is not None else [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
    match values:
        case [ast.Constant(value=str() as text)] if MARKUP.search(text):
            return text
    return None


def fillings(node: ast.expr) -> Iterator[ast.expr]:
    """What is put into the text of a `format`, `%` or `replace`, however many of them stand in a row."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="format"), args=args, keywords=keywords):
            yield from fillings(value)
            yield from args
            yield from (each.value for each in keywords)
        case ast.Call(func=ast.Attribute(value=value, attr="replace"), args=[_, new, *_]):
            yield from fillings(value)
            yield new
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            yield from fillings(left)
            yield from right.elts if isinstance(right, ast.Tuple) else right.values if isinstance(right, ast.Dict) else [right]
