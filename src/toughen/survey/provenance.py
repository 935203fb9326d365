"""Owns where the local names of a function come from: the request, the session, a row, another function."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.survey.facts import dotted
from toughen.survey.project import Function, source

if TYPE_CHECKING:
    from collections.abc import Iterator

_FROM: Final = re.compile(r"\b(?:from|into|update|join)\s+[\"'`]?([A-Za-z_][\w.]*)", re.IGNORECASE)
_EQUAL: Final = re.compile(r"[\"'`]?([A-Za-z_][\w.]*)[\"'`]?\s*=\s*(\?|%s|:\w+|\$\d+|%\(\w+\)s)", re.IGNORECASE)
_PLACES: Final = {
    "json": "json", "get_json": "json", "form": "form", "args": "query", "values": "form", "query_params": "query",
    "headers": "header", "cookies": "cookie", "files": "file",
}  # fmt: skip
_FILTERS: Final = frozenset({"filter", "where", "filter_by", "get", "first_or_404", "get_or_404", "get_or_none"})


@dataclass(frozen=True, slots=True)
class LocalOrigin:
    """Where a local name got its value."""

    kind: str
    """parameter, request, session, query (an ORM model), sql (a table), call, element (of another name)."""
    detail: str
    """Parameter's name; place (json, form, query, header, cookie, file); model (`models.Card`); table; function; owner."""
    path: tuple[str | int, ...] = ()
    """Keys below a request or a session."""
    where: tuple[tuple[str, str], ...] = ()
    """(column, source of the value) of the equalities that choose the row."""


@lru_cache(maxsize=32)
def tree_of(text: str) -> tuple[ast.Module, dict[ast.AST, ast.AST]] | None:
    """The tree of a text and each node's parent, None where it cannot be parsed."""
    tree = syntax.tree(text)
    if tree is None:
        return None
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    return tree, parents


def locals_origin(text: str, function_line: int) -> dict[str, LocalOrigin]:
    """For each local name of the function around that line: what it was last assigned from; {} where it is unknown."""
    parsed = tree_of(text)
    function = _function(parsed[0], function_line) if parsed else None
    if function is None:
        return {}
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
    known = {each.arg: LocalOrigin("parameter", each.arg) for each in arguments}
    for node in _ordered(function):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    _assign(target, value, known)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                _assign(target, value, known)
            case ast.NamedExpr(target=target, value=value):
                _assign(target, value, known)
            case (
                ast.For(target=ast.Name(id=name), iter=iterable) | ast.AsyncFor(target=ast.Name(id=name), iter=iterable)
            ):
                origin = _origin(iterable, known)
                if origin is not None and origin.kind == "request":
                    known[name] = LocalOrigin("request", origin.detail, (*origin.path, 0))
                elif origin is not None and origin.kind in {"query", "sql"}:
                    known[name] = origin
                else:
                    known[name] = LocalOrigin("element", source(iterable))
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="execute", value=ast.Name(id=name))) as call):
                # A cursor remembers what it was last told.
                if (origin := _sql(call)) is not None:
                    known[name] = origin
    return known


def _function(tree: ast.Module, line: int) -> Function | None:
    found: Function | None = None
    for node in ast.walk(tree):
        if isinstance(node, Function):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first <= line <= (node.end_lineno or 0) and (found is None or node.lineno >= found.lineno):
                found = node
    return found


def _ordered(function: Function) -> list[ast.AST]:
    nodes = [each for each in ast.walk(function) if each is not function and hasattr(each, "lineno")]
    return sorted(nodes, key=lambda each: (each.lineno, each.col_offset))  # type: ignore[attr-defined]


def _assign(target: ast.expr, value: ast.expr, known: dict[str, LocalOrigin]) -> None:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            _assign(one, other, known)
    elif isinstance(target, ast.Name):
        origin = _origin(value, known)
        if origin is not None:
            known[target.id] = origin
        else:
            known.pop(target.id, None)


def _origin(node: ast.expr, known: dict[str, LocalOrigin], depth: int = 0) -> LocalOrigin | None:
    if depth > 20:  # noqa: PLR2004 - deeper expressions are hostile
        return None
    match node:
        case ast.Await(value=inner) | ast.NamedExpr(value=inner):
            return _origin(inner, known, depth + 1)
        case ast.Name(id=name):
            return known.get(name)
        case ast.BoolOp(values=values):
            return next((found for each in values if (found := _origin(each, known, depth + 1))), None)
        case ast.IfExp(body=body, orelse=orelse):
            return _origin(body, known, depth + 1) or _origin(orelse, known, depth + 1)
        case ast.Attribute(value=ast.Name(id="request" | "req"), attr=attr) if attr in _PLACES:
            return LocalOrigin("request", _PLACES[attr])
        case ast.Attribute(value=owner, attr=attr):
            found = _origin(owner, known, depth + 1)
            if found is not None and found.kind in {"parameter", "request"}:
                return LocalOrigin(found.kind, found.detail, (*found.path, attr))
            return found
        case ast.Subscript(value=ast.Name(id="session"), slice=ast.Constant(value=str() as key)):
            return LocalOrigin("session", "session", (key,))
        case ast.Subscript(value=owner, slice=ast.Constant(value=str() | int() as key)):
            found = _origin(owner, known, depth + 1)
            if found is not None and found.kind in {"parameter", "request", "session"}:
                return LocalOrigin(found.kind, found.detail, (*found.path, key))
            return found
        case ast.Call():
            return _called(node, known, depth)
    return None


