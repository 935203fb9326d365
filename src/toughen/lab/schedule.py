"""Owns forced schedules: two requests in two processes, the first stopped before one of its statements."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.lab import observe
from toughen.lab.child import REQUEST_SECONDS, Record

if TYPE_CHECKING:
    from toughen.lab.boot import Lab
    from toughen.lab.child import Child
    from toughen.model.trace import Exchange

RECORD = Record(sql=2)
_TO_THE_END = -1
_RETRIES = 3
"""A lock that is still held when the other request has ended belongs to nobody who will release it."""


@dataclass(slots=True)
class _Runner:
    """One gated request on its way."""

    name: str
    child: Child
    request: dict[str, Any]
    log: list[str]
    answer: dict[str, Any] | None = None
    ended: str = "answered"
    waiting: dict[str, Any] | None = None
    """The frame at which it stands: `at` a statement, or `blocked` by a lock."""
    retries: int = 0

    def start(self) -> None:
        self.child.connection.send({"do": "serve", "requests": [self.request], "record": RECORD.frame()})

    @property
    def done(self) -> bool:
        return self.answer is not None or self.ended != "answered"

    @property
    def blocked(self) -> bool:
        return self.waiting is not None and "blocked" in self.waiting

    def go(self, until: int | None) -> None:
        self.waiting = None
        self.child.connection.send({"go": until})

    def retry(self, *, again: bool) -> None:
        self.waiting = None
        self.child.connection.send({"retry": again})

    def read(self, timeout: float) -> None:
        """Wait for the next word: a stop, a lock, or the answer."""
        try:
            frame = self.child.connection.receive(timeout)
        except (TimeoutError, AgentLostError) as error:
            self.ended = "timeout" if isinstance(error, TimeoutError) else "died"
            self.child.kill()
            return
        if "at" in frame or "blocked" in frame:
            self.waiting = frame
        else:
            self.answer = frame
            self.child.note(frame)

    def exchange(self) -> Exchange:
        return observe.exchange(self.answer or {}, self.request, ended=self.ended if self.answer is None else "answered")


@dataclass(slots=True)
class Interleaving:
    """What came of a forced schedule."""

    first: Exchange
    second: Exchange
    log: list[str] = field(default_factory=list)
    stopped: bool = True
    """False when the first request never reached the statement at which it should have stopped."""


def force(lab: Lab, first: dict[str, Any], second: dict[str, Any], stop_before: int, *, apart: float = 0.0) -> Interleaving:
    """Run `first` up to its statement number `stop_before`, `second` whole, then `first` to its end.

    A statement that waits for the other's lock lets the other go on; when both wait, the one that was stopped fails
    with the driver's own error, as SQLite does where waiting would be a deadlock (sqlite.org/c3ref/busy_handler.html).
    Raises AgentLostError.
    """
    log: list[str] = []
    children = [lab.child(gate=True), lab.child(gate=True)]
    one, two = (_Runner(name, child, request, log) for name, child, request in zip("AB", children, (first, second), strict=True))
    deadline = time.monotonic() + 2 * REQUEST_SECONDS
    try:
        one.start()
        one.read(REQUEST_SECONDS)
        if one.waiting is not None and one.waiting.get("at") != stop_before:
            one.go(stop_before)
            one.read(REQUEST_SECONDS)
        stopped = one.waiting is not None and one.waiting.get("at") == stop_before
        if stopped:
            log.append(f"A stops before: {_text(one)}")
        time.sleep(apart)
        two.start()
        two.read(REQUEST_SECONDS)
        if two.waiting is not None and "at" in two.waiting:
            two.go(_TO_THE_END)
            two.read(REQUEST_SECONDS)
        log.append("B waits for a lock" if two.blocked else "B runs to its end")
        time.sleep(apart)
        _finish(one, two, deadline, log)
    finally:
        for child in children:
            child.close()
    return Interleaving(one.exchange(), two.exchange(), log, stopped)


def _finish(one: _Runner, two: _Runner, deadline: float, log: list[str]) -> None:
    """Let both go on until both have answered."""
    if one.waiting is not None and "at" in one.waiting:
        one.go(_TO_THE_END)
    while not (one.done and two.done) and time.monotonic() < deadline:
        if one.blocked and two.blocked:
            log.append("A and B wait for each other: A gets the driver's error")
            one.retry(again=False)
        else:
            for each, other in ((one, two), (two, one)):
                if each.blocked and other.done:
                    log.append(f"{other.name} is done, {each.name} goes on")
                    each.retries += 1
                    each.retry(again=each.retries <= _RETRIES)
        going = [each for each in (one, two) if not each.done and each.waiting is None]
        if not going:
            for each in (one, two):
                if each.waiting is not None and "at" in each.waiting:
                    each.go(_TO_THE_END)
            continue
        ready, _, _ = select.select([each.child.connection for each in going], [], [], 0.5)
        for each in going:
            if each.child.connection in ready:
                each.read(1.0)
    for each in (one, two):
        if not each.done:
            each.ended = "timeout"
            each.child.kill()


def _text(runner: _Runner) -> str:
    statement = (runner.waiting or {}).get("statement") or {}
    return " ".join(str(statement.get("text", "")).split())[:200]
