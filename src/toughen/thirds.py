"""Owns three at once: a request that asks again when it was overtaken, and is overtaken once more.

Two at once show nothing of it: the first is told that its row has moved, reads it again and does right. What stands behind
its last attempt shows when that one is lost, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.model.finding import Evidence
from toughen.model.trial import Experiment, Schedule, Trial
from toughen.oracle import differing_number, state, succeeded, telling_write, volatile
from toughen.pairs import steer, told
from toughen.rule import Fails, Holds, Unclear
from toughen.twists import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.trace import Exchange, Trace
    from toughen.pairs import Pair
    from toughen.rule import Judgement, Target

THREE = "three"
"""Fact of an experiment, and of its evidence, in which three are at once."""
_PARTIES = 3
_SERVER = 500


def overtaken(target: Target, pair: Pair, roomy: Iterator[Pair], *, limited: bool) -> Experiment | None:
    """The same request three times, the first overtaken at its write and at the write of its next attempt; None where it makes none, or they are not the same.

    The first of the `roomy` pairs has room for both: overtaken once, the first passes there. `limited` says that the second of
    the `pair` is refused in turn.
    """
    place = pair.places[0] if pair.places else None
    if place is None or pair.first != pair.second:
        return None
    if succeeded(target.run(pair.in_turn).last) == limited or not _asks_again(target.run(pair.race(place)), place):
        return None
    roomier = next(roomy, None)
    again = _written_again(target.run(roomier.race(place)), place) if roomier is not None and roomier.first == roomier.second else None
    if roomier is None or again is None:
        return None
    call, before, grants, apart = roomier.first, roomier.before, roomier.grants, roomier.apart
    in_turn = (*before, call, call, call)
    trials = {
        "control": Trial(in_turn, grants, apart=apart),
        "again": Trial(in_turn, grants, isolated=True, apart=apart),
        "two": Trial(in_turn[:-1], grants, apart=apart),
        "first": Trial(in_turn[:-2], grants),
        "race": Trial(before, grants, Schedule(call, call, place, call, again), isolated=True, apart=apart),
    }
    return Experiment(trials, f"{call.route} three times at once, overtaken before statements {place} and {again}", ((THREE, "yes"),))


def _asks_again(race: Trace, place: int) -> bool:
    """Whether the first, once it was overtaken, sends a SELECT that it had sent before."""
    one = race.exchanges[-2]
    asked = {each.text for each in one.statements[:place] if each.verb == "select"}
    return any(each.verb == "select" and each.text in asked for each in one.statements[place:])


def _written_again(race: Trace, place: int) -> int | None:
    """The statement with which the first writes anew what it could not write when it was overtaken."""
    one = race.exchanges[-2]
    if not all(map(succeeded, race.exchanges[-2:])) or place >= len(one.statements) or one.statements[place].rows:
        return None
    written = one.statements[place].text
    return next((index for index, each in enumerate(one.statements) if index > place and each.text == written), None)


def judged(traces: Mapping[str, Trace]) -> Judgement:
    """In turn the third is refused, or all are noted; at once all pass, and the rows are those of no order."""
    control = traces["control"]
    in_turn = [succeeded(each) for each in control.exchanges[-_PARTIES:]]
    if not all(in_turn[:2]):
        return Unclear("the honest request does not succeed twice in turn")
    again = traces["again"]
    masked = volatile(control, again)
    if state(control.changes, masked) != state(again.changes, masked):
        return Unclear(UNSEEN)
    race = traces["race"]
    three = race.exchanges[-_PARTIES:]
    passed = sum(map(succeeded, three))
    if any(each.status is None or each.status >= _SERVER for each in three):
        return Fails()
    serially = [state(traces[name].changes, masked) for name in ("first", "two", "control")]
    if not passed or state(race.changes, masked) == serially[passed - 1] or state(race.changes, masked) == serially[-1]:
        return Fails()
    refused = control.exchanges[-1]
    if passed > sum(in_turn):
        message = f"three requests at once all succeed ({', '.join(str(each.status) for each in three)}); one after the other, the third is refused ({refused.status})"
        return Holds(_evidence(message, race, control, three[0]))
    lost = differing_number(race, control)
    if passed == len(three) and lost is not None:
        table, column, expected, found = lost
        return Holds(_evidence(f"three requests at once leave {table}.{column} at {found}; one after the other they leave {expected}", race, control, three[0], column))
    return Fails()


def _evidence(message: str, race: Trace, control: Trace, one: Exchange, column: str = "") -> Evidence:
    write = telling_write(one, race)
    return Evidence(
        message,
        {**told(race, control, _PARTIES), "rows": [f"{each.kind} {each.table}" for each in race.changes]},
        write.location if write else None,
        (*steer(one, write, write.writes[0] if write else "", column), (THREE, "yes")),
    )
