"""Owns what a stranger may do: which routes are doors that must be open, and which rows only somebody logged in may change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Grant, Literal, Marker
from toughen.model.trial import Trial
from toughen.ownership import is_person, keys, linked
from toughen.twists import SECRET, changed, chosen, given, holds, key_of, named, succeeded, users

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.blueprint import Json
    from toughen.model.identity import Identity
    from toughen.model.journey import Call, Journey
    from toughen.model.trace import RowChange, Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Target

_DOOR = re.compile(
    r"sign-?_?up|register|log-?_?in\b|signin|log-?_?out|forgot|recover|password[-_/]?reset|reset[-_/]?password|verify|verification|confirm|activate|unsubscribe|subscribe"
    r"|newsletter|contact|feedback|webhook|callback|oauth|refresh|/token\b|health|captcha|track|guest",
    re.IGNORECASE,
)
"""Routes that are open in every sound prototype."""
_CARRIED = re.compile(r"(^|_)(token|otp|signature|sig|nonce|code|secret|access_key|api_?key)$", re.IGNORECASE)
"""What proves a right by itself: a reset code, a signed link."""
_PRIVATE = re.compile(r"^(e?mail|phone|address|ssn|iban|card_?number|date_of_birth|dob)", re.IGNORECASE)
_IDLE = re.compile(r"last_|_at$|login|seen|attempts|updated|count|views|clicks|hits|visits|votes|likes|lock|reset|otp|code|token|verif|expire|status", re.IGNORECASE)
"""Columns that an honest stranger may move: clocks, counters, codes that are sent to somebody."""
_OPEN = re.compile(r"avatar|image|photo|file|public|share|invite|slug", re.IGNORECASE)
_SHORTEST, _MOST, _BULK = 6, 4, 2


def door_by_name(route_id: str) -> bool:
    """Whether a route's own name says that it must be open: sign-up, contact, webhook."""
    return _DOOR.search(route_id) is not None


def carries_right(name: str) -> bool:
    """Whether a value of that name proves a right by itself: a reset code, a signed link."""
    return _CARRIED.search(name) is not None


def is_idle(column: str) -> bool:
    """Whether an honest stranger may move that column: a counter, a clock."""
    return _IDLE.search(column) is not None


def is_door(target: Target, journey: Journey) -> bool:
    """Sign-up, log-in, reset and the like: known by what they are given, by what they write, and by their names."""
    secrets = {value for each in target.identities for value in _credentials(each.login)}
    if door_by_name(journey.route) or any(each.login is not None and each.login.route == journey.route for each in target.identities):
        return True
    if any(source in {"mail", "mirror"} for _, source in journey.sources):
        return True
    if any((isinstance(each.value, Literal) and isinstance(each.value.value, str) and each.value.value in secrets) or carries_right(named(each)) for each in journey.call.arguments):
        return True
    honest, table = target.honest(journey.route), users(target.blueprint)
    if honest is None or table is None:
        return False
    if linked(target, honest.last):
        return True
    made = [each for each in changed(honest) if each.table == table.name]
    return bool(made) and all(each.kind == "inserted" for each in made)


def _credentials(call: Call | None) -> Iterator[Json]:
    for argument in call.arguments if call else ():
        if isinstance(argument.value, Literal) and SECRET.search(str(argument.path[-1])):
            yield argument.value.value


def siblings_of(target: Target, journey: Journey) -> tuple[str, ...]:
    """Routes on the same tables, or below the same stem, that a stranger was refused: the most common guard first, same method class before."""
    honest = target.honest(journey.route)
    tables = {table for each in honest.last.statements for table in (*each.reads, *each.writes)} if honest else set()
    stem = _stem(journey.route)
    found: list[tuple[int, str]] = []
    guards: dict[tuple[str, ...], int] = {}
    others = [each for each in target.journeys() if each.route != journey.route and each.identity and target.refuses(each.route)]
    for each in others:
        route = target.blueprint.route(each.route)
        kind = tuple(sorted(guard.name for guard in route.guards)) if route else ()
        guards[kind] = guards.get(kind, 0) + 1
    for each in others:
        route, facing = target.blueprint.route(each.route), target.honest(each.route)
        if route is None or facing is None or not route.handler.file:
            continue
        same = bool(tables & {table for one in facing.last.statements if one.text not in target.habits() for table in (*one.reads, *one.writes)})
        near = 8 * (_stem(each.route) == stem) + 4 * same
        writes = each.route.startswith("GET ") == journey.route.startswith("GET ")
        common = min(guards[tuple(sorted(guard.name for guard in route.guards))], 3)
        found.append((near + 2 * writes + common + (3 if _powerless(target, each.identity) else 0), each.route))
    return tuple(route for _, route in sorted(found, reverse=True)[:_MOST])


def _powerless(target: Target, name: str | None) -> bool:
    identity = target.identity(name or "")
    return identity is not None and name is not None and name.startswith("user")


def _stem(route: str) -> str:
    return route.partition(" ")[2].partition("{")[0].strip("/")


def unknown(call: Call) -> Call:
    """The call by somebody who never logged in; what it says in a header or cookie may be a key, and is made up."""
    found = call.by(None)
    for argument in call.arguments:
        if argument.place in {Place.HEADER, Place.COOKIE} and isinstance(argument.value, Literal):
            found = found.with_argument(argument.place, argument.path, Marker("made-up", "tgn{}"))
    return found


