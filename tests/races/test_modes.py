"""Journals, isolation levels and long transactions, as the prototype sets them: what they keep apart is not flagged, and what they do not is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.model.blueprint import Place
from toughen.model.finding import Proven, Suspected
from toughen.model.journey import Literal
from toughen.model.trial import Schedule, Trial

from .test_twins import said
from .twins import Stack, Twin

if TYPE_CHECKING:
    from .conftest import Opened

BARE = {"withdraw": "", "book": ""}
AT_ONCE = {"withdraw": "immediate", "book": "immediate"}
LATE = {"withdraw": "deferred", "book": "deferred"}
LOCKED = {"withdraw": "locked", "book": "parent"}
BOTH, NONE = frozenset({"withdraw", "book"}), frozenset[str]()


def sqlite3(opened: str = "", mapper: str = "", *, wal: bool = False, held: str = "", python: str = "") -> Stack:
    return Stack("", "fastapi", "sqlite3", mapper, wal=wal, opened=opened, held=held, python=python)


def aiosqlite(mapper: str = "", *, wal: bool = False) -> Stack:
    return Stack("", "fastapi", "aiosqlite", mapper, asynchronous=True, wal=wal)


def server(driver: str, opened: str = "", mapper: str = "", held: str = "") -> Stack:
    return Stack("", "fastapi", driver, mapper, asynchronous=driver == "asyncpg", opened=opened, held=held)


CASES = {
    # claim: (twin, handlers that are flagged, handlers that stumble: sound rows and an error that nobody handles)
    "WAL: readers do not wait, and a stale read is written": (Twin(sqlite3(wal=True), BARE), BOTH, NONE),
    "WAL: BEGIN IMMEDIATE": (Twin(sqlite3(wal=True), AT_ONCE), NONE, NONE),
    "WAL: a transaction that has read cannot write over what it did not see (SQLITE_BUSY_SNAPSHOT)": (Twin(sqlite3(wal=True), LATE), NONE, BOTH),
    "WAL, SQLAlchemy": (Twin(sqlite3(mapper="sqlalchemy", wal=True), BARE), BOTH, NONE),
    "WAL, SQLAlchemy, BEGIN": (Twin(sqlite3(mapper="sqlalchemy", wal=True), LATE), NONE, BOTH),
    "WAL, aiosqlite": (Twin(aiosqlite(wal=True), BARE), BOTH, NONE),
    "WAL, aiosqlite, BEGIN": (Twin(aiosqlite(wal=True), LATE), NONE, BOTH),
    "WAL, SQLAlchemy, aiosqlite": (Twin(aiosqlite("sqlalchemy", wal=True), BARE), BOTH, NONE),
    "journal: of two readers one may write": (Twin(sqlite3(), LATE), NONE, BOTH),
    "journal, SQLAlchemy: a COMMIT outlasts the reader who wants to write": (Twin(sqlite3(mapper="sqlalchemy"), LATE), NONE, BOTH),
    "isolation_level=None": (Twin(sqlite3("isolation_level=None"), BARE), BOTH, NONE),
    "isolation_level=None, BEGIN IMMEDIATE": (Twin(sqlite3("isolation_level=None"), AT_ONCE), NONE, NONE),
    "isolation_level=IMMEDIATE begins with the first write, which is behind the read": (Twin(sqlite3('isolation_level="IMMEDIATE"'), BARE), BOTH, NONE),
    "isolation_level=EXCLUSIVE begins there, too": (Twin(sqlite3('isolation_level="EXCLUSIVE"'), BARE), BOTH, NONE),
    "isolation_level=EXCLUSIVE, WAL": (Twin(sqlite3('isolation_level="EXCLUSIVE"', wal=True), BARE), BOTH, NONE),
    "isolation_level=EXCLUSIVE, BEGIN IMMEDIATE": (Twin(sqlite3('isolation_level="EXCLUSIVE"'), AT_ONCE), NONE, NONE),
    "autocommit=False begins at once, and of two readers one may write": (Twin(sqlite3("autocommit=False", python="3.12"), BARE), NONE, BOTH),
    "autocommit=False, one statement": (Twin(sqlite3("autocommit=False", python="3.12"), {"withdraw": "atomic", "book": "below"}), NONE, NONE),
    "autocommit=True": (Twin(sqlite3("autocommit=True", python="3.12"), BARE), BOTH, NONE),
    "SQLAlchemy: AUTOCOMMIT": (Twin(sqlite3('isolation_level="AUTOCOMMIT"', "sqlalchemy"), BARE), BOTH, NONE),
    "SQLAlchemy: AUTOCOMMIT, one statement": (Twin(sqlite3('isolation_level="AUTOCOMMIT"', "sqlalchemy"), {"withdraw": "atomic", "book": "below"}), NONE, NONE),
    "SQLAlchemy: SERIALIZABLE on sqlite3 begins nothing before a read": (Twin(sqlite3('isolation_level="SERIALIZABLE"', "sqlalchemy"), BARE), BOTH, NONE),
    "PostgreSQL, SQLAlchemy: SERIALIZABLE": (Twin(server("psycopg2", 'isolation_level="SERIALIZABLE"', "sqlalchemy"), BARE), NONE, BOTH),
    "PostgreSQL, SQLAlchemy: SERIALIZABLE, tried again": (Twin(server("asyncpg", 'isolation_level="SERIALIZABLE"', "sqlalchemy"), {"withdraw": "serializable", "book": "serializable"}), NONE, NONE),
    "PostgreSQL, SQLAlchemy: REPEATABLE READ keeps a row, and no count": (
        Twin(server("psycopg2", 'isolation_level="REPEATABLE READ"', "sqlalchemy"), BARE), frozenset({"book"}), frozenset({"withdraw"}),
    ),
    "PostgreSQL, SQLAlchemy: AUTOCOMMIT lets a lock go at once": (Twin(server("psycopg2", 'isolation_level="AUTOCOMMIT"', "sqlalchemy"), LOCKED), BOTH, NONE),
    "psycopg: REPEATABLE READ keeps a row, and no count": (
        Twin(server("psycopg", "isolation_level = psycopg.IsolationLevel.REPEATABLE_READ"), BARE), frozenset({"book"}), frozenset({"withdraw"}),
    ),
    "psycopg: SERIALIZABLE": (Twin(server("psycopg", "isolation_level = psycopg.IsolationLevel.SERIALIZABLE"), BARE), NONE, BOTH),
    "psycopg: autocommit lets a lock go at once": (Twin(server("psycopg", "autocommit = True"), LOCKED), BOTH, NONE),
    "psycopg2: SERIALIZABLE": (Twin(server("psycopg2", 'set_session(isolation_level="SERIALIZABLE")'), BARE), NONE, BOTH),
    "psycopg2: autocommit lets a lock go at once": (Twin(server("psycopg2", "set_session(autocommit=True)"), LOCKED), BOTH, NONE),
    "one connection for all, sqlite3": (Twin(sqlite3(held="kept"), BARE), BOTH, NONE),
    "one connection for all, sqlite3, BEGIN IMMEDIATE": (Twin(sqlite3(held="kept"), AT_ONCE), NONE, NONE),
    "one connection for all, psycopg": (Twin(server("psycopg", held="kept"), BARE), BOTH, NONE),
    "one connection for all, psycopg2, locked": (Twin(server("psycopg2", held="kept"), LOCKED), NONE, NONE),
    "one session for all, SQLAlchemy": (Twin(sqlite3(mapper="sqlalchemy", held="kept"), BARE), BOTH, NONE),
    "a pool, psycopg2": (Twin(server("psycopg2", held="pooled"), BARE), BOTH, NONE),
    "a pool, psycopg2, locked": (Twin(server("psycopg2", held="pooled"), LOCKED), NONE, NONE),
    "a pool, asyncpg": (Twin(server("asyncpg", held="pooled"), BARE), BOTH, NONE),
    "a pool, asyncpg, locked": (Twin(server("asyncpg", held="pooled"), LOCKED), NONE, NONE),
    "locks in the order of the request: a deadlock has a victim": (Twin(server("psycopg"), {"transfer": "locked", "refund": "locked"}), NONE, frozenset({"transfer", "refund"})),
    "locks in the order of the rows": (Twin(server("psycopg"), {"transfer": "ordered", "refund": "ordered"}), NONE, NONE),
    "one route, both ways, locks in the order of the request": (Twin(server("psycopg2"), {"transfer": "locked"}), NONE, frozenset({"transfer"})),
    "one route, both ways, locks in the order of the rows": (Twin(server("psycopg2"), {"transfer": "ordered"}), NONE, NONE),
    "one route, both ways, SQLAlchemy, locks in the order of the request": (Twin(server("psycopg2", mapper="sqlalchemy"), {"transfer": "locked"}), NONE, frozenset({"transfer"})),
    "one route, both ways, asyncpg, two statements that lock as they write": (Twin(server("asyncpg"), {"transfer": "atomic"}), NONE, frozenset({"transfer"})),
    "MySQL: one route, both ways, locks in the order of the request": (Twin(server("pymysql"), {"transfer": "locked"}), NONE, frozenset({"transfer"})),
    "MySQL: one route, both ways, locks in the order of the rows": (Twin(server("pymysql"), {"transfer": "ordered"}), NONE, NONE),
    "one session for all, SQLAlchemy, psycopg2": (Twin(server("psycopg2", mapper="sqlalchemy", held="kept"), BARE), BOTH, NONE),
    "MySQL: REPEATABLE READ keeps neither a row nor a count": (Twin(server("pymysql"), BARE), BOTH, NONE),
    "MySQL: a lock before the first plain read": (Twin(server("pymysql"), LOCKED), NONE, NONE),
    "MySQL: SERIALIZABLE has a victim": (Twin(server("pymysql", 'cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")'), BARE), NONE, BOTH),
    "MySQL: READ COMMITTED": (Twin(server("pymysql", 'cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")'), BARE), BOTH, NONE),
    "MySQL: autocommit lets a lock go at once": (Twin(server("pymysql", "autocommit(True)"), LOCKED), BOTH, NONE),
    "MySQL: locks in the order of the request: a deadlock has a victim": (Twin(server("pymysql"), {"transfer": "locked", "refund": "locked"}), NONE, frozenset({"transfer", "refund"})),
    "MySQL: one connection for all": (Twin(server("pymysql", held="kept"), BARE), BOTH, NONE),
    "MySQL: one connection for all, locked": (Twin(server("pymysql", held="kept"), LOCKED), NONE, NONE),
    "MySQL: somebody is asked while the row is locked": (Twin(server("pymysql"), {"withdraw": "locked"}, asks=True), NONE, NONE),
    "MySQL, SQLAlchemy: SERIALIZABLE": (Twin(server("pymysql", 'isolation_level="SERIALIZABLE"', "sqlalchemy"), BARE), NONE, BOTH),
    "somebody is asked in between": (Twin(sqlite3(), BARE, asks=True), BOTH, NONE),
    "somebody is asked under SQLite's write lock": (Twin(sqlite3(), AT_ONCE, asks=True), NONE, NONE),
    "somebody is asked under SQLite's write lock, WAL": (Twin(sqlite3(wal=True), AT_ONCE, asks=True), NONE, NONE),
    "somebody is asked under SQLite's write lock, SQLAlchemy, aiosqlite": (Twin(aiosqlite("sqlalchemy"), AT_ONCE, asks=True), NONE, NONE),
    "somebody is asked in between, psycopg": (Twin(server("psycopg"), {"withdraw": ""}, asks=True), frozenset({"withdraw"}), NONE),
    "somebody is asked while the row is locked, psycopg": (Twin(server("psycopg"), {"withdraw": "locked"}, asks=True), NONE, NONE),
    "somebody is asked in between, asyncpg": (Twin(server("asyncpg"), {"withdraw": ""}, asks=True), frozenset({"withdraw"}), NONE),
    "somebody is asked while the row is locked, asyncpg": (Twin(server("asyncpg"), {"withdraw": "locked"}, asks=True), NONE, NONE),
    "somebody is asked, and all is tried again": (Twin(server("psycopg2", mapper="sqlalchemy"), {"withdraw": "serializable"}, asks=True), NONE, NONE),
}
_FIRST = (
    "WAL: a transaction that has read cannot write over what it did not see (SQLITE_BUSY_SNAPSHOT)",
    "one route, both ways, locks in the order of the request", "one route, both ways, locks in the order of the rows",
)
"""The cases that every run of the tests races."""


class Failing(Twin):
    """A twin whose withdrawal ends in an error of its own, with its transaction open and its connection left to whoever cleans up."""

    @property
    def source(self) -> str:
        text = super().source.replace("finally:\n        conn.close()", "finally:\n        pass")
        return text.replace("        conn.commit()\n", '        if data["amount"] == 30:\n            raise ValueError("what now")\n        conn.commit()\n')


@pytest.mark.long
@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_whoever_failed_lets_go_of_his_locks(opened: Opened, driver: str) -> None:
    """A row that a failed request had locked is free as soon as it has answered, as behind a real server: nothing holds on to the frames of its error."""
    with opened(Failing(server(driver), {"withdraw": "locked"})) as make:
        target = make()
        call = target.learned["POST /withdraw"].call
        other = call.with_argument(Place.JSON, ("amount",), Literal(5))
        race = target.run(Trial((), schedule=Schedule(call, other, 1)))
        assert "B waits for a lock" in race.schedule
        assert [each.status for each in race.exchanges] == [500, 200], race.schedule
        assert [each.after["balance"] for each in race.changes] == [95]


@pytest.mark.parametrize("claim", [pytest.param(each, marks=[] if each in _FIRST else [pytest.mark.long]) for each in CASES])
def test_what_a_transaction_keeps_apart(opened: Opened, claim: str) -> None:
    """Flagged is the handler whose transaction, as the prototype set it, lets another change what it read; whoever is turned away by an error only stumbles."""
    twin, flagged, stumbling = CASES[claim]
    shown, stumbled = set(), set()
    with opened(twin) as make:
        target = make()
        for handler in twin.repairs:
            for rule in ("race/lost-update", "race/check-then-act"):
                outcomes = said(target, rule, handler)
                shown |= {handler for each in outcomes if isinstance(each, Proven)}
                stumbled |= {handler for each in outcomes if isinstance(each, Suspected)}
        if twin.asks:
            calls = target.honest("POST /withdraw")
            assert calls is not None
            assert [each.host for each in calls.last.outgoing] == ["scores.example.com"]
    assert (shown, stumbled) == (flagged, stumbling)
