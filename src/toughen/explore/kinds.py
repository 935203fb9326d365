"""Owns the kinds of people beside the users: further tables with a password column, each with a door of its own, and what only they open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.explore.outcomes import Depth, depth, message
from toughen.explore.people import password_column
from toughen.explore.search import first_plan
from toughen.explore.values import normal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.explore.session import RouteState, Session
    from toughen.model.blueprint import Table

_MOST_WAYS = 12
"""Ways to refuse strangers that are looked at for one that no user gets past."""


def further(session: Session, known: Table | None) -> Iterator[Table]:
    """Tables with a password column beside the users' one."""
    for table in session.blueprint.tables:
        if password_column(table) is not None and (known is None or table.name.lower() != known.name.lower()):
            yield table


def kind_of(session: Session, table: str) -> str:
    """What people of a table are called after it, unlike everybody who is there: `merchant` of `merchants`."""
    plain = normal(table).rpartition(".")[2]
    single = re.sub(r"(?<=[^s])s$", "", re.sub(r"ies$", "y", plain)).rstrip("0123456789") or "person"
    taken = {each.kind for each in session.wallet.identities.values()} | {"user"}
    names = (single, f"{single}_account", *(f"{single}_account_{letter}" for letter in "bcdefgh"))
    return next((each for each in names if each not in taken), f"{single}_person")


def closed(session: Session, probes: Sequence[RouteState]) -> list[RouteState]:
    """Those among the routes that refuse strangers which refuse everybody who was minted in the same words, as far as one of each kind shows it."""
    firsts = list({each.kind: name for name, each in reversed(session.wallet.identities.items())}.values())
    return [state for state in probes[:_MOST_WAYS] if not any(_lets_further(session, state, name) for name in firsts)]


def _lets_further(session: Session, state: RouteState, name: str) -> bool:
    """Whether a route answers this identity otherwise than a stranger."""
    refused = state.tried[None]
    checkpoint = session.lab.world.checkpoint()
    exchange = session.send(first_plan(session, state).call(state.route, name, state.body))
    session.lab.world.rollback(checkpoint)
    return depth(exchange) is not Depth.REFUSED or (exchange.status, message(exchange)) != (refused.status, message(refused))
