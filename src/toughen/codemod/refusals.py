"""Owns how a file says no: it finds the refusals that are there and writes new ones in their shape."""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft
from toughen.codemod.mechanics import use
from toughen.codemod.module import Module, UnmendableError, bound_names, dotted, halt, names_in

if TYPE_CHECKING:
    from toughen.codemod.module import FunctionNode

LOWEST, HIGHEST = 400, 499
_LONGEST = 120
_MESSAGE_KEYS = ("message", "detail", "error", "msg", "description", "reason", "title", "errors")
_QUIET = {"fail", "error", "failed", "failure", "application/json", "text/plain", "nosniff"}
_VERBS = {"get", "post", "put", "patch", "delete", "route", "websocket", "api_route", "head", "options"}
_DJANGO = {"django", "rest_framework"}
_NAMES = {
    400: "BAD_REQUEST", 401: "UNAUTHORIZED", 402: "PAYMENT_REQUIRED", 403: "FORBIDDEN", 404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED", 409: "CONFLICT", 413: "REQUEST_ENTITY_TOO_LARGE", 415: "UNSUPPORTED_MEDIA_TYPE",
    422: "UNPROCESSABLE_ENTITY", 429: "TOO_MANY_REQUESTS", 500: "INTERNAL_SERVER_ERROR", 502: "BAD_GATEWAY",
    503: "SERVICE_UNAVAILABLE", 504: "GATEWAY_TIMEOUT",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that turns a request away, as text that starts at column 0, and the imports that it needs."""

    text: str
    imports: tuple[str, ...] = ()
    raises: bool = False
    """True for `raise` and `abort(...)`, which an enclosing `except Exception` would swallow."""

    @property
    def indented(self) -> str:
        """The text one step deeper, as the body of an `if` or `except`."""
        return "\n".join("    " + line if line.strip() else line for line in self.text.split("\n"))

    def needs(self, module: Module) -> Draft:
        """The imports as edits of `module`; nothing where they are there."""
        draft = Draft(module)
        for statement in self.imports:
            draft += use(module, statement)
        return draft


@dataclass(frozen=True, slots=True)
class Candidate:
    """A refusal that the file holds: the statement, its status and where both can be changed."""

    statement: ast.stmt
    status: int
    number: ast.expr
    message: ast.expr | None
    extra: int
    """Other texts in it, which a copy would carry along."""


def refusals(module: Module, root: ast.AST | None = None) -> list[Candidate]:
    """Statements that answer a constant 4xx: `return ..., 4xx`, `return Response(...)`, `raise X(4xx)`, `abort`."""
    found: list[Candidate] = []
    for node in ast.walk(root or module.tree):
        value = refused_value(node)
        if value is None or not isinstance(node, ast.stmt):
            continue
        numbers = [item for item in ast.walk(value) if isinstance(item, ast.expr) and status_of(item) is not None]
        numbers = [item for item in numbers if _in_status_place(module, item)]
        if len(numbers) != 1:
            continue
        status = status_of(numbers[0])
        if status is None or not LOWEST <= status <= HIGHEST:
            continue
        message, extra = _message(value)
        found.append(Candidate(node, status, numbers[0], message, extra))
    return sorted(found, key=lambda item: item.statement.lineno)


def refused_value(node: ast.AST) -> ast.expr | None:
    """The expression that a `return`, `raise` or bare `abort(...)` answers with; None for other statements."""
    match node:
        case ast.Return(value=ast.expr() as value) | ast.Raise(exc=ast.Call() as value):
            return value
        case ast.Expr(value=ast.Call(func=function) as value) if dotted(function).rpartition(".")[2] == "abort":
            return value
        case _:
            return None


def status_of(node: ast.expr) -> int | None:
    """The HTTP status that a constant stands for: `404`, `status.HTTP_404_NOT_FOUND`, `HTTPStatus.NOT_FOUND`."""
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool) and 100 <= value <= 599:  # noqa: PLR2004
            return value
        case ast.Attribute(attr=name) if name.startswith("HTTP_") and name[5:8].isdigit():
            return int(name[5:8])
        case ast.Attribute(value=value, attr=name) if dotted(value).rpartition(".")[2] == "HTTPStatus":
            return next((code for code, known in _NAMES.items() if known == name), None)
        case _:
            return None


def _in_status_place(module: Module, node: ast.expr) -> bool:
    """A number counts as a status in a returned tuple, as an argument, or as keyword status/status_code/code."""
    match module.parent(node):
        case ast.Tuple(elts=elements):
            return elements[-1] is node or (len(elements) > 2 and elements[1] is node)  # noqa: PLR2004
        case ast.keyword(arg=name):
            return name in {"status", "status_code", "code", "statusCode"}
        case ast.Call():
            return True
        case ast.Attribute():
            return False
        case _:
            return False


def _message(value: ast.expr) -> tuple[ast.expr | None, int]:
    """The text of a refusal that can be replaced, and how many other texts it holds."""
    ranked: list[tuple[int, ast.expr]] = []
    others = 0
    for node in ast.walk(value):
        if isinstance(node, ast.Dict):
            for key, item in zip(node.keys, node.values, strict=True):
                if not _is_text(item):
                    continue
                name = key.value if isinstance(key, ast.Constant) else None
                if name in _MESSAGE_KEYS:
                    ranked.append((_MESSAGE_KEYS.index(name), item))
                elif isinstance(item, ast.Constant) and item.value not in _QUIET:
                    others += 1
        elif isinstance(node, ast.Call):
            names = [(word.arg, word.value) for word in node.keywords]
            ranked += [
                (_MESSAGE_KEYS.index(name), item) for name, item in names if name in _MESSAGE_KEYS and _is_text(item)
            ]
            ranked += [(len(_MESSAGE_KEYS), item) for item in node.args if _is_text(item)]
    loud = [item for item in ranked if not (isinstance(item[1], ast.Constant) and item[1].value in _QUIET)]
    loud.sort(key=lambda item: item[0])
    if isinstance(value, ast.Tuple) and _is_text(value.elts[0]) and not loud and getattr(value.elts[0], "value", "text") != "":
        loud = [(0, value.elts[0])]
    return (loud[0][1], others + len(loud) - 1) if loud else (None, others)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def refuse(module: Module, function: FunctionNode, status: int, text: str) -> Refusal:
    """A refusal in the style of the file: the nearest one of the function, of its route family, or of the file.

    Shapes copied: Flask `return jsonify({...}), 400`, `{...}, 400`, `make_response`, `Response(..., 400,
    mimetype=...)`, `abort(400, ...)`; FastAPI and Starlette `raise HTTPException(...)`, `return
    JSONResponse(...)`; project helpers and exceptions that take a constant status. Status and text are changed.
    Where a file has none, the framework's own shape is written. Refuses a function that no framework calls (a
    `return` there would answer nobody), and files of an unknown framework without a refusal.
    """
    usable = [item for item in refusals(module) if _portable(module, function, item)]
    best = min(usable, key=lambda item: _distance(module, function, item, status), default=None)
    if best is not None and (is_raise(best.statement) or answers(module, function)):
        return Refusal(_rewritten(module, best, status, text), (), is_raise(best.statement))
    return _standard(module, function, status, text)


def declined(module: Module, function: FunctionNode, status: int, text: str) -> Refusal:
    """As `refuse`; in a function that no framework calls, an exception that answers wherever it is raised."""
    try:
        return refuse(module, function, status, text)
    except UnmendableError:
        roots = _roots(module)
        if "rest_framework" in roots:
            return _invalid(module, text)
        if "flask" not in roots:
            raise
        return Refusal(f"abort({status}, description={module.literal(text)})", ("from flask import abort",), raises=True)


def answers(module: Module, function: FunctionNode) -> bool:
    """True when what a function returns is the response: it has a route's decorator, is a view of Django's, or returns a 4xx itself."""
    return is_route(function) or is_view(module, function) or any(
        module.enclosing(item.statement) is function for item in refusals(module, function)
    )


def is_view(module: Module, function: FunctionNode) -> bool:
    """True when a function of a file of Django's takes the request first: `def book(request, pk)`, `def post(self, request)`."""
    names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    given = names[1:] if names[:1] == ["self"] else names
    return bool(_roots(module) & _DJANGO) and given[:1] == ["request"]


