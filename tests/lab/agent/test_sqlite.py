"""Owns the claims about recorded SQL and about the gate."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APP = """
import sqlite3
class Mine(sqlite3.Connection):
    def execute(self, sql, *parameters):
        return super().execute(sql.replace("notes_alias", "notes"), *parameters)
class Cursor(sqlite3.Cursor):
    pass
def connect(**keywords):
    return sqlite3.connect("app.db", **keywords)
setup = connect()
setup.executescript("create table if not exists notes(id integer primary key, text, n int);")
setup.execute("delete from notes")
setup.executemany("insert into notes(text, n) values (?, ?)", [("a", 1), ("b", 2), ("c", 3), ("d", 4)])
setup.commit()
setup.close()
def rows():
    c = connect(); c.row_factory = sqlite3.Row
    return [dict(r) for r in c.execute("select id, text from notes where n > ?", (1,))]
def one():
    return connect().execute("select n from notes").fetchone()
def named():
    c = connect()
    c.execute("update notes set text = :text where id = :id", {"id": 1, "text": b"\\x00\\xff"}); c.commit()
def block():
    with connect() as c:
        c.execute("update notes set n = n + 1 where id < 3")
def undo():
    try:
        with connect() as c:
            c.execute("delete from notes"); raise KeyError("x")
    except KeyError:
        pass
def lost():
    c = connect(); c.execute("delete from notes where id = 2"); c.close()
def script():
    c = connect(); c.execute("update notes set n = 1"); c.executescript("select 1; select 2;")
def many():
    c = connect(); c.executemany("insert into notes(text, n) values (?, ?)", (("z", i) for i in range(3))); c.rollback()
def mine():
    c = sqlite3.connect("app.db", factory=Mine)
    assert type(c).__name__ == "Mine" and isinstance(c, Mine)
    return c.cursor(Cursor).execute("select 1").fetchall() + c.execute("select n from notes_alias").fetchall()
def broken():
    connect().execute("select * from nowhere")
def returning():
    c = connect(); r = c.execute("insert into notes(text) values ('r') returning id").fetchall(); c.rollback(); return r
def idle():
    c = connect(); c.commit(); c.rollback()
def patient():
    c = connect(timeout=30)
    c.execute("pragma busy_timeout = 4000")
    c.execute("update notes set n = 0"); c.commit()
def buy():
    c = connect(timeout=30)
    n = c.execute("select n from notes where id = 4").fetchone()[0]
    c.execute("update notes set n = ? where id = 4", (n - 1,))
    c.commit()
def app(environ, start_response):
    result = globals()[environ["PATH_INFO"].strip("/")]()
    start_response("200 OK", [])
    return [repr(result).encode()]
"""


@pytest.fixture(scope="module")
def host(boot: Callable[..., Any]) -> Iterator[Any]:
    """Functions over sqlite3, one a route."""
    return boot(APP)


@pytest.fixture
def statements(host: Any) -> Callable[..., list[dict[str, Any]]]:
    """The statements of one request."""

    def run(path: str, **record: object) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = host.child().serve(("GET", "/" + path), **record)[0]["statements"]
        return told

    return run


def texts(noted: list[dict[str, Any]]) -> list[str]:
    """Their texts."""
    return [each["text"] for each in noted]


def test_select(statements: Callable[..., Any]) -> None:
    """A select tells bound values, the rows that were fetched, the first of them by column, and the user's line."""
    (noted,) = statements("rows")
    assert (noted["parameters"], noted["rows"]) == ([1], 3)
    assert noted["sample"][0] == {"id": 2, "text": "b"}
    assert noted["place"][0] == "main.py"
    assert noted["place"][2].startswith("rows")


def test_less_is_recorded_where_less_is_asked_for(statements: Callable[..., Any]) -> None:
    """Level 1 has neither frame nor sample, level 0 nothing."""
    (noted,) = statements("rows", sql=1)
    assert (noted["rows"], noted["sample"], noted["place"]) == (3, [], None)
    assert statements("rows", sql=0) == []


def test_only_fetched_rows_count(statements: Callable[..., Any]) -> None:
    """One row fetched of four is one row."""
    assert statements("one")[0]["rows"] == 1


def test_named_values_and_bytes(statements: Callable[..., Any]) -> None:
    """Named values come in order of appearance with their names, bytes as hex; the commit is a statement."""
    update, commit = statements("named")
    assert (update["parameters"], update["names"], update["rows"]) == (["hex:00ff", 1], ["text", "id"], 1)
    assert commit["text"] == "COMMIT"


