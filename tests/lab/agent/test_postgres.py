"""Owns the claims about PostgreSQL's drivers: where connections lead, what is recorded, and how a lock is seen."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toughen.lab.environment import Needs, build
from toughen.lab.postgres import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toughen.lab.postgres import Server

DRIVERS = ("asyncpg", "psycopg", "psycopg2")
PACKAGES = ("asyncpg", "psycopg[binary]", "psycopg-pool", "psycopg2-binary", "sqlalchemy[asyncio]")

SYNC = """
import io, threading
import {driver} as driver
from {driver} import sql
URL = "postgresql://shop:secret@db.example.com:6543/{driver}_shop?sslmode=require&options=endpoint%3Dep-1&application_name=till"
def connect():
    return driver.connect(URL)
setup = connect()
cursor = setup.cursor()
cursor.execute("create table if not exists notes(id int primary key, text text unique, n numeric(9, 2))")
cursor.execute("delete from notes")
cursor.executemany("insert into notes values (%s, %s, %s)", [(i, "abcd"[i], i) for i in range(4)])
setup.commit()
setup.close()
def where():
    c = connect(); cursor = c.cursor()
    cursor.execute("select current_database(), current_user, inet_server_addr(), current_setting('application_name'), current_setting('is_superuser')")
    return cursor.fetchone()
def keywords():
    c = driver.connect(host="10.1.2.3", port=1, dbname="{driver}_fresh", user="fresh_owner", password="x", sslmode="verify-full", channel_binding="require")
    cursor = c.cursor(); cursor.execute("select current_database(), (select count(*) from pg_roles where rolname = 'fresh_owner')")
    return cursor.fetchone()
def rows():
    c = connect(); cursor = c.cursor()
    cursor.execute("select id, text, n from notes where n > %s order by id", (1,))
    return [row[1] for row in cursor], cursor.fetchone()
def parts():
    c = connect(); cursor = c.cursor()
    cursor.execute("select id from notes order by id")
    return cursor.fetchone(), cursor.fetchmany(2), cursor.fetchall()
def named():
    c = connect(); cursor = c.cursor()
    cursor.execute("update notes set text = %(text)s, n = n where id = %(id)s or text = %(text)s", dict(id=3, text="z")); c.rollback()
def block():
    with connect() as c, c.cursor() as cursor:
        cursor.execute("update notes set n = n where id < 2")
def undo():
    try:
        with connect() as c, c.cursor() as cursor:
            cursor.execute("delete from notes"); raise KeyError("x")
    except KeyError:
        pass
def lost():
    c = connect(); c.cursor().execute("delete from notes"); c.close()
def idle():
    c = connect(); c.commit(); c.rollback(); c.close()
def auto():
    c = connect(); c.autocommit = True; c.cursor().execute("update notes set n = n"); c.commit(); c.close()
def many():
    c = connect(); c.cursor().executemany("insert into notes(id, text) values (%s, %s)", ((i, "m%d" % i) for i in (7, 8, 9))); c.rollback()
def twice():
    c = connect()
    try:
        c.cursor().execute("insert into notes(id) values (%s)", (1,))
    finally:
        c.rollback()
def nonsense():
    connect().cursor().execute("select * from nowhere where x = %s", ("canary",))
def composed():
    c = connect(); cursor = c.cursor()
    cursor.execute(sql.SQL("select {{}} from notes where text = {{}} and n >= %s").format(sql.Identifier("id"), sql.Literal("canary")), (0,))
    return cursor.fetchall()
def pasted():
    cursor = connect().cursor(); cursor.execute("select id from notes where text = 'canary'"); return cursor.fetchall()
def far():
    c = connect(); cursor = c.cursor("far")
    cursor.execute("select id, n from notes order by id")
    got = cursor.fetchone(), cursor.fetchmany(1), list(cursor)
    cursor.close(); c.commit()
    return got
def thread():
    found = []
    def work():
        cursor = connect().cursor(); cursor.execute("select 1"); found.append(cursor.fetchone())
    t = threading.Thread(target=work); t.start(); t.join()
    return found
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
    one.cursor().execute("update notes set n = n where id = 0")
    two.cursor().execute("update notes set n = n where id = 0")
{more}
def app(environ, start_response):
    result = globals()[environ["PATH_INFO"].strip("/")]()
    start_response("200 OK", [])
    return [repr(result).encode()]
"""
MORE = {
    "psycopg2": """
