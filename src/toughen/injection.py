"""Owns how a canary is put into SQL, and how its text shows that it left the place of a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.twists import literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.journey import Argument
    from toughen.model.trace import Statement

_TOKENS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/", re.DOTALL)
"""Literals, quoted names and comments: a value inside one of them is still a value."""


def shapes(argument: Argument) -> Iterator[tuple[str, str]]:
    """(shape of the canary, in words) worth trying: a quote behind it in text, a comment behind a number where no quote is needed."""
    value = literal(argument)
    if not isinstance(value, int | float) or argument.place in {Place.PATH, Place.QUERY, Place.FORM}:
        yield "tgn{}'q", "a quote"
    honest = value if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()) else 1 if value is None else None
    if honest is not None:
        yield f"{honest}/*tgn{{}}*/", "a comment"


def escaped(text: str, canary: str, shape: str) -> bool:
    """Whether the canary's quote ended the literal that it stands in, or its comment stands as a comment."""
    at = text.find(canary)
    if at < 0:
        return False
    around = next((each for each in _TOKENS.finditer(text) if each.start() <= at < each.end()), None)
    if "/*" in shape:
        return around is not None and around.group().startswith("/*tgn")
    quote = at + len(canary)
    if text[quote : quote + 2] != "'q":
        return False
    return around is None or (around.group()[0] == "'" and around.end() == quote + 1)


def around(statement: Statement, canary: str) -> str:
    """What stands around the canary in a statement, on one line."""
    at = statement.text.index(canary)
    return " ".join(statement.text[max(0, at - 60) : at + 40].split())
