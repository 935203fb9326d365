"""Owns how a stack (a framework and a driver) spells a handler: its imports, its tables, its statements and its refusals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import indent

TABLES = {
    "accounts": ("Account", {"balance": "int"}),
    "tickets": ("Ticket", {"remaining": "int"}),
    "sales": ("Sale", {"ticket": "int"}),
    "users": ("User", {"name": "str"}),
    "guests": ("Guest", {"name": "str"}),
    "bookings": ("Booking", {"guest": "int", "day": "str"}),
    "payments": ("Payment", {"amount": "int", "idempotency_key": "str"}),
}
"""Every table has an `id` before these columns."""
ROWS = ("INSERT INTO accounts (id, balance) VALUES (1, 100), (2, 100)", "INSERT INTO tickets (id, remaining) VALUES (1, 5)", "INSERT INTO guests (id, name) VALUES (1, 'ann')")
"""What is there at the start."""
_ADDRESS = "postgresql://shop:secret@db.example.com/shop"
_MYSQL = 'host="db.example.com", user="shop", password="secret", database="shop"'

_POOL = f"""@app.on_event("startup")
async def begin():
    app.state.pool = await asyncpg.create_pool("{_ADDRESS}", min_size=1, max_size=4)

async def connect():
    return await app.state.pool.acquire()

