"""Owns the project's own frames: which code is the user's, places in it, and how an exception is told."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType

Place = list[Any]

FOREIGN = ("/site-packages/", "/dist-packages/", "/.venv/", "/venv/", "/.tox/", "/node_modules/")
"""Folders inside the project that hold the code of others."""

_AGENT = os.path.dirname(os.path.abspath(__file__)) + os.sep
_get_frame = sys._getframe
_files: dict[str, str | None] = {}
_roots: list[str] = []


def own(root: str) -> None:
    """Say where the project lies; frames of files below it are the user's own."""
    _roots[:] = dict.fromkeys(os.path.join(path, "") for path in (os.path.abspath(root), os.path.realpath(root)))
    _files.clear()


def relative(file: str) -> str | None:
    """Path of a project file relative to the root, None for a file that is not the user's own."""
    try:
        return _files[file]
    except KeyError:
        known = _files[file] = _relative(file)
        return known


def _relative(file: str) -> str | None:
    if file.startswith("<"):
        return None
    path = os.path.abspath(file)
    if path.startswith(_AGENT) or (path != file and not os.path.isfile(path)):
        # Compiled modules name the file that they were made from, wherever that was: `asyncpg/protocol/protocol.pyx`.
        return None
    for root in _roots:
        if path.startswith(root):
            below = path[len(root) :]
            return None if any(part in "/" + below for part in FOREIGN) else below
    return None


def below(path: str) -> str | None:
    """Path of a folder relative to the root, None for one that lies elsewhere; nothing is remembered of it."""
    place = os.path.join(os.path.abspath(path), "")
    for root in _roots:
        if place.startswith(root):
            inner = place[len(root) :].rstrip(os.sep)
            return None if any(part in "/" + inner + "/" for part in FOREIGN) else inner
    return None


def name_of(code: CodeType) -> str:
    """Qualified name of a function's code, its bare name before Python 3.11."""
    return getattr(code, "co_qualname", code.co_name)


def here(depth: int = 1) -> Place | None:
    """Place of the innermost frame of the project's own code, seen from the caller."""
    frame: FrameType | None = _get_frame(depth)
    files = _files
    while frame is not None:
        code = frame.f_code
        name = code.co_filename
        file = files[name] if name in files else relative(name)
        if file is not None:
            return [file, frame.f_lineno, name_of(code)]
        frame = frame.f_back
    return None


def running(thread: int | None) -> Place | None:
    """Place of the innermost frame of the project's own code that a thread executes now."""
    frame = sys._current_frames().get(thread or 0)
    while frame is not None:
        file = relative(frame.f_code.co_filename)
        if file is not None:
            return [file, frame.f_lineno, name_of(frame.f_code)]
        frame = frame.f_back
    return None


def waiting(task: Any) -> Place | None:
    """Place of the innermost frame of the project's own code among the coroutines that a task waits in."""
    found: Place | None = None
    step = task.get_coro()
    for _ in range(200):
        frame = getattr(step, "cr_frame", None) or getattr(step, "ag_frame", None) or getattr(step, "gi_frame", None)
        if frame is not None:
            file = relative(frame.f_code.co_filename)
            if file is not None:
                found = [file, frame.f_lineno, name_of(frame.f_code)]
        step = getattr(step, "cr_await", None) or getattr(step, "ag_await", None) or getattr(step, "gi_yieldfrom", None)
        if step is None:
            break
    return found


def place_in(trace: TracebackType | None) -> Place | None:
    """Place of the innermost frame of the project's own code in a traceback."""
    found: Place | None = None
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
    except Exception as error:
        return "<" + type(value).__name__ + " whose text cannot be had: " + type(error).__name__ + ">"


def _without_agent(told: Any, depth: int = 0) -> None:
    """Leave the agent's own frames out: they are none of the prototype's business."""
    if told is None or depth > 20:
        return
    told.stack = traceback.StackSummary.from_list([each for each in told.stack if not each.filename.startswith(_AGENT)])
    _without_agent(told.__cause__, depth + 1)
    _without_agent(told.__context__, depth + 1)


def failure(error: BaseException, place: Place | None = None) -> dict[str, Any]:
    """Tell an exception as the protocol's FAILURE."""
    try:
        whole = traceback.TracebackException(type(error), error, error.__traceback__, limit=-40)
        _without_agent(whole)
        told = "".join(whole.format())[-8000:]
    except Exception:
        told = ""
    return {
        "type": type_name(type(error)),
        "message": text_of(error),
        "place": place or place_in(error.__traceback__),
        "traceback": told,
    }


def forget(error: BaseException | None) -> None:
    """Let go of what the frames of an exception hold (connections, and their locks), as a server does that has answered."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
