"""Forced schedules on a real prototype, and the judgement of what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import oracle
from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Literal
from toughen.model.trial import Schedule, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

BANK = """
    import sqlite3
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    def connect():
        return sqlite3.connect("bank.db", timeout=5)


    setup = connect()
    setup.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance INTEGER)")
    setup.execute("INSERT INTO accounts VALUES (1, 100)")
    setup.commit()
    setup.close()


    @app.post("/earn")
    def earn():
        db = connect()
        PAY
        db.commit()
        db.close()
        return jsonify(ok=True)
    """
LOST = BANK.replace(
    "PAY",
    'balance = db.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]\n'
    '        db.execute("UPDATE accounts SET balance = ? WHERE id = 1", (balance + request.json["amount"],))',
)
ADDED = BANK.replace(
    "PAY",
    'db.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()\n'
    '        db.execute("UPDATE accounts SET balance = balance + ? WHERE id = 1", (request.json["amount"],))',
)
LOCKED = LOST.replace("db = connect()", 'db = connect(); db.execute("BEGIN IMMEDIATE")')


SWAPPED = BANK.replace(
    "PAY",
    """for attempt in range(3):
            balance = db.execute("SELECT balance FROM accounts WHERE id = 1").fetchone()[0]
            if db.execute("UPDATE accounts SET balance = ? WHERE id = 1 AND balance = ?", (balance + request.json["amount"], balance)).rowcount:
                break
            db.rollback()""",
)


def earn(amount: int) -> Call:
    return Call("POST /earn", (Argument(Place.JSON, ("amount",), Literal(amount)),), body="json")


def raced(boot: Boot, source: str) -> tuple[bool, int, tuple[str, ...]]:
    """Whether the forced race equals a serial order, the balance that it left, and what the scheduler did."""
    with boot({"main.py": source}) as (lab, blueprint):
        lab.world.take()
        target = LabTarget(lab, blueprint, Wallet(), "snapshot")
        a, b = earn(5), earn(7)
        alone = target.run(Trial((a,), isolated=True)).last
        stop = next(index for index, each in enumerate(alone.statements) if each.verb == "update")
        race = target.run(Trial((), schedule=Schedule(a, b, stop)))
        balance = lab.world.rows("accounts")[0]["balance"]
        names = {"ab": (a, b), "ab_again": (a, b), "ba": (b, a), "a": (a,), "b": (b,)}
        traces = {name: target.run(Trial(calls, isolated=True)) for name, calls in names.items()}
        assert [each.status for each in race.exchanges] == [200, 200], race.schedule
        assert isinstance(balance, int)
        return oracle.serial(race, traces), balance, race.schedule


def test_a_lost_update_is_forced(booted: Boot) -> None:
    """Stopped before its write while the other runs whole, a read-change-write loses the other's change, every time."""
    serial, balance, log = raced(booted, LOST)
    assert not serial
    assert balance == 105
    assert log[0].startswith("A stops before: UPDATE accounts")
    assert "B runs to its end" in log


def test_an_addition_by_the_database_survives(booted: Boot) -> None:
    """Where the database adds, the same schedule leaves what a serial order leaves."""
    assert raced(booted, ADDED)[:2] == (True, 112)


def test_a_lock_is_seen_and_waited_for(booted: Boot) -> None:
    """Where the first holds the write lock, the second is seen to wait, goes on afterwards, and both changes stay."""
    serial, balance, log = raced(booted, LOCKED)
    assert (serial, balance) == (True, 112)
    assert "B waits for a lock" in log


