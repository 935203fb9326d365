"""Owns the confirmation of a new account: by the link or code that was mailed or stands in its row, else by the flag of that row itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.explore.outcomes import Depth, depth
from toughen.explore.people import password_parameter
from toughen.explore.search import first_plan
from toughen.explore.values import Candidate, normal
from toughen.model.blueprint import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.explore.session import RouteState, Session
    from toughen.model.blueprint import Column, Json, Table

_CODE = re.compile(r"token|code|otp|confirm|verif|activat", re.IGNORECASE)
_PATH = re.compile(r"confirm|verif|activat|validat", re.IGNORECASE)
_FLAG = re.compile(r"^(?:(?:is|email|mail|account|user)_?)*(?:confirmed|verified|activated|active|enabled|approved|validated)$", re.IGNORECASE)
_MAILED = re.compile(r"(?:/|[=:]\s*|\bis\s+)([\w\-.][\w\-.:]{3,400})")
_OFF = ("0", "false", "no", None)
_MOST = 4


def confirm(session: Session, states: Mapping[str, RouteState], table: Table, row: dict[str, Json]) -> bool:
    """Confirm the account of a row, which is brought up to date; whether anything of it changed."""
    key = next((each.name for each in table.columns if each.primary_key), None) or next(iter(row), "")
    codes = list(_codes(session, row))[: _MOST * 2]
    for state in states.values():
        if not _PATH.search(state.route.path) or any(password_parameter(each.name) for each in state.parameters.values()):
            continue
        for code in codes:
            plan = first_plan(session, state)
            places = [each for each, _ in plan.values if each[0] in {Place.PATH, Place.QUERY, Place.JSON, Place.FORM}]
            asked = [each for each in places if _CODE.search(str(each[1][-1]))] or [each for each in places if each[0] is Place.PATH]
            own = {each: Candidate(value, "identity") for each in places if (value := _own(row, str(each[1][-1]))) is not None and each not in asked}
            if not asked:
                break
            checkpoint = session.lab.world.checkpoint()
            exchange = session.send(plan.put({**own, **dict.fromkeys(asked, code)}, "confirm").call(state.route, None, state.body))
            session.forget()
            now = next((each for each in session.rows(table.name) if each.get(key) == row.get(key)), row)
            if depth(exchange) is Depth.SUCCESS and (now != row or not _waits(session, table, row, key)):
                row.update(now)  # type: ignore[arg-type]
                return True
            session.lab.world.rollback(checkpoint)
    return _switched(session, table, row, key)


def unconfirmed(session: Session, table: Table, row: dict[str, Json]) -> bool:
    """Whether some flag of the account, in its row or beside it, is still off."""
    key = next((each.name for each in table.columns if each.primary_key), None) or next(iter(row), "")
    return any(_FLAG.match(column.name) and str(row.get(column.name)).lower() in _OFF for column in table.columns) or _waits(session, table, row, key, none=False)


def _waits(session: Session, table: Table, row: dict[str, Json], key: str, *, none: bool = True) -> bool:
    """Whether what is kept of the account beside its row wants to be confirmed; `none` is the answer where nothing is."""
    beside = [
        str(each.get(column.name)).lower() in _OFF
        for other, column, reference in _beside(session, table, key) for each in session.rows(other.name) if each.get(reference) == row.get(key)
    ]
    return any(beside) if beside else none


def _switched(session: Session, table: Table, row: dict[str, Json], key: str) -> bool:
    """Switch on what says that the account is confirmed, in the throw-away database."""
    done = False
    for other, column, reference in _beside(session, table, key):
        for each in session.rows(other.name):
            own = next((one.name for one in other.columns if one.primary_key), reference)
            if each.get(reference) == row.get(key) and str(each.get(column.name)).lower() in _OFF:
                done |= session.lab.world.assign(other.name, column.name, True if column.type == "boolean" else 1, ((own, each.get(own)),))  # type: ignore[arg-type]
    for column in table.columns:
        if _FLAG.match(column.name) and (str(row[column.name]).lower() if row.get(column.name) is not None else None) in _OFF:
            value: Json = True if column.type == "boolean" else 1
            if session.lab.world.assign(table.name, column.name, value, ((key, row.get(key)),)):
                row[column.name] = value
                done = True
    return done


def _beside(session: Session, table: Table, key: str) -> Iterator[tuple[Table, Column, str]]:
    """(table, flag, column that names the account) of what is kept of accounts in tables of its own: addresses, phone numbers."""
    for other in session.blueprint.tables:
        references = [each.name for each in other.columns if each.references == (table.name, key)]
        yield from ((other, column, references[0]) for column in other.columns if references and _FLAG.match(column.name))


def _codes(session: Session, row: dict[str, Json]) -> Iterator[Candidate]:
    """What may confirm an account: codes of its row, and of the mails that were sent since."""
    for name, value in row.items():
        if _CODE.search(name) and isinstance(value, str | int) and len(str(value)) >= _MOST:
            yield Candidate(value, "rows")
    for text in reversed(session.outbox[-_MOST:]):
        for value in reversed(_MAILED.findall(text)):
            yield Candidate(value, "mail")


def _own(row: dict[str, Json], name: str) -> Json:
    return next((value for each, value in row.items() if normal(each) == normal(name) and isinstance(value, str) and value), None)
