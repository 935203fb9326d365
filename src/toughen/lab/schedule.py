"""Owns forced schedules: two requests in two processes, the first stopped before one of its statements."""

from __future__ import annotations

import select
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.lab.child import REQUEST_SECONDS
from toughen.lab.runner import TO_THE_END, Runner

if TYPE_CHECKING:
    from toughen.lab.boot import Lab
    from toughen.model.trace import Exchange, Turn

_RETRIES = 3
"""A lock that is still held when the other request has ended belongs to nobody who will release it."""


@dataclass(slots=True)
class Interleaving:
    """What came of a forced schedule."""

    first: Exchange
    second: Exchange
    log: list[str] = field(default_factory=list)
    stopped: bool = True
    """False when the first request never reached the statement at which it should have stopped."""
    turns: list[Turn] = field(default_factory=list)


def force(lab: Lab, first: dict[str, Any], second: dict[str, Any], stop_before: int, *, apart: float = 0.0) -> Interleaving:
    """Run `first` up to its statement number `stop_before`, `second` whole, then `first` to its end.

    A statement that waits for the other's lock lets the other go on; when both wait, the one that was stopped fails
    with the driver's own error, as SQLite does where waiting would be a deadlock (sqlite.org/c3ref/busy_handler.html);
    but not at its COMMIT, which waits for readers only: it is the reader who wants to write that SQLite turns away.
    Raises AgentLostError.
    """
    log: list[str] = []
    children = [lab.child(gate=True), lab.child(gate=True)]
    turns: list[Turn] = []
    one, two = (Runner(name, child, request, turns=turns) for name, child, request in zip("AB", children, (first, second), strict=True))
    deadline = time.monotonic() + 2 * REQUEST_SECONDS
    try:
        stopped = one.reach(stop_before, REQUEST_SECONDS)
        if stopped:
            log.append(f"A stops before: {_text(one)}")
        time.sleep(apart)
        two.start()
        two.read(REQUEST_SECONDS)
        if two.waiting is not None and "at" in two.waiting:
            two.go(TO_THE_END)
            two.read(REQUEST_SECONDS)
        log.append("B waits for a lock" if two.blocked else "B runs to its end")
        time.sleep(apart)
        _finish(one, two, deadline, log)
    finally:
        for child in children:
            child.close()
    return Interleaving(one.exchange(), two.exchange(), log, stopped, turns)


def _finish(one: Runner, two: Runner, deadline: float, log: list[str]) -> None:
    """Let both go on until both have answered."""
    if one.waiting is not None and "at" in one.waiting:
        one.go(TO_THE_END)
    while not (one.done and two.done) and time.monotonic() < deadline:
        if one.blocked and two.blocked:
            loser = two if (one.waiting or {}).get("commits") else one
            # A server finds the deadlock itself, and chooses.
            who = loser.name if "is locked" in str((loser.waiting or {}).get("error")) else "one of them"
            log.append(f"A and B wait for each other: {who} gets the driver's error")
            loser.retry(again=False)
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
                    each.go(TO_THE_END)
            continue
        ready, _, _ = select.select([each.child.connection for each in going], [], [], 0.5)
        for each in going:
            if each.child.connection in ready:
                each.read(1.0)
    for each in (one, two):
        if not each.done:
            each.ended = "timeout"
            each.child.kill()


def _text(runner: Runner) -> str:
    statement = (runner.waiting or {}).get("statement") or {}
    return " ".join(str(statement.get("text", "")).split())[:200]
