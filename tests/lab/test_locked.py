"""A database that a failed handler keeps locked, or that somebody wrecked, is there again for the next process."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import closing
from typing import TYPE_CHECKING

from toughen.lab.child import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.lab.child import Child
    from toughen.model.blueprint import Blueprint
    from toughen.model.trace import Exchange

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

APP = """
    import sqlite3
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    db = sqlite3.connect("shop.db", check_same_thread=False, timeout=0.1)
    db.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    db.execute("INSERT OR IGNORE INTO items (name) VALUES ('first')")
    db.commit()


    @app.get("/items")
    def items():
        return jsonify([row[0] for row in db.execute("SELECT name FROM items ORDER BY id")])


    @app.post("/items")
    def add():
        db.execute("INSERT INTO items (name) VALUES (?)", (request.json["name"],))
        db.commit()
        return items()
    """

ALIVE = """
    import threading
    import time

    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    """


def ask(child: Child, method: str, name: str = "") -> Exchange:
    """One answer: the items, or what adding one came to."""
    body = b64encode(json.dumps({"name": name}).encode()).decode() if name else ""
    headers = [["Host", "localhost"], ["Content-Type", "application/json"]]
    return child.serve({"method": method, "target": "/items", "headers": headers, "body_b64": body}, Record())


def names(child: Child, method: str = "GET", name: str = "") -> object:
    """The items that the answer shows, which must be 200."""
    answer = ask(child, method, name).response
    assert answer is not None
    assert answer.status == 200, answer.body
    return answer.json


def test_a_lock_goes_with_the_process_that_kept_it(booted: Boot) -> None:
    """A handler that fails within its transaction keeps the one connection's lock; after the rollback the next child writes, to the same file."""
    with booted({"main.py": APP}) as (lab, _):
        lab.world.take()
        file = lab.world.root / lab.world.databases[0].name
        inode = file.stat().st_ino
        before = lab.world.checkpoint()
        child = lab.child()
        failed = ask(child, "POST", "first")
        assert failed.failure is not None
        assert failed.failure.type == "sqlite3.IntegrityError"
        with closing(lab.child()) as other:
            locked = ask(other, "POST", "second")
        assert locked.failure is not None
        assert "database is locked" in locked.failure.message
        lab.world.rollback(before)
        assert not child.open
        assert file.stat().st_ino == inode
        assert (lab.world.laid, lab.boots) == (0, 1)
        with closing(lab.child()) as after:
            assert names(after, "POST", "second") == ["first", "second"]


def test_a_lock_goes_with_a_process_of_its_own(booted: Boot) -> None:
    """Where forking is unsafe, the process that keeps the lock is ended as well: the same file is put back, none is laid anew, and the next process writes."""
    with booted({"main.py": ALIVE + APP}) as (lab, _):
        assert lab.whole, lab.facts
        lab.world.take()
        file = lab.world.root / lab.world.databases[0].name
        inode = file.stat().st_ino
        before = lab.world.checkpoint()
        child = lab.child()
        assert names(child, "POST", "second") == ["first", "second"]
        failed = ask(child, "POST", "first")
        assert failed.failure is not None
        assert failed.failure.type == "sqlite3.IntegrityError"
        assert child.open
        lab.world.rollback(before)
        assert not child.open
        assert file.stat().st_ino == inode
        assert (lab.world.laid, lab.boots) == (0, 1)
        with closing(lab.child()) as after:
            assert names(after, "POST", "third") == ["first", "third"]
            assert [row["name"] for row in lab.world.rows("items")] == ["first", "third"]


def test_what_nobody_locks_ends_nobody(booted: Boot) -> None:
    """Where the database can be put back at once, the processes that have it open go on, and see what was put back."""
    with booted({"main.py": APP}) as (lab, _):
        before = lab.world.checkpoint()
        with closing(lab.child()) as child:
            assert names(child, "POST", "second") == ["first", "second"]
            lab.world.rollback(before)
            assert child.open
            assert names(child) == ["first"]


def test_a_damaged_file_is_laid_anew_for_the_next_child(booted: Boot) -> None:
    """Who had the damaged file open since its import is started again: the next child reads and writes the file that has its name."""
    with booted({"main.py": APP}) as (lab, _):
        before = lab.world.checkpoint()
        child = lab.child()
        file = lab.world.root / lab.world.databases[0].name
        file.write_bytes(b"SQLite format 3\x00" + b"garbage" * 500)
        lab.world.rollback(before)
        assert not child.open
        assert lab.world.laid == 1
        with closing(lab.child()) as after:
            assert names(after, "POST", "second") == ["first", "second"]
            assert [row["name"] for row in lab.world.rows("items")] == ["first", "second"]
        assert lab.boots == 2
        with closing(lab.child()) as later:
            assert names(later) == ["first", "second"]
        assert lab.boots == 2
