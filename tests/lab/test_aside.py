"""What runs by itself beside the requests (loops in threads, schedulers, tasks of the start-up): no trial meets it, and a trial that waits for it sees it done."""

from __future__ import annotations

import time
from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.environment import Environment, Needs, build
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.finding import Inconclusive, Proven
from toughen.model.journey import Argument, Call, Journey, Literal
from toughen.model.trial import Trial
from toughen.rules import named
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.model.finding import Outcome

TABLES = """
    import sqlite3
    import threading
    import time
    from datetime import datetime


    def connect():
        return sqlite3.connect("shop.db", timeout=10)


    with connect() as start:
        start.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, stock INTEGER)")
        start.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item INTEGER, status TEXT)")
        start.execute("CREATE TABLE IF NOT EXISTS ticks (id INTEGER PRIMARY KEY, at TEXT)")
        start.execute("INSERT OR IGNORE INTO items VALUES (1, 5)")
    start.close()


    def run(statement, *values):
        conn = connect()
        row = conn.execute(statement, values).fetchone()
        conn.commit()
        conn.close()
        return row


    def tick():
        run("INSERT INTO ticks (at) VALUES (?)", datetime.now().isoformat())


    def pack():
        run("UPDATE orders SET status = 'packed' WHERE status = 'new'")


    def sell(item):
        stock = run("SELECT stock FROM items WHERE id = ?", item)
        if stock is None or stock[0] < 1:
            return False
        run("UPDATE items SET stock = ? WHERE id = ?", stock[0] - 1, item)
        run("INSERT INTO orders (item, status) VALUES (?, 'new')", item)
        return True

    """
FLASK = TABLES + """
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    RATES = {}


    def load():
        RATES["eur"] = 1.1

    # what runs by itself

    @app.get("/rates")
    def rates():
        return jsonify(RATES), 200 if RATES else 503


    @app.get("/orders")
    def orders():
        conn = connect()
        rows = conn.execute("SELECT id, item, status FROM orders").fetchall()
        conn.close()
        return jsonify(rows)


    @app.post("/buy")
    def buy():
        return (jsonify(ok=True), 200) if sell(request.json["item"]) else (jsonify(error="sold out"), 409)
    """
FASTAPI = TABLES + """
    import asyncio
    from contextlib import asynccontextmanager
    from fastapi import Body, FastAPI, HTTPException

    RATES = {"eur": 1.1}

    # what runs by itself

    app = FastAPI(lifespan=lifespan)


    @app.get("/rates")
    def rates():
        return RATES


    @app.get("/orders")
    def orders():
        conn = connect()
        rows = conn.execute("SELECT id, item, status FROM orders").fetchall()
        conn.close()
        return rows


    @app.post("/buy")
    async def buy(item: int = Body(embed=True)):
        if not sell(item):
            raise HTTPException(409, "sold out")
        return {"ok": True}
    """
