"""Owns what one forced schedule of two requests costs, from the snapshot to the judged state."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from bench.measure import Figure, fastest
from bench.serving import APPS, booted, project
from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Literal
from toughen.model.trial import Schedule, Trial
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator

BOUND = 100.0
ROUNDS = 15


def figures() -> Iterator[Figure]:
    """Milliseconds of a trial with a schedule, on SQLite."""
    for name in ("Flask + sqlite3", "FastAPI + SQLAlchemy"):
        with project(APPS[name]) as root, booted(root) as lab:
            sources = read(root)
            # One request first: what children import late, the server then imports before it forks.
            target = LabTarget(lab, join(survey(sources), lab.facts, sources), Wallet())
            one, two = _order(1), _order(2)
            target.run(Trial((one,), isolated=True))
            lab.world.take()
            alone = target.run(Trial((one,), isolated=True)).last
            stop = next(index for index, each in enumerate(alone.statements) if each.verb == "update")

            (least,) = fastest(ROUNDS, partial(_raced, target, Trial((), schedule=Schedule(one, two, stop))))
        yield Figure(f"forced schedule, {name}", least * 1000, "ms", at_most=BOUND)


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
