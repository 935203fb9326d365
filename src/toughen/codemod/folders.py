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
_LISTS = {"walk", "listdir", "scandir", "glob", "iglob", "makedirs"}
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
        found = _bound(module, node, risky.id, holds)
        if found is not None:
            (statement, built), behind = found, True
    folder, slashed = _folder(module, node, built, holds)
    refusal = declined(module, function, status, text)
    draft = refusal.needs(module)
    if slashed:
        test = f"if not {_called(shown)}.resolve().is_relative_to({_called(folder)}.resolve()):"
    else:
        # What lists a folder may be given the folder itself.
        lists = isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in _LISTS
        path = f"os.path.join(os.path.realpath({shown}), {module.literal('')})" if lists else f"os.path.realpath({shown})"
        test = f"if not {path}.startswith(os.path.join(os.path.realpath({folder}), {module.literal('')})):"
        draft += use(module, "import os")
    lines = f"{test}\n{refusal.indented}"
    return draft + (after(module, statement, lines) if behind else before(module, statement, lines))


def _bound(module: Module, use_: ast.AST, name: str, holds: Callable[[ast.expr], bool]) -> tuple[ast.stmt, ast.expr] | None:
    """The statement that binds a local name to what takes in the value: the only one, or the only one that does."""
    once = single_assignment(module, use_, name)
    function = module.enclosing(use_)
    if once is not None or function is None:
        return once
    found = [each for each in ast.walk(function) if isinstance(each, ast.Assign) and [dotted(one) for one in each.targets] == [name] and holds(each.value)]
    return (found[0], found[0].value) if len(found) == 1 else None


@word
def separated(module: Module, node: ast.AST) -> Draft:
    """Compare whole names of folders: `path.startswith(folder)` becomes `(path + os.sep).startswith(folder + os.sep)`.

    Shapes: in the function of a node, where both sides are paths that were resolved (`abspath`, `realpath`, `normpath`,
    `resolve`), inline or behind local names. Refuses functions without one.
    """
    function = module.enclosing(node) or halt("no function holds the place at which the path is used")
    draft = Draft(module)
    for call in (each for each in ast.walk(function) if isinstance(each, ast.Call)):
        match call:
            case ast.Call(func=ast.Attribute(value=path, attr="startswith"), args=[folder], keywords=[]) if _resolved(module, call, path) and _resolved(module, call, folder):
                draft += replace(module, call, f"({_text(module, path)} + os.sep).startswith({_text(module, folder)} + os.sep)")
    return draft + use(module, "import os") if draft.edits else halt("no path is compared with its folder here")


def _text(module: Module, node: ast.expr) -> str:
    """An expression of a path as text that another one can be added to."""
    text = module.segment(node)
    return text if isinstance(node, ast.Call | ast.Name | ast.Attribute | ast.Subscript) else f"({text})"


def _resolved(module: Module, use_: ast.AST, node: ast.expr) -> bool:
    """Whether an expression is a path as text without `..` and without a separator at its end."""
    match node:
        case ast.Call(func=func, args=[inner]) if dotted(func) == "str":
            return _resolved(module, use_, inner)
        case ast.Call(func=func):
            return (dotted(func).rpartition(".")[2] or getattr(func, "attr", "")) in {"abspath", "realpath", "normpath", "resolve"}
        case ast.Name(id=name):
            found = single_assignment(module, use_, name)
            tops = [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
            value = found[1] if found is not None else _lately(module, use_, name) or (tops[0] if len(tops) == 1 else None)
            return value is not None and not isinstance(value, ast.Name) and _resolved(module, use_, value)
    return False


def _lately(module: Module, use_: ast.AST, name: str) -> ast.expr | None:
    """What the last statement in front of a use, in its own block, binds a name to; None where anything else binds it in between."""
    statement = module.statement_of(use_)
    block = module.block(statement)
    for item in reversed(block[: block.index(statement)]):
        if isinstance(item, ast.Assign) and [dotted(each) for each in item.targets] == [name]:
            return item.value
        if any(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store) for each in ast.walk(item)):
            return None
    return None


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
        case ast.Name(id=name) if (found_at := _bound(module, use_, name, holds)) is not None:
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
