"""Owns the evidence that an object is private: who else may list it, who is refused, what names it, and what harms its owner."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen import sql
from toughen.model.blueprint import Place
from toughen.model.journey import Extract, Literal, Marker, Stored
from toughen.model.trial import Experiment, Trial
from toughen.ownership import aimed, belonging, by, free, is_person, keys, linked, row_of, shows, told, whole
from toughen.twists import POWER, given, literal, succeeded, texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.model.identity import Identity
    from toughen.model.journey import Call, Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.ownership import Planted
    from toughen.rule import Target

PRIVATE_TABLE = re.compile(
    r"(^|_)(orders?|invoices?|carts?|baskets?|payments?|(?:credit|debit|bank|payment|gift)_?cards?|wallets?|addresses|address|prescriptions?|payslips?|transactions?|diary|diaries|journals?"
    r"|bank_?accounts?|accounts?|savings|loans?|settings|preferences|medical_?records?)(_items?)?$",
    re.IGNORECASE,
)
"""Kinds of rows that no prototype means to share among its users."""
_GROUP = re.compile(r"team|org|tenant|company|household|group|workspace|department|project|board|room|family|community|club|class|school", re.IGNORECASE)
_LISTS, _SIBLINGS = 20, 3
_REFUSED = frozenset({401, 403, 404})
_TELLING = {"PUT": {"GET", "PUT", "PATCH"}, "PATCH": {"GET", "PUT", "PATCH"}, "DELETE": {"GET", "POST", "PUT", "PATCH", "DELETE"}}
"""Whose refusal says that a method is not for everybody: in a wiki each may edit, and only the author may delete; what one may not
edit one may read, bid on, or answer. Only who may not even see an object has no business with it."""


def staged(target: Target, own: Journey, owner: Identity, attacker: Identity, planted: Planted) -> Experiment:
    """The whole experiment on one planted object: control, attack, nobody, a made-up credential, listings, siblings."""
    calls, grants, kind = planted.calls, planted.grants, "read" if own.route.startswith("GET ") else "write"
    hostile = calls[-1]
    for argument in list(texts(hostile)) if kind == "write" else ():
        if argument.place is not Place.PATH and str(literal(argument)) not in keys(owner) and free(target, own.route, argument):
            hostile = hostile.with_argument(argument.place, argument.path, Marker(f"written{argument.path[-1]}", "tgn{}"))
    control = target.run(Trial(calls, grants))
    tables = _objects(target, control, planted)
    lists = listings(target, own, planted.canary)
    attack = Trial(by((*calls[:-1], hostile), attacker.name, owner.name), grants)
    work = _office(target, own, owner)
    mixed = work or linked(target, control.last) or shared(target.run(attack).last, tables, target.habits(), attacker)
    private = planted.secret or bool(POWER.search(planted.column)) or any(PRIVATE_TABLE.search(each) for each in tables)
    trials = {
        "control": Trial(calls, grants),
        "attack": attack,
        "anonymous": Trial(by(calls, None, owner.name), grants),
        "garbage": Trial(by((*calls[:-1], hostile), target.forged_identity, owner.name), grants),
        "listing": Trial((*calls[:-1], *(each.by(attacker.name) for each in lists), *(each.by(owner.name) for each in lists), calls[-1]), grants),
        **siblings(target, own, owner, attacker, tables),
    }
    likewise = Trial(whole(calls, owner.name, attacker.name), own.grants)
    if len(calls) > 1 and succeeded(target.run(likewise).last):
        trials["own"] = likewise
    detail = (
        ("kind", kind), ("owner", owner.name), ("attacker", attacker.name), ("canary", planted.canary), ("field", planted.column),
        ("before", str(len(calls) - 1)), ("lists", str(len(lists))), ("private", "yes" if private else ""), ("mixed", "yes" if mixed else ""), ("office", "yes" if work else ""), ("objects", ",".join(sorted(tables))),
    )
    return Experiment(trials, f"another's object, {kind}", (*detail, *belonging(target, owner, attacker, control)))


def _office(target: Target, own: Journey, owner: Identity) -> bool:
    """Whether a role's work on users is asked for: whoever has signed up may not do it even to himself."""
    newcomer, call = next(iter(target.identities), None), own.call
    if newcomer is None or newcomer.role == owner.role or newcomer.table != owner.table:
        return False
    for argument in own.call.arguments:
        column = next((name for name, value in owner.row.items() if str(value) == str(literal(argument)) and str(value) in keys(owner)), None)
        if column is not None and newcomer.row.get(column) is not None:
            call = call.with_argument(argument.place, argument.path, Literal(newcomer.row[column]))
    return call != own.call and target.run(Trial((*own.calls[:-1], call.by(newcomer.name)), own.grants)).last.status in _REFUSED


