"""Owns what befalls one request of a gated child: its process is killed before a statement, or its database fails at one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toughen.lab import observe, servers
from toughen.lab.child import REQUEST_SECONDS, Record
from toughen.lab.runner import TO_THE_END, Runner
from toughen.model.trial import ANSWERED

if TYPE_CHECKING:
    from toughen.lab.child import Child
    from toughen.lab.snapshot import World
    from toughen.model.trace import Exchange
    from toughen.model.trial import Fault, Trial

LOCKED, LOST, FULL = "locked", "lost", "full"
DATABASE = frozenset({LOCKED, LOST, *servers.FAULTS})
_MOST = 20
"""Attempts at a locked statement after which nobody is going to give up."""


def silenced(child: Child, request: dict[str, Any], number: int, patience: float) -> Exchange:
    """Serve a request and end its process before it opens that connection to the world outside; `missed` where it never does."""
    exchange = child.serve(request, Record(sql=2, cut=number, patience=patience))
    child.kill()
    return exchange if exchange.ended == "killed" else replace(exchange, ended="missed")


def killed(child: Child, request: dict[str, Any], before: int) -> Exchange:
    """Serve a request and end its process before that statement, or (-1) when all is done and nobody was told, or (-2) when the client has its answer."""
    if before == ANSWERED:
        exchange = child.serve(request, Record(dies=True))
        child.kill()
        return replace(exchange, ended="killed") if exchange.ended == "answered" else exchange
    runner = Runner("", child, request)
    if before == TO_THE_END:
        runner.reach(0, REQUEST_SECONDS)
        _finish(runner)
        child.kill()
        return replace(runner.exchange(), response=None, ended="killed")
    if runner.reach(before, REQUEST_SECONDS):
        seen = {"outgoing": list((runner.waiting or {}).get("outgoing") or ())}
        child.note(seen)
        child.kill()
        return observe.exchange(seen, request, ended="killed")
    _finish(runner)
    return replace(runner.exchange(), ended="missed")


def failing(child: Child, request: dict[str, Any], fault: Fault, world: World) -> Exchange:
    """Serve a request whose database fails at one of its statements as the fault says; `missed` where that could not be brought about."""
    runner = Runner("", child, request)
    if not runner.reach(fault.at, REQUEST_SECONDS):
        _finish(runner)
        return replace(runner.exchange(), ended="missed")
    if fault.kind in servers.FAULTS or fault.kind == LOST:
        return _served(runner, fault, world)
    refused = 0
    with world.locked() as holds:
        if holds:
            runner.go(TO_THE_END)
            runner.read(REQUEST_SECONDS)
            while runner.blocked and refused < _MOST and (not fault.times or refused < fault.times):
                refused += 1
                runner.retry(again=False)
                runner.read(REQUEST_SECONDS)
    _finish(runner)
    return runner.exchange() if refused else replace(runner.exchange(), ended="missed")


def _served(runner: Runner, fault: Fault, world: World) -> Exchange:
    """What a server does: it answers with an error, or is gone; SQLite can only have no room left."""
    state = servers.state(world.server, fault.kind) if world.server is not None else FULL if fault.kind == FULL else ""
    if not state and (world.server is None or fault.kind != LOST):
        _finish(runner)
        return replace(runner.exchange(), ended="missed")
    if state:
        runner.fail(state, fault.times)
        runner.read(REQUEST_SECONDS)
    elif world.server is not None:
        world.server.hang_up()
    _finish(runner)
    return runner.exchange()


def _finish(runner: Runner) -> None:
    """Let it come to its end, alone."""
    while not runner.done:
        if runner.blocked:
            runner.retry(again=True)
        else:
            runner.go(TO_THE_END)
        runner.read(REQUEST_SECONDS)


def gated(trial: Trial, index: int) -> bool:
    """Whether a call is stopped at its statements: something befalls it there."""
    database = trial.fault is not None and trial.fault.kind in DATABASE and trial.fault.meets(index, len(trial.calls))
    return database or any(each.call == index and each.before != ANSWERED and each.outside < 0 for each in trial.kills)
