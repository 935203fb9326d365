"""Owns input/mass-assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import POWER, answer, changed, row_facts, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Column, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_NUMBER = 77013


class MassAssignment(Rule):
    """A field that only the server may set is taken from the request: a role, a balance, a verified flag.

    Who pays: everybody else. One extra key in the JSON makes its sender an administrator, or rich.

    Example: `for key, value in data.items(): setattr(user, key, value)`; `User(**payload)`.
    Instead: name the fields that a client may set, at the boundary; drop the others.
    """

    id = "input/mass-assignment"
    title = "The request sets a field that only the server may set"
    severity = Severity.CRITICAL
    cwe = (915,)
    owasp = "API3:2023"
    asvs = "V15.3.3"
    order = 30
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each power column of the rows that the request writes, as one more field beside the honest ones."""
        place = Place.FORM if journey.call.body in {"form", "multipart"} else Place.JSON
        honest = target.honest(route.id)
        if route.method == "GET" or honest is None or (not journey.call.arguments and journey.call.body is None):
            return
        for change in changed(honest):
            table = target.blueprint.table(change.table)
            if table is None or change.kind == "deleted":
                continue
            for column in table.columns:
                if not POWER.search(column.name) or journey.call.argument(place, (column.name,)):
                    continue
                value = _hostile(column, change.after.get(column.name), target)
                call = journey.call.with_argument(place, (column.name,), Literal(value))
                yield Experiment(
                    {"control": Trial(journey.calls, journey.grants), "hostile": Trial((*journey.calls[:-1], call), journey.grants)},
                    f"{column.name} = {value!r}",
                    (("table", table.name), ("column", column.name), ("value", str(value)), ("fields", ",".join(sorted(str(each.path[0]) for each in journey.call.arguments if each.path)))),
                )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The hostile value stands in the row, where the honest request leaves another one."""
        control, hostile = traces["control"], traces["hostile"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        table, column, value = (experiment.fact(name) for name in ("table", "column", "value"))
        if any(_same(each.after.get(column), value) for each in changed(control) if each.table == table and column in each.columns):
            return Unclear(f"the honest request sets {table}.{column} to {value} as well")
        bad = tuple(each for each in changed(hostile) if each.table == table and column in each.columns and _same(each.after.get(column), value))
        if not bad:
            return Fails()
        return Holds(
            Evidence(
                f"{experiment.about} in the request is written to {table}.{column}, which an honest client cannot set",
                {"request": shown(hostile.last), "answer": answer(hostile.last), "rows": row_facts(bad), "honest": shown(control.last)},
                next((each.location for each in reversed(hostile.last.statements) if table.lower() in each.writes), None),
                (("table", table), ("column", column), ("fields", experiment.fact("fields"))),
                key=column,
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()


def _hostile(column: Column, present: Json, target: Target) -> Json:
    """A value of power that differs from the present one and that the column takes."""
    if isinstance(present, bool) or column.type == "boolean" or (column.type in {"integer", "any"} and column.name.lower().startswith("is_")):
        return not present
    if isinstance(present, int | float) or column.type in {"integer", "number"}:
        return _NUMBER
    roles = [*column.enum, *(each.role for each in target.identities if each.role), *target.blueprint.roles]
    return next((each for each in roles if str(each).lower() != str(present).lower()), "admin")


def _same(found: Json, wanted: str) -> bool:
    if isinstance(found, bool) or wanted in {"True", "False"}:
        return str(bool(found)) == wanted
    if isinstance(found, int | float) and wanted.replace(".", "", 1).lstrip("-").isdigit():
        return float(found) == float(wanted)
    return str(found) == wanted
