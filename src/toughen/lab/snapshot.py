"""Owns the prototype's state: its databases and written files, taken once, restored before every trial, compared after."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.lab.databases import REFUSED
from toughen.lab.sandbox import PRIVATE
from toughen.lab.sandbox import held as inside
from toughen.lab.servers import kind_of, opened
from toughen.lab.sqlite import SqliteFile, is_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from toughen.lab.databases import Database
    from toughen.lab.rows import Row, Table
    from toughen.lab.servers import Server
    from toughen.model.blueprint import Json
    from toughen.model.blueprint import Table as Described
    from toughen.model.journey import Grant

_PRIVATE_FOLDERS = ("/tmp", "/dev/shm")  # noqa: S108
_SKIPPED = {"node_modules", ".git", "__pycache__"}
_SERVED = ("postgresql:", "mysql:")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state that trials start from."""

    digest: str
    images: dict[str, bytes]
    """Images of the databases by their names (paths relative to the world's root; `postgresql:shop`, `mysql:shop`)."""


@dataclass(slots=True)
class World:
    """The throw-away folder with the copy of the project, and its databases, in files or on a server of the lab's."""

    root: Path
    pristine: Path
    """Copy of the project as it was when the snapshot was taken, for files that a trial writes."""
    server: Server | None = None
    databases: list[Database] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while `pristine` is laid anew, and by whoever reads it from another thread."""
    let_go: Callable[[], None] = lambda: None
    """Ends the processes that may keep a database locked."""
    laid: int = 0
    """How often a database was laid anew, so that who had it open holds what is no longer there."""
    taken: int = 0
    """How often a snapshot was taken."""
    elsewhere: tuple[str, ...] = ()
    """Folders that only the box shows: they lie in the world."""
    _opened: set[str] = field(default_factory=set)
    _served: dict[str, Database] = field(default_factory=dict)
    _saved: dict[str, Any] = field(default_factory=dict)
    _start: dict[str, Table] = field(default_factory=dict)

    def discover(self, named: Iterable[str] = ()) -> None:
        """Find the databases: those of the server, and the files that the agent saw opened; before it saw any, every SQLite file below the root."""
        seen = [self.seen_from_here(path) for path in named]
        opened = {os.path.relpath(path, self.root) for path in seen if (is_database(path) or _empty(path)) and os.path.realpath(path).startswith(str(self.root.resolve()) + os.sep)}
        self._opened |= opened
        served = self._on_server()
        # A database that lies about and is not opened is no state of the prototype's.
        names = (each for each in self._opened if (self.root / each).exists()) if self._opened or served else self._lying_about()
        self.databases = [*(SqliteFile(self.root / name, name) for name in sorted(names)), *served]

    def _on_server(self) -> list[Database]:
        if self.server is None:
            return []
        with contextlib.suppress(*REFUSED):
            for name in self.server.databases():
                self._served.setdefault(name, opened(self.server, name))
        return [self._served[name] for name in sorted(self._served)]

    def _lying_about(self) -> Iterator[str]:
        for folder, folders, files in os.walk(self.root):
            folders[:] = [name for name in folders if name not in _SKIPPED]
            yield from (os.path.relpath(path, self.root) for name in files if is_database(path := os.path.join(folder, name)))

    def seen_from_here(self, path: str) -> str:
        """Where a file of the prototype's lies for us: its /tmp is a folder of the world."""
        for folder in _PRIVATE_FOLDERS:
            if path.startswith(folder + os.sep) and not path.startswith(str(self.root) + os.sep):
                held = self.root / PRIVATE / folder.strip("/").replace("/", "-") / os.path.relpath(path, folder)
                return str(held) if held.exists() else path
        for folder in self.elsewhere:
            if path == folder or path.startswith(folder + os.sep):
                return os.path.join(inside(self.root, folder), os.path.relpath(path, folder))
        return path

    def drop_empty(self) -> None:
        """Delete databases that were opened and never written: a prototype that makes its tables where there is no file takes an empty one for its own."""
        for name in [name for name in self._opened if _empty(str(self.root / name))]:
            (self.root / name).unlink(missing_ok=True)
        self.discover()

    def take(self) -> Snapshot:
        """Remember the present state as the one that `restore` goes back to."""
        self.discover()
        images, digest = {}, hashlib.blake2b(digest_size=16)
        self._saved.clear()
        for database in self.databases:
            saved = self._saved[database.name] = database.save()
            images[database.name] = database.image(saved)
            digest.update(database.name.encode() + images[database.name])
        with self.lock:
            if self.pristine.exists():
                shutil.rmtree(self.pristine)
            shutil.copytree(
                self.root, self.pristine, symlinks=True,
                ignore=lambda folder, names: [name for name in names if is_database(os.path.join(folder, name)) or name == "node_modules"],
            )
        self._start = self.tables()
        self.taken += 1
        return Snapshot(digest.hexdigest(), images)

    def load(self, snapshot: Snapshot) -> None:
        """Put another run's snapshot in place and make it the one that `restore` goes back to."""
        for name, image in snapshot.images.items():
            if name.startswith(_SERVED):
                kind, _, own = name.partition(":")
                if self.server is not None and kind == kind_of(self.server):
                    self.server.ensure(own)
                    self._served.setdefault(own, opened(self.server, own)).load(image)
                    self.laid += 1
                continue
            path = self.root / name
            if path.resolve().is_relative_to(self.root.resolve()):
                SqliteFile(path, name).load(image)
        self.take()

    def bring(self, snapshot: Snapshot) -> None:
        """Put another run's snapshot in place, with the unique keys that this tree's own tables have beyond it, as a migration would."""
        declared = {(each.name, table.name, key) for each in self.databases for table in each.described() for key in _keys(table)}
        self.load(snapshot)
        for each in self.databases:
            held = {(each.name, table.name, key) for table in each.described() for key in _keys(table)}
            for _, table, key in sorted(one for one in declared - held if one[0] == each.name and any(one[1] == known.name for known in each.described())):
                with contextlib.suppress(*REFUSED):
                    each.declare(table, key)
        self.take()

    def restore(self, written: Iterable[str] = ()) -> None:
        """Go back to the snapshot: databases in place, written files, new files deleted. No process is at work any more."""
        self._put(self._saved, quiet=True)
        self.restore_files(written)

    def restore_files(self, written: Iterable[str]) -> None:
        """Put written files back as the pristine copy has them; nothing where no copy was made yet."""
        if self.pristine.exists():
            for path in written:
                self._restore_file(path)

    def checkpoint(self) -> dict[str, Any]:
        """Remember the databases as they are, beside the snapshot; cheap enough to take before every attempt."""
        found = {}
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                found[database.name] = database.save()
        return found

    def rollback(self, checkpoint: dict[str, Any]) -> None:
        """Put the databases back to a checkpoint."""
        with contextlib.suppress(*REFUSED):
            self._put(checkpoint, quiet=False)

    def _put(self, saved: dict[str, Any], *, quiet: bool) -> None:
        for database in self.databases:
            if database.name in saved and database.put(saved[database.name], self.let_go, quiet=quiet):
                self.laid += 1

    def _restore_file(self, path: str) -> None:
        full = os.path.normpath(self.seen_from_here(path))
        if not full.startswith(str(self.root) + os.sep):
            return
        relative = os.path.relpath(full, self.root)
        if relative in self._saved or any(relative.startswith(name + "-") for name in self._saved):
            return
        kept = self.pristine / relative
        if kept.is_file():
            shutil.copy2(kept, full)
        elif os.path.isfile(full):
            os.unlink(full)

    def tables(self) -> dict[str, Table]:
        """All rows of all tables as they are now."""
        found: dict[str, Table] = {}
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                for name, table in database.tables().items():
                    found.setdefault(name, table)
        return found

    def rows(self, table: str) -> list[Row]:
        """The rows of one table as they are now, oldest first; empty where there is no such table."""
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                held = database.rows(table)
                if held is not None:
                    return list(held.values())
        return []

    def columns(self, table: str) -> list[str]:
        """Names of a table's columns as they are now; none where there is no such table."""
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                for name, columns in database.columns().items():
                    if name.lower() == table.lower():
                        return columns
        return []

    def in_file(self, table: str) -> SqliteFile | None:
        """The file that holds a table: it may have come with the project, older than its models."""
        found = self._holder(table)
        return found if isinstance(found, SqliteFile) else None

    @property
    def start(self) -> dict[str, Table]:
        """All rows as the snapshot holds them."""
        return self._start

    def write(self, grant: Grant) -> bool:
        """Write one grant; False where no row matched or the table refused."""
        return self.assign(grant.table, grant.column, grant.value, grant.where)

    def assign(self, table: str, column: str, value: Json, where: tuple[tuple[str, Json], ...]) -> bool:
        """Write one column where all equalities hold; False where no row matched or the table refused."""
        holder = self._holder(table)
        with contextlib.suppress(*REFUSED):
            return holder is not None and holder.assign(table, column, value, where)
        return False

    def insert(self, table: str, row: Row) -> bool:
        """Insert one row; False where the table refused it."""
        holder = self._holder(table)
        with contextlib.suppress(*REFUSED):
            return holder is not None and holder.insert(table, row)
        return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Keep writers out of the databases that lie in files meanwhile; whether there is one that lets itself be locked."""
        with contextlib.ExitStack() as held:
            holds = {held.enter_context(each.locked()) for each in self.databases if isinstance(each, SqliteFile)}
            yield True in holds

    def multiply(self, table: str, count: int) -> int:
        """Insert copies of the newest rows of a table; how many it took."""
        holder = self._holder(table)
        with contextlib.suppress(*REFUSED):
            return holder.multiply(table, count) if holder is not None else 0
        return 0

    def weight(self, files: Iterable[str] = ()) -> int:
        """Bytes of the databases, and of files of the prototype's that are named."""
        total = 0
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                total += database.size()
        known = {str(self.root / each.name) + suffix for each in self.databases for suffix in ("", "-wal", "-journal")}
        for path in {self.seen_from_here(each) for each in files} - known:
            with contextlib.suppress(OSError):
                total += os.path.getsize(path)
        return total

    def close(self) -> None:
        """Let go of the databases."""
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                database.close()

    def _holder(self, table: str) -> Database | None:
        """The first database that has a table of that name."""
        for database in self.databases:
            with contextlib.suppress(*REFUSED):
                if any(name.lower() == table.lower() for name in database.columns()):
                    return database
        return None


def _empty(path: str) -> bool:
    """A database that was opened and never written is an empty file."""
    return os.path.isfile(path) and os.path.getsize(path) == 0


def _keys(table: Described) -> set[tuple[str, ...]]:
    return {tuple(sorted(key)) for key in (*table.uniques, *((column.name,) for column in table.columns if column.unique and not column.primary_key))}