def stranger(target: Target, journey: Journey, siblings: tuple[str, ...]) -> Trial | None:
    """The control: the same request by somebody who is logged in, as whom the first sibling passes; None where nobody passes."""
    if not journey.anonymous:
        return Trial(journey.calls, journey.grants)
    names = [each.identity for route in siblings if (each := target.journey(route)) is not None]
    for name in dict.fromkeys([*names, *(each.name for each in target.identities)]):
        trial = Trial((*journey.calls[:-1], journey.call.by(name)), journey.grants)
        if name and succeeded(target.run(trial).last):
            return trial
    return None


def guarded_writes(target: Target, journey: Journey) -> tuple[tuple[str, str], ...]:
    """Facts for `moved`: what other routes change only for somebody who is logged in, and whose rows are whose."""
    found = set()
    for each in target.journeys():
        if each.route == journey.route or each.route.startswith("GET ") or not target.refuses(each.route):
            continue
        honest = target.honest(each.route)
        for change in changed(honest) if honest else ():
            sent = f"{honest.last.target} {honest.last.request_body}" if honest else ""
            names = [f"{name}:{'chosen' if given(change.after.get(name), sent) else 'made'}" for name in change.columns] if change.kind == "updated" else ["*"]
            found |= {f"{change.table}:{change.kind}:{name}" for name in names}
    table = users(target.blueprint)
    known = sorted({key for each in target.identities for key in keys(each)})
    owners = sorted(f"{each.name}:{column}" for each in target.blueprint.tables if (column := target.owner(each.name)))
    named_so = any(is_person(named(each)) or f"/users/{{{named(each)}}}" in journey.route for each in journey.call.arguments)
    return (("guarded", ",".join(sorted(found))), ("named", "yes" if named_so else ""), ("people", ",".join(known)), ("owners", ",".join(owners)), ("users", table.name if table else ""))


def moved(trace: Trace, experiment: Experiment) -> tuple[RowChange, ...]:
    """Rows that no stranger may touch: a user's own, or one that other routes touch in the same way only for somebody logged in."""
    guarded, people = set(experiment.fact("guarded").split(",")), set(experiment.fact("people").split(","))
    owners = dict(each.split(":", 1) for each in experiment.fact("owners").split(",") if ":" in each)
    tables = {each.partition(":")[0] for each in guarded}
    changes = changed(trace)
    only = all(each.kind == "deleted" for each in changes)

    def bad(change: RowChange) -> bool:
        row = change.before or change.after
        names = [name for name in change.columns if not is_idle(name)]
        if change.table == experiment.fact("users") and change.kind != "inserted":
            return change.kind == "deleted" or any(not _more(change, name) or chosen(change, name, trace.last) for name in names)
        holder = row.get(owners.get(change.table, ""))
        held = str(holder) in people
        match change.kind:
            case "deleted":
                return f"{change.table}:deleted:*" in guarded or (held and change.table in tables) or (only and change.table not in owners and change.table in tables)
            case "updated":
                # Somebody who edits says what stands there; the server takes from a stock, and counts a vote.
                hows = {name: "chosen" if chosen(change, name, trace.last) else "made" for name in names}
                return any(f"{change.table}:updated:{name}:{how}" in guarded for name, how in hows.items())
        # What the server writes to somebody by the way (a notice, an entry in a log) is nothing done in his name.
        return held and experiment.fact("named") == "yes" and f"{change.table}:inserted:*" in guarded and given(holder, f"{trace.last.target} {trace.last.request_body}")

    return tuple(each for each in changes if bad(each))


def _more(change: RowChange, name: str) -> bool:
    before, after = change.before.get(name), change.after.get(name)
    return isinstance(before, int | float) and isinstance(after, int | float) and after > before


def guarded_reads(target: Target, journey: Journey) -> Iterator[tuple[Grant, str]]:
    """A text planted in a user's row: in secrets, and in what a guarded sibling shows while this route shows it of everybody."""
    table = users(target.blueprint)
    owner = next((each for each in target.identities if each.row and each.table), None)
    if table is None or owner is None or not journey.route.startswith("GET "):
        return
    for column in table.columns:
        value = owner.row.get(column.name)
        if not isinstance(value, str) or len(value) < _SHORTEST or _OPEN.search(column.name) or journey.call.argument(Place.PATH, (column.name,)) is not None:
            continue
        private = _PRIVATE.search(column.name) and _guarded_elsewhere(target, journey.route, value) and _of_everybody(target, journey, column.name)
        if not SECRET.search(column.name) and not private:
            continue
        planted = f"planted-{column.name}-{len(value)}" + ("@example.com" if "mail" in column.name.lower() else "")
        yield Grant(owner.table or "", key_of(owner.row), column.name, planted), f"{table.name}.{column.name}"


def _of_everybody(target: Target, journey: Journey, column: str) -> bool:
    """Whether one anonymous answer shows that column of every user: a listing of people, not the address that an author or a seller gives."""
    honest = target.honest(journey.route)
    known = [text for each in target.identities if (text := _text(each, column))]
    return honest is not None and len(known) >= _BULK and all(holds(honest.last, text) for text in known)


def _text(identity: Identity, column: str) -> str:
    value = identity.row.get(column)
    return value if isinstance(value, str) else ""


def _guarded_elsewhere(target: Target, route_id: str, value: str) -> bool:
    """Whether another route shows the same value only to somebody who is logged in."""
    for journey in target.journeys():
        if journey.route != route_id and journey.route.startswith("GET ") and target.refuses(journey.route):
            honest = target.honest(journey.route)
            if honest is not None and holds(honest.last, value):
                return True
    return False
