"""Owns what runs by itself beside the requests: loops in threads, schedulers, tasks of the start-up. Its time stands still, but where a trial waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import queue
import sys
import threading
import time
import weakref
from datetime import datetime
from typing import TYPE_CHECKING, Any

from . import frames
from .recorder import RECORDER

if TYPE_CHECKING:
    from types import ModuleType

    from .hooks import Finder

BEGUN: contextvars.ContextVar[bool] = contextvars.ContextVar("toughen_begun", default=False)
"""Set in the start-up's own task, and in those that it makes."""
SETTLES, LOOK = 2.0, 0.01
"""Seconds that what the import began has to come to its first rest, and between two looks."""
_SCHEDULERS = ("/apscheduler/", "/fastapi_utils/", "/fastapi_restful/", "/aiocron/")
_POLL = 0.05
_real_sleep, _real_async_sleep, _wait = time.sleep, asyncio.sleep, threading.Event.wait
_loops: dict[threading.Thread, None] = {}
"""Threads that the project, or a scheduler of its, began outside of a request."""
_resting: dict[threading.Thread, Any] = {}
"""Those of them that sleep, with the event that they wait for; after a fork they are there no more."""
_workers: weakref.WeakSet[Any] = weakref.WeakSet()
"""Tasks and threads that wait for work rather than for the clock: whoever gives them some may wait for them."""
_sleepers: weakref.WeakSet[Any] = weakref.WeakSet()
"""Tasks of the start-up that sleep."""
_TURNS = 5
_schedulers: weakref.WeakSet[Any] = weakref.WeakSet()
_freed = threading.Event()


class _Now:
    starts = True
    """Whether the import, or the start-up, goes on: what is due then is done."""


def install(finder: Finder) -> None:
    """Note what begins outside of requests, and have its sleep last."""
    start = threading.Thread.start

    def begin(self: threading.Thread) -> Any:
        if not RECORDER.active and not _freed.is_set() and _of_the_project(self):
            _loops[self] = None
        return start(self)

    threading.Thread.start = begin  # type: ignore[method-assign]
    threading.Event.wait = _wait_or_rest  # type: ignore[method-assign]
    _tell_workers()
    finder.when("apscheduler.schedulers.base", _holds)
    finder.when("apscheduler.executors.base", _never_late)


def _tell_workers() -> None:
    """Whoever takes work out of a queue is told from whoever goes by the clock."""
    get, wait = queue.Queue.get, asyncio.Queue.get

    def taking(self: Any, *args: Any, **keywords: Any) -> Any:
        if _loops and not _freed.is_set():
            _loops.pop(threading.current_thread(), None)
        return get(self, *args, **keywords)

    async def waiting(self: Any) -> Any:
        if BEGUN.get():
            _workers.add(asyncio.current_task())
        return await wait(self)

    queue.Queue.get, asyncio.Queue.get = taking, waiting  # type: ignore[method-assign]


def _of_the_project(thread: threading.Thread) -> bool:
    does: Any = getattr(thread, "_target", None) or getattr(thread, "function", None) or type(thread).run
    for _ in range(3):
        does = getattr(does, "func", does)
    code = getattr(does, "__code__", None)
    return keeps(str(getattr(code, "co_filename", "")))


# -- rest ---------------------------------------------------------------------------------------------------------------


def _held() -> bool:
    return not _Now.starts and not _freed.is_set()


def sleeps(seconds: Any) -> bool:
    """Whether it is such a thread that sleeps; its sleep ends once it may go on."""
    if not _loops or _freed.is_set() or not isinstance(seconds, (int, float)) or seconds < 0:
        return False
    thread = threading.current_thread()
    if thread not in _loops:
        return False
    _resting[thread] = None
    _wait(_freed, min(seconds, threading.TIMEOUT_MAX))
    if _held():
        _wait(_freed)
    _resting.pop(thread, None)
    return True


def _wait_or_rest(self: threading.Event, timeout: float | None = None) -> bool:
    """Wait; where such a thread waits for its next turn, that comes once it may go on, or is told to."""
    if not _loops or self is _freed or _freed.is_set():
        return _wait(self, timeout)
    thread = threading.current_thread()
    if thread not in _loops:
        return _wait(self, timeout)
    _resting[thread] = self
    told = _wait(self, timeout)
    if not told and _held():
        # Whoever frees it wakes it without a word.
        _wait(self)
        told = self.is_set()
    _resting.pop(thread, None)
    return told