@pytest.mark.parametrize(
    ("path", "last"),
    [("block", "COMMIT"), ("undo", "ROLLBACK"), ("lost", "ROLLBACK"), ("many", "ROLLBACK"), ("idle", None)],
)
def test_ends_of_transactions(statements: Callable[..., Any], path: str, last: str | None) -> None:
    """`with`, rollback and close of an open transaction are told; commit without a transaction is not."""
    noted = texts(statements(path))
    assert (noted[-1] if noted else None) == last


def test_script_commits_first(statements: Callable[..., Any]) -> None:
    """executescript commits what is open, as the C code does."""
    assert texts(statements("script")) == ["update notes set n = 1", "COMMIT", "select 1; select 2;"]


def test_executemany_is_one_statement(statements: Callable[..., Any]) -> None:
    """Its parameters are the sets, from a generator too; its rows are all that were written."""
    noted = statements("many")[0]
    assert (noted["parameters"], noted["rows"], noted["many"]) == ([["z", 0], ["z", 1], ["z", 2]], 3, 3)


def test_factories_of_the_caller_stay(host: Any, statements: Callable[..., Any]) -> None:
    """A connection class and a cursor class of the prototype keep their type and their overrides, and are recorded."""
    assert host.child().serve(("GET", "/mine"))[0]["status"] == 200
    noted = statements("mine")
    assert texts(noted) == ["select 1", "select n from notes"]
    assert [each["rows"] for each in noted] == [1, 4]


def test_errors_are_told(statements: Callable[..., Any]) -> None:
    """A statement that fails carries the driver's error."""
    assert statements("broken")[0]["error"] == "sqlite3.OperationalError: no such table: nowhere"


def test_returning_counts_as_fetched(statements: Callable[..., Any]) -> None:
    """INSERT .. RETURNING tells the rows that came back."""
    assert statements("returning")[0]["rows"] == 1


def test_databases_are_facts(host: Any) -> None:
    """Every file that was opened at import is told with its absolute path."""
    assert host.facts["databases"] == [{"driver": "sqlite", "path": str((host.root / "app.db").resolve())}]


def test_memory_database_can_be_read(boot: Callable[..., Any]) -> None:
    """Rows of an in-memory database are told by `rows`; each child has its own."""
    host = boot(
        """
        import sqlite3
        db = sqlite3.connect(":memory:")
        db.execute("create table t(a)"); db.execute("insert into t values ('x')"); db.commit()
        def app(environ, start_response):
            db.execute("insert into t values ('y')"); db.commit()
            start_response("200 OK", []); return [b""]
        """
    )
    child = host.child()
    child.serve(("GET", "/"))
    assert child.ask(do="rows") == {"tables": {"t": [{"a": "x"}, {"a": "y"}]}}
    assert host.child().ask(do="rows") == {"tables": {"t": [{"a": "x"}]}}


def test_no_memory_database(host: Any) -> None:
    """`rows` is null where there is none."""
    assert host.child().ask(do="rows") == {"tables": None}


def test_place_of_a_statement_in_another_thread(boot: Callable[..., Any]) -> None:
    """An asynchronous driver runs in a thread of its own: the place is where the request's coroutine waits for it."""
    host = boot(
        """
        import asyncio, sqlite3
        from fastapi import FastAPI
        app = FastAPI()
        async def idle():
            await asyncio.sleep(60)
        @app.on_event("startup")
        async def start():
            app.state.task = asyncio.create_task(idle())
        @app.get("/")
        async def home():
            db = sqlite3.connect("app.db", check_same_thread=False)
            return await helper(db)
        async def helper(db):
            cursor = await asyncio.to_thread(db.execute, "select 1")
            return cursor.fetchall()
        """
    )
    (noted,) = host.child().serve(("GET", "/"))[0]["statements"]
    assert noted["place"][2] == "helper"


def test_gate_stops_before_each_statement(host: Any) -> None:
    """A gated request runs one statement at a time; the commit counts."""
    child = host.child(gate=True)
    child.begin(("GET", "/buy"))
    stops = [child.receive()]
    for _ in range(2):
        stops.append(child.ask(go=None))
    assert [each["at"] for each in stops] == [0, 1, 2]
    assert [each["statement"]["text"].split()[0] for each in stops] == ["select", "update", "COMMIT"]
    child.send({"go": None})
    assert child.exchange()["status"] == 200


