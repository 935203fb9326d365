"""Owns the words that put a cap on what a request asks for: the size of a page, the length of a list, the bytes of a body."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, before, follow, replace, use
from toughen.codemod.module import Module, UnmendableError, dotted, halt, scope_of
from toughen.codemod.refusals import declined, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.codemod.module import FunctionNode
    from toughen.model.blueprint import Blueprint


@word
def capped(module: Module, node: ast.expr, most: int, *, floor: bool = False) -> Draft:
    """Let a number be `most` at the most: `x` -> `min(x, most)`; with `floor`, 0 at the least. Refuses what is bounded so already."""
    around = {dotted(each.func) for each in list(module.ancestors(node))[:2] if isinstance(each, ast.Call)}
    text = module.segment(node)
    if floor and "max" not in around:
        text = f"max({text}, 0)"
    if "min" not in around:
        text = f"min({text}, {most})"
    return replace(module, node, text) if text != module.segment(node) else halt(f"{text} is bounded already")


@word
def short(module: Module, line: int, name: str, most: int, text: str) -> Draft:
    """Refuse a list of more than `most` elements behind the statement at `line` that reads it; what is no list is left to what asks for one."""
    function, statement = module.function_at(line), module.statement(line)
    test = f"if isinstance({name}, list) and len({name}) > {most}:"
    if test in module.segment(function):
        halt(f"{function.name} asks how long {name} is already")
    refusal = refuse(module, function, 400, text)
    return after(module, statement, f"{test}\n{refusal.indented}") + refusal.needs(module)


def number_read(node: FunctionNode, name: str) -> ast.expr | None:
    """The expression that reads a field of the request as a whole number which is always there: `int(... "name" ...)`, `.get("name", 20, type=int)`."""
    for each in scope_of(node):
        match each:
            case ast.Call(func=ast.Name(id="int"), args=[value]) if _names(value, name) and not _fails(value):
                return each
            case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=key), *rest], keywords=words) if key == name:
                given = {word.arg: word.value for word in words}
                default = rest[0] if rest else given.get("default")
                if dotted(given.get("type", default or each)) == "int" and isinstance(default, ast.Constant) and isinstance(default.value, int):
                    return each
    return None


def _names(node: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Constant) and each.value == name for each in ast.walk(node))


def _fails(node: ast.expr) -> bool:
    """Whether a value may be none: `.get("limit")` without a default."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and len(node.args) == 1 and not node.keywords


def sizes(node: FunctionNode) -> Iterator[ast.expr]:
    """What a function says of how many rows a query reads: `.limit(n)`, `paginate(per_page=n)`."""
    for each in scope_of(node):
        match each:
            case ast.Call(func=ast.Attribute(attr="limit"), args=[value]) if not isinstance(value, ast.Constant):
                yield value
            case ast.Call(func=ast.Attribute(attr="paginate"), keywords=words):
                yield from (word.value for word in words if word.arg == "per_page" and not isinstance(word.value, ast.Constant))


_MADE = re.compile(r"\b(Flask|FastAPI|FlaskApp|connexion\.App)\(")


def application(blueprint: Blueprint, sources: Mapping[str, str]) -> tuple[Module, ast.Assign] | None:
    """The file and statement that make the application: of the entry's own file, where it is made there."""
    entry = blueprint.entry.file if blueprint.entry is not None else ""
    for file in sorted(sources, key=lambda each: (each != entry, len(each), each)):
        if not _MADE.search(sources[file]):
            continue
        try:
            module = Module(file, sources[file])
        except UnmendableError:
            continue
        for node in ast.walk(module.tree):
            match node:
                case ast.Assign(targets=[ast.Name()], value=ast.Call(func=func)) if dotted(func).rpartition(".")[2] in {"Flask", "FastAPI", "FlaskApp"} or dotted(func) == "connexion.App":
                    return module, node
    return None


_MIDDLEWARE = '''
class BodyLimit:
    """Answers 413 to requests whose body is larger than `most` bytes, whatever they say of its length."""

    def __init__(self, app, most):
        self.app = app
        self.most = most

    async def __call__(self, scope, receive, send):
        taken = 0

        async def counted():
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self.most:
                raise HTTPException(status_code=413, detail="The request is too large")
            return message

        length = dict(scope.get("headers", ())).get(b"content-length", b"0")
        if scope["type"] == "http" and (not length.isdigit() or int(length) > self.most):
            refused = JSONResponse(status_code=413, content={"detail": "The request is too large"})
            await refused(scope, receive, send)
        else:
            await self.app(scope, counted, send)
'''
NEEDED = ("from fastapi import HTTPException", "from fastapi.responses import JSONResponse")
"""What the middleware is made of."""


