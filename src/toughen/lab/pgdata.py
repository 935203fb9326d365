"""Owns one PostgreSQL database of the prototype's: what of it changed is told by marks, and only that is read and put back."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql
from psycopg.types.string import TextLoader

from toughen.lab import images, pgcatalog
from toughen.lab.copies import TAKEN, copies, keys_of
from toughen.lab.rows import MOST, by_key, called, plain, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.lab.pgcatalog import Shape, TableShape
    from toughen.lab.postgres import Server
    from toughen.lab.rows import Row, Table
    from toughen.model.blueprint import Json
    from toughen.model.blueprint import Table as Described

_LOCK_MS, _STATEMENT_MS = 500, 20_000
_AS_TEXT = ("date", "timestamp", "timestamptz", "time", "timetz", "interval", "json", "jsonb", "uuid", "inet", "cidr", "macaddr")
"""Types that are read as the server writes them."""
_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
_IN_THE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled, psycopg.errors.DeadlockDetected, psycopg.errors.ObjectInUse)


@dataclass(frozen=True, slots=True)
class State:
    """What a database held at a moment; rows as COPY writes them, shared with other States where they are the same."""

    shape: Shape
    rows: dict[str, bytes]
    """By the table's quoted name."""
    sequences: dict[str, tuple[int, bool]]