def is_route(function: FunctionNode | None) -> bool:
    """True when a decorator registers the function as a handler (`@app.get(...)`, `@bp.route(...)`)."""
    return function is not None and bool(routes(function))


def routes(function: FunctionNode) -> list[ast.Call]:
    """The decorators that register a function on a path."""
    found = [
        item for item in function.decorator_list if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute)
    ]
    return [item for item in found if isinstance(item.func, ast.Attribute) and item.func.attr in _VERBS]


def path_of(function: FunctionNode) -> str:
    """The first path literal of a handler, "" where there is none."""
    for call in routes(function):
        for item in (*call.args, *(word.value for word in call.keywords if word.arg in {"path", "rule"})):
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                return item.value
    return ""


def is_raise(statement: ast.stmt) -> bool:
    """True for refusals that travel as an exception."""
    return not isinstance(statement, ast.Return)


def _family(function: FunctionNode) -> str:
    parts = [part for part in path_of(function).split("/") if part and part[0] not in "{<"]
    return parts[-1] if parts else ""


def _distance(module: Module, function: FunctionNode, item: Candidate, status: int) -> tuple[int, int, int, int, int]:
    home = module.enclosing(item.statement)
    place = 0 if home is function else 1 if home and _family(home) and _family(home) == _family(function) else 2
    gap = abs(item.statement.lineno - function.lineno)
    return (item.message is None, item.extra, place, item.status != status, gap)


