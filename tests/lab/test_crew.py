"""Several boots of one prototype at work together, and twins that stand where the first stands."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from toughen.errors import BootError
from toughen.lab.child import REQUEST_SECONDS, Record
from toughen.lab.credentials import Wallet
from toughen.lab.crew import Crew
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.lab.twin import Probe
from toughen.model.blueprint import Place
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Argument, Call, Literal
from toughen.model.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

SHOP = """
    import os
    import secrets
    import sqlite3
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    SECRET = secrets.token_hex(8)
    memory = {"prepared": False}


    def connect():
        return sqlite3.connect("shop.db", timeout=5)


    setup = connect()
    setup.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT)")
    setup.commit()
    setup.close()


    @app.post("/login")
    def login():
        return jsonify(token=SECRET)


    @app.get("/items")
    def items():
        db = connect()
        rows = db.execute("SELECT name FROM items").fetchall()
        db.close()
        return jsonify([row[0] for row in rows])


    @app.post("/items")
    def add():
        db = connect()
        db.execute("INSERT INTO items (name) VALUES (?)", (request.json["name"],))
        db.commit()
        db.close()
        return jsonify(ok=True), 201


    @app.get("/mine")
    def mine():
        if request.headers.get("Authorization") != "Bearer " + SECRET:
            return jsonify(error="log in"), 401
        return jsonify(prepared=memory["prepared"], note=open("note.txt").read())


    if __name__ == "__main__":
        memory["prepared"] = True
        app.run()
    """
ITEMS = Trial((Call("GET /items"),))
MINE = Trial((Call("GET /mine", (), "user1"),))


def secret(lab: Lab) -> str:
    """What this boot made up when it was imported."""
    child = lab.child()
    answer = child.serve({"method": "POST", "target": "/login", "headers": [["Host", "localhost"]], "body_b64": ""}, Record()).response
    child.close()
    assert answer is not None
    assert isinstance(answer.json, dict)
    return str(answer.json["token"])


def again(lab: Lab, tmp_path: Path) -> Callable[[], AbstractContextManager[Lab]]:
    """What boots the same prototype once more."""
    return lambda: open_lab(tmp_path / "prototype", lab.entry, lab.environment, lab.variables)


@contextmanager
def standing(boot: Boot, tmp_path: Path, source: str = SHOP) -> Iterator[tuple[LabTarget, Crew]]:
    """A first boot with a row, a changed file, a prepared memory and a user, and one boot beside it."""
    with boot({"main.py": source, "note.txt": "old"}) as (lab, blueprint):
        lab.prepare("main_block")
        lab.world.insert("items", {"id": 1, "name": "apple"})
        (lab.project / "note.txt").write_text("new")
        wallet = Wallet()
        credential = Credential((("Authorization", f"Bearer {secret(lab)}"),))
        wallet.add(Identity("user1", "user", credential, "log-in", login=Call("POST /login"), token=("token",), header=("Authorization", "Bearer ")))
        with Crew(again(lab, tmp_path), 1) as crew:
            yield LabTarget(lab, blueprint, wallet), crew


def test_twins_stand_where_the_first_stands(booted: Boot, tmp_path: Path) -> None:
    """Rows, written files, what was prepared in memory, and a user whose secret every boot makes anew: a twin answers as the first does."""
    told: dict[int, list[object]] = {}
    met = threading.Barrier(2, timeout=60)

    def look(worker: LabTarget, _: int) -> None:
        met.wait()
        told[id(worker)] = [each.response.json if each.response else None for trial in (MINE, ITEMS) for each in worker.anew(trial).exchanges]

    with standing(booted, tmp_path) as (first, crew):
        snapshot = first.lab.world.take()
        crew.work(first, snapshot, [("a", 1), ("b", 2)], look, Probe(MINE, 200))
        assert first.identity("user1") is not None
    assert len(told) == 2
    assert list(told.values()) == [[{"prepared": True, "note": "new"}, ["apple"]]] * 2


def test_worlds_are_apart(booted: Boot, tmp_path: Path) -> None:
    """What a trial writes in one world is not seen in the other, though both run at the same time."""
    counts: list[int] = []
    met = threading.Barrier(2, timeout=60)

    def write(worker: LabTarget, number: int) -> None:
        met.wait()
        trace = worker.anew(Trial((Call("POST /items", (Argument(Place.JSON, ("name",), Literal(f"n{number}")),), body="json"), *ITEMS.calls)))
        met.wait()
        assert trace.last.response is not None
        counts.append(len(trace.last.response.json))  # type: ignore[arg-type]

    with standing(booted, tmp_path) as (first, crew):
        crew.work(first, first.lab.world.take(), [("a", 1), ("b", 2)], write)
    assert counts == [2, 2]


def test_every_job_is_done_once(booted: Boot, tmp_path: Path) -> None:
    """Each job is done once, in several rounds of work, though two take from the same heap."""
    done: list[int] = []
    with standing(booted, tmp_path) as (first, crew):
        snapshot = first.lab.world.take()
        for _ in range(2):
            crew.work(first, snapshot, [(str(number % 3), number) for number in range(30)], lambda _, job: done.append(job))
    assert sorted(done) == sorted([*range(30), *range(30)])


def test_a_twin_that_cannot_be_had(booted: Boot, tmp_path: Path) -> None:
    """Where no further boot comes up, the first does all the work."""
    done: list[int] = []

    def refuse() -> AbstractContextManager[Lab]:
        raise BootError("no room")

    with standing(booted, tmp_path) as (first, _), Crew(refuse, 2) as crew:
        crew.work(first, first.lab.world.take(), [("a", 1), ("b", 2)], lambda _, job: done.append(job))
    assert done == [1, 2]


def test_a_fault_in_another_thread_is_raised(booted: Boot, tmp_path: Path) -> None:
    """An error of ours in a further boot's thread is not lost."""
    met = threading.Barrier(2, timeout=60)

    def fail(worker: LabTarget, _: int) -> None:
        met.wait()
        if worker.lab is not lead[0]:
            raise ZeroDivisionError

    lead: list[Lab] = []
    with standing(booted, tmp_path) as (first, crew):
        lead.append(first.lab)
        with pytest.raises(ZeroDivisionError):
            crew.work(first, first.lab.world.take(), [("a", 1), ("b", 2)], fail)


