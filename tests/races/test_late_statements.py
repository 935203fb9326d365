"""Statements that come late: committed by a hook behind the handler, written when the answer is closed or as a background task; they are raced and killed as the others."""

from __future__ import annotations

import contextlib
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.memory import Memory
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.finding import Proven, Refuted
from toughen.model.journey import Argument, Call, Journey, Literal
from toughen.rules import named
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.lab.environment import Environment
    from toughen.model.finding import Outcome

FLASK = """
    import sqlite3
    from flask import Flask, g, jsonify, request

    app = Flask(__name__)


    def connect():
        conn = sqlite3.connect("bank.db", timeout=10)
        conn.isolation_level = None
        return conn


    start = connect()
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
    start.execute("CREATE TABLE IF NOT EXISTS moves (id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER)")
    start.execute("INSERT OR IGNORE INTO accounts VALUES (1, 100)")
    start.close()


    @app.get("/moves")
    def moves():
        conn = connect()
        rows = conn.execute("SELECT account, amount FROM moves").fetchall()
        conn.close()
        return jsonify(rows)

    """
FASTAPI = """
    import sqlite3
    from fastapi import BackgroundTasks, Body, Depends, FastAPI, HTTPException

    app = FastAPI()


    def connect():
        conn = sqlite3.connect("bank.db", timeout=10, check_same_thread=False)
        conn.isolation_level = None
        return conn


    start = connect()
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
    start.execute("CREATE TABLE IF NOT EXISTS moves (id INTEGER PRIMARY KEY, account INTEGER, amount INTEGER)")
    start.execute("INSERT OR IGNORE INTO accounts VALUES (1, 100)")
    start.close()


    @app.get("/moves")
    def moves():
        conn = connect()
        rows = conn.execute("SELECT account, amount FROM moves").fetchall()
        conn.close()
        return rows

    """
HOOKED = FLASK + """
    @app.before_request
    def begin():
        g.db = connect()
        g.db.isolation_level = ""


    @app.HOOK
    def end(passed):
        g.db.commit()
        g.db.close()
        return passed


    @app.post("/withdraw")
    def withdraw():
        balance = g.db.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]
        amount = request.json["amount"]
        if balance < amount:
            return jsonify(error="too little"), 409
        g.db.execute("UPDATE accounts SET balance = ? WHERE id = 1", (balance - amount,))
        g.db.execute("INSERT INTO moves (account, amount) VALUES (1, ?)", (amount,))
        return jsonify(ok=True)
    """
CLOSED = FLASK + """
    def note(balance, amount):
        conn = connect()
        conn.execute("UPDATE accounts SET balance = ? WHERE id = 1", (balance - amount,))
        conn.execute("INSERT INTO moves (account, amount) VALUES (1, ?)", (amount,))
        conn.close()


    @app.post("/withdraw")
    def withdraw():
        conn = connect()
        balance = conn.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]
        conn.close()
        amount = request.json["amount"]
        if balance < amount:
            return jsonify(error="too little"), 409
        response = jsonify(ok=True)
        response.call_on_close(lambda: note(balance, amount))
        return response
    """
STREAMED = FLASK + """
    @app.post("/withdraw")
    def withdraw():
        amount = request.json["amount"]

        def pieces():
            conn = connect()
            balance = conn.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]
            yield "{"
            conn.execute("UPDATE accounts SET balance = ? WHERE id = 1", (balance - amount,))
            conn.execute("INSERT INTO moves (account, amount) VALUES (1, ?)", (amount,))
            conn.close()
            yield '"ok": true}'

        return app.response_class(pieces(), mimetype="application/json")
    """
TASK = FASTAPI + """
    def note(balance, amount):
        conn = connect()
        conn.execute("UPDATE accounts SET balance = ? WHERE id = 1", (balance - amount,))
        conn.execute("INSERT INTO moves (account, amount) VALUES (1, ?)", (amount,))
        conn.close()


    @app.post("/withdraw")
    def withdraw(tasks: BackgroundTasks, amount: int = Body(embed=True)):
        conn = connect()
        balance = conn.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]
        conn.close()
        if balance < amount:
            raise HTTPException(409, "too little")
        tasks.add_task(note, balance, amount)
        return {"ok": True}
    """