from psycopg2 import extras, pool
import psycopg2.extensions
def dicts():
    c = psycopg2.connect(URL, cursor_factory=extras.RealDictCursor) if 0 else connect()
    out = []
    for kind in (extras.RealDictCursor, extras.DictCursor, extras.NamedTupleCursor):
        cursor = c.cursor(cursor_factory=kind)
        cursor.execute("select id, text from notes where id = %s", (1,))
        assert isinstance(cursor, kind)
        out.append(cursor.fetchone())
    return out[0]["text"], out[1]["text"], out[2].text
def values():
    c = connect(); cursor = c.cursor()
    got = extras.execute_values(cursor, "insert into notes(id, text) values %s returning id", [(i, "canary%d" % i) for i in range(10, 15)], page_size=3, fetch=True)
    extras.execute_batch(cursor, "update notes set n = %s where text = %s", [(i, "canary%d" % i) for i in range(3)])
    c.rollback()
    return got
def mogrified():
    c = connect(); cursor = c.cursor()
    cursor.execute(b"insert into notes(id, text) values " + b",".join(cursor.mogrify("(%s,%s)", (i, "canary%d" % i)) for i in (20, 21)))
    c.rollback()
def pooled():
    p = pool.ThreadedConnectionPool(1, 2, URL); c = p.getconn(); c.cursor().execute("select 1"); p.putconn(c); p.closeall()
class Mine(psycopg2.extensions.connection):
    def cursor(self, *args, **keywords):
        return super().cursor(*args, **keywords)
def by_hand():
    c = Mine("host=db.example.com dbname=psycopg2_shop"); cursor = c.cursor(); cursor.execute("select current_database()"); return cursor.fetchone()
def copied():
    c = connect(); cursor = c.cursor()
    cursor.copy_from(io.StringIO("30\\tq\\n"), "notes", columns=("id", "text"))
    out = io.StringIO(); cursor.copy_expert("copy notes(id) to stdout", out); c.rollback()
    return out.getvalue().count("\\n")
""",
    "psycopg": """
from psycopg.rows import class_row, dict_row
from dataclasses import dataclass
@dataclass
class Note:
    id: int
    text: str
def dicts():
    c = connect()
    c.row_factory = dict_row
    first = c.execute("select id, text from notes where id = %s", (1,)).fetchone()
    second = c.cursor(row_factory=class_row(Note)).execute("select id, text from notes where id = %s", (1,)).fetchone()
    c.cursor().execute("select id, text from notes where id = 1")
    return first["text"], second.text, first["text"]
def pooled():
    from psycopg_pool import ConnectionPool
    with ConnectionPool(URL, min_size=1, max_size=1, open=True) as pool, pool.connection() as c:
        c.execute("select 1")
def nested():
    with connect() as c:
        with c.transaction():
            c.execute("update notes set n = n")
            try:
                with c.transaction():
                    raise KeyError
            except KeyError:
                pass
def copied():
    c = connect()
    with c.cursor() as cursor:
        with cursor.copy("copy notes(id, text) from stdin") as copy:
            copy.write_row((30, "q"))
        with cursor.copy("copy notes(id) to stdout") as copy:
            count = sum(bytes(piece).count(b"\\n") for piece in copy)
    c.rollback()
    return count
def streamed():
    with connect() as c, c.cursor() as cursor:
        return list(cursor.stream("select id from notes"))
def often():
    c = connect()
    for number in range(8):
        c.execute("select %s::int", (number,))
    c.rollback()
""",
}

ASYNC = """
import asyncio, datetime
import asyncpg, psycopg
from sqlalchemy import text, select, Column, Integer, String
from sqlalchemy.ext.asyncio import create_async_engine, async_sessionmaker
from sqlalchemy.orm import declarative_base
URL = "postgresql://shop:secret@db.example.com:6543/async_shop?sslmode=require&options=endpoint%3Dep-1&application_name=till"
async def connect():
    return await asyncpg.connect(URL)
async def where():
    c = await connect()
    return tuple(await c.fetchrow("select current_database(), current_setting('application_name'), inet_server_addr()"))
async def keywords():
    c = await asyncpg.connect(host=["10.1.2.3", "10.1.2.4"], port=1, user="u", password="x", database="async_fresh", ssl="verify-full")
    return await c.fetchval("select current_database()")
async def rows():
    c = await connect()
    return await c.fetch("select id, text from notes where n > $1 order by id", 1), await c.fetchval("select id from notes where text = $1", "nobody")
async def status():
    c = await connect(); await c.execute("update notes set n = n where id < $1", 2); return await c.execute("update notes set n = n")
async def block():
    c = await connect()
    async with c.transaction():
        await c.execute("update notes set n = n where id = 1")
        try:
            async with c.transaction():
                raise KeyError
        except KeyError:
            pass