def test_the_crew_ends_while_it_works(booted: Boot, tmp_path: Path) -> None:
    """Leaving the context ends a boot that serves a request which never ends, and leaves no world behind."""
    never = '@app.get("/never")\n    def never():\n        import time\n        time.sleep(600)\n\n\n    '
    hanging = SHOP.replace('if __name__ == "__main__"', never + 'if __name__ == "__main__"')
    worlds: list[Path] = []
    met = threading.Barrier(2, timeout=60)

    def work(worker: LabTarget, _: int) -> None:
        worlds.append(worker.lab.work)
        met.wait()
        if worker.lab is not lead[0]:
            worker.anew(Trial((Call("GET /never"),)))
            return
        raise KeyboardInterrupt

    lead: list[Lab] = []
    with standing(booted, tmp_path, hanging) as (first, _):
        lead.append(first.lab)
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), Crew(again(first.lab, tmp_path), 1) as crew:
            crew.work(first, first.lab.world.take(), [("a", 1), ("b", 2)], work)
        assert time.monotonic() - began < REQUEST_SECONDS
    assert len(worlds) == 2
    assert not any(world.exists() for world in worlds)


def test_nothing_that_must_not_is_remembered(booted: Boot, tmp_path: Path) -> None:
    """A serial trial that was run before is remembered by `run`; `anew` runs it whatever is remembered."""
    with standing(booted, tmp_path) as (first, _):
        first.lab.world.take()
        known = first.run(ITEMS)
        assert first.run(ITEMS) is known
        assert first.anew(ITEMS) is not known
