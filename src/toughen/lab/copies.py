"""Owns rows made of rows that are there: equal in all but what must be unique."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from toughen.model.blueprint import Column, Table

TAKEN = 8
"""Newest rows of a table that are copied in turn."""
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)


def copies(table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]], count: int, largest: Mapping[str, int]) -> Iterator[list[Any]]:
    """So many rows, made of `rows` in turn; none where a key cannot be made anew. `largest` has the largest number of each column that must be unique."""
    varied = keys_of(table)
    if varied is None or not rows:
        return
    makers: dict[int, Callable[[Any, int], Any]] = {columns.index(column.name): _maker(column, largest.get(column.name)) for column in varied if column.name in columns}
    for number in range(count):
        row = list(rows[number % len(rows)])
        for place, make in makers.items():
            row[place] = make(row[place], number)
        yield row


def keys_of(table: Table) -> list[Column] | None:
    """The columns that must differ from row to row: one of each key; None where all of a key refer to other rows."""
    keys = [(column.name,) for column in table.columns if column.unique]
    primary = tuple(column.name for column in table.columns if column.primary_key)
    found: dict[str, Column] = {}
    for names in dict.fromkeys([*keys, *table.uniques, *([primary] if primary else [])]):
        free = [column for name in names if (column := table.column(name)) is not None and column.references is None]
        if not free:
            return None
        if not any(column.name in found for column in free):
            chosen = next((column for column in free if column.type in {"integer", "string"}), free[0])
            found[chosen.name] = chosen
    return list(found.values())


def _maker(column: Column, largest: int | None) -> Callable[[Any, int], Any]:
    def make(value: Any, number: int) -> Any:  # noqa: ANN401 - whatever a driver gives
        if value is None and not column.primary_key:
            return None
        if isinstance(value, uuid.UUID):
            return uuid.uuid4()
        if isinstance(value, str):
            if _UUID.fullmatch(value):
                return str(uuid.uuid4()) if "-" in value else uuid.uuid4().hex
            # In front, so that an address of mail stays one.
            return f"{number}{value}"[: column.max_length]
        return (largest or 0) + 1 + number

    return make
