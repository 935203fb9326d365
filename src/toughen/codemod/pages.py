"""Owns the word that escapes a value where it becomes part of a page."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import use
from toughen.codemod.module import UnmendableError, halt
from toughen.codemod.sqltext import Char, builds_text, read
from toughen.codemod.statements import single_assignment
from toughen.codemod.texts import filled, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.codemod.module import Module
    from toughen.codemod.sqltext import Hole

_FAR = 3
_MARKUP = {"markupsafe.escape", "flask.escape"}


@word
def escaped(module: Module, node: ast.AST, text: ast.expr, holds: Callable[[ast.expr], bool], is_text: Callable[[ast.expr], bool]) -> Draft:
    """Escape the value where it enters a page that is put together here; other parts stay as they are.

    A part that is put together by itself (behind a local name, or joined of pieces) is followed to where the value enters.
    """
    known = module.imports.get("escape", "")
    draft = Draft(module) if known in _MARKUP else use(module, "from html import escape")
    for hole in _entries(module, node, text, holds):
        value = hole.text if is_text(hole.expression) or known in _MARKUP else f"str({hole.text})"
        # A sum with Markup in it escapes its other parts too.
        call = f"str(escape({value}))" if hole.token is None and known in _MARKUP else f"escape({value})"
        draft += Draft(module, (filled(module, hole, call),))
    return draft


def _entries(module: Module, use_: ast.AST, text: ast.expr, holds: Callable[[ast.expr], bool], depth: int = 0) -> list[Hole]:
    """The holes of a text that take in the value itself."""
    if depth > _FAR:
        halt("the page is put together in too many steps")
    found: list[Hole] = []
    for hole in read(module, origin(module, use_, text)).atoms:
        if isinstance(hole, Char) or not holds(hole.expression):
            continue
        inner = _built(module, use_, hole.expression)
        if inner is not None:
            found += _entries(module, inner[0], inner[1], holds, depth + 1)
        elif hole.plain:
            found.append(hole)
        else:
            halt("the value is formatted before it enters the page")
    return found or halt("the value enters the page elsewhere")


def _built(module: Module, use_: ast.AST, node: ast.expr) -> tuple[ast.AST, ast.expr] | None:
    """The text that a part of a page is put together of, where it is."""
    match node:
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=elt) | ast.ListComp(elt=elt)]) if builds_text(elt):
            return node, elt
        case ast.Name(id=name):
            try:
                return use_, origin(module, use_, node)
            except UnmendableError:
                found = single_assignment(module, use_, name)
                return _built(module, found[0], found[1]) if found is not None else None
    return None
