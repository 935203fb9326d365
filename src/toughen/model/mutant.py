"""Owns mutants: what a project's own tests say while one guard of its source is switched off."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Mutant:
    """One guard of the source, switched off; everything else as it is."""

    number: int
    """Its switch, from 1."""
    kind: str
    """refusal, constraint, dependency, decorator, permission, owner, handler, timeout, lock or boundary."""
    file: str
    line: int
    function: str
    """Qualified name of the function around it, "" at the top of a file."""
    text: str
    """The guard as it is written, on one line."""
    without: str
    """What it becomes, in words: `amount <= 0 is never true`."""
    at_import: bool = False
    """Its guard is asked while its file is imported, once for all tests."""
    nth: int = 1
    """Which of several guards that are written alike in one function."""

    @property
    def key(self) -> str:
        """What stays the same when lines move: file, function, kind, text, and which of those that are alike."""
        return f"{self.file}:{self.function or '-'}:{self.kind}:{self.text}" + (f" ({self.nth})" if self.nth > 1 else "")


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of the project's."""

    __test__ = False
    id: str
    """`tests/test_api.py::test_buy`, as pytest names it."""
    outcome: str
    """passed, failed, error, skipped, flaky (it fares now so, now otherwise), hung or died (it takes the others with it, and was left out)."""
    seconds: float = 0.0
    said: str = ""
    """The end of what it failed with."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that a test sent to the application."""

    test: str
    method: str
    path: str
    """As it was sent, without its query."""
    status: int
    known: bool
    """It carried a credential: an Authorization header, or a cookie."""


@dataclass(frozen=True, slots=True)
class SuiteRun:
    """Tests that were run once, in a process of their own."""

    tests: tuple[TestResult, ...] = ()
    reached: dict[int, tuple[str, ...]] = field(default_factory=dict)
    """Mutant -> tests during which its guard was asked; "" stands for the import."""
    requests: tuple[Asked, ...] = ()
    """What the tests themselves sent, in order; not what their fixtures did."""
    ended: str = "done"
    """done, hung or died."""
    problem: str = ""
    """Why no test could be run, in words."""
    within: str = ""
    """The test during which it hung or died, where that is known."""

    @property
    def passed(self) -> frozenset[str]:
        """Ids of the tests that passed."""
        return frozenset(each.id for each in self.tests if each.outcome == "passed")

    @property
    def flaky(self) -> frozenset[str]:
        """Ids of those of which nothing can be said."""
        return frozenset(each.id for each in self.tests if each.outcome == "flaky")

    @property
    def failed(self) -> tuple[TestResult, ...]:
        """Those that did not, and were not skipped."""
        return tuple(each for each in self.tests if each.outcome in {"failed", "error", "hung", "died"})
