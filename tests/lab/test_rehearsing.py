"""The prototype's own tests behind the switch: good suites are judged, bad ones are told of, and nothing of either stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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


def test_a_suite_that_hangs_is_ended(booted: Boot) -> None:
    """A test that takes too long is told and left out; where most do, that is told, and nothing is said of its guards."""
    waits = "\n    def test_waits_{}():\n        import time\n        time.sleep(600)\n"
    with booted({"main.py": APP, "test_app.py": ONE + waits.format(1)}) as (lab, blueprint):
        run = Rehearsing(lab, blueprint, longest=2.0).run(ALL)
        assert {each.id.rpartition("::")[2]: each.outcome for each in run.tests} == {"test_refuses": "passed", "test_waits_1": "hung"}
    with booted({"test_app.py": ONE + "".join(map(waits.format, range(4)))}) as (lab, blueprint):
        assert Rehearsing(lab, blueprint, longest=2.0).run(ALL).problem == "they do not end within 2 s, in test_app.py::test_waits_3"


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
    """A test that ends the interpreter ends no box of ours, and none of the other tests."""
    assert outcomes(booted, ONE + "\n    def test_ends():\n        import os\n        os._exit(3)\n") == {"test_refuses": "passed", "test_ends": "died"}


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


def test_a_file_that_one_guard_kept_from_being_written_is_no_others_witness(booted: Boot) -> None:
    """Guards are judged several at once: where the loss of one makes a test write a file, the others are judged again, each from the files as they were."""
    app = APP + """
    @app.post("/sell")
    def sell():
        amount = request.get_json()["amount"]
        if amount <= 0:
            return jsonify(error="amount"), 400
        if amount < 1:
            open("sold.txt", "w").close()
        return jsonify(ok=True)

    @app.post("/ask")
    def ask():
        name = request.get_json()["name"]
""" + "".join(f"        if name == '{each}':\n            return jsonify(error=name), 400\n" for each in range(12)) + "        return jsonify(sold=os.path.exists('sold.txt'))\n"
    tests = ONE + """
    def test_sells():
        assert app.test_client().post("/sell", json={"amount": 0}).status_code == 400

    def test_asks():
        assert app.test_client().post("/ask", json={"name": "me"}).get_json() == {"sold": False}
"""
    with booted({"main.py": app, "test_app.py": tests}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        assert len(rehearsal.run(ALL).passed) == 3
        failed = [each.function for each in rehearsal.woven.mutants if rehearsal.run(Rehearsal(off=each.key)).failed]
        assert failed == ["buy", "sell"]


def test_a_second_look_is_a_run_of_its_own(booted: Boot) -> None:
    """Whoever asks again for what the tests say without a guard is told of another run, not of the first once more."""
    tests = ONE.replace('amount": 0', 'amount": 1').replace("== 400", "== 200") + """
    import os, tempfile, pathlib
    COUNT = pathlib.Path(os.environ.get('TMPDIR', tempfile.gettempdir())) / 'toughen-counts'

    def test_four_times_well():
        assert app.test_client().post("/buy", json={"amount": 1}).status_code == 200
        with COUNT.open("a") as file:
            file.write("x")
        assert COUNT.stat().st_size <= 4
"""
    with booted({"main.py": APP, "test_app.py": tests}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        assert len(rehearsal.run(ALL).passed) == 2
        off = Rehearsal(off=rehearsal.woven.mutants[0].key)
        assert [len(rehearsal.run(off).failed) for _ in range(2)] == [0, 1]


def test_a_guard_that_is_asked_while_mappers_are_tied_is_judged(booted: Boot) -> None:
    """SQLAlchemy ties mappers at the first query; it is done once for all runs, but not where a guard of the project's is asked by it."""
    app = """
        import os
        from flask import Flask, jsonify
        from sqlalchemy import Column, Integer, create_engine, event
        from sqlalchemy.orm import Mapper, Session, declarative_base
        app = Flask(__name__)
        engine = create_engine("sqlite://")
        Base = declarative_base()
        kept = []

        class Shelf(Base):
            __tablename__ = "shelves"
            id = Column(Integer, primary_key=True)

        def checked(number):
            if number <= 0:
                raise ValueError(number)
            kept.append(number)

        @event.listens_for(Mapper, "after_configured")
        def tied():
            for each in (0, 1):
                try:
                    checked(each)
                except ValueError:
                    pass

        @app.get("/kept")
        def told():
            Base.metadata.create_all(engine)
            with Session(engine) as session:
                session.query(Shelf).count()
            return jsonify(kept=kept)
        """
    tests = """
        from main import app

        def test_keeps_one():
            assert app.test_client().get("/kept").get_json() == {"kept": [1]}
        """
    with booted({"main.py": app, "test_app.py": tests}) as (lab, blueprint):
        rehearsal = Rehearsing(lab, blueprint)
        assert {each.outcome for each in rehearsal.run(ALL).tests} == {"passed"}
        guard = next(each for each in rehearsal.woven.mutants if each.text == "number <= 0")
        assert rehearsal.run(Rehearsal(off=guard.key)).failed
