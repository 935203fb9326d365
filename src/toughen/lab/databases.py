"""Owns what the lab asks of a database, wherever it lies: remember, put back, read, write a row."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, Protocol

import psycopg
import pymysql

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.lab.rows import Row, Table
    from toughen.model.blueprint import Json
    from toughen.model.blueprint import Table as Described

REFUSED = (sqlite3.Error, psycopg.Error, pymysql.Error)
"""What a driver raises where the database does not do as it is told."""


class Database(Protocol):
    """One database of the prototype's. Methods raise REFUSED."""

    @property
    def name(self) -> str:
        """What tells it from the others of the same world."""

    def save(self) -> Any:  # noqa: ANN401 - each kind remembers in its own way
        """Remember the present state; cheap enough to do before every attempt."""

    def put(self, saved: Any, let_go: Callable[[], None], *, quiet: bool) -> bool:  # noqa: ANN401
        """Put back what was remembered, having locks of processes ended by `let_go` where they stand in the way.

        `quiet` says that no process of the prototype's is at work any more. True where the database was laid anew, so
        that whoever has it open must open it again.
        """

    def image(self, saved: Any) -> bytes:  # noqa: ANN401
        """What was remembered, to be kept in a file."""

    def load(self, image: bytes) -> None:
        """Put another run's image in place."""

    def tables(self) -> dict[str, Table]:
        """All rows of all tables as they are now."""

    def rows(self, table: str) -> Table | None:
        """The rows of one table, oldest first; None where there is no such table."""

    def columns(self) -> dict[str, list[str]]:
        """Names of the columns of each table."""

    def described(self) -> list[Described]:
        """The tables as the database itself describes them."""

    def assign(self, table: str, column: str, value: Json, where: tuple[tuple[str, Json], ...]) -> bool:
        """Write one column where all equalities hold; whether a row was touched."""

    def insert(self, table: str, row: Row) -> bool:
        """Insert one row."""

    def multiply(self, table: str, count: int) -> int:
        """Insert so many copies of the table's newest rows, all or none; how many were taken."""

    def declare(self, table: str, key: tuple[str, ...]) -> None:
        """Have a unique key of these columns decide; REFUSED where rows break it."""

    def size(self) -> int:
        """Bytes that it takes on the disk."""

    def close(self) -> None:
        """Let go of it."""
