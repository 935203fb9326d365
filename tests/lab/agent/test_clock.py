"""Owns the claims about the clock of one process."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

APP = """
import datetime, json, pickle, sqlite3, time
from datetime import date, datetime as moment, timedelta, timezone
from time import time as seconds

def told():
    link = sqlite3.connect(":memory:")
    now = moment.now()
    return {
        "time": time.time(), "name": seconds(), "ns": time.time_ns() / 1e9, "gmtime": time.mktime(time.gmtime()) - time.timezone,
        "now": moment.now(timezone.utc).timestamp(), "utcnow": moment.utcnow().replace(tzinfo=timezone.utc).timestamp(), "local": now.timestamp(),
        "module": datetime.datetime.now().timestamp(), "date": time.mktime(date.today().timetuple()), "today": time.mktime(datetime.date.today().timetuple()),
        "is": isinstance(now, moment) and isinstance(now, date) and isinstance(date.today(), date) and not isinstance(3, moment) and type(now) is type(moment(2020, 1, 1)),
        "kept": pickle.loads(pickle.dumps(now)) == now and moment.fromisoformat(now.isoformat()) == now and moment.strptime("2020", "%Y").year == 2020,
        "bound": link.execute("SELECT ?", (str(now),)).fetchone()[0] == str(now), "later": now + timedelta(days=1) > now, "fixed": moment.fromtimestamp(0, timezone.utc).year,
    }

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told()).encode()]
"""
CLOCKS = ("time", "name", "ns", "gmtime", "now", "utcnow", "local", "module")
DAY = 86_400


@pytest.fixture(scope="module")
def clocked(boot: Callable[..., Any]) -> Iterator[Any]:
    """Reads every clock there is."""
    return boot({"main.py": APP})


@pytest.mark.parametrize("days", [-400, 30])
def test_every_clock_of_a_process_shows_the_other_time(clocked: Any, days: int) -> None:
    """By whatever name it is read; what it makes is of the real classes, and other processes go by the real time."""
    child, other = clocked.child(), clocked.child()
    assert child.ask(do="clock", seconds=days * DAY) == {"shifted": days * DAY}
    seen, plain = (json.loads(each.serve(("GET", "/"))[0]["body"]) for each in (child, other))
    for name in CLOCKS:
        assert abs(seen[name] - time.time() - days * DAY) < 3700, name
        assert abs(plain[name] - time.time()) < 3700, name
    for name in ("date", "today"):
        assert abs(seen[name] - time.time() - days * DAY) < 2 * DAY
    for name in ("is", "kept", "bound", "later"):
        assert seen[name] is True, name
    assert seen["fixed"] == 1970
