"""Owns a database that is older than the models: its tables are brought up to them, as a migration nobody wrote would."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from toughen.lab.databases import REFUSED

if TYPE_CHECKING:
    from toughen.explore.session import Session
    from toughen.lab.sqlite import SqliteFile
    from toughen.model.blueprint import Column, Table

_TYPES = {"integer": "INTEGER", "number": "FLOAT", "boolean": "BOOLEAN", "datetime": "DATETIME", "date": "DATE", "string": "VARCHAR", "blob": "BLOB", "json": "JSON"}


def behind(session: Session) -> dict[str, list[str]]:
    """Tables of the models whose table in the database lacks columns -> those columns: every query of such a model fails."""
    found: dict[str, list[str]] = {}
    for table in session.blueprint.tables:
        # A server's database was made just now, by the project's own means.
        there = {each.lower() for each in session.lab.world.columns(table.name)} if session.lab.world.in_file(table.name) else set()
        lacking = [each.name for each in table.columns if each.name.lower() not in there]
        if table.model and there and lacking:
            found[table.name] = lacking
    return found


def catch_up(session: Session, lacking: dict[str, list[str]]) -> list[str]:
    """Lay empty tables anew and add columns to the others; what was done, in words."""
    done = []
    for name, columns in lacking.items():
        table, file = session.blueprint.table(name), session.lab.world.in_file(name)
        assert table is not None
        if file is None:
            continue
        if not session.rows(name):
            _change(file, f'DROP TABLE "{name}"')
            done.append(f"made the table {name} anew, which lacked {', '.join(columns)}")
            continue
        for column in (each for each in table.columns if each.name in columns):
            for statement in _added(table, column):
                _change(file, statement)
        done.append(f"added {', '.join(columns)} to the table {name}: the models have them, the database that lies in the project has not")
    return done


def _change(file: SqliteFile, statement: str) -> None:
    with contextlib.suppress(*REFUSED):
        file.change(statement)


def _added(table: Table, column: Column) -> list[str]:
    kind = _TYPES.get(column.type, "VARCHAR")
    reference = f' REFERENCES "{column.references[0]}" ("{column.references[1]}")' if column.references else ""
    statements = [f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}{reference}']
    if column.unique:
        statements.append(f'CREATE UNIQUE INDEX "toughen_{table.name}_{column.name}" ON "{table.name}" ("{column.name}")')
    statements += [
        f'CREATE UNIQUE INDEX "toughen_{table.name}_{"_".join(names)}" ON "{table.name}" ({", ".join(names)})' for names in table.uniques if names[-1] == column.name and len(names) > 1
    ]
    return statements
