"""Owns what a start-up writes by itself: a note that it started, the first turn of a loop. It comes with every process, and is no request's doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.errors import BootError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toughen.lab.boot import Lab
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.model.trial import Trial


def without(lab: Lab, honest: Mapping[str, Trace], trial: Trial, exchanges: Sequence[Exchange]) -> Callable[[tuple[RowChange, ...]], tuple[RowChange, ...]]:
    """Leaves out rows of tables that a start-up changes and that none of the trial's requests writes: not now, and not in its honest run."""
    alone = lab.settled.alone(lambda: _tables(lab)) if lab.whole or (lab.facts.get("lifespan") and lab.settled.reason) else frozenset()
    if not alone:
        return lambda found: found
    at_once = trial.schedule or trial.together
    routes = [each.route for each in (*trial.calls, *(at_once.calls if at_once else ()))]
    seen = [*exchanges, *(each for route in routes if route in honest for each in honest[route].exchanges)]
    own = {table.lower() for each in seen for statement in each.statements if statement.rows != 0 for table in statement.writes}
    return lambda found: tuple(each for each in found if each.table.lower() in own or each.table.lower() not in alone)


def _tables(lab: Lab) -> frozenset[str]:
    """Tables that a start-up changes where no request comes after it; the databases are those of the snapshot afterwards."""
    lab.restore()
    try:
        lab.begin()
    except BootError:
        return frozenset()
    now = lab.world.tables()
    found = frozenset(name.lower() for name in {*now, *lab.world.start} if now.get(name, {}) != lab.world.start.get(name, {}))
    lab.restore()
    return found
