"""Owns the word that escapes a value where it becomes part of a page."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, word
from toughen.codemod.fragments import based, fillings, gathered, holds_markup, is_gathered
from toughen.codemod.mechanics import argument, before, replace, use
from toughen.codemod.module import UnmendableError, dotted, halt
from toughen.codemod.sqltext import Char, Hole, builds_text, read
from toughen.codemod.statements import single_assignment
from toughen.codemod.texts import filled, origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.codemod.module import Module

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


_POLICY = ("Content-Security-Policy", "sandbox")
_ANSWERS = {"send_file", "send_from_directory", "make_response", "Response", "FileResponse", "HTMLResponse", "StreamingResponse"}


def answered(module: Module, statement: ast.Return) -> ast.Call | None:
    """The call that makes the answer which a `return` gives, also behind a local name."""
    value = statement.value
    if isinstance(value, ast.Name):
        found = single_assignment(module, statement, value.id)
        value = found[1] if found is not None else None
    return value if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in _ANSWERS else None


@word
def sandboxed(module: Module, statement: ast.stmt) -> Draft:
    """Show what a `return` answers in a sandbox, where nothing of it runs: by the header `Content-Security-Policy: sandbox`.

    Shapes: an answer that is made by Flask, Starlette or FastAPI, inline or behind a local name; Flask's texts, alone or
    in a tuple with a status and headers. Refuses answers that set the header already.
    """
    function = module.enclosing(statement)
    if not isinstance(statement, ast.Return) or statement.value is None or function is None:
        halt("the page is not answered by a return")
    if _POLICY[0].lower() in module.segment(function).lower():
        halt("the answer has a policy of its own")
    name, policy = (module.literal(each) for each in _POLICY)
    made = answered(module, statement)
    flask = any(each.partition(".")[0] == "flask" for each in module.imports.values())
    match statement.value:
        case ast.Name(id=held) if made is not None:
            return before(module, statement, f"{held}.headers[{name}] = {policy}")
        case ast.Call() if made is not None and flask:
            held = "response" if not any(isinstance(each, ast.Name) and each.id == "response" for each in ast.walk(function)) else "answer"
            text = "\n".join(line.removeprefix(module.indent(statement)) for line in module.segment(made).replace("\r\n", "\n").split("\n"))
            return before(module, statement, f"{held} = {text}\n{held}.headers[{name}] = {policy}") + replace(module, made, held)
        case ast.Call() if made is not None:
            return argument(module, made, f"headers={{{name}: {policy}}}")
        case ast.Tuple(elts=[_, *_, ast.Dict(keys=[*_, _]) as headers]) if flask:
            return replace(module, headers, f"{module.segment(headers).rstrip()[:-1].rstrip().rstrip(',')}, {name}: {policy}}}")
        case ast.Tuple(elts=[text, status]) if flask:
            return replace(module, statement.value, f"{module.segment(text)}, {module.segment(status)}, {{{name}: {policy}}}")
        case _ if flask and bare(module, statement, statement.value):
            return replace(module, statement.value, f"{module.segment(statement.value)}, 200, {{{name}: {policy}}}")
    return halt("the answer is made in a way that takes no header here")


def _entries(module: Module, use_: ast.AST, text: ast.expr, holds: Callable[[ast.expr], bool], depth: int = 0) -> list[Hole]:
    """The holes of a text that take in the value itself."""
    if depth > _FAR:
        halt("the page is put together in too many steps")
    found: list[Hole] = []
    if based(module, text) is not None:
        holes = [_hole(module, each) for each in fillings(text)]
    elif bare(module, use_, text):
        holes = [_hole(module, text)]
    else:
        holes = [each for each in read(module, origin(module, use_, text)).atoms if not isinstance(each, Char)]
    for hole in holes:
        found += _inside(module, use_, hole, holds, depth)
    return found or halt("the value enters the page elsewhere")


def bare(module: Module, use_: ast.AST, node: ast.expr) -> bool:
    """Whether an expression is a part of something, such as a row's column, and nothing around it."""
    if isinstance(node, ast.Name):
        found = single_assignment(module, use_, node.id)
        return found is not None and bare(module, found[0], found[1])
    return isinstance(node, ast.Subscript | ast.Attribute)


def _hole(module: Module, node: ast.expr) -> Hole:
    span = module.span(node)
    return Hole(node, module.segment(node), span.start, span.end, None)


def _inside(module: Module, use_: ast.AST, hole: Hole, holds: Callable[[ast.expr], bool], depth: int) -> list[Hole]:
    """Where the value enters one part of a page: the part itself, or what that is put together of."""
    node, function = hole.expression, module.enclosing(use_)
    if not holds(node) or (function is not None and is_gathered(module, node, gathered(module, function))):
        return []
    inner = _built(module, use_, node)
    if inner is not None and inner[1] is node and hole.token is not None:
        # Before Python 3.12 the places of what stands inside an f-string are not exact.
        halt("the value enters the page inside of a text in a text")
    if inner is not None:
        return _entries(module, inner[0], inner[1], holds, depth + 1)
    if not hole.plain:
        halt("the value is formatted before it enters the page")
    parts = _parts(module, node)
    if parts:
        return [each for part in parts for each in _inside(module, use_, _hole(module, part) if hole.token is None else _within(module, hole, part), holds, depth)]
    if holds_markup(node):
        halt("the value gets markup of its own where it enters the page")
    return [hole]


def _parts(module: Module, node: ast.expr) -> list[ast.expr]:
    """The expressions that a part with tags of its own is made of."""
    if not holds_markup(node) and based(module, node) is None:
        return []
    match node:
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
        case ast.Call(func=ast.Attribute(value=value, attr="replace"), args=[_, new, *_]) if based(module, node) is None and not _is_constant(value):
            # `text.replace("\n", "<br>")`: the text is escaped, then its ends of lines become tags.
            return [value] if _is_constant(new) else []
    return []


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _within(module: Module, hole: Hole, part: ast.expr) -> Hole:
    """A part of what stands in a hole of an f-string. Refuses what is written there twice."""
    text = ast.unparse(part) if module.segment(part) not in hole.text else module.segment(part)
    if hole.text.count(text) != 1:
        halt("the value cannot be told apart in the page's text")
    return Hole(part, text, hole.start, hole.end, hole.token)


def _built(module: Module, use_: ast.AST, node: ast.expr) -> tuple[ast.AST, ast.expr] | None:
    """The text that a part of a page is put together of, where it is."""
    match node:
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=elt) | ast.ListComp(elt=elt)]) if builds_text(elt):
            return node, elt
        case _ if builds_text(node) or based(module, node) is not None:
            return use_, node
        case ast.Name(id=name):
            try:
                return use_, origin(module, use_, node)
            except UnmendableError:
                found = single_assignment(module, use_, name)
                return _built(module, found[0], found[1]) if found is not None else None
    return None