async def undo():
    c = await connect()
    try:
        async with c.transaction():
            await c.execute("delete from notes"); raise KeyError
    except KeyError:
        pass
async def lost():
    c = await connect(); await c.execute("begin"); await c.execute("delete from notes"); await c.close()
async def many():
    c = await connect()
    await c.executemany("update notes set n = $1 where id = $2", ((i, i) for i in range(3)))
async def twice():
    c = await connect(); await c.execute("insert into notes(id) values ($1)", 1)
async def nonsense():
    c = await connect(); await c.fetch("select * from nowhere where x = 'canary'")
async def far():
    c = await connect()
    async with c.transaction():
        found = [row async for row in c.cursor("select id from notes order by id", prefetch=2)]
        other = await (await c.cursor("select id, text from notes order by id")).fetch(2)
    return len(found), len(other)
async def prepared():
    c = await connect(); statement = await c.prepare("select text from notes where id = $1"); return await statement.fetchval(1)
async def copied():
    c = await connect()
    return await c.copy_records_to_table("notes", records=[(40 + int(datetime.datetime.now().timestamp() * 1000) % 10**8, None)], columns=["id", "text"])
async def pooled():
    async with asyncpg.create_pool(URL, min_size=1, max_size=2) as pool:
        async with pool.acquire() as c:
            await c.fetchval("select 1")
        await asyncio.gather(*(pool.fetchval("select $1::int", i) for i in (1, 2)))
async def buy():
    c = await connect()
    async with c.transaction():
        n = await c.fetchval("select n from notes where id = 2 for update")
        await c.execute("update notes set n = $1 where id = 2", n + 1)
async def three():
    async with await psycopg.AsyncConnection.connect(URL) as c, c.cursor() as cursor:
        await cursor.execute("select id from notes where id < %s order by id", (2,))
        found = [row async for row in cursor]
        await cursor.executemany("update notes set n = %s where id = %s", [(1, 1), (2, 2)])
        return found
Base = declarative_base()
class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    text = Column(String)
async def alchemy(driver):
    engine = create_async_engine("postgresql+" + driver + "://shop:x@db.example.com/async_shop")
    async with async_sessionmaker(engine)() as session:
        note = (await session.execute(select(Note).where(Note.id == 1))).scalar_one()
        note.text = "changed"
        await session.flush()
        await session.execute(text("select n from notes where id = :id"), {"id": 2})
        await session.rollback()
    await engine.dispose()
async def alchemy_asyncpg():
    await alchemy("asyncpg")
async def alchemy_psycopg():
    await alchemy("psycopg")
async def setup():
    c = await connect()
    await c.execute("create table if not exists notes(id int primary key, text text unique, n numeric(9, 2)); delete from notes")
    await c.executemany("insert into notes values ($1, $2, $3)", [(i, "abcd"[i], i) for i in range(4)])
    await c.close()
asyncio.run(setup())
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive(); await send({"type": "lifespan.startup.complete"}); await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    result = await globals()[scope["path"].strip("/")]()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(result).encode()})
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """PostgreSQL as the lab serves it."""
    with serve() as found:
        yield found


@pytest.fixture(scope="module")
def interpreter(pytestconfig: pytest.Config) -> str:
    """The agent's interpreter, where it has the drivers; else one that has."""
    given = str(Path(pytestconfig.getoption("--agent-python")).absolute())
    probe = "import asyncpg, psycopg, psycopg2, psycopg_pool, sqlalchemy.ext.asyncio, greenlet"
    if subprocess.run([given, "-c", probe], capture_output=True, timeout=60, check=False).returncode == 0:
        return given
    return str(build(Needs("the tests", requirements=PACKAGES)).python)


@pytest.fixture(scope="module")
def hosts(boot: Callable[..., Any], server: Server, interpreter: str) -> Callable[[str], Any]:
    """The same functions over each driver, one a route; booted when it is asked for."""
    booted: dict[str, Any] = {}

    def host(driver: str) -> Any:
        if driver not in booted:
            source = ASYNC if driver == "asyncpg" else SYNC.format(driver=driver, more=MORE[driver])
            booted[driver] = boot(source, interpreter=interpreter, postgres=server.told)
            assert "ready" in booted[driver].told, booted[driver].told
        return booted[driver]

    return host


@pytest.fixture
def exchange(hosts: Callable[[str], Any]) -> Callable[..., dict[str, Any]]:
    """One request to a function over a driver."""

    def run(driver: str, path: str, **record: object) -> dict[str, Any]:
        told: dict[str, Any] = hosts(driver).child().serve(("GET", "/" + path), **record)[0]
        return told

    return run


