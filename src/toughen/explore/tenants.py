"""Owns what is known about tenants by facts: the column of a user that says whose house he belongs to, and two such houses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.explore.values import normal
from toughen.model.blueprint import Parameter, Place

if TYPE_CHECKING:
    from toughen.explore.session import Session
    from toughen.model.blueprint import Blueprint, Column, Json, Table

_HOUSE = re.compile(
    r"^(current_?)?(tenant|org|organi[sz]ation|company|workspace|business|firm|school|clinic|hospital|agency|institution|practice|household|shop|store|restaurant|customer_account)s?(_?(id|uuid|key|code|slug|name))?$",
    re.IGNORECASE,
)
"""What a column is called that keeps the data of one customer from another's."""


@dataclass(frozen=True, slots=True)
class Tenancy:
    """How the prototype keeps its tenants apart."""

    column: str
    """Column of the users' table."""
    table: str | None
    """The table of tenants, None where their names stand in the column alone."""
    key: str = ""


def tenancy(blueprint: Blueprint, users: Table) -> Tenancy | None:
    """The column of the users that other tables have as well, and that is called after a house or refers to one; None where there are no tenants."""
    for column in users.columns:
        if column.primary_key or not (_HOUSE.match(normal(column.name)) or (column.references and _HOUSE.match(normal(column.references[0])))):
            continue
        if any(_shares(column, each) for table in blueprint.tables if table.name.lower() != users.name.lower() for each in table.columns):
            return Tenancy(column.name, *(column.references or (None, "")))
    return None


def _shares(own: Column, other: Column) -> bool:
    """Whether a column of another table says which house its rows belong to."""
    if other.primary_key:
        return False
    if own.references and other.references:
        return own.references[0].lower() == other.references[0].lower()
    return own.name.lower() == other.name.lower()


def houses(session: Session, found: Tenancy, rows: list[dict[str, Json]]) -> tuple[Json, Json] | None:
    """Two tenants that users can belong to: that of the first user, and another one, made where there is none; None where that is impossible."""
    home = next((row[found.column] for row in rows if row.get(found.column) is not None), None)
    if home is None:
        home = _made(session, found)
    if home is None:
        return None
    other = next((row[found.column] for row in rows if row.get(found.column) not in {None, home}), None)
    if other is None and found.table is not None:
        other = next((row[found.key] for row in session.rows(found.table) if row.get(found.key) not in {None, home}), None)  # type: ignore[assignment]
    if other is None:
        other = f"{home}-other" if found.table is None and isinstance(home, str) else _made(session, found)
    return None if other is None or other == home else (home, other)


def _made(session: Session, found: Tenancy) -> Json:
    """The key of one more row in the table of tenants, like the newest where there is one."""
    table = session.blueprint.table(found.table) if found.table else None
    if table is None:
        return None
    before = session.rows(table.name)
    row: dict[str, Json] = dict(before[-1]) if before else {}  # type: ignore[arg-type]
    for column in table.columns:
        if column.primary_key and column.type == "integer":
            row.pop(column.name, None)
        elif column.unique or column.primary_key or (not before and not column.nullable and not column.has_default):
            row[column.name] = session.maker.make(Parameter(Place.JSON, (column.name,), type={"datetime": "string", "date": "string"}.get(column.type, column.type)))
    if not session.lab.world.insert(table.name, row):
        return None
    known = {each.get(found.key) for each in before}
    return next((each[found.key] for each in reversed(session.rows(table.name)) if each.get(found.key) not in known), None)  # type: ignore[return-value]
