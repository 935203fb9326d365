"""Owns the tables that only the live database knows: made by a mapper or a script that the survey does not read."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.model.blueprint import Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.snapshot import World
    from toughen.model.blueprint import Blueprint

_TYPES = (
    ("BOOL", "boolean"), ("INT", "integer"), ("DATETIME|TIMESTAMP", "datetime"), ("DATE", "date"), ("JSON", "json"),
    ("CHAR|TEXT|CLOB|STRING", "string"), ("REAL|FLOA|DOUB|NUM|DEC", "number"), ("BLOB", "blob"),
)
_OWN = re.compile(r"^sqlite_|migration|alembic_version", re.IGNORECASE)


def completed(blueprint: Blueprint, world: World) -> Blueprint:
    """The Blueprint with every table of the databases that it does not know."""
    known = {table.name.lower() for table in blueprint.tables if table.columns}
    found: dict[str, Table] = {}
    for name in world.databases:
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(f"file:{world.root / name}?mode=ro", uri=True)) as live:
            for table in _tables(live):
                if table.name.lower() not in known:
                    found.setdefault(table.name.lower(), table)
    if not found:
        return blueprint
    kept = (table for table in blueprint.tables if table.name.lower() not in found)
    return replace(blueprint, tables=(*kept, *found.values()))


def _tables(live: sqlite3.Connection) -> Iterator[Table]:
    names = [row[0] for row in live.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        if _OWN.search(name):
            continue
        quoted = '"' + name.replace('"', '""') + '"'
        uniques = [
            tuple(str(part[2]) for part in live.execute(f'PRAGMA index_info("{index[1]}")'))
            for index in live.execute(f"PRAGMA index_list({quoted})") if index[2]
        ]
        refers = {str(row[3]): (str(row[2]), str(row[4] or "id")) for row in live.execute(f"PRAGMA foreign_key_list({quoted})")}
        columns = [_column(row, uniques, refers) for row in live.execute(f"PRAGMA table_info({quoted})")]
        yield Table(name, tuple(columns), tuple(uniques))


def _column(row: tuple[object, ...], uniques: list[tuple[str, ...]], refers: dict[str, tuple[str, str]]) -> Column:
    _, name, declared, required, default, key = row[:6]
    kind = next((kind for pattern, kind in _TYPES if re.search(pattern, str(declared), re.IGNORECASE)), "any")
    length = re.search(r"\((\d+)\)", str(declared))
    return Column(
        str(name), kind, nullable=not required and not key, primary_key=bool(key), unique=(str(name),) in uniques, references=refers.get(str(name)),
        max_length=int(length.group(1)) if length and kind == "string" else None, has_default=default is not None,
    )