def texts(told: dict[str, Any]) -> list[str]:
    """Texts of the statements."""
    return [each["text"] for each in told["statements"]]


both = pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
every = pytest.mark.parametrize("driver", DRIVERS)


@both
def test_every_connection_leads_to_the_lab(exchange: Callable[..., Any], driver: str) -> None:
    """Host, port, user, password and TLS of a URL are replaced; the database and the application's name are kept."""
    assert exchange(driver, "where")["body"].decode() == f"('{driver}_shop', 'toughen', None, 'till', 'on')"


@both
def test_what_is_missing_is_made(exchange: Callable[..., Any], hosts: Callable[[str], Any], driver: str) -> None:
    """A database and a user that the server does not have are made at the first connection, and the database is told."""
    told = exchange(driver, "keywords")
    assert told["body"].decode() == f"('{driver}_fresh', 1)"
    assert told["databases"] == [{"driver": "postgresql", "path": f"{driver}_fresh"}]
    assert {"driver": "postgresql", "path": f"{driver}_shop"} in hosts(driver).facts["databases"]


@both
def test_select(exchange: Callable[..., Any], driver: str) -> None:
    """A select tells bound values, rows, the first of them by column with numbers as numbers, and the user's line."""
    told = exchange(driver, "rows")
    (noted,) = told["statements"]
    assert told["body"].decode() == "(['c', 'd'], None)"
    assert (noted["text"], noted["parameters"], noted["rows"]) == ("select id, text, n from notes where n > %s order by id", [1], 2)
    assert noted["sample"] == [{"id": 2, "text": "c", "n": 2.0}, {"id": 3, "text": "d", "n": 3.0}]
    assert (noted["place"][0], noted["place"][2]) == ("main.py", "rows")


@both
def test_looking_at_the_first_rows_takes_none_away(exchange: Callable[..., Any], driver: str) -> None:
    """The prototype fetches the same rows, in whatever pieces, with and without samples."""
    for level in (0, 1, 2):
        assert exchange(driver, "parts", sql=level)["body"].decode() == "((0,), [(1,), (2,)], [(3,)])"


@both
def test_less_is_recorded_where_less_is_asked_for(exchange: Callable[..., Any], driver: str) -> None:
    """Level 1 has neither frame nor sample, level 0 nothing."""
    (noted,) = exchange(driver, "rows", sql=1)["statements"]
    assert (noted["rows"], noted["sample"], noted["place"]) == (2, [], None)
    assert exchange(driver, "rows", sql=0)["statements"] == []


@both
def test_named_values(exchange: Callable[..., Any], driver: str) -> None:
    """Named values come once each, in order of appearance, with their names."""
    update, _ = exchange(driver, "named")["statements"]
    assert (update["parameters"], update["names"], update["rows"]) == (["z", 3], ["text", "id"], 1)


@both
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("block", ["update", "COMMIT"]), ("undo", ["delete", "ROLLBACK"]), ("lost", ["delete", "ROLLBACK"]),
        ("idle", []), ("auto", ["update"]), ("thread", ["select"]),
    ],
)  # fmt: skip
def test_ends_of_transactions(exchange: Callable[..., Any], driver: str, path: str, expected: list[str]) -> None:
    """`with`, rollback and close of an open transaction are told; commit without a transaction is not."""
    assert [text.split()[0] for text in texts(exchange(driver, path))] == expected


@both
def test_executemany_is_one_statement(exchange: Callable[..., Any], driver: str) -> None:
    """Its parameters are the sets, from a generator too; its rows are all that were written."""
    noted = exchange(driver, "many")["statements"][0]
    assert (noted["parameters"], noted["rows"], noted["many"]) == ([[7, "m7"], [8, "m8"], [9, "m9"]], 3, 3)


@every
def test_an_error_is_noted_in_the_drivers_own_words(exchange: Callable[..., Any], driver: str) -> None:
    """The note names the driver's class, and the prototype gets the error itself, from its own line."""
    told = exchange(driver, "twice")
    named = {"psycopg2": "psycopg2.errors.UniqueViolation", "psycopg": "psycopg.errors.UniqueViolation", "asyncpg": "asyncpg.exceptions.UniqueViolationError"}
    assert told["statements"][0]["error"].startswith(named[driver] + ": duplicate key")
    assert told["failure"]["type"] == named[driver]
    assert told["failure"]["place"][2] == "twice"


@every
def test_a_statement_that_is_not_understood_is_noted(exchange: Callable[..., Any], driver: str) -> None:
    """Its text is there with the error, although nothing ran."""
    (noted,) = exchange(driver, "nonsense")["statements"]
    assert noted["text"].startswith("select * from nowhere")
    assert "nowhere" in noted["error"]