@dataclass(slots=True)
class PostgresDatabase:
    """One database of the lab's server, over a connection of the lab's own."""

    server: Server
    database: str
    _live: psycopg.Connection[Any] | None = None
    _shape: Shape | None = None
    _marks: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """Of each table: the mark that it had when it was last read, and its rows."""
    _read: dict[str, tuple[bytes, Table]] = field(default_factory=dict)
    _schemas: dict[str, str] = field(default_factory=dict)
    """Statements that make a shape, by its digest."""

    @property
    def name(self) -> str:
        """`postgresql:shop`."""
        return f"postgresql:{self.database}"

    def save(self) -> State:
        """The present state; only what changed since the last look is read."""
        live, shape = self._look()
        if shape.digest not in self._schemas:
            self._schemas[shape.digest] = self.server.schema(self.database)
        marks, sequences = self._marked(live, shape)
        for table in shape.tables:
            if self._marks.get(table.quoted, ("", b""))[0] != marks[table.quoted]:
                self._marks[table.quoted] = (marks[table.quoted], self._copied(live, table))
        return State(shape, {table.quoted: self._marks[table.quoted][1] for table in shape.tables}, sequences)

    def put(self, saved: State, let_go: Callable[[], None], *, quiet: bool = True) -> bool:
        """Put back the tables and sequences that differ; True where the whole shape had to be made anew."""
        if quiet:
            self._await_quiet(let_go)
        try:
            return self._put(saved)
        except _IN_THE_WAY:
            # A process keeps rows locked: a handler that stands, or failed, within its transaction. What it did is undone.
            let_go()
            self._end_others()
            return self._put(saved)

    def _put(self, saved: State) -> bool:
        anew = False
        now = self.save()
        if now.shape.digest != saved.shape.digest:
            self._build(self._schemas[saved.shape.digest])
            now, anew = self.save(), True
        live, shape = self._look()
        different = [table for table in shape.tables if now.rows[table.quoted] != saved.rows.get(table.quoted, b"")]
        moved = [(name, value) for name, value in saved.sequences.items() if now.sequences.get(name) != value]
        if different or moved:
            with live.transaction(), live.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
                for table in different:
                    cursor.execute(f"DELETE FROM {table.quoted}")
                    with cursor.copy(f"COPY {table.quoted} ({', '.join(map(quoted, table.written))}) FROM STDIN") as copy:
                        copy.write(saved.rows.get(table.quoted, b""))
                for name, (value, called) in moved:
                    cursor.execute("SELECT setval(%s::regclass, %s, %s)", [name, value, called])
            marks, _ = self._marked(live, shape)
            for table in different:
                self._marks[table.quoted] = (marks[table.quoted], saved.rows.get(table.quoted, b""))
        return anew

    def image(self, saved: State) -> bytes:
        """An archive of the schema and each table's rows."""
        names = list(saved.rows)
        head = [("schema.sql", self._schemas[saved.shape.digest]), ("index.json", json.dumps({"tables": names, "sequences": saved.sequences}))]
        return images.packed([*head, *((f"rows/{number}", saved.rows[name]) for number, name in enumerate(names))])

    def load(self, image: bytes) -> None:
        """Put another run's image in place. Raises LabError where it is damaged."""
        with images.opened(image, self.database) as archive:
            schema, index = archive.read("schema.sql").decode(), json.loads(archive.read("index.json"))
            rows = {str(name): archive.read(f"rows/{number}") for number, name in enumerate(index["tables"])}
            sequences = {str(name): (int(value), bool(called)) for name, (value, called) in index["sequences"].items()}
        self._end_others()
        now = self.save()
        if self._schemas[now.shape.digest] != schema:
            self._build(schema)
            now = self.save()
        self._put(State(now.shape, rows, sequences))

    def tables(self) -> dict[str, Table]:
        """All rows as they are now."""
        saved = self.save()
        live, found = self._connected(), {}
        for table in saved.shape.tables:
            data = saved.rows[table.quoted]
            known = self._read.get(table.quoted)
            if known is None or known[0] is not data:
                known = self._read[table.quoted] = (data, _rows(live, table))
            found[table.name] = known[1]
        return found

    def rows(self, table: str) -> Table | None:
        """One table's rows."""
        return called(self.tables(), table)

    def columns(self) -> dict[str, list[str]]:
        """Columns by table."""
        return {table.name: list(table.columns) for table in self._look()[1].tables}

    def described(self) -> list[Described]:
        """The tables as the catalogue has them."""
        return list(self._look()[1].described)

    def assign(self, table: str, column: str, value: Json, where: tuple[tuple[str, Json], ...]) -> bool:
        """Write one column of the rows for which all equalities hold."""
        live, shape = self._look()
        place = _named(shape, table)
        fits = " AND ".join(f"{quoted(name)} IS NOT DISTINCT FROM %s" for name, _ in where) or "true"
        values = [_literal(place, name, each) for name, each in ((column, value), *where)]
        with psycopg.ClientCursor(live) as cursor:
            return cursor.execute(f"UPDATE {place.quoted} SET {quoted(column)} = %s WHERE {fits}", values).rowcount > 0

    def insert(self, table: str, row: Row) -> bool:
        """Insert one row; a sequence behind its key goes on after it, as the keys of SQLite do."""
        live, shape = self._look()
        place = _named(shape, table)
        names, marks = ", ".join(quoted(column) for column in row), ", ".join("%s" for _ in row)
        with live.transaction(), psycopg.ClientCursor(live) as cursor:
            done = cursor.execute(
                f"INSERT INTO {place.quoted} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})", [_literal(place, name, each) for name, each in row.items()]
            ).rowcount
            for key in place.keys:
                if key in row:
                    found = cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [place.quoted, key]).fetchone()
                    if found and found[0]:
                        cursor.execute(f"SELECT setval(%s::regclass, greatest((SELECT max({quoted(key)}) FROM {place.quoted}), 1))", [found[0]])
        return done > 0

    def multiply(self, table: str, count: int) -> int:
        """Insert copies of the newest rows."""
        live, shape = self._look()
        place, known = _named(shape, table), next(each for each in shape.described if each.name.lower() == table.lower())
        columns = list(place.written)
        named = ", ".join(map(quoted, columns))
        with live.transaction(), psycopg.ClientCursor(live) as cursor:
            rows = cursor.execute(f"SELECT {named} FROM {place.quoted} ORDER BY ctid DESC LIMIT {TAKEN}").fetchall()
            largest = {
                column.name: cursor.execute(f"SELECT MAX({quoted(column.name)}) FROM {place.quoted}").fetchone()[0]  # type: ignore[index]
                for column in keys_of(known) or () if column.type == "integer"
            }
            made = [
                [each if isinstance(each, bytes) else _literal(place, name, each) for name, each in zip(columns, row, strict=True)]
                for row in copies(known, columns, rows, count, largest)
            ]
            cursor.executemany(f"INSERT INTO {place.quoted} ({named}) OVERRIDING SYSTEM VALUE VALUES ({', '.join('%s' for _ in columns)})", made)
        return len(made)

    def declare(self, table: str, key: tuple[str, ...]) -> None:
        """Have a unique key of these columns decide."""
        live, shape = self._look()
        live.execute(f"CREATE UNIQUE INDEX ON {_named(shape, table).quoted} ({', '.join(map(quoted, key))})")

    def size(self) -> int:
        """Bytes of its files."""
        found = self._connected().execute("SELECT pg_database_size(current_database())").fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        """Close the connection."""
        if self._live is not None:
            self._live.close()
            self._live = None

    def _connected(self) -> psycopg.Connection[Any]:
        if self._live is None or self._live.closed:
            live = self.server.connect(self.database)
            live.execute(f"SET lock_timeout = {_LOCK_MS}; SET statement_timeout = {_STATEMENT_MS}; SET timezone = 'UTC'; SET search_path = ''")
            for kind in _AS_TEXT:
                live.adapters.register_loader(kind, TextLoader)
            # Not before it is all that it must be.
            self._live = live
        return self._live

    def _look(self) -> tuple[psycopg.Connection[Any], Shape]:
        live = self._connected()
        marked = pgcatalog.mark(live)
        if self._shape is None or self._shape.mark != marked:
            self._shape = pgcatalog.shape(live, marked)
        return live, self._shape

    def _marked(self, live: psycopg.Connection[Any], shape: Shape) -> tuple[dict[str, str], dict[str, tuple[int, bool]]]:
        """A mark for each table, another one after any change of a row; and where the sequences stand."""
        parts = [
            f"SELECT {number}, false, count(*) || ' ' || coalesce(sum(hashtextextended(ctid::text || ' ' || xmin::text, 0)), 0), 0, false FROM {table.quoted}"
            for number, table in enumerate(shape.tables)
        ]
        parts += [f"SELECT {number}, true, '', last_value, is_called FROM {name}" for number, name in enumerate(shape.sequences)]
        found = live.execute(" UNION ALL ".join(parts)).fetchall() if parts else []
        # A table that was dropped and made again may have the same rows under the same marks.
        marks = {shape.tables[number].quoted: f"{shape.mark} {text}" for number, sequence, text, _, _ in found if not sequence}
        return marks, {shape.sequences[number]: (value, called) for number, sequence, _, value, called in found if sequence}

    def _copied(self, live: psycopg.Connection[Any], table: TableShape) -> bytes:
        if not table.written:
            return b""
        columns = ", ".join(map(quoted, table.written))
        with live.cursor() as cursor, cursor.copy(f"COPY (SELECT {columns} FROM {table.quoted} ORDER BY ctid) TO STDOUT") as copy:
            return b"".join(bytes(block) for block in copy)

    def _build(self, schema: str) -> None:
        """Make the whole shape anew, empty."""
        self._end_others()
        live = self._connected()
        schemas = live.execute("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'").fetchall()
        for (name,) in schemas:
            live.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        live.execute("CREATE SCHEMA public")
        with contextlib.closing(self.server.connect(self.database)) as fresh:
            # It says what its session must be like.
            fresh.execute(schema)
        self._shape = None
        self._marks.clear()

    def _await_quiet(self, let_go: Callable[[], None]) -> None:
        """See that no statement of a process that ended is still at work: it would be at work after the rows are put back.

        A process that left a transaction open (one connection for all, a refusal without a rollback) ends with it: what it holds is no longer true.
        """
        live = self._connected()
        busy = live.execute(f"SELECT count(*) {_OTHERS} AND state <> 'idle'").fetchone()
        if busy and busy[0]:
            let_go()
            self._end_others("AND state <> 'idle'")

    def _end_others(self, which: str = "") -> None:
        """End the prototype's connections, and wait until their backends are gone."""
        live = self._connected()
        live.execute(f"SELECT pg_terminate_backend(pid, 2000) {_OTHERS} {which}")