def test_gate_runs_to_a_statement_or_to_the_end(host: Any) -> None:
    """`go: k` stops next before statement k; `go: -1` does not stop again, and the next request stops anew."""
    child = host.child(gate=True)
    child.begin(("GET", "/buy"), ("GET", "/one"))
    assert child.receive()["at"] == 0
    assert child.ask(go=2)["statement"]["text"] == "COMMIT"
    child.send({"go": -1})
    assert child.exchange()["status"] == 200
    assert child.receive()["at"] == 0
    child.send({"go": -1})
    assert child.exchange()["status"] == 200


@pytest.mark.parametrize("path", ["buy", "patient"])
def test_locked_statement_is_told_at_once_and_tried_again(host: Any, path: str) -> None:
    """Whatever time-out the prototype set, a lock is told at once; after `retry` it succeeds when the lock is gone."""
    other = sqlite3.connect(host.root / "app.db", isolation_level=None)
    child = host.child(gate=True)
    child.begin(("GET", "/" + path))
    child.receive()
    other.execute("begin immediate")
    child.send({"go": -1})
    assert child.receive() == {"blocked": 1, "error": "database is locked"}
    assert child.ask(retry=True) == {"blocked": 1, "error": "database is locked"}
    other.execute("rollback")
    child.send({"retry": True})
    told = child.exchange()
    assert (told["status"], [each["error"] for each in told["statements"]]) == (200, [None] * 3)
    other.close()


def test_locked_statement_may_fail_as_the_driver_fails(host: Any) -> None:
    """Without `retry` the prototype gets the driver's own error."""
    other = sqlite3.connect(host.root / "app.db", isolation_level=None)
    child = host.child(gate=True)
    child.begin(("GET", "/buy"))
    child.receive()
    other.execute("begin immediate")
    child.send({"go": -1})
    child.receive()
    child.send({"retry": False})
    told = child.exchange()
    other.close()
    assert (told["status"], told["failure"]["type"]) == (500, "sqlite3.OperationalError")


def test_two_processes_interleave_as_told(boot: Callable[..., Any]) -> None:
    """A forced schedule loses an update of FastAPI's worker threads: read A, all of B, rest of A."""
    host = boot(
        "from fastapi import FastAPI\n" + APP.rpartition("def app(")[0] + "app = FastAPI()\napp.get('/buy')(buy)\n"
    )
    one, two = host.child(gate=True), host.child(gate=True)
    one.begin(("GET", "/buy"))
    one.receive()
    assert one.ask(go=1)["at"] == 1
    two.begin(("GET", "/buy"))
    two.receive()
    two.send({"go": -1})
    assert two.exchange()["status"] == 200
    one.send({"go": -1})
    assert one.exchange()["status"] == 200
    with sqlite3.connect(host.root / "app.db") as connection:
        assert connection.execute("select n from notes where id = 4").fetchone() == (3,)


CLOSED = """
import sqlite3
from flask import Flask
app = Flask(__name__)
link = sqlite3.connect("app.db"); link.execute("create table if not exists notes(id integer primary key, text unique)"); link.commit(); link.close()
def note(text, write):
    link = sqlite3.connect("app.db", timeout=0)
    try:
        write(link, text)
        link.commit()
    finally:
        link.close()
    return "noted"
@app.post("/one/<text>")
def one(text):
    return note(text, lambda link, text: link.execute("insert into notes(text) values (?)", (text,)))
@app.post("/many/<text>")
def many(text):
    return note(text, lambda link, text: link.executemany("insert into notes(text) values (?)", [(text,)]))
@app.post("/script/<text>")
def script(text):
    return note(text, lambda link, text: link.executescript("begin; insert into notes(text) values ('" + text + "');"))
"""


@pytest.mark.parametrize("how", ["one", "many", "script"])
def test_a_failed_statement_of_a_closed_connection_locks_nothing(boot: Callable[..., Any], how: str) -> None:
    """Where a handler closes its connection after an error that nobody catches, the next request writes at once, as outside."""
    child = boot(CLOSED).child()
    told = child.serve(("POST", "/one/a"), ("POST", f"/{how}/a"), ("POST", "/one/b"), sql=0) + child.serve(("POST", f"/{how}/a"), ("POST", "/one/c"))
    assert [each["status"] for each in told] == [200, 500, 200, 500, 200]
