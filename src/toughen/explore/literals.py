"""Owns what the source holds as data: records of module-level collections, constants, and values of environment variables."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.explore.session import Session
    from toughen.model.blueprint import Json

KEY = "#key"
"""The name under which a record holds the key that it has in its dictionary."""
VALUE = "#value"
_MOST = 200


def records(sources: Mapping[str, str]) -> list[tuple[str, dict[str, Json]]]:
    """(name of the collection, record) for each record of a dictionary, a list or objects written at module level."""
    found: list[tuple[str, dict[str, Json]]] = []
    for file, text in sources.items():
        if re.search(r"(^|/)(tests?|migrations|alembic)/|(^|/)(test_[^/]*|conftest)\.py$", file):
            continue
        for name, value in _assigned(text):
            found.extend((name, each) for each in _records(value))
            if len(found) >= _MOST:
                return found[:_MOST]
    return found


def _assigned(text: str) -> Iterator[tuple[str, ast.expr]]:
    tree = syntax.tree(text)
    if tree is None:
        return
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value


def _records(value: ast.expr) -> Iterator[dict[str, Json]]:
    match value:
        case ast.Dict(keys=keys, values=values):
            for key, each in zip(keys, values, strict=True):
                if not isinstance(key, ast.Constant) or not isinstance(key.value, str | int):
                    continue
                fields = _fields(each)
                if fields is not None:
                    yield {KEY: key.value, **fields}
                elif isinstance(each, ast.Constant) and isinstance(each.value, str | int | float):
                    yield {KEY: key.value, VALUE: each.value}
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            for each in items:
                fields = _fields(each)
                if fields is not None:
                    yield fields
                elif isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield {KEY: each.value}


def _fields(node: ast.expr) -> dict[str, Json] | None:
    """The constant fields of a dictionary or of an object made with keywords."""
    pairs: list[tuple[str, ast.expr]] = []
    match node:
        case ast.Dict(keys=keys, values=values):
            pairs = [(key.value, each) for key, each in zip(keys, values, strict=True) if isinstance(key, ast.Constant) and isinstance(key.value, str)]
        case ast.Call(keywords=keywords) if keywords:
            pairs = [(each.arg, each.value) for each in keywords if each.arg]
        case _:
            return None
    return {name: each.value for name, each in pairs if isinstance(each, ast.Constant) and isinstance(each.value, str | int | float | bool)}


def values_of(session: Session, node: ast.expr, most: int) -> list[Json]:
    """Values that an expression of a test may stand for: constants, a module's constant, a setting, an environment variable."""
    match node:
        case ast.Constant(value=str() | int() | float() as value):
            return [value]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return [-value]
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return _constants(items)[:most]
        case ast.Dict(keys=keys):
            return _constants(keys)[:most]
        case ast.Name(id=name):
            return _named(session, name, collection=not name.isupper())[:most]
        case ast.Attribute(value=ast.Name(id=owner), attr=name) if name.isupper() or owner.lower() in {"settings", "config", "conf", "cfg"}:
            return _named(session, name)[:most]
        case ast.Call() | ast.Subscript():
            found = _variable(session, node)
            return [found] if found is not None else []
    return []


def _constants(items: Sequence[ast.expr | None]) -> list[Json]:
    return [each.value for each in items if isinstance(each, ast.Constant) and isinstance(each.value, str | int)]


def _named(session: Session, name: str, *, collection: bool = False) -> list[Json]:
    """What a name is bound to at the top of a module or of a class, where that is known beforehand; else only collections."""
    for text in session.sources.values():
        if not re.search(rf"^[ \t]*{re.escape(name)}\b[^=\n]*=", text, re.MULTILINE):
            continue
        for value in _bound(text, name):
            match value:
                case ast.Constant() | ast.Call() | ast.Subscript() | ast.BoolOp() if collection:
                    continue
                case ast.Constant(value=str() | int() | float() as plain):
                    supplied = session.lab.variables.get(name.upper())
                    return [supplied if supplied is not None else plain]
                case ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
                    return _constants(value.keys if isinstance(value, ast.Dict) else value.elts)
                case ast.Call() | ast.Subscript() | ast.BoolOp():
                    found = _variable(session, value)
                    if found is not None:
                        return [found]
    return []


def _bound(text: str, name: str) -> Iterator[ast.expr]:
    tree = syntax.tree(text)
    if tree is None:
        return
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    for node in (each for body in bodies for each in body):
        match node:
            case ast.Assign(targets=[ast.Name(id=known)], value=value) if known == name:
                yield value
            case ast.AnnAssign(target=ast.Name(id=known), value=ast.expr() as value) if known == name:
                yield value


def _variable(session: Session, node: ast.expr) -> str | None:
    """The value of `os.getenv("X", "default")` and the like: as the lab set it, as the project's .env does, else the default."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and each.args and re.search(r"\b(getenv|environ\.get|config|env|str)$", ast.unparse(each.func)):
            name, default = each.args[0], each.args[1] if len(each.args) > 1 else None
            default = next((word.value for word in each.keywords if word.arg == "default"), default)
        elif isinstance(each, ast.Subscript) and ast.unparse(each.value).endswith("environ"):
            name, default = each.slice, None
        else:
            continue
        if not isinstance(name, ast.Constant) or not isinstance(name.value, str):
            continue
        if name.value in session.lab.variables:
            return session.lab.variables[name.value]
        if (written := _dotenv(session, name.value)) is not None:
            return written
        if isinstance(default, ast.Constant) and isinstance(default.value, str):
            return default.value
    if isinstance(node, ast.BoolOp) and isinstance(node.values[-1], ast.Constant) and isinstance(node.values[-1].value, str):
        return node.values[-1].value
    return None


def _dotenv(session: Session, name: str) -> str | None:
    for folder in (session.lab.imports, session.lab.project):
        file = folder / ".env"
        if file.is_file() and (match := re.search(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=[ \t]*(.*?)[ \t]*$", file.read_text(errors="replace"), re.MULTILINE)):
            return match.group(1).strip("'\"")
    return None
