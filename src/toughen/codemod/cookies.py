"""Owns the words that say to which requests a browser adds a cookie."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument, replace
from toughen.codemod.module import dotted, halt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.codemod.module import Module

_STRONG = {"lax", "strict"}


@word
def limited(module: Module, calls: Sequence[ast.Call], value: str, *, keyword: str = "samesite") -> Draft:
    """Give each call that sets a cookie the attribute; refuses where all have a strong one."""
    draft = Draft(module)
    for call in calls:
        given = next((each.value for each in call.keywords if each.arg == keyword), None)
        if isinstance(given, ast.Constant) and str(given.value).lower() in _STRONG:
            continue
        draft += argument(module, call, f"{keyword}={module.literal(value)}") if given is None else replace(module, given, module.literal(value))
    return draft if draft.edits else halt("the cookie has the attribute already")


@word
def configured(module: Module, app: ast.Assign, settings: Mapping[str, str]) -> Draft:
    """Give a Flask application these settings behind the statement that makes it; what the file sets otherwise is changed there."""
    name = dotted(app.targets[0])
    draft, lines = Draft(module), []
    for setting, value in settings.items():
        there = _set(module, setting)
        if there is None:
            lines.append(f"{name}.config[{module.literal(setting)}] = {module.literal(value)}")
        elif isinstance(there, ast.Constant) and str(there.value).lower() in _STRONG:
            continue
        else:
            draft += replace(module, there, module.literal(value))
    if lines:
        draft += after(module, app, "\n".join(lines))
    return draft if draft.edits else halt("the setting is there already")


def _set(module: Module, setting: str) -> ast.expr | None:
    """The value that a file gives to a setting: `app.config["X"] = ...`, `X = ...` of a class, `update(X=...)`."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=key))], value=value) if key == setting:
                return value
            case ast.Assign(targets=[ast.Name(id=key)], value=value) if key == setting:
                return value
            case ast.keyword(arg=key, value=value) if key == setting:
                return value
    return None
