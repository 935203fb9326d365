"""Owns two requests in one process: the first stands still at a line or at an await of the project's, while the second runs whole."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable

from . import frames

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator
    from types import FrameType

FIRST: contextvars.ContextVar[bool] = contextvars.ContextVar("toughen_first", default=False)
"""Set in everything that the first request runs in: its task, the tasks that it makes, the worker threads that it borrows."""
REACH, STILL, LOOK, END = 5.0, 0.5, 0.01, 5.0
"""Seconds that the first has to come to its place, without a step after which the second waits for the first, between looks, and that both have to end."""


class Hold:
    """The place at which the first request stands still."""

    def __init__(self, stop: dict[str, Any]) -> None:
        """`{"file": path below the root, "line": number}`, or `{"awaits": how many times it has given way before}`."""
        self._file = str(stop.get("file") or "")
        self._line = int(stop.get("line") or 0)
        self._awaits = int(stop.get("awaits") or 0)
        self.reached = threading.Event()
        self.go = threading.Event()

    # lines

    def trace(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        """Trace function of the threads that serve: frames of that file are followed line by line."""
        if event == "call" and not self.reached.is_set() and frames.relative(frame.f_code.co_filename) == self._file:
            return self._local
        return None

    def _local(self, frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
        if event == "line" and frame.f_lineno == self._line and not self.reached.is_set() and FIRST.get():
            self.reached.set()
            self.go.wait(END)
        return self._local

    # awaits

    def wraps(self, coroutine: Any) -> Any:
        """A coroutine of the first request's, made to stand still after that many awaits in the project's code."""
        return self._driven(coroutine) if self._awaits and FIRST.get() else coroutine

    async def _driven(self, coroutine: Any) -> Any:
        return await _Steps(self, coroutine)

    def steps(self, coroutine: Any) -> Generator[Any, Any, Any]:
        """Pass on what a coroutine waits for; once it has given way often enough, wait for the second request as well."""
        sent: Any = None
        error: BaseException | None = None
        while True:
            try:
                waited = coroutine.send(sent) if error is None else coroutine.throw(error)
            except StopIteration as stop:
                return stop.value
            stands = False
            if not self.reached.is_set() and _in_the_project(coroutine):
                self._awaits -= 1
                stands = self._awaits <= 0
                if stands:
                    self.reached.set()
            sent, error = None, None
            try:
                sent = yield waited
                while stands and not self.go.is_set():
                    yield from asyncio.sleep(LOOK).__await__()
            except BaseException as raised:
                error = raised


class _Steps:
    def __init__(self, hold: Hold, coroutine: Any) -> None:
        self._hold, self._coroutine = hold, coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._hold.steps(self._coroutine)


def _in_the_project(coroutine: Any) -> bool:
    """Whether a suspended coroutine stands in the project's own code, on its way to what it waits for."""
    inner: Any = coroutine
    for _ in range(200):
        frame = getattr(inner, "cr_frame", None) or getattr(inner, "gi_frame", None) or getattr(inner, "ag_frame", None)
        if frame is not None and frames.relative(frame.f_code.co_filename) is not None:
            return True
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None) or getattr(inner, "ag_await", None)
        if inner is None:
            return False
    return False


def in_threads(hold: Hold, first: Callable[[], None], second: Callable[[], None]) -> dict[str, Any]:
    """Run two requests in two threads; whether the first stood still, and whether the second waited for it."""
    one, two = _thread(hold, first, leads=True), _thread(hold, second, leads=False)
    one.start()
    until = time.monotonic() + REACH
    while not hold.reached.wait(LOOK) and one.is_alive() and time.monotonic() < until:
        pass
    stood, waited = hold.reached.is_set(), False
    two.start()
    if stood:
        waited = not _runs_to_its_end(two)
    hold.go.set()
    for each in (one, two):
        each.join(END)
    return {"stood": stood, "waited": waited}


def _thread(hold: Hold, serve: Callable[[], None], *, leads: bool) -> threading.Thread:
    def run() -> None:
        FIRST.set(leads)
        sys.settrace(hold.trace)
        try:
            serve()
        finally:
            sys.settrace(None)

    return threading.Thread(target=run, daemon=True)


def _runs_to_its_end(thread: threading.Thread) -> bool:
    """Whether a thread ends while it makes steps; one that stands where it stood waits for somebody."""
    stands, since = (0, 0), time.monotonic()
    until = since + END
    while thread.is_alive() and time.monotonic() < until:
        thread.join(LOOK)
        frame = sys._current_frames().get(thread.ident or 0)
        here = (id(frame.f_code), frame.f_lasti) if frame is not None else (0, 0)
        if here != stands:
            stands, since = here, time.monotonic()
        elif time.monotonic() - since > STILL:
            return False
    return not thread.is_alive()


async def in_tasks(hold: Hold, first: Coroutine[Any, Any, None], second: Coroutine[Any, Any, None], make: Callable[..., Any]) -> dict[str, Any]:
    """Run two requests in two tasks of one loop (and in its worker threads); whether the first stood still, and whether the second waited for it."""
    threading.settrace(hold.trace)
    try:
        leads = contextvars.copy_context()
        leads.run(FIRST.set, True)
        one = leads.run(make, first)
        until = time.monotonic() + REACH
        while not hold.reached.is_set() and not one.done() and time.monotonic() < until:
            await asyncio.wait([one], timeout=LOOK)
        stood = hold.reached.is_set()
        two = contextvars.copy_context().run(make, second)
        waited = False
        if stood:
            _, going = await asyncio.wait([two], timeout=STILL)
            waited = bool(going)
        hold.go.set()
        await asyncio.wait([one, two], timeout=END)
    finally:
        threading.settrace(None)
    return {"stood": stood, "waited": waited}
