"""Owns places in the user's source: a name first (file, function), line numbers last."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in the prototype's source."""

    file: str
    """POSIX path relative to the project's root."""
    line: int
    """1-based line of the statement or definition; 0 where only the file is known."""
    function: str | None = None
    """Qualified name of the enclosing function (`Users.create`), None at module level."""

    def __str__(self) -> str:
        """`main.py:12 in transfer`."""
        return f"{self.file}:{self.line}" + (f" in {self.function}" if self.function else "")
