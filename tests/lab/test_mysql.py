"""A throw-away MySQL server, and what the lab does to its databases."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pymysql
import pymysql.cursors
import pytest

from toughen.errors import LabError
from toughen.lab import dumps, images, mysql
from toughen.lab.mydata import MysqlDatabase
from toughen.lab.rows import changes
from toughen.lab.snapshot import World
from toughen.model.journey import Grant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.mysql import Server

SCHEMA = """
CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) UNIQUE NOT NULL, balance DECIMAL(10, 2) DEFAULT 0, active BOOLEAN NOT NULL DEFAULT TRUE,
    feels ENUM('calm', 'cro''ss'), settings JSON, born DATE, seen DATETIME(3), photo BLOB, bits BIT(9), twice DECIMAL(12, 2) GENERATED ALWAYS AS (balance * 2) STORED);
CREATE TABLE notes (id INT AUTO_INCREMENT PRIMARY KEY, user_id INT NOT NULL, body TEXT, FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
CREATE TABLE log (line TEXT);
CREATE VIEW names AS SELECT name FROM users;
DELIMITER //
CREATE TRIGGER noted AFTER INSERT ON notes FOR EACH ROW BEGIN INSERT INTO log VALUES ('a note; of one'); END//
CREATE PROCEDURE tidy() BEGIN DELETE FROM log; END//
DELIMITER ;
-- a comment; it has a semicolon
INSERT INTO users (name, balance, feels, settings, born, seen, photo, bits) VALUES
    ('ann é''\\\\', 10, 'calm', '{"theme": "dark"}', '2001-02-03', '2026-01-02 03:04:05.678', x'00ff', b'100000001'), ('bob', 20.50, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO notes (user_id, body) VALUES (1, 'hers'), (2, 'his');
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with contextlib.ExitStack() as held:
        try:
            found = held.enter_context(mysql.serve())
        except LabError as error:
            pytest.skip(f"{error.message}: {error.hint}")
        yield found


@pytest.fixture
def world(server: Server, tmp_path: Path) -> Iterator[World]:
    with server.connect() as live, live.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS shop")
        cursor.execute("CREATE DATABASE shop")
    assert dumps.run(server, SCHEMA, "shop") == 8
    (tmp_path / "world").mkdir()
    made = World(tmp_path / "world", tmp_path / "pristine", server)
    made.discover()
    yield made
    made.close()


def do(world: World, *statements: str) -> None:
    assert isinstance(world.server, mysql.Server)
    with world.server.connect("shop") as live, live.cursor() as cursor:
        for each in statements:
            cursor.execute(each)


def prototypes(server: Server) -> pymysql.Connection:  # type: ignore[type-arg]
    """A connection as the prototype has them."""
    return pymysql.connect(unix_socket=str(server.socket / "s"), user=mysql.APP, password="", database="shop")


def test_the_server_is_gone_with_all_that_it_had(server: Server) -> None:
    """A server listens on no port, and leaves no process and no file when its context ends."""
    assert server.version
    with mysql.serve() as other:
        folder, process = other.folder, other.box.process.pid
        with other.connect() as live, live.cursor() as cursor:
            cursor.execute("SELECT @@skip_networking")
            assert cursor.fetchone() == (1,)
        assert other.databases() == []
        assert str(folder) in Path(f"/proc/{process}/cmdline").read_text()
    assert not folder.exists()
    assert not Path(f"/proc/{process}").exists()
    assert not any(str(folder) in _command(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())


def _command(process: str) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


def test_where_there_is_no_server_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without one, and without Debian's packages, is told what would help."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(mysql, "_installed", lambda: iter(()))
    said = mysql.lacking(tmp_path)
    assert "this machine has none" in said
    assert "install MariaDB or MySQL" in said


def test_rows_are_json(world: World) -> None:
    """Every type becomes a JSON value; generated columns are read, and rows without a key are told apart."""
    tables = world.tables()
    assert tables["users"]["1"] == {
        "id": 1, "name": "ann é'\\", "balance": 10.0, "active": 1, "feels": "calm", "settings": '{"theme": "dark"}', "born": "2001-02-03",
        "seen": "2026-01-02 03:04:05.678", "photo": "hex:00ff", "bits": 257, "twice": 20.0,
    }
    assert list(tables["log"].values()) == [{"line": "a note; of one"}, {"line": "a note; of one"}]
    assert len(tables["log"]) == 2
    assert "names" not in tables


def test_what_the_catalogue_says(world: World) -> None:
    """Types, keys, references, choices, lengths and defaults are those of the database."""
    (database,) = world.databases
    users = next(each for each in database.described() if each.name == "users")
    notes = next(each for each in database.described() if each.name == "notes")
    found = {column.name: column for column in users.columns}
    assert {name: column.type for name, column in found.items()} == {
        "id": "integer", "name": "string", "balance": "number", "active": "boolean", "feels": "string", "settings": "string", "born": "date", "seen": "datetime",
        "photo": "blob", "bits": "integer", "twice": "number",
    }
    assert (found["id"].primary_key, found["id"].has_default, found["name"].unique, found["name"].max_length, found["name"].nullable) == (True, True, True, 40, False)
    assert (found["feels"].enum, found["settings"].has_default, found["balance"].has_default) == (("calm", "cro'ss"), False, True)
    assert next(column for column in notes.columns if column.name == "user_id").references == ("users", "id")
    assert users.uniques == (("name",),)


def test_restore_puts_rows_and_counters_back(world: World) -> None:
    """What changed, went or came is undone, keys are given out as before, and triggers write nothing meanwhile."""
    world.take()
    before = world.tables()
    do(world, "INSERT INTO notes (user_id, body) VALUES (1, 'new')", "UPDATE users SET balance = 3 WHERE id = 1", "DELETE FROM users WHERE id = 2")
    told = {(each.table, each.kind) for each in changes(before, world.tables())}
    assert told == {("notes", "inserted"), ("notes", "deleted"), ("users", "updated"), ("users", "deleted"), ("log", "inserted")}
    world.restore()
    assert world.tables() == before
    do(world, "INSERT INTO notes (user_id, body) VALUES (1, 'again')")
    assert list(world.tables()["notes"]) == ["1", "2", "3"]
    assert len(world.tables()["log"]) == 3


def test_a_counter_alone_is_put_back(world: World) -> None:
    """A row that was added and rolled back has used up a key."""
    world.take()
    assert isinstance(world.server, mysql.Server)
    with contextlib.closing(prototypes(world.server)) as live, live.cursor() as cursor:
        cursor.execute("INSERT INTO users (name) VALUES ('gone')")
        live.rollback()
    world.restore()
    do(world, "INSERT INTO users (name) VALUES ('carl')")
    assert list(world.tables()["users"]) == ["1", "2", "3"]


def test_restore_makes_the_shape_anew(world: World) -> None:
    """Tables, columns, views, triggers and procedures that a trial changed are as they were; the database's own characters too."""
    do(world, "ALTER DATABASE CHARACTER SET latin1")
    world.take()
    before = world.tables()
    do(world, "ALTER TABLE users ADD COLUMN extra INT", "DROP TABLE log", "DROP VIEW names", "DROP PROCEDURE tidy", "CREATE TABLE more (id INT)")
    world.restore()
    assert world.tables() == before
    assert world.laid == 1
    do(world, "CALL tidy()", "INSERT INTO notes (user_id) VALUES (1)", "CREATE TABLE later (name TEXT)")
    assert len(world.tables()["log"]) == 1
    with world.server.connect("shop") as live, live.cursor() as cursor:  # type: ignore[union-attr]
        cursor.execute("SHOW CREATE TABLE later")
        assert "latin1" in str(cursor.fetchone())


MODES = "SELECT sql_mode FROM information_schema.triggers WHERE trigger_schema = 'shop' UNION ALL SELECT sql_mode FROM information_schema.routines WHERE routine_schema = 'shop'"


def test_triggers_and_procedures_keep_the_mode_that_they_were_made_in(world: World, server: Server) -> None:
    """It decides whether a value that does not fit is an error: when rows are put back, and when the whole shape is."""

    def modes() -> list[str]:
        with server.connect("shop") as live, live.cursor() as cursor:
            cursor.execute(MODES)
            return [str(mode) for (mode,) in cursor.fetchall()]

    do(world, "DROP PROCEDURE tidy", "SET sql_mode = 'ANSI_QUOTES'", 'CREATE PROCEDURE tidy() BEGIN DELETE FROM "log"; END')
    world.take()
    before = modes()
    assert "STRICT_TRANS_TABLES" in before[0]
    assert "ANSI_QUOTES" in before[1]
    do(world, "INSERT INTO notes (user_id, body) VALUES (1, 'new')")
    world.restore()
    assert (modes(), world.laid) == (before, 0)
    do(world, "DROP TABLE log")
    world.restore()
    assert (modes(), world.laid) == (before, 1)
    do(world, "CALL tidy()")


def test_a_view_of_a_view_is_made_anew(world: World) -> None:
    """Whatever they are called: the one that the other needs comes first."""
    do(world, "CREATE VIEW zeta AS SELECT name FROM users", "CREATE VIEW alpha AS SELECT name FROM zeta")
    world.take()
    do(world, "DROP VIEW zeta")
    world.restore()
    do(world, "SELECT name FROM alpha")


def test_who_keeps_a_row_locked_is_ended(world: World) -> None:
    """A transaction that stands open does not keep the snapshot from being put back."""
    world.take()
    before, ended = world.tables(), []
    assert isinstance(world.server, mysql.Server)
    held = prototypes(world.server)
    with held.cursor() as cursor:
        cursor.execute("UPDATE users SET balance = 99 WHERE id = 1")
    do(world, "UPDATE notes SET body = 'x'")
    do(world, "UPDATE users SET balance = 5 WHERE id = 2")
    world.let_go = lambda: ended.append(True)
    world.restore()
    assert world.tables() == before
    assert ended == [True]
    with pytest.raises(pymysql.Error):
        held.query("SELECT 1")
    held.close()


def test_a_snapshot_goes_to_another_server(world: World, tmp_path: Path) -> None:
    """An image holds all that makes the database: shape, rows and counters."""
    snapshot = world.take()
    assert list(snapshot.images) == ["mysql:shop"]
    (tmp_path / "other").mkdir()
    with mysql.serve() as server:
        other = World(tmp_path / "other", tmp_path / "other-pristine", server)
        other.load(snapshot)
        assert other.tables() == world.tables()
        assert other.take().digest == snapshot.digest
        with server.connect("shop") as live, live.cursor() as cursor:
            cursor.execute("INSERT INTO users (name) VALUES ('carl')")
        assert list(other.tables()["users"]) == ["1", "2", "3"]
        other.close()


def test_an_image_that_is_damaged_is_refused(world: World) -> None:
    """What cannot be read, or does not fit, is an error of the lab's own, not of the prototype's."""
    (database,) = world.databases
    whole = world.take().images["mysql:shop"]
    for image in (b"nonsense", whole[:-40], whole.replace(b'"tables": ["log"', b'"tables": ["nil"', 1), images.packed([("index.json", "[" * 100_000)])):
        with pytest.raises(LabError):
            database.load(image)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["rows/0"] = b'[["one", "two"]]'
    with pytest.raises(LabError, match="do not fit"):
        database.load(images.packed(parts.items()))
    database.load(whole)


def test_grants_and_rows_of_the_labs_own(world: World) -> None:
    """A column is written where all equalities hold, whether it changes or not; a row is inserted, or refused; copies have keys of their own."""
    world.take()
    assert world.write(Grant("users", (("name", "bob"),), "balance", 77))
    assert world.write(Grant("users", (("name", "bob"),), "balance", 77))
    assert not world.write(Grant("users", (("name", "nobody"),), "balance", 77))
    assert world.write(Grant("users", (("born", None),), "settings", {"a": [1]}))
    assert world.insert("notes", {"user_id": 2, "body": "granted"})
    assert not world.insert("notes", {"user_id": 99, "body": "of nobody"})
    assert not world.insert("users", {"name": "bob"})
    assert world.insert("users", {"name": "eve", "active": False, "seen": "2026-01-02T03:04:05Z", "photo": "hex:00ff"})
    assert world.rows("USERS")[-1] | {"id": 0} == {
        "id": 0, "name": "eve", "balance": 0.0, "active": 0, "feels": None, "settings": None, "born": None, "seen": "2026-01-02 03:04:05.000", "photo": "hex:00ff", "bits": None, "twice": 0.0,
    }
    assert world.multiply("users", 5) == 5
    assert len(world.rows("users")) == 8
    assert world.columns("Notes") == ["id", "user_id", "body"]
    assert world.weight() > 100_000


def test_only_what_changed_is_read(world: World, server: Server) -> None:
    """A table that is as it was is not read again: its rows are the same object."""
    database = MysqlDatabase(server, "shop")
    first = database.save()
    do(world, "UPDATE users SET balance = 11 WHERE id = 1")
    second = database.save()
    assert second.rows["notes"] is first.rows["notes"]
    assert second.rows["users"] != first.rows["users"]
    database.close()


def test_an_interrupt_is_told_as_one(world: World, server: Server) -> None:
    """Rows are being put back, with triggers that stand still meanwhile: what comes out is the interrupt; the next time all is as it was."""
    world.take()
    before = world.tables()
    do(world, "INSERT INTO notes (user_id, body) VALUES (1, 'new')")
    (database,) = world.databases
    assert isinstance(database, MysqlDatabase)

    class Interrupted(pymysql.cursors.Cursor):
        def execute(self, query: Any, args: Any = None) -> int:
            if query.startswith("INSERT INTO `notes`"):
                database._live._force_close()
                raise KeyboardInterrupt
            return super().execute(query, args)

    live = database._live = server.connect("shop")
    live.cursorclass = Interrupted
    with pytest.raises(KeyboardInterrupt):
        world.restore()
    world.restore()
    assert world.tables() == before
    do(world, "INSERT INTO notes (user_id, body) VALUES (1, 'again')")
    assert len(world.tables()["log"]) == 3


def test_a_dump_of_another_server_runs(server: Server) -> None:
    """The name of its database, its definers and the collations of MySQL 8 stand in no way; a statement that fails is left out."""
    server.ensure("mine")
    text = """
/*!40101 SET NAMES utf8mb4 */;
CREATE DATABASE theirs; USE theirs;
DROP TABLE IF EXISTS `people`;
CREATE TABLE `people` (`id` int NOT NULL, `name` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;
INSERT INTO `people` VALUES (1,'a;b'),(2,'it\\'s'); # a remark; here
SELECT nonsense FROM nowhere;
/*!50001 CREATE ALGORITHM=UNDEFINED */ /*!50013 DEFINER=`b5de`@`%` SQL SECURITY DEFINER */ /*!50001 VIEW `them` AS select `people`.`name` AS `name` from `people` */;
"""
    dumps.run(server, text, "mine")
    with server.connect("mine") as live, live.cursor() as cursor:
        cursor.execute("SELECT name FROM them")
        assert cursor.fetchall() == (("a;b",), ("it's",))
        cursor.execute("SHOW DATABASES LIKE 'theirs'")
        assert cursor.fetchall() == ()


def test_what_is_no_file_of_sql_is_left_out(server: Server, tmp_path: Path) -> None:
    """A link that leads nowhere, and a pipe that nobody writes to."""
    os.mkfifo(tmp_path / "a.sql")
    (tmp_path / "b.sql").symlink_to("nowhere")
    (tmp_path / "c.sql").write_text("CREATE TABLE kept (id INT)")
    server.ensure("filed")
    lab: Any = SimpleNamespace(world=SimpleNamespace(server=server), opened={"filed"}, project=tmp_path)
    assert dumps.load(lab) == ["ran c.sql"]
