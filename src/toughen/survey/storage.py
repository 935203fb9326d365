"""Owns the guess at where the prototype keeps its state: a database, or its own memory."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Final

from toughen.survey.facts import dotted
from toughen.survey.project import Project, Symbol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.model.blueprint import Route, Table

_KINDS: Final = {"postgres": "postgresql", "mariadb": "mysql", "mongodb": "mongodb"}
_IMPORTS: Final = {
    "sqlite3": "sqlite", "aiosqlite": "sqlite", "psycopg2": "postgresql", "psycopg": "postgresql",
    "asyncpg": "postgresql", "pymysql": "mysql", "MySQLdb": "mysql", "mysql": "mysql", "aiomysql": "mysql",
    "asyncmy": "mysql", "flask_mysqldb": "mysql", "flaskext": "mysql", "flask_mysql_connector": "mysql", "pymongo": "mongodb", "motor": "mongodb",
}  # fmt: skip
_KNOWN: Final = frozenset({"sqlite", "postgresql", "mysql"})
_MUTATORS: Final = frozenset(
    {"append", "pop", "update", "remove", "insert", "setdefault", "clear", "add", "extend", "popitem"}
)


def database(project: Project, tables: Iterable[Table], routes: Iterable[Route]) -> str | None:
    """sqlite, postgresql or mysql by URLs and drivers; memory where handlers write module-level collections; or None."""
    counted: Counter[str] = Counter()
    for file, seen in project.sightings("database"):
        kind = _KINDS.get(seen.text, seen.text)
        if kind in _KNOWN:
            counted[kind] += 1 if "test" in file else 3
    if counted:
        return max(counted, key=lambda each: counted[each])
    for file, facts in project.facts.items():
        for module in facts.imported:
            kind = _IMPORTS.get(module.partition(".")[0], "")
            if kind in _KNOWN:
                counted[kind] += 1 if "test" in file else 2
    if counted:
        return max(counted, key=lambda each: counted[each])
    if any(True for _ in tables):
        return None
    return "memory" if any(_writes(project, route) for route in routes) else None


def _writes(project: Project, route: Route) -> bool:
    if not route.handler.file or not route.handler.function:
        return False
    symbol = Symbol(route.handler.file, route.handler.function)
    return _writes_in(project, symbol, set())


def _writes_in(project: Project, symbol: Symbol, seen: set[Symbol]) -> bool:
    node = project.function(symbol)
    if node is None or symbol in seen or len(seen) > 30:  # noqa: PLR2004 - a handler calls few functions that matter
        return False
    seen.add(symbol)
    for each in ast.walk(node):
        match each:
            case ast.Assign(targets=targets):
                if any(isinstance(one, ast.Subscript) and _shared(project, symbol, one.value) for one in targets):
                    return True
            case ast.AugAssign(target=ast.Subscript(value=owner)):
                if _shared(project, symbol, owner):
                    return True
            case ast.Delete(targets=targets):
                if any(isinstance(one, ast.Subscript) and _shared(project, symbol, one.value) for one in targets):
                    return True
            case ast.Global(names=names):
                if any(name in project.facts[symbol.file].assigned for name in names):
                    return True
            case ast.Call(func=ast.Attribute(attr=attr, value=owner)) if attr in _MUTATORS:
                if _shared(project, symbol, owner):
                    return True
            case ast.Call(func=func) if dotted(func):
                found = project.resolve(symbol.file, dotted(func), symbol.name)
                if isinstance(found, Symbol) and _writes_in(project, found, seen):
                    return True
    return False


def _shared(project: Project, symbol: Symbol, node: ast.expr) -> bool:
    while isinstance(node, ast.Subscript):
        node = node.value
    name = dotted(node)
    found = project.resolve(symbol.file, name) if name else ""
    if not isinstance(found, Symbol):
        return False
    match project.value(found):
        case ast.Dict() | ast.List() | ast.Set():
            return True
        case ast.Call(func=func):
            return dotted(func).rpartition(".")[2] in {"dict", "list", "set", "defaultdict", "OrderedDict", "deque"}
    return False
