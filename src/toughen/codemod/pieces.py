"""Owns the binding of SQL that a function puts together in several steps: in the branches of an `if`, or by `+=`."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument
from toughen.codemod.module import Module, dotted, halt, names_in, own, scope_of
from toughen.codemod.sql import Binder
from toughen.codemod.sqltext import Region, SqlText, read, regions
from toughen.codemod.statements import EXECUTING, Execution, single_assignment, style_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode

_NAMES = ("values", "bound", "bound_values")
_LOOPS = (ast.For, ast.AsyncFor, ast.While)


@dataclass(frozen=True, slots=True)
class Piece:
    """One step of a statement's text."""

    statement: ast.stmt
    text: SqlText
    begins: bool
    """Whether the text begins with it, rather than goes on."""


@word
def bind_pieces(module: Module, line: int, *, project: Sequence[Module] = ()) -> Draft:
    """Bind the values of the statement executed at `line` whose text is put together in several steps.

    Shapes: `query = f"..."` in each branch; `query = "..."` and `query += f" AND x = '{x}'"` behind it, also in loops. The values
    are collected where the text is: `values = [...]`, `values += [...]`, for SQLAlchemy's `text()` a dictionary; where the
    call has a list of values already, they join that.
    Refuses: steps that cannot be read, names that are bound otherwise, texts that are executed twice, other parameters.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the statement stands outside of a function")
    call, name, wrapper = _executed(statement) or halt(f"no text that is put together in steps is executed at {module.file}:{line}")
    pieces = _pieces(module, function, name, call.lineno)
    others = [each for each in scope_of(function) if isinstance(each, ast.Call) and each is not call and _runs(each) and any(name in names_in(item) for item in each.args)]
    if others:
        halt(f"`{name}` is executed more than once")
    given = call.args[1] if len(call.args) > 1 else next((each.value for each in call.keywords if each.arg in {"params", "parameters"}), None)
    found = Execution(call, call.args[0], None, "", wrapper, None)
    style = style_of(module, found, project)
    if style not in {"?", "%s", ":"}:
        halt(f"values are not collected for places of the style {style}")
    held = _held(module, call, given, style)
    taken = [_taken(pieces, index) for index in range(len(pieces))]
    if not any(taken):
        halt("a name or a clause of the statement is put in, which cannot be bound")
    values = held or _unused(function)
    draft = Draft(module)
    used: dict[str, str] = {}
    for piece, spots in zip(pieces, taken, strict=True):
        binder = Binder(module, piece.text, found, style)
        draft += Draft(module, tuple(binder.edits(spots)))
        own_values = [(key, text) for _, key, text in binder.values]
        _distinct(module, piece, own_values, style, used)
        written = _collected(module, values, own_values, style, begins=piece.begins and not held)
        if written:
            draft += after(module, piece.statement, written)
    return draft if held else draft + argument(module, call, values)


def _executed(statement: ast.stmt) -> tuple[ast.Call, str, ast.Call | None] | None:
    """(the executing call, the name that carries the text, `text()` around it)."""
    for call in (each for each in own(statement) if isinstance(each, ast.Call) and _runs(each) and each.args):
        match call.args[0]:
            case ast.Name(id=name):
                return call, name, None
            case ast.Call(func=func, args=[ast.Name(id=name)]) as wrapper if dotted(func).rpartition(".")[2] == "text":
                return call, name, wrapper
    return None


def _runs(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in EXECUTING


def _pieces(module: Module, function: FunctionNode, name: str, end: int) -> list[Piece]:
    """The steps in order. Refuses what is bound otherwise, or behind the execution."""
    if name in {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}:
        halt(f"the statement's text is the parameter `{name}` of {function.name}: it is built by a caller")
    found: list[Piece] = []
    stores = [each for each in scope_of(function) if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store)]
    for store in sorted(stores, key=lambda each: each.lineno):
        statement = module.statement_of(store)
        if statement.lineno > end:
            halt(f"`{name}` is bound again behind its execution")
        match statement:
            case ast.Assign(targets=[ast.Name()], value=ast.BinOp() as value) if _goes_on(value, name):
                whole = read(module, value)
                found.append(Piece(statement, SqlText(whole.atoms[1:], whole.tokens), begins=False))
            case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(value=ast.expr() as value) if name not in names_in(value):
                found.append(Piece(statement, read(module, value), begins=True))
            case ast.AugAssign(op=ast.Add(), value=more) if name not in names_in(more):
                found.append(Piece(statement, read(module, more), begins=False))
            case _:
                halt(f"a step of `{name}` cannot be read at {module.file}:{statement.lineno}")
    if len(found) < 2 or not found[0].begins:  # noqa: PLR2004 - one step is an ordinary statement
        halt(f"`{name}` is not built step by step in {function.name}")
    return found


def _goes_on(value: ast.BinOp, name: str) -> bool:
    """Whether a sum begins with the text so far, and holds it once."""
    first: ast.expr = value
    while isinstance(first, ast.BinOp) and isinstance(first.op, ast.Add):
        first = first.left
    return isinstance(first, ast.Name) and first.id == name and sum(isinstance(each, ast.Name) and each.id == name for each in ast.walk(value)) == 1


def _taken(pieces: list[Piece], index: int) -> list[Region]:
    """The regions of a step that can be bound, seen with what stands in front of it."""
    start = next(at for at in range(index, -1, -1) if pieces[at].begins)
    front = [atom for piece in pieces[start:index] for atom in piece.text.atoms]
    piece = pieces[index].text
    shift = len(front)
    found = [each for each in regions(SqlText([*front, *piece.atoms])) if each.start >= shift]
    if piece.whole and any(each.reason for each in found):
        halt(f"a step of the statement is not bindable: {next(each.reason for each in found if each.reason)}")
    return [Region(each.start - shift, each.end - shift, each.quoted) for each in found if not each.reason]


def _held(module: Module, call: ast.Call, given: ast.expr | None, style: str) -> str:
    """The list of values that the call has already, "" where it has none. Refuses other parameters."""
    if given is None:
        return ""
    made = single_assignment(module, call, given.id) if isinstance(given, ast.Name) else None
    fits = made is not None and isinstance(made[1], ast.Dict if style == ":" else ast.List)
    if not fits or not isinstance(given, ast.Name):
        return halt("the call's parameters are not a list that is collected")
    return given.id


def _unused(function: FunctionNode) -> str:
    names = {each.id for each in scope_of(function) if isinstance(each, ast.Name)} | {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    return next((each for each in _NAMES if each not in names), "") or halt("the names that the values might have are taken")


def _distinct(module: Module, piece: Piece, values: list[tuple[str, str]], style: str, used: dict[str, str]) -> None:
    """Refuse one name for two values, which would stand for one of them only."""
    if style != ":" or not values:
        return
    if any(isinstance(each, _LOOPS) for each in module.ancestors(piece.statement)):
        halt("a loop puts values into the text, and each would need a name of its own")
    for key, text in values:
        if used.setdefault(key, text) != text:
            halt(f"two values of the statement are called {key}")


def _collected(module: Module, name: str, values: list[tuple[str, str]], style: str, *, begins: bool) -> str:
    if style == ":":
        if begins:
            return f"{name} = {{{', '.join(f'{module.literal(key)}: {text}' for key, text in values)}}}"
        return "\n".join(f"{name}[{module.literal(key)}] = {text}" for key, text in values)
    texts = [text for _, text in values]
    if begins:
        return f"{name} = [{', '.join(texts)}]"
    return f"{name}.append({texts[0]})" if len(texts) == 1 else f"{name} += [{', '.join(texts)}]" if texts else ""

