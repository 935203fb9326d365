"""Owns the judgement of a suite: which guards it protects, told by what its tests say while each is off."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from toughen.model.mutant import TestResult

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from toughen.model.mutant import Mutant, SuiteRun

AT_IMPORT = ""
"""Stands for the import among the tests that ask a guard."""
_MOST = 3
"""Tests that are left out because they hang, or take their process with them."""
_LEAST, _TIMES = 5.0, 8.0
"""Seconds that a run may take at least, and how many times as long as without a mutant."""


class Runner(Protocol):
    """What runs tests."""

    def run(self, off: int, tests: Collection[str] | None, seconds: float, *, fresh: bool, most: int = 1, noting: bool = False, answer: int = 0, plain: bool = False) -> SuiteRun:
        """Those tests in that order (None is all), with one guard off (0 is none), until so many failed.

        `fresh` imports the project anew, `noting` notes which guards and routes are asked, `answer` answers every request of theirs
        with that status, `plain` imports the project as it is, without a switch.
        """


def steady(runner: Runner, seconds: float, names: Sequence[str] = ()) -> SuiteRun:
    """All tests behind the switch with every guard on, and what they asked; a test that fares otherwise without the switch, or the second time, is `flaky`, and one that takes the others with it is left out."""
    apart: list[TestResult] = []
    while True:
        wanted = [each for each in names if each not in {left.id for left in apart}] if apart else None
        first = runner.run(0, wanted, seconds, fresh=True, most=0, noting=True)
        plain = runner.run(0, wanted, seconds, fresh=True, most=0, plain=True) if first.ended == "done" else first
        again = runner.run(0, wanted, seconds, fresh=False, most=0) if plain.ended == "done" else plain
        if again.ended == "done":
            break
        if len(apart) == _MOST or again.within not in names or again.within in {each.id for each in apart}:
            return again
        apart.append(TestResult(again.within, again.ended, 0.0, "it does not end" if again.ended == "hung" else "the process ends with it: something calls os._exit, or kills it"))
    told = [{each.id: each.outcome for each in run.tests} for run in (first, plain, again)]
    tests = tuple(each if len({known.get(each.id) for known in told}) == 1 else replace(each, outcome="flaky") for each in first.tests)
    return replace(first, tests=(*tests, *apart))


def asking(mutant: Mutant, baseline: SuiteRun) -> tuple[list[str], bool]:
    """(passing tests that ask a guard, the fastest first; whether the project must be imported anew for it): all of them where it is asked while its file is imported."""
    asked = baseline.reached.get(mutant.number, ())
    fresh = bool(asked) and (mutant.at_import or AT_IMPORT in asked)
    seconds = {each.id: each.seconds for each in baseline.tests}
    return sorted(baseline.passed if fresh else baseline.passed & set(asked), key=lambda name: (seconds.get(name, 0.0), name)), fresh


def limit_of(tests: Collection[str], baseline: SuiteRun) -> float:
    """Seconds after which tests that a mutant holds up are ended."""
    seconds = {each.id: each.seconds for each in baseline.tests}
    return _LEAST + _TIMES * sum(seconds.get(each, 0.0) for each in tests)


def said_of(tests: Collection[str], run: SuiteRun) -> tuple[str, str]:
    """(outcome, the test that failed or why it is unclear) of a run without a guard."""
    killer = next((each for each in run.failed if each.id in set(tests)), None)
    if killer is not None:
        return "killed", killer.id
    if run.ended != "done":
        return "unclear", "without it, the tests do not end" if run.ended == "hung" else "without it, the process of the tests dies"
    if not {each.id for each in run.tests} >= set(tests):
        return "unclear", "without it, the tests cannot be collected"
    return "survived", ""
