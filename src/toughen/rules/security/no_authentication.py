"""Owns security/no-authentication."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toughen.model.blueprint import Json, Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import SECRET, answer, changed, holds, key_of, row_facts, shown, succeeded, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Call, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_PRIVATE = re.compile(r"^(e?mail|phone|address|ssn|iban|card_?number|date_of_birth|dob)", re.IGNORECASE)
_SHORTEST = 6


class NoAuthentication(Rule):
    """Somebody who never logged in changes or reads what belongs to users.

    Who pays: every user. The route can be called by anybody who knows its address; that a button is hidden on the screen
    protects nothing.

    Example: `@app.delete("/users/{id}")` without the dependency that its sibling routes have.
    Instead: the guard that the sibling routes use, on this route too.
    """

    id = "security/no-authentication"
    title = "Nobody needs to log in to change or read what belongs to users"
    severity = Severity.CRITICAL
    cwe = (306, 862)
    owasp = "API2:2023"
    asvs = "V6.3.1"
    order = 20
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The route's own call without a credential, on the row of a user (a secret planted there where it is read)."""
        honest = target.honest(route.id)
        if not journey.anonymous or honest is None or not target.identities or _opens_the_door(target, journey):
            return
        anonymous = Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants)
        protected = ",".join(sorted(_protected_tables(target, route.id)))
        yield Experiment(
            {"control": Trial(journey.calls, journey.grants), "anonymous": anonymous}, "without a credential",
            (("kind", "write"), ("protected", protected), ("users", (table.name if (table := users(target.blueprint)) else ""))),
        )
        yield from _reads(target, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """An anonymous request changes rows that others' requests are refused for, or shows what is private."""
        control, anonymous = traces["control"], traces["anonymous"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if not succeeded(anonymous.last):
            return Fails()
        if experiment.fact("kind") == "read":
            planted = experiment.fact("planted")
            if not holds(anonymous.last, planted):
                return Fails()
            return Holds(
                Evidence(
                    f"an anonymous request reads {experiment.fact('column')} of a user ({planted!r} was planted there)",
                    {"request": shown(anonymous.last), "answer": answer(anonymous.last), "planted": planted},
                    None, (("column", experiment.fact("column")),),
                )
            )
        protected = set(experiment.fact("protected").split(",")) - {""}
        owned = experiment.fact("users")
        bad = tuple(
            change for change in changed(anonymous)
            if change.table in protected or (change.kind in {"deleted", "updated"} and change.table == owned and not _only_clock(change.columns))
        )
        if not bad:
            return Fails()
        return Holds(
            Evidence(
                f"an anonymous request {'deletes' if any(each.kind == 'deleted' for each in bad) else 'changes'} rows of {bad[0].table}",
                {"request": shown(anonymous.last), "answer": answer(anonymous.last), "rows": row_facts(bad)},
                None, (("table", bad[0].table),),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()


def _only_clock(columns: tuple[str, ...]) -> bool:
    return all(re.search(r"last_|_at$|login|seen|attempts|updated|count", name, re.IGNORECASE) for name in columns)


def _opens_the_door(target: Target, journey: Journey) -> bool:
    """Sign-up, log-in and reset: routes that must be open, known by what they are given and what they write."""
    secrets = {value for each in target.identities for value in _credentials(each.login)}
    if any(each.login is not None and each.login.route == journey.route for each in target.identities):
        return True
    if any(source in {"mail", "mirror"} for _, source in journey.sources):
        return True
    if any(isinstance(each.value, Literal) and each.value.value in secrets for each in journey.call.arguments):
        return True
    honest = target.honest(journey.route)
    table = users(target.blueprint)
    if honest is None or table is None:
        return False
    made = [each for each in changed(honest) if each.table == table.name]
    return bool(made) and all(each.kind == "inserted" for each in made)


def _credentials(call: Call | None) -> Iterator[Json]:
    for argument in call.arguments if call else ():
        if isinstance(argument.value, Literal) and SECRET.search(str(argument.path[-1])):
            yield argument.value.value


def _protected_tables(target: Target, route_id: str) -> set[str]:
    """Tables whose rows other routes change only for somebody who is logged in."""
    found = set()
    for journey in target.journeys():
        if journey.route == route_id or journey.anonymous or journey.route.startswith("GET "):
            continue
        honest = target.honest(journey.route)
        found |= {each.table for each in changed(honest)} if honest else set()
    return found


def _reads(target: Target, journey: Journey) -> Iterator[Experiment]:
    """Secrets, and what a guarded sibling shows of a user, planted in a user's row."""
    table = users(target.blueprint)
    owner = next((each for each in target.identities if each.row and each.table), None)
    if table is None or owner is None or not journey.route.startswith("GET "):
        return
    from toughen.model.journey import Grant

    for column in table.columns:
        value = owner.row.get(column.name)
        if not isinstance(value, str) or len(value) < _SHORTEST:
            continue
        secret = bool(SECRET.search(column.name))
        if not secret and not (_PRIVATE.search(column.name) and _guarded_elsewhere(target, journey.route, value)):
            continue
        if journey.call.argument(Place.PATH, (column.name,)) is not None:
            continue
        planted = f"planted-{column.name}-{len(value)}@example.com" if "mail" in column.name.lower() else f"planted-{column.name}-{len(value)}"
        grant = Grant(owner.table or "", key_of(owner.row), column.name, planted)
        grants = (*journey.grants, grant)
        yield Experiment(
            {"control": Trial(journey.calls, grants), "anonymous": Trial((*journey.calls[:-1], journey.call.by(None)), grants)},
            f"{column.name} of a user", (("kind", "read"), ("planted", planted), ("column", f"{table.name}.{column.name}")),
        )


def _guarded_elsewhere(target: Target, route_id: str, value: str) -> bool:
    """Whether another route shows the same value only to somebody who is logged in."""
    for journey in target.journeys():
        if journey.route != route_id and not journey.anonymous and journey.route.startswith("GET "):
            honest = target.honest(journey.route)
            if honest is not None and holds(honest.last, value):
                return True
    return False
