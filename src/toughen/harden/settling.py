"""Owns what becomes of the findings about the project's own tests once tests were written: each is looked for again in the mended project."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.errors import LabError
from toughen.lab.rehearsing import Rehearsing
from toughen.model.blueprint import Suite
from toughen.model.finding import Refuted, Status
from toughen.model.journey import Journey
from toughen.model.patch import Gone
from toughen.rehearsals import ALL, heard, without
from toughen.rules import named

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from toughen.lab.target import LabTarget
    from toughen.model.finding import Finding
    from toughen.model.mutant import Mutant
    from toughen.model.patch import Patch
    from toughen.model.trial import Experiment

FINDING = "regression tests"
"""What stands for a finding's id where tests are what was written."""
_ASKED = frozenset({"suite/none", "suite/happy-path-only", "suite/uncovered", "suite/unguarded"})
"""Breaks that further tests may end; an empty test stays empty."""


def with_tests(suite: Suite, patch: Patch) -> Suite:
    """The project's own tests with those that were written."""
    change = patch.changes[0]
    return Suite(tuple(dict.fromkeys((*suite.files, change.file))), suite.tests + change.after.count("\ndef test_"), suite.runner or "pytest")


def rehearsed(target: LabTarget, patch: Patch, tree: Path) -> LabTarget:
    """A boot of the mended project, with the tests that were written among its own."""
    target.blueprint = replace(target.blueprint, suite=with_tests(target.blueprint.suite, patch))
    target.lab.root = tree
    target.memory.rehearsing = Rehearsing(target.lab, target.blueprint)
    return target


def switched_off(target: LabTarget, before: Sequence[Mutant]) -> tuple[int, list[str]]:
    """(how many guards that the repairs brought are switched off and some test fails, those without which all pass)."""
    known = {each.key for each in before}
    killed, survived = 0, []
    if any(each.key not in known for each in target.mutants()):
        problem = heard(target.run(ALL))
        if isinstance(problem, str):
            raise LabError(problem, subject=target.lab.root)
    for mutant in target.mutants():
        if mutant.key in known:
            continue
        run = target.run(without(mutant).trials["off"]).suite
        # What hangs or dies without a guard was failed by no test: it is neither.
        if run is None or run.problem or (run.ended != "done" and not run.failed):
            continue
        killed += bool(run.failed)
        survived += [] if run.failed else [f"{mutant.file}:{mutant.line} {mutant.text}"]
    return killed, survived


def settled(target: LabTarget, findings: Sequence[Finding]) -> Iterator[tuple[str, Gone]]:
    """Findings about the tests that no longer show, in a boot of the project with the tests that were written."""
    asked = [each for each in findings if each.break_id in _ASKED and each.status is Status.PROVEN and each.proof is not None and each.route]
    for finding in asked:
        rule, route = named(finding.break_id), target.blueprint.route(finding.route or "")
        assert finding.proof is not None
        if rule is None or route is None:
            continue
        again = next((each for each in rule.experiments(target, route, Journey(route.id, (), 0)) if _switch(each) == _switch(finding.proof.experiment)), None)
        if again is not None and isinstance(rule.confirm(target, route.id, again), Refuted):
            yield finding.id, Gone(FINDING)


def _switch(experiment: Experiment) -> str:
    """The guard that an experiment switches off, "" where it is about none."""
    off = experiment.trials.get("off")
    return off.rehearsal.off if off is not None and off.rehearsal is not None else ""
