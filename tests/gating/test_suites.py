"""The gates of tests and guards: what the suite says, in words that name the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.gatekeeping import DOWN, CouldNot, Faults
from toughen.gates.guards import Guards, _key
from toughen.gates.tests import Tests
from toughen.model.finding import Evidence, Finding, NotConcluded, Severity, Status
from toughen.model.mutant import Mutant, SuiteRun, TestResult
from toughen.model.source import Location
from toughen.rehearsals import told, without

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Ground

FILES = {"main.py": "", "test_main.py": "def test(): ...\n"}
MUTANT = Mutant(1, "refusal", "main.py", 7, "buy", "amount < 1", "never", nth=2)


def unguarded(status: Status = Status.PROVEN) -> Finding:
    return Finding("suite/unguarded", "POST /buy", Location("main.py", 7), status, Severity.LOW, "no test fails", Evidence("", key="refusal in buy: amount < 1 (2)"))


def test_tests(ground: Callable[..., Ground]) -> None:
    """What fails, hangs, ends its process or passes now and then is a fault, with what it said; what passes and what is skipped is counted."""
    run = SuiteRun((
        TestResult("test_main.py::test_a", "passed"), TestResult("test_main.py::test_b", "failed", said="assert 1 == 2\n + where"), TestResult("test_main.py::test_c", "skipped"),
        TestResult("test_main.py::test_d", "flaky"), TestResult("test_main.py::test_e", "hung", said="it does not end"), TestResult("test_main.py::test_f", "error"),
    ))
    vacuous = Finding("suite/vacuous", "GET /", Location("test_main.py", 1), Status.PROVEN, Severity.LOW, "it asserts nothing")
    site = ground(FILES, suite=["test_main.py"], findings=[vacuous, unguarded()])
    site.suite = run
    said = Tests().look(site)
    assert isinstance(said, Faults)
    assert [each.message for each in said.faults] == [
        "test_main.py::test_b fails: assert 1 == 2 + where", "test_main.py::test_e fails: it does not end", "test_main.py::test_f fails: it says nothing",
        "test_main.py::test_d passes now and then: nothing can be built on it", "it asserts nothing",
    ]
    assert said.why == "1 of 6 tests pass, 1 are skipped"
    assert all(each.location and each.location.file == "test_main.py" for each in said.faults)


def test_no_tests(ground: Callable[..., Ground]) -> None:
    """None at all, and none that is collected, are faults; what cannot be run is no yes, and says how to look into it."""
    assert Tests().look(ground(FILES, booted=False)) is DOWN
    none = Tests().look(ground(FILES))
    assert isinstance(none, Faults)
    assert none.faults[0].key == "none"
    site = ground(FILES, suite=["test_main.py"])
    assert "no test was collected" in str(Tests().look(site))
    for run, said in ((SuiteRun(problem="their process dies"), "the tests cannot be run: their process dies"), (SuiteRun((TestResult("x", "passed"),), ended="hung", problem="too long"), "the tests cannot be run: too long")):
        site.suite = run
        told_ = Tests().look(site)
        assert isinstance(told_, CouldNot)
        assert told_.reason == said


def test_guards(ground: Callable[..., Ground]) -> None:
    """A guard that can go unnoticed is a fault; of one that was not judged nothing is known, and a baseline takes both by the same key."""
    other = Mutant(2, "owner", "main.py", 9, "", "x", "always")
    site = ground(FILES, suite=["test_main.py"], findings=[unguarded(), unguarded(Status.SUSPECTED)], inconclusive=[NotConcluded("suite/unguarded", "GET /", "the time budget was used up")], open=[MUTANT, other])
    said = Guards().look(site)
    assert isinstance(said, Faults)
    assert [each.key for each in said.faults] == [f"main.py {told(MUTANT)}"]
    assert [each.key for each in said.doubtful] == ["main.py owner in main.py: x"]
    assert said.why == "1 can go unnoticed; of 1 nothing is known: the time budget was used up"
    assert said.measured["nothing is said of"] == "the time budget was used up"


def test_key() -> None:
    """A guard is known by the same words whether it was judged or not, however long it is."""
    for each in (MUTANT, Mutant(3, "refusal", "a.py", 1, "", "x" * 200, ""), Mutant(4, "refusal", "a.py", 1, "f", "y" * 200, "", nth=3)):
        fact = without(each).fact
        key = f"{fact('kind')} in {fact('function') or fact('file')}: {fact('text')}"[:100] + fact("nth")
        finding = Finding("suite/unguarded", "GET /", Location(each.file, 1), Status.PROVEN, Severity.LOW, "", Evidence("", key=key))
        assert _key(finding) == f"{each.file} {told(each)}"
    assert _key(Finding("suite/unguarded", "GET /", Location("a.py", 1), Status.PROVEN, Severity.LOW, "")) == "a.py suite/unguarded@GET /"


def test_guards_not_known(ground: Callable[..., Ground]) -> None:
    """Without a prototype, tests, tests that pass, or time, nothing is known of the guards: that is no yes."""
    assert Guards().look(ground(FILES, booted=False)) is DOWN
    assert "no tests that could protect" in str(Guards().look(ground(FILES)))
    for reason, hint in (("the time budget was used up", "a larger --budget"), ("the prototype's own tests cannot be run: x", "")):
        said = Guards().look(ground(FILES, suite=["test_main.py"], inconclusive=[NotConcluded("suite/unguarded", "GET /", reason), NotConcluded("input/crash", "GET /", "other")]))
        assert isinstance(said, CouldNot)
        assert said.reason == f"nothing is known of the guards: {reason}"
        assert said.hint.startswith(hint)
    fine = Guards().look(ground(FILES, suite=["test_main.py"]))
    assert isinstance(fine, Faults)
    assert fine.why == "none can go unnoticed"
