"""Faults of a PostgreSQL server around one request, as each driver meets them."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.environment import Environment, Needs, build
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.journey import Call
from toughen.model.trial import Fault, Trial
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.model.trace import Exchange

SYNC = """
    import {driver}
    from flask import Flask, jsonify

    app = Flask(__name__)


    def link():
        return {driver}.connect("postgresql://shop:secret@db.example.com/shop")


    with link() as start, start.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS items (id INT PRIMARY KEY, stock INT)")
        cursor.execute("INSERT INTO items VALUES (1, 5) ON CONFLICT DO NOTHING")
    start.close()


    @app.post("/buy")
    def buy():
        for attempt in range(2):
            conn = link()
            try:
                with conn, conn.cursor() as cursor:
                    cursor.execute("SELECT stock FROM items WHERE id = 1")
                    cursor.execute("UPDATE items SET stock = stock - 1 WHERE id = 1")
                return jsonify(attempts=attempt + 1)
            except {again} as error:
                if attempt:
                    raise
            finally:
                conn.close()
    """
ASYNC = """
    import asyncpg
    from fastapi import FastAPI

    app = FastAPI()


    @app.post("/buy")
    async def buy():
        for attempt in range(2):
            conn = await asyncpg.connect("postgresql://shop:secret@db.example.com/shop")
            try:
                async with conn.transaction():
                    await conn.execute("CREATE TABLE IF NOT EXISTS items (id INT PRIMARY KEY, stock INT)")
                    await conn.execute("UPDATE items SET stock = stock - $1 WHERE id = 1", 1)
                return {"attempts": attempt + 1}
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                if attempt:
                    raise
            finally:
                await conn.close()
    """
APPS = {
    "psycopg2": SYNC.format(driver="psycopg2", again="(psycopg2.errors.SerializationFailure, psycopg2.errors.DeadlockDetected)"),
    "psycopg": SYNC.format(driver="psycopg", again="(psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected)"),
    "asyncpg": ASYNC,
}
NAMES = {  # Of a connection that is gone psycopg2 rolls back at the end of `with`, and that is what fails last.
    "serialization": {"psycopg2": "psycopg2.errors.SerializationFailure", "psycopg": "psycopg.errors.SerializationFailure", "asyncpg": "asyncpg.exceptions.SerializationError"},
    "deadlock": {"psycopg2": "psycopg2.errors.DeadlockDetected", "psycopg": "psycopg.errors.DeadlockDetected", "asyncpg": "asyncpg.exceptions.DeadlockDetectedError"},
    "full": {"psycopg2": "psycopg2.errors.DiskFull", "psycopg": "psycopg.errors.DiskFull", "asyncpg": "asyncpg.exceptions.DiskFullError"},
    "lost": {"psycopg2": "psycopg2.InterfaceError", "psycopg": "psycopg.errors.AdminShutdown", "asyncpg": "asyncpg.exceptions.ConnectionDoesNotExistError"},
}


@pytest.fixture(scope="module")
def environment() -> Environment:
    """An environment with all three drivers."""
    return build(Needs("the tests", requirements=("asyncpg", "fastapi", "flask", "psycopg2-binary", "psycopg[binary]")))


@pytest.fixture(params=sorted(APPS))
def target(request: pytest.FixtureRequest, environment: Environment, tmp_path: Path) -> Iterator[tuple[str, LabTarget]]:
    """A shop on a server of the lab's own, by each driver."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "main.py").write_text(dedent(APPS[request.param]).lstrip("\n"))
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    with open_lab(root, blueprint.entry, environment, {}, server="postgresql") as lab:
        lab.world.discover()
        lab.world.take()
        yield request.param, LabTarget(lab, join(blueprint, lab.facts, sources), Wallet())


def served(target: LabTarget, kind: str = "", at: int = 1, times: int = 0) -> Exchange:
    """One purchase while that goes wrong."""
    return target.anew(Trial((Call("POST /buy"),), fault=Fault(kind, at, times) if kind else None)).last


def test_what_the_server_says_is_what_the_driver_raises(target: tuple[str, LabTarget]) -> None:
    """Each driver raises its own error of that kind; once the fault is over, an attempt that the prototype makes again succeeds."""
    driver, shop = target
    assert served(shop).status == 200
    for kind, names in NAMES.items():
        exchange = served(shop, kind, at=2 if driver == "asyncpg" else 1)
        assert exchange.failure is not None, kind
        assert exchange.failure.type == names[driver], kind
    again = served(shop, "serialization", times=1)
    assert again.response is not None
    assert again.response.json == {"attempts": 2}


def test_a_server_that_is_gone(target: tuple[str, LabTarget]) -> None:
    """From the statement that is named on, what is connected breaks off and nobody answers; a request after it finds the server as it was."""
    driver, shop = target
    refused = {"psycopg2": "psycopg2.OperationalError", "psycopg": "psycopg.OperationalError", "asyncpg": "ConnectionRefusedError"}
    at_once, later = served(shop, "down", at=0), served(shop, "down", at=1)
    assert at_once.failure is not None
    assert (at_once.failure.type, at_once.statements) == (refused[driver], ())
    assert later.failure is not None
    assert len(later.statements) > 1
    assert later.statements[0].error is None
    assert served(shop).status == 200
