"""Owns how a project says that it is started: by its container, its Procfile, its scripts; else by a main block of its own."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen import syntax
from toughen.model.blueprint import Start
from toughen.survey.facts import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.survey.sources import Sources

_NAMED: Final = re.compile(r"^(Procfile|Dockerfile([.-]\w+)?|\w*\.?Dockerfile|(docker-)?compose[\w.-]*\.ya?ml|render\.yaml|fly\.toml|app\.yaml|railway\.(json|toml)|nixpacks\.toml|[\w-]+\.sh)$")
_SERVER: Final = re.compile(r"\b(gunicorn|uvicorn|hypercorn|waitress-serve|waitress|daphne|granian|uwsgi|fastapi[\"',\s]+run)\b")
_FLASK: Final = re.compile(r"\bflask[\"',\s]+(?:--[\w-]+[=\s]\S+\s+)*(--debug\s+)?(?:[\"',\s]*)run\b([^\n]*)")
_SCRIPT: Final = re.compile(r"\bpython3?(?:\.\d+)?[\"',\s]+(?:-[uBO]\b[\"',\s]*)*(?:-m[\"',\s]+([\w.]+)|([\w./-]+\.py))")
_SPLIT: Final = re.compile(r"ENTRYPOINT\s*\[\s*\"python3?\"\s*\][\s\S]*?CMD\s*\[\s*\"([\w./-]+\.py)\"")
_DEBUG: Final = re.compile(r"FLASK_DEBUG\s*[=:]\s*[\"']?(1|true|on|yes)\b|FLASK_ENV\s*[=:]\s*[\"']?development", re.IGNORECASE)
_HEALTH: Final = re.compile(r"HEALTHCHECK[^\n]*(?:\\\n[^\n]*)*|^\s*#.*$|^RUN\b[^\n]*(?:\\\n[^\n]*)*", re.MULTILINE)
_LARGEST: Final = 1 << 18


def starts(sources: Sources) -> tuple[Start, ...]:
    """What the files beside the source say; where they say nothing, the main blocks that start a server."""
    found = [each for file, text in sorted(_files(sources.root)) for each in _said(file, _HEALTH.sub("", text), sources)]
    return tuple(dict.fromkeys(found)) or tuple(_main_blocks(sources))


def _files(root: Path) -> Iterator[tuple[str, str]]:
    for place in root.iterdir() if root.is_dir() else ():
        if _NAMED.match(place.name) and place.is_file() and not place.is_symlink() and place.stat().st_size <= _LARGEST:
            yield place.name, place.read_text(encoding="utf-8", errors="replace")


def _said(file: str, text: str, sources: Sources) -> Iterator[Start]:
    debug = bool(_DEBUG.search(text))
    if _SERVER.search(text):
        yield Start("server", file)
    if match := _FLASK.search(text):
        yield Start("flask", file, debug=debug or "--debug" in match.group(0))
    for match in _SCRIPT.finditer(text):
        name = match.group(1).replace(".", "/") + ".py" if match.group(1) else match.group(2).removeprefix("./")
        if starter(sources.texts.get(name, "")):
            yield Start("script", file, name)
    if (match := _SPLIT.search(text)) and starter(sources.texts.get(match.group(1), "")):
        yield Start("script", file, match.group(1))


def _main_blocks(sources: Sources) -> Iterator[Start]:
    """Files whose main block starts a server, those nearest to the root first."""
    for file, text in sorted(sources.texts.items(), key=lambda each: (each[0].count("/"), each[0])):
        if "__main__" in text and starter(text):
            yield Start("script", file, file)


def starter(text: str) -> bool:
    """Whether a file, run as a program, starts a server of Flask's or of another's."""
    tree = syntax.tree(text) if "run" in text else None
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"run", "run_simple", "run_app"} and not dotted(each.func).startswith(("asyncio.", "subprocess.", "anyio.")):
                return True
    return bool(tree is not None and re.search(r"__name__\s*==", text) and re.search(r"^def main\b[\s\S]*\.run\(", text, re.MULTILINE))
