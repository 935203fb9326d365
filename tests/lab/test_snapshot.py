"""State is taken once, restored before every trial and compared after."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from toughen.lab.rows import changes
from toughen.lab.snapshot import World
from toughen.model.journey import Grant

if TYPE_CHECKING:
    from pathlib import Path


def run(path: Path, *statements: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        rows: list[tuple[object, ...]] = []
        for each in statements:
            rows = connection.execute(each).fetchall()
        connection.commit()
    return rows


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world with one database: two users, one note, a table without a key."""
    root = tmp_path / "world"
    root.mkdir()
    run(
        root / "app.db",
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, balance INTEGER)",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE TABLE log (line TEXT)",
        "INSERT INTO users VALUES (1, 'ann', 10), (2, 'bob', 20)",
        "INSERT INTO notes VALUES (1, 'n')",
        "INSERT INTO log VALUES ('first')",
    )
    made = World(root, tmp_path / "pristine")
    made.take()
    return made


def test_a_trial_leaves_nothing(world: World) -> None:
    """After a restore every row, every new table and every written file is as it was, and the file kept its inode."""
    database = world.root / "app.db"
    inode = database.stat().st_ino
    upload, kept = world.root / "upload.txt", world.root / "kept.txt"
    kept.write_text("before")
    world.take()
    run(database, "UPDATE users SET balance = 0", "DELETE FROM notes", "CREATE TABLE t (x)", "INSERT INTO log VALUES ('second')")
    upload.write_text("new")
    kept.write_text("after")
    world.restore([str(upload), str(kept)])
    assert run(database, "SELECT balance FROM users ORDER BY id") == [(10,), (20,)]
    assert run(database, "SELECT count(*) FROM notes") == [(1,)]
    assert run(database, "SELECT count(*) FROM sqlite_master WHERE name = 't'") == [(0,)]
    assert database.stat().st_ino == inode
    assert not upload.exists()
    assert kept.read_text() == "before"


def test_a_damaged_database_is_laid_anew(world: World) -> None:
    """A prototype that wrecks its own database file does not wreck the next trial."""
    database = world.root / "app.db"
    database.write_bytes(b"SQLite format 3\x00" + b"garbage" * 500)
    world.restore()
    assert run(database, "SELECT name FROM users WHERE id = 1") == [("ann",)]


def test_a_lock_that_is_never_released_does_not_hang_the_lab(world: World) -> None:
    """Where a handler failed within its transaction and its process holds the lock, the state is restored all the same."""
    database = world.root / "app.db"
    held = sqlite3.connect(database, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    held.execute("UPDATE users SET balance = 77")
    began = time.monotonic()
    checkpoint = world.checkpoint()
    world.rollback(checkpoint)
    world.restore()
    assert run(database, "SELECT balance FROM users ORDER BY id") == [(10,), (20,)]
    assert time.monotonic() - began < 8
    held.close()
    assert run(database, "SELECT balance FROM users ORDER BY id") == [(10,), (20,)]


def test_write_ahead_logs_are_part_of_the_state(world: World) -> None:
    """A database in WAL mode is restored as well, with what lies in its log."""
    database = world.root / "app.db"
    run(database, "PRAGMA journal_mode=WAL", "UPDATE users SET balance = 11 WHERE id = 1")
    world.take()
    run(database, "UPDATE users SET balance = 99 WHERE id = 1")
    world.restore()
    assert run(database, "SELECT balance FROM users WHERE id = 1") == [(11,)]


def test_files_outside_the_world_are_never_touched(world: World, tmp_path: Path) -> None:
    """A path that a hostile process names is restored only inside the world."""
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    world.restore([str(outside), str(world.root / ".." / "outside.txt"), "/etc/hostname"])
    assert outside.read_text() == "mine"


def test_every_kind_of_change_is_told(world: World) -> None:
    """Inserted, updated and deleted rows are told apart, with the columns that differ; a table without a key goes by row."""
    before = world.tables()
    run(
        world.root / "app.db",
        "UPDATE users SET balance = 5 WHERE id = 1",
        "DELETE FROM users WHERE id = 2",
        "INSERT INTO notes VALUES (2, 'new')",
        "INSERT INTO log VALUES ('second')",
    )
    told = changes(before, world.tables())
    assert [(each.table, each.kind, each.columns) for each in told] == [
        ("log", "inserted", ("line",)),
        ("notes", "inserted", ("id", "body")),
        ("users", "updated", ("balance",)),
        ("users", "deleted", ("id", "name", "balance")),
    ]


def test_a_grant_is_written_where_it_fits(world: World) -> None:
    """A grant changes the rows that it names, and says so when there are none or the table refuses."""
    assert world.write(Grant("users", (("id", 1),), "balance", 1000))
    assert not world.write(Grant("users", (("id", 9),), "balance", 1000))
    assert not world.write(Grant("nowhere", (), "x", 1))
    assert [row["balance"] for row in world.rows("USERS")] == [1000, 20]


def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    """A table or a column whose name is SQL is read and granted like any other."""
    root = tmp_path / "world"
    root.mkdir()
    run(root / "x.db", 'CREATE TABLE "a""; DROP TABLE b; --" (id INTEGER PRIMARY KEY, "c"" d" TEXT)', "CREATE TABLE b (id INTEGER PRIMARY KEY)")
    run(root / "x.db", "INSERT INTO \"a\"\"; DROP TABLE b; --\" VALUES (1, 'v')")
    made = World(root, tmp_path / "pristine")
    made.take()
    assert made.write(Grant('a"; DROP TABLE b; --', (("id", 1),), 'c" d', "w"))
    assert set(made.tables()) == {'a"; DROP TABLE b; --', "b"}


def test_a_snapshot_travels(world: World, tmp_path: Path) -> None:
    """A snapshot taken in one world puts another world into the same state, under the same digest."""
    taken = world.take()
    root = tmp_path / "other"
    root.mkdir()
    other = World(root, tmp_path / "other-pristine")
    other.load(taken)
    assert run(root / "app.db", "SELECT name, balance FROM users ORDER BY id") == [("ann", 10), ("bob", 20)]
    assert other.take().images.keys() == taken.images.keys()


def test_a_snapshot_with_a_write_ahead_log_travels(world: World, tmp_path: Path) -> None:
    """A database that keeps a write-ahead log arrives with its rows and still keeps one."""
    run(world.root / "app.db", "PRAGMA journal_mode=WAL", "INSERT INTO notes VALUES (2, 'late')")
    taken = world.take()
    root = tmp_path / "elsewhere"
    root.mkdir()
    other = World(root, tmp_path / "other-pristine")
    other.load(taken)
    assert run(root / "app.db", "SELECT body FROM notes ORDER BY id") == [("n",), ("late",)]
    assert run(root / "app.db", "PRAGMA journal_mode") == [("wal",)]
    run(root / "app.db", "DELETE FROM notes")
    other.restore()
    assert run(root / "app.db", "SELECT count(*) FROM notes") == [(2,)]


def test_a_snapshot_cannot_escape(world: World, tmp_path: Path) -> None:
    """A stored snapshot that names a path outside the world writes nothing there."""
    taken = world.take()
    images = {"../escaped.db": next(iter(taken.images.values()))}
    root = tmp_path / "other"
    root.mkdir()
    World(root, tmp_path / "p2").load(type(taken)(taken.digest, images))
    assert not (tmp_path / "escaped.db").exists()
