"""Owns the trying of identities that the settings introduce: each is believed only where it opens what is refused to strangers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.explore.door import Doors, tokens
from toughen.explore.newcomers import Newcomers
from toughen.explore.outcomes import Depth, depth, explain
from toughen.explore.people import password_column, role_column, users_table
from toughen.explore.search import first_plan
from toughen.explore.tenants import tenancy
from toughen.explore.values import Candidate
from toughen.lab.requests import cookies
from toughen.model.blueprint import Place
from toughen.model.identity import CONFIGURED, Credential, Identity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.explore.session import Key, RouteState, Session
    from toughen.model.blueprint import Json, Table
    from toughen.model.configured import Configured, LogIn
    from toughen.model.journey import Call

_MOST = 40
"""Routes that refuse strangers which are asked before a credential counts as meaning nothing."""
_HERE = "the throw-away copy of the database that it was tried on"


def introduce(session: Session, states: dict[str, RouteState], people: Iterable[Configured]) -> list[str]:
    """Add those who are let in beside the minted ones; what happened to the others, in words."""
    doors = Doors(session, states, Newcomers(session, states, users_table(session.blueprint)).signup(), most=_MOST)
    told = []
    for each in people:
        found = _admitted(session, doors, states, each)
        if isinstance(found, str):
            told.append(f"identities.{each.name} of the settings was not used: {found}")
            continue
        session.wallet.add(replace(found, name=_free(session, each.name)))
    return told


def _free(session: Session, name: str) -> str:
    """The name, with the next number where somebody who was minted has it."""
    kind, number, free = name.rstrip("0123456789") or name, 1, name
    while free in session.wallet.identities:
        number += 1
        free = f"{kind}{number}"
    return free


def _admitted(session: Session, doors: Doors, states: dict[str, RouteState], each: Configured) -> Identity | str:
    """The identity, or why it is none."""
    probes = doors.probes()
    if not probes:
        return "no route was seen to refuse strangers, so that nothing shows whether it works"
    given = Credential(each.headers, each.cookies)
    table, row = _row(session, each.login)
    start = _placed(session, Identity(each.name, each.role, given, CONFIGURED, row, table.name if table is not None else None, tenant=each.tenant), table)
    if each.login is not None:
        return _logged_in(session, doors, states, start, each.login)
    if not each.token:
        return start if doors.changes(probes, given) else _refused(len(probes), "its headers and cookies")
    for header, prefix in doors.headers():
        held = Credential((*each.headers, (header, prefix + each.token)), each.cookies)
        if doors.changes(probes, held):
            return replace(start, credential=held, header=(header, prefix))
    return _refused(len(probes), "its token, in every header that was tried,")


def _refused(number: int, what: str) -> str:
    return f"{what} changed nothing on {min(number, _MOST)} routes that refuse strangers; it must be valid in {_HERE}, and stay so over every start"


def _logged_in(session: Session, doors: Doors, states: dict[str, RouteState], start: Identity, login: LogIn) -> Identity | str:
    """Somebody who logs in by a request, with what its answer hands out."""
    state = states.get(login.route)
    if state is None:
        near = [route for route in states if route.partition(" ")[2] == login.path]
        return f"there is no route {login.route}" + (f"; there is {near[0]}" if near else "")
    call = _call(session, state, login)
    exchange = session.send(call)
    session.forget()
    if exchange.response is None or depth(exchange) is not Depth.SUCCESS:
        return f"{login.route} was answered with {explain(exchange)}; the account must be in {_HERE}"
    opening = doors.opened_by(exchange)
    if opening is None:
        return f"{login.route} succeeded, and nothing of its answer opens a route that refuses strangers"
    start = replace(start, login=call)
    if opening.header is None or not opening.token:
        return replace(start, credential=Credential(start.credential.headers, tuple(cookies(exchange.response.headers).items())))
    token = dict(tokens(exchange.response.json))[opening.token]
    given = (*start.credential.cookies, *cookies(exchange.response.headers).items())
    held = Credential((*start.credential.headers, (opening.header[0], opening.header[1] + token)), given)
    return replace(start, credential=held, token=opening.token, header=opening.header)


def _call(session: Session, state: RouteState, login: LogIn) -> Call:
    """The request, each field where the route reads it, else where the others travel."""
    base = first_plan(session, state)
    home = {"form": Place.FORM, "multipart": Place.FORM}.get(state.body or "", Place.JSON if login.method != "GET" else Place.QUERY)
    values: dict[Key, Candidate] = {}
    for name, value in login.fields:
        key = next((key for key, each in state.parameters.items() if each.name == name), (home, (name,)))
        values[key] = Candidate(value, "settings")
    return base.put(values, "log in").call(state.route, None, state.body or ("json" if home is Place.JSON else None))


def _row(session: Session, login: LogIn | None) -> tuple[Table | None, dict[str, Json]]:
    """The row of whoever logs in so, and its table: some column holds what it says of itself."""
    said = {str(value) for _, value in login.fields if value} if login is not None else set()
    for table in session.blueprint.tables if said else ():
        if password_column(table) is None:
            continue
        for row in session.rows(table.name):
            if any(isinstance(value, str) and value in said for name, value in row.items() if name != password_column(table)):
                return table, dict(row)  # type: ignore[arg-type]
    return None, {}


def _placed(session: Session, identity: Identity, table: Table | None) -> Identity:
    """With the role and the tenant that its row says, where the settings say nothing.

    Who has no row has a role of his own: that he may do what users may not breaks nothing, and he stands for none of them.
    """
    role, tenant = identity.role, identity.tenant
    column = role_column(table) if table is not None else None
    if role is None:
        held = identity.row.get(column) if column else None
        role = str(held) if held is not None else None if table is not None and column is None and table == users_table(session.blueprint) else identity.kind
    house = tenancy(session.blueprint, table) if table is not None else None
    if tenant is None and house is not None and identity.row.get(house.column) is not None:
        tenant = str(identity.row[house.column])
    return replace(identity, role=role, tenant=tenant)
