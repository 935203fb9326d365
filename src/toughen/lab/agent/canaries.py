"""Owns the audit hook: where a canary surfaces, and which files are opened for writing."""

from __future__ import annotations

import os
import sys
from typing import Any

from . import faults, frames
from .recorder import RECORDER

WRITTEN, FOLDERS = 200, 20
_WATCHED = frozenset(
    (
        "open exec compile import pickle.find_class subprocess.Popen os.system os.exec os.posix_spawn os.spawn"
        " os.remove os.rename os.mkdir os.rmdir os.listdir os.scandir os.link os.symlink os.chmod os.truncate"
        " shutil.copyfile shutil.copymode shutil.copystat shutil.copytree shutil.move shutil.rmtree shutil.chown"
        " shutil.make_archive shutil.unpack_archive"
        " socket.connect socket.getaddrinfo socket.gethostbyname urllib.Request ftplib.connect"
    ).split()
)
_LOOKS = frozenset(("open", "os.listdir", "os.scandir"))
_CODE = (".py", ".pyc", ".so")
_FLAT = 4
_installed = False


def install() -> None:
    """Put the hook in place; once for a process, it cannot be taken out again."""
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # Called for every audited event of the process: the usual way out comes first.
    if not RECORDER.active or event not in _WATCHED:
        return
    try:
        if event in _LOOKS and len(RECORDER.folders) < FOLDERS:
            _looked(event, arguments)
        if event == "open":
            _opened(arguments)
        if RECORDER.markers:
            RECORDER.sight(event, tuple(_texts(event, arguments)))
    except Exception:
        pass
    if event == "open" and RECORDER.fault:
        path = _written(arguments)
        if path:
            faults.refuse_file(path)


def _looked(event: str, arguments: tuple[Any, ...]) -> None:
    """Note the project's own folder that a file is opened in, or that is listed."""
    path = arguments[0] if arguments else None
    if isinstance(path, int):
        return
    name = os.fsdecode(path) if path is not None else os.curdir
    if not name.endswith(_CODE):
        found = frames.below(os.path.dirname(name) or os.curdir if event == "open" else name)
        if found:
            RECORDER.folders[found] = None


def _opened(arguments: tuple[Any, ...]) -> None:
    path = _written(arguments) if len(RECORDER.written) < WRITTEN else ""
    if path:
        RECORDER.written[path] = None


def _written(arguments: tuple[Any, ...]) -> str:
    """The file that is opened for writing; empty where it is only read."""
    path, mode, flags = (*arguments, None, None, None)[:3]
    if isinstance(path, int) or path is None:
        return ""
    writes = (
        any(each in mode for each in "wax+")
        if isinstance(mode, str)
        else bool((flags or 0) & (os.O_WRONLY | os.O_RDWR))
    )
    return os.path.abspath(os.fsdecode(path)) if writes else ""


def _texts(event: str, arguments: tuple[Any, ...]) -> Any:
    """Yield the strings among the arguments, those of lists and tuples too, and the names that code refers to."""
    for each in arguments[:_FLAT]:
        if isinstance(each, str):
            yield each
        elif isinstance(each, (bytes, bytearray)):
            yield bytes(each).decode("utf-8", "replace")
        elif isinstance(each, (list, tuple)):
            yield " ".join(os.fsdecode(part) if isinstance(part, (bytes, os.PathLike)) else str(part) for part in each)
        elif isinstance(each, os.PathLike):
            yield os.fsdecode(each)
        elif event == "exec" and hasattr(each, "co_consts"):
            # A canary in a constant is data; as a name or in the code's text it was compiled from input.
            yield " ".join(str(name) for name in each.co_names + each.co_consts)
