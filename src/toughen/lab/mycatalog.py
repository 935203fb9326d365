"""Owns what a MySQL or MariaDB database says of its own shape: tables, columns, keys, and the statements that make them anew."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.lab.mysql import named
from toughen.model.blueprint import Column
from toughen.model.blueprint import Table as Described

if TYPE_CHECKING:
    from pymysql.cursors import Cursor

_CHANGING = [
    f"Com_{verb}_{what}"
    for verb, whats in {
        "create": "db function index procedure table trigger view", "drop": "db function index procedure table trigger view",
        "alter": "db function procedure table", "rename": "table",
    }.items()
    for what in whats.split()
]  # fmt: skip
_MARK = "SHOW GLOBAL STATUS WHERE Variable_name IN (" + ", ".join(f"'{name}'" for name in _CHANGING) + ")"
"""How often the server was told to change a shape: another answer after any change."""
_LETTERS = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE()"
_TABLES = "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, CHARACTER_MAXIMUM_LENGTH
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION
"""
_INDEXES = """
SELECT TABLE_NAME, INDEX_NAME, COLUMN_NAME, SUB_PART FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = DATABASE() AND NON_UNIQUE = 0 ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX
"""
_REFERS = """
SELECT TABLE_NAME, CONSTRAINT_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE
WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION
"""
_TRIGGERS = "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY TRIGGER_NAME"
_ROUTINES = "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE() ORDER BY ROUTINE_NAME"
_KINDS = (
    (r"^tinyint\(1\)|^bool", "boolean"), (r"^(tiny|small|medium|big)?int|^year|^bit", "integer"), (r"^(datetime|timestamp)", "datetime"), (r"^date$", "date"),
    (r"^json", "json"), (r"^(var)?char|text|^(enum|set|uuid|inet|time)\b", "string"), (r"^(decimal|float|double)", "number"), (r"binary|blob", "blob"),
)  # fmt: skip
NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
FRACTIONS = frozenset({"decimal", "float", "double"})
BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit", "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geometrycollection"})
TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"})


@dataclass(frozen=True, slots=True)
class TableShape:
    """One table as it is read and written."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    written: tuple[str, ...]
    """Columns that a row is made of: those that the database computes are left out."""
    keys: tuple[str, ...]
    triggers: tuple[tuple[str, tuple[str, ...]], ...]
    """(name, the statements that make it)."""

    @property
    def quoted(self) -> str:
        """Its name in a statement."""
        return named(self.name)

    def kind(self, column: str) -> str:
        """The type of a column, without its size; "" for an unknown one."""
        return next((kind for name, kind in zip(self.columns, self.types, strict=True) if name.lower() == column.lower()), "")


@dataclass(frozen=True, slots=True)
class Shape:
    """Everything but the rows."""

    mark: str
    digest: str
    """The same for the same shape, whenever and wherever it was made."""
    tables: tuple[TableShape, ...]
    statements: tuple[str, ...]
    """They make the shape in an empty database, where keys of others are not checked."""
    described: tuple[Described, ...] = field(compare=False, default=())


def mark(cursor: Cursor) -> str:
    """What stands for the shape of everything, another one after any change."""
    cursor.execute(_MARK)
    return repr(cursor.fetchall())


def shape(cursor: Cursor, marked: str) -> Shape:
    """The shape as it is now."""
    found = _all(cursor, _TABLES)
    columns, indexes, refers = (_all(cursor, text) for text in (_COLUMNS, _INDEXES, _REFERS))
    triggers: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for name, table in _all(cursor, _TRIGGERS):
        triggers.setdefault(str(table), []).append((str(name), _stored(cursor, "TRIGGER", str(name))))
    names = [str(name) for name, kind in found if kind == "BASE TABLE"]
    statements = [f"ALTER DATABASE CHARACTER SET {letters} COLLATE {order}" for letters, order in _all(cursor, _LETTERS)]
    statements += [re.sub(r" AUTO_INCREMENT=\d+", "", _made(cursor, "TABLE", name, 1)) for name in names]
    statements += [each for kind, name in _all(cursor, _ROUTINES) for each in _stored(cursor, str(kind), str(name))]
    statements += [_made(cursor, "VIEW", str(name), 1) for name, kind in found if kind == "VIEW"]
    digest = hashlib.blake2b(repr([statements, sorted(triggers.items())]).encode(), digest_size=12).hexdigest()
    statements += [statement for each in triggers.values() for _, made in each for statement in made]
    tables, described = [], []
    for name in names:
        own = [row for row in columns if row[0] == name]
        uniques: dict[str, list[str]] = {}
        for table, index, column, part in indexes:
            if table == name:
                uniques.setdefault(str(index), []).append(str(column) if part is None else "")
        keys = tuple(uniques.pop("PRIMARY", ()))
        tables.append(
            TableShape(
                name, tuple(str(row[1]) for row in own), tuple(str(row[2]).lower() for row in own),
                tuple(str(row[1]) for row in own if not re.search(r"(VIRTUAL|STORED|PERSISTENT)( GENERATED)?", str(row[6]), re.IGNORECASE)), keys, tuple(triggers.get(name, ())),
            )
        )
        described.append(_described(name, own, keys, [tuple(each) for each in uniques.values() if "" not in each], [row for row in refers if row[0] == name]))
    return Shape(marked, digest, tuple(tables), tuple(statements), tuple(described))


def _all(cursor: Cursor, text: str) -> list[tuple[Any, ...]]:
    cursor.execute(text)
    return list(cursor.fetchall())


def _made(cursor: Cursor, kind: str, name: str, place: int) -> str:
    """The statement that makes one thing, as the server says it."""
    cursor.execute(f"SHOW CREATE {kind} {named(name)}")
    row: Any = cursor.fetchone()
    return str(row[place]) if row else ""


def _stored(cursor: Cursor, kind: str, name: str) -> tuple[str, ...]:
    """The statements that make what runs within the server: it always runs in the mode that it was made in."""
    mode = _made(cursor, kind, name, 1).replace("'", "''")
    return f"SET SESSION sql_mode = '{mode}'", _made(cursor, kind, name, 2)


def _described(name: str, rows: list[tuple[Any, ...]], keys: tuple[str, ...], uniques: list[tuple[str, ...]], refers: list[tuple[Any, ...]]) -> Described:
    together = [row[1] for row in refers]
    pointing = {str(row[2]): (str(row[3]), str(row[4])) for row in refers if together.count(row[1]) == 1}
    columns = []
    for _, column, _, full, nullable, default, extra, length in rows:
        text = str(full).lower()
        kind = next((kind for pattern, kind in _KINDS if re.search(pattern, text)), "any")
        labels = re.findall(r"'((?:[^']|'')*)'", str(full)) if text.startswith("enum") else []
        columns.append(
            Column(
                str(column), kind, nullable=nullable == "YES", primary_key=column in keys, unique=(column,) in uniques, references=pointing.get(str(column)),
                enum=tuple(each.replace("''", "'") for each in labels), max_length=int(length) if length is not None and kind == "string" and "text" not in text and not labels else None,
                # MariaDB writes the word where there is no default.
                has_default=(default is not None and str(default) != "NULL") or "auto_increment" in str(extra).lower(),
            )
        )
    return Described(name, tuple(columns), tuple(uniques))