def _portable(module: Module, function: FunctionNode, item: Candidate) -> bool:
    """A refusal can be copied when nothing but its text refers to names of its own function."""
    home = module.enclosing(item.statement)
    dropped = names_in(item.message) if item.message is not None else set()
    local = (
        set(bound_names(home.body)) | {arg.arg for arg in ast.walk(home.args) if isinstance(arg, ast.arg)}
        if home
        else set()
    )
    value = refused_value(item.statement)
    used = names_in(value) - dropped if value is not None else set()
    outer = {name for above in module.ancestors(function) for name in bound_names(getattr(above, "body", []))}
    routed = any(is_route(other) for other in module.functions)
    if isinstance(item.statement, ast.Return) and home not in {None, function} and routed and not is_route(home):
        return False
    return not used & local and all(module.is_known(name) or name in outer for name in used)


def _rewritten(module: Module, item: Candidate, status: int, text: str) -> str:
    base = module.span(item.statement).start
    data = module.data[base : module.span(item.statement).end]
    edits = [(module.span(item.number), _status_text(module, item.number, status))]
    if item.message is not None:
        edits.append((module.span(item.message), module.literal(text)))
    for span, new in sorted(edits, key=lambda edit: -edit[0].start):
        data = data[: span.start - base] + new.encode() + data[span.end - base :]
    flat = one_line(data.decode())
    return (
        flat if len(flat) <= _LONGEST or "\n" not in data.decode() else _dedented(module, item.statement, data.decode())
    )


def _status_text(module: Module, number: ast.expr, status: int) -> str:
    match number:
        case ast.Attribute(value=value, attr=name) if status in _NAMES:
            code = f"HTTP_{status}_{_NAMES[status]}" if name.startswith("HTTP_") else _NAMES[status]
            return f"{module.segment(value)}.{code}"
        case _:
            return str(status)


def _dedented(module: Module, statement: ast.stmt, text: str) -> str:
    indent = module.indent(statement)
    return "\n".join(line.removeprefix(indent) for line in text.replace("\r\n", "\n").split("\n"))