@word
def bounded(module: Module, app: ast.Assign, most: str, *, flask: bool, asked: bool = False) -> Draft:
    """Give an application a greatest length of a body: Flask's own setting, a small middleware for FastAPI.

    The middleware's class follows the last import of the file, whose imports of `NEEDED` are there. `asked` has Flask
    ask every request for its length: before Werkzeug 2.3 the setting bounds forms only. Refuses files that have any of them.
    """
    name = dotted(app.targets[0])
    if "MAX_CONTENT_LENGTH" in module.text or "BodyLimit" in module.text or "refuse_large_bodies" in module.text:
        halt(f"{module.file} bounds bodies already")
    if flask and isinstance(app.value, ast.Call) and dotted(app.value.func).rpartition(".")[2] != "Flask":
        name = f"{name}.app"
    if flask and asked:
        needs = use(module, "from flask import abort") + use(module, "from flask import request")
        return needs + follow(module, app, f"@{name}.before_request\ndef refuse_large_bodies():\n    if (request.content_length or 0) > {most}:\n        abort(413)")
    if flask:
        return after(module, app, f"{name}.config[{module.literal('MAX_CONTENT_LENGTH')}] = {most}")
    imports = [each for each in module.tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    at = max((each for each in imports if each.lineno < app.lineno), key=lambda each: each.lineno, default=None) or halt(f"{module.file} imports nothing in front of the application")
    return follow(module, at, _MIDDLEWARE) + after(module, app, f"{name}.add_middleware(BodyLimit, most={most})")


@word
def suffixed(module: Module, function: FunctionNode, field: str, allowed: Sequence[str]) -> Draft:
    """Refuse an uploaded file whose name ends otherwise.

    Shapes: `file = request.files["field"]` and `.get("field")` with a line to itself; a parameter of that name. Refuses
    where the function tests the ending of a name so already.
    """
    refusal = declined(module, function, 400, "This kind of file is not allowed")
    listed = f"({', '.join(module.literal(each) for each in allowed)}{',' if len(allowed) == 1 else ''})"
    if f".endswith({listed})" in module.segment(function):
        halt(f"{function.name} tests how the name ends already")

    def test(name: str, *, there: bool) -> str:
        asked = f"not ({name}.filename or {module.literal('')}).lower().endswith({listed})"
        return f"if {asked if there else f'{name} is not None and {asked}'}:\n{refusal.indented}"

    for node in scope_of(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Subscript(value=held, slice=ast.Constant(value=key))) if key == field and dotted(held).endswith("files"):
                return after(module, node, test(name, there=True)) + refusal.needs(module)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(value=held, attr="get"), args=[ast.Constant(value=key), *_])) if key == field and dotted(held).endswith("files"):
                return after(module, node, test(name, there=False)) + refusal.needs(module)
    if any(each.arg == field for each in (*function.args.args, *function.args.kwonlyargs)):
        first = function.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(function.body) > 1
        return before(module, function.body[1] if documented else first, test(field, there=False)) + refusal.needs(module)
    return halt(f"{function.name} reads {field} into no variable of its own")


@word
def unpacked(module: Module, function: FunctionNode, most: str) -> Draft:
    """Refuse an archive whose members are more than `most` bytes in all, as its own list of them says; what is read of a member is no more than that (zipfile).

    Shapes: `with zipfile.ZipFile(...) as name:`, `name = zipfile.ZipFile(...)`. Refuses where the function asks for sizes already.
    """
    if "file_size" in module.segment(function):
        halt(f"{function.name} asks how large the members are already")
    refusal = declined(module, function, 413, "The archive holds too much")
    for node in scope_of(function):
        match node:
            case ast.With(items=items, body=[first, *_]):
                for each in items:
                    if isinstance(each.context_expr, ast.Call) and module.resolve(each.context_expr.func) == "zipfile.ZipFile" and isinstance(each.optional_vars, ast.Name):
                        return before(module, first, f"if sum(member.file_size for member in {each.optional_vars.id}.infolist()) > {most}:\n{refusal.indented}") + refusal.needs(module)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if module.resolve(func) == "zipfile.ZipFile":
                return after(module, node, f"if sum(member.file_size for member in {name}.infolist()) > {most}:\n{refusal.indented}") + refusal.needs(module)
    return halt(f"{function.name} opens no archive")


def wider(item: ast.keyword, wanted: str | None) -> bool:
    """Whether a bound that is there lets through more than the one that is wanted."""
    there, tight = syntax.number(item.value), syntax.number(syntax.expression(wanted)) if wanted is not None else None
    if there is None or tight is None:
        return False
    return there > tight if item.arg in {"le", "lt", "max_length"} else there < tight if item.arg in {"ge", "gt", "min_length"} else False
