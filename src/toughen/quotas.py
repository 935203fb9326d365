"""Owns limits that are counted in rows: how often the honest request passes before it is refused, and the two that compete for the last place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.model.journey import Marker
from toughen.model.trial import Trial
from toughen.oracle import stops, succeeded
from toughen.pairs import AMPLE, Pair, tuned

if TYPE_CHECKING:
    from toughen.model.blueprint import Route
    from toughen.model.journey import Call, Journey
    from toughen.rule import Target

_MOST = 7
"""Requests after which nobody is going to be refused."""
_NO_QUOTA = (401, 403, 404, 429)
"""Refusals of who asks, of what is not there, and of who asks too often: they count no rows."""
_CLIENT, _SERVER = 400, 500


def last_place(target: Target, route: Route, journey: Journey) -> Pair | None:
    """The pair that competes for the last of several places that one user may take; None where nobody counts them, or one is all."""
    honest, habits = target.honest(route.id), target.habits()
    if route.method == "GET" or honest is None or not any(each.kind == "inserted" for each in honest.final_changes):
        return None
    places = stops(honest.last, honest.last, habits)
    if not places:
        return None
    calls, grants = tuned(journey, honest, AMPLE)
    before, own = calls[:-1], calls[-1]
    again = [numbered(own, index) for index in range(_MOST)]
    exchanges = target.run(Trial((*before, *again), grants)).exchanges[len(before) :]
    passed = [succeeded(each) for each in exchanges]
    limit = passed.index(False) if False in passed else 0
    status = exchanges[limit].status or _SERVER if limit else 0
    if limit <= 1 or any(passed[limit:]) or not _CLIENT <= status < _SERVER or status in _NO_QUOTA:
        return None
    return Pair((*before, *again[: limit - 1]), again[limit - 1], again[limit], grants, f"{route.id} twice at once, for the last of {limit} places", places)


def numbered(call: Call, index: int) -> Call:
    """The call with canaries of its own: what must be another one each time is."""
    for each in call.arguments:
        if isinstance(each.value, Marker):
            call = call.with_argument(each.place, each.path, replace(each.value, name=f"{each.value.name}-{index}"))
    return call
