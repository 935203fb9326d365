"""Owns one SQLite file of the prototype's: remembered in memory, put back in place."""

from __future__ import annotations

import contextlib
import hashlib
import re
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.lab.copies import TAKEN, copies, keys_of
from toughen.lab.rows import MOST, Row, Table, key_of, plain, quoted
from toughen.model.blueprint import Column
from toughen.model.blueprint import Table as Described

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from toughen.model.blueprint import Json

_MAGIC = b"SQLite format 3\x00"
_WAL, _ROLLBACK = b"\x02\x02", b"\x01\x01"
"""Bytes 18 and 19 of the header: how it is journalled (sqlite.org/fileformat2.html); memory cannot keep a write-ahead log."""
_HASHED, _REMEMBERED = 4 << 20, 24
"""Bytes of a database whose content is known again, and how many contents are."""
_SEEN: dict[bytes, dict[str, Table]] = {}
_LOCKED_SECONDS = 1.0
_AT_ONCE = 0.2
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_TYPES = (
    ("BOOL", "boolean"), ("INT", "integer"), ("DATETIME|TIMESTAMP", "datetime"), ("DATE", "date"), ("JSON", "json"),
    ("CHAR|TEXT|CLOB|STRING", "string"), ("REAL|FLOA|DOUB|NUM|DEC", "number"), ("BLOB", "blob"),
)


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """One file; every access opens it anew, because it may be replaced at any time."""

    path: Path
    name: str
    """Its path relative to the world."""

    def save(self) -> sqlite3.Connection:
        """A copy in memory."""
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        with contextlib.closing(self._open()) as live:
            _copy(live, memory)
        return memory

    def put(self, saved: sqlite3.Connection, let_go: Callable[[], None], *, quiet: bool = True) -> bool:  # noqa: ARG002
        """Copy it back into the same file (its inode stays); True where the file had to be laid anew under its name."""
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open()) as live:
            _copy(saved, live, _AT_ONCE)
            return False
        # A process keeps it locked: a handler that failed within its transaction. What it did is undone, so it may go.
        let_go()
        try:
            with contextlib.closing(self._open()) as live:
                _copy(saved, live)
        except sqlite3.Error:
            # A damaged file: whoever still holds the old one must be started again.
            for suffix in ("", "-wal", "-shm", "-journal"):
                self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(self.path)) as live:
                _copy(saved, live)
            return True
        return False

    def image(self, saved: sqlite3.Connection) -> bytes:
        """The file as SQLite would write it."""
        return saved.serialize()

    def load(self, image: bytes) -> None:
        """Put an image in place, journalled as it was."""
        memory = sqlite3.connect(":memory:", check_same_thread=False)
        logged = image[18:20] == _WAL
        memory.deserialize(image[:18] + _ROLLBACK + image[20:] if logged else image)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(self.path)) as live:
            _copy(memory, live)
            if logged:
                live.execute("PRAGMA journal_mode=WAL")
        memory.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep writers out meanwhile, as a process that writes would; False where somebody writes already."""
        with contextlib.closing(self._open()) as live:
            try:
                live.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                yield False
                return
            try:
                yield True
            finally:
                live.rollback()

    def tables(self) -> dict[str, Table]:
        """All rows; none where the file is gone."""
        if not self.path.exists():
            return {}
        digest = self._digest()
        if digest and digest in _SEEN:
            return _SEEN[digest]
        with contextlib.closing(self._open()) as live:
            found = {table: _read(live, table, keys) for table, keys in _tables_of(live)}
        if digest and digest == self._digest():
            _SEEN[digest] = found
            for oldest in list(_SEEN)[:-_REMEMBERED]:
                _SEEN.pop(oldest, None)
        return found

    def rows(self, table: str) -> Table | None:
        """One table's rows, the caller's own."""
        held = next((rows for name, rows in self.tables().items() if name.lower() == table.lower()), None)
        return None if held is None else {key: dict(row) for key, row in held.items()}

    def _digest(self) -> bytes:
        """What the files hold, in a few bytes: most readings see what an earlier one saw; empty where they are long."""
        digest = hashlib.blake2b(self.name.encode(), digest_size=16)
        for suffix in ("", "-wal", "-journal"):
            with contextlib.suppress(OSError), self.path.with_name(self.path.name + suffix).open("rb") as file:
                raw = file.read(_HASHED + 1)
                if len(raw) > _HASHED:
                    return b""
                digest.update(suffix.encode() + raw)
        return digest.digest()

    def columns(self) -> dict[str, list[str]]:
        """Columns by table."""
        with contextlib.closing(self._open()) as live:
            return {table: [str(column[1]) for column in live.execute(f"PRAGMA table_info({quoted(table)})")] for table, _ in _tables_of(live)}

    def described(self) -> list[Described]:
        """The tables by `PRAGMA table_info` and its sisters."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as live:
            return [_described(live, table) for table, _ in _tables_of(live)]

    def assign(self, table: str, column: str, value: Json, where: tuple[tuple[str, Json], ...]) -> bool:
        """Write one column of the rows for which all equalities hold."""
        fits = " AND ".join(f"{quoted(name)} IS ?" for name, _ in where) or "1"
        values = [value, *(each for _, each in where)]
        with contextlib.closing(self._open()) as live:
            return live.execute(f"UPDATE {quoted(table)} SET {quoted(column)} = ? WHERE {fits}", values).rowcount > 0

    def insert(self, table: str, row: Row) -> bool:
        """Insert one row."""
        names, marks = ", ".join(quoted(column) for column in row), ", ".join("?" for _ in row)
        with contextlib.closing(self._open()) as live:
            return live.execute(f"INSERT INTO {quoted(table)} ({names}) VALUES ({marks})", list(row.values())).rowcount > 0

    def multiply(self, table: str, count: int) -> int:
        """Insert copies of the newest rows."""
        known = next((each for each in self.described() if each.name.lower() == table.lower()), None)
        if known is None:
            return 0
        name, columns = quoted(known.name), [column.name for column in known.columns]
        with contextlib.closing(self._open()) as live:
            rows = live.execute(f"SELECT {', '.join(map(quoted, columns))} FROM {name} ORDER BY rowid DESC LIMIT {TAKEN}").fetchall()
            largest = {column.name: live.execute(f"SELECT MAX(CAST({quoted(column.name)} AS INTEGER)) FROM {name}").fetchone()[0] for column in keys_of(known) or ()}
            made = list(copies(known, columns, rows, count, largest))
            live.execute("BEGIN")
            live.executemany(f"INSERT INTO {name} ({', '.join(map(quoted, columns))}) VALUES ({', '.join('?' for _ in columns)})", made)
            live.execute("COMMIT")
        return len(made)

    def declare(self, table: str, key: tuple[str, ...]) -> None:
        """Have a unique key of these columns decide."""
        self.change(f"CREATE UNIQUE INDEX {quoted('_'.join(('uq', table, *key)))} ON {quoted(table)} ({', '.join(map(quoted, key))})")

    def size(self) -> int:
        """Bytes of its files."""
        return sum(each.stat().st_size for suffix in ("", "-wal", "-journal") if (each := self.path.with_name(self.path.name + suffix)).exists())

    def change(self, statement: str) -> None:
        """Run one statement of DDL."""
        with contextlib.closing(self._open()) as live:
            live.execute(statement)

    def close(self) -> None:
        """Nothing is held open."""

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_LOCKED_SECONDS, isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")
        return connection


