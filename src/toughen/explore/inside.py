"""Owns requests from the machine itself: routes that look at the client's address and answer nobody who comes from elsewhere."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toughen.explore.session import Plan, RouteState, Session
    from toughen.model.trace import Exchange

_ADDRESS = re.compile(r"remote_addr|REMOTE_ADDR|client\.host|client\[.host.\]|scope\[.client.\]|get_remote_address|access_route")
_REFUSED = {400, 401, 403, 404}


def _looked(text: str, lines: tuple[int, ...]) -> bool:
    written = text.splitlines() if _ADDRESS.search(text) else []
    return any(0 < line <= len(written) and _ADDRESS.search(written[line - 1]) for line in lines)


def from_inside(session: Session, state: RouteState, plan: Plan, exchange: Exchange, identity: str | None) -> Plan | None:
    """The same request from the machine itself, where what refused it looks at the client's address."""
    if plan.inside or exchange.status not in _REFUSED or not any(_ADDRESS.search(text) for text in session.sources.values()):
        return None
    checkpoint = session.lab.world.checkpoint()
    for grant in plan.grants:
        session.lab.world.write(grant)
    traced = session.send(plan.call(state.route, identity, state.body), lines=True)
    session.lab.world.rollback(checkpoint)
    # Where it was asked for in a function of its own, that one ran.
    looks = any(_looked(session.sources.get(file, ""), lines) for file, lines in traced.lines)
    return replace(plan, inside=True, why="from inside") if looks else None
