"""Owns what is noted of a statement to PostgreSQL, whatever driver runs it: text, bound values, rows, error."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from .pg_fork import hang_up
from .pg_watch import WATCH
from .recorder import RECORDER, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

SAMPLE = 3
"""Rows kept of each statement while frames are recorded."""
MANY = 20
"""Parameter sets kept of an executemany."""

NAMED = re.compile(r"%\(([^)]+)\)[sbt]")
_PLACES = re.compile(r"%(?:%|s|b|t|\([^)]*\)[sbt])")
_simple = frozenset((int, bool, type(None)))
_names: dict[str, list[str]] = {}


class Running:
    """A statement between its start and its end."""

    __slots__ = ("_watched", "fails", "note")

    def __init__(self, text: str, bound: list[Any], names: list[str] | None, pid: int) -> None:
        """Note it, and pass the gate. `pid` is the server's process that will run it."""
        index, note = RECORDER.statement(text, bound)
        if names:
            note["names"] = names
        self.note = note
        if RECORDER.down and RECORDER.gone(1):
            hang_up()
        gate = RECORDER.gate
        self.fails = ""
        """What the lab wants sent instead, so that the server fails it; empty where the statement may run."""
        if gate is None:
            self._watched = None
        else:
            self.fails = failing(gate.wait(index, note))
            self._watched = WATCH.enter(index, pid)

    def end(self, rows: int | None = None) -> None:
        """It went well."""
        self._leave()
        if rows is not None and rows >= 0:
            self.note["rows"] = rows

    def fail(self, error: BaseException) -> None:
        """It did not."""
        self._leave()
        self.note["error"] = _words(error)

    def _leave(self) -> None:
        if self._watched is not None:
            WATCH.leave(self._watched)
            self._watched = None

    def sample(self, columns: Iterable[Any], rows: Iterable[Iterable[Any]]) -> None:
        """Keep the first rows by column."""
        names = [str(each) for each in columns]
        self.note["sample"] = [dict(zip(names, [value_of(value) for value in row])) for row in rows]


_WORDS = {
    "40001": "could not serialize access due to concurrent update",
    "40P01": "deadlock detected",
    "53100": "could not extend file: No space left on device",
}
"""What the server says of these itself (postgresql.org/docs/current/errcodes-appendix.html)."""


def failing(state: str) -> str:
    """A statement that the server answers with this SQLSTATE, and that leaves the transaction as failed as the real thing does."""
    if not state:
        return ""
    return "DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '" + state + "', MESSAGE = '" + _WORDS.get(state, "failed") + "'; END$$"


def failed(text: str, error: BaseException) -> None:
    """Note a statement that came no further than being understood."""
    _, note = RECORDER.statement(text, [])
    note["error"] = _words(error)


def _words(error: BaseException) -> str:
    kind = type(error)
    return kind.__module__ + "." + kind.__name__ + ": " + str(error)[:500]


def value_of(value: Any) -> Any:
    """A bound value or a column as a JSON value: documents as their text, exact numbers as numbers."""
    kind = type(value)
    if kind in _simple or kind is str:
        return plain(value)
    if isinstance(value, Decimal):
        return plain(float(value))
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
    try:
        return [each if type(each) in _simple else value_of(each) for each in parameters], None
    except TypeError:
        return [], None


def many_of(text: str, sets: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    """(all parameter sets, the first of them as JSON values)."""
    rows = list(sets)
    return rows, [bound_of(text, row)[0] for row in rows[:MANY]]


def text_of(statement: Any, context: Any, parameters: Any) -> tuple[str, Any]:
    """The text of a statement and its parameters.

    What a driver's own `sql` module quotes as a literal is bound, not written into the text: it is told as it would be
    if the prototype had used a placeholder.
    """
    if isinstance(statement, str):
        return str(statement), parameters
    if isinstance(statement, (bytes, bytearray, memoryview)):
        return bytes(statement).decode("utf-8", "replace"), parameters
    pieces = list(_pieces(statement, context))
    if not any(literal for literal, _ in pieces):
        return "".join(piece for _, piece in pieces), parameters
    return _bound_literals(pieces, parameters)


def _pieces(statement: Any, context: Any) -> Iterable[tuple[bool, Any]]:
    """(whether it is a literal, its text or value) of a Composable."""
    kind = type(statement).__name__
    if kind == "Composed":
        for each in statement:
            yield from _pieces(each, context)
    elif kind == "Literal":
        yield True, getattr(statement, "wrapped", getattr(statement, "_obj", None))
    elif hasattr(statement, "as_string"):
        yield False, statement.as_string(context)
    else:
        yield False, str(statement)


def _bound_literals(pieces: list[tuple[bool, Any]], parameters: Any) -> tuple[str, Any]:
    text, name = "", ""
    if hasattr(parameters, "keys"):
        named = dict(parameters)
        for literal, piece in pieces:
            if literal:
                name = "literal_" + str(len(named))
                named[name] = piece
            text += "%(" + name + ")s" if literal else piece
        return text, named
    given, values = iter(parameters or ()), []
    for literal, piece in pieces:
        if literal:
            values.append(piece)
            text += "%s"
            continue
        text += piece
        if parameters:
            for place in _PLACES.findall(piece):
                if place != "%%":
                    values.append(next(given, None))
    return text, [*values, *given]
