"""Owns the words that keep a path below its folder, and a file's name free of one."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, before, replace, use
from toughen.codemod.module import dotted, halt
from toughen.codemod.refusals import declined
from toughen.codemod.sqltext import Char, builds_text, read
from toughen.codemod.statements import single_assignment
from toughen.codemod.texts import spelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.codemod.module import Module

_WRAPPERS = {"abspath", "realpath", "normpath", "str", "Path", "fspath", "expanduser", "PurePath", "resolve", "absolute"}
_FAR = 5


@word
def kept(module: Module, node: ast.AST, risky: ast.expr, holds: Callable[[ast.expr], bool], status: int, text: str) -> Draft:
    """Refuse a path that leads out of the folder that it is put together with, before it is used.

    `holds` says of an expression whether it takes in the value. Shapes: `os.path.join(FOLDER, name)`, `FOLDER / name`,
    f-strings and sums that begin with a folder; inline or behind a local name, which is then asked where it is bound.
    Refuses paths that name no folder in front of the value.
    """
    function = module.enclosing(node) or halt("no function holds the place at which the path is used")
    statement, shown, built = module.statement_of(node), module.segment(risky), risky
    behind = False
    if isinstance(risky, ast.Name):
        found = single_assignment(module, node, risky.id)
        if found is not None:
            (statement, built), behind = found, True
    folder, slashed = _folder(module, node, built, holds)
    refusal = declined(module, function, status, text)
    draft = refusal.needs(module)
    if slashed:
        test = f"if not {_called(shown)}.resolve().is_relative_to({_called(folder)}.resolve()):"
    else:
        test = f"if not os.path.realpath({shown}).startswith(os.path.join(os.path.realpath({folder}), {module.literal('')})):"
        draft += use(module, "import os")
    lines = f"{test}\n{refusal.indented}"
    return draft + (after(module, statement, lines) if behind else before(module, statement, lines))


@word
def plain_name(module: Module, node: ast.AST, risky: ast.expr, how: str, needs: str) -> Draft:
    """Take the folders out of an uploaded file's name where it becomes part of a path: `how` is a call around `{}`.

    The name is changed where the path is built; where it comes through a local name that is bound to it, there.
    """
    spots = [each for each in ast.walk(risky) if isinstance(each, ast.Attribute) and each.attr == "filename"]
    names = [each for each in ast.walk(risky) if isinstance(each, ast.Name)]
    for _ in range(_FAR):
        if spots or not names:
            break
        bound = [found[1] for each in names if (found := single_assignment(module, node, each.id)) is not None]
        spots = [each for value in bound for each in ast.walk(value) if isinstance(each, ast.Attribute) and each.attr == "filename"]
        names = [each for value in bound for each in ast.walk(value) if isinstance(each, ast.Name)]
    if not spots:
        halt("the name of the uploaded file does not reach this path under its own name")
    draft = use(module, needs)
    function = module.enclosing(node)
    for each in spots:
        if module.enclosing(each) is function:
            draft += replace(module, each, how.format(module.segment(each)))
    return draft


def _called(text: str) -> str:
    """An expression that a method can be called on."""
    return text if text.replace(".", "").replace("_", "").isalnum() or text.endswith(")") else f"({text})"


def _folder(module: Module, use_: ast.AST, node: ast.expr, holds: Callable[[ast.expr], bool], depth: int = 0) -> tuple[str, bool]:
    """(the folder in front of the value as an expression, whether it is a pathlib one)."""
    if depth > _FAR:
        halt("the path is put together in too many steps")
    match node:
        case ast.BinOp(left=left, op=ast.Div()):
            return _folder(module, use_, left, holds, depth + 1) if holds(left) else (module.segment(left), True)
        case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] == "join" and not isinstance(first, ast.Starred):
            front = []
            for each in node.args:
                if holds(each):
                    break
                front.append(module.segment(each))
            if not front:
                halt("the path names no folder in front of the value")
            return (front[0] if len(front) == 1 else f"{module.segment(func)}({', '.join(front)})"), False
        case ast.Call(func=func, args=[first, *rest]) if dotted(func).rpartition(".")[2] in _WRAPPERS:
            if rest and not holds(first):
                return f"{module.segment(func)}({module.segment(first)})", True
            found, slashed = _folder(module, use_, first, holds, depth + 1)
            return (f"{module.segment(func)}({found})", True) if dotted(func).rpartition(".")[2] == "Path" and not slashed else (found, slashed)
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=[]) if attr in _WRAPPERS:
            return _folder(module, use_, value, holds, depth + 1)
        case ast.Name(id=name) if (found_at := single_assignment(module, use_, name)) is not None:
            return _folder(module, found_at[0], found_at[1], holds, depth + 1)
        case _ if builds_text(node):
            return _front(module, node, holds), False
    return halt("the path names no folder in front of the value")


def _front(module: Module, node: ast.expr, holds: Callable[[ast.expr], bool]) -> str:
    """The folder that a text begins with, up to the last slash in front of the value."""
    atoms = read(module, node).atoms
    at = next((index for index, each in enumerate(atoms) if not isinstance(each, Char) and holds(each.expression)), len(atoms))
    slash = next((index for index in range(at - 1, -1, -1) if isinstance(each := atoms[index], Char) and each.value == "/"), 0)
    if slash == 0:
        halt("the path names no folder in front of the value")
    return spelled(module, atoms[:slash])