def _objects(target: Target, control: Trace, planted: Planted) -> frozenset[str]:
    """Tables of what is at stake: the rows that the owner's request changed, else those in which the canary was read."""
    marker = control.markers.get(planted.canary)
    text = f"tgn{marker}" if marker else planted.canary
    changed = {each.table.lower() for each in control.final_changes if each.kind != "inserted" and target.owners(each.table)}
    read = {table for each in control.last.statements if text and any(text in str(value) for row in each.sample for value in row.values()) for table in each.reads if target.owners(table)}
    holding = {each for each in read if (known := target.blueprint.table(each)) is not None and known.column(planted.column) is not None}
    return frozenset(changed or holding or read)


def visible(experiment: Experiment, traces: Mapping[str, Trace], whose: str) -> bool:
    """Whether a listing shows the object to its owner or to the attacker."""
    before, count = int(experiment.fact("before")), int(experiment.fact("lists"))
    start = before + (count if whose == "owner" else 0)
    listing = traces["listing"]
    seen = listing.exchanges[start : start + count]
    marker = listing.markers.get(experiment.fact("canary"))
    text = f"tgn{marker}" if marker else experiment.fact("canary")
    if any(shows(listing, each, text) and (whose == "attacker" or _among(each, text)) for each in seen):
        return True
    return whose == "attacker" and not experiment.fact("private") and any(_of_others(each, experiment) for each in seen)


def _among(exchange: Exchange, text: str) -> bool:
    """Whether an answer lists what it shows: a page of one's own, `/me`, shows one's own row and says nothing of who may see it elsewhere."""
    waiting = [(exchange.response.json, False)] if exchange.response is not None else []
    if exchange.response is None or not exchange.response.is_json:
        return exchange.response is not None
    while waiting:
        value, listed = waiting.pop()
        match value:
            case list():
                waiting += [(each, True) for each in value]
            case dict():
                waiting += [(each, listed) for each in value.values()]
            case _ if listed and text in str(value):
                return True
    return False


def _of_others(exchange: Exchange, experiment: Experiment) -> bool:
    """Whether a listing shows the attacker rows of the same kind that are not his: the object may stand on its next page."""
    owned = told(experiment.fact)
    columns, objects = dict(owned.columns), set(experiment.fact("objects").split(","))
    for statement in exchange.statements:
        for table in set(statement.reads) & objects & columns.keys():
            holders = [row_of(row, table).get(columns[table].lower()) for row in statement.sample]
            if any(holder is not None and str(holder) not in owned.attacker for holder in holders):
                return True
    return False



def refused(experiment: Experiment, traces: Mapping[str, Trace], *, edits: bool = False) -> bool:
    """Whether another request on the owner's object is refused to the attacker; of pages that show it, none may be open to him."""
    answers = [(name.split(" ")[1], traces[name].last) for name in experiment.trials if name.startswith("sibling ")]
    if any(method != "GET" and each.status in _REFUSED for method, each in answers):
        return True
    shown = [each for method, each in answers if method == "GET" and not edits]
    return any(each.status in _REFUSED for each in shown) and not any(map(succeeded, shown))


