"""Faults around one request: what clients of the world outside, of files and of a database meet, and what of it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.model.journey import Call
from toughen.model.trial import Fault, Kill, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint
    from toughen.model.trace import Exchange

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

PAY = "https://api.pay.example/v1/charges"
SYNC = f"""
    import json
    import smtplib
    import sqlite3
    import urllib.request

    import httpx
    import requests
    from flask import Flask, jsonify

    app = Flask(__name__)


    def link():
        return sqlite3.connect("shop.db", timeout=30)


    with link() as start:
        start.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, state TEXT)")
        start.execute("CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, left INTEGER)")
        start.execute("INSERT INTO stock (left) VALUES (5)")


    def asked(how):
        if how == "requests":
            return requests.post("{PAY}", json={{"amount": 5}})
        if how == "requests-3":
            return requests.post("{PAY}", json={{"amount": 5}}, timeout=3)
        if how == "twice":
            try:
                return requests.post("{PAY}", json={{"amount": 5}}, timeout=3)
            except requests.exceptions.Timeout:
                return requests.post("{PAY}", json={{"amount": 5}}, timeout=4)
        if how == "requests-60":
            return requests.post("{PAY}", json={{"amount": 5}}, timeout=60)
        if how == "httpx":
            return httpx.post("{PAY}", json={{"amount": 5}})
        if how == "httpx-none":
            return httpx.post("{PAY}", json={{"amount": 5}}, timeout=None)
        if how == "urllib":
            with urllib.request.urlopen("http://api.pay.example/v1/charges") as answer:
                return json.load(answer)
        if how == "mail":
            with smtplib.SMTP("smtp.pay.example") as client:
                client.sendmail("a@x.example", ["b@x.example"], "hello")
        return None


    @app.get("/call/<how>")
    def call(how):
        found = asked(how)
        if found is not None and how != "urllib":
            found.raise_for_status()
            found = found.json()
        return jsonify(found)


    @app.post("/order")
    def order():
        conn = link()
        conn.execute("UPDATE stock SET left = left - 1")
        conn.commit()
        requests.post("{PAY}", json={{"amount": 5}}, timeout=3)
        conn.execute("INSERT INTO orders (state) VALUES ('paid')")
        conn.commit()
        conn.close()
        return jsonify(ok=True), 201


    @app.post("/file")
    def file():
        with open("note.txt", "w") as out:
            out.write("x")
        return jsonify(ok=True)
    """
ASYNC = f"""
    import asyncio

    import httpx
    from fastapi import FastAPI

    app = FastAPI()


    @app.get("/call/{{how}}")
    async def call(how: str):
        seconds = {{"none": None, "5": 5.0, "90": 90.0}}[how]
        async with httpx.AsyncClient(timeout=seconds) as client:
            answer = await client.post("{PAY}", json={{"amount": 5}})
            return answer.json()


    @app.get("/patient")
    async def patient():
        try:
            async with httpx.AsyncClient(timeout=None) as client:
                await asyncio.wait_for(client.get("{PAY}"), 8)
        except asyncio.TimeoutError:
            return {{"state": "unknown"}}
    """


@pytest.fixture
def sync(booted: Boot) -> Iterator[LabTarget]:
    """A Flask prototype with clients of several kinds."""
    with booted({"main.py": SYNC}) as (lab, blueprint):
        lab.world.take()
        yield LabTarget(lab, blueprint, Wallet())


@pytest.fixture
def loop(booted: Boot) -> Iterator[LabTarget]:
    """A FastAPI prototype whose client waits in the loop."""
    with booted({"main.py": ASYNC}) as (lab, blueprint):
        lab.world.take()
        yield LabTarget(lab, blueprint, Wallet())


def served(target: LabTarget, route: str, kind: str = "", at: int = 0, times: int = 0) -> Exchange:
    """The exchange of one request while that goes wrong."""
    return target.anew(Trial((Call(route),), fault=Fault(kind, at, times) if kind else None)).last


@pytest.mark.parametrize("how", ["requests", "requests-3", "httpx", "urllib"])
def test_all_is_well_without_a_fault(sync: LabTarget, how: str) -> None:
    """Each client gets a plausible answer."""
    exchange = served(sync, f"GET /call/{how}")
    assert exchange.status == 200
    assert [(each.request, each.sent) for each in exchange.outgoing] == [
        ("GET /v1/charges HTTP/1.1", "") if how == "urllib" else ("POST /v1/charges HTTP/1.1", '{"amount":5}' if how == "httpx" else '{"amount": 5}')
    ]


@pytest.mark.parametrize(
    ("how", "kind", "error"),
    [
        ("requests", "refused", "requests.exceptions.ConnectionError"),
        ("requests", "unknown-host", "requests.exceptions.ConnectionError"),
        ("requests", "reset", "requests.exceptions.ConnectionError"),
        ("requests", "error", "requests.exceptions.HTTPError"),
        ("requests", "busy", "requests.exceptions.HTTPError"),
        ("requests", "malformed", "requests.exceptions.JSONDecodeError"),
        ("requests", "truncated", "requests.exceptions.ChunkedEncodingError"),
        ("httpx", "refused", "httpx.ConnectError"),
        ("httpx", "unknown-host", "httpx.ConnectError"),
        ("httpx", "reset", "httpx.ReadError|httpx.RemoteProtocolError"),
        ("httpx", "truncated", "httpx.RemoteProtocolError"),
        ("urllib", "unknown-host", "urllib.error.URLError"),
        ("mail", "refused", "ConnectionRefusedError"),
        ("mail", "reset", "ConnectionResetError"),
    ],
)
def test_a_client_meets_what_it_would_meet(sync: LabTarget, how: str, kind: str, error: str) -> None:
    """The library raises what it raises when that happens; the connection is told though it came to nothing."""
    exchange = served(sync, f"GET /call/{how}", kind)
    assert exchange.failure is not None
    assert exchange.failure.type in error.split("|")
    assert [each.host for each in exchange.outgoing] == ["smtp.pay.example" if how == "mail" else "api.pay.example"]


@pytest.mark.parametrize("how", ["requests", "requests-60", "httpx-none", "urllib", "mail"])
def test_who_waits_too_long_hangs(sync: LabTarget, how: str) -> None:
    """Without a time-out, or with one that is longer than a worker lives, the request hangs: that is known at once, with whom it waits for."""
    exchange = served(sync, f"GET /call/{how}", "hang")
    assert exchange.ended == "hung"
    assert exchange.response is None
    assert [each.host for each in exchange.outgoing] == ["smtp.pay.example" if how == "mail" else "api.pay.example"]


@pytest.mark.parametrize(("how", "seconds"), [("requests-3", 3.0), ("httpx", 5.0), ("twice", 7.0)])
def test_who_has_a_time_out_comes_to_its_end(sync: LabTarget, how: str, seconds: float) -> None:
    """The time-out is met long before its seconds are over, and told with them."""
    exchange = served(sync, f"GET /call/{how}", "hang")
    assert exchange.ended == "answered"
    assert exchange.waited == seconds
    assert exchange.milliseconds < 2000
    assert exchange.failure is not None
    assert "imeout" in exchange.failure.type


@pytest.mark.parametrize(("route", "ended", "waited"), [("/call/none", "hung", 0.0), ("/call/90", "hung", 0.0), ("/call/5", "answered", 5.0), ("/patient", "answered", 8.0)])
def test_a_loop_waits_by_its_own_clock(loop: LabTarget, route: str, ended: str, waited: float) -> None:
    """A loop's clock is put forward to its next time-out; where none comes soon enough, the request hangs."""
    exchange = served(loop, f"GET {route}", "hang")
    assert exchange.ended == ended
    assert exchange.waited == pytest.approx(waited, abs=0.5)