KINDS = {
    "a thread that sleeps": FLASK.replace("# what runs by itself", """
    def loop():
        load()
        while True:
            tick()
            pack()
            time.sleep(0.2)

    threading.Thread(target=loop, daemon=True).start()
"""),
    "a thread that waits to be stopped": FLASK.replace("# what runs by itself", """
    class Loop(threading.Thread):
        stopped = threading.Event()

        def run(self):
            load()
            while not self.stopped.wait(0.2):
                tick()
                pack()

    Loop(daemon=True).start()
"""),
    "a timer that winds itself up again": FLASK.replace("# what runs by itself", """
    def again():
        tick()
        pack()
        wind()

    def wind():
        timer = threading.Timer(0.2, again)
        timer.daemon = True
        timer.start()

    load()
    wind()
"""),
    "BackgroundScheduler": FLASK.replace("# what runs by itself", """
    from apscheduler.schedulers.background import BackgroundScheduler

    scheduler = BackgroundScheduler()
    scheduler.add_job(tick, "interval", seconds=1)
    scheduler.add_job(pack, "interval", seconds=1)
    scheduler.add_job(load, "interval", minutes=5, next_run_time=datetime.now())
    scheduler.start()
"""),
    "AsyncIOScheduler": FASTAPI.replace("# what runs by itself", """
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    scheduler = AsyncIOScheduler()

    async def ticks():
        tick()

    @asynccontextmanager
    async def lifespan(app):
        scheduler.add_job(ticks, "interval", seconds=1)
        scheduler.add_job(pack, "interval", seconds=1)
        scheduler.start()
        yield
        scheduler.shutdown()
"""),
    "BackgroundScheduler in the lifespan": FASTAPI.replace("# what runs by itself", """
    from apscheduler.schedulers.background import BackgroundScheduler

    @asynccontextmanager
    async def lifespan(app):
        scheduler = BackgroundScheduler()
        scheduler.add_job(tick, "interval", seconds=1)
        scheduler.add_job(pack, "interval", seconds=1)
        scheduler.start()
        yield
        scheduler.shutdown()
"""),
    "a task of the start-up that begins at once": FASTAPI.replace("# what runs by itself", """
    async def loop():
        while True:
            tick()
            pack()
            await asyncio.sleep(0.2)

    @asynccontextmanager
    async def lifespan(app):
        task = asyncio.create_task(loop())
        yield
        task.cancel()
"""),
    "a thread of the start-up that begins at once": FASTAPI.replace("# what runs by itself", """
    def loop():
        while True:
            tick()
            pack()
            time.sleep(0.2)

    @asynccontextmanager
    async def lifespan(app):
        threading.Thread(target=loop, daemon=True).start()
        yield
"""),
    "a task of the start-up": FASTAPI.replace("# what runs by itself", """
    async def loop():
        while True:
            await asyncio.sleep(0.2)
            tick()
            pack()

    @asynccontextmanager
    async def lifespan(app):
        task = asyncio.create_task(loop())
        yield
        task.cancel()
"""),
}
_FIRST = ("a thread that sleeps", "BackgroundScheduler", "AsyncIOScheduler")
"""What every run of the tests sees."""
_EACH = [pytest.param(each, marks=[] if each in _FIRST else [pytest.mark.long]) for each in KINDS]
BUY = Call("POST /buy", (Argument(Place.JSON, ("item",), Literal(1)),), body="json")
READ = {f"GET /{each}": Journey(f"GET /{each}", (Call(f"GET /{each}"),), 200, anonymous=True) for each in ("rates", "orders")}
JOURNEYS = {"POST /buy": Journey("POST /buy", (BUY,), 200, anonymous=True), **READ}


@pytest.fixture(scope="module")
def environment() -> Environment:
    """An environment with the scheduler."""
    return build(Needs("the tests", requirements=("apscheduler<4", "fastapi", "flask")))


@contextmanager
def shop(root: Path, environment: Environment, source: str) -> Iterator[LabTarget]:
    """A shop beside whose requests something runs."""
    root.mkdir(exist_ok=True)
    (root / "main.py").write_text(dedent(source).lstrip("\n"))
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    with open_lab(root, blueprint.entry, environment, {}) as lab:
        lab.world.discover()
        digest = lab.world.take().digest
        yield LabTarget(lab, join(blueprint, lab.facts, sources), Wallet(), digest, JOURNEYS)


def said(target: LabTarget, break_id: str, route: str = "POST /buy") -> list[Outcome]:
    """What a rule says of a route."""
    rule, known = named(break_id), target.blueprint.route(route)
    assert rule is not None
    assert known is not None
    return list(rule.prove(target, known))


def rows(trace_changes: object) -> list[tuple[str, str]]:
    return [(each.table, each.kind) for each in trace_changes]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", _EACH)
def test_no_trial_meets_what_runs_by_itself(tmp_path: Path, environment: Environment, kind: str) -> None:
    """However long a trial takes, its rows and statements are its requests' alone; races and kills are judged as without it, and a process is forked for each request."""
    with shop(tmp_path / "shop", environment, KINDS[kind]) as target:
        assert not target.lab.whole, target.lab.fallback_reason
        assert target.anew(Trial((Call("GET /rates"),))).last.status == 200
        started = len(target.lab.world.start.get("ticks", {}))
        trace = target.anew(Trial((BUY, BUY), apart=1.3))
        assert rows(trace.changes) == [("items", "updated"), ("orders", "inserted"), ("orders", "inserted")]
        assert not [each.text for exchange in trace.exchanges for each in exchange.statements if "ticks" in each.text or "packed" in each.text]
        time.sleep(1.3)
        target.lab.restore()
        assert len(target.lab.world.tables().get("ticks", {})) == started
        assert any(isinstance(each, Proven) for each in said(target, "race/lost-update"))
        halves = [each for each in said(target, "failure/partial-write") if isinstance(each, Proven)]
        assert halves
        assert "without orders 1: inserted" in halves[0].proof.evidence.message
        box = target.lab.box
    assert box is not None
    assert not box.alive()


