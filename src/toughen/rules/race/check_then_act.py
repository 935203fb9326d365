"""Owns race/check-then-act."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.oracle import serial, succeeded
from toughen.pairs import pairs
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target


class CheckThenAct(Rule):
    """A condition is checked, then acted upon: of two requests at once, both pass the check."""

    id = "race/check-then-act"
    title = "Two requests at once both pass a check that only one may pass"
    severity = Severity.CRITICAL
    cwe = (367, 362)
    order = 61
    single = True
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The resource suffices for exactly one of the two."""
        for pair in pairs(target, route, journey, room=1):
            yield from pair.experiments()

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """One after the other, the second is refused; at once, both succeed."""
        race = traces["race"]
        one, two = race.exchanges[-2:]
        if not (succeeded(one) and succeeded(two)):
            return Fails()
        control, reverse = traces["control"], traces["reverse"]
        if not succeeded(control.exchanges[-2]) or not succeeded(reverse.exchanges[-2]):
            return Unclear("the honest request does not succeed on its own")
        if succeeded(control.exchanges[-1]) or succeeded(reverse.exchanges[-1]):
            return Fails()
        if any((each.exchanges[-1].status or 500) >= 500 for each in (control, reverse)):  # noqa: PLR2004
            return Unclear("one after the other, the second request crashes instead of being refused")
        orders = {"ab": control, "ab_again": traces["again"], "ba": reverse, "a": traces["first"], "b": traces["second"]}
        if serial(race, orders):
            return Fails()
        refused = control.exchanges[-1]
        write = next((each for each in one.statements if each.writes), None)
        return Holds(
            Evidence(
                f"two requests at once both succeed ({one.status}, {two.status}); one after the other, "
                f"the second is refused ({refused.status})",
                {
                    "requests": [f"{each.method} {each.target} {each.request_body}".strip() for each in (one, two)],
                    "answers": [each.status for each in (one, two)],
                    "refusal": (refused.response.body if refused.response else "")[:300],
                    "schedule": list(race.schedule),
                    "rows": [f"{each.kind} {each.table}" for each in race.changes],
                },
                write.location if write else None,
                (("table", write.writes[0] if write else ""), ("statement", write.text if write else "")),
                key="",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()