DEPENDED = FASTAPI + """
    def begun():
        conn = connect()
        conn.isolation_level = ""
        yield conn
        conn.commit()
        conn.close()


    @app.post("/withdraw")
    def withdraw(amount: int = Body(embed=True), db=Depends(begun)):
        balance = db.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]
        if balance < amount:
            raise HTTPException(409, "too little")
        db.execute("UPDATE accounts SET balance = ? WHERE id = 1", (balance - amount,))
        db.execute("INSERT INTO moves (account, amount) VALUES (1, ?)", (amount,))
        return {"ok": True}
    """
ATOMIC = ('SET balance = ? WHERE id = 1", (balance - amount,)', 'SET balance = balance - ? WHERE id = 1", (amount,)')
AT_ONCE = ('isolation_level = ""', 'execute("BEGIN IMMEDIATE")')
CASES = {
    # claim: (source, what makes it right, whether what it does comes behind the answer)
    "committed by after_request": (HOOKED.replace("HOOK", "after_request"), AT_ONCE, False),
    "committed by teardown_request": (HOOKED.replace("HOOK", "teardown_request"), AT_ONCE, False),
    "written when the answer is closed": (CLOSED, ATOMIC, True),
    "written while the answer is streamed": (STREAMED, ATOMIC, False),
    "written by a background task": (TASK, ATOMIC, True),
    "committed by a dependency": (DEPENDED, AT_ONCE, False),
}
_FIRST = ("written when the answer is closed", "committed by teardown_request")
_EACH = [pytest.param(each, marks=[] if each in _FIRST else [pytest.mark.long]) for each in CASES]


@contextlib.contextmanager
def bank(root: Path, environment: Environment, source: str) -> Iterator[LabTarget]:
    """A bank with one account."""
    root.mkdir()
    (root / "main.py").write_text(dedent(source).lstrip("\n"))
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    call = Call("POST /withdraw", (Argument(Place.JSON, ("amount",), Literal(5)),), body="json")
    journeys = {each.route: Journey(each.route, (each,), 200, anonymous=True) for each in (call, Call("GET /moves"))}
    with open_lab(root, blueprint.entry, environment, {}) as lab:
        lab.world.discover()
        digest = lab.world.take().digest
        yield LabTarget(lab, join(blueprint, lab.facts, sources), Wallet(), digest, journeys, memory=Memory())


def said(target: LabTarget, break_id: str) -> list[Outcome]:
    """What a rule says of the withdrawal."""
    rule, route = named(break_id), target.blueprint.route("POST /withdraw")
    assert rule is not None
    assert route is not None
    return list(rule.prove(target, route))


@pytest.mark.parametrize("claim", _EACH)
def test_a_late_write_is_raced(tmp_path: Path, environment: Environment, claim: str) -> None:
    """The balance that was read before is written late, and another request's change is lost; with the number computed by the database, or the lock taken first, it is not."""
    source, (wrong, right), _ = CASES[claim]
    assert wrong in source
    with bank(tmp_path / "wrong", environment, source) as target:
        assert any(isinstance(each, Proven) for each in said(target, "race/lost-update"))
    with bank(tmp_path / "right", environment, source.replace(wrong, right)) as target:
        outcomes = said(target, "race/lost-update")
        assert not [each for each in outcomes if isinstance(each, Proven)], outcomes
        assert [each for each in outcomes if isinstance(each, Refuted)], outcomes


@pytest.mark.parametrize("claim", _EACH)
def test_a_late_write_is_killed(tmp_path: Path, environment: Environment, claim: str) -> None:
    """What comes behind the answer is lost with the process; what is one transaction is whole or not there; what is two statements of their own is cut in half."""
    source, (wrong, right), behind = CASES[claim]
    with bank(tmp_path / "bank", environment, source.replace(wrong, right)) as target:
        lost = [each for each in said(target, "failure/lost-job") if isinstance(each, Proven)]
        halves = [each for each in said(target, "failure/partial-write") if isinstance(each, Proven)]
        assert bool(lost) == behind
        assert bool(halves) == (right != AT_ONCE[1])