@both
def test_a_literal_of_the_drivers_is_a_value(exchange: Callable[..., Any], driver: str) -> None:
    """What the driver's `sql` module quotes is no injection: it is told as bound, between the others in their order."""
    told = exchange(driver, "composed", markers=["canary"])
    (noted,) = told["statements"]
    assert (noted["text"], noted["parameters"]) == ('select "id" from notes where text = %s and n >= %s', ["canary", 0])
    assert told["sightings"] == []


@both
def test_a_value_in_the_text_is_seen(exchange: Callable[..., Any], driver: str) -> None:
    """A marker that the prototype wrote into the text itself is sighted there."""
    (sighting,) = exchange(driver, "pasted", markers=["canary"])["sightings"]
    assert (sighting["event"], sighting["place"][2]) == ("sql", "pasted")


@both
def test_cursor_of_the_servers(exchange: Callable[..., Any], driver: str) -> None:
    """A named cursor's rows count as they are fetched; the text is the prototype's, not DECLARE and FETCH."""
    select, commit = exchange(driver, "far")["statements"]
    assert (select["text"], select["rows"]) == ("select id, n from notes order by id", 4)
    assert select["sample"][0] == {"id": 0, "n": 0.0}
    assert commit["text"] == "COMMIT"


@both
def test_classes_of_cursors_and_rows_stay(exchange: Callable[..., Any], driver: str) -> None:
    """Rows come as the prototype wants them, and are told by column."""
    told = exchange(driver, "dicts")
    assert told["body"].decode() == "('b', 'b', 'b')"
    assert [each["sample"] for each in told["statements"]] == [[{"id": 1, "text": "b"}]] * 3


@both
def test_copy(exchange: Callable[..., Any], driver: str) -> None:
    """COPY is a statement in both directions, with its rows."""
    told = exchange(driver, "copied")
    assert told["body"] == b"5"
    assert [each["rows"] for each in told["statements"]] == [1, 5, None]


@both
def test_pool(exchange: Callable[..., Any], driver: str) -> None:
    """A connection of a pool's is one of ours; what ends its transaction is told."""
    assert texts(exchange(driver, "pooled"))[0] == "select 1"
    assert texts(exchange(driver, "pooled"))[1] in {"COMMIT", "ROLLBACK"}


def test_psycopg2_writes_many_sets_into_one_statement(exchange: Callable[..., Any]) -> None:
    """execute_values and execute_batch are told with places for their values, page by page: no value is in the text."""
    told = exchange("psycopg2", "values", markers=["canary"])
    first, second, batch, _ = told["statements"]
    assert first["text"] == "insert into notes(id, text) values (%s, %s) returning id"
    assert [first["many"], second["many"], batch["many"]] == [3, 2, 3]
    assert second["parameters"] == [[13, "canary13"], [14, "canary14"]]
    assert told["body"].decode() == "[(10,), (11,), (12,), (13,), (14,)]"
    assert told["sightings"] == []


def test_psycopg2_what_mogrify_bound_is_bound(exchange: Callable[..., Any]) -> None:
    """Values that the driver quoted for the prototype are told as values."""
    told = exchange("psycopg2", "mogrified", markers=["canary"])
    noted = told["statements"][0]
    assert (noted["text"], noted["parameters"]) == ("insert into notes(id, text) values (%s,%s),(%s,%s)", [20, "canary20", 21, "canary21"])
    assert told["sightings"] == []


def test_psycopg2_connection_made_by_hand(exchange: Callable[..., Any]) -> None:
    """A subclass of the driver's connection that is called itself leads to the lab too."""
    told = exchange("psycopg2", "by_hand")
    assert told["body"] == b"('psycopg2_shop',)"
    assert texts(told) == ["select current_database()"]


def test_psycopg_savepoints_streams_and_prepared_statements(exchange: Callable[..., Any]) -> None:
    """Nested transactions tell their savepoints; a stream its rows; a statement that the driver prepares is one as before."""
    assert [text.split()[0] for text in texts(exchange("psycopg", "nested"))] == ["update", "SAVEPOINT", "ROLLBACK", "RELEASE", "COMMIT"]
    assert exchange("psycopg", "streamed")["statements"][0]["rows"] == 4
    assert texts(exchange("psycopg", "often")) == ["select %s::int"] * 8 + ["ROLLBACK"]


