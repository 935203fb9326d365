"""Owns threads that a handler starts and leaves running: what they do belongs to its request."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from . import frames
from .recorder import RECORDER

PATIENCE = 1.0
"""Seconds that a request waits for the threads which it started."""
_SPAWNED: list[threading.Thread] = []


def install() -> None:
    """Note threads that the project's own code starts while a request is served."""
    original = threading.Thread.start

    def start(self: threading.Thread) -> Any:
        if RECORDER.active and frames.relative(sys._getframe(1).f_code.co_filename) is not None:
            _SPAWNED.append(self)
        return original(self)

    threading.Thread.start = start  # type: ignore[method-assign]


def join() -> None:
    """Wait for the threads that this request started."""
    if not _SPAWNED:
        return
    deadline = time.monotonic() + PATIENCE
    while _SPAWNED:
        thread = _SPAWNED.pop()
        if thread.ident is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
