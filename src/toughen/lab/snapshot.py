"""Owns the prototype's state: SQLite databases and written files, taken once, restored before every trial, compared after."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.lab.sandbox import PRIVATE
from toughen.model.trace import RowChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from toughen.model.blueprint import Blueprint, Json
    from toughen.model.journey import Grant

_MAGIC = b"SQLite format 3\x00"
_WAL, _ROLLBACK = b"\x02\x02", b"\x01\x01"
"""Bytes 18 and 19 of the header: how it is journalled (sqlite.org/fileformat2.html); memory cannot keep a write-ahead log."""
ROWS = 20_000
"""Rows of one table that are read for a comparison; a longer table is compared by its newest rows."""
_PRIVATE_FOLDERS = ("/tmp", "/dev/shm")  # noqa: S108
_LONGEST = 4_000
_LOCKED_SECONDS = 1.0
_AT_ONCE = 0.2
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

Row = dict[str, "Json"]
Table = dict[str, Row]
"""Rows by primary key (as text), or by rowid where there is none."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that trials start from."""

    digest: str
    images: dict[str, bytes]
    """SQLite database images by path relative to the world's root."""


@dataclass(slots=True)
class World:
    """The throw-away folder: the copy of the project and its databases."""

    root: Path
    pristine: Path
    """Copy of the project as it was when the snapshot was taken, for files that a trial writes."""
    databases: list[str] = field(default_factory=list)
    """Paths of SQLite files relative to root."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while `pristine` is laid anew, and by whoever reads it from another thread."""
    let_go: Callable[[], None] = lambda: None
    """Ends the processes that may keep a database locked."""
    laid: int = 0
    """How often a database was laid anew, so that who had it open holds a file without a name."""
    taken: int = 0
    """How often a snapshot was taken."""
    _opened: set[str] = field(default_factory=set)
    _memory: dict[str, sqlite3.Connection] = field(default_factory=dict)
    _start: dict[str, Table] = field(default_factory=dict)
    _keys: dict[str, tuple[str, list[str]]] = field(default_factory=dict)

    def discover(self, named: Iterable[str] = ()) -> None:
        """Find the databases: those that the agent saw opened; before it saw any, every SQLite file below the root."""
        seen = [self.seen_from_here(path) for path in named]
        opened = {os.path.relpath(path, self.root) for path in seen if (_is_database(path) or _empty(path)) and os.path.realpath(path).startswith(str(self.root.resolve()) + os.sep)}
        self._opened |= opened
        if self._opened:
            # A database that lies about and is not opened is no state of the prototype's.
            self.databases = sorted(each for each in self._opened if (self.root / each).exists())
            self._keys.clear()
            return
        found: set[str] = set()
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in {"node_modules", ".git", "__pycache__"}]
            for name in files:
                path = os.path.join(folder, name)
                if _is_database(path):
                    found.add(os.path.relpath(path, self.root))
        self.databases = sorted(found)
        self._keys.clear()

    def seen_from_here(self, path: str) -> str:
        """Where a file of the prototype's lies for us: its /tmp is a folder of the world."""
        for folder in _PRIVATE_FOLDERS:
            if path.startswith(folder + os.sep) and not path.startswith(str(self.root) + os.sep):
                held = self.root / PRIVATE / folder.strip("/").replace("/", "-") / os.path.relpath(path, folder)
                return str(held) if held.exists() else path
        return path

    def take(self) -> Snapshot:
        """Remember the present state as the one that `restore` goes back to."""
        self.discover()
        images, digest = {}, hashlib.blake2b(digest_size=16)
        for connection in self._memory.values():
            connection.close()
        self._memory.clear()
        for name in self.databases:
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            with contextlib.closing(self._open(name)) as live:
                _copy(live, memory)
            self._memory[name] = memory
            images[name] = memory.serialize()
            digest.update(name.encode() + images[name])
        with self.lock:
            if self.pristine.exists():
                shutil.rmtree(self.pristine)
            shutil.copytree(
                self.root, self.pristine, symlinks=True,
                ignore=lambda folder, names: [name for name in names if _is_database(os.path.join(folder, name)) or name == "node_modules"],
            )
        self._start = self.tables()
        self.taken += 1
        return Snapshot(digest.hexdigest(), images)

    def load(self, snapshot: Snapshot) -> None:
        """Put another run's snapshot in place and make it the one that `restore` goes back to."""
        for name, image in snapshot.images.items():
            memory = sqlite3.connect(":memory:", check_same_thread=False)
            logged = image[18:20] == _WAL
            memory.deserialize(image[:18] + _ROLLBACK + image[20:] if logged else image)
            path = self.root / name
            if not path.resolve().is_relative_to(self.root.resolve()):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(path)) as live:
                _copy(memory, live)
                if logged:
                    live.execute("PRAGMA journal_mode=WAL")
            memory.close()
        self.take()

    def restore(self, written: Iterable[str] = ()) -> None:
        """Go back to the snapshot: databases in place (their inodes stay), written files, new databases deleted."""
        for name, memory in self._memory.items():
            self._restore(name, memory)
        self.restore_files(written)

    def restore_files(self, written: Iterable[str]) -> None:
        """Put written files back as the pristine copy has them; nothing where no copy was made yet."""
        if self.pristine.exists():
            for path in written:
                self._restore_file(path)

    def checkpoint(self) -> dict[str, sqlite3.Connection]:
        """Remember the databases as they are, beside the snapshot; cheap enough to take before every attempt."""
        found = {}
        for name in self.databases:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open(name)) as live:
                memory = sqlite3.connect(":memory:", check_same_thread=False)
                _copy(live, memory)
                found[name] = memory
        return found

    def rollback(self, checkpoint: dict[str, sqlite3.Connection]) -> None:
        """Put the databases back to a checkpoint."""
        for name, memory in checkpoint.items():
            with contextlib.suppress(sqlite3.Error):
                self._restore(name, memory)

    def _restore(self, name: str, memory: sqlite3.Connection) -> None:
        path = self.root / name
        with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open(name)) as live:
            _copy(memory, live, _AT_ONCE)
            return
        # A process keeps it locked: a handler that failed within its transaction. What it did is undone, so it may go.
        self.let_go()
        try:
            with contextlib.closing(self._open(name)) as live:
                _copy(memory, live)
        except sqlite3.Error:
            # A damaged file: it is laid anew under its name, and whoever still holds the old one must be started again.
            self.laid += 1
            for suffix in ("", "-wal", "-shm", "-journal"):
                (path.parent / (path.name + suffix)).unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(path)) as live:
                _copy(memory, live)

    def _restore_file(self, path: str) -> None:
        full = os.path.normpath(self.seen_from_here(path))
        if not full.startswith(str(self.root) + os.sep):
            return
        relative = os.path.relpath(full, self.root)
        if relative in self._memory or any(relative.startswith(name + "-") for name in self._memory):
            return
        kept = self.pristine / relative
        if kept.is_file():
            shutil.copy2(kept, full)
        elif os.path.isfile(full):
            os.unlink(full)

    def _open(self, name: str) -> sqlite3.Connection:
        connection = sqlite3.connect(self.root / name, timeout=_LOCKED_SECONDS, isolation_level=None)
        connection.execute("PRAGMA synchronous=OFF")
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        return connection

    def tables(self) -> dict[str, Table]:
        """All rows of all tables as they are now."""
        found: dict[str, Table] = {}
        for name in self.databases:
            if not (self.root / name).exists():
                continue
            try:
                with contextlib.closing(self._open(name)) as live:
                    for table, keys in self._tables_of(live):
                        found.setdefault(table, _read(live, table, keys))
            except sqlite3.Error:
                continue
        return found

    def _tables_of(self, live: sqlite3.Connection) -> list[tuple[str, list[str]]]:
        names = [
            row[0]
            for row in live.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        ]
        found = []
        for table in names:
            columns = live.execute(f"PRAGMA table_info({_quoted(table)})").fetchall()
            keys = [column[1] for column in sorted(columns, key=lambda column: column[5]) if column[5]]
            found.append((table, keys))
        return found

    def rows(self, table: str) -> list[Row]:
        """The rows of one table as they are now, oldest first; empty where there is no such table."""
        wanted = table.lower()
        for name in self.databases:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open(name)) as live:
                for each, keys in self._tables_of(live):
                    if each.lower() == wanted:
                        return list(_read(live, each, keys).values())
        return []

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns as they are now; none where there is no such table."""
        wanted = table.lower()
        for name in self.databases:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open(name)) as live:
                for each, _ in self._tables_of(live):
                    if each.lower() == wanted:
                        return [str(column[1]) for column in live.execute(f"PRAGMA table_info({_quoted(each)})")]
        return []

    def change(self, table: str, statement: str) -> bool:
        """Change the shape of a table; False where the database refused it."""
        for name in self.databases:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open(name)) as live:
                if any(each.lower() == table.lower() for each, _ in self._tables_of(live)):
                    live.execute(statement)
                    self._keys.clear()
                    return True
        return False

    @property
    def start(self) -> dict[str, Table]:
        """All rows as the snapshot holds them."""
        return self._start

    def changes(self, before: dict[str, Table], after: dict[str, Table]) -> tuple[RowChange, ...]:
        """What differs between two readings, in a stable order."""
        found: list[RowChange] = []
        for table in sorted({*before, *after}):
            old, new = before.get(table, {}), after.get(table, {})
            for key in sorted({*old, *new}, key=lambda each: (len(each), each)):
                if key not in old:
                    found.append(RowChange(table, "inserted", {}, new[key]))
                elif key not in new:
                    found.append(RowChange(table, "deleted", old[key], {}))
                elif old[key] != new[key]:
                    found.append(RowChange(table, "updated", old[key], new[key]))
        return tuple(found)

    def write(self, grant: Grant) -> bool:
        """Write one grant; False where no row matched or the table refused."""
        where = " AND ".join(f"{_quoted(column)} IS ?" for column, _ in grant.where) or "1"
        values = [grant.value, *(value for _, value in grant.where)]
        return self.execute(f"UPDATE {_quoted(grant.table)} SET {_quoted(grant.column)} = ? WHERE {where}", values, grant.table)

    def insert(self, table: str, row: Row) -> bool:
        """Insert one row; False where the table refused it."""
        columns = ", ".join(_quoted(column) for column in row)
        marks = ", ".join("?" for _ in row)
        return self.execute(f"INSERT INTO {_quoted(table)} ({columns}) VALUES ({marks})", list(row.values()), table)

    def execute(self, statement: str, values: list[Json], table: str) -> bool:
        """Run one statement of the lab's own on the database that holds `table`; True when it touched a row."""
        for name in self.databases:
            with contextlib.suppress(sqlite3.Error), contextlib.closing(self._open(name)) as live:
                if any(each.lower() == table.lower() for each, _ in self._tables_of(live)):
                    return live.execute(statement, values).rowcount > 0
        return False


