"""Owns texts that the source puts together from literals and values: where one comes from, and how a value in it is exchanged."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Edit
from toughen.codemod.module import halt
from toughen.codemod.sqltext import Char, Hole, builds_text
from toughen.codemod.statements import single_assignment

if TYPE_CHECKING:
    from toughen.codemod.module import Module
    from toughen.codemod.sqltext import Atom

_FAR = 4


def origin(module: Module, use: ast.AST, node: ast.expr) -> ast.expr:
    """The expression that puts a text together, behind local names that are bound once. Refuses what is not put together here."""
    for _ in range(_FAR):
        if builds_text(node):
            return node
        found = single_assignment(module, use, node.id) if isinstance(node, ast.Name) else None
        if found is None:
            break
        use, node = found
    return halt("the text is not put together in this function")


def filled(module: Module, hole: Hole, text: str) -> Edit:
    """Another value in the place of a hole: in an f-string between its braces, else where the value stands."""
    if hole.token is None:
        return Edit(hole.start, hole.end, text)
    if "f" in hole.token.prefix.lower():
        shown = module.data[hole.start : hole.end].decode("utf-8", "surrogatepass")
        at = shown.find(hole.text)
        if at < 0:
            halt("a hole of the f-string cannot be read")
        return Edit(hole.start, hole.end, shown[:at] + text + shown[at + len(hole.text) :])
    span = module.span(hole.expression)
    return Edit(span.start, span.end, text)


def once_read(module: Module, use: ast.AST, name: str) -> bool:
    """Whether a function reads a local name at one place only."""
    function = module.enclosing(use)
    return function is not None and sum(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load) for each in ast.walk(function)) == 1


def spelled(module: Module, atoms: list[Atom]) -> str:
    """A stretch of a text as an expression of its own: a literal, a value alone, or an f-string of both."""
    holes = [each for each in atoms if isinstance(each, Hole)]
    if len(atoms) == 1 and holes:
        return holes[0].text
    plain = "".join(each.value if isinstance(each, Char) else "\0" for each in atoms)
    if not holes:
        return module.literal(plain)
    pieces = module.literal(plain.replace("{", "{{").replace("}", "}}"))
    for each in holes:
        if pieces[0] in each.text or not each.plain:
            halt("the text around the value cannot be written again")
        pieces = pieces.replace("\0", "{" + each.text + "}", 1)
    return "f" + pieces
