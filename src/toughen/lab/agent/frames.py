"""Owns the project's own frames: which code is the user's, places in it, and how an exception is told."""

from __future__ import annotations

import os
import sys
import traceback
from types import CodeType, FrameType, TracebackType
from typing import Any, Dict, List, Optional

Place = List[Any]

FOREIGN = ("/site-packages/", "/dist-packages/", "/.venv/", "/venv/", "/.tox/", "/node_modules/")
"""Folders inside the project that hold the code of others."""

_AGENT = os.path.dirname(os.path.abspath(__file__)) + os.sep
_get_frame = sys._getframe  # noqa: SLF001 - the documented way costs a whole stack for one frame
_files: Dict[str, Optional[str]] = {}
_roots: List[str] = []


def own(root: str) -> None:
    """Say where the project lies; frames of files below it are the user's own."""
    _roots[:] = dict.fromkeys(os.path.join(path, "") for path in (os.path.abspath(root), os.path.realpath(root)))
    _files.clear()


def relative(file: str) -> Optional[str]:
    """Path of a project file relative to the root, None for a file that is not the user's own."""
    try:
        return _files[file]
    except KeyError:
        known = _files[file] = _relative(file)
        return known


def _relative(file: str) -> Optional[str]:
    if file.startswith("<"):
        return None
    path = os.path.abspath(file)
    if path.startswith(_AGENT):
        return None
    for root in _roots:
        if path.startswith(root):
            below = path[len(root) :]
            return None if any(part in "/" + below for part in FOREIGN) else below
    return None


def name_of(code: CodeType) -> str:
    """Qualified name of a function's code, its bare name before Python 3.11."""
    return getattr(code, "co_qualname", code.co_name)


def here(depth: int = 1) -> Optional[Place]:
    """Place of the innermost frame of the project's own code, seen from the caller."""
    frame: Optional[FrameType] = _get_frame(depth)
    files = _files
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        file = files[name] if name in files else relative(name)
        if file is not None:
            return [file, frame.f_lineno, name_of(code)]
        frame = frame.f_back
    return None


def place_in(trace: Optional[TracebackType]) -> Optional[Place]:
    """Place of the innermost frame of the project's own code in a traceback."""
    found: Optional[Place] = None
    while trace is not None:
        code = trace.tb_frame.f_code
        file = relative(code.co_filename)
        if file is not None:
            found = [file, trace.tb_lineno, name_of(code)]
        trace = trace.tb_next
    return found


def type_name(kind: type) -> str:
    """Qualified name of a class: `sqlite3.OperationalError`; builtins stay bare."""
    module = getattr(kind, "__module__", "") or ""
    name = getattr(kind, "__qualname__", kind.__name__)
    return name if module in ("builtins", "") else module + "." + name


def text_of(value: object, limit: int = 2000) -> str:
    """`str(value)`, cut; the prototype's own `__str__` may do anything, so it may fail."""
    try:
        return str(value)[:limit]
    except Exception as error:  # noqa: BLE001
        return "<" + type(value).__name__ + " whose text cannot be had: " + type(error).__name__ + ">"


def _without_agent(told: Any, depth: int = 0) -> None:  # noqa: ANN401
    """Leave the agent's own frames out: they are none of the prototype's business."""
    if told is None or depth > 20:  # noqa: PLR2004
        return
    told.stack = traceback.StackSummary.from_list([each for each in told.stack if not each.filename.startswith(_AGENT)])
    _without_agent(told.__cause__, depth + 1)
    _without_agent(told.__context__, depth + 1)


def failure(error: BaseException, place: Optional[Place] = None) -> Dict[str, Any]:
    """Tell an exception as the protocol's FAILURE."""
    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__, limit=-40)
        _without_agent(whole)
        told = "".join(whole.format())[-8000:]
    except Exception:  # noqa: BLE001
        told = ""
    return {
        "type": type_name(type(error)),
        "message": text_of(error),
        "place": place or place_in(error.__traceback__),
        "traceback": told,
    }
