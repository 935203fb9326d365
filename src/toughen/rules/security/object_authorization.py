"""Owns security/object-authorization."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from toughen import access
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Marker
from toughen.model.trial import Experiment, Trial
from toughen.ownership import PRIVATE_TABLE, aimed, belonging, by, free, harm, listings, plant, shared, shows, siblings, told, whole
from toughen.rule import Fails, Holds, Rule, Unclear
from toughen.twists import POWER, answer, changed, row_facts, shown, succeeded, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.identity import Identity
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.ownership import Planted
    from toughen.rule import Broken, Judgement, Sound, Target

_UNDECIDED = "whether other users may {} this is written nowhere: no listing leaves it out, no sibling refuses it, nothing names it private"


class ObjectAuthorization(Rule):
    """A user reads or changes what belongs to another, by naming its id.

    Who pays: the owner of the data. Ids are counted up, seen in links, or guessed; each can be asked for.

    Shown: one user makes an object; another user of the same role reads a secret that was planted in it, or changes or
    deletes its row. Never claimed where the other may list the object, where anybody may read it, or where nothing in
    the prototype says that it is private.

    Example: `SELECT * FROM accounts WHERE id = ?` in a handler that knows who is logged in and does not use it.
    Instead: `... AND user_id = ?` with the caller's id, answered as not found.

    References: CWE-639; OWASP API1:2023; ASVS 5.0 V8.2.2.
    """

    id = "security/object-authorization"
    title = "A user reads or changes what belongs to another user"
    severity = Severity.CRITICAL
    cwe = (639, 862)
    owasp = "API1:2023"
    asvs = "V8.2.2"
    order = 25

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The owner's own request, sent by another user of the same role; and by nobody; and what the other may list."""
        owner, attacker = target.identity(journey.identity or ""), target.peer(journey.identity or "")
        honest = target.honest(route.id)
        if journey.anonymous or owner is None or attacker is None or honest is None or access.powerful(owner):
            return
        if all(each.place is Place.HEADER for each in journey.call.arguments):
            return
        own = aimed(target, journey, owner)
        for planted in plant(target, own, owner):
            yield _experiment(target, own, owner, attacker, planted)
            if route.method != "GET":
                return

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """R1: the attacker's answer holds the owner's canary; R2: the owner's row changed or went."""
        control, attack, kind = traces["control"], traces["attack"], experiment.fact("kind")
        if not succeeded(control.last):
            return Unclear(f"the owner's own request does not succeed: {answer(control.last)}")
        if kind == "read":
            return self._read(experiment, traces)
        owned = told(experiment.fact)
        marks = [f"tgn{each}" for name, each in attack.markers.items() if name != "owned"]
        strict = experiment.fact("private") == "" and not _refused(experiment, traces)
        bad = tuple(each for each in changed(attack) if owned.of_owner(each) and harm(each, marks, attack.last.request_body, strict=strict))
        if not bad:
            return Fails() if "own" not in traces or succeeded(traces["own"].last) else Unclear("the attacker does not succeed on an object of his own")
        if any(owned.of_owner(each) for each in changed(traces["garbage"])):
            return Fails()
        if bad[0].table.lower() != owned.users and not _denied(experiment, traces):
            return Unclear(_UNDECIDED.format("change"))
        verb = "deletes" if any(each.kind == "deleted" for each in bad) else "changes"
        who, whose = experiment.fact("attacker"), experiment.fact("owner")
        return Holds(
            Evidence(
                f"{who} {verb} a row of {bad[0].table} that belongs to {whose}",
                {"request": shown(attack.last), "answer": answer(attack.last), "rows": row_facts(bad), "attacker": who},
                next((each.location for each in reversed(attack.last.statements) if bad[0].table.lower() in each.writes), None),
                access.steer(attack.last, bad[0].table, experiment, control.last),
                key="write",
            )
        )

    def _read(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        control, attack, canary = traces["control"], traces["attack"], experiment.fact("canary")
        if not shows(control, control.last, canary):
            return Unclear("the owner's own answer does not show what was planted")
        if not succeeded(attack.last) or not shows(attack, attack.last, canary):
            return Fails() if "own" not in traces or succeeded(traces["own"].last) else Unclear("the attacker does not succeed on an object of his own")
        if any(shows(traces[name], traces[name].last, canary) for name in ("anonymous", "garbage")) or _visible(experiment, traces, "attacker"):
            return Fails()
        if not _denied(experiment, traces):
            return Unclear(_UNDECIDED.format("read"))
        marker = attack.markers.get(canary)
        text = f"tgn{marker}" if marker else canary
        seen = next((each for each in attack.last.statements if any(text in str(value) for row in each.sample for value in row.values())), None)
        table = seen.reads[0] if seen and seen.reads else ""
        return Holds(
            Evidence(
                f"{experiment.fact('attacker')} reads what belongs to {experiment.fact('owner')} ({experiment.fact('field')} holds {text})",
                {"request": shown(attack.last), "answer": answer(attack.last), "attacker": experiment.fact("attacker")},
                seen.location if seen else None, access.steer(attack.last, table, experiment, control.last), key="read",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The owner in the statement that saw the foreign row, else a comparison after the load."""
        yield from access.scope(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []


def _experiment(target: Target, own: Journey, owner: Identity, attacker: Identity, planted: Planted) -> Experiment:
    calls, grants, kind = planted.calls, planted.grants, "read" if own.route.startswith("GET ") else "write"
    hostile = calls[-1]
    for argument in list(texts(hostile)) if kind == "write" else ():
        if argument.place is not Place.PATH and free(target, own.route, argument):
            hostile = hostile.with_argument(argument.place, argument.path, Marker(f"written{argument.path[-1]}", "tgn{}"))
    control = target.run(Trial(calls, grants))
    tables = frozenset(table for each in control.last.statements if each.text not in target.habits() for table in (*each.reads, *each.writes) if target.owners(table))
    lists = listings(target, own, planted.canary)
    attack = Trial(by((*calls[:-1], hostile), attacker.name, owner.name), grants)
    mixed = shared(target.run(attack).last, tables, target.habits(), attacker)
    private = planted.secret or bool(POWER.search(planted.column)) or any(PRIVATE_TABLE.search(each) for each in tables)
    trials = {
        "control": Trial(calls, grants),
        "attack": attack,
        "anonymous": Trial(by(calls, None, owner.name), grants),
        "garbage": Trial(by((*calls[:-1], hostile), target.forged_identity, owner.name), grants),
        "listing": Trial((*calls[:-1], *(each.by(attacker.name) for each in lists), *(each.by(owner.name) for each in lists), calls[-1]), grants),
        **siblings(target, own, owner, attacker, tables),
    }
    mine = Trial(whole(calls, owner.name, attacker.name), own.grants)
    if len(calls) > 1 and succeeded(target.run(mine).last):
        trials["own"] = mine
    detail = (
        ("kind", kind), ("owner", owner.name), ("attacker", attacker.name), ("canary", planted.canary), ("field", planted.column),
        ("before", str(len(calls) - 1)), ("lists", str(len(lists))), ("private", "yes" if private else ""), ("mixed", "yes" if mixed else ""),
    )
    return Experiment(trials, f"another's object, {kind}", (*detail, *belonging(target, owner, attacker, control)))


def _visible(experiment: Experiment, traces: Mapping[str, Trace], whose: str) -> bool:
    """Whether a listing shows the object to its owner or to the attacker."""
    before, count = int(experiment.fact("before")), int(experiment.fact("lists"))
    start = before + (count if whose == "owner" else 0)
    listing = traces["listing"]
    return any(shows(listing, each, experiment.fact("canary")) for each in listing.exchanges[start : start + count])


def _refused(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether another request on the owner's object is refused to the attacker."""
    return any(traces[name].last.status in {401, 403, 404} for name in experiment.trials if name.startswith("sibling "))


def _denied(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether the prototype says anywhere that the object is not everybody's."""
    if experiment.fact("mixed"):
        return False
    if _visible(experiment, traces, "attacker"):
        return _refused(experiment, traces)
    return experiment.fact("private") == "yes" or _visible(experiment, traces, "owner") or _refused(experiment, traces)