def rests(file: str) -> bool:
    """Whether who sleeps in that file is a task of the start-up, or of a thread that began beside the requests, and its time stands still."""
    beside = BEGUN.get() or (bool(_loops) and threading.current_thread() in _loops)
    return beside and not _freed.is_set() and asyncio.current_task() not in _workers and keeps(file)


def keeps(file: str) -> bool:
    """Whether a file is the project's own, or one of those that do its work by the clock."""
    return frames.relative(file) is not None or any(each in file for each in _SCHEDULERS)


async def turns(delay: Any, result: Any) -> Any:
    """Sleep, as a task that no request made, until it is its turn and it may go on."""
    task, until = asyncio.current_task(), time.monotonic() + delay
    _sleepers.add(task)
    try:
        await _real_async_sleep(0)
        while not _freed.is_set() and (_held() or time.monotonic() < until):
            await _real_async_sleep(_POLL if _held() else max(0.0, min(_POLL, until - time.monotonic())))
    finally:
        _sleepers.discard(task)
    return result


async def first_turns(own: set[Any]) -> None:
    """Let tasks that the start-up made, beside its own, come to their first rest: else the first request would meet them."""
    for _ in range(_TURNS):
        await _real_async_sleep(0)
    for _ in range(_TURNS):
        others = asyncio.all_tasks() - own
        if all(each in _sleepers for each in others):
            return
        await _real_async_sleep(LOOK / 2)


def settled() -> None:
    """Wait until what was begun rests, and is as good as not there: what a fork leaves behind begins anew when it may."""
    until = time.monotonic() + SETTLES
    while any(each.is_alive() and each not in _resting for each in list(_loops)) and time.monotonic() < until:
        _real_sleep(LOOK)
    _Now.starts = False


def resting() -> set[threading.Thread]:
    """Threads that a forked process can do without."""
    return set(_resting)


def starts(now: bool) -> None:
    """Say whether the start-up goes on."""
    _Now.starts = now


def free() -> None:
    """Let all of it go on: what sleeps wakes, and what a fork left behind begins anew."""
    if _freed.is_set():
        return
    left = dict(_resting)
    _freed.set()
    for thread, event in left.items():
        if not thread.is_alive():
            threading.Thread(target=thread.run, daemon=True).start()
        elif event is not None:
            with event._cond:
                event._cond.notify_all()
    for each in list(_schedulers):
        with contextlib.suppress(Exception):
            each.wakeup()


# -- APScheduler ----------------------------------------------------------------------------------------------------------


def _holds(module: ModuleType) -> None:
    """No job of a scheduler's falls due while its time stands still; what is due as it starts is done then."""
    kind: Any = vars(module)["BaseScheduler"]
    start, process = kind.start, kind._process_jobs

    def starting(self: Any, *args: Any, **keywords: Any) -> Any:
        _schedulers.add(self)
        return start(self, *args, **keywords)

    def processing(self: Any) -> Any:
        if _freed.is_set():
            return process(self)
        if _Now.starts:
            _at_once(self)
        return None

    kind.start, kind._process_jobs = starting, processing


def _at_once(scheduler: Any) -> None:
    """Do what the project wants done at its start (`next_run_time=datetime.now()`), once, by this thread."""
    for job in scheduler.get_jobs():
        due = getattr(job, "next_run_time", None)
        now = datetime.now(due.tzinfo) if due is not None else None
        if due is None or now is None or due > now or inspect.iscoroutinefunction(job.func):
            continue
        following = job.trigger.get_next_fire_time(due, now)
        job.modify(next_run_time=following) if following is not None else job.remove()
        try:
            job.func(*job.args, **job.kwargs)
        except Exception as error:
            sys.stderr.write("toughen_agent: a job failed as it started: " + repr(error) + "\n")


def _never_late(module: ModuleType) -> None:
    """A job that fell due while time stood still is done all the same."""

    def however_late(original: Any) -> Any:
        def run(job: Any, *args: Any) -> Any:
            job.misfire_grace_time = None
            return original(job, *args)

        return run

    for name in ("run_job", "run_coroutine_job"):
        vars(module)[name] = however_late(vars(module)[name])
