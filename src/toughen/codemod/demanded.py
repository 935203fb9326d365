"""Owns which keys of a body are known to be there: what the prototype refuses requests without, right where it reads it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.statements import single_assignment

if TYPE_CHECKING:
    from toughen.codemod.module import Module

Keys = dict[str, bool]
"""Keys that are there, True where they hold something too."""


def known_keys(module: Module, name: str, statement: ast.stmt) -> tuple[ast.stmt, Keys]:
    """(the last of the tests of presence that begin with this statement or follow it, the keys that are there behind it)."""
    found: Keys = dict(_demanded(module, name, statement) or {})
    block = module.block(statement)
    for item in block[block.index(statement) + 1 :]:
        keys = _demanded(module, name, item)
        if keys is None and not _is_list(item):
            break
        statement = item if keys is not None else statement
        found = {**found, **(keys or {})}
    return statement, found


def _is_list(item: ast.stmt) -> bool:
    """Whether a statement names a list of texts only: `required = ["a", "b"]`."""
    return isinstance(item, ast.Assign) and isinstance(item.value, ast.List | ast.Tuple | ast.Set) and all(isinstance(each, ast.Constant) for each in item.value.elts)


def _demanded(module: Module, name: str, item: ast.stmt) -> Keys | None:
    """The keys that a statement refuses bodies without; None for what does anything else."""
    match item:
        case ast.If(test=test, body=[*_, ast.Return() | ast.Raise()], orelse=[]):
            parts = test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) else [test]
            found: Keys = {}
            for part in parts:
                keys = _part(module, name, part)
                if keys is None:
                    return None
                found.update(keys)
            return found
        case ast.For(target=ast.Name(id=each), iter=keys, body=[ast.If(test=test, body=[*_, ast.Return() | ast.Raise()], orelse=[])], orelse=[]):
            sure = _lacking(name, test, each)
            return None if sure is None else dict.fromkeys(_texts(module, item, keys), sure)
    return None


def _part(module: Module, name: str, part: ast.expr) -> Keys | None:
    """The keys that are there where one part of a refusing test is false; None where it does more than to ask."""
    match part:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=found)) | ast.Compare(left=ast.Name(id=found), ops=[ast.Is()], comparators=[ast.Constant(value=None)]) if found == name:
            return {}
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id=found), _])) if found == name:
            return {}
        case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id="all"), args=[ast.GeneratorExp(elt=elt, generators=[ast.comprehension(target=ast.Name(id=each), iter=keys, ifs=[])])])):
            sure = _lacking(name, ast.UnaryOp(ast.Not(), elt), each)
        case ast.Call(func=ast.Name(id="any"), args=[ast.GeneratorExp(elt=elt, generators=[ast.comprehension(target=ast.Name(id=each), iter=keys, ifs=[])])]):
            sure = _lacking(name, elt, each)
        case _:
            for key in (each.value for each in ast.walk(part) if isinstance(each, ast.Constant) and isinstance(each.value, str)):
                asks = _lacking(name, part, key)
                if asks is not None:
                    return {key: asks}
            return None
    return None if sure is None else dict.fromkeys(_texts(module, part, keys), sure)


def _lacking(name: str, test: ast.expr, key: str) -> bool | None:
    """True for a test that a key holds nothing, False for one that it is missing; `key` is a text, or the variable that holds one."""
    def asked(node: ast.expr) -> bool:
        return (isinstance(node, ast.Name) and node.id == key) or (isinstance(node, ast.Constant) and node.value == key)

    match test:
        case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[ast.Name(id=found)]) if found == name and asked(left):
            return False
        case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[ast.In()], comparators=[ast.Name(id=found)])) if found == name and asked(left):
            return False
        case (
            ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Attribute(value=ast.Name(id=found), attr="get"), args=[left]))
            | ast.Compare(left=ast.Call(func=ast.Attribute(value=ast.Name(id=found), attr="get"), args=[left]), ops=[ast.Is()], comparators=[ast.Constant(value=None)])
        ) if found == name and asked(left):
            return True
    return None


def _texts(module: Module, use: ast.AST, node: ast.expr) -> list[str]:
    """The texts of a list that stands there, or behind one local name."""
    if isinstance(node, ast.Name):
        found = single_assignment(module, use, node.id)
        node = found[1] if found is not None else node
    return [each.value for each in node.elts if isinstance(each, ast.Constant) and isinstance(each.value, str)] if isinstance(node, ast.List | ast.Tuple | ast.Set) else []
