"""Owns what one forced schedule of two requests costs, from the snapshot to the judged state."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from bench.measure import Figure
from bench.serving import APPS, OURS, booted, project
from toughen.lab.credentials import Wallet
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Literal
from toughen.model.trial import Schedule, Trial
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.lab.boot import Lab

SQLITE, POSTGRES = 50.0, 120.0
ROUNDS = 31


def figures() -> Iterator[Figure]:
    """Milliseconds of a trial with a schedule, in the median: on SQLite, and on PostgreSQL."""
    for name in ("Flask + sqlite3", "FastAPI + SQLAlchemy"):
        with project(APPS[name]) as root, booted(root) as lab:
            yield _figure(name, root, lab, SQLITE)
    with project("fastapi_postgres") as root:
        entry = survey(read(root)).entry
        assert entry is not None
        with open_lab(root, entry, OURS, {}, server="postgresql") as lab:
            yield _figure("FastAPI + SQLAlchemy + psycopg 3", root, lab, POSTGRES)


def _figure(name: str, root: Path, lab: Lab, bound: float) -> Figure:
    sources = read(root)
    # One request first: what children import late, the server then imports before it forks.
    target = LabTarget(lab, join(survey(sources), lab.facts, sources), Wallet())
    one, two = _order(1), _order(2)
    target.run(Trial((one,), isolated=True))
    lab.world.take()
    alone = target.run(Trial((one,), isolated=True)).last
    stop = next(index for index, each in enumerate(alone.statements) if each.verb == "update")
    race = Trial((), schedule=Schedule(one, two, stop))
    seconds = [_raced(target, race) for _ in range(ROUNDS)]
    return Figure(f"forced schedule, {name}", statistics.median(seconds) * 1000, "ms", at_most=bound, beside=f"fastest {min(seconds) * 1000:.1f} ms of {ROUNDS}")


def _raced(target: LabTarget, race: Trial) -> float:
    """Seconds of one trial with a schedule."""
    began = time.perf_counter()
    trace = target.run(race)
    spent = time.perf_counter() - began
    assert trace.schedule[0].startswith("A stops before"), trace.schedule
    return spent


def _order(quantity: int) -> Call:
    named = {"item": 3, "quantity": quantity}
    arguments = tuple(Argument(Place.JSON, (key,), Literal(value)) for key, value in named.items())
    return Call("POST /orders", arguments, body="json")
