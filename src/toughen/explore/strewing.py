"""Owns files that a route hands out or looks into and that nobody put there: those of the project's own, else some of the lab's, and their names as values."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted
from toughen.explore.values import Candidate, normal
from toughen.handling import handlers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.explore.session import RouteState, Session

FILE, FOLDER = "tgsown.txt", "tgfolder"
_USES = {
    "exists", "isfile", "isdir", "is_file", "is_dir", "send_file", "send_from_directory", "FileResponse", "open", "walk", "scandir", "listdir", "iterdir", "glob", "rglob", "read_text",
    "read_bytes", "getsize",
}
_JOINS = {"join", "safe_join", "send_from_directory", "joinpath"}
_SAME = {"abspath", "realpath", "normpath", "str", "Path", "resolve", "PurePath"}
_ANY_FILE = re.compile(r"file|name|path|song|track|doc|image|photo|picture|report|attachment|title|key", re.IGNORECASE)
_ANY_FOLDER = re.compile(r"dir|folder|location", re.IGNORECASE)
_MOST_NAMES, _DEEPEST = 3, 9


def strew(session: Session, states: Mapping[str, RouteState]) -> tuple[list[str], list[str]]:
    """Put a file and a folder where unreached routes look for one: (folders in which that was done, routes that know of a file now)."""
    done: list[str] = []
    told: list[str] = []
    for handler in handlers(session.blueprint, session.sources):
        state = states.get(handler.route.id)
        if state is None or state.reached is not None:
            continue
        calls = (call for place in handler.reach for call in ast.walk(place.node) if isinstance(call, ast.Call))
        if not any(dotted(call.func).rpartition(".")[2] in _USES for call in calls):
            continue
        for folder in dict.fromkeys(folder for place in handler.reach for folder in _folders(place.module, place.node)):
            names = _present(session, folder)
            if not names and folder not in done and _put(session, folder):
                done.append(folder)
            if names or folder in done:
                _tell(session, state, names or [FILE], sown=folder in done)
                told.append(state.route.id)
    return done, told


def _put(session: Session, folder: str) -> bool:
    place = PurePosixPath(folder)
    if ".." in place.parts:
        # What lies elsewhere on the machine is not the throw-away copy's.
        return False
    return session.lab.strew(str(place / FILE)) and session.lab.strew(str(place / FOLDER / FILE))


def _present(session: Session, folder: str) -> list[str]:
    place = session.lab.place(folder)
    if place is None or not place.is_dir() or place.resolve() == session.lab.project.resolve():
        return []
    return sorted(each.name for each in place.iterdir() if each.is_file() and not each.name.startswith("."))[:_MOST_NAMES]


def _tell(session: Session, state: RouteState, names: list[str], *, sown: bool) -> None:
    """Their names become values of whatever may name a file or a folder."""
    for parameter in state.parameters.values():
        values = [FOLDER] if _ANY_FOLDER.search(parameter.name) and sown else names if _ANY_FILE.search(parameter.name) else []
        for value in values:
            session.pool.add(normal(parameter.name), Candidate(value, "pool"))


def _folders(module: Module, function: ast.AST) -> Iterator[str]:
    """Folders that a path is put together below, as far as the source says them."""
    for node in ast.walk(function):
        match node:
            case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] in _JOINS:
                found = _path(module, first, function)
            case ast.BinOp(left=left, op=ast.Div()):
                found = _path(module, left, function)
            case ast.Call(func=func, args=[first, *_]) if dotted(func) in {"os.walk", "os.listdir", "os.scandir"}:
                found = _path(module, first, function)
            case _:
                continue
        if found:
            yield found


def _path(module: Module, node: ast.expr, function: ast.AST, depth: int = 0) -> str | None:
    """A folder relative to where the prototype runs, or absolute; None where it is not said in so many words."""
    if depth > _DEEPEST:
        return None
    match node:
        case ast.Constant(value=str(text)) if 0 < len(text) < 200 and "\n" not in text:  # noqa: PLR2004
            return str(PurePosixPath(text))
        case ast.Name(id="__file__"):
            return module.file
        case ast.Name(id=name):
            near = [each.value for each in ast.walk(function) if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
            # What is put together from itself starts from what it was before.
            near = [each for each in near if not any(isinstance(inner, ast.Name) and inner.id == name for inner in ast.walk(each))]
            bound = near or [each.value for each in module.tree.body if isinstance(each, ast.Assign) and any(dotted(target) == name for target in each.targets)]
            return _path(module, bound[0], function, depth + 1) if len(bound) == 1 else None
        case ast.Subscript(value=ast.Attribute(attr="config"), slice=ast.Constant(value=str(key))):
            bound = [each.value for each in ast.walk(module.tree) if isinstance(each, ast.Assign) and any(module.segment(target).endswith((f'config["{key}"]', f"config['{key}']")) for target in each.targets)]
            return _path(module, bound[0], function, depth + 1) if len(bound) == 1 else None
        case ast.Call(func=func, args=[_, default]) if dotted(func) in {"os.getenv", "os.environ.get", "getenv"}:
            return _path(module, default, function, depth + 1)
        case ast.Attribute(value=inner, attr="parent"):
            return _above(_path(module, inner, function, depth + 1))
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _below(_path(module, left, function, depth + 1), _path(module, right, function, depth + 1))
        case ast.Call(func=ast.Attribute(value=inner, attr="resolve" | "absolute"), args=[]):
            return _path(module, inner, function, depth + 1)
        case ast.Call(func=func, args=[first, *more]):
            name = dotted(func).rpartition(".")[2]
            if name == "dirname":
                return _above(_path(module, first, function, depth + 1))
            if name == "join" and len(more) == 1:
                return _below(_path(module, first, function, depth + 1), _path(module, more[0], function, depth + 1))
            return _path(module, first, function, depth + 1) if name in _SAME else None
    return None


def _above(path: str | None) -> str | None:
    return str(PurePosixPath(path).parent) if path is not None else None


def _below(path: str | None, name: str | None) -> str | None:
    return str(PurePosixPath(path) / name) if path is not None and name is not None else None
