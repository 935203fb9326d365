"""Owns fuller requests: a route that was reached is asked once more with what it takes besides, where that makes it do more."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.explore import offers
from toughen.explore.outcomes import Depth, depth
from toughen.explore.search import attempt
from toughen.explore.session import Entry
from toughen.explore.values import required

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toughen.explore.session import Key, Plan, RouteState, Session
    from toughen.model.trace import Exchange

_MAKING = {"POST", "PUT", "PATCH"}
_REFERS = re.compile(r"(^|_)(ids?|code|coupon|voucher|promo|discount|gift|referral|slug|ref)$", re.IGNORECASE)
"""Fields that name a row of another table: to leave them out is to leave that table out."""
_BUDGET, _MOST = 8, 4
"""Requests for one group of fields, and groups that are tried."""


def fuller(session: Session, state: RouteState) -> tuple[Entry, ...]:
    """Successes that write to more tables, or change them in more ways, than the known one, the fullest first."""
    known = state.reached
    if known is None or state.route.method not in _MAKING or not session.lab.world.databases:
        return ()
    best, found_all = known, list[Entry]()
    for start in _starts(session, state, known):
        plan = start if start is None or best is known else best.plan.put({key: candidate for key, candidate in start.values if best.plan.get(key) is None}, "fuller")
        found = _reached(session, state, known.call.identity, plan)
        if found is not None and done(found.exchange) > done(best.exchange):
            best = found
            found_all.insert(0, found)
    return tuple(found_all)


def done(exchange: Exchange) -> frozenset[tuple[str, str]]:
    """(verb, table) of what a request wrote."""
    return frozenset((each.verb, table) for each in exchange.statements if each.rows != 0 for table in each.writes)


def remake(session: Session, states: Iterable[RouteState], people: str | None) -> None:
    """Send once more what made rows: an earlier reset took them, and what is left out may name them."""
    for state in states:
        known = state.reached
        if known is None or not makes(known, people):
            continue
        exchange = session.send(known.call)
        if depth(exchange) is Depth.SUCCESS:
            session.history.append(Entry(known.route, known.call, exchange, known.plan, kept=True))
            if exchange.response is not None and exchange.response.is_json:
                session.pool.learn(exchange.response.json, len(session.history) - 1, state.resource)


def makes(entry: Entry, people: str | None) -> bool:
    """Whether a request added rows, others than users, or wrote files."""
    statements = entry.exchange.statements
    if any(each.verb in {"delete", "ddl"} or (each.verb == "insert" and people in each.writes) for each in statements):
        return False
    return any(each.verb in {"insert", "update"} and each.rows != 0 for each in statements) or bool(entry.exchange.written_files)


def _starts(session: Session, state: RouteState, known: Entry) -> Iterator[Plan | None]:
    """From scratch where nothing was written at all: perhaps what it looks for is there by now. Then with each group of fields that was left out."""
    if not done(known.exchange):
        yield None
    for group in _groups(state, known.plan)[:_MOST]:
        yield known.plan.put({key: offers.first(session, state, state.parameters[key]) for key in group}, "fuller")


def _groups(state: RouteState, plan: Plan) -> list[list[Key]]:
    """Fields that were left out: those of one element or object together, and each that names a row of another table."""
    nested: dict[str, list[Key]] = {}
    named: list[list[Key]] = []
    for parameter in required(list(state.parameters.values()), every=True):
        key = (parameter.place, parameter.path)
        if plan.get(key) is not None:
            continue
        if len(parameter.path) > 1:
            nested.setdefault(str(parameter.path[0]), []).append(key)
        elif _REFERS.search(parameter.name):
            named.append([key])
    return [*nested.values(), *named]


def _reached(session: Session, state: RouteState, identity: str | None, start: Plan | None) -> Entry | None:
    own = replace(state, parameters=dict(state.parameters), reached=None, shallow=False, tried={}, bound=dict(state.bound))
    return own.reached if attempt(session, own, identity, budget=_BUDGET, start=start) else None
