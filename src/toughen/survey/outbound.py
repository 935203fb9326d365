"""Owns the hosts that the source calls."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Outbound
from toughen.model.source import Location
from toughen.survey.facts import CLIENTS, dotted
from toughen.survey.project import Missing, Project, Symbol, keyword

if TYPE_CHECKING:
    from toughen.survey.project import Function

_URL: Final = re.compile(r"^(?:https?|wss?|ftp|amqp|redis)://(?:[^/@\s]*@)?([\w.-]+)", re.IGNORECASE)
_HOST: Final = re.compile(r"^[A-Za-z0-9](?:[\w-]*\.)+[A-Za-z]{2,}$|^localhost$")
_ENTRY: Final = re.compile(r"(?:^|/)(?:tests?/|test_|conftest)|_test\.py$")


def hosts(project: Project) -> tuple[Outbound, ...]:
    """Every call that leaves the process, tests left out; host None where it is computed."""
    found: dict[tuple[str | None, str, str], Outbound] = {}
    for file, seen in project.sightings("outbound"):
        if _ENTRY.search(file):
            continue
        root = seen.text.partition(".")[0]
        client = CLIENTS[root]
        where = Location(file, seen.line, project.scope(file, seen.line) or None)
        host = _host(project, file, seen.line, seen.end)
        if host is None and seen.text.rpartition(".")[2] in {
            "Session",
            "Client",
            "AsyncClient",
            "ClientSession",
            "Request",
        }:
            # A session says nothing of where it goes; its calls are looked for in the function that holds it.
            host = _host_in_function(project, file, seen.line)
        found.setdefault((host, client, file if host is None else ""), Outbound(host, client, where))
    return tuple(sorted(found.values(), key=lambda each: (each.location, each.client)))


def _host(project: Project, file: str, first: int, end: int) -> str | None:
    function = project.facts[file].enclosing(first)
    tree = project.tree(file, function) if function else None
    local = _locals(tree) if isinstance(tree, ast.FunctionDef | ast.AsyncFunctionDef) else {}
    for statement in project.statements(file, first, end):
        for node in ast.walk(statement):
            if isinstance(node, ast.Call):
                values = [*node.args[:2], keyword(node, "url", "base_url", "host", "api_base", "endpoint_url")]
                for value in values:
                    if value is not None and (host := host_of(project, file, value, local)):
                        return host
    return None


def _host_in_function(project: Project, file: str, line: int) -> str | None:
    definition = project.facts[file].enclosing(line)
    tree = project.tree(file, definition) if definition else None
    if tree is None or isinstance(tree, ast.ClassDef):
        return None
    local = _locals(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr in {"get", "post", "put", "patch", "delete", "request", "urlopen"}:
            for value in node.args[:2]:
                if host := host_of(project, file, value, local):
                    return host
    return None


def _locals(tree: Function) -> dict[str, ast.expr]:
    return {
        node.targets[0].id: node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }


def host_of(project: Project, file: str, node: ast.expr, local: dict[str, ast.expr], depth: int = 0) -> str | None:
    """The host of a URL expression whose beginning is constant."""
    if depth > 6:  # noqa: PLR2004 - aliases of aliases end somewhere
        return None
    match node:
        case ast.JoinedStr(values=[first, *_]):
            inner = first.value if isinstance(first, ast.FormattedValue) else first
            return host_of(project, file, inner, local, depth + 1)
        case ast.BinOp(left=left, op=ast.Add() | ast.Mod()):
            return host_of(project, file, left, local, depth + 1)
        case ast.Call(func=ast.Attribute(attr="format", value=inner)):
            return host_of(project, file, inner, local, depth + 1)
        case ast.Name(id=name) if name in local and local[name] is not node:
            return host_of(project, file, local[name], local, depth + 1)
        case ast.Name() | ast.Attribute():
            found = project.resolve(file, dotted(node)) if dotted(node) else ""
            value = project.value(found) if isinstance(found, Symbol) else None
            if isinstance(found, Symbol) and value is not None and not isinstance(value, ast.Constant):
                return host_of(project, found.file, value, {}, depth + 1)
    folded = project.fold(node, file)
    if isinstance(folded, Missing) or not isinstance(folded, str):
        return None
    if match := _URL.match(folded):
        return match[1].lower()
    return folded.lower() if _HOST.match(folded) else None
