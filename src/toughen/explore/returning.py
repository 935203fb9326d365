"""Owns getting somebody in again whom a request logged out: the prototype's memory and the browser's as they were, else a new log-in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.explore.outcomes import wants_identity
from toughen.lab.credentials import renewed

if TYPE_CHECKING:
    from toughen.explore.session import RouteState, Session


def woken(session: Session, state: RouteState, name: str) -> bool:
    """End the processes where something may have logged people out in their memory, or in what a browser keeps; whether that was done."""
    exchange = state.tried.get(name)
    if not session.spoiled or exchange is None or not wants_identity(exchange) or not session.lab.world.databases:
        return False
    session.reset()
    return True


def logged_in_again(session: Session, state: RouteState, name: str) -> bool:
    """Log in again where an identity that has worked is refused now; whether that gave another credential."""
    exchange = state.tried.get(name)
    identity = session.wallet.identities.get(name)
    if exchange is None or identity is None or not wants_identity(exchange):
        return False
    if not any(entry.call.identity == name for entry in session.history):
        return False
    fresh = renewed(session._server(), identity, session.lab.world.rows)  # noqa: SLF001
    if fresh is None or fresh == identity.credential:
        return False
    session.wallet.add(replace(identity, credential=fresh))
    return True
