"""Owns race/check-then-act."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.atomicity import mends
from toughen.model.finding import Evidence, Severity
from toughen.oracle import read_before, same_rows, serial, succeeded, telling_write
from toughen.pairs import pairs
from toughen.twists import answer
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


_IDENTITY = (401, 403)
"""Refusals for want of a credential: a token that was used up is no check of the business."""


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
        control = traces["control"]
        if not succeeded(control.exchanges[-2]):
            return Unclear("the honest request does not succeed on its own")
        refused = control.exchanges[-1]
        if succeeded(refused):
            return Fails()
        if refused.status is None or refused.status >= 500 or refused.status in _IDENTITY:  # noqa: PLR2004
            return Unclear(f"one after the other, the second request is not refused by a check ({answer(refused)})")
        race = traces["race"]
        one, two = race.exchanges[-2:]
        if not (succeeded(one) and succeeded(two)):
            return Fails()
        if not all(any(each.writes and each.rows != 0 for each in exchange.statements) for exchange in (one, two)):
            return Fails()
        reverse = traces["reverse"]
        if not succeeded(reverse.exchanges[-2]) or succeeded(reverse.exchanges[-1]):
            return Unclear("the other order ends differently")
        orders = {"ab": control, "ab_again": traces["again"], "ba": reverse, "a": traces["first"], "b": traces["second"]}
        if serial(race, orders):
            return Fails()
        if one.method in {"PUT", "DELETE"} and same_rows(race, orders):
            # PUT and DELETE are idempotent (RFC 9110 9.2.2): done twice, and the rows are as after once.
            return Fails()
        write = telling_write(one, race)
        table = write.writes[0] if write else ""
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
                (("table", table), ("statement", write.text if write else ""), ("read", read_before(one, table))),
                key="",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An UPDATE with its condition, a lock, one write transaction: whichever survives first."""
        yield from mends(finding, blueprint, sources)