def keyed(tables: dict[str, list[Row]], blueprint: Blueprint) -> dict[str, Table]:
    """Rows that came without their keys, by the primary key that the Blueprint knows, else by their first column, else by their place."""
    found: dict[str, Table] = {}
    for name, rows in tables.items():
        known = blueprint.table(name)
        keys = [each.name for each in known.columns if each.primary_key] if known else []
        held: Table = {}
        for place, row in enumerate(rows):
            key = "|".join(str(row.get(each)) for each in keys or list(row)[:1])
            held[key if key not in held else f"{key}#{place}"] = row
        found[name] = held
    return found


def _copy(source: sqlite3.Connection, target: sqlite3.Connection, seconds: float = _LOCKED_SECONDS) -> None:
    """Copy a whole database. Raises sqlite3.OperationalError where it stays locked: `backup` alone would wait forever."""
    deadline = time.monotonic() + seconds
    for each in (source, target):
        each.execute(f"PRAGMA busy_timeout={int(seconds * 500)}")

    def look(status: int, _: int, __: int) -> None:
        if status in _BUSY and time.monotonic() > deadline:
            raise sqlite3.OperationalError("the database stays locked")

    source.backup(target, progress=look, sleep=0.02)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _empty(path: str) -> bool:
    """A database that was opened and never written is an empty file."""
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _is_database(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(16) == _MAGIC
    except OSError:
        return False


def _read(live: sqlite3.Connection, table: str, keys: list[str]) -> Table:
    try:
        cursor = live.execute(f"SELECT rowid, * FROM {_quoted(table)} ORDER BY rowid DESC LIMIT {ROWS}")
        shift = 1
    except sqlite3.Error:
        cursor = live.execute(f"SELECT * FROM {_quoted(table)} LIMIT {ROWS}")
        shift = 0
    columns = [item[0] for item in cursor.description][shift:]
    found: Table = {}
    for values in reversed(cursor.fetchall()):
        row: Row = {column: _plain(value) for column, value in zip(columns, values[shift:], strict=True)}
        key = "|".join(str(row.get(name)) for name in keys) if keys else str(values[0])
        found[key] = row
    return found


def _plain(value: object) -> Json:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return value if len(value) <= _LONGEST else value[:_LONGEST]
        case bytes():
            return "hex:" + value[:_LONGEST].hex()
    return str(value)
