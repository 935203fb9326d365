"""A throw-away PostgreSQL server, and what the lab does to its databases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from toughen.lab import postgres
from toughen.lab.pgdata import PostgresDatabase
from toughen.lab.rows import changes
from toughen.lab.snapshot import World
from toughen.model.journey import Grant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.postgres import Server

SCHEMA = """
CREATE TYPE mood AS ENUM ('calm', 'cross');
CREATE TABLE users (id serial PRIMARY KEY, name varchar(40) UNIQUE NOT NULL, balance numeric(10, 2) DEFAULT 0, active boolean NOT NULL DEFAULT true,
    feels mood, settings jsonb, born date, seen timestamptz, photo bytea, tags text[], twice numeric GENERATED ALWAYS AS (balance * 2) STORED);
CREATE TABLE notes (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), user_id integer NOT NULL REFERENCES users (id) ON DELETE CASCADE, body text);
CREATE TABLE log (line text);
CREATE SCHEMA other;
CREATE TABLE other.log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, line text);
INSERT INTO users (name, balance, feels, settings, born, seen, photo, tags) VALUES
    ('ann', 10, 'calm', '{"theme": "dark"}', '2001-02-03', '2026-01-02 03:04:05+00', '\\x00ff', '{a,b}'), ('bob', 20.50, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO notes (user_id, body) VALUES (1, 'hers'), (2, 'his');
INSERT INTO log VALUES ('first'), ('first');
INSERT INTO other.log (line) VALUES ('elsewhere');
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres.serve() as found:
        yield found


@pytest.fixture
def world(server: Server, tmp_path: Path) -> Iterator[World]:
    with server.connect() as live:
        live.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        live.execute("CREATE DATABASE shop")
    with server.connect("shop") as live:
        live.execute(SCHEMA)
    (tmp_path / "world").mkdir()
    made = World(tmp_path / "world", tmp_path / "pristine", server)
    made.discover()
    yield made
    made.close()


def do(world: World, *statements: str) -> None:
    assert world.server is not None
    with world.server.connect("shop") as live:
        for each in statements:
            live.execute(each)


def test_the_server_is_gone_with_all_that_it_had() -> None:
    """A server listens on no port, and leaves no process and no file when its context ends."""
    with postgres.serve() as server:
        folder, process = server.folder, server.box.process.pid
        with server.connect() as live:
            assert live.execute("SHOW listen_addresses").fetchone() == ("",)
            number = live.execute("SELECT pg_backend_pid()").fetchone()
        assert server.databases() == []
        assert number is not None
        assert str(folder) in Path(f"/proc/{process}/cmdline").read_text()
    assert not folder.exists()
    assert not Path(f"/proc/{process}").exists()
    assert not any(str(folder) in _command(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())


def _command(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def test_rows_are_read_as_json_has_them(world: World) -> None:
    """Rows of all schemas are read by table and key; numbers, flags, times, structures and bytes as SQLite would show them."""
    tables = world.tables()
    assert sorted(tables) == ["log", "notes", "other.log", "users"]
    assert tables["users"]["1"] == {
        "id": 1, "name": "ann", "balance": 10.0, "active": True, "feels": "calm", "settings": '{"theme": "dark"}', "born": "2001-02-03",
        "seen": "2026-01-02 03:04:05+00", "photo": "hex:00ff", "tags": '["a", "b"]', "twice": 20.0,
    }  # fmt: skip
    assert len(tables["log"]) == 2
    assert world.rows("OTHER.log") == [{"id": 1, "line": "elsewhere"}]
    assert world.columns("notes") == ["id", "user_id", "body"]
    assert world.columns("nowhere") == []


def test_what_a_trial_did_is_undone(world: World) -> None:
    """Changed, added, deleted and emptied rows of every table, and the sequences, are as the snapshot has them."""
    world.take()
    before = world.tables()
    do(
        world, "UPDATE users SET balance = balance + 1, settings = NULL", "DELETE FROM users WHERE id = 2", "INSERT INTO users (name) VALUES ('eve')",
        "TRUNCATE log", "INSERT INTO other.log (line) VALUES ('more')",
    )
    told = changes(before, world.tables())
    assert {(each.table, each.kind) for each in told} == {
        ("log", "deleted"), ("notes", "deleted"), ("other.log", "inserted"), ("users", "updated"), ("users", "deleted"), ("users", "inserted"),
    }  # fmt: skip
    world.restore()
    assert world.tables() == before
    assert changes(before, world.tables()) == ()
    do(world, "INSERT INTO users (name) VALUES ('eve')")
    assert world.rows("users")[-1]["id"] == 3


def test_a_checkpoint_is_gone_back_to(world: World) -> None:
    """A checkpoint beside the snapshot holds what was there when it was taken."""
    world.take()
    do(world, "UPDATE users SET balance = 77 WHERE id = 1")
    checkpoint = world.checkpoint()
    do(world, "DELETE FROM users")
    world.rollback(checkpoint)
    assert [row["balance"] for row in world.rows("users")] == [77.0, 20.5]
    world.restore()
    assert [row["balance"] for row in world.rows("users")] == [10.0, 20.5]


def test_a_shape_that_changed_is_made_again(world: World) -> None:
    """Tables that a trial dropped, made or altered are as before, and whoever had the database open must open it again."""
    world.take()
    before, laid = world.tables(), world.laid
    do(world, "DROP TABLE notes", "CREATE TABLE extra (id int)", "ALTER TABLE log ADD COLUMN more text", "ALTER TYPE mood ADD VALUE 'odd'")
    world.restore()
    assert world.tables() == before
    assert world.laid == laid + 1


def test_tables_that_were_made_anew_are_filled_again(world: World) -> None:
    """A trial that drops a table and makes it anew, with other rows or the same number of them, is undone."""
    world.take()
    before = world.tables()
    do(world, "DROP TABLE log", "CREATE TABLE log (line text)", "INSERT INTO log VALUES ('other'), ('rows')")
    world.restore()
    assert world.tables() == before


def test_a_process_that_holds_locks_is_no_obstacle(world: World) -> None:
    """Rows locked by a connection that stays within its transaction are put back all the same; nothing of it is ever committed."""
    world.take()
    before = world.tables()
    assert world.server is not None
    held = world.server.connect("shop")
    held.autocommit = False
    held.execute("UPDATE users SET balance = 1")
    held.execute("LOCK TABLE log IN ACCESS EXCLUSIVE MODE")
    do(world, "INSERT INTO other.log (line) VALUES ('more')")
    world.restore()
    assert world.tables() == before
    with pytest.raises(psycopg.OperationalError):
        held.commit()


def test_a_statement_of_a_process_that_is_gone_ends_first(world: World) -> None:
    """A statement that still runs when its process has ended cannot write after the rows were put back."""
    world.take()
    before = world.tables()
    assert world.server is not None
    late = world.server.connect("shop")
    late.pgconn.send_query(b"SELECT pg_sleep(0.3); UPDATE users SET balance = 5")
    late.close()
    world.restore()
    do(world, "SELECT pg_sleep(0.5)")
    assert world.tables() == before


def test_grants_and_rows_are_written(world: World) -> None:
    """Columns of every type are written by value, a refusal is told, and a sequence goes on after a row with a key of the lab's own."""
    assert world.write(Grant("users", (("id", 1),), "balance", 1000))
    assert world.write(Grant("users", (("name", "bob"), ("settings", None)), "active", value=False))
    assert world.write(Grant("USERS", (("id", "1"),), "settings", {"a": [1]}))
    assert world.write(Grant("users", (("id", 1),), "photo", "hex:0102"))
    assert not world.write(Grant("users", (("id", 9),), "balance", 1000))
    assert not world.write(Grant("users", (("id", 1),), "balance", "much"))
    assert not world.write(Grant("nowhere", (), "x", 1))
    assert world.insert("users", {"id": 40, "name": "eve", "tags": ["x"], "feels": "cross"})
    assert not world.insert("users", {"name": "eve"})
    do(world, "INSERT INTO users (name) VALUES ('next')")
    rows = {row["name"]: row for row in world.rows("users")}
    assert (rows["ann"]["balance"], rows["ann"]["settings"], rows["ann"]["photo"]) == (1000.0, '{"a": [1]}', "hex:0102")
    assert rows["bob"]["active"] is False
    assert (rows["eve"]["tags"], rows["next"]["id"] > 40) == ('["x"]', True)


def test_a_snapshot_goes_to_another_server(world: World, tmp_path: Path) -> None:
    """The images of a snapshot make the same rows on a fresh server, whatever was there, and have one digest for one state."""
    snapshot = world.take()
    assert world.take().digest == snapshot.digest
    with postgres.serve() as server:
        server.ensure("shop")
        with server.connect("shop") as live:
            live.execute("CREATE TABLE users (id int)")
        (tmp_path / "other").mkdir()
        other = World(tmp_path / "other", tmp_path / "other-pristine", server)
        other.load(snapshot)
        assert other.tables() == world.tables()
        assert other.load(snapshot) is None
        other.close()


def test_the_catalogue_describes_the_tables(world: World) -> None:
    """Types, keys, references, unique columns, enumerations, lengths and defaults are as the database has them."""
    described = {table.name: table for database in world.databases for table in database.described()}
    users, notes = described["users"], described["notes"]
    kinds = {column.name: column.type for column in users.columns}
    assert kinds == {
        "id": "integer", "name": "string", "balance": "number", "active": "boolean", "feels": "string", "settings": "json", "born": "date",
        "seen": "datetime", "photo": "blob", "tags": "json", "twice": "number",
    }  # fmt: skip
    name, feels, key = users.column("name"), users.column("feels"), users.column("id")
    assert name is not None
    assert (name.unique, name.max_length, name.nullable) == (True, 40, False)
    assert feels is not None
    assert feels.enum == ("calm", "cross")
    assert key is not None
    assert (key.primary_key, key.has_default) == (True, True)
    owner = notes.column("user_id")
    assert owner is not None
    assert owner.references == ("users", "id")


def test_only_what_changed_is_read(world: World) -> None:
    """Tables that did not change since they were last read are the same objects."""
    first = world.tables()
    do(world, "INSERT INTO log VALUES ('one more')")
    second = world.tables()
    assert first["users"] is second["users"]
    assert first["log"] is not second["log"]


def test_a_database_of_the_servers_own_counts_once_it_is_used(server: Server, world: World) -> None:
    """`postgres` is a database of the prototype's as soon as a table is in it."""
    assert "postgres" not in server.databases()
    with server.connect() as live:
        live.execute("CREATE TABLE things (id int)")
        assert "postgres" in server.databases()
        live.execute("DROP TABLE things")
    assert [each.name for each in world.databases] == ["postgresql:shop"]
    assert isinstance(world.databases[0], PostgresDatabase)