def denied(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether the prototype says anywhere that the object is not everybody's."""
    if experiment.fact("mixed"):
        return False
    if visible(experiment, traces, "attacker"):
        # Whoever is shown it may see it; what is left to say is who may edit it.
        return refused(experiment, traces, edits=True)
    return experiment.fact("private") == "yes" or visible(experiment, traces, "owner") or refused(experiment, traces)


def listings(target: Target, journey: Journey, canary: str) -> list[Call]:
    """Requests that list rows: without a key in the path, or below somebody who owns nothing in secret; searches look for the canary."""
    found = []
    for each in target.journeys():
        path = [argument for argument in each.call.arguments if argument.place is Place.PATH]
        if not each.route.startswith("GET ") or each.route == journey.route or any(isinstance(argument.value, Extract | Stored) for argument in each.call.arguments):
            continue
        parents = re.findall(r"/([\w-]+)/\{", each.route)
        if path and (each.route.endswith("}") or any(_private_parent(target, parent) for parent in parents)):
            continue
        honest = target.honest(each.route)
        users = {(identity.table or "").lower() for identity in target.identities}
        if honest is None or any(change.kind == "deleted" or (change.kind == "updated" and change.table.lower() not in users) for change in honest.final_changes):
            continue
        call = each.call
        for argument in texts(call):
            if argument.place is Place.QUERY and free(target, each.route, argument):
                call = call.with_argument(argument.place, argument.path, Marker(canary, "tgn{}") if canary == "owned" else Literal(canary))
        found.append(call)
    return found[:_LISTS]


def _private_parent(target: Target, segment: str) -> bool:
    wanted = segment.lower().replace("-", "_").removesuffix("s")
    table = next((each for each in target.blueprint.tables if each.name.lower().removesuffix("s").endswith(wanted)), None)
    return table is not None and target.owner(table.name) is not None


def siblings(target: Target, journey: Journey, owner: Identity, attacker: Identity, tables: frozenset[str]) -> dict[str, Trial]:
    """Other requests of the owner on one object of the same tables, sent by the attacker: one that is refused is evidence."""
    found: dict[str, Trial] = {}
    telling = _TELLING.get(journey.route.partition(" ")[0], {"GET"}) if journey.route.endswith("}") else {"GET"}
    for each in target.journeys():
        if each.route.partition(" ")[0] not in telling or each.route == journey.route or each.identity != owner.name or not target.refuses(each.route) or not any(one.place is Place.PATH for one in each.call.arguments):
            continue
        honest = target.honest(each.route)
        if honest is None or not tables & {table for one in honest.last.statements if one.text not in target.habits() for table in (*one.reads, *one.writes)}:
            continue
        own = aimed(target, each, owner)
        if own.identity != owner.name:
            continue
        found[f"sibling {each.route}"] = Trial(by(own.calls, attacker.name, owner.name), own.grants)
        if len(found) == _SIBLINGS:
            break
    return found


def shared(exchange: Exchange, tables: frozenset[str], habits: frozenset[str], attacker: Identity) -> bool:
    """Whether the attacker's own membership was looked up, or his row and the object's name one group: sharing is meant."""
    mine = keys(attacker)
    groups = {name.lower(): value for name, value in attacker.row.items() if _GROUP.search(name) and value is not None}
    for statement in exchange.statements:
        if statement.text in habits or statement.verb != "select" or not statement.rows:
            continue
        others = set(statement.reads) - tables - {(attacker.table or "").lower()}
        if others and any(str(value) in mine for value in statement.parameters) and not set(statement.reads) & tables:
            return True
        # The membership may stand in the same statement: `JOIN members ... WHERE members.user_id = ?`.
        bound = zip(sql.bindings(statement.text), statement.parameters, strict=False)
        if others and any(where in others and is_person(name) and str(value) in mine for (where, name, _), value in bound):
            return True
        for table in set(statement.reads) & tables:
            if any(row_of(row, table).get(name) == value for row in statement.sample for name, value in groups.items()):
                return True
    return False


def harm(change: RowChange, marks: list[str], sent: str, *, strict: bool) -> bool:
    """A row that went, that took the attacker's text, or lost what is its owner's: likes, counts and payments to it are none."""
    if change.kind == "deleted":
        return True
    for name in change.columns:
        before, after = change.before.get(name), change.after.get(name)
        if _IDLE.search(name):
            continue
        if isinstance(after, str) and any(mark in after for mark in marks):
            return True
        number = isinstance(before, int | float) and isinstance(after, int | float) and not isinstance(before, bool)
        flag = number and before in {0, 1} and after in {0, 1} and not POWER.search(name)
        if number and not flag:
            # From nothing, what was paid in looks like what was written over.
            if after < before or (before and given(after, sent)):  # type: ignore[operator]
                return True
        elif given(after, sent) or not strict:
            return True
    return False


_IDLE = re.compile(
    r"_at$|time|date|seen|visited|unread|notif|vote|score|karma|rating|like|count|view|follow|stock|quantity|seats|available|capacity|remaining|slots|tickets|version",
    re.IGNORECASE,
)
"""Columns that others' honest requests move."""
