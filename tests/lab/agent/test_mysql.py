"""Owns the claims about MySQL's drivers: where connections lead, what is recorded, and how a lock is seen."""

from __future__ import annotations

import ast
import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toughen.errors import EnvironmentFailedError, LabError
from toughen.lab.environment import Needs, build
from toughen.lab.mysql import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toughen.lab.mysql import Server

DRIVERS = ("pymysql", "MySQLdb", "mysql.connector")
PACKAGES = ("aiomysql", "asyncmy", "mysql-connector-python", "pymysql", "sqlalchemy[asyncio]")
SYNC = """
import threading
import {driver} as driver
NAME = "{driver}".replace(".", "_")
def connect(**more):
    return driver.connect(host="db.example.com", port=6543, user="shop", password="secret", database=NAME + "_shop", **more)
setup = connect()
cursor = setup.cursor()
cursor.execute("create table if not exists notes(id int primary key, text varchar(40) unique, n decimal(9, 2)) default charset=utf8mb4 collate=utf8mb4_0900_ai_ci")
cursor.execute("delete from notes")
cursor.executemany("insert into notes values (%s, %s, %s)", [(i, "abcd"[i], i) for i in range(4)])
setup.commit()
cursor.execute("select 1"); cursor.fetchall()
strict = connect(); cursor = strict.cursor()
cursor.execute("set session transaction isolation level serializable, read only")
cursor.execute("set session time_zone = '+03:00', sql_mode = 'ANSI_QUOTES', lock_wait_timeout = 7")
def set_before():
    cursor = strict.cursor(); cursor.execute("select @@tx_isolation, @@tx_read_only, @@time_zone, @@sql_mode, @@lock_wait_timeout, connection_id()"); return cursor.fetchone()
def where():
    c = connect(); cursor = c.cursor()
    cursor.execute("select database(), current_user(), @@skip_networking")
    return cursor.fetchone()
def fresh():
    c = driver.connect(host="10.1.2.3", user="owner", password="x", database=NAME + "_fresh"); cursor = c.cursor()
    cursor.execute("select database()")
    return cursor.fetchone()
def chosen():
    c = driver.connect(host="localhost", user="root", password=""); cursor = c.cursor()
    cursor.execute("USE " + NAME + "_chosen")
    cursor.execute("select database()")
    return cursor.fetchone()
def unnamed():
    c = driver.connect(host="localhost", user="root", password="", database=None); cursor = c.cursor()
    cursor.execute("select database()")
    return cursor.fetchone()
def rows():
    c = connect(); cursor = c.cursor()
    cursor.execute("select id, text, n from notes where n > %s order by id", (1,))
    return [row[1] for row in cursor.fetchall()], cursor.fetchone()
def parts():
    c = connect(); cursor = c.cursor()
    cursor.execute("select id from notes order by id")
    return cursor.fetchone(), list(cursor.fetchmany(2)), list(cursor.fetchall())
def pooled():
    from mysql.connector.pooling import MySQLConnectionPool
    global POOL
    if POOL is None:
        POOL = MySQLConnectionPool(pool_name="p", pool_size=2, host="db.example.com", user="x", password="y", database=NAME + "_shop")
    c = POOL.get_connection(); cursor = c.cursor()
    cursor.execute("update notes set n = n + 1 where id = 3"); c.close()
    c = POOL.get_connection(); cursor = c.cursor()
    cursor.execute("select id from notes where id = 1"); cursor.fetchall(); c.commit(); c.close()
    return "done"
POOL = None
def compiled():
    c = connect(use_pure=False); cursor = c.cursor()
    cursor.execute("select id from notes where id = 1"); return cursor.fetchall()
def named():
    c = connect(); cursor = c.cursor()
    cursor.execute("update notes set text = %(text)s, n = n where id = %(id)s or text = %(text)s", dict(id=3, text="z")); c.rollback()
def block():
    c = connect(); cursor = c.cursor()
    cursor.execute("update notes set n = n + 1 where id < 2"); c.commit(); c.close()
def undo():
    c = connect(); c.cursor().execute("delete from notes"); c.rollback(); c.close()
def lost():
    c = connect(); c.cursor().execute("delete from notes"); c.close()
def idle():
    c = connect(); c.commit(); c.rollback(); c.close()
def auto():
    c = connect(autocommit=True); c.cursor().execute("update notes set n = n"); c.commit(); c.close()
def many():
    c = connect(); c.cursor().executemany("insert into notes(id, text) values (%s, %s)", [(i, "m%d" % i) for i in (7, 8, 9)]); c.rollback()
def each():
    c = connect(); c.cursor().executemany("update notes set text = %s where id = %s", [("x", 0), ("y", 1)]); c.rollback()
def twice():
    c = connect()
    try:
        c.cursor().execute("insert into notes(id) values (%s)", (1,))
    finally:
        c.rollback()
def bare():
    c = connect(); cursor = c.cursor()
    cursor.execute("select id from notes where text = %s", ("nobody")); cursor.execute("select id from notes where id = %s", 2); return cursor.fetchall()
def closed():
    c = connect(); cursor = c.cursor(); cursor.close(); cursor.execute("select 1")
def nonsense():
    c = connect(); c.cursor().execute("select * from nowhere where x = %s", ("canary",))
def pasted():
    c = connect(); cursor = c.cursor(); cursor.execute("select id from notes where text = 'canary'"); return list(cursor.fetchall())
def thread():
    found = []
    def work():
        c = connect(); cursor = c.cursor(); cursor.execute("select 1"); found.append(cursor.fetchone())
    t = threading.Thread(target=work); t.start(); t.join()
    return found
def kept():
    cursor = setup.cursor(); cursor.execute("select database(), connection_id(), @@autocommit"); return cursor.fetchone()
def buy():
    c = connect(); cursor = c.cursor()
    cursor.execute("select n from notes where id = 2 for update")
    n = cursor.fetchone()[0]
    cursor.execute("update notes set n = %s where id = 2", (n + 1,))
    c.commit()
def swap():
    c = connect(); cursor = c.cursor()
    cursor.execute("update notes set n = n + 1 where id = 0")
    cursor.execute("update notes set n = n + 1 where id = 1")
    c.commit()
def paws():
    c = connect(); cursor = c.cursor()
    cursor.execute("update notes set n = n + 1 where id = 1")
    cursor.execute("update notes set n = n + 1 where id = 0")
    c.commit()
def own():
    one, two = connect(), connect()
    one.cursor().execute("update notes set n = n + 1 where id = 0")
    two.cursor().execute("update notes set n = n + 1 where id = 0")
def stale():
    import warnings; warnings.simplefilter("ignore")
    from sqlalchemy import create_engine, text
    dialect = dict(pymysql="pymysql", MySQLdb="mysqldb", mysql_connector="mysqlconnector")[NAME]
    engine = create_engine("mysql+" + dialect + "://shop:secret@db.example.com/" + NAME + "_shop")
    with engine.begin() as connection:
        hit = connection.execute(text("update notes set n = n where id = :id"), dict(id=2)).rowcount
    return hit
def app(environ, start_response):
    result = globals()[environ["PATH_INFO"].strip("/")]()
    start_response("200 OK", [])
    return [repr(result).encode()]
"""
ASYNC = """
import asyncio, {driver} as driver
async def connect(**more):
    return await driver.connect(host="db.example.com", user="shop", password="x", db="{driver}_shop", **more)
async def rows():
    c = await connect()
    async with c.cursor() as cursor:
        await cursor.execute("select id, text from notes where n > %s order by id", (1,))
        found = await cursor.fetchall()
    c.close()
    return list(found)
async def block():
    c = await connect()
    async with c.cursor() as cursor:
        await cursor.execute("update notes set n = n + 1 where id = 1")
    await c.commit()
async def undo():
    c = await connect()
    async with c.cursor() as cursor:
        await cursor.execute("delete from notes")
    await c.rollback()
async def many():
    c = await connect()
    async with c.cursor() as cursor:
        await cursor.executemany("insert into notes(id, text) values (%s, %s)", [(7, "m"), (8, "n")])
    await c.rollback()
async def twice():
    c = await connect()
    try:
        async with c.cursor() as cursor:
            await cursor.execute("insert into notes(id) values (%s)", (1,))
    finally:
        c.close()
async def buy():
    c = await connect()
    async with c.cursor() as cursor:
        await cursor.execute("select n from notes where id = 2 for update")
        n = (await cursor.fetchone())[0]
        await cursor.execute("update notes set n = %s where id = 2", (n + 1,))
    await c.commit()
async def alchemy():
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    engine = create_async_engine("mysql+{driver}://shop:x@db.example.com/{driver}_shop")
    async with engine.begin() as connection:
        hit = (await connection.execute(text("update notes set n = n where id = :id"), dict(id=2))).rowcount
    await engine.dispose()
    return hit
async def setup():
    c = await connect()
    async with c.cursor() as cursor:
        await cursor.execute("create table if not exists notes(id int primary key, text varchar(40) unique, n decimal(9, 2))")
        await cursor.execute("delete from notes")
        await cursor.executemany("insert into notes values (%s, %s, %s)", [(i, "abcd"[i], i) for i in range(4)])
    await c.commit()
    c.close()
asyncio.run(setup())
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive(); await send({{"type": "lifespan.startup.complete"}}); await receive()
        return await send({{"type": "lifespan.shutdown.complete"}})
    result = await globals()[scope["path"].strip("/")]()
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": repr(result).encode()}})
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """MySQL as the lab serves it."""
    with contextlib.ExitStack() as held:
        try:
            found = held.enter_context(serve())
        except LabError as error:
            pytest.skip(f"{error.message}: {error.hint}")
        yield found


@pytest.fixture(scope="module")
def interpreter(pytestconfig: pytest.Config) -> Callable[[str], str]:
    """The agent's interpreter, where it has the driver; else one that has."""
    given = str(Path(pytestconfig.getoption("--agent-python")).absolute())

    def python(driver: str) -> str:
        if subprocess.run([given, "-c", f"import {driver}, sqlalchemy.ext.asyncio, greenlet"], capture_output=True, timeout=60, check=False).returncode == 0:
            return given
        packages = (*PACKAGES, "mysqlclient") if driver == "MySQLdb" else PACKAGES
        try:
            return str(build(Needs("the tests", requirements=packages)).python)
        except EnvironmentFailedError as error:
            pytest.skip(f"{driver} cannot be installed here: {error.hint}")

    return python


