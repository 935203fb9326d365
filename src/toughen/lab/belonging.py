"""Owns whose a row is: the column of a table that names its owner, and the ways from a table to its users."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toughen.model.blueprint import Blueprint, Table

_OWNERS = ("user_id", "owner_id", "author_id", "customer_id", "created_by", "account_id", "member_id", "owner", "username", "user")

Way = tuple[tuple[str, str, str], ...]
"""(table, column, table that it refers to), from one table to the next."""


@dataclass(frozen=True, slots=True)
class Belonging:
    """Who owns the rows of a prototype's tables."""

    blueprint: Blueprint
    people: tuple[str, ...]
    """Tables that identities have their rows in, the users' first."""
    found: dict[tuple[str, str], str | None]
    """(table, people's table) -> the column that names whose of them a row is, as far as it was asked for."""

    def owner(self, table: str, of: str | None = None) -> str | None:
        """The column of a table that names the user whom its rows belong to; `of` says whose kind is meant, where there are several."""
        for people in (of,) if of else self.people:
            if (table, people) not in self.found:
                self.found[table, people] = self._find_owner(table, people)
            if (column := self.found[table, people]) is not None:
                return column
        return None

    def owners(self, table: str, of: str | None = None) -> tuple[Way, ...]:
        """Ways from a table to its users (or those `of` a kind): its own column, else every column that refers to a table with such a column."""
        known = self.blueprint.table(table)
        if known is None or table.lower() in {each.lower() for each in self.people}:
            return ()
        return tuple(way for people in ((of,) if of else self.people) for way in self._ways(known, people))

    def _find_owner(self, table: str, people: str) -> str | None:
        known = self.blueprint.table(table)
        if known is None or table.lower() in {each.lower() for each in (*self.people, people)}:
            return None
        for column in known.columns:
            if column.references and column.references[0].lower() == people.lower():
                return column.name
        # Columns that name nobody's kind are the users'.
        names = [f"{re.sub(r's$', '', people.lower())}_id", *(_OWNERS if people in self.people[:1] else ())]
        taken = {column.name for column in known.columns if column.references}
        others = {f"{re.sub(r's$', '', each.lower())}_id" for each in self.people if each != people}
        fitting = (column.name for name in names for column in known.columns if column.name.lower() == name and name not in others)
        return next((name for name in fitting if name not in taken or len(self.people) == 1), None)

    def _ways(self, known: Table, people: str) -> list[Way]:
        own = self.owner(known.name, people)
        if own is not None:
            return [((known.name, own, people),)]
        found: list[Way] = []
        for column in known.columns:
            parent = column.references[0] if column.references else self._named_by(column.name, known.name)
            owning = self.owner(parent, people) if parent else None
            if parent is not None and owning is not None:
                found.append(((known.name, column.name, parent), (parent, owning, people)))
        return found

    def _named_by(self, column: str, table: str) -> str | None:
        """The table that a column without a foreign key names by its own name (`account_id` -> `accounts`), where just one fits."""
        match = re.fullmatch(r"(?:\w+_)?([a-z]+)_id", column.lower())
        if match is None:
            return None
        wanted = re.compile(rf"(?:\w+_)?{match.group(1)}(?:s|es)?")
        fitting = [each.name for each in self.blueprint.tables if each.name.lower() != table.lower() and wanted.fullmatch(each.name.lower())]
        return fitting[0] if len(fitting) == 1 else None
