"""Owns rows as the lab reads them: by table and key, as JSON values, and how two readings differ."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from toughen.model.trace import RowChange

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.model.blueprint import Blueprint, Json

MOST = 20_000
"""Rows of one table that are read for a comparison; a longer table is compared by its newest rows."""
LONGEST = 4_000
"""Characters of a text, bytes of a blob, that are kept."""

Row = dict[str, "Json"]
Table = dict[str, Row]
"""Rows by primary key (as text), or by what stands for it where there is none."""


def plain(value: object) -> Json:
    """A value of a column as JSON has it: bytes as `hex:`, structures as the text that SQLite would hold, long text cut."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value if len(value) <= LONGEST else value[:LONGEST]
        case bytes():
            return "hex:" + value[:LONGEST].hex()
        case dict() | list():
            return json.dumps(value, default=str)[:LONGEST]
    return str(value)


def key_of(row: Row, keys: Iterable[str]) -> str:
    """The row's primary key as text."""
    return "|".join(str(row.get(name)) for name in keys)


def by_key(rows: Iterable[Row], keys: tuple[str, ...]) -> Table:
    """Rows by their keys; those without one are told apart by what they hold, and equal ones by their number."""
    found: Table = {}
    alike: Counter[str] = Counter()
    for row in rows:
        key = key_of(row, keys) if keys else json.dumps(row, default=str)
        alike[key] += 1
        found[key if alike[key] == 1 else f"{key}#{alike[key]}"] = row
    return found


def called(tables: dict[str, Table], name: str) -> Table | None:
    """The rows of a table, however its name is written; None where there is none."""
    return next((held for each, held in tables.items() if each.lower() == name.lower()), None)


def changes(before: dict[str, Table], after: dict[str, Table]) -> tuple[RowChange, ...]:
    """What differs between two readings, in a stable order."""
    found: list[RowChange] = []
    for table in sorted({*before, *after}):
        old, new = before.get(table, {}), after.get(table, {})
        if old is new:
            continue
        for key in sorted({*old, *new}, key=lambda each: (len(each), each)):
            if key not in old:
                found.append(RowChange(table, "inserted", {}, new[key]))
            elif key not in new:
                found.append(RowChange(table, "deleted", old[key], {}))
            elif old[key] != new[key]:
                found.append(RowChange(table, "updated", old[key], new[key]))
    return tuple(found)


def keyed(tables: dict[str, list[Row]], blueprint: Blueprint) -> dict[str, Table]:
    """Rows that came without their keys, by the primary key that the Blueprint knows, else by their first column, else by their place."""
    found: dict[str, Table] = {}
    for name, rows in tables.items():
        known = blueprint.table(name)
        keys = [each.name for each in known.columns if each.primary_key] if known else []
        held: Table = {}
        for place, row in enumerate(rows):
            key = key_of(row, keys or list(row)[:1])
            held[key if key not in held else f"{key}#{place}"] = row
        found[name] = held
    return found


def quoted(name: str) -> str:
    """A name of a table or column as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'
