"""Owns how somebody gives himself power: the value that would give it, the user's own request, the row that it changes, and the door that opens to him then."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.ownership import keys, whole
from toughen.pairs import shifted
from toughen.twists import POWER, changed, key_of, literal, named, powerful, succeeded, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Column, Json, Route, Table
    from toughen.model.identity import Identity
    from toughen.model.journey import Argument, Call, Journey
    from toughen.model.trace import RowChange, Trace
    from toughen.rule import Target

NEWCOMER = "user"
"""The kind of those whom sign-up lets in: what they may do says nothing of a role."""
_RULING = re.compile(r"admin|super|staff|moderator|root|employee", re.IGNORECASE)
"""Roles that nobody gives himself; a teacher or a seller may say so."""
_ROLE = re.compile(r"^(user|member|customer|client|guest|viewer|reader|student|basic|free|standard|pending|normal)s?$", re.IGNORECASE)
"""What a role is called that has no power."""
_POWER = 77013
_MOST_DOORS = 2
_BY_KEY, _BY_NAME = frozenset({"id", "user_id", "userid", "uid"}), frozenset({"username", "user_name", "email", "login"})


def gains(target: Target, journey: Journey) -> Iterator[Experiment]:
    """A newcomer's own request with a role of power in it, aimed at himself; then at a door which that role opens, and which refuses him before."""
    one = target.identity(journey.identity or "")
    if one is None or one.role is None or one.kind != NEWCOMER or not target.refuses(journey.route):
        return
    column = next((name for name, value in one.row.items() if POWER.search(name) and str(value) == one.role), None)
    argument = next((each for each in journey.call.arguments if column is not None and named(each) == column and literal(each) is not None), None)
    if column is None or argument is None:
        return
    call = _himself(journey.call, one)
    if call != journey.call and not succeeded(target.run(Trial((*journey.calls[:-1], call), journey.grants)).last):
        return
    own = replace(journey, calls=(*journey.calls[:-1], call))
    if _chosen_at_will(target, one, column):
        return
    roles = {each.role: each for each in reversed(target.identities) if each.role is not None and _RULING.search(each.role) and each.tenant == one.tenant}
    for role, boss in roles.items():
        doors = _doors(target, one, boss)
        if doors:
            yield _raised(target, own, argument, (one, boss), doors, _spelled(target, role))


def _chosen_at_will(target: Target, one: Identity, column: str) -> bool:
    """Whether sign-up itself asks for the role: then everybody is what he says that he is, and means to be."""
    for each in target.journeys():
        route, made = target.blueprint.route(each.route), target.honest(each.route) if each.anonymous else None
        if route is not None and made is not None and any(change.kind == "inserted" and change.table.lower() == (one.table or "").lower() for change in made.final_changes):
            return any(parameter.name == column for parameter in route.parameters)
    return False


def _himself(call: Call, one: Identity) -> Call:
    """The request with what names a user by his key, user name or e-mail naming the sender."""
    row = {name.lower(): value for name, value in one.row.items()}
    key = next((value for _, value in key_of(one.row)), None)
    for argument in call.arguments:
        name = named(argument).lower()
        value = key if name in _BY_KEY else row.get(name) if name in _BY_NAME else None
        if value is not None:
            call = call.with_argument(argument.place, argument.path, Literal(value))
    return call


def gained(experiment: Experiment, traces: Mapping[str, Trace]) -> tuple[RowChange, ...]:
    """The rows of the user himself that hold the role now; none where he was refused, or where no door says that the role is worth something."""
    row = experiment.fact("row").split(",")
    column, role = experiment.fact("column"), experiment.fact("value")
    return tuple(
        each for each in changed(traces["attack"])
        if each.table.lower() == experiment.fact("people") and column in each.columns and _plain(each.after.get(column)) == _plain(role) and any(str(value) in row for value in each.before.values())
    )


def opened(experiment: Experiment, traces: Mapping[str, Trace]) -> tuple[str, ...]:
    """The doors that refuse him, and let in who has the role."""
    found = []
    for number, name in enumerate(experiment.fact("siblings").split(",")):
        if succeeded(traces[f"door {number}"].last) and traces[f"refusal {number}"].last.status in {401, 403}:
            found.append(name)
    return tuple(found)


def entered(experiment: Experiment, traces: Mapping[str, Trace], opened: tuple[str, ...]) -> tuple[str, ...]:
    """The opened doors that let him in with his new role: at once, or when he has logged in again, where his token says what he may."""
    doors = enumerate(experiment.fact("siblings").split(","))
    return tuple(name for number, name in doors if name in opened and any(succeeded(traces[f"{way} {number}"].last) for way in ("entered", "again")))


