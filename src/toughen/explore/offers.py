"""Owns what an honest client would give for one parameter: its schema, answers seen, rows, what its name and type suggest."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from toughen.explore.handshake import tokens_of_own
from toughen.explore.people import password_column, plain_role
from toughen.explore.values import Candidate, grants_power, normal, singular, words
from toughen.lab import uploads
from toughen.model.blueprint import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import RouteState, Session
    from toughen.model.blueprint import Json, Parameter

_MOST_ROLES = 3
_RENEWING = ("refresh", "refresh_token")


def first(session: Session, state: RouteState, parameter: Parameter) -> Candidate:
    """The best value for a parameter before anything was refused."""
    return next(iter(offers(session, state, parameter)))


def offers(session: Session, state: RouteState, parameter: Parameter) -> Iterator[Candidate]:
    """Values for a parameter, the most honest first: its schema, answers seen, rows, its name and type."""
    name = parameter.name
    if parameter.place is Place.FILE:
        yield Candidate(uploads.DEFAULT, "type")
        return
    if re.search(r"csrf|xsrf", normal(name)):
        yield from tokens_of_own(session)[:1]
    if normal(name) in _RENEWING and parameter.place not in {Place.HEADER, Place.COOKIE}:
        # What a log-in handed out to be given back; nobody makes one up.
        yield from [each for one in _RENEWING for each in session.pool.values.get(one, ()) if _fits(parameter, each.value)][:2]
    own = session.wallet.identities.get(session.current or "")
    if own is not None and "token" in words(name) and own.credential.headers and parameter.place not in {Place.HEADER, Place.COOKIE}:
        yield Candidate(own.credential.headers[0][1].rpartition(" ")[2], "identity")
    for value in parameter.enum:
        yield Candidate(value, "schema")
    if grants_power(name) and parameter.type in {"string", "any"} and not parameter.enum:
        yield from _roles(session)
    if parameter.example is not None and not re.search(r"user|mail|name$", normal(name)):
        yield Candidate(parameter.example, "schema")
    key = (parameter.place, parameter.path)
    wanted = f"{stem_of(_holder(state, parameter))}_id" if normal(name) in {"id", "pk"} else normal(name)
    refers = parameter.place is Place.PATH or wanted.endswith(("_id", "_number"))
    if refers:
        yield from _referring(session, state, parameter, wanted)
    else:
        yield from _pointing(session, parameter)
    if parameter.default is not None and not isinstance(parameter.default, dict | list) and parameter.default != "":
        yield Candidate(parameter.default, "default")
    if key in state.bound and not refers:
        table, column = state.bound[key]
        yield from [Candidate(row.get(column), "sqltrace", stored=(table, column)) for row in reversed(session.rows(table)[-3:]) if row.get(column) is not None]  # type: ignore[arg-type]
    if parameter.type == "array":
        yield from _one_element(session, state, parameter)
    yield Candidate(session.maker.make(parameter), "name")
    if not refers:
        yield from [each for each in session.pool.find(wanted) if _fits(parameter, each.value)][:2]
        yield from list(_from_rows(session, state, parameter, wanted))[:2]
    for kind in ("string", "integer", "number", "boolean", "array", "object"):
        if parameter.type == "any":
            yield Candidate(session.maker.make(replace(parameter, type=kind)), "type")


def _pointing(session: Session, parameter: Parameter) -> Iterator[Candidate]:
    """Keys for a field that is called after what it refers to (`product`, where the column is `product_id`): who asks himself, else the newest rows."""
    column = f"{normal(parameter.name)}_id"
    held = {one.name.lower(): one for table in session.blueprint.tables for one in table.columns}
    told = held.get(column)
    if told is None or told.references is None or normal(parameter.name) in held or parameter.type not in {"integer", "string", "any"}:
        return
    table, key = told.references
    own = session.wallet.identities.get(session.current or "")
    if own is not None and (own.table or "").lower() == table.lower() and own.row.get(key) is not None:
        yield Candidate(own.row[key], "identity")
    for row in reversed(session.rows(table)[-3:]):
        if row.get(key) is not None:
            yield Candidate(row[key], "rows", stored=(table, key))  # type: ignore[arg-type]


def _roles(session: Session) -> list[Candidate]:
    """A role that must be named: that of whoever signs up, then the others without power that the code knows."""
    common = next((each.role for each in session.wallet.identities.values() if each.kind == "user"), None)
    known = [role for role in session.blueprint.roles if not re.search(r"admin|super|root|staff|owner|manager", role, re.IGNORECASE)]
    known.sort(key=lambda role: plain_role(role) != plain_role(common))
    return [Candidate(role, "name") for role in known[:_MOST_ROLES]] or [Candidate("user", "name")]


def _one_element(session: Session, state: RouteState, parameter: Parameter) -> Iterator[Candidate]:
    """A list of one: of what its name says in the singular (`phone_numbers`, `user_ids`); nobody asks for a list to get none."""
    single = singular(normal(parameter.name))
    inner = replace(parameter, path=(*parameter.path[:-1], single), type="any")
    found = [each.value for each in islice(_referring(session, state, inner, single), 1)] if single.endswith("_id") else []
    seen = [each.value for name in dict.fromkeys([single, *words(single)[:1]]) for each in session.pool.find(name) if isinstance(each.value, str | int)]
    session.maker.counter += 1
    for value in (*found, *seen[:2], session.maker.text(single, None, session.maker.counter)):
        # In a form or a query it is what is sent several times, or once.
        yield Candidate([value] if parameter.place is Place.JSON else value, "name")


def _referring(session: Session, state: RouteState, parameter: Parameter, wanted: str) -> Iterator[Candidate]:
    """Values for what names a record: ids of answers, then of rows."""
    named = [wanted]
    if parameter.place is Place.PATH and (normal(parameter.name).endswith(("id", "pk", "uuid")) or not session.pool.find(wanted)):
        # Whatever it is called, it stands for one of those that the path names before it.
        named.append(f"{stem_of(_holder(state, parameter))}_id")
    found = 0
    for each_name in dict.fromkeys(named):
        seen = [each for each in session.pool.find(each_name) if _fits(parameter, each.value)][:3]
        stored = [each for each in _from_rows(session, state, parameter, each_name) if each.value not in {one.value for one in seen}][:3]
        found += len(seen) + len(stored)
        yield from (*seen, *stored)
    if not found and normal(parameter.name) in {"id", "pk"} and parameter.place is not Place.PATH:
        # A page that says what it does and not to what (`/delete`): some row there is.
        yield from list(_any_row(session, parameter))[:2]
    if parameter.place is Place.PATH and not session.lab.world.databases:
        # Without a database, what was accepted as an id is the only trace of what there is.
        yield from [each for each in session.pool.find("id") if _fits(parameter, each.value)][:2]


def _any_row(session: Session, parameter: Parameter) -> Iterator[Candidate]:
    for table in session.blueprint.tables:
        key = next((each.name for each in table.columns if each.primary_key), None)
        rows = session.rows(table.name) if key is not None and password_column(table) is None else []
        if key is not None and rows and _fits(parameter, rows[-1].get(key)):  # type: ignore[arg-type]
            yield Candidate(rows[-1][key], "rows", stored=(table.name, key))  # type: ignore[arg-type]


def _holder(state: RouteState, parameter: Parameter) -> str:
    """The word that an `id` belongs to: `users` in `/users/{id}/following`."""
    if parameter.place is Place.PATH:
        before = state.route.path.split("{" + parameter.name)[0].rstrip("/").rpartition("/")[2]
        if before and "}" not in before:
            return before
    return state.resource


def stem_of(word: str) -> str:
    """The normalized singular: `OrderItems` -> `order_item`."""
    return singular(normal(word))


def _fits(parameter: Parameter, value: Json) -> bool:
    match parameter.type:
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str) or parameter.place is Place.PATH
        case "boolean":
            return isinstance(value, bool)
    return not isinstance(value, dict | list)


def _from_rows(session: Session, state: RouteState, parameter: Parameter, wanted: str) -> Iterator[Candidate]:
    """Values of the column that the name points to: `product_id` -> products.id, `account_number` -> its column."""
    resource = words(state.resource)
    stem = wanted.removesuffix("_id") if wanted.endswith("_id") else ""
    for table in session.blueprint.tables:
        single = stem_of(table.name)
        column = None
        if stem and (single == stem or single.endswith("_" + stem)):
            column = next((each.name for each in table.columns if each.primary_key), None)
        elif not stem:
            tail = "_".join(words(wanted)[-2:])
            related = any(stem_of(part) in single for part in resource) or wanted.startswith(single)
            column = next((each.name for each in table.columns if normal(each.name) in {wanted, tail} and (related or "_" in normal(each.name))), None)
        if column is None:
            continue
        for row in reversed(session.rows(table.name)[-8:]):
            value = row.get(column)
            if value is not None and _fits(parameter, value):  # type: ignore[arg-type]
                yield Candidate(value, "rows", stored=(table.name, column))  # type: ignore[arg-type]