def test_a_third_comes_in_between(booted: Boot) -> None:
    """Overtaken at its write and at the write of its next attempt, the first goes on to a third one: three requests, three processes, and all that they did is told in order."""
    with booted({"main.py": SWAPPED}) as (lab, blueprint):
        lab.world.take()
        target = LabTarget(lab, blueprint, Wallet(), "snapshot")
        once = target.run(Trial((), schedule=Schedule(earn(5), earn(7), 1))).exchanges[-2].statements
        again = next(index for index, each in enumerate(once) if index > 1 and each.verb == "update")
        race = target.run(Trial((), schedule=Schedule(earn(5), earn(7), 1, earn(11), again)))
        assert [each.status for each in race.exchanges] == [200, 200, 200]
        assert lab.world.rows("accounts")[0]["balance"] == 123
        assert [(each.who, each.then) for each in race.turns if each.then == "answers"] == [("B", "answers"), ("C", "answers"), ("A", "answers")]
        assert [each.rows for each in race.exchanges[0].statements if each.verb == "update"] == [0, 0, 1]


def test_three_wait_for_one_lock(booted: Boot) -> None:
    """The first holds the write lock: both others are seen to wait for it, and all changes stay."""
    with booted({"main.py": LOCKED}) as (lab, blueprint):
        lab.world.take()
        target = LabTarget(lab, blueprint, Wallet(), "snapshot")
        alone = target.run(Trial((earn(5),), isolated=True)).last
        stop = next(index for index, each in enumerate(alone.statements) if each.verb == "update")
        race = target.run(Trial((), schedule=Schedule(earn(5), earn(7), stop, earn(11), stop + 1)))
        assert [each.status for each in race.exchanges] == [200, 200, 200], race.schedule
        assert {"B waits for a lock", "C waits for a lock"} <= set(race.schedule)
        assert lab.world.rows("accounts")[0]["balance"] == 123


def test_a_commit_outlasts_the_reader_who_wants_to_write(booted: Boot) -> None:
    """Of two that wait for each other SQLite turns away the reader who wants to write, not the writer who waits for readers at its COMMIT."""
    source = LOST.replace("Flask, jsonify", "Flask, g, jsonify").replace("db = connect()", 'db = g.db = connect(); db.execute("BEGIN")')
    source += "\n    @app.teardown_appcontext\n    def shut(error):\n        g.db.close()\n"
    with booted({"main.py": source}) as (lab, blueprint):
        lab.world.take()
        target = LabTarget(lab, blueprint, Wallet(), "snapshot")
        alone = target.run(Trial((earn(5),), isolated=True)).last
        stop = next(index for index, each in enumerate(alone.statements) if each.verb == "commit")
        race = target.run(Trial((), schedule=Schedule(earn(5), earn(7), stop)))
        assert [each.status for each in race.exchanges] == [200, 500], race.schedule
        assert "A and B wait for each other: B gets the driver's error" in race.schedule
        assert lab.world.rows("accounts")[0]["balance"] == 105


def test_every_trial_starts_from_the_snapshot(booted: Boot) -> None:
    """What one trial wrote is gone in the next; what it wrote is in its trace."""
    with booted({"main.py": LOST}) as (lab, blueprint):
        lab.world.take()
        target = LabTarget(lab, blueprint, Wallet(), "snapshot")
        for _ in range(2):
            trace = target.run(Trial((earn(5),), isolated=True))
            assert [(each.before["balance"], each.after["balance"]) for each in trace.changes] == [(100, 105)]


@pytest.mark.parametrize(("source", "ended"), [("import os; os._exit(3)", "died"), ("while True: pass", "timeout")])
def test_a_handler_that_takes_its_process_along(booted: Boot, source: str, ended: str) -> None:
    """A process that dies or hangs is an outcome with a name; the next request is served as if nothing had happened."""
    text = BANK.replace("PAY", f"{source}\n        pass")
    text += '\n    @app.get("/ok")\n    def ok():\n        return "ok"\n'
    with booted({"main.py": text}) as (lab, _):
        from toughen.lab.child import Record

        request = {"method": "POST", "target": "/earn", "headers": [["Host", "x"]], "body_b64": ""}
        child = lab.child()
        assert child.serve(request, Record(), timeout=2).ended == ended
        assert not child.open
        child = lab.child()
        exchange = child.serve({**request, "method": "GET", "target": "/ok"}, Record())
        child.close()
        assert exchange.status == 200
