"""The prototype's own tests behind the switch: good suites are judged, bad ones are told of, and nothing of either stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.lab import rehearsing
from toughen.lab.rehearsing import Rehearsing
from toughen.model.trial import Rehearsal
from toughen.samples.suites import BITING, FLASK_BOOK, HAPPY, TRANSFER, UNITTEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

ALL = Rehearsal()
APP = """
    import os
    from flask import Flask, jsonify, request
    app = Flask(__name__)

    @app.post("/buy")
    def buy():
        if request.get_json()["amount"] <= 0:
            return jsonify(error="amount"), 400
        return jsonify(ok=True)
    """
ONE = """
    from main import app

    def test_refuses():
        assert app.test_client().post("/buy", json={"amount": 0}).status_code == 400
    """


def outcomes(boot: Boot, tests: str, app: str = APP, **more: str) -> dict[str, str]:
    """Outcome of each test, by its bare name."""
    with boot({"main.py": app, "test_app.py": tests, **more}) as (lab, blueprint):
        run = Rehearsing(lab, blueprint).run(ALL)
        return {each.id.rpartition("::")[2]: each.outcome for each in run.tests} or {"": run.problem}


@pytest.mark.parametrize(("app", "tests", "survivors"), [(TRANSFER, BITING, 0), (TRANSFER, HAPPY, 3), (FLASK_BOOK, UNITTEST, 0)])
def test_each_guard_is_judged(booted: Boot, app: str, tests: dict[str, str], survivors: int) -> None:
    """A guard that a test protects makes one fail when it is off; one that none protects does not. pytest's tests and unittest's."""
    with booted({"main.py": app, **tests}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        base = rehearsal.run(ALL)
        assert base.tests
        assert {each.outcome for each in base.tests} == {"passed"}
        left = [each.key for each in rehearsal.woven.mutants if not rehearsal.run(Rehearsal(off=each.key)).failed]
        assert len(left) == survivors, left
        assert len(rehearsal.woven.mutants) >= 2


def test_requests_are_seen(booted: Boot) -> None:
    """What the tests themselves send is noted with its answer; nobody's answers are given where that is asked for."""
    with booted({"main.py": APP, "test_app.py": ONE}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        assert [(each.test, each.method, each.path, each.status, each.known) for each in rehearsal.run(ALL).requests] == [("test_app.py::test_refuses", "POST", "/buy", 400, False)]
        stood_in = rehearsal.run(Rehearsal(answer=500))
        assert [each.status for each in stood_in.requests] == [500]
        assert not stood_in.passed


def test_a_guard_whose_loss_hangs_is_not_called_protected(booted: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the tests never end without a guard, they are ended, and that is no failed test."""
    app = APP.replace("        if request", "        n = 0\n        while True:\n            try:\n                check(n)\n            except ValueError:\n                break\n        if request") + "\n    def check(n):\n        if n == 0:\n            raise ValueError(n)\n"
    monkeypatch.setattr("toughen.mutation.judge._LEAST", 3.0)
    with booted({"main.py": app, "test_app.py": ONE}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        assert rehearsal.run(ALL).passed
        key = next(each.key for each in rehearsal.woven.mutants if each.text == "n == 0")
        run = rehearsal.run(Rehearsal(off=key))
        assert (run.ended, run.failed) == ("hung", ())
        # The next one is not kept waiting.
        assert rehearsal.run(Rehearsal(off=next(each.key for each in rehearsal.woven.mutants if "amount" in each.text))).failed


def test_a_suite_that_hangs_is_ended(booted: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told that it takes too long, and nothing is said of its guards."""
    monkeypatch.setattr(rehearsing, "LONGEST", 2.0)
    tests = ONE + "\n    def test_waits():\n        import time\n        time.sleep(600)\n"
    with booted({"main.py": APP, "test_app.py": tests}) as (lab, blueprint):
        assert Rehearsing(lab, blueprint).run(ALL).problem == "they do not end within 2 s"


def test_a_flaky_test_counts_for_nothing(booted: Boot) -> None:
    """One that passes the first time and fails the second is told apart from those that fail, and from those that pass."""
    tests = ONE + "\n    import os, tempfile, pathlib\n    MARK = pathlib.Path(os.environ.get('TMPDIR', tempfile.gettempdir())) / 'toughen-was-here'\n\n    def test_now_and_then():\n        there = MARK.exists()\n        MARK.touch()\n        assert not there\n\n    def test_never():\n        assert False\n"
    assert outcomes(booted, tests) == {"test_refuses": "passed", "test_now_and_then": "flaky", "test_never": "failed"}


def test_what_a_run_writes_or_deletes_is_put_back(booted: Boot) -> None:
    """A test that needs a file which another one deletes passes in every run: each finds the tree as it was, and the owner's is never touched."""
    tests = ONE + "\n    import os\n\n    def test_reads_and_deletes():\n        assert open('prices.txt').read() == '5'\n        os.remove('prices.txt')\n        open('made.txt', 'w').write('x')\n"
    with booted({"main.py": APP, "test_app.py": tests, "prices.txt": "5"}) as (lab, blueprint):
        assert lab.root is not None
        rehearsal = Rehearsing(lab, blueprint)
        assert {each.outcome for each in rehearsal.run(ALL).tests} == {"passed"}
        assert rehearsal.run(Rehearsal(answer=200)).tests
        assert (lab.root / "prices.txt").read_text() == "5"
        assert not (lab.root / "made.txt").exists()


def test_a_process_that_ends_itself_is_told(booted: Boot) -> None:
    """A test that ends the interpreter ends no box of ours."""
    assert "process" in outcomes(booted, ONE + "\n    def test_ends():\n        import os\n        os._exit(3)\n")[""]


def test_what_cannot_be_collected_leaves_the_rest(booted: Boot) -> None:
    """A file of tests that does not import takes none of the others with it."""
    assert outcomes(booted, ONE, **{"test_broken.py": "import nothing_of_that_name\n\ndef test_it():\n    pass\n"})["test_refuses"] == "passed"


def test_the_network_leads_nowhere(booted: Boot) -> None:
    """A test that needs the network fails, and is not kept waiting."""
    tests = ONE + "\n    import socket\n\n    def test_asks_the_world():\n        socket.create_connection(('192.0.2.1', 80), timeout=5)\n"
    assert outcomes(booted, tests) == {"test_refuses": "passed", "test_asks_the_world": "failed"}


def test_a_database_that_importing_makes_is_there_in_each_run(booted: Boot) -> None:
    """The import makes a database file and keeps it open: runs of what was collected find it, runs that import anew make their own."""
    app = """
        import sqlite3
        from flask import Flask, jsonify
        app = Flask(__name__)
        conn = sqlite3.connect("shop.db", check_same_thread=False)
        conn.execute("CREATE TABLE sales (id INTEGER PRIMARY KEY)")
        conn.commit()

        @app.post("/sales")
        def sell():
            number = conn.execute("INSERT INTO sales DEFAULT VALUES").lastrowid
            conn.commit()
            if number > 1:
                return jsonify(error="sold"), 409
            return jsonify(number=number), 201
        """
    tests = """
        from main import app

        def test_sells_once():
            client = app.test_client()
            assert client.post("/sales").status_code == 201
            assert client.post("/sales").status_code == 409
        """
    with booted({"main.py": app, "test_app.py": tests}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        assert {each.outcome for each in rehearsal.run(ALL).tests} == {"passed"}
        for _ in range(2):
            assert rehearsal.run(Rehearsal(off=rehearsal.woven.mutants[0].key)).failed
            assert not rehearsal.run(Rehearsal(answer=200)).passed
