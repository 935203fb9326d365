"""Owns threads that a handler starts and leaves running: what they do belongs to its request."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from . import aside, frames
from .recorder import RECORDER

PATIENCE = 1.0
"""Seconds that a request waits for the threads which it started."""
HOLD = 2.0
"""Seconds that a thread waits for the answer at most: its handler may wait for the thread."""
LOOK, QUIET = 0.05, 8
"""Seconds between looks at what goes on, and looks without anything after which it is over."""
_SCHEDULED, _SCHEDULERS = 60, ("dbos", "apscheduler", "huey", "schedule")
"""Looks where a scheduler of the process looks every second itself, and by what it is known."""
_IDLE = ("threading.py", "queue.py", "selectors.py")
"""Where a thread stands that waits for work."""
_SPAWNED: list[threading.Thread] = []


def install() -> None:
    """Note threads that the project's own code starts while a request is served."""
    original = threading.Thread.start

    def start(self: threading.Thread) -> Any:
        if RECORDER.active and frames.relative(sys._getframe(1).f_code.co_filename) is not None:
            _SPAWNED.append(self)
            if RECORDER.patience or RECORDER.dies is not None:
                _hold(self)
        return original(self)

    threading.Thread.start = start  # type: ignore[method-assign]


def _hold(thread: threading.Thread) -> None:
    """Let a thread run once the client has its answer, as it may anyway; where the handler waits for it, a little later."""
    run: Any = thread.run

    def held() -> None:
        RECORDER.whole.wait(HOLD)
        run()

    thread.run = held  # type: ignore[method-assign]


def quiet() -> int:
    """After how many looks without anything it is over."""
    return _SCHEDULED if any(each in sys.modules for each in _SCHEDULERS) else QUIET


def busy() -> bool:
    """Whether a thread beside this one is at work in the project's own code, rather than waiting for some."""
    own = (threading.get_ident(), threading.main_thread().ident)
    for ident, innermost in list(sys._current_frames().items()):
        if ident in own or innermost.f_code.co_filename.endswith(_IDLE):
            continue
        frame: Any = innermost
        while frame is not None:
            if frames.relative(frame.f_code.co_filename) is not None:
                return True
            frame = frame.f_back
    return False


def patient(seconds: float) -> None:
    """Wait until no thread is at work any more; what rested meanwhile goes on."""
    aside.free()
    until, still = time.monotonic() + seconds, 0
    while time.monotonic() < until and still < quiet():
        count = len(RECORDER.statements)
        time.sleep(LOOK)
        still = 0 if busy() or len(RECORDER.statements) != count else still + 1


def join() -> None:
    """Wait for the threads that this request started."""
    if not _SPAWNED:
        return
    deadline = time.monotonic() + PATIENCE
    while _SPAWNED:
        thread = _SPAWNED.pop()
        if thread.ident is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