def one_line(text: str) -> str:
    """A statement of several lines on one line, without its comments; the text itself where a string spans lines."""
    source = text.replace("\r\n", "\n")
    if "\n" not in source:
        return source
    lines = source.split("\n")
    flat = ""
    last: tuple[int, int] = (1, 0)
    previous = ""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in {tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE, tokenize.ENDMARKER}:
            continue
        if "\n" in token.string:
            return text
        gap = lines[last[0] - 1][last[1] : token.start[1]] if last[0] == token.start[0] else " "
        if last[0] != token.start[0]:
            opened, closes = previous in {"(", "[", "{"}, token.string in {")", "]", "}"}
            gap = "" if opened or closes else " "
            flat = flat.removesuffix(",") if closes else flat
        flat += gap + token.string
        last, previous = token.end, token.string
    return flat


def _standard(module: Module, function: FunctionNode, status: int, text: str) -> Refusal:
    origins = set(module.imports.values())
    roots = {origin.partition(".")[0] for origin in origins}
    if roots & {"fastapi"}:
        code = f"raise HTTPException(status_code={status}, detail={module.literal(text)})"
        return Refusal(code, ("from fastapi import HTTPException",), raises=True)
    if roots & {"starlette"}:
        code = f"raise HTTPException(status_code={status}, detail={module.literal(text)})"
        return Refusal(code, ("from starlette.exceptions import HTTPException",), raises=True)
    if roots & {"flask"} and answers(module, function) and _shows_pages(function):
        return Refusal(f"abort({status}, description={module.literal(text)})", ("from flask import abort",), raises=True)
    if roots & {"flask"} and answers(module, function):
        code = f"return jsonify({{{module.literal('error')}: {module.literal(text)}}}), {status}"
        return Refusal(code, ("from flask import jsonify",))
    if roots & _DJANGO and is_view(module, function):
        return _django(module, function, status, text)
    return halt(f"{module.file} shows no way in which {function.name} could refuse a request")


def _django(module: Module, function: FunctionNode, status: int, text: str) -> Refusal:
    """As the view answers else: Response of its REST framework, a page, or JSON."""
    made = {module.resolve(each.value.func) for each in ast.walk(function) if isinstance(each, ast.Return) and isinstance(each.value, ast.Call)}
    if "rest_framework.response.Response" in made:
        return Refusal(f"return Response({{{module.literal('detail')}: {module.literal(text)}}}, status={status})")
    if _shows_pages(function):
        return Refusal(f"return HttpResponse({module.literal(text)}, status={status})", ("from django.http import HttpResponse",))
    return Refusal(f"return JsonResponse({{{module.literal('error')}: {module.literal(text)}}}, status={status})", ("from django.http import JsonResponse",))


def _invalid(module: Module, text: str) -> Refusal:
    """The exception by which serializers and viewsets of Django REST framework refuse (400), wherever it is raised."""
    held = module.imports.get("ValidationError", "")
    if module.imports.get("serializers", "").startswith("rest_framework") and held != "rest_framework.exceptions.ValidationError":
        return Refusal(f"raise serializers.ValidationError({module.literal(text)})", (), raises=True)
    return Refusal(f"raise ValidationError({module.literal(text)})", ("from rest_framework.exceptions import ValidationError",), raises=True)


def _roots(module: Module) -> set[str]:
    return {origin.partition(".")[0] for origin in module.imports.values()}


def _shows_pages(function: FunctionNode) -> bool:
    """True when a function answers with pages alone: somebody reads them, and no script."""
    returned = [each.value for each in ast.walk(function) if isinstance(each, ast.Return) and each.value is not None]
    names = [dotted(each.func).rpartition(".")[2] for value in returned for each in [value] if isinstance(each, ast.Call)]
    return bool({"render_template", "render"} & set(names)) and set(names) <= {"render_template", "render", "redirect"} and len(names) == len(returned)
