"""Owns what is noted of a statement to PostgreSQL, whatever driver runs it, and how one that must fail is made to."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from . import pg_fork
from .pg_watch import WATCH
from .recorder import RECORDER
from .statements import NAMED, SAMPLE, Statement, bound_of, many_of, words

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NAMED", "SAMPLE", "Running", "bound_of", "failed", "many_of", "text_of"]
_PLACES = re.compile(r"%(?:%|s|b|t|\([^)]*\)[sbt])")


class Running(Statement):
    """A statement to PostgreSQL between its start and its end."""

    __slots__ = ("fails",)
    watch = WATCH

    def __init__(self, text: str, bound: list[Any], names: list[str] | None, pid: int) -> None:
        """Note it, and pass the gate. `pid` is the server's process that will run it."""
        super().__init__(text, bound, names, pid)
        self.fails = failing(self._told)
        """What the lab wants sent instead, so that the server fails it; empty where the statement may run."""

    def hang_up(self) -> None:
        pg_fork.hang_up()


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
    note["error"] = words(error)


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
