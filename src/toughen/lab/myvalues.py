"""Owns values of MySQL: as the server writes them, as the lab reads them, and as they are written back."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from toughen.lab.mycatalog import BINARY, FRACTIONS, NUMBERS, TEXTS
from toughen.lab.mysql import named
from toughen.lab.rows import MOST, by_key, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.mycatalog import TableShape
    from toughen.lab.rows import Table
    from toughen.model.blueprint import Json

Raw = tuple[tuple[bytes | None, ...], ...]
"""Rows as the server writes them."""
_PIECE = 1 << 20
"""Bytes of one INSERT."""


def stored(rows: list[list[str | None]]) -> Raw:
    """Rows out of an image's JSON, which has a character for each byte."""
    return tuple(tuple(None if each is None else each.encode("latin-1") for each in row) for row in rows)


def inserts(table: TableShape, rows: Raw) -> Iterator[str]:
    """Statements that write rows into an empty table."""
    places = [number for number, name in enumerate(table.columns) if name in table.written]
    head = f"INSERT INTO {table.quoted} ({', '.join(named(table.columns[place]) for place in places)}) VALUES "
    piece: list[str] = []
    size = 0
    for row in rows:
        text = "(" + ", ".join(_literal(table.types[place], row[place]) for place in places) + ")"
        piece.append(text)
        size += len(text)
        if size > _PIECE:
            yield head + ", ".join(piece)
            piece, size = [], 0
    if piece:
        yield head + ", ".join(piece)


def _literal(kind: str, value: bytes | None) -> str:
    """A value as a constant that means these bytes, whatever characters they are."""
    if value is None:
        return "NULL"
    if kind in NUMBERS or kind in FRACTIONS:
        return value.decode()
    if kind in BINARY:
        return f"x'{value.hex()}'"
    return f"_utf8mb4 x'{value.hex()}'" if kind in TEXTS else "'" + value.decode("utf-8", "replace").replace("\\", "\\\\").replace("'", "''") + "'"


def rows_of(table: TableShape, raw: Raw) -> Table:
    """The newest rows by key, as JSON has them."""
    told = ({name: _plain(kind, value) for name, kind, value in zip(table.columns, table.types, values, strict=True)} for values in raw[-MOST:])
    return by_key(told, table.keys)


def _plain(kind: str, value: bytes | None) -> Json:
    if value is None:
        return None
    if kind in NUMBERS:
        return int(value)
    if kind in FRACTIONS:
        return float(value)
    if kind == "bit":
        return int.from_bytes(value, "big")
    return plain(value) if kind in BINARY else plain(value.decode("utf-8", "replace"))


def value_of(table: TableShape, column: str, value: Json) -> object:
    """A value as the driver takes it for a column of that type."""
    kind = table.kind(column)
    match value:
        case bool():
            return int(value)
        case dict() | list():
            return json.dumps(value)
        case str() if kind in BINARY and re.fullmatch(r"hex:([0-9a-f]{2})*", value):
            return bytes.fromhex(value[4:])
        case str() if kind in {"datetime", "timestamp", "date"}:
            # The form of RFC 3339 is not the server's.
            return re.sub(r"(Z|[+-]00:?00)$", "", value)
    return value
