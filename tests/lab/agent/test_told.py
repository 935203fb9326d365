"""Owns the claims about what the agent hears of what a process writes out, and about errors and lost databases that it brings about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

FASTAPI = """
    import logging, os, sqlite3, sys
    from functools import wraps
    from fastapi import FastAPI
    kept = open("app.log", "a")
    app = FastAPI()
    with sqlite3.connect("app.db") as start:
        start.execute("CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY)")
    quick = sqlite3.connect(":memory:", check_same_thread=False)
    prefix = "closed over"

    def outer():
        factor = 2
        @app.get("/held")
        def held(number: int = 1):
            return [factor * number, prefix]
    outer()

    @app.get("/say")
    def say():
        print("to the screen")
        os.system("echo by a command >&2")
        logging.getLogger("shop").info("quietly")
        logging.getLogger("shop").error("loudly %s", 7)
        kept.write("to a file\\n"); kept.flush()
        return 1
    @app.get("/things")
    async def things():
        return [each for each in sqlite3.connect("app.db").execute("SELECT * FROM things")]
    @app.get("/quick")
    async def quick_one():
        return list(quick.execute("SELECT 1"))
"""
FLASK = """
    import functools
    from flask import Flask, jsonify
    app = Flask(__name__)

    def guarded(view):
        @functools.wraps(view)
        def inner(**keywords):
            try:
                return view(**keywords)
            except Exception:
                return jsonify(error="guarded"), 500
        return inner

    @app.get("/bare/<int:number>")
    def bare(number):
        return jsonify(number)
    @app.get("/guarded")
    @guarded
    def behind():
        return jsonify(1)
"""


@pytest.fixture(scope="module")
def fastapi(boot: Callable[..., Any]) -> Any:
    """An app that writes to every place."""
    return boot(FASTAPI)


@pytest.fixture(scope="module")
def flask(boot: Callable[..., Any]) -> Any:
    """An app with a decorator that catches."""
    return boot(FLASK)


def test_all_that_is_written_is_told(fastapi: Any) -> None:
    """Standard output, a command's error output, log records with their level, and an open log file's new text are told, once asked for."""
    child = fastapi.child()
    first, second, third = child.serve(("GET", "/say"), told=True)[0], child.serve(("GET", "/say"))[0], child.serve(("GET", "/say"), told=True)[0]
    assert "told" not in second
    for each in (first["told"], third["told"]):
        assert "to the screen" in each["written"]
        assert "by a command" in each["written"]
        assert [text for path, text in each["files"] if path.endswith("app.log")] == ["to a file\n"]
        loud = next(one for one in each["records"] if one["level"] == 40)
        assert (loud["logger"], loud["message"], loud["own"]) == ("shop", "loudly 7", True)
        assert each["raised"] is False


def test_a_handler_raises_whatever_it_closes_over(fastapi: Any) -> None:
    """A fault makes the handler raise at its call, coroutine or not; that it came out of the app is told."""
    for path, name in (("/held", "held"), ("/things", "things")):
        told = fastapi.child().serve(("GET", path), fault={"kind": "raise"}, told=True)[0]
        assert (told["status"], told["failure"]["type"], told["failure"]["place"][2].rpartition(".")[2]) == (500, "RuntimeError", name)
        assert told["told"]["raised"] is True


def test_flask_writes_the_traceback_itself(flask: Any) -> None:
    """What Flask logs of an unhandled error is heard; what a decorator catches is not."""
    bare = flask.child().serve(("GET", "/bare/3"), fault={"kind": "raise"}, told=True)[0]
    assert bare["status"] == 500
    assert "RuntimeError: an error that nobody expected" in bare["told"]["written"]
    caught = flask.child().serve(("GET", "/guarded"), fault={"kind": "raise"}, told=True)[0]
    assert (caught["status"], b"guarded" in caught["body"], caught["told"]["written"], caught["told"]["records"]) == (500, True, "", [])


def test_a_database_that_is_gone(fastapi: Any) -> None:
    """Connecting and asking fail for a file, not in memory, and work again for the next request."""
    child = fastapi.child()
    assert child.serve(("GET", "/things"), fault={"kind": "down"})[0]["failure"]["message"] == "unable to open database file"
    assert child.serve(("GET", "/quick"), fault={"kind": "down"})[0]["status"] == 200
    assert child.serve(("GET", "/things"))[0]["status"] == 200
