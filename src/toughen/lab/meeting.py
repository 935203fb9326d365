"""Owns calls at once: they are put together before any is sent, and meet in processes of their own or in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toughen.lab import schedule
from toughen.lab.requests import Resolver, UnresolvedError, assemble
from toughen.model.trace import Exchange

if TYPE_CHECKING:
    from toughen.lab.boot import Lab
    from toughen.lab.child import Child
    from toughen.lab.credentials import Jar, Wallet
    from toughen.model.journey import Call
    from toughen.model.trace import Turn
    from toughen.model.trial import Schedule, Together


@dataclass(frozen=True, slots=True)
class Parties:
    """What the calls are made from: values, what was answered so far, and who carries what."""

    resolver: Resolver
    exchanges: list[Exchange]
    """Of the calls before; theirs are added to them."""
    jar: Jar
    wallet: Wallet

    def requests(self, *calls: Call) -> list[dict[str, Any]]:
        """They as they are sent. Raises UnresolvedError."""
        return [assemble(each, self.resolver, self.exchanges, self.jar.credential(each.identity, self.wallet.get(each.identity))) for each in calls]

    def lost(self, error: UnresolvedError, calls: int = 2) -> tuple[str, ...]:
        """None of so many was sent."""
        self.exchanges.extend([Exchange("", "", "", None, ended=f"not sent: {error}")] * calls)
        return (str(error),)


def scheduled(lab: Lab, plan: Schedule, parties: Parties, apart: float) -> tuple[tuple[str, ...], tuple[Turn, ...]]:
    """All in processes of their own, the first stopped before one of its statements or two; what was done, in words and as turns."""
    try:
        requests = parties.requests(*plan.calls)
    except UnresolvedError as error:
        return parties.lost(error, len(plan.calls)), ()
    result = schedule.force(lab, requests, (plan.stop_before, plan.again_before), apart=apart)
    parties.exchanges.extend(result.exchanges)
    return tuple(result.log) if result.stopped else ("the first request never reached the statement to stop at",), tuple(result.turns)


def together(child: Child, plan: Together, parties: Parties) -> tuple[str, ...]:
    """Both in one process, the first stopped at a line or an await; how they met, in words, nothing where the first never stood still."""
    try:
        requests = parties.requests(plan.first, plan.second)
    except UnresolvedError as error:
        return parties.lost(error)
    both, met = child.pair(requests, plan)
    parties.exchanges.extend(both)
    return tuple(met)
