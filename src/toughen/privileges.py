"""Owns what is shown of a role that does what is not its work: whose request, against whose honest one, and what says that it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.effects import effect, sight
from toughen.model.finding import Suspicion
from toughen.model.trial import Experiment, Trial
from toughen.ownership import PRIVILEGED, by, keys, powerful, whole
from toughen.raising import NEWCOMER
from toughen.twists import chosen, key_of, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Guard
    from toughen.model.identity import Identity
    from toughen.model.journey import Journey
    from toughen.model.trace import RowChange, Trace
    from toughen.rule import Target

DENIED = "denied"
_MOST_SIBLINGS = 3


def unasked(break_id: str, blueprint: Blueprint) -> Iterator[Suspicion]:
    """Routes that write, and ask only who is logged in, beside one of the same path that asks for a role."""
    writing = [route for route in blueprint.routes if route.method not in {"GET", "HEAD", "OPTIONS"} and route.handler.file]
    for route in writing:
        asked = [each for each in route.guards if each.kind in {"dependency", "decorator"}]
        if not asked or any(map(_asks_role, route.guards)):
            continue
        sibling = next((each for each in writing if _resource(each.path) == _resource(route.path) and any(_asks_role(guard) for guard in each.guards)), None)
        if sibling is not None:
            guard = next(each for each in sibling.guards if _asks_role(each))
            yield Suspicion(break_id, route.id, route.handler, f"it asks who is logged in, and {sibling.id} asks for more ({guard.name})")


def _asks_role(guard: Guard) -> bool:
    return bool(guard.roles) or (guard.kind in {"dependency", "decorator"} and bool(PRIVILEGED.search(guard.name)))


def _resource(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part and not part.startswith("{"))


def attempts(target: Target, journey: Journey) -> Iterator[Experiment]:
    """A privileged user's honest request, and the same by an ordinary one, where siblings may refuse him.

    That a guard names other roles is no evidence: it may turn them away, or ask for them in some cases only.
    """
    honest = target.honest(journey.route)
    if honest is None or not target.refuses(journey.route):
        return
    for one in _ordinary(target):
        siblings = _siblings(target, journey, honest, one)
        boss = _boss(target, journey, one, list(siblings.values()))
        if not siblings or boss is None:
            continue
        calls = whole(journey.calls, journey.identity or "", boss.name)
        detail = (("role", one.kind), ("attacker", one.name), ("owner", boss.name), ("siblings", ",".join(siblings)))
        trials = {"control": Trial(calls, journey.grants), "attack": Trial(by(calls, one.name, boss.name), journey.grants), "garbage": Trial(by(calls, target.forged_identity, boss.name), journey.grants)}
        for number, name in enumerate(siblings):
            other = siblings[name]
            trials[f"sibling {number}"] = Trial(whole(other.calls, other.identity or "", boss.name), other.grants)
            trials[f"refusal {number}"] = Trial(by(whole(other.calls, other.identity or "", boss.name), one.name, boss.name), other.grants)
        yield Experiment(trials, f"by a {one.kind}", detail)


def denial(target: Target, journey: Journey, one: str, role: str, *, object_: bool) -> Experiment:
    """The honest request, and the same by somebody to whom the reviewed policy denies it."""
    nobody = target.forged_identity
    trials = {
        "control": Trial(journey.calls, journey.grants), "attack": Trial(by(journey.calls, one or None, journey.identity), journey.grants),
        "garbage": Trial(by(journey.calls, nobody, journey.identity), journey.grants),
    }
    detail = (("role", role), ("attacker", one), ("owner", journey.identity or ""), ("policy", DENIED), ("object", "yes" if object_ else ""))
    return Experiment(trials, f"by {role}, whom the policy does not allow it", detail)


def did(experiment: Experiment, traces: Mapping[str, Trace], name: str, control: str = "control") -> bool:
    """Whether a request had the effect of the honest one."""
    nobody = traces["garbage"] if control == "control" else None
    honest = effect(sight(traces[control]), sight(nobody) if nobody is not None else None)
    return honest.same(sight(traces[name]), object_=bool(experiment.fact("object")))


def refusing(experiment: Experiment, traces: Mapping[str, Trace]) -> list[str]:
    """The siblings that do it for the privileged user and not for the ordinary one."""
    found = []
    for number, name in enumerate(each for each in experiment.fact("siblings").split(",") if each):
        honest = traces.get(f"sibling {number}")
        if honest is not None and succeeded(honest.last) and not did(experiment, traces, f"refusal {number}", f"sibling {number}") and traces[f"refusal {number}"].last.status in {401, 403}:
            found.append(name)
    return found


def _boss(target: Target, journey: Journey, one: Identity, siblings: list[Journey]) -> Identity | None:
    """Whoever may do it beyond doubt: the honest client where he has a role of power, else somebody of another role whom a sibling obeys, else somebody with a role of power."""
    own = target.identity(journey.identity or "")
    obeyed = [each for sibling in siblings if (each := target.identity(sibling.identity or "")) is not None]
    known = [*([own] if own is not None and powerful(own) else []), *(each for each in obeyed if each.kind != NEWCOMER), *filter(powerful, target.identities)]
    return next((each for each in known if each.kind != one.kind and each.tenant == one.tenant and (each.table == one.table or powerful(each))), None)


def _ordinary(target: Target) -> list[Identity]:
    """The first user of each role without power, in the home of all."""
    home = next((each.tenant for each in target.identities), None)
    users = next(iter(target.people()), None)
    found: dict[str, Identity] = {}
    for each in target.identities:
        if each.table != users:
            # People of another kind are no lower users: what is their work is theirs.
            continue
        if each.role is not None and not powerful(each) and not PRIVILEGED.search(each.kind) and each.tenant == home:
            found.setdefault(each.kind, each)
    return list(found.values())


def _siblings(target: Target, journey: Journey, honest: Trace, one: Identity) -> dict[str, Journey]:
    """Other routes that do the same to the same table, which belongs to nobody, or write it under the same path: they may refuse the ordinary user."""
    mine = {_kind(target, each, honest, one) for each in honest.final_changes} - {None}
    if not mine:
        return {}
    found: dict[str, Journey] = {}
    for each in target.journeys():
        trace = target.honest(each.route) if each.route != journey.route and not each.anonymous else None
        theirs = {_kind(target, change, trace, one) for change in trace.final_changes} - {None} if trace is not None else set()
        beside = _resource(each.route.partition(" ")[2]) == _resource(journey.route.partition(" ")[2])
        if mine & theirs or (beside and {table for table, *_ in mine} & {table for table, *_ in theirs}):  # type: ignore[misc]
            found[each.route] = each
        if len(found) >= _MOST_SIBLINGS:
            break
    return found


def _kind(target: Target, change: RowChange, trace: Trace, one: Identity) -> tuple[str, str, str] | None:
    """What was done to a row that belongs to nobody: (table, kind, column whose value the client chose); None for what anybody may own."""
    table = change.table.lower()
    if table in {each.lower() for each in target.people()}:
        row = change.before or change.after
        if change.kind == "inserted" or any(str(value) in keys(one) for _, value in key_of(row)):
            return None
    elif target.owners(change.table) or target.owner(change.table):
        return None
    if change.kind != "updated":
        return table, change.kind, ""
    column = next((name for name in change.columns if chosen(change, name, trace.last)), None)
    return None if column is None else (table, change.kind, column)


def about(experiment: Experiment) -> str:
    """Who may not, and what says so."""
    if experiment.fact("policy"):
        return "the reviewed policy does not allow it"
    return "routes that do the same to the same table refuse it"


