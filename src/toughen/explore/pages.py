"""Owns pages that read in a cookie the token which other routes take in a header."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.explore.forms import FORGERY
from toughen.explore.outcomes import Depth, depth
from toughen.explore.search import first_plan
from toughen.lab.credentials import carrying

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.explore.session import RouteState, Session
    from toughen.model.identity import Identity

_MOST = 3
"""Cookies that are tried."""
_FORMS = ("", "Bearer ")


def hand_cookies(session: Session, states: Mapping[str, RouteState]) -> str:
    """Give every identity its token in the cookie that pages ask for, where that opens one of them; the cookie's name, or ""."""
    bearer = next((each for each in session.wallet.identities.values() if each.header and not each.credential.cookies), None)
    if bearer is None:
        return ""
    for name, state in list(_asked(states))[:_MOST]:
        for form in _FORMS:
            if _opens(session, state, bearer, (name, form)):
                for identity in tuple(session.wallet.identities.values()):
                    if identity.header:
                        session.wallet.add(_holding(identity, (name, form)))
                return name
    return ""


def _asked(states: Mapping[str, RouteState]) -> Iterator[tuple[str, RouteState]]:
    """Cookies that a refused page asked for and was not sent, each with such a page."""
    seen: set[str] = set()
    for state in states.values():
        exchange = state.tried.get(None)
        if exchange is None or state.reached is not None or depth(exchange) is not Depth.REFUSED:
            continue
        for demand in exchange.demands:
            name = str(demand.key[-1]) if demand.key else ""
            if demand.place == "cookie" and name and not demand.present and name not in seen and not FORGERY.search(name):
                seen.add(name)
                yield name, state


def _opens(session: Session, state: RouteState, bearer: Identity, cookie: tuple[str, str]) -> bool:
    """Whether the page answers otherwise than with a refusal once it gets the token so, and not without it."""
    checkpoint = session.lab.world.checkpoint()
    found = []
    for identity in (bearer, _holding(bearer, cookie)):
        session.wallet.add(identity)
        call = first_plan(session, state).call(state.route, identity.name, state.body)
        exchange = session.send(call)
        found.append(depth(exchange, identified=session.known(identity.name, exchange)))
        session.jar.held.pop(identity.name, None)
    session.wallet.add(bearer)
    session.lab.world.rollback(checkpoint)
    return found[0] is Depth.REFUSED and found[1] not in {Depth.REFUSED, Depth.DEAD}


def _holding(identity: Identity, cookie: tuple[str, str]) -> Identity:
    assert identity.header is not None
    token = identity.credential.headers[0][1].removeprefix(identity.header[1])
    holding = replace(identity, cookie=cookie)
    return replace(holding, credential=carrying(holding, token))