def test_a_later_call_and_so_many_of_them(sync: LabTarget) -> None:
    """The number of the connection and how many are hit are the fault's to say."""
    assert served(sync, "GET /call/requests", "refused", at=1).status == 200
    assert served(sync, "GET /call/requests", "refused", times=1).status == 500


@pytest.mark.parametrize(("kind", "error"), [("disk-full", "OSError"), ("unwritable", "PermissionError")])
def test_files_cannot_be_written(sync: LabTarget, kind: str, error: str) -> None:
    """Opening a file for writing raises what a full disk, or a folder of somebody else's, raises."""
    assert served(sync, "POST /file").status == 200
    exchange = served(sync, "POST /file", kind)
    assert exchange.failure is not None
    assert exchange.failure.type == error


def test_a_locked_database_says_so(sync: LabTarget) -> None:
    """While somebody else writes, a write fails with the driver's own error, at once; where it never came to a statement, nothing is concluded."""
    exchange = served(sync, "POST /order", "locked")
    assert exchange.failure is not None
    assert exchange.failure.message == "database is locked"
    assert served(sync, "POST /file", "locked").ended == "missed"


def test_who_is_killed_leaves_what_was_committed(sync: LabTarget) -> None:
    """Killed after its first commit the request leaves half of its change; a new process serves the next one."""
    honest = served(sync, "POST /order")
    commits = [index for index, each in enumerate(honest.statements) if each.verb == "commit"]
    assert [each.after for each in honest.outgoing] == [commits[0] + 1]
    again = (Call("POST /order"), Call("POST /order"))
    trace = sync.anew(Trial(again[:1], kills=(Kill(0, commits[0] + 1),)))
    assert trace.last.ended == "killed"
    assert [(each.table, each.kind) for each in trace.changes] == [("stock", "updated")]
    both = sync.anew(Trial(again, kills=(Kill(0, commits[0] + 1),)))
    assert [each.status for each in both.exchanges] == [None, 201]
    assert next(each.after["left"] for each in both.changes if each.table == "stock") == 3
    unheard = sync.anew(Trial(again, kills=(Kill(0),)))
    assert unheard.exchanges[0].ended == "killed"
    assert len([each for each in unheard.changes if each.table == "orders"]) == 2
