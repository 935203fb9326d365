"""Owns rows of tables that no route which works can fill: written by what the columns say, so that what reads them can be reached."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen import sql
from toughen.explore.people import password_column
from toughen.explore.values import normal
from toughen.model.blueprint import Parameter, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.explore.session import RouteState, Session
    from toughen.model.blueprint import Column, Json, Table

    Owners = dict[str, dict[str, Json]]
    """The row of whom it is made for, by the table of his kind of people."""

_DEEPEST = 3
_UUIDS = (32, 36)
_KINDS = {"datetime": "string", "date": "string", "json": "object", "blob": "string"}
_NEVER = re.compile(r"migration|alembic|session|token", re.IGNORECASE)
_WRITTEN_IN = re.compile(r"\bwhere\b.*[^<>!]=\s*(?:'[^']*'|\d+)", re.IGNORECASE | re.DOTALL)
"""A row that is sought by a value within the statement's text."""


def barren(session: Session, states: Mapping[str, RouteState]) -> list[Table]:
    """Empty tables in which a route that was not reached sought a row, and which no route that was reached fills."""
    sought = {
        name for state in states.values() if state.reached is None
        for exchange in state.tried.values() for statement in exchange.statements
        if statement.verb == "select" and statement.rows == 0
        and (any(operator == "eq" for _, _, operator in sql.bindings(statement.text)) or _WRITTEN_IN.search(statement.text))
        for name in statement.reads
    }
    filled = {
        name for state in states.values() if state.reached is not None
        for statement in state.reached.exchange.statements if statement.verb == "insert" and statement.rows != 0
        for name in statement.writes
    }
    known = [session.blueprint.table(name) for name in sorted(sought - filled)]
    return [table for table in known if table is not None and table.columns and not _NEVER.search(table.name) and password_column(table) is None and not session.rows(table.name)]


def sow(session: Session, tables: list[Table]) -> list[str]:
    """Write a row into each table for each of the first two users, and of each other kind of people (one where there are none); the tables that took it."""
    kinds: dict[str, list[dict[str, Json]]] = {}
    for identity in session.wallet.identities.values():
        if identity.row:
            kinds.setdefault((identity.table or "").lower(), []).append(identity.row)
    owners: list[Owners] = [{name: rows[number] for name, rows in kinds.items() if number < len(rows)} for number in (0, 1)]
    taken = [(table.name, [_row(session, table, owner, 0) for owner in [each for each in owners if each] or [{}]]) for table in tables]
    return [name for name, rows in taken if any(row is not None for row in rows)]


def _row(session: Session, table: Table, owner: Owners, depth: int) -> dict[str, Json] | None:
    """A new row, with rows of what it refers to; None where the table refused it."""
    row: dict[str, Json] = {}
    for column in table.columns:
        if (column.primary_key and column.type == "integer" and column.references is None) or password_column(table) == column.name:
            continue
        if column.references is not None:
            row[column.name] = _referred(session, column, owner, depth)
        else:
            row[column.name] = _value(session, column)
    row = {name: value for name, value in row.items() if value is not None}
    before = {repr(each) for each in session.rows(table.name)}
    if not session.lab.world.insert(table.name, row):
        return None
    return next((each for each in reversed(session.rows(table.name)) if repr(each) not in before), None)  # type: ignore[return-value]


def _referred(session: Session, column: Column, owner: Owners, depth: int) -> Json:
    """The key of a row that the column may refer to: the owner's, else one that is there, else a new one."""
    assert column.references is not None
    name, key = column.references
    table = session.blueprint.table(name)
    own = owner.get(name.lower(), {})
    if table is not None and key in own:
        return own[key]
    rows = session.rows(name)
    if rows:
        return rows[-1].get(key)  # type: ignore[return-value]
    made = _row(session, table, owner, depth + 1) if table is not None and depth < _DEEPEST else None
    return made.get(key) if made is not None else None


def _value(session: Session, column: Column) -> Json:
    if column.enum:
        return column.enum[0]
    if column.type == "boolean" or normal(column.name).startswith("is_"):
        # Nothing that a row is or may is switched on by the lab.
        return 0
    if column.type == "datetime":
        return "2031-01-02 10:00:00.000000"
    if column.type == "date":
        return "2031-01-02"
    if column.type == "any" and normal(column.name).endswith("time"):
        return "10:00:00.000000"
    if column.type == "string" and column.max_length in _UUIDS and (column.primary_key or normal(column.name).endswith(("id", "uuid"))):
        session.maker.counter += 1
        return f"{session.maker.counter:032x}"
    if column.type in {"blob", "json"}:
        return "{}" if column.type == "json" and not column.nullable else None
    if normal(column.name).endswith("json"):
        return "{}"
    made = session.maker.make(Parameter(Place.JSON, (column.name,), _KINDS.get(column.type, column.type), max_length=column.max_length))
    return None if isinstance(made, list | dict) else made