def _called(node: ast.Call, known: dict[str, LocalOrigin], depth: int) -> LocalOrigin | None:
    func = node.func
    if (found := _query(node)) is not None or (found := _sql(node)) is not None:
        return found
    if isinstance(func, ast.Attribute):
        if isinstance(func.value, ast.Name) and func.value.id in {"request", "req"} and func.attr in _PLACES:
            return LocalOrigin("request", _PLACES[func.attr])
        if func.attr in {"get", "pop", "getlist"} and node.args and isinstance(node.args[0], ast.Constant):
            key = node.args[0].value
            if isinstance(key, str):
                if isinstance(func.value, ast.Name) and func.value.id == "session":
                    return LocalOrigin("session", "session", (key,))
                owner = _origin(func.value, known, depth + 1)
                if owner is not None and owner.kind in {"parameter", "request"}:
                    return LocalOrigin(owner.kind, owner.detail, (*owner.path, key))
        inner = _origin(func.value, known, depth + 1)
        if inner is not None and inner.kind in {"request", "parameter", "query", "sql", "session"}:
            return inner
    name = dotted(func)
    if name.rpartition(".")[2] in {"int", "float", "str", "Decimal", "dict", "bool", "loads", "UUID"} and node.args:
        return _origin(node.args[0], known, depth + 1)
    return LocalOrigin("call", name) if name else None


def _query(node: ast.Call) -> LocalOrigin | None:
    """`db.query(models.Card).filter(models.Card.number == n).first()` and the other ways to say so."""
    model = ""
    where: list[tuple[str, str]] = []
    for each in ast.walk(node):
        match each:
            case (
                ast.Call(func=ast.Attribute(attr="query"), args=[first, *_])
                | ast.Call(func=ast.Name(id="select") | ast.Attribute(attr="select"), args=[first, *_])
            ):
                model = model or dotted(first)
            case ast.Call(
                func=ast.Attribute(attr="get" | "get_or_404" | "get_one"),
                args=[ast.Name() | ast.Attribute() as first, second, *_],
            ):
                if (name := dotted(first)).rpartition(".")[2][:1].isupper():
                    model = model or name
                    where.append(("id", source(second)))
            case ast.Attribute(attr="query" | "objects", value=owner) if dotted(owner).rpartition(".")[2][:1].isupper():
                model = model or dotted(owner)
            case ast.Call(func=ast.Attribute(attr="select" | "get_or_none", value=ast.Name(id=name)), args=[]) if name[
                :1
            ].isupper():
                model = model or name
        match each:
            case ast.Call(func=ast.Attribute(attr=attr), args=arguments, keywords=keywords) if attr in _FILTERS:
                where += [(one.arg, source(one.value)) for one in keywords if one.arg]
                for one in arguments:
                    where += [
                        (source(inner.left).rpartition(".")[2], source(inner.comparators[0]))
                        for inner in ast.walk(one)
                        if isinstance(inner, ast.Compare) and isinstance(inner.ops[0], ast.Eq)
                    ]
                if (
                    attr in {"get", "get_or_404"}
                    and len(arguments) == 1
                    and not isinstance(arguments[0], ast.Constant | ast.Compare)
                ):
                    where.append(("id", source(arguments[0])))
    return LocalOrigin("query", model, where=tuple(dict.fromkeys(where))) if model else None


def _sql(node: ast.Call) -> LocalOrigin | None:
    """`conn.execute("SELECT ... FROM accounts WHERE number = ?", (number,)).fetchone()`."""
    for call in ast.walk(node):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        text = "".join(
            each.value
            for each in ast.walk(call.args[0])
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )
        found = _FROM.search(text)
        if not found or not re.match(r"\s*(?:select|with|insert|update|delete)\b", text, re.IGNORECASE):
            continue
        given = call.args[1] if len(call.args) > 1 else None
        return LocalOrigin("sql", found[1].rpartition(".")[2], where=tuple(_equalities(text, given)))
    return None


def _equalities(text: str, given: ast.expr | None) -> Iterator[tuple[str, str]]:
    values = [source(each) for each in given.elts] if isinstance(given, ast.Tuple | ast.List) else []
    named = {
        key.value: source(value)
        for key, value in zip(given.keys, given.values, strict=True)
        if isinstance(key, ast.Constant)
    } if isinstance(given, ast.Dict) else {}  # fmt: skip
    positions = [match.start() for match in re.finditer(r"\?|%s|\$\d+", text)]
    for match in _EQUAL.finditer(text):
        column, mark = match[1].rpartition(".")[2], match[2]
        if mark in {"?", "%s"} or mark.startswith("$"):
            index = positions.index(match.start(2)) if match.start(2) in positions else -1
            if 0 <= index < len(values):
                yield column, values[index]
        elif (name := mark.strip(":%()s") if mark.startswith("%") else mark[1:]) in named:
            yield column, named[name]
