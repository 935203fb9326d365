"""Owns the folders outside the project that its source keeps files in (`/data`, `/var/songs`) and that this machine lacks: which they are."""

from __future__ import annotations

import ast
import os
import re
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from toughen.syntax import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_FILES = {"open", "FileHandler", "RotatingFileHandler", "TimedRotatingFileHandler", "WatchedFileHandler", "FileResponse", "send_file", "save", "isfile"}
"""Calls that take the path of a file; where a SQLite database of the author's lies here is the agent's to find (see agent/places.py)."""
_FOLDERS = {
    "Path", "PurePath", "PosixPath", "join", "safe_join", "exists", "isdir", "makedirs", "mkdir", "listdir", "scandir", "walk", "glob", "iglob", "realpath", "abspath", "normpath",
    "send_from_directory", "StaticFiles", "copytree", "rmtree", "move", "copy", "copy2", "copyfile", "remove", "unlink", "getsize", "chdir", "commonpath", "rename", "replace", "stat",
}
"""Calls that take the path of a folder, or of either."""
_OWNERS = {"os", "path", "osp", "ospath", "shutil", "glob", "io", "aiofiles", "pathlib", "logging", "handlers", "flask"}
"""What those are called on; a method of that name on anything else is another one."""
_PATH = re.compile(r"/(?:[\w.@-]+/)*[\w.@-]*")
_CANDIDATE = re.compile(r"""["'](/[\w.@-][^"'\s]*)["']""")
_ROUTED = re.compile(r"^\s*@|\.(?:route|add_url_rule|add_api_route)\(|\b(?:url|href|prefix|redirect|path)\s*[=(]")
"""Lines whose paths are addresses."""
_VARIABLE = re.compile(r"DIR|FOLDER|STORAGE|UPLOAD|MEDIA|(?<!^)PATH$")
_SYSTEM = {"bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "tmp", "usr"}
_MOST, _ROUNDS, _LONGEST = 16, 4, 200


def wanted(texts: Mapping[str, str], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Folders that the source names and keeps files in, or that its variables name, and that this machine lacks; no system folder, and none below one that is there as a link."""
    found = {_folder(value) for name, value in variables.items() if _VARIABLE.search(name) and _PATH.fullmatch(value)}
    found |= _kept_in(tuple(texts.values()))
    return tuple(sorted(each for each in found if missing(each)))[:_MOST]


@lru_cache(maxsize=8)
def _kept_in(texts: tuple[str, ...]) -> frozenset[str]:
    if not any(missing(each) for text in texts for each in _candidates(text)):
        return frozenset()
    return frozenset(_named([read for text in texts if (read := tree(text)) is not None]))


def missing(folder: str) -> str | None:
    """The outermost part of the folder that this machine lacks; None where it may not be added: it is there, or belongs to the system."""
    parts = folder.strip("/").split("/")
    if not folder.startswith("/") or not parts[0] or parts[0] in _SYSTEM or ".." in parts or len(folder) > _LONGEST:
        return None
    above = ""
    for part in parts:
        here = f"{above}/{part}"
        place = Path(here)
        if not os.path.lexists(here):
            return here
        if place.is_symlink() or not place.is_dir():
            return None
        above = here
    return None


def _candidates(text: str) -> Iterator[str]:
    """Folders that some literal could mean; it costs less to look for those than to read the source."""
    for match in _CANDIDATE.finditer(text):
        line = text[text.rfind("\n", 0, match.start()) + 1 : match.end()]
        if not _ROUTED.search(line):
            yield _start(match[1])


def _named(modules: Sequence[ast.Module]) -> set[str]:
    """What path literals are given to calls that take a path, whatever names they pass through."""
    used: set[str] = set()
    found: set[str] = set()
    for module in modules:
        own, paths = _one(list(ast.walk(module)), used)
        used |= {name for name in own if name.isupper()}
        found |= paths
    # Settings are used in another module than the one that they are made in.
    return found.union(*(_one(list(ast.walk(module)), used)[1] for module in modules)) if used else found


def _one(nodes: list[ast.AST], known: set[str]) -> tuple[set[str], set[str]]:
    """(names that pass through calls that take a path, the folders that they mean) of one module."""
    used, found = set(known), set[str]()
    for node in nodes:
        match node:
            case ast.Call(func=func) if (name := _last(func)) in _FILES | _FOLDERS and (not isinstance(func, ast.Attribute) or name == "save" or _last(func.value) in _OWNERS):
                for argument in [*node.args, *(each.value for each in node.keywords if each.arg in {"directory", "filename", "path", "root"})]:
                    used |= _names(argument)
                    found |= {_above(path) if name in _FILES and isinstance(argument, ast.Constant) else _folder(path) for path in _paths(argument)}
            case ast.BinOp(left=left, op=ast.Div()):
                used |= _names(left)
    bound = [pair for node in nodes for pair in _bindings(node)]
    for _ in range(_ROUNDS):
        before = len(used)
        for name, value in bound:
            if name in used:
                used |= _names(value)
        if len(used) == before:
            break
    return used, found | {_folder(path) for name, value in bound if name in used for path in _paths(value)}


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """What a name, an attribute, a setting or a parameter is bound to."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((name, value) for target in targets if (name := _last(target)))
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield _last(target), value
        case ast.keyword(arg=str(name), value=value):
            yield name, value
        case ast.Dict(keys=keys, values=values):
            yield from ((key.value, value) for key, value in zip(keys, values, strict=True) if isinstance(key, ast.Constant) and isinstance(key.value, str))
        case ast.arguments(args=args, defaults=defaults) if defaults:
            yield from ((argument.arg, value) for argument, value in zip(args[-len(defaults) :], defaults, strict=True))
        case _:
            return


def _last(node: ast.AST) -> str:
    """The last part of a dotted name, or the key of a setting."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str(key))):
            return key
    return ""


def _names(node: ast.expr) -> set[str]:
    """Names of what is read below an expression, of settings too; not of what is called."""
    called = {id(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)}
    held = {id(each.value) for each in ast.walk(node) if isinstance(each, (ast.Attribute, ast.Subscript))}
    return {name for each in ast.walk(node) if id(each) not in called | held and (name := _last(each))}


def _paths(node: ast.expr) -> Iterator[str]:
    """Absolute paths among its literals; of one that something is put into, the folder before that."""
    for each in ast.walk(node):
        match each:
            case ast.JoinedStr(values=[ast.Constant(value=str(text)), _, *_]) if text.startswith("/"):
                yield text.rpartition("/")[0]
            case ast.Constant(value=str(text)) if text.startswith("/") and "\n" not in text and len(text) < _LONGEST:
                yield _start(text)


def _start(text: str) -> str:
    """A path as far as it is said: `/data/%s.txt` is in /data."""
    said = _PATH.match(text)
    path = said[0] if said else ""
    return path.rstrip("/") if path == text else path.rpartition("/")[0]


def _folder(path: str) -> str:
    """The folder that a path means: its own, or the one that a file of it lies in."""
    path = path.rstrip("/")
    return _above(path) if re.search(r"\.\w{1,6}$", path) else path


def _above(path: str) -> str:
    return str(PurePosixPath(path).parent)