def test_asyncpg_leads_to_the_lab(exchange: Callable[..., Any]) -> None:
    """URLs and keywords, several hosts too."""
    assert exchange("asyncpg", "where")["body"] == b"('async_shop', 'till', None)"
    assert exchange("asyncpg", "keywords")["body"] == b"'async_fresh'"


def test_asyncpg_select(exchange: Callable[..., Any]) -> None:
    """Bound values, rows, first rows and the user's line; nothing of what the driver asks itself."""
    some, none = exchange("asyncpg", "rows")["statements"]
    assert (some["parameters"], some["rows"], some["sample"][0]) == ([1], 2, {"id": 2, "text": "c"})
    assert (none["parameters"], none["rows"]) == (["nobody"], 0)
    assert (some["place"][0], some["place"][2]) == ("main.py", "rows")


@pytest.mark.parametrize(
    ("path", "expected", "rows"),
    [
        ("status", ["update", "update"], 2), ("undo", ["delete", "ROLLBACK"], 4), ("lost", ["begin", "delete", "ROLLBACK"], None),
        ("block", ["update", "SAVEPOINT", "ROLLBACK", "COMMIT"], 1), ("far", ["select", "select", "COMMIT"], 4), ("prepared", ["select"], 1),
        ("many", ["update"], None), ("copied", ["COPY"], 1), ("pooled", ["select", "select", "select"], 1),
    ],
)  # fmt: skip
def test_asyncpg_statements(exchange: Callable[..., Any], path: str, expected: list[str], rows: int | None) -> None:
    """Each way to run a statement is told once, with its rows, and so is what ends a transaction."""
    told = exchange("asyncpg", path)
    assert [text.split()[0] for text in texts(told)] == expected
    assert told["statements"][0]["rows"] == rows
    assert all(each["place"] for each in told["statements"])


def test_psycopg_asynchronous(exchange: Callable[..., Any]) -> None:
    """The asynchronous side of psycopg 3 is told as the other."""
    told = exchange("asyncpg", "three")
    select, update, commit = told["statements"]
    assert (select["parameters"], select["rows"], select["place"][2]) == ([2], 2, "three")
    assert (update["many"], update["rows"], commit["text"]) == (2, 2, "COMMIT")


@pytest.mark.parametrize("path", ["alchemy_asyncpg", "alchemy_psycopg"])
def test_sqlalchemy_asynchronous(exchange: Callable[..., Any], path: str) -> None:
    """Beneath SQLAlchemy's asyncio each statement has the place of the coroutine that caused it."""
    told = exchange("asyncpg", path)["statements"]
    ours = [each for each in told if "notes" in each["text"]]
    assert [each["text"].split()[0].lower() for each in ours] == ["select", "update", "select"]
    assert {each["place"][2] for each in ours} == {"alchemy"}
    assert told[-1]["text"] == "ROLLBACK"


@every
def test_no_server_is_a_refused_connection(boot: Callable[..., Any], interpreter: str, driver: str) -> None:
    """Where the lab has none, the driver says what it says where nobody answers."""
    call = "asyncio.run(asyncpg.connect(URL))" if driver == "asyncpg" else f"{driver}.connect(URL)"
    app = boot(f"import asyncio, {driver}\nURL = 'postgresql://u:p@db.example.com/x'\n{call}\napp = None", interpreter=interpreter)
    failure = app.told["failed"]["failure"]
    named = {"psycopg2": "psycopg2.OperationalError", "psycopg": "psycopg.OperationalError", "asyncpg": "ConnectionRefusedError"}
    assert failure["type"] == named[driver]
    assert failure["place"][0] == "main.py"


@every
def test_gate_stops_before_each_statement(hosts: Callable[[str], Any], driver: str) -> None:
    """A gated request runs one statement at a time; the commit counts."""
    child = hosts(driver).child(gate=True)
    child.begin(("GET", "/buy"))
    stops = [child.receive(), child.ask(go=None), child.ask(go=None)]
    assert [each["statement"]["text"].split()[0] for each in stops] == ["select", "update", "COMMIT"]
    child.send({"go": None})
    assert child.exchange()["status"] == 200


@every
def test_a_statement_that_waits_for_a_lock_is_told_and_goes_on(hosts: Callable[[str], Any], driver: str) -> None:
    """The second buyer is seen to wait; when the first is done, it goes on and sees what the first wrote."""
    first, second = (hosts(driver).child(gate=True) for _ in range(2))
    first.begin(("GET", "/buy"))
    first.receive()
    assert first.ask(go=1)["at"] == 1
    second.begin(("GET", "/buy"))
    second.receive()
    assert second.ask(go=-1) == {"blocked": 0, "error": "waits for a lock"}
    first.send({"go": -1})
    before = first.exchange()
    second.send({"retry": True})
    after = second.exchange()
    assert (before["status"], after["status"]) == (200, 200)
    assert float(after["statements"][1]["parameters"][0]) == float(before["statements"][1]["parameters"][0]) + 1