def _named(shape: Shape, name: str) -> TableShape:
    for table in shape.tables:
        if table.name.lower() == name.lower():
            return table
    raise psycopg.errors.UndefinedTable(f"no table {name}")


def _literal(table: TableShape, column: str, value: Json) -> object:
    """A value as SQL text without a type, which takes that of the column; lists of an array's column stay lists."""
    kind = next((kind for name, kind in zip(table.columns, table.types, strict=True) if name == column), "")
    match value:
        case None:
            return None
        case bool():
            return str(int(value)) if "int" in kind else str(value).lower()
        case list() if kind.endswith("[]"):
            return value
        case dict() | list():
            return json.dumps(value)
        case str() if kind == "bytea" and re.fullmatch(r"hex:([0-9a-f]{2})*", value):
            return "\\x" + value[4:]
    return str(value)


def _rows(live: psycopg.Connection[Any], table: TableShape) -> Table:
    columns = ", ".join(map(quoted, table.columns))
    order = quoted(table.keys[0]) if len(table.keys) == 1 and "int" in _kind(table, table.keys[0]) else "ctid"
    with live.cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {table.quoted} ORDER BY {order} DESC LIMIT {MOST}")
        told = ({name: _plain(value) for name, value in zip(table.columns, values, strict=True)} for values in reversed(cursor.fetchall()))
        return by_key(told, table.keys)


def _kind(table: TableShape, column: str) -> str:
    return table.types[table.columns.index(column)]


def _plain(value: object) -> Json:
    if isinstance(value, Decimal):
        return float(value) if value.is_finite() else str(value)
    return plain(value)
