"""Owns the gate of tests: there are some, they pass, and they assert something."""

from __future__ import annotations

from toughen.gatekeeping import DOWN, CouldNot, Faults, Gate, Looked, Site
from toughen.model.finding import Status
from toughen.model.gate import Fault
from toughen.model.source import Location

BREAKS = ("suite/vacuous", "suite/uncovered", "suite/happy-path-only")
"""The breaks that say what the tests are worth; the guards have a gate of their own."""


_BY_HAND = "run them by themselves, without a network: what stops them there stops them here"


class Tests(Gate):
    """The project's own tests pass, twice, on a copy in the lab's box, without a network; none passes whatever is answered, and each route is asked by one, by strangers and with what must be refused as well."""

    id = "tests"
    title = "The tests pass, and assert something"
    order = 20
    breaks = BREAKS

    def look(self, site: Site) -> Looked:
        """Every test that does not pass, or passes now and then."""
        if not site.booted:
            return DOWN
        if not site.blueprint.suite.files:
            return Faults([Fault("none", "there is not one test: `toughen fix` writes the first ones from what it mends")], {"tests": "0"})
        run = site.tests()
        if run.ended != "done" or (run.problem and not run.tests):
            return CouldNot(f"the tests cannot be run: {run.problem}", _BY_HAND)
        faults = [Fault(each.id, f"{each.id} fails: {_said(each.said)}", _place(each.id)) for each in run.failed]
        faults += [Fault(f"flaky {each}", f"{each} passes now and then: nothing can be built on it", _place(each)) for each in sorted(run.flaky)]
        if not run.tests:
            faults.append(Fault("none", "no test was collected"))
        faults += [Fault(each.id, each.message, each.location, finding=each.id) for each in site.verdict.findings if each.break_id in BREAKS and each.status is Status.PROVEN]
        skipped = sum(each.outcome == "skipped" for each in run.tests)
        return Faults(faults, {"passed": str(len(run.passed)), "failed": str(len(run.failed)), "skipped": str(skipped)}, f"{len(run.passed)} of {len(run.tests)} tests pass" + (f", {skipped} are skipped" if skipped else ""))


def _said(text: str) -> str:
    return " ".join(text.split())[:160] or "it says nothing"


def _place(test: str) -> Location:
    return Location(test.partition("::")[0], 1)
