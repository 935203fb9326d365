"""Owns security/object-authorization."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from toughen import sql
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Grant, Literal, Marker, Stored
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer, changed, holds, key_of, parameter_of, row_facts, shown, succeeded, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.identity import Identity
    from toughen.model.journey import Argument, Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Judgement, Target


class ObjectAuthorization(Rule):
    """A user reads or changes what belongs to another, by naming its id.

    Who pays: the owner of the data. Ids are counted up, seen in links, or guessed; each can be asked for.

    Example: `SELECT * FROM accounts WHERE id = ?` in a handler that knows who is logged in and does not use it.
    Instead: `... AND user_id = ?` with the caller's id, answered as not found.
    """

    id = "security/object-authorization"
    title = "A user reads or changes what belongs to another user"
    severity = Severity.CRITICAL
    cwe = (639, 862)
    owasp = "API1:2023"
    asvs = "V8.2.2"
    order = 25
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The owner's own request, sent by another user of the same role; and by nobody; and what the other may list."""
        if journey.identity is None or journey.anonymous:
            return
        owner, attacker = target.identity(journey.identity), target.peer(journey.identity)
        honest = target.honest(route.id)
        if owner is None or attacker is None or honest is None or not _names_an_object(journey):
            return
        own = _on_own_object(target, journey, owner, honest)
        if route.method == "GET":
            yield from _foreign_reads(target, own, owner, attacker)
        else:
            yield _foreign_write(target, own, owner, attacker)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """R1: the attacker's answer holds the owner's canary; R2: the owner's row changed or went."""
        control, attack = traces["control"], traces["attack"]
        if not succeeded(control.last):
            return Unclear(f"the owner's own request does not succeed: {answer(control.last)}")
        if succeeded(traces["garbage"].last) and not changed(traces["garbage"]) and experiment.fact("kind") == "write":
            return Unclear("a garbage credential is answered with success")
        if experiment.fact("kind") == "read":
            return _judge_read(experiment, traces)
        bad = tuple(each for each in changed(attack) if _owned(each, experiment) and _harm(each, attack, experiment))
        if not bad or any(_owned(each, experiment) for each in changed(traces["garbage"])):
            return Fails()
        kind = "deletes" if any(each.kind == "deleted" for each in bad) else "changes"
        return Holds(
            Evidence(
                f"{experiment.fact('attacker')} {kind} a row of {bad[0].table} that belongs to {experiment.fact('owner')}",
                {"request": shown(attack.last), "answer": answer(attack.last), "rows": row_facts(bad), "attacker": experiment.fact("attacker")},
                next((each.location for each in reversed(attack.last.statements) if bad[0].table.lower() in each.writes), None),
                _steer(attack.last, bad[0].table, experiment, "write"),
                key="write",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()


def _names_an_object(journey: Journey) -> bool:
    """Whether the request names anything at all: a path, query or body value that could be another's."""
    return any(each.place is not Place.HEADER for each in journey.call.arguments)


def _by(calls: tuple[Call, ...], identity: str | None) -> tuple[Call, ...]:
    return (*calls[:-1], calls[-1].by(identity))


def _on_own_object(target: Target, journey: Journey, owner: Identity, honest: Trace) -> Journey:
    """The journey with its request aimed at a row of the owner's: as it is, at one that the owner makes first, or at one that there is."""
    for statement in honest.last.statements:
        for table in (*statement.reads, *statement.writes):
            column = target.owner(table)
            if column is None or (statement.sample and _owned_row(statement.sample[0], table, column, owner)):
                continue
            for argument in journey.call.arguments:
                bound = next(
                    (name for (where, name, how), value in zip(sql.bindings(statement.text), statement.parameters, strict=False)
                     if how == "eq" and (where or table) == table and isinstance(argument.value, Literal) and str(value) == str(argument.value.value)), None,
                )
                mine = next((value for name, value in owner.row.items() if value is not None and name.lower() in {"id", "user_id", "username", "uuid"}), None)
                if bound is None or mine is None or bound == column:
                    continue
                maker = _maker(target, table, column, owner, journey.route)
                aimed = journey.call.with_argument(argument.place, argument.path, Stored(table, bound, ((column, mine),)))
                return replace(journey, calls=(*(maker.calls if maker else ()), *journey.calls[:-1], aimed), grants=(*(maker.grants if maker else ()), *journey.grants))
    return journey


def _maker(target: Target, table: str, column: str, owner: Identity, route: str) -> Journey | None:
    """The owner's own journey that inserts a row of that table."""
    for each in target.journeys():
        if each.identity != owner.name or each.route == route or not each.route.startswith("POST "):
            continue
        made = target.honest(each.route)
        if made is not None and any(one.kind == "inserted" and one.table.lower() == table.lower() and one.after.get(column) in owner.row.values() for one in made.changes):
            return each
    return None


def _foreign_reads(target: Target, journey: Journey, owner: Identity, attacker: Identity) -> Iterator[Experiment]:
    honest = target.run(Trial(journey.calls, journey.grants))
    lists = [
        each.call.by(attacker.name) for each in target.journeys()
        if each.route.startswith("GET ") and each.route != journey.route and not any(one.place is Place.PATH for one in each.call.arguments) and len(each.calls) == 1
    ][:25]
    for calls, grants, canary in _planted(target, journey, owner, honest):
        detail = [("kind", "read"), ("owner", owner.name), ("attacker", attacker.name), ("canary", canary)]
        column = next((target.owner(table) for each in honest.last.statements for table in each.reads if target.owner(table)), None)
        yield Experiment(
            {
                "control": Trial(calls, grants),
                "attack": Trial(_by(calls, attacker.name), grants),
                "anonymous": Trial(_by(calls, None), grants),
                "garbage": Trial(_by(calls, target.forged_identity), grants),
                "listing": Trial((*calls[:-1], *lists, calls[-1]) if lists else calls, grants),
            },
            "another's object, read", (*detail, ("before", str(len(calls) - 1)), ("lists", str(len(lists))), ("column", column or "")),
        )


def _planted(target: Target, journey: Journey, owner: Identity, honest: Trace) -> Iterator[tuple[tuple[Call, ...], tuple[Grant, ...], str]]:
    """The journey with a canary in what the owner made before, or in the owner's row that the request reads."""
    for index, call in enumerate(journey.calls[:-1]):
        if call.identity != owner.name or call.route.startswith("GET "):
            continue
        for argument in texts(call):
            if not _free(target, call.route, argument):
                continue
            marked = call.with_argument(argument.place, argument.path, Marker("owned", "tgn{}"))
            calls = (*journey.calls[:index], marked, *journey.calls[index + 1 :])
            if _shows(target.run(Trial(calls, journey.grants)), "owned"):
                yield calls, journey.grants, "owned"
                return
    for statement in honest.last.statements:
        for table in statement.reads:
            column = target.owner(table)
            known = target.blueprint.table(table)
            if column is None or known is None or statement.rows != 1 or not statement.sample:
                continue
            row = _owned_row(statement.sample[0], table, column, owner)
            text = next((each for each in known.columns if each.type in {"string", "any"} and not each.primary_key and not each.unique and not each.references and each.name != column and not each.enum), None)
            if row is None or text is None:
                continue
            canary = "tgn" + secrets.token_hex(8)
            yield journey.calls, (*journey.grants, Grant(known.name, row, text.name, canary)), canary
            return


def _shows(trace: Trace, name: str) -> bool:
    """Whether the last answer shows the canary of that name."""
    return holds(trace.last, f"tgn{trace.markers.get(name, '-')}")


def _owned_row(sample: dict[str, Json], table: str, column: str, owner: Identity) -> tuple[tuple[str, Json], ...] | None:
    """The key of a sampled row, where its owner column holds one of the owner's keys."""
    short = {name.lower().removeprefix(f"{table}_"): value for name, value in sample.items()}
    if short.get(column.lower()) is None or short.get(column.lower()) not in owner.row.values():
        return None
    return key_of({name: value for name, value in short.items() if name in {"id", "uuid"}}) or key_of(short)


def _judge_read(experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
    name = experiment.fact("canary")
    def canary(trace: Trace) -> str:
        marker = trace.markers.get(name)
        return f"tgn{marker}" if marker else name

    control, attack, listing = traces["control"], traces["attack"], traces["listing"]
    if not holds(control.last, canary(control)):
        return Unclear("the owner's own answer does not show what was planted")
    if not succeeded(attack.last) or not holds(attack.last, canary(attack)):
        return Fails()
    if holds(traces["anonymous"].last, canary(traces["anonymous"])) or holds(traces["garbage"].last, canary(traces["garbage"])):
        return Fails()
    before, count = int(experiment.fact("before")), int(experiment.fact("lists"))
    if any(holds(each, canary(listing)) for each in listing.exchanges[before : before + count]):
        return Fails()
    statement = next((each for each in attack.last.statements if any(canary(attack) in str(value) for row in each.sample for value in row.values())), None)
    table = statement.reads[0] if statement and statement.reads else ""
    return Holds(
        Evidence(
            f"{experiment.fact('attacker')} reads what belongs to {experiment.fact('owner')} ({canary(attack)} was planted there)",
            {"request": shown(attack.last), "answer": answer(attack.last), "attacker": experiment.fact("attacker")},
            statement.location if statement else None,
            (("table", table), ("column", experiment.fact("column")), ("statement", statement.text if statement else ""), ("kind", "read")),
            key="read",
        )
    )


def _foreign_write(target: Target, journey: Journey, owner: Identity, attacker: Identity) -> Experiment:
    calls = journey.calls
    call = calls[-1]
    for argument in list(texts(call)):
        if argument.place is not Place.PATH and _free(target, journey.route, argument):
            call = call.with_argument(argument.place, argument.path, Marker(f"written{argument.path[-1]}", "tgn{}"))
    hostile = (*calls[:-1], call)
    columns = ",".join(f"{table.name.lower()}:{target.owner(table.name)}" for table in target.blueprint.tables if target.owner(table.name))
    own = ",".join(str(value) for name, value in owner.row.items() if name.lower() in {"id", "username", "email", "user_id", "uuid"})
    return Experiment(
        {
            "control": Trial(calls, journey.grants),
            "attack": Trial(_by(hostile, attacker.name), journey.grants),
            "garbage": Trial(_by(hostile, target.forged_identity), journey.grants),
        },
        "another's object, changed",
        (("kind", "write"), ("owner", owner.name), ("attacker", attacker.name), ("owners", columns), ("own", own), ("users", (owner.table or "").lower()), ("method", journey.route.partition(" ")[0])),
    )


def _free(target: Target, route_id: str, argument: Argument) -> bool:
    """Whether a text may be anything: no enum, format or pattern says what it is."""
    route = target.blueprint.route(route_id)
    known = parameter_of(route, argument) if route else None
    value = argument.value.value if isinstance(argument.value, Literal) else ""
    made_up = isinstance(value, str) and value.startswith("tg") and "@" not in value
    return made_up and (known is None or not (known.enum or known.format or known.pattern or (known.max_length or 99) < 24))


def _owned(change: RowChange, experiment: Experiment) -> bool:
    """Whether the row belonged to the owner before the attack."""
    own = set(experiment.fact("own").split(",")) - {""}
    if change.kind == "inserted" or not own:
        return False
    if change.table.lower() == experiment.fact("users"):
        return any(str(value) in own for value in list(change.before.values())[:3])
    columns = dict(each.split(":", 1) for each in experiment.fact("owners").split(",") if ":" in each)
    column = columns.get(change.table.lower())
    return column is not None and str(change.before.get(column)) in own


def _harm(change: RowChange, attack: Trace, experiment: Experiment) -> bool:
    """A row that went, that took the attacker's own text, or that lost a number: a like or a payment to its owner is none."""
    if change.kind == "deleted":
        return True
    marks = [f"tgn{each}" for each in attack.markers.values()]
    for name in change.columns:
        before, after = change.before.get(name), change.after.get(name)
        if isinstance(after, str) and any(mark in after for mark in marks):
            return True
        if isinstance(before, int | float) and isinstance(after, int | float) and after < before and not isinstance(before, bool):
            return True
    sent = {str(each) for each in attack.last.request_body.replace('"', " ").replace(",", " ").split()}
    return experiment.fact("method") in {"PUT", "PATCH"} and any(str(change.after.get(name)) in sent for name in change.columns)


def _steer(exchange: Exchange, table: str, experiment: Experiment, kind: str) -> tuple[tuple[str, str], ...]:
    """What the mend needs: the statement that saw or changed the row, and the column that names its owner."""
    columns = dict(each.split(":", 1) for each in experiment.fact("owners").split(",") if ":" in each)
    seen = next((each for each in exchange.statements if each.verb == "select" and table.lower() in each.reads), None)
    wrote = next((each for each in exchange.statements if table.lower() in each.writes), None)
    statement = seen or wrote
    place = f"{statement.location.file}:{statement.location.line}" if statement and statement.location else ""
    return (("table", table), ("column", columns.get(table.lower(), "")), ("statement", statement.text if statement else ""), ("seen", place), ("kind", kind))