@every
def test_a_statement_that_may_not_wait_fails_with_the_drivers_own_error(hosts: Callable[[str], Any], driver: str) -> None:
    """`retry: false` cancels it."""
    first, second = (hosts(driver).child(gate=True) for _ in range(2))
    first.begin(("GET", "/buy"))
    first.receive()
    assert first.ask(go=1)["at"] == 1
    second.begin(("GET", "/buy"))
    second.receive()
    assert "blocked" in second.ask(go=-1)
    second.send({"retry": False})
    failed = second.exchange()
    assert "QueryCanceled" in failed["statements"][0]["error"]
    first.send({"go": -1})
    assert first.exchange()["status"] == 200


@both
def test_a_real_deadlock_ends_with_the_servers_error(hosts: Callable[[str], Any], driver: str) -> None:
    """Two that wait for each other: whoever is told not to wait, one of them gets the server's own deadlock error."""
    first, second = (hosts(driver).child(gate=True) for _ in range(2))
    first.begin(("GET", "/swap"))
    first.receive()
    assert first.ask(go=1)["at"] == 1
    second.begin(("GET", "/paws"))
    second.receive()
    assert "blocked" in second.ask(go=-1)
    frame = first.ask(go=-1)
    if "blocked" in frame:
        first.send({"retry": False})
        frame = first.exchange()
    second.send({"retry": True})
    errors = [each.get("error") or "" for told in (frame, second.exchange()) for each in told["statements"]]
    assert [error for error in errors if error] == [error for error in errors if "DeadlockDetected" in error]
    assert any(errors)


@both
def test_a_request_that_waits_for_itself_is_told_again(hosts: Callable[[str], Any], driver: str) -> None:
    """A lock that nobody will release is told once more after each answer, and ends when the lab says so."""
    child = hosts(driver).child(gate=True)
    child.begin(("GET", "/own"))
    child.receive()
    assert child.ask(go=-1) == {"blocked": 1, "error": "waits for a lock"}
    assert child.ask(retry=True) == {"blocked": 1, "error": "waits for a lock"}
    child.send({"retry": False})
    assert "QueryCanceled" in child.exchange()["statements"][1]["error"]


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_connection_that_is_open_at_the_fork_goes_on_in_each_child(boot: Callable[..., Any], server: Server, interpreter: str, driver: str) -> None:
    """A module's own connection and cursor serve every child in a session of its own, with what was set in it; forking stays safe."""
    host = boot(
        f"""
        import {driver} as driver
        c = driver.connect("host=db.example.com dbname=kept_{driver} application_name=till options='-c statement_timeout=7s'")
        cursor = c.cursor()
        cursor.execute("create table if not exists kept(n int)")
        cursor.execute("set search_path to pg_catalog, public")
        c.commit()
        for number in range(8):
            cursor.execute("select %s::int", (number,))
        c.commit()
        def app(environ, start_response):
            start_response("200 OK", [])
            cursor.execute("insert into kept values (%s)", (1,))
            cursor.execute("select pg_backend_pid(), current_setting('search_path'), current_setting('application_name'), current_setting('statement_timeout')")
            row = cursor.fetchone()
            for number in range(8):
                cursor.execute("select %s::int", (number,))
            (c.rollback if "undo" in environ["PATH_INFO"] else c.commit)()
            return [repr(row).encode()]
        """,
        interpreter=interpreter, postgres=server.told,
    )  # fmt: skip
    assert host.facts["fork"] == "safe"
    one, two = host.child(), host.child()
    bodies = [one.serve(("GET", "/"))[0]["body"], two.serve(("GET", "/undo"))[0]["body"], one.serve(("GET", "/"))[0]["body"]]
    assert bodies[0] == bodies[2] != bodies[1]
    assert all(b"'pg_catalog, public', 'till', '7s'" in body for body in bodies)
    with contextlib.closing(server.connect(f"kept_{driver}")) as live:
        assert live.execute("select count(*) from kept").fetchone() == (2,)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_a_lock_is_seen_on_a_connection_from_before_the_fork(boot: Callable[..., Any], server: Server, interpreter: str, driver: str) -> None:
    """The watch looks at the process that serves the child's own session."""
    host = boot(
        f"""
        import {driver} as driver
        c = driver.connect("dbname=before_{driver}")
        cursor = c.cursor()
        cursor.execute("create table if not exists kept(n int); insert into kept values (1)")
        c.commit()
        def app(environ, start_response):
            start_response("200 OK", [])
            cursor.execute("update kept set n = n + 1")
            c.commit()
            return []
        """,
        interpreter=interpreter, postgres=server.told,
    )  # fmt: skip
    one, two = host.child(gate=True), host.child(gate=True)
    one.begin(("GET", "/"))
    one.receive()
    assert one.ask(go=1)["at"] == 1
    two.begin(("GET", "/"))
    two.receive()
    assert "blocked" in two.ask(go=-1)
    one.send({"go": -1})
    assert one.exchange()["status"] == 200
    two.send({"retry": True})
    assert two.exchange()["status"] == 200