"""


@dataclass(frozen=True)
class Stack:
    """A framework and a driver, with or without a mapper between them."""

    name: str
    framework: str
    """fastapi or flask."""
    driver: str
    mapper: str = ""
    """sqlalchemy, sqlmodel, flask-sqlalchemy, or "" where the handler speaks SQL."""
    asynchronous: bool = False
    wal: bool = False
    opened: str = ""
    """Further arguments of the connection or the engine (`isolation_level=None`)."""
    held: str = ""
    """How a connection comes to a handler: "" is a new one each time, kept is one for the whole process, pooled is one out of a pool."""
    python: str = ""
    """The Python that it needs, "" for any."""

    @property
    def postgres(self) -> bool:
        """Whether its database is a server."""
        return "sqlite" not in self.driver

    @property
    def mysql(self) -> bool:
        """Whether it is MySQL."""
        return self.driver in {"pymysql", "MySQLdb", "mysql.connector", "aiomysql"}

    @property
    def server(self) -> str:
        """The kind of server that it speaks to, "" for none."""
        return "mysql" if self.mysql else "postgresql" if self.postgres else ""

    @property
    def cursored(self) -> bool:
        """Whether a statement needs a cursor that was asked for first."""
        return self.driver in {"psycopg2", "pymysql", "MySQLdb", "mysql.connector"}

    @property
    def wait(self) -> str:
        """What stands in front of a call that is waited for."""
        return "await " if self.asynchronous else ""

    @property
    def clash(self) -> str:
        """What a unique key's violation raises."""
        if self.mapper:
            return "IntegrityError"
        return {
            "sqlite3": "sqlite3.IntegrityError", "aiosqlite": "aiosqlite.IntegrityError", "psycopg2": "psycopg2.errors.UniqueViolation",
            "psycopg": "psycopg.errors.UniqueViolation", "asyncpg": "asyncpg.UniqueViolationError",
            "pymysql": "pymysql.err.IntegrityError", "MySQLdb": "MySQLdb.IntegrityError", "mysql.connector": "mysql.connector.errors.IntegrityError",
        }[self.driver]  # fmt: skip

    @property
    def contention(self) -> str:
        """What a transaction raises that lost against another one and may be tried again."""
        if self.mapper:
            return "DBAPIError"
        if self.mysql:
            return {"pymysql": "pymysql.err.OperationalError", "MySQLdb": "MySQLdb.OperationalError", "mysql.connector": "mysql.connector.errors.DatabaseError"}[self.driver]
        return {"psycopg2": "psycopg2.errors.SerializationFailure", "psycopg": "psycopg.errors.SerializationFailure", "asyncpg": "asyncpg.SerializationError"}[self.driver]

    # What a handler is made of.

    def refuse(self, status: int) -> str:
        """End with a refusal."""
        return f'raise HTTPException({status}, "Refused")' if self.framework == "fastapi" else f'return {{"error": "Refused"}}, {status}'

    def begin(self, how: str) -> str:
        """Begin a transaction other than the driver would."""
        if how in {"immediate", "deferred"}:
            sql = "BEGIN IMMEDIATE" if how == "immediate" else "BEGIN"
            return f'{self.wait}session.execute(text("{sql}"))' if self.mapper else f'{self.wait}conn.execute("{sql}")'
        level = 'isolation="serializable"' if how == "serializable" else ""
        if self.driver == "asyncpg" and not self.mapper:
            return f"transaction = conn.transaction({level})\nawait transaction.start()" if how else ""
        if how != "serializable":
            return ""
        if self.mapper:
            return f'{self.wait}session.connection(execution_options={{"isolation_level": "SERIALIZABLE"}})'
        if self.mysql:
            return 'cur = conn.cursor()\ncur.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")'
        return {
            "psycopg2": 'conn.set_session(isolation_level="SERIALIZABLE")\ncur = conn.cursor()',
            "psycopg": "await conn.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)" if self.asynchronous else "conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE",
        }[self.driver]

    def commit(self, how: str = "") -> str:
        """End the transaction."""
        if self.driver == "asyncpg" and not self.mapper:
            return "await transaction.commit()" if how else ""
        return f"{self.wait}{'session' if self.mapper else 'conn'}.commit()"

    def rollback(self) -> str:
        """Give the transaction up."""
        if self.driver == "asyncpg" and not self.mapper:
            return "pass"
        return f"{self.wait}{'session' if self.mapper else 'conn'}.rollback()"

    def read(self, name: str, table: str, column: str, value: str, *, lock: bool = False) -> str:
        """Read the row whose `column` is `value`."""
        kind, columns = TABLES[table]
        if self.mapper:
            locked = ".with_for_update()" if lock else ""
            found = f"session.scalars(select({kind}).where({kind}.{column} == {value}){locked})"
            return f"{name} = ({self.wait}{found}).first()" if self.asynchronous else f"{name} = {found}.first()"
        locked = " FOR UPDATE" if lock else ""
        return self._one(name, f"SELECT id, {', '.join(columns)} FROM {table} WHERE {column} = ?{locked}", value)

    def column(self, name: str, table: str, column: str) -> str:
        """A column of a row that was read."""
        return f"{name}.{column}" if self.mapper else f"{name}[{['id', *TABLES[table][1]].index(column)}]"

    def write(self, name: str, table: str, column: str, value: str) -> str:
        """Write a number that was computed before into the row."""
        if self.mapper:
            return f"{name}.{column} = {value}"
        return self._run(f"UPDATE {table} SET {column} = ? WHERE id = ?", value, self.column(name, table, "id"))

    def take(self, name: str, table: str, column: str, amount: str, key: str, *, bounded: bool) -> str:
        """Have the database take a number from the row; `name` is how many rows it hit."""
        kind = TABLES[table][0]
        if self.mapper:
            bound = f", {kind}.{column} >= {amount}" if bounded else ""
            return f"{name} = ({self.wait}session.execute(update({kind}).where({kind}.id == {key}{bound}).values({column}={kind}.{column} - {amount}))).rowcount"
        bound = f" AND {column} >= ?" if bounded else ""
        return self._count(name, f"UPDATE {table} SET {column} = {column} - ? WHERE id = ?{bound}", amount, key, *([amount] if bounded else []))

    def swap(self, name: str, table: str, column: str, old: str, new: str, key: str) -> str:
        """Write a number only where the old one still stands; `name` is how many rows it hit."""
        kind = TABLES[table][0]
        if self.mapper:
            return f"{name} = ({self.wait}session.execute(update({kind}).where({kind}.id == {key}, {kind}.{column} == {old}).values({column}={new}))).rowcount"
        return self._count(name, f"UPDATE {table} SET {column} = ? WHERE id = ? AND {column} = ?", new, key, old)

    def add(self, table: str, /, **values: str) -> str:
        """Add a row."""
        if self.mapper:
            flush = f"\n{self.wait}session.flush()"
            return f"session.add({TABLES[table][0]}({', '.join(f'{name}={value}' for name, value in values.items())})){flush}"
        return self._run(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values())

    def add_unless_there(self, made: str, table: str, /, **values: str) -> str:
        """Add a row where its unique key is free; `made` is how many were added."""
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({', '.join(f':{each}' for each in values) if self.mapper else ', '.join('?' * len(values))}) ON CONFLICT DO NOTHING"
        if self.mysql:
            sql = sql.replace("INSERT", "INSERT IGNORE").replace(" ON CONFLICT DO NOTHING", "")
        if self.mapper:
            given = ", ".join(f'"{each}": {value}' for each, value in values.items())
            return f'{made} = ({self.wait}session.execute(text("{sql}"), {{{given}}})).rowcount'
        return self._count(made, sql, *values.values())

    def add_below(self, name: str, most: int) -> str:
        """Add a booking where the guest has fewer than `most`, in one statement; `name` is how many were added."""
        sql = f"INSERT INTO bookings (guest, day) SELECT ?, ? WHERE (SELECT COUNT(*) FROM bookings WHERE guest = ?) < {most}"
        if self.mapper:
            sql = sql.replace("?", ":guest", 1).replace("?", ":day", 1).replace("?", ":guest")
            return f'{name} = ({self.wait}session.execute(text("{sql}"), {{"guest": data["guest"], "day": data["day"]}})).rowcount'
        return self._count(name, sql, 'data["guest"]', 'data["day"]', 'data["guest"]')

    def count(self, name: str, table: str, column: str, value: str) -> str:
        """How many rows have that value."""
        kind = TABLES[table][0]
        if self.mapper:
            return f"{name} = {self.wait}session.scalar(select(func.count()).select_from({kind}).where({kind}.{column} == {value}))"
        return self._one(name, f"SELECT COUNT(*) FROM {table} WHERE {column} = ?", value) + f"\n{name} = {name}[0]"

    def call_outside(self) -> str:
        """Ask somebody outside for a fraud score."""
        return 'urllib.request.urlopen("http://scores.example.com/v1/fraud/score", timeout=5).read()'

    def _sql(self, sql: str, values: tuple[str, ...]) -> str:
        """A statement in the driver's own way, with its values."""
        if self.driver == "asyncpg":
            numbers = iter(range(1, 9))
            return ", ".join([f'"{re.sub("[?]", lambda _: f"${next(numbers)}", sql)}"', *values])
        if self.postgres:
            sql = sql.replace("?", "%s")
        return f'"{sql}", ({", ".join(values)},)' if values else f'"{sql}"'

    def _one(self, name: str, sql: str, *values: str) -> str:
        told = self._sql(sql, values)
        if self.driver == "asyncpg":
            return f"{name} = await conn.fetchrow({told})"
        if self.cursored:
            return f"cur.execute({told})\n{name} = cur.fetchone()"
        return f"{name} = await (await conn.execute({told})).fetchone()" if self.asynchronous else f"{name} = conn.execute({told}).fetchone()"

    def _run(self, sql: str, *values: str) -> str:
        told = self._sql(sql, values)
        return f"cur.execute({told})" if self.cursored else f"{self.wait}conn.execute({told})"

    def _count(self, name: str, sql: str, *values: str) -> str:
        told = self._sql(sql, values)
        if self.driver == "asyncpg":
            return f"{name} = int((await conn.execute({told})).split()[-1])"
        if self.cursored:
            return f"cur.execute({told})\n{name} = cur.rowcount"
        return f"{name} = (await conn.execute({told})).rowcount" if self.asynchronous else f"{name} = conn.execute({told}).rowcount"

    # What a prototype is made of.

    def handler(self, name: str, body: str, how: str = "") -> str:
        """A POST that runs the body with a connection or a session of its own; a transaction that may lose is tried again."""
        again = how == "serializable"
        wait = "async " if self.asynchronous else ""
        body = "\n".join(filter(None, (self.begin(how), body)))
        if self.mapper == "flask-sqlalchemy":
            inner = f"session = db.session\n{body}"
        elif self.mapper:
            inner = body if self.held else f"{wait}with Sessions() as session:\n{indent(body, '    ')}"
        else:
            cursor = "cur = conn.cursor()\n" if self.cursored and not again else ""
            inner = f"conn = {self.wait}connect()\ntry:\n{indent(cursor + body, '    ')}\nfinally:\n    {self._release()}"
        if again:
            lost = f"{self.rollback()}\n        continue" if self.mapper == "flask-sqlalchemy" else "continue"
            inner = f"for attempt in range(3):\n    try:\n{indent(inner, '        ')}\n    except {self.contention}:\n        {lost}\n{self.refuse(503)}"
        if self.framework == "flask":
            return f'@app.post("/{name}")\ndef {name}():\n    data = request.get_json()\n{indent(inner, "    ")}\n'
        return f'@app.post("/{name}")\n{wait}def {name}(data: dict):\n{indent(inner, "    ")}\n'

    def reading(self, tables: tuple[str, ...]) -> str:
        """A GET that shows every table."""
        body = "\n".join(self.count(f"seen_{each}", each, "id", "1") for each in tables)
        shown = ", ".join(f'"{each}": seen_{each}' for each in tables)
        made = self.handler("all", f"{body}\nreturn {{{shown}}}")
        return made.replace("app.post", "app.get").replace("data: dict", "").replace("    data = request.get_json()\n", "")

    def head(self, uniques: tuple[tuple[str, str], ...]) -> str:
        """Imports, the database, the tables; every (table, column) of `uniques` has a unique key."""
        return "\n".join(["import urllib.request", self._framework(), self._mapped(uniques) if self.mapper else self._plain(uniques), ""])

    def _framework(self) -> str:
        name = "from fastapi import FastAPI, HTTPException" if self.framework == "fastapi" else "from flask import Flask, request"
        return f"{name}\n\napp = {'FastAPI()' if self.framework == 'fastapi' else 'Flask(__name__)'}\n"

    def schema(self, uniques: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
        """The statements that make the tables."""
        key = "INTEGER PRIMARY KEY AUTO_INCREMENT" if self.mysql else "SERIAL PRIMARY KEY" if self.postgres else "INTEGER PRIMARY KEY"
        sql = {"int": "INTEGER", "str": "VARCHAR(100)" if self.mysql else "TEXT"}
        made = []
        for table, (_, columns) in TABLES.items():
            listed = ", ".join(f"{name} {sql[kind]}{' UNIQUE' if (table, name) in uniques else ''}" for name, kind in columns.items())
            made.append(f"CREATE TABLE {table} (id {key}, {listed})")
        return (*made, *ROWS)

    def _release(self) -> str:
        """How a handler lets go of its connection."""
        if self.held == "pooled":
            return "await app.state.pool.release(conn)" if self.driver == "asyncpg" else "POOL.putconn(conn)"
        return self.wait + ("conn.rollback()" if self.held == "kept" else "conn.close()")

    def _connect(self, opened: str) -> str:
        """The function that a handler gets its connection from; `opened` makes one."""
        if self.held == "kept":
            return f"CONN = {opened}\n\ndef connect():\n    return CONN\n"
        if self.held == "pooled":
            return f'import psycopg2.pool\n\nPOOL = psycopg2.pool.ThreadedConnectionPool(1, 5, "{_ADDRESS}")\n\ndef connect():\n    return POOL.getconn()\n'
        wait = "async " if self.asynchronous and self.postgres else ""
        set_up = f"    conn.{self.opened}\n" if self.opened and self.postgres else ""
        return f"{wait}def connect():\n    conn = {opened}\n{set_up}    return conn\n"

    def _plain(self, uniques: tuple[tuple[str, str], ...]) -> str:
        statements = self.schema(uniques)
        if not self.postgres:
            wal = '    start.execute("PRAGMA journal_mode=WAL")\n' if self.wal else ""
            more = (f", {self.opened}" if self.opened else "") + (", check_same_thread=False" if self.held == "kept" else "")
            aio = ("import aiosqlite\n\n" if self.asynchronous else "") + self._connect(f'{self.driver}.connect("shop.db"{more})')
            script = ";\n".join(statements)
            start = f'import sqlite3\n\nstart = sqlite3.connect("shop.db")\nif not start.execute("SELECT name FROM sqlite_master").fetchone():\n{wal}    start.executescript("""{script}""")\nstart.close()\n'
            return start + aio
        listed = ",\n    ".join(f'"{each}"' for each in statements)
        there = "SELECT 1 FROM pg_tables WHERE tablename = 'payments'"
        if self.mysql:
            there = "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'payments'"
        if self.driver == "asyncpg":
            return (
                f'import asyncio\nimport asyncpg\n\nasync def {"direct" if self.held else "connect"}():\n    return await asyncpg.connect("{_ADDRESS}")\n\n{_POOL if self.held else ""}'
                f'TABLES = [\n    {listed},\n]\n\nasync def prepare():\n    conn = await {"direct" if self.held else "connect"}()\n    if not await conn.fetchrow("{there}"):\n'
                "        for each in TABLES:\n            await conn.execute(each)\n    await conn.close()\n\nasyncio.run(prepare())\n"
            )
        address = _MYSQL if self.mysql else f'"{_ADDRESS}"'
        sync = f'start = {self.driver}.connect({address})\ncur = start.cursor()\ncur.execute("{there}")\nif not cur.fetchone():\n    for each in TABLES:\n        cur.execute(each)\nstart.commit()\nstart.close()\n'
        opened = "await psycopg.AsyncConnection.connect" if self.asynchronous else f"{self.driver}.connect"
        extra = "import psycopg2.errors\n" if self.driver == "psycopg2" else ""
        return f"import {self.driver}\n{extra}\nTABLES = [\n    {listed},\n]\n{sync}\n" + self._connect(f"{opened}({address})")

    def _mapped(self, uniques: tuple[tuple[str, str], ...]) -> str:
        if self.postgres:
            dialect = {"MySQLdb": "mysqldb", "mysql.connector": "mysqlconnector"}.get(self.driver, self.driver)
            address = _ADDRESS.replace("postgresql:", f"{self.server}+{dialect}:")
        else:
            address = "sqlite+aiosqlite:///./shop.db" if self.asynchronous else "sqlite:///./shop.db"
        more = f", {self.opened}" if self.opened else ""
        imports = "from sqlalchemy import Column, Integer, String, event, func, select, text, update\nfrom sqlalchemy.exc import DBAPIError, IntegrityError\n"
        rows = "".join(f'        session.execute(text("{each}"))\n' for each in ROWS)
        made = f"Base.metadata.create_all(ENGINE)\nwith MAKE as session:\n    if session.scalar(select(func.count()).select_from(Account)) == 0:\n{rows}        session.commit()\n"
        wal = '@event.listens_for(ENGINE, "connect")\ndef journal(connection, record):\n    connection.execute("PRAGMA journal_mode=WAL")\n\n' if self.wal else ""
        if self.mapper == "flask-sqlalchemy":
            options = f'app.config["SQLALCHEMY_ENGINE_OPTIONS"] = dict({self.opened})\n' if self.opened else ""
            text = (
                f'{imports}from flask_sqlalchemy import SQLAlchemy\n\napp.config["SQLALCHEMY_DATABASE_URI"] = "{"sqlite:///shop.db" if not self.postgres else address}"\n{options}db = SQLAlchemy(app)\n\n'
                f"{self._classes('db.Model', uniques)}\nwith app.app_context():\n"
            )
            inside = made.replace("Base.metadata.create_all(ENGINE)", "db.create_all()").replace("with MAKE as session:\n", "session = db.session\nif True:\n")
            return text + indent(inside, "    ")
        if self.mapper == "sqlmodel":
            imports += "from sqlmodel import Field, Session, SQLModel, create_engine\nfrom sqlmodel import select\nfrom sqlalchemy import select\n".replace("from sqlmodel import select\n", "")
            engine = f'engine = create_engine("{address}"{more})\n\ndef Sessions():\n    return Session(engine)\n\n'
            return imports + engine + wal.replace("ENGINE", "engine") + self._classes("SQLModel", uniques) + "\n" + made.replace("Base.", "SQLModel.").replace("ENGINE", "engine").replace("MAKE", "Sessions()")
        if self.asynchronous:
            imports += "from sqlalchemy.orm import Session, declarative_base\nfrom sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine\nimport asyncio\n"
            engine = f'engine = create_async_engine("{address}"{more})\nSessions = async_sessionmaker(engine, expire_on_commit=False)\nBase = declarative_base()\n'
            start = (
                "async def prepare():\n    async with engine.begin() as connection:\n        await connection.run_sync(Base.metadata.create_all)\n"
                f"    async with Sessions() as session:\n        if await session.scalar(select(func.count()).select_from(Account)) == 0:\n{indent(rows.replace('session.execute', 'await session.execute'), '    ')}"
                "            await session.commit()\n    await engine.dispose()\n\nasyncio.run(prepare())\n"
            )
            return imports + "\n" + engine + wal.replace("ENGINE", "engine.sync_engine").replace('connection.execute("PRAGMA journal_mode=WAL")', 'connection.cursor().execute("PRAGMA journal_mode=WAL")') + self._classes("Base", uniques) + "\n" + start
        imports += "from sqlalchemy import create_engine\nfrom sqlalchemy.orm import declarative_base, sessionmaker\n"
        kept = "session = Sessions()\n" if self.held else ""
        engine = f'engine = create_engine("{address}"{more})\nSessions = sessionmaker(bind=engine)\n{kept}Base = declarative_base()\n\n'
        return imports + "\n" + engine + wal.replace("ENGINE", "engine") + self._classes("Base", uniques) + "\n" + made.replace("ENGINE", "engine").replace("MAKE", "Sessions()")

    def _classes(self, base: str, uniques: tuple[tuple[str, str], ...]) -> str:
        if self.mapper == "sqlmodel":
            made = ""
            for table, (kind, columns) in TABLES.items():
                made += f'class {kind}(SQLModel, table=True):\n    __tablename__ = "{table}"\n    id: int | None = Field(default=None, primary_key=True)\n'
                made += "".join(f"    {name}: {word}{' = Field(unique=True)' if (table, name) in uniques else ''}\n" for name, word in columns.items()) + "\n"
            return made
        words = {"int": "Integer", "str": "String(100)" if self.mysql else "String"}
        made = ""
        for table, (kind, columns) in TABLES.items():
            made += f'class {kind}({base}):\n    __tablename__ = "{table}"\n    id = Column(Integer, primary_key=True)\n'
            made += "".join(f"    {name} = Column({words[word]}{', unique=True' if (table, name) in uniques else ''})\n" for name, word in columns.items()) + "\n"
        return made


STACKS = (
    Stack("fastapi, sqlite3", "fastapi", "sqlite3"),
    Stack("fastapi, sqlalchemy, sqlite3", "fastapi", "sqlite3", "sqlalchemy"),
    Stack("fastapi, sqlmodel, sqlite3", "fastapi", "sqlite3", "sqlmodel"),
    Stack("fastapi, aiosqlite", "fastapi", "aiosqlite", asynchronous=True),
    Stack("fastapi, sqlalchemy, aiosqlite", "fastapi", "aiosqlite", "sqlalchemy", asynchronous=True),
    Stack("flask, sqlite3", "flask", "sqlite3"),
    Stack("flask, flask-sqlalchemy, sqlite3", "flask", "sqlite3", "flask-sqlalchemy"),
    Stack("fastapi, psycopg2", "fastapi", "psycopg2"),
    Stack("fastapi, sqlalchemy, psycopg2", "fastapi", "psycopg2", "sqlalchemy"),
    Stack("fastapi, psycopg", "fastapi", "psycopg"),
    Stack("fastapi, psycopg async", "fastapi", "psycopg", asynchronous=True),
    Stack("fastapi, asyncpg", "fastapi", "asyncpg", asynchronous=True),
    Stack("fastapi, sqlalchemy, asyncpg", "fastapi", "asyncpg", "sqlalchemy", asynchronous=True),
    Stack("flask, psycopg2", "flask", "psycopg2"),
    Stack("flask, pymysql", "flask", "pymysql"),
    Stack("fastapi, MySQLdb", "fastapi", "MySQLdb"),
    Stack("fastapi, sqlalchemy, pymysql", "fastapi", "pymysql", "sqlalchemy"),
    Stack("flask, mysql.connector", "flask", "mysql.connector"),
    Stack("fastapi, sqlalchemy, aiomysql", "fastapi", "aiomysql", "sqlalchemy", asynchronous=True),
)
