"""Claims about processes that end before they tell somebody outside: what was there then, and what the next one's start-up tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.model.journey import Call
from toughen.model.trial import Kill, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

TELLS = """
import sqlite3
import urllib.request
from contextlib import asynccontextmanager
from fastapi import FastAPI

def tell(place):
    urllib.request.urlopen(urllib.request.Request(f"https://depot.example/{place}", data=b"{}"), timeout=5).read()

@asynccontextmanager
async def lifespan(app):
    tell("started")
    yield

app = FastAPI(lifespan=lifespan)

with sqlite3.connect("shop.db") as start:
    start.execute("CREATE TABLE IF NOT EXISTS done (id INTEGER PRIMARY KEY, what TEXT)")

@app.post("/orders")
def order():
    with sqlite3.connect("shop.db") as db:
        db.execute("INSERT INTO done (what) VALUES ('ordered')")
    tell("first")
    tell("second")
    return {"ok": True}

@app.post("/quiet")
def quiet():
    return {"ok": True}
"""


def test_a_process_ends_before_it_tells(booted: Boot) -> None:
    """What was committed and told before is there, the rest is not; a request that tells nobody is missed; a start-up's calls are told apart."""
    with booted({"main.py": TELLS}) as (lab, blueprint):
        lab.world.take()
        target = LabTarget(lab, blueprint, Wallet({}))
        calls = (Call("POST /orders"), Call("POST /quiet"))
        for number, told in ((0, []), (1, ["POST /first HTTP/1.1"])):
            trace = target.anew(Trial(calls, kills=(Kill(0, outside=number),), patient=True))
            killed, later = trace.exchanges
            assert (killed.ended, killed.response) == ("killed", None)
            assert [each.request for each in killed.outgoing] == told
            assert [each.after["what"] for each in trace.changes] == ["ordered"]
            assert later.status == 200
            assert [each.request for each in later.early] == ["POST /started HTTP/1.1"]
            assert not later.outgoing
        assert target.anew(Trial(calls, kills=(Kill(1, outside=0),))).last.ended == "missed"
