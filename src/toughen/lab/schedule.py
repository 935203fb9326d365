"""Owns forced schedules: requests in processes of their own, the first stopped before one of its statements while another runs whole."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.lab.child import REQUEST_SECONDS
from toughen.lab.runner import TO_THE_END, Runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.lab.boot import Lab
    from toughen.model.trace import Exchange, Turn

_RETRIES = 3
"""A lock that is still held when every other request has ended belongs to nobody who will release it."""


@dataclass(slots=True)
class Interleaving:
    """What came of a forced schedule."""

    exchanges: tuple[Exchange, ...]
    """In the order of the requests."""
    log: list[str] = field(default_factory=list)
    stopped: bool = True
    """False when the first request never reached a statement at which it should have stopped."""
    turns: list[Turn] = field(default_factory=list)


def force(lab: Lab, requests: Sequence[dict[str, Any]], stops: Sequence[int], *, apart: float = 0.0) -> Interleaving:
    """Run the first up to its statement number `stops[0]`, the second whole, the first up to `stops[1]`, a third whole, and the first to its end.

    A statement that waits for another's lock lets the others go on; when all wait, the one that was stopped fails
    with the driver's own error, as SQLite does where waiting would be a deadlock (sqlite.org/c3ref/busy_handler.html);
    but not at its COMMIT, which waits for readers only: it is the reader who wants to write that SQLite turns away.
    Raises AgentLostError.
    """
    log: list[str] = []
    children = [lab.child(gate=True) for _ in requests]
    turns: list[Turn] = []
    runners = [Runner(name, child, request, turns=turns) for name, child, request in zip("ABC", children, requests, strict=False)]
    one, others = runners[0], runners[1:]
    deadline = time.monotonic() + 2 * REQUEST_SECONDS
    try:
        stopped = True
        for stop, other in zip(stops, others, strict=False):
            stopped = one.reach(stop, REQUEST_SECONDS) and stopped
            if stopped:
                log.append(f"A stops before: {_text(one)}")
            time.sleep(apart)
            other.start()
            other.read(REQUEST_SECONDS)
            if other.waiting is not None and "at" in other.waiting:
                other.go(TO_THE_END)
                other.read(REQUEST_SECONDS)
            log.append(f"{other.name} waits for a lock" if other.blocked else f"{other.name} runs to its end")
            time.sleep(apart)
        _finish(runners, deadline, log)
    finally:
        for child in children:
            child.close()
    return Interleaving(tuple(each.exchange() for each in runners), log, stopped, turns)


def _finish(runners: Sequence[Runner], deadline: float, log: list[str]) -> None:
    """Let all go on until each has answered."""
    while not all(each.done for each in runners) and time.monotonic() < deadline:
        undone = [each for each in runners if not each.done]
        for each in undone:
            if each.waiting is not None and "at" in each.waiting:
                each.go(TO_THE_END)
        if all(each.blocked for each in undone):
            _unlock(undone, [each for each in runners if each.done], log)
        going = [each for each in undone if each.waiting is None]
        ready, _, _ = select.select([each.child.connection for each in going], [], [], 0.5)
        for each in going:
            if each.child.connection in ready:
                each.read(1.0)
    for each in runners:
        if not each.done:
            each.ended = "timeout"
            each.child.kill()


def _unlock(waiting: Sequence[Runner], done: Sequence[Runner], log: list[str]) -> None:
    """Have those try again whose lock may have gone with somebody who is done; where that is nobody, one of them loses."""
    freed = [each for each in waiting if each.retries < _RETRIES] if len(waiting) == 1 else [each for each in waiting if each.retries < len(done)]
    if len(waiting) > 1 and not freed:
        # The one that was stopped waits for another one, and may not wait where it only commits: readers go.
        first = waiting[0]
        loser = waiting[1] if (first.waiting or {}).get("commits") else first
        # A server finds the deadlock itself, and chooses.
        who = loser.name if "is locked" in str((loser.waiting or {}).get("error")) else "one of them"
        log.append(f"{' and '.join(each.name for each in waiting)} wait for each other: {who} gets the driver's error")
        loser.retry(again=False)
        return
    for each in freed or waiting:
        log.append(f"{' and '.join(one.name for one in done)} {'is' if len(done) == 1 else 'are'} done, {each.name} goes on")
        each.retries += 1
        each.retry(again=bool(freed))


def _text(runner: Runner) -> str:
    statement = (runner.waiting or {}).get("statement") or {}
    return " ".join(str(statement.get("text", "")).split())[:200]
