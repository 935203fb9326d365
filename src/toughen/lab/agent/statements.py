"""Owns what is noted of a statement to a server of the lab's, whatever driver runs it: bound values, rows, error."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .recorder import RECORDER, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .waiting import Waiting, Watch

SAMPLE = 3
"""Rows kept of each statement while frames are recorded."""
MANY = 20
"""Parameter sets kept of an executemany."""

NAMED = re.compile(r"%\(([^)]+)\)[sbt]")
_MOST_ROWS = 1 << 62
_simple = frozenset((int, bool, type(None)))
_names: dict[str, list[str]] = {}


class Statement:
    """A statement between its start and its end."""

    __slots__ = ("_told", "_watched", "note")
    watch: Watch
    """Of the server that runs it."""

    def __init__(self, text: str, bound: list[Any], names: list[str] | None, pid: int) -> None:
        """Note it, and pass the gate. `pid` is the server's session that will run it."""
        index, note = RECORDER.statement(text, bound)
        if names:
            note["names"] = names
        self.note = note
        if RECORDER.down and RECORDER.gone(1):
            self.hang_up()
        gate = RECORDER.gate
        self._told = ""
        """What the lab wants to happen instead, in the server's own code; empty where the statement may run."""
        self._watched: Waiting | None = None
        if gate is not None:
            self._told = gate.wait(index, note)
            self._watched = self.watch.enter(index, pid)

    def hang_up(self) -> None:
        """Break every connection to the server off."""
        raise NotImplementedError

    def end(self, rows: int | None = None) -> None:
        """It went well."""
        self._leave()
        if rows is not None:
            self.rows(rows)

    def rows(self, count: int) -> None:
        """How many rows it read or hit; what a driver says where it does not know is left out."""
        if 0 <= count < _MOST_ROWS:
            self.note["rows"] = count

    def fail(self, error: BaseException) -> None:
        """It did not."""
        self._leave()
        self.note["error"] = words(error)

    def _leave(self) -> None:
        if self._watched is not None:
            self.watch.leave(self._watched)
            self._watched = None

    def sample(self, columns: Iterable[Any], rows: Iterable[Any]) -> None:
        """Keep the first rows by column."""
        names = [str(each) for each in columns]
        first = [row.values() if isinstance(row, dict) else row for row in list(rows)[:SAMPLE]]
        self.note["sample"] = [dict(zip(names, [value_of(value) for value in row])) for row in first]


def words(error: BaseException) -> str:
    """An error as it is noted."""
    kind = type(error)
    return kind.__module__ + "." + kind.__name__ + ": " + str(error)[:500]


def value_of(value: Any) -> Any:
    """A bound value or a column as a JSON value: documents as their text, exact numbers as numbers."""
    kind = type(value)
    if kind in _simple or kind is str:
        return plain(value)
    if isinstance(value, Decimal):
        return plain(float(value) if value.is_finite() else str(value))
    if isinstance(value, (dict, list)):
        return _document(value)
    for name in ("obj", "adapted"):
        # The drivers' wrappers around documents.
        if kind.__name__ in ("Json", "Jsonb") and hasattr(value, name):
            return _document(getattr(value, name))
    return plain(value)


def _document(value: Any) -> Any:
    try:
        return plain(json.dumps(value, default=str))
    except (TypeError, ValueError):
        return plain(value)


def bound_of(text: str, parameters: Any) -> tuple[list[Any], list[str] | None]:
    """Bound values as JSON values; named ones in order of appearance, with their names."""
    if parameters is None:
        return [], None
    if hasattr(parameters, "keys"):
        order = _names.get(text)
        if order is None:
            order = list(dict.fromkeys(NAMED.findall(text)))
            if len(_names) < 2000:
                _names[text] = order
        names = [name for name in order if name in parameters]
        return [value_of(parameters[name]) for name in names], names
    if isinstance(parameters, (str, bytes, bytearray)):
        # PyMySQL takes one value bare, as `(name)` is.
        return [value_of(parameters)], None
    try:
        return [each if type(each) in _simple else value_of(each) for each in parameters], None
    except TypeError:
        return [value_of(parameters)], None


def many_of(text: str, sets: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """(all parameter sets, the first of them as JSON values)."""
    rows = list(sets)
    return rows, [bound_of(text, row)[0] for row in rows[:MANY]]