@pytest.mark.parametrize("kind", [_EACH[0], *(pytest.param(*each.values, marks=pytest.mark.long) for each in _EACH[1:])])
def test_a_trial_that_waits_sees_it_done(tmp_path: Path, environment: Environment, kind: str) -> None:
    """Where what goes on behind the answer counts, time passes for it: the order is packed, and the loop ticks."""
    with shop(tmp_path / "shop", environment, KINDS[kind]) as target:
        trace = target.anew(Trial((BUY,), patient=True))
        assert {each.after["status"] for each in trace.changes if each.table == "orders"} == {"packed"}
        assert any(each.table == "ticks" for each in trace.changes)


HANDED_ON = KINDS["BackgroundScheduler"].replace('sell(request.json["item"])', 'order(request.json["item"])').replace('    @app.post("/buy")', """    def ship(item):
        run("INSERT INTO orders (item, status) VALUES (?, 'shipped')", item)


    def order(item):
        scheduler.add_job(ship, args=[item])
        return True


    @app.post("/buy")""")


@pytest.mark.long
def test_a_job_that_a_scheduler_may_finish_is_not_lost(tmp_path: Path, environment: Environment) -> None:
    """What a request hands to the project's scheduler is seen to be done; that it may be lost is not claimed, because the scheduler may come back to it."""
    with shop(tmp_path / "shop", environment, HANDED_ON) as target:
        trace = target.anew(Trial((BUY,), patient=True))
        assert "shipped" in {each.after.get("status") for each in trace.changes}
        outcomes = said(target, "failure/lost-job")
        assert not [each for each in outcomes if isinstance(each, Proven)]
        assert [each for each in outcomes if isinstance(each, Inconclusive) and "apscheduler" in each.reason]


WORKERS = {
    "a thread": FLASK.replace("# what runs by itself", """
    import queue

    WAITING, DONE = queue.Queue(), queue.Queue()

    def work():
        while True:
            item = WAITING.get()
            time.sleep(0.2)
            DONE.put(sell(item))

    load()
    threading.Thread(target=work, daemon=True).start()
""").replace('sell(request.json["item"])', '(WAITING.put(request.json["item"]), DONE.get(timeout=5))[1]'),
    "a task": FASTAPI.replace("# what runs by itself", """
    async def work():
        while True:
            item, done = await app.state.waiting.get()
            await asyncio.sleep(0.2)
            done.set_result(sell(item))

    @asynccontextmanager
    async def lifespan(app):
        app.state.waiting = asyncio.Queue()
        task = asyncio.create_task(work())
        yield
        task.cancel()
""").replace("        if not sell(item):", "        done = asyncio.get_running_loop().create_future()\n        await app.state.waiting.put((item, done))\n        if not await done:"),
    "a loop of its own": FLASK.replace("# what runs by itself", """
    import asyncio

    async def work(item):
        await asyncio.sleep(0.2)
        return sell(item)

    def slowly(item):
        found = []
        thread = threading.Thread(target=lambda: found.append(asyncio.run(work(item))))
        thread.start()
        thread.join()
        return found[0]
""").replace('sell(request.json["item"])', 'slowly(request.json["item"])'),
}


@pytest.mark.parametrize("kind", WORKERS)
def test_a_worker_that_a_request_waits_for_works(tmp_path: Path, environment: Environment, kind: str) -> None:
    """A thread or task that waits for work rather than for the clock is no loop of its own accord, and what a request begins is the request's: it serves, and may sleep meanwhile."""
    with shop(tmp_path / "shop", environment, WORKERS[kind]) as target:
        trace = target.anew(Trial((BUY,)))
        assert trace.last.status == 200
        assert rows(trace.changes) == [("items", "updated"), ("orders", "inserted")]
