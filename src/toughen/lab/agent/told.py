"""Owns what a process lets the people who run it know while it serves a request: what it writes out, to logs, and to files."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import threading
import time
from typing import Any

from . import frames

BYTES = 200_000
"""Of each place that is written to, what is kept."""
RECORDS = 200
_TEXT = 2000
_GLANCE = 0.05
"""Seconds that threads which write for others have to do it."""


class Told:
    """What was written during one request."""

    def __init__(self) -> None:
        """Lead standard output and error into a file that nobody else sees, and remember how long log files are."""
        _flush()
        self.records: list[dict[str, Any]] = []
        self._file = _unnamed()
        self._kept: list[tuple[int, int]] = []
        for number in (1, 2):
            with contextlib.suppress(OSError):
                self._kept.append((number, os.dup(number)))
                os.dup2(self._file, number)
        self._sizes = _open_files()

    def note(self, record: Any) -> None:
        """Keep a record of `logging`'s."""
        if len(self.records) < RECORDS:
            try:
                message = str(record.getMessage())
            except Exception:
                message = str(record.msg)
            own = frames.relative(record.pathname) is not None
            told = {"level": int(record.levelno), "logger": str(record.name), "message": message[:_TEXT], "own": own}
            self.records.append(told)

    def end(self) -> dict[str, Any]:
        """Put everything back; tell what was written, log records, and what log files have grown by."""
        if threading.active_count() > 1:
            time.sleep(_GLANCE)
        _flush()
        for number, kept in self._kept:
            os.dup2(kept, number)
            os.close(kept)
        written = _read(self._file, 0)
        os.close(self._file)
        if written:
            with contextlib.suppress(OSError):
                os.write(2, written.encode("utf-8", "replace"))
        files = []
        for number, (path, size) in _open_files().items():
            before = self._sizes.get(number, (path, 0))[1]
            text = _grown(path, before) if size > before else ""
            if text:
                files.append([path, text])
        return {"written": written, "records": self.records, "files": files}


NOW: Told | None = None
"""What the request at hand tells; None where nobody asked for it."""


def begin() -> None:
    """Listen to the request that begins."""
    global NOW
    NOW = Told()


def end() -> dict[str, Any]:
    """What was told since."""
    global NOW
    told, NOW = NOW, None
    return told.end() if told is not None else {}


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        # The prototype may have closed or replaced it.
        with contextlib.suppress(Exception):
            stream.flush()  # type: ignore[union-attr]


def _unnamed() -> int:
    make = getattr(os, "memfd_create", None)
    if make is not None:
        with contextlib.suppress(OSError):
            return int(make("told"))
    number, path = tempfile.mkstemp()
    os.unlink(path)
    return number


def _read(number: int, since: int) -> str:
    with contextlib.suppress(OSError):
        return os.pread(number, BYTES, since).decode("utf-8", "replace")
    return ""


def _grown(path: str, since: int) -> str:
    """Text that a file has got; empty where it is no text."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        text = os.pread(number, BYTES, since)
    except OSError:
        return ""
    finally:
        os.close(number)
    if b"\0" in text:
        return ""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _open_files() -> dict[int, tuple[str, int]]:
    """(path, size) of the files that this process holds open, by their number among all files."""
    found: dict[int, tuple[str, int]] = {}
    try:
        numbers = os.listdir("/proc/self/fd")
    except OSError:
        return found
    for name in numbers:
        try:
            about = os.stat("/proc/self/fd/" + name)
            path = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if stat.S_ISREG(about.st_mode) and path[:1] == "/" and "memfd:" not in path and not path.endswith("(deleted)"):
            found[about.st_ino] = (path, about.st_size)
    return found
