"""What goes on behind an answer: it is told apart, given time, lost with its process; and who knows what another process was told."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.model.journey import Call
from toughen.model.trial import ANSWERED, Kill, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

TABLE = """
    import sqlite3


    def link():
        return sqlite3.connect("shop.db", timeout=30)


    with link() as start:
        start.execute("CREATE TABLE IF NOT EXISTS done (id INTEGER PRIMARY KEY, what TEXT)")


    def note(what, seconds=0):
        if seconds:
            time.sleep(seconds)
        with link() as db:
            db.execute("INSERT INTO done (what) VALUES (?)", (what,))
"""
LOOP = "import asyncio\nimport time\nfrom concurrent.futures import ThreadPoolExecutor\nfrom fastapi import BackgroundTasks, FastAPI\napp = FastAPI()\npool = ThreadPoolExecutor(1)\nseen = []\n" + TABLE.replace("\n    ", "\n") + """

async def later(what):
    await asyncio.sleep(30)
    note(what)

@app.post("/task")
def task(tasks: BackgroundTasks):
    note("before")
    tasks.add_task(note, "after", 20)
    return {"ok": True}

@app.post("/loop")
async def loop():
    note("before")
    app.kept = asyncio.create_task(later("after"))
    return {"ok": True}

@app.post("/pool")
async def pooled():
    note("before")
    pool.submit(note, "after", 1)
    return {"ok": True}

@app.post("/seen")
def see():
    seen.append(1)
    return {"seen": len(seen)}

@app.post("/slow")
def slow():
    time.sleep(0.3)
    return {"ok": True}
"""
THREADS = "import threading\nimport time\nfrom flask import Flask, jsonify\napp = Flask(__name__)\n" + TABLE.replace("\n    ", "\n") + """

@app.post("/thread")
def thread():
    note("before")
    threading.Thread(target=note, args=("after", 20)).start()
    return jsonify(ok=True)

@app.post("/joined")
def joined():
    worker = threading.Thread(target=note, args=("after",))
    worker.start()
    worker.join()
    return jsonify(ok=True)
"""


@pytest.fixture
def loop(booted: Boot) -> Iterator[LabTarget]:
    """A FastAPI prototype that leaves work behind."""
    with booted({"main.py": LOOP}) as (lab, blueprint):
        lab.world.take()
        yield LabTarget(lab, blueprint, Wallet({}))


@pytest.fixture
def threads(booted: Boot) -> Iterator[LabTarget]:
    """A Flask prototype that leaves threads behind."""
    with booted({"main.py": THREADS}) as (lab, blueprint):
        lab.world.take()
        yield LabTarget(lab, blueprint, Wallet({}))


def left(target: LabTarget, route: str, *, patient: bool = False, kills: tuple[Kill, ...] = ()) -> tuple[list[object], int]:
    """What a request left in the table, and how many of its statements its client waited for."""
    trace = target.anew(Trial((Call(route),), patient=patient, kills=kills))
    return [each.after["what"] for each in trace.changes], trace.last.answered_after


@pytest.mark.parametrize("route", ["POST /task", "POST /loop", "POST /pool"])
def test_what_is_left_behind_comes_without_its_sleep(loop: LabTarget, route: str) -> None:
    """Given time, tasks and threads end, however long they mean to rest; with the process, what they had to do is lost."""
    began = time.monotonic()
    rows, waited = left(loop, route, patient=True)
    assert rows == ["before", "after"]
    assert waited == 2 if route != "POST /pool" else waited >= -1
    assert time.monotonic() - began < 8
    assert left(loop, route, kills=(Kill(0, ANSWERED),))[0] == ["before"]


def test_a_client_that_is_answered_heard_it(loop: LabTarget) -> None:
    """The answer is there though the process ended with it, and a new process serves the next request."""
    trace = loop.anew(Trial((Call("POST /task"), Call("POST /seen")), kills=(Kill(0, ANSWERED),)))
    assert [(each.ended, each.status) for each in trace.exchanges] == [("killed", 200), ("answered", 200)]


def test_threads_begin_behind_the_answer(threads: LabTarget) -> None:
    """A thread that nobody waits for counts as behind the answer; one that is waited for does not."""
    assert left(threads, "POST /thread", patient=True) == (["before", "after"], 2)
    assert left(threads, "POST /thread", kills=(Kill(0, ANSWERED),))[0] == ["before"]
    assert left(threads, "POST /joined", patient=True) == (["after"], -1)


def test_who_waits_for_an_answer_waits_as_long_as_ever(loop: LabTarget) -> None:
    """What the client waits for is not hurried."""
    assert loop.anew(Trial((Call("POST /slow"),), patient=True)).last.milliseconds > 290


def test_one_process_or_one_each(loop: LabTarget) -> None:
    """What is kept in memory is known in the same process, and not in another."""
    twice = (Call("POST /seen"), Call("POST /seen"))
    one, each = (loop.anew(Trial(twice, workers=how, isolated=True)) for how in ("one", "each"))
    assert [exchange.response.json for trace in (one, each) for exchange in trace.exchanges if exchange.response] == [{"seen": 1}, {"seen": 2}, {"seen": 1}, {"seen": 1}]
