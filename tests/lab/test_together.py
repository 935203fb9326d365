"""Claims about two requests in one process: the first stands still at its line or await, the second runs whole, and a lock makes it wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.model.journey import Call
from toughen.model.trial import Together, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint
    from toughen.model.trace import Trace

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

FLASK = """
from flask import Flask, jsonify
from threading import Lock
app = Flask(__name__)
held = {"stock": 10}
lock = Lock()

@app.get("/stock")
def stock():
    return jsonify(held)

@app.post("/buy")
def buy():
    left = held["stock"]
    held["stock"] = left - 1  # here
    return jsonify({"left": left - 1})
"""
THREADS = """
from fastapi import FastAPI
from threading import Lock
app = FastAPI()
held = {"stock": 10}
lock = Lock()

@app.get("/stock")
def stock():
    return held

@app.post("/buy")
def buy():
    left = held["stock"]
    held["stock"] = left - 1  # here
    return {"left": left - 1}
"""
AWAITS = """
import asyncio
from fastapi import FastAPI
app = FastAPI()
held = {"stock": 10}
lock = asyncio.Lock()

@app.get("/stock")
async def stock():
    return held

@app.post("/buy")
async def buy():
    left = held["stock"]
    await asyncio.sleep(0)
    held["stock"] = left - 1
    return {"left": left - 1}
"""
MIDDLEWARE = AWAITS.replace("lock = asyncio.Lock()", """lock = asyncio.Lock()

@app.middleware("http")
async def timed(request, call_next):
    return await call_next(request)
""")
BODY = {
    FLASK: ('    left = held["stock"]\n    held["stock"] = left - 1  # here', '    with lock:\n        left = held["stock"]\n        held["stock"] = left - 1  # here'),
    THREADS: ('    left = held["stock"]\n    held["stock"] = left - 1  # here', '    with lock:\n        left = held["stock"]\n        held["stock"] = left - 1  # here'),
    AWAITS: (
        '    left = held["stock"]\n    await asyncio.sleep(0)\n    held["stock"] = left - 1',
        '    async with lock:\n        left = held["stock"]\n        await asyncio.sleep(0)\n        held["stock"] = left - 1',
    ),
}
BUY, STOCK = Call("POST /buy"), Call("GET /stock")


def met(booted: Boot, source: str, awaits: int = 0) -> Trace:
    """Two that buy at once, and one that looks afterwards."""
    line = next((number for number, text in enumerate(source.strip("\n").splitlines(), 1) if "# here" in text), 0)
    with booted({"main.py": source}) as (lab, blueprint):
        return LabTarget(lab, blueprint, Wallet()).run(Trial((), together=Together(BUY, BUY, STOCK, "" if awaits else "main.py", line, awaits)))


@pytest.mark.parametrize(("source", "awaits"), [(FLASK, 0), (THREADS, 0), (AWAITS, 1), (MIDDLEWARE, 2)], ids=["flask", "threads", "awaits", "middleware"])
def test_the_second_runs_while_the_first_stands_still(booted: Boot, source: str, awaits: int) -> None:
    """Both read ten: both say that nine are left, and nine are."""
    trace = met(booted, source, awaits)
    assert trace.schedule[1:] == ("B runs to its end",)
    assert [each.response.json if each.response else None for each in trace.exchanges] == [{"left": 9}, {"left": 9}, {"stock": 9}]


@pytest.mark.parametrize(("source", "awaits"), [(FLASK, 0), (THREADS, 0), (AWAITS, 1)], ids=["flask", "threads", "awaits"])
def test_a_lock_makes_the_second_wait(booted: Boot, source: str, awaits: int) -> None:
    """Where a lock is held, the second waits for the first, and eight are left."""
    locked = source.replace(*BODY[source])
    assert locked != source
    trace = met(booted, locked, awaits)
    assert trace.schedule[1:] == ("B waits for A",)
    assert [each.response.json if each.response else None for each in trace.exchanges] == [{"left": 9}, {"left": 8}, {"stock": 8}]


def test_a_place_that_is_never_reached_is_told(booted: Boot) -> None:
    """The first runs to its end where it never comes to the place, and nobody says that it stood still."""
    trace = met(booted, AWAITS, 7)
    assert trace.schedule == ()
    assert trace.last.response is not None
    assert trace.last.response.json == {"stock": 8}