def is_database(path: str) -> bool:
    """Whether a file is a SQLite database."""
    try:
        with open(path, "rb") as file:
            return file.read(16) == _MAGIC
    except OSError:
        return False


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, seconds: float = _LOCKED_SECONDS) -> None:
    """Copy a whole database. Raises sqlite3.OperationalError where it stays locked: `backup` alone would wait forever."""
    deadline = time.monotonic() + seconds
    for each in (source, target):
        each.execute(f"PRAGMA busy_timeout={int(seconds * 500)}")

    def look(status: int, _: int, __: int) -> None:
        if status in _BUSY and time.monotonic() > deadline:
            raise sqlite3.OperationalError("the database stays locked")

    source.backup(target, progress=look, sleep=0.02)


def _tables_of(live: sqlite3.Connection) -> Iterator[tuple[str, list[str]]]:
    """(table, names of its primary key)."""
    found: dict[str, list[str]] = {}
    for table, column, key in live.execute(
        "SELECT m.name, p.name, p.pk FROM sqlite_master m LEFT JOIN pragma_table_info(m.name) p ON p.pk"
        " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.rowid, p.pk"
    ).fetchall():
        found.setdefault(table, []).extend([column] if key else [])
    yield from found.items()


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _read(live: sqlite3.Connection, table: str, keys: list[str]) -> Table:
    try:
        cursor = live.execute(f"SELECT rowid, * FROM {quoted(table)} ORDER BY rowid DESC LIMIT {MOST}")
        shift = 1
    except sqlite3.Error:
        cursor = live.execute(f"SELECT * FROM {quoted(table)} LIMIT {MOST}")
        shift = 0
    columns = [item[0] for item in cursor.description][shift:]
    found: Table = {}
    try:
        fetched = cursor.fetchall()
    except sqlite3.OperationalError:
        # A text that is no UTF-8.
        live.text_factory = _lenient
        fetched = live.execute(f"SELECT {'rowid, ' if shift else ''}* FROM {quoted(table)} {'ORDER BY rowid DESC ' if shift else ''}LIMIT {MOST}").fetchall()
    for values in reversed(fetched):
        row: Row = {column: plain(value) for column, value in zip(columns, values[shift:], strict=True)}
        found[key_of(row, keys) if keys else str(values[0])] = row
    return found


def _described(live: sqlite3.Connection, name: str) -> Described:
    uniques = [
        tuple(str(part[2]) for part in live.execute(f'PRAGMA index_info("{index[1]}")'))
        for index in live.execute(f"PRAGMA index_list({quoted(name)})") if index[2]
    ]
    refers = {str(row[3]): (str(row[2]), str(row[4] or "id")) for row in live.execute(f"PRAGMA foreign_key_list({quoted(name)})")}
    columns = [_column(row, uniques, refers) for row in live.execute(f"PRAGMA table_info({quoted(name)})")]
    return Described(name, tuple(columns), tuple(uniques))


def _column(row: tuple[object, ...], uniques: list[tuple[str, ...]], refers: dict[str, tuple[str, str]]) -> Column:
    _, name, declared, required, default, key = row[:6]
    kind = next((kind for pattern, kind in _TYPES if re.search(pattern, str(declared), re.IGNORECASE)), "any")
    length = re.search(r"\((\d+)\)", str(declared))
    return Column(
        str(name), kind, nullable=not required and not key, primary_key=bool(key), unique=(str(name),) in uniques, references=refers.get(str(name)),
        max_length=int(length.group(1)) if length and kind == "string" else None, has_default=default is not None,
    )