@pytest.fixture(scope="module")
def hosts(boot: Callable[..., Any], server: Server, interpreter: Callable[[str], str]) -> Callable[[str], Any]:
    """The same functions over each driver, one a route; booted when it is asked for."""
    booted: dict[str, Any] = {}

    def host(driver: str) -> Any:
        if driver not in booted:
            source = (SYNC if driver in DRIVERS else ASYNC).format(driver=driver) if driver not in DRIVERS else SYNC.replace("{driver}", driver)
            booted[driver] = boot(source, interpreter=interpreter(driver), mysql=server.told)
            assert "ready" in booted[driver].told, booted[driver].told
        return booted[driver]

    return host


@pytest.fixture
def exchange(hosts: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """One request to a function over a driver."""

    def run(driver: str, path: str, **record: object) -> dict[str, Any]:
        child = hosts(driver).child()
        told: dict[str, Any] = child.serve(("GET", "/" + path), **record)[0]
        # The server has no room for the connections of so many.
        child.stream.close()
        return told

    return run


def texts(told: dict[str, Any]) -> list[str]:
    """Texts of the statements."""
    return [each["text"] for each in told["statements"]]


def name(driver: str) -> str:
    return driver.replace(".", "_")


sync = pytest.mark.parametrize("driver", DRIVERS)
asynchronous = pytest.mark.parametrize("driver", ["aiomysql", "asyncmy"])
every = pytest.mark.parametrize("driver", [*DRIVERS, "aiomysql", "asyncmy"])


@sync
def test_every_connection_leads_to_the_lab(exchange: Callable[..., Any], driver: str) -> None:
    """Host, port, user and password are replaced; the database is kept."""
    assert exchange(driver, "where")["body"].decode() == f"('{name(driver)}_shop', 'app@localhost', 1)"


@sync
def test_a_database_that_is_missing_is_made(exchange: Callable[..., Any], hosts: Callable[[str], Any], driver: str) -> None:
    """At the first connection, or where a statement chooses it; it is told. One whose name was to come from elsewhere gets one of ours."""
    told = exchange(driver, "fresh")
    assert told["body"].decode() == f"('{name(driver)}_fresh',)"
    assert told["databases"] == [{"driver": "mysql", "path": f"{name(driver)}_fresh"}]
    assert {"driver": "mysql", "path": f"{name(driver)}_shop"} in hosts(driver).facts["databases"]
    exchange(driver, "chosen")
    assert exchange(driver, "chosen")["body"].decode() == f"('{name(driver)}_chosen',)"
    assert exchange(driver, "unnamed")["body"].decode() == "('toughen',)"


@sync
def test_select(exchange: Callable[..., Any], driver: str) -> None:
    """A select tells bound values, rows, the first of them by column with numbers as numbers, and the user's line."""
    told = exchange(driver, "rows")
    (noted,) = told["statements"][:1]
    assert told["body"].decode() == "(['c', 'd'], None)"
    assert (noted["text"], noted["parameters"], noted["rows"]) == ("select id, text, n from notes where n > %s order by id", [1], 2)
    assert noted["sample"] == [{"id": 2, "text": "c", "n": 2.0}, {"id": 3, "text": "d", "n": 3.0}]
    assert (noted["place"][0], noted["place"][2]) == ("main.py", "rows")


@sync
def test_looking_at_the_first_rows_takes_none_away(exchange: Callable[..., Any], driver: str) -> None:
    """The prototype fetches the same rows, in whatever pieces, with and without samples."""
    for level in (0, 1, 2):
        assert exchange(driver, "parts", sql=level)["body"].decode() == "((0,), [(1,), (2,)], [(3,)])"


@sync
def test_less_is_recorded_where_less_is_asked_for(exchange: Callable[..., Any], driver: str) -> None:
    """Level 1 has neither frame nor sample, level 0 nothing."""
    noted = exchange(driver, "rows", sql=1)["statements"][0]
    assert (noted["rows"], noted["sample"], noted["place"]) == (2, [], None)
    assert exchange(driver, "rows", sql=0)["statements"] == []


@sync
def test_named_values(exchange: Callable[..., Any], driver: str) -> None:
    """Named values come once each, in order of appearance, with their names."""
    update, _ = exchange(driver, "named")["statements"]
    assert (update["parameters"], update["names"], update["rows"]) == (["z", 3], ["text", "id"], 1)


@sync
@pytest.mark.parametrize(
    ("path", "expected"),
    [("block", ["update", "COMMIT"]), ("undo", ["delete", "ROLLBACK"]), ("lost", ["delete", "ROLLBACK"]), ("idle", []), ("auto", ["update"]), ("twice", ["insert", "ROLLBACK"])],
)  # fmt: skip
def test_ends_of_transactions(exchange: Callable[..., Any], driver: str, path: str, expected: list[str]) -> None:
    """Commit, rollback and close of an open transaction are told; commit without a transaction is not."""
    assert [text.split()[0] for text in texts(exchange(driver, path))] == expected


@sync
def test_executemany_is_one_statement(exchange: Callable[..., Any], driver: str) -> None:
    """Its parameters are the sets, its rows all that were written, whether the driver makes one statement of them or runs each."""
    noted = exchange(driver, "many")["statements"][0]
    assert (noted["parameters"], noted["rows"], noted["many"]) == ([[7, "m7"], [8, "m8"], [9, "m9"]], 3, 3)
    noted = exchange(driver, "each")["statements"][0]
    assert (noted["parameters"], noted["rows"], noted["many"]) == ([["x", 0], ["y", 1]], 2, 2)


@every
def test_an_error_is_noted_in_the_drivers_own_words(exchange: Callable[..., Any], driver: str) -> None:
    """The note names the driver's class, and the prototype gets the error itself, from its own line."""
    told = exchange(driver, "twice")
    named = {"pymysql": "pymysql.err", "MySQLdb": "MySQLdb", "mysql.connector": "mysql.connector.errors", "aiomysql": "pymysql.err", "asyncmy": "asyncmy.errors"}[driver]
    assert told["statements"][0]["error"].startswith(named)
    assert "IntegrityError" in told["statements"][0]["error"]
    assert "1062" in told["statements"][0]["error"]
    assert told["failure"]["place"][2] == "twice"


@sync
def test_a_statement_that_is_not_understood_is_noted(exchange: Callable[..., Any], driver: str) -> None:
    """Its text is there with the error, although nothing ran."""
    noted = exchange(driver, "nonsense")["statements"][0]
    assert noted["text"].startswith("select * from nowhere")
    assert "1146" in noted["error"]


def test_a_value_without_its_tuple_is_one_value(exchange: Callable[..., Any]) -> None:
    """`(name)` is a text and no tuple; PyMySQL takes it, whole."""
    told = exchange("pymysql", "bare")
    assert told["body"].decode() == "((2,),)"
    assert [each["parameters"] for each in told["statements"]] == [["nobody"], [2]]


@sync
def test_a_cursor_that_is_closed_says_so_itself(exchange: Callable[..., Any], driver: str) -> None:
    """The driver's own error, whether statements are recorded or not."""
    for level in (0, 1):
        told = exchange(driver, "closed", sql=level)
        assert told["failure"]["type"].startswith(driver), told["failure"]
        assert "rogrammingError" in told["failure"]["type"]


@every
def test_a_server_that_goes_in_the_middle_is_gone_from_then_on(exchange: Callable[..., Any], driver: str) -> None:
    """What is connected breaks off at the statement that is named, and who connects anew finds nobody."""
    told = exchange(driver, "buy", fault={"kind": "down", "at": 1})
    assert [bool(each["error"]) for each in told["statements"][:2]] == [False, True]
    assert told["failure"] is not None
    again = exchange(driver, "block", fault={"kind": "down", "at": 0})
    assert "2003" in again["failure"]["message"]
    assert again["statements"] == []


@sync
def test_a_value_that_is_pasted_into_the_text_is_seen(exchange: Callable[..., Any], driver: str) -> None:
    """A canary in the text of a statement is an injection; a bound one is none."""
    (sighting,) = exchange(driver, "pasted", markers=["canary"])["sightings"]
    assert (sighting["event"], sighting["marker"]) == ("sql", "canary")
    assert exchange(driver, "nonsense", markers=["canary"])["sightings"] == []


def test_who_asks_for_the_classes_in_c_is_seen_as_well(exchange: Callable[..., Any]) -> None:
    """mysql-connector's compiled connections are replaced by its own pure ones, which do the same."""
    told = exchange("mysql.connector", "compiled")
    assert told["body"].decode() == "[(1,)]"
    assert told["statements"][0]["rows"] == 1


def test_a_connection_that_goes_back_to_its_pool_loses_its_transaction(exchange: Callable[..., Any]) -> None:
    """The pool resets its session, which is told as the end of the transaction that was open."""
    assert [text.split()[0] for text in texts(exchange("mysql.connector", "pooled"))] == ["update", "ROLLBACK", "select", "COMMIT"]


@sync
def test_statements_of_threads_belong_to_the_request(exchange: Callable[..., Any], driver: str) -> None:
    """A thread of the handler's own is recorded as the handler is."""
    assert texts(exchange(driver, "thread")) == ["select 1"]


@sync
def test_a_connection_that_is_open_at_import_is_another_in_each_child(exchange: Callable[..., Any], hosts: Callable[[str], Any], driver: str) -> None:
    """A connection for all is one session for each process, in the same database; forking stays safe, though a transaction was open that had read."""
    assert hosts(driver).facts["fork"] == "safe"
    told = [exchange(driver, "kept")["body"].decode() for _ in range(2)]
    first, second = (ast.literal_eval(each) for each in told)
    assert first[0] == second[0] == f"{name(driver)}_shop"
    assert first[1] != second[1]
    assert first[2] == second[2] == 0


@sync
def test_what_was_set_in_a_session_before_the_fork_stays_set(exchange: Callable[..., Any], driver: str) -> None:
    """Isolation, modes and time-outs are those that the prototype chose at its import: what a race does hangs on them."""
    told = [ast.literal_eval(exchange(driver, "set_before")["body"].decode()) for _ in range(2)]
    assert [each[:5] for each in told] == [("SERIALIZABLE", 1, "+03:00", "ANSI_QUOTES", 7)] * 2
    assert told[0][5] != told[1][5]


@sync
def test_sqlalchemy_passes_through(exchange: Callable[..., Any], driver: str) -> None:
    """SQLAlchemy's statements are the driver's; the rows that it counts are those that it found, changed or not."""
    told = exchange(driver, "stale")
    assert told["body"].decode() == "1"
    assert [text.split()[0] for text in texts(told)[-2:]] == ["update", "COMMIT"]
    assert told["statements"][-2]["rows"] == 1


@asynchronous
def test_asynchronous_drivers_tell_the_same(exchange: Callable[..., Any], driver: str) -> None:
    """Rows, values, sets and the ends of transactions, through SQLAlchemy too."""
    told = exchange(driver, "rows")
    assert told["body"].decode() == "[(2, 'c'), (3, 'd')]"
    assert (told["statements"][0]["parameters"], told["statements"][0]["rows"]) == ([1], 2)
    assert [text.split()[0] for text in texts(exchange(driver, "block"))] == ["update", "COMMIT"]
    assert [text.split()[0] for text in texts(exchange(driver, "undo"))] == ["delete", "ROLLBACK"]
    assert exchange(driver, "many")["statements"][0]["many"] == 2
    through = exchange(driver, "alchemy")
    assert through["body"].decode() == "1"
    assert [text.split()[0] for text in texts(through)[-2:]] == ["update", "COMMIT"]


@every
def test_a_lock_is_seen(hosts: Callable[[str], Any], driver: str) -> None:
    """A gated statement that waits for another's row is told as blocked, by the server's own words; once the other commits it goes on."""
    host = hosts(driver)
    first, second = host.child(gate=True), host.child(gate=True)
    first.begin(("GET", "/buy"))
    assert "for update" in first.receive()["statement"]["text"]
    first.send({"go": 1})
    assert first.receive()["statement"]["text"].startswith("update")
    second.begin(("GET", "/buy"))
    second.receive()
    second.send({"go": -1})
    blocked = second.receive()
    assert blocked["blocked"] == 0
    first.send({"go": -1})
    assert first.exchange()["status"] == 200
    second.send({"retry": True})
    while "status" not in (told := second.exchange()):
        second.send({"retry": True})
    assert told["status"] == 200


@sync
def test_a_deadlock_has_a_victim(hosts: Callable[[str], Any], driver: str) -> None:
    """Of two that wait for each other the server ends one, with its own error (1213)."""
    host = hosts(driver)
    one, two = host.child(gate=True), host.child(gate=True)
    for child, path in ((one, "/swap"), (two, "/paws")):
        child.begin(("GET", path))
        child.receive()
        child.send({"go": 1})
        child.receive()
    one.send({"go": -1})
    assert "blocked" in one.receive()
    two.send({"go": -1})
    ends: list[dict[str, Any]] = []
    for child in (two, one):
        told = child.exchange() if child is two else None
        if child is one:
            child.send({"retry": True})
            told = child.exchange()
        while told is not None and "status" not in told:
            child.send({"retry": True})
            told = child.exchange()
        assert told is not None
        ends.append(told)
    failed = [each for each in ends if each["failure"]]
    assert len(failed) == 1
    assert "1213" in failed[0]["failure"]["message"]


@sync
def test_who_is_told_to_wait_no_longer_gets_the_time_out(hosts: Callable[[str], Any], driver: str) -> None:
    """A request that locks itself out is ended with the error that the server's own time-out has (1205)."""
    child = hosts(driver).child(gate=True)
    child.begin(("GET", "/own"))
    child.receive()
    child.send({"go": -1})
    assert "blocked" in child.receive()
    child.send({"retry": False})
    told = child.exchange()
    assert "1205" in told["failure"]["message"]
    assert "1205" in told["statements"][1]["error"]


@every
@pytest.mark.parametrize("code", ["1213", "1205", "1114"])
def test_a_statement_fails_as_it_is_told(hosts: Callable[[str], Any], driver: str, code: str) -> None:
    """The driver's own exception with the server's own number, and the transaction is what the real thing leaves of it."""
    child = hosts(driver).child(gate=True)
    child.begin(("GET", "/buy"))
    child.receive()
    child.send({"go": 1})
    child.receive()
    child.send({"go": -1, "fail": code, "times": 1})
    told = child.exchange()
    assert code in told["failure"]["message"]
    assert code in told["statements"][1]["error"]
    # What it left locked goes with it.
    child.stream.close()


@sync
def test_where_there_is_no_server_nobody_answers(boot: Callable[..., Any], interpreter: Callable[[str], str], driver: str) -> None:
    """Without a server of the lab's a connection is refused, as by a port that nobody listens on."""
    host = boot(f"import {driver} as driver\ndriver.connect(host='db.example.com', user='x', password='y', database='z')\n", interpreter=interpreter(driver))
    assert "2003" in host.told["failed"]["failure"]["message"]