def test_what_a_fork_would_not_keep_is_told(boot: Callable[..., Any], server: Server, interpreter: str) -> None:
    """A transaction that is open after the import, and a pool that has threads, are no safe fork."""
    for source, reason in (
        ("c = psycopg2.connect('dbname=open'); c.cursor().execute('select 1')", "a transaction is open after the import: open"),
        ("c = psycopg_pool.ConnectionPool('dbname=open', min_size=1, open=True)", "threads alive after the import"),
    ):
        host = boot(f"import psycopg2, psycopg_pool\n{source}\ndef app(environ, start_response): pass", interpreter=interpreter, postgres=server.told)
        assert host.facts["fork"].startswith(reason)


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_sqlalchemy_asks_nothing_while_a_request_is_served(boot: Callable[..., Any], server: Server, interpreter: str, driver: str) -> None:
    """What an engine asks at its first connection was asked before the fork: the first request tells only its own statements."""
    host = boot(
        f"""
        from sqlalchemy import Column, Integer, String, create_engine, select
        from sqlalchemy.orm import declarative_base, sessionmaker
        engine = create_engine("postgresql+{driver}://shop:x@db.example.com/alchemy_{driver}")
        Base = declarative_base()
        class Note(Base):
            __tablename__ = "notes"
            id = Column(Integer, primary_key=True)
            text = Column(String, unique=True)
        Session = sessionmaker(engine)
        def app(environ, start_response):
            start_response("200 OK", [])
            with Session() as session:
                session.add_all([Note(text=each) for each in "ab"])
                session.flush()
                found = session.execute(select(Note).order_by(Note.text)).scalars().all()
                session.rollback()
                session.add(Note(text="kept"))
                session.commit()
            return [repr([each.id for each in found]).encode()]
        """,
        interpreter=interpreter, postgres=server.told,
    )  # fmt: skip
    assert host.server.ask(do="prepare", step="create_all")["prepared"]["failed"] == []
    for child in (host.child(), host.child()):
        told = child.serve(("GET", "/"))[0]
        assert [each["text"].split()[0] for each in told["statements"]][:3] == ["INSERT", "SELECT", "ROLLBACK"]
        assert {each["place"][2] for each in told["statements"]} == {"app"}


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_children_of_a_start_up_that_used_an_asynchronous_engine(boot: Callable[..., Any], server: Server, interpreter: str, driver: str) -> None:
    """Pooled connections of a start-up are closed before the fork: each child opens its own, and the settled process is safe."""
    host = boot(
        f"""
        from sqlalchemy import text
        from sqlalchemy.ext.asyncio import create_async_engine
        engine = create_async_engine("postgresql+{driver}://shop:x@db.example.com/settled_{driver}")
        async def app(scope, receive, send):
            if scope["type"] == "lifespan":
                await receive()
                async with engine.begin() as connection:
                    await connection.execute(text("create table if not exists t(n int)"))
                await send({{"type": "lifespan.startup.complete"}})
                await receive()
                return await send({{"type": "lifespan.shutdown.complete"}})
            async with engine.begin() as connection:
                await connection.execute(text("insert into t values (1)"))
                pid = (await connection.execute(text("select pg_backend_pid()"))).scalar()
            await send({{"type": "http.response.start", "status": 200, "headers": []}})
            await send({{"type": "http.response.body", "body": str(pid).encode()}})
        """,
        interpreter=interpreter, postgres=server.told,
    )  # fmt: skip
    host.server.send({"do": "fork", "id": 90, "settle": True})
    settled = host._accepted()
    assert settled.receive() == {"ready": {"fork": "safe"}}
    bodies = set()
    for number in (91, 92):
        settled.send({"do": "fork", "id": number})
        child = host._accepted()
        assert child.receive() == {"ready": {}}
        bodies.add(child.serve(("GET", "/"))[0]["body"])
    assert len(bodies) == 2
    assert all(body.isdigit() for body in bodies)
