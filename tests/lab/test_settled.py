"""Children that come from a process which went through the prototype's start-up before them."""

from __future__ import annotations

import json
import os
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from toughen.lab.child import Child, Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

APP = """
    import asyncio
    import os
    import socket
    import sqlite3
    import threading
    import time
    from contextlib import asynccontextmanager
    from fastapi import FastAPI

    held = {}

    def connect():
        connection = sqlite3.connect("shop.db")
        connection.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT)")
        return connection

    async def forever():
        while True:
            await asyncio.sleep(60)

    @asynccontextmanager
    async def lifespan(app):
        held["pid"] = os.getpid()
        connection = connect()
        if connection.execute("SELECT COUNT(*) FROM items").fetchone() == (0,):
            connection.execute("INSERT INTO items (name) VALUES ('first')")
        connection.commit()
        connection.close()
        START
        yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/who")
    def who():
        return {"own": os.getpid(), "started": held["pid"]}

    @app.post("/items")
    def add(name: str, nap: float = 0):
        connection = connect()
        connection.execute("INSERT INTO items (name) VALUES (?)", (name,))
        time.sleep(nap)
        connection.commit()
        names = [row[0] for row in connection.execute("SELECT name FROM items ORDER BY id")]
        connection.close()
        return {"names": names}
"""


def prototype(start: str = "pass") -> dict[str, str]:
    """The app, with these lines at the end of its start-up."""
    return {"main.py": APP.replace("        START", "\n".join("        " + line for line in start.splitlines()))}


def ask(child: Child, method: str, target: str) -> Any:
    """The JSON of one answer, which must be 200."""
    request = {"method": method, "target": target, "headers": [["Host", "localhost"]], "body_b64": ""}
    answer = child.serve(request, Record()).response
    assert answer is not None
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def who(lab: Lab, *, restored: bool = True) -> Any:
    """What a new child says of itself."""
    with closing(lab.child(restored=restored)) as child:
        return ask(child, "GET", "/who")


def snapshot(lab: Lab) -> None:
    """Seed the database as a first start-up does, and take the snapshot."""
    who(lab, restored=False)
    lab.world.discover(lab.opened)
    lab.world.take()


def test_children_share_one_start_up(booted: Boot) -> None:
    """From restored databases each child is a process of its own whose memory is that of one start-up; a changed database gets its own."""
    with booted(prototype()) as (lab, _):
        snapshot(lab)
        seen = []
        for _ in range(2):
            lab.restore()
            with closing(lab.child(restored=True)) as child:
                seen.append(ask(child, "GET", "/who"))
                assert ask(child, "POST", "/items?name=b") == {"names": ["first", "b"]}
        assert lab.settled.reason == ""
        assert seen[0]["started"] == seen[1]["started"]
        assert len({seen[0]["own"], seen[1]["own"], seen[0]["started"]}) == 3
        told = who(lab, restored=False)
        assert told["own"] == told["started"]


def test_two_children_at_once_hear_their_own_threads(booted: Boot) -> None:
    """Worker threads wake the loop of their own process, though both loops come from one."""
    with booted(prototype()) as (lab, _):
        snapshot(lab)
        children = [lab.child(restored=True) for _ in range(2)]
        done: list[Any] = []

        def busy(child: Child, name: str) -> None:
            done.extend(ask(child, "POST", f"/items?name={name}&nap=0.01")["names"][-1:] for _ in range(8))

        threads = [threading.Thread(target=busy, args=(child, name)) for child, name in zip(children, "ab", strict=True)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(30)
        for child in children:
            child.close()
        assert len(done) == 16
        assert lab.settled.reason == ""


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("held['task'] = asyncio.create_task(forever())", "tasks of its start-up go on beside the requests"),
        ("threading.Thread(target=time.sleep, args=(60,), daemon=True, name='worker').start()", "threads alive after the import: worker"),
        ("held['db'] = connect()", "a connection to a database is open"),
        ("held['peer'] = socket.socketpair()", "a connection is open"),
        ("again = connect(); again.execute(\"INSERT INTO items (name) VALUES ('again')\"); again.commit(); again.close()", "its start-up changes the databases"),
    ],
    ids=["task", "thread", "database", "socket", "rows"],
)
def test_what_cannot_be_shared_is_started_anew(booted: Boot, start: str, reason: str) -> None:
    """A start-up that leaves something running or open, or writes each time, happens in every child, as ever."""
    with booted(prototype(start)) as (lab, _):
        snapshot(lab)
        lab.restore()
        told = who(lab)
        assert lab.settled.reason == reason
        assert told["own"] == told["started"]


def test_a_new_snapshot_has_a_start_up_of_its_own(booted: Boot) -> None:
    """What the start-up read before the databases were changed for good is not kept."""
    with booted(prototype()) as (lab, _):
        snapshot(lab)
        first = who(lab)
        lab.restore()
        lab.world.take()
        second = who(lab)
        assert first["started"] != second["started"]


def test_its_end_is_not_the_end(booted: Boot) -> None:
    """Where the settled process was killed, the next child comes from the server."""
    with booted(prototype()) as (lab, _):
        snapshot(lab)
        who(lab)
        source = lab.settled.connection()
        assert source is not None
        source.kill()
        told = who(lab)
        assert told["own"] == told["started"]
        assert os.getpid() != told["own"]
        assert lab.settled.reason == "it was lost"


def test_a_failed_start_up_is_told_by_the_child(booted: Boot) -> None:
    """A start-up that raises is no reason to boot again and again: whoever asks for a child hears of it."""
    with booted(prototype("if os.path.exists('broken'): raise RuntimeError('no start')")) as (lab, _):
        snapshot(lab)
        (lab.project / "broken").touch()
        assert lab.settled.connection() is None
        assert "no start" in lab.settled.reason