def _doors(target: Target, one: Identity, boss: Identity) -> list[Journey]:
    """Journeys, as that boss goes them, that refuse a newcomer."""
    found: list[Journey] = []
    for each in target.journeys():
        own = target.identity(each.identity or "")
        if own is None or own.kind == NEWCOMER or len(found) >= _MOST_DOORS:
            continue
        his = replace(each, calls=whole(each.calls, own.name, boss.name))
        refused = target.run(Trial(whole(each.calls, own.name, one.name), each.grants)).last.status in {401, 403}
        if refused and succeeded(target.run(Trial(his.calls, his.grants)).last):
            found.append(his)
    return found


def _raised(target: Target, journey: Journey, argument: Argument, people: tuple[Identity, Identity], doors: list[Journey], role: str) -> Experiment:
    one, boss = people
    column = named(argument)
    # Whoever has the role may hand it out; where he may not either, what the newcomer himself may do is all that is known to be honest.
    ruled = whole(journey.calls, one.name, boss.name)
    control = ruled if succeeded(target.run(Trial(ruled, journey.grants)).last) else journey.calls
    attack = journey.call.with_argument(argument.place, argument.path, Literal(role))
    calls = (*journey.calls[:-1], attack)
    trials = {"control": Trial(control, journey.grants), "attack": Trial(calls, journey.grants)}
    for number, door in enumerate(doors):
        entering = whole(door.calls, door.identity or "", one.name)
        trials[f"door {number}"] = Trial(door.calls, door.grants)
        trials[f"refusal {number}"] = Trial(entering, door.grants)
        for name, before in (("entered", calls), ("again", (*calls, *([one.login.by(one.name)] if one.login is not None else [])))):
            trials[f"{name} {number}"] = Trial((*before, *(shifted(each, len(before)) for each in entering)), (*journey.grants, *door.grants))
    detail = (
        ("kind", "gain"), ("attacker", one.name), ("role", one.kind), ("gained", boss.kind), ("value", role), ("column", column),
        ("people", (one.table or "").lower()), ("row", ",".join(sorted(keys(one)))), ("siblings", ",".join(each.route for each in doors)),
    )
    return Experiment(trials, f"{column} = {role!r} by a {one.kind}", detail)


def _spelled(target: Target, role: str) -> str:
    """A role as clients write it: as the source does, where that knows it."""
    return next((str(each) for each in target.blueprint.roles if _plain(each) == _plain(role)), role)


def _plain(role: object) -> str:
    return str(role or "").rpartition(".")[2].lower()


# -- what gives power --------------------------------------------------------------------------------------------------


def power(column: Column, present: Json, target: Target) -> Json:
    """A value of power that differs from the present one and that the column takes, a role that rules first; None where a flag is on for everybody: to switch it off is no gain."""
    if isinstance(present, bool) or column.type == "boolean" or (column.type in {"integer", "any"} and column.name.lower().startswith("is_")):
        return None if present else True
    if isinstance(present, int | float) or column.type in {"integer", "number"}:
        return _POWER
    others = [each for each in (*column.enum, *(each.role for each in target.identities if each.role), *target.blueprint.roles) if str(each).lower() != str(present).lower()]
    return next((each for each in others if _RULING.search(str(each))), next(iter(others), "admin"))


def open_to_clients(target: Target, route: Route, table: Table, column: str, present: Json, value: Json) -> bool:
    """Whether a route asks for a column of power by its name, for a value that clients may say, and no route of the powerful sets it.

    The opening balance of one's own book and an employee's role are the client's to say; who may not say them must be told by
    something. Of one's own account it is what one is here: a teacher, a seller, a pupil's guardian, not who rules.
    """
    honest, people = target.honest(route.id), users(target.blueprint)
    asked = {each.name for each in route.parameters if each.place in {Place.JSON, Place.FORM}}
    asked |= {str(each.key[-1]) for each in honest.last.demands if each.key} if honest else set()
    own = {(people.name if people else "").lower(), *((each.table or "").lower() for each in target.identities)}
    said = isinstance(present, str) and isinstance(value, str) and not _RULING.search(value)
    if column not in asked or (not said and (table.name.lower() in own or (isinstance(present, str) and _ROLE.search(present)))):
        return False
    for each in target.journeys():
        facing = target.honest(each.route) if each.route != route.id and powerful(target.identity(each.identity or "")) else None
        if facing is not None and any(one.table == table.name and one.kind == "updated" and column in one.columns for one in changed(facing)):
            return False
    return True
