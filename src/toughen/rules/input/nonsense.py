"""Owns input/nonsense."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import QUANTITY, answer, changed, named, numbers, row_facts, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_NEGATIVE = -17


class Nonsense(Rule):
    """A number that makes no sense is accepted and stored: a quantity of -17, a negative price, a payment of -17.

    Who pays: the business. An order for -17 pieces raises the stock, a transfer of -17 takes the money from the other side.

    Example: `quantity: int` without a bound; `product.stock -= quantity`.
    Instead: state the bound where the value enters (`Field(gt=0)`, or a check that answers 400).
    """

    id = "input/nonsense"
    title = "A number that makes no sense is accepted and stored"
    severity = Severity.HIGH
    cwe = (20, 1284)
    owasp = "API8:2023"
    asvs = "V2.2.1"
    order = 45
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each number that cannot be negative in any business, negative."""
        if route.method == "GET":
            return
        for argument in numbers(journey.call):
            name = named(argument)
            if not QUANTITY.search(name):
                continue
            value = _NEGATIVE if not isinstance(argument.value, Literal) or not isinstance(argument.value.value, str) else str(_NEGATIVE)
            call = journey.call.with_argument(argument.place, argument.path, Literal(value))
            yield Experiment(
                {
                    "control": Trial(journey.calls, journey.grants),
                    "hostile": Trial((*journey.calls[:-1], call), journey.grants),
                },
                f"{name} = {value}", (("field", name), ("place", argument.place.value), ("path", ".".join(map(str, argument.path)))),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """It is accepted, and rows hold the negative number or moved the wrong way."""
        control, hostile = traces["control"], traces["hostile"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if not succeeded(hostile.last):
            return Fails()
        bad = [
            change for change in changed(hostile)
            if any(_negative(change.after.get(name)) and not _negative(change.before.get(name)) for name in change.columns)
            or (change.kind == "updated" and _reversed(change, control))
        ]
        if not bad:
            return Fails()
        field = experiment.fact("field")
        return Holds(
            Evidence(
                f"{experiment.about} is accepted ({hostile.last.status}) and stored: {row_facts(tuple(bad))[0]}",
                {"request": shown(hostile.last), "answer": answer(hostile.last), "rows": row_facts(changed(hostile)), "honest": shown(control.last)},
                None,
                (("field", field), ("place", experiment.fact("place")), ("path", experiment.fact("path"))),
                key=field,
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()


def _negative(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value <= _NEGATIVE


def _reversed(change: object, control: Trace) -> bool:
    """Whether the honest request moved the same column of the same row the other way."""
    from toughen.model.trace import RowChange

    assert isinstance(change, RowChange)  # noqa: S101
    for honest in changed(control):
        if honest.table != change.table or honest.kind != "updated" or next(iter(honest.before.values()), None) != next(iter(change.before.values()), None):
            continue
        for name in change.columns:
            numbers_ = (honest.before.get(name), honest.after.get(name), change.before.get(name), change.after.get(name))
            if all(isinstance(each, int | float) for each in numbers_):
                one, two, three, four = (float(each) for each in numbers_)  # type: ignore[arg-type]
                if (two - one) * (four - three) < 0:
                    return True
    return False
