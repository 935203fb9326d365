"""Owns the roles that a function asks for: literals which it compares the caller with."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen.survey.refusals import denials

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.survey.project import Function, Project

_POWER: Final = re.compile(r"^(?:is_?)?(admin|superuser|staff|moderator|manager|owner|superadmin)$", re.IGNORECASE)
_ROLE: Final = re.compile(r"roles?$|account_type$|user_type$|permissions?$|scopes?$", re.IGNORECASE)


def roles_in(project: Project, file: str, function: Function) -> tuple[str, ...]:
    """Role literals that a function compares the caller with."""
    tests = [
        each.test
        for each in ast.walk(function)
        if isinstance(each, ast.If | ast.IfExp | ast.Assert) and (isinstance(each, ast.IfExp) or _denying(each))
    ]
    return roles_of(project, file, tests)


def _denying(node: ast.If | ast.Assert) -> bool:
    return isinstance(node, ast.Assert) or bool(denials(node.body)) or bool(denials(node.orelse))


def roles_of(project: Project, file: str, tests: list[ast.expr]) -> tuple[str, ...]:
    """Role literals in these tests."""
    found: list[str] = []
    for test in tests:
        compared: set[int] = set()
        for node in ast.walk(test):
            if isinstance(node, ast.Compare):
                sides = (node.left, *node.comparators)
                if any(_names_role(each) for each in sides):
                    for each in sides:
                        value = project.fold(each, file)
                        found += [
                            one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)
                        ]
                compared.update(id(each) for each in ast.walk(node))
            elif isinstance(node, ast.Attribute) and (power := _POWER.match(node.attr)) and id(node) not in compared:
                found.append(power[1].lower())
            elif (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in compared
                and (power := _POWER.match(node.value))
            ):  # fmt: skip
                found.append(power[1].lower())
    return unique(found)


def _names_role(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr="value" | "name", value=inner):
            return _names_role(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            return bool(_ROLE.search(name))
        case ast.Call(func=ast.Attribute(attr="get", value=_), args=[ast.Constant(value=str() as name), *_]):
            return bool(_ROLE.search(name))
        case ast.Call(func=ast.Attribute(attr="lower" | "upper", value=inner)):
            return _names_role(inner)
    return False


def unique(values: Iterable[str]) -> tuple[str, ...]:
    """Each value once, in the order of its first appearance."""
    return tuple(dict.fromkeys(values))
