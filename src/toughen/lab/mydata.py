"""Owns one MySQL database of the prototype's: what of it changed is told by marks, and only that is read and put back."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql

from toughen.errors import LabError
from toughen.lab import images, mycatalog
from toughen.lab.copies import TAKEN, copies, keys_of
from toughen.lab.mysql import APP, named
from toughen.lab.myvalues import inserts, rows_of, stored, value_of
from toughen.lab.rows import called

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymysql.cursors import Cursor

    from toughen.lab.mycatalog import Shape, TableShape
    from toughen.lab.mysql import Server
    from toughen.lab.myvalues import Raw
    from toughen.lab.rows import Row, Table
    from toughen.model.blueprint import Json
    from toughen.model.blueprint import Table as Described

_SESSION = (
    "SET SESSION innodb_lock_wait_timeout = 1, lock_wait_timeout = 1, time_zone = '+00:00', foreign_key_checks = 0, unique_checks = 0,"
    " sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'"
)
_MARIADB = ("SET SESSION max_statement_time = 20",)
# MySQL 8 tells of AUTO_INCREMENT what it knew a day ago.
_MYSQL = ("SET SESSION max_execution_time = 20000", "SET SESSION information_schema_stats_expiry = 0")
_GIVEN = "SET SESSION foreign_key_checks = 1, unique_checks = 1, sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'"
_IN_THE_WAY = frozenset({1205, 1213, 1317, 3024, 1969})
"""Somebody keeps rows or tables locked (mariadb.com/kb/en/mariadb-error-codes)."""
_GONE = frozenset({0, 2006, 2013})
_COUNTERS = "SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND AUTO_INCREMENT IS NOT NULL"


@dataclass(frozen=True, slots=True)
class State:
    """What a database held at a moment; rows are shared with other States where they are the same."""

    shape: Shape
    rows: dict[str, Raw]
    counters: dict[str, int]
    """Where AUTO_INCREMENT stands, by table."""


@dataclass(slots=True)
class MysqlDatabase:
    """One database of the lab's server, over connections of the lab's own."""

    server: Server
    database: str
    _live: pymysql.Connection[Any] | None = None
    _shape: Shape | None = None
    _marks: dict[str, tuple[str, Raw]] = field(default_factory=dict)
    """Of each table: the mark that it had when it was last read, and its rows."""
    _read: dict[str, tuple[Raw, Table]] = field(default_factory=dict)
    _shapes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Statements that make a shape, by its digest."""

    @property
    def name(self) -> str:
        """`mysql:shop`."""
        return f"mysql:{self.database}"

    def save(self) -> State:
        """The present state; only what changed since the last look is read."""
        with self._cursor() as cursor:
            return self._state(cursor)

    def put(self, saved: State, let_go: Callable[[], None], *, quiet: bool = True) -> bool:
        """Put back the tables and counters that differ; True where the whole shape had to be made anew."""
        if quiet:
            self._end_others("AND command <> 'Sleep'")
        try:
            return self._put(saved)
        except pymysql.Error as error:
            if _code(error) not in _IN_THE_WAY:
                raise
            # A process keeps rows locked: a handler that stands, or failed, within its transaction. What it did is undone.
            let_go()
            self._end_others()
            return self._put(saved)

    def image(self, saved: State) -> bytes:
        """An archive of the shape and each table's rows."""
        index = {"shape": list(self._shapes[saved.shape.digest]), "tables": list(saved.rows), "counters": saved.counters}
        # Each byte a character: JSON has no bytes.
        texts = (json.dumps([[None if each is None else each.decode("latin-1") for each in row] for row in rows]) for rows in saved.rows.values())
        return images.packed(itertools.chain([("index.json", json.dumps(index))], ((f"rows/{number}", text) for number, text in enumerate(texts))))

    def load(self, image: bytes) -> None:
        """Put another run's image in place. Raises LabError where it is damaged."""
        with images.opened(image, self.database) as archive:
            index = json.loads(archive.read("index.json"))
            rows = {str(name): stored(json.loads(archive.read(f"rows/{number}"))) for number, name in enumerate(index["tables"])}
            statements = tuple(map(str, index["shape"]))
            counters = {str(name): int(value) for name, value in index["counters"].items()}
        self._end_others()
        now = self.save()
        if now.shape.statements != statements:
            self._build(statements)
            now = self.save()
        if any(len(row) != len(table.columns) for table in now.shape.tables for row in rows.get(table.name, ())):
            raise LabError("the stored rows do not fit the database", subject=self.database)
        self._put(State(now.shape, rows, counters))

    def tables(self) -> dict[str, Table]:
        """All rows as they are now."""
        saved, found = self.save(), {}
        for table in saved.shape.tables:
            raw = saved.rows[table.name]
            known = self._read.get(table.name)
            if known is None or known[0] is not raw:
                known = self._read[table.name] = (raw, rows_of(table, raw))
            found[table.name] = known[1]
        return found

    def rows(self, table: str) -> Table | None:
        """One table's rows."""
        return called(self.tables(), table)

    def columns(self) -> dict[str, list[str]]:
        """Columns by table."""
        with self._cursor() as cursor:
            return {table.name: list(table.columns) for table in self._look(cursor).tables}

    def described(self) -> list[Described]:
        """The tables as the catalogue has them."""
        with self._cursor() as cursor:
            return list(self._look(cursor).described)

    def assign(self, table: str, column: str, value: Json, where: tuple[tuple[str, Json], ...]) -> bool:
        """Write one column of the rows for which all equalities hold."""
        with self._given() as cursor:
            place = _named(self._look(cursor), table)
            fits = " AND ".join(f"{named(name)} <=> %s" for name, _ in where) or "true"
            values = [value_of(place, name, each) for name, each in ((column, value), *where)]
            return int(cursor.execute(f"UPDATE {place.quoted} SET {named(column)} = %s WHERE {fits}", values)) > 0

    def insert(self, table: str, row: Row) -> bool:
        """Insert one row."""
        with self._given() as cursor:
            place = _named(self._look(cursor), table)
            names, marks = ", ".join(map(named, row)), ", ".join("%s" for _ in row)
            return int(cursor.execute(f"INSERT INTO {place.quoted} ({names}) VALUES ({marks})", [value_of(place, name, each) for name, each in row.items()])) > 0

    def multiply(self, table: str, count: int) -> int:
        """Insert copies of the newest rows."""
        with self._given() as cursor:
            shape = self._look(cursor)
            place, known = _named(shape, table), next(each for each in shape.described if each.name.lower() == table.lower())
            columns, largest = list(place.written), {}
            chosen = ", ".join(map(named, columns))
            for column in keys_of(known) or ():
                if column.type == "integer":
                    cursor.execute(f"SELECT MAX({named(column.name)}) FROM {place.quoted}")
                    largest[column.name] = int((cursor.fetchone() or (0,))[0] or 0)
            newest = "ORDER BY " + ", ".join(f"{named(key)} DESC" for key in place.keys) if place.keys else ""
            cursor.execute(f"SELECT {chosen} FROM {place.quoted} {newest} LIMIT {TAKEN}")
            made = list(copies(known, columns, list(cursor.fetchall()), count, largest))
            cursor.execute("BEGIN")
            try:
                cursor.executemany(f"INSERT INTO {place.quoted} ({chosen}) VALUES ({', '.join('%s' for _ in columns)})", made)
                cursor.execute("COMMIT")
            except pymysql.Error:
                cursor.execute("ROLLBACK")
                raise
        return len(made)

    def declare(self, table: str, key: tuple[str, ...]) -> None:
        """Have a unique key of these columns decide."""
        with self._given() as cursor:
            cursor.execute(f"CREATE UNIQUE INDEX {named('_'.join(('uq', table, *key))[:64])} ON {_named(self._look(cursor), table).quoted} ({', '.join(map(named, key))})")

    def size(self) -> int:
        """Bytes of its files."""
        folder = re.sub(r"\W", lambda found: f"@{ord(found.group()):04x}", self.database, flags=re.ASCII)
        total = 0
        for each in (self.server.folder / "data" / folder).glob("*"):
            # The server may remove one meanwhile.
            with contextlib.suppress(FileNotFoundError):
                total += each.stat().st_size
        return total

    def close(self) -> None:
        """Close the connection."""
        if self._live is not None:
            with contextlib.suppress(pymysql.Error):
                self._live.close()
            self._live = None

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        """The lab's own session, opened again where the server ended it."""
        if self._live is None or not self._live.open:
            live = self.server.connect(self.database)
            with live.cursor() as first:
                for statement in (_SESSION, *(_MARIADB if self.server.program.mariadb else _MYSQL)):
                    first.execute(statement)
            # Not before it is all that it must be.
            self._live = live
        try:
            with self._live.cursor() as cursor:
                yield cursor
        except pymysql.Error as error:
            if _code(error) in _GONE:
                self.close()
            raise

    @contextlib.contextmanager
    def _given(self) -> Iterator[Cursor]:
        """The same, as strict as the prototype's own sessions."""
        with self._cursor() as cursor:
            cursor.execute(_GIVEN)
            try:
                yield cursor
            finally:
                if self._live is not None and self._live.open:
                    cursor.execute(_SESSION)

    def _look(self, cursor: Cursor) -> Shape:
        marked = mycatalog.mark(cursor)
        if self._shape is None or self._shape.mark != marked:
            self._shape = mycatalog.shape(cursor, marked)
            self._shapes[self._shape.digest] = self._shape.statements
        return self._shape

    def _state(self, cursor: Cursor) -> State:
        shape = self._look(cursor)
        marks = self._marked(cursor, shape)
        for table in shape.tables:
            if self._marks.get(table.name, ("", ()))[0] != marks[table.name]:
                self._marks[table.name] = (marks[table.name], self._taken(table))
        return State(shape, {table.name: self._marks[table.name][1] for table in shape.tables}, _counters(cursor))

    def _marked(self, cursor: Cursor, shape: Shape) -> dict[str, str]:
        """A mark for each table, another one after any change of a row."""
        if not shape.tables:
            return {}
        cursor.execute("CHECKSUM TABLE " + ", ".join(table.quoted for table in shape.tables))
        return {table.name: f"{shape.digest} {row[1]}" for table, row in zip(shape.tables, cursor.fetchall(), strict=True)}

    def _taken(self, table: TableShape) -> Raw:
        """The rows of a table as the server writes them, oldest first."""
        if not table.columns:
            return ()
        order = " ORDER BY " + ", ".join(map(named, table.keys)) if table.keys else ""
        assert self._live is not None
        decoders, self._live.decoders = self._live.decoders, {}
        self._live.use_unicode = False
        try:
            with self._live.cursor() as cursor:
                cursor.execute(f"SELECT {', '.join(map(named, table.columns))} FROM {table.quoted}{order}")
                return tuple(cursor.fetchall())
        finally:
            self._live.decoders, self._live.use_unicode = decoders, True

    def _put(self, saved: State) -> bool:
        anew = False
        now = self.save()
        if now.shape.digest != saved.shape.digest:
            self._build(self._shapes[saved.shape.digest])
            now, anew = self.save(), True
        different = [table for table in now.shape.tables if now.rows[table.name] != saved.rows.get(table.name, ())]
        with self._cursor() as cursor:
            if different:
                # What was interrupted may have left the mode of a trigger.
                cursor.execute(_SESSION)
            for table in different:
                self._write(cursor, table, saved.rows.get(table.name, ()))
            standing = _counters(cursor) if different else now.counters
            for name, value in saved.counters.items():
                if standing.get(name, value) != value:
                    cursor.execute(f"ALTER TABLE {named(name)} AUTO_INCREMENT = {value}")
            shape = now.shape
            if self._shape is not None:
                # These changes of ours leave every shape as it was.
                shape = self._shape = mycatalog.Shape(mycatalog.mark(cursor), shape.digest, shape.tables, shape.statements, shape.described)
            marks = self._marked(cursor, shape)
            for table in different:
                self._marks[table.name] = (marks[table.name], saved.rows.get(table.name, ()))
        return anew

    def _write(self, cursor: Cursor, table: TableShape, rows: Raw) -> None:
        """Have a table hold these rows and no others; its triggers stay still."""
        for name, _ in table.triggers:
            cursor.execute(f"DROP TRIGGER {named(name)}")
        cursor.execute("BEGIN")
        try:
            cursor.execute(f"DELETE FROM {table.quoted}")
            for statement in inserts(table, rows):
                cursor.execute(statement)
            cursor.execute("COMMIT")
        except pymysql.Error:
            with contextlib.suppress(pymysql.Error):
                cursor.execute("ROLLBACK")
                _trigger(cursor, table)
            raise
        _trigger(cursor, table)

    def _build(self, statements: tuple[str, ...]) -> None:
        """Make the whole shape anew, empty."""
        self._end_others()
        with self._cursor() as cursor:
            cursor.execute(f"DROP DATABASE {named(self.database)}")
            cursor.execute(f"CREATE DATABASE {named(self.database)}")
            cursor.execute(f"USE {named(self.database)}")
            _run(cursor, statements)
        self._shape = None
        self._marks.clear()

    def _end_others(self, which: str = "") -> None:
        """End the prototype's connections, and wait until they are gone."""
        with self._cursor() as cursor:
            for _ in range(100):
                cursor.execute(f"SELECT id FROM information_schema.processlist WHERE user = '{APP}' AND (db = DATABASE() OR db IS NULL) {which}")
                others = cursor.fetchall()
                for (number,) in others:
                    with contextlib.suppress(pymysql.Error):
                        cursor.execute(f"KILL {int(number)}")
                if not others:
                    return
                time.sleep(0.005)


def _run(cursor: Cursor, statements: tuple[str, ...]) -> None:
    """Run statements of which one may need what a later one makes, as views do."""
    left = list(statements)
    while left:
        again: list[str] = []
        cursor.execute(_SESSION)
        for statement in left:
            try:
                cursor.execute(statement)
            except pymysql.Error:
                again.append(statement)
                if len(again) == len(left):
                    raise
        left = again
    cursor.execute(_SESSION)


def _trigger(cursor: Cursor, table: TableShape) -> None:
    for _, made in table.triggers:
        for statement in made:
            cursor.execute(statement)
    if table.triggers:
        cursor.execute(_SESSION)


def _code(error: pymysql.Error) -> int:
    return int(error.args[0]) if error.args and isinstance(error.args[0], int) else 0


def _counters(cursor: Cursor) -> dict[str, int]:
    cursor.execute(_COUNTERS)
    return {str(name): int(value) for name, value in sorted(cursor.fetchall())}


def _named(shape: Shape, name: str) -> TableShape:
    for table in shape.tables:
        if table.name.lower() == name.lower():
            return table
    raise pymysql.ProgrammingError(1146, f"no table {name}")
