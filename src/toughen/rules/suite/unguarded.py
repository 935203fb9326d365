"""Owns suite/unguarded."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.mutation.judge import said_of
from toughen.rehearsals import heard, mutants_of, without
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.suites import BITING, FLASK_BOOK, HAPPY, TRANSFER, UNITTEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_GRAVE = {"dependency", "decorator", "permission", "owner"}
"""Guards that say who may."""
_KEY = 100
_NEEDS = ("fastapi", "httpx", "pytest")


class Unguarded(Rule):
    """A check can be taken out of the code, and every test of the project still passes.

    Who pays: whoever changes the code next, a person or an assistant. The check goes in a tidy-up, the tests are green, and the
    first to notice is an attacker or a customer.

    Shown: the project's own tests run on a copy of it, once as it is (they pass, twice), and once with this one guard switched off: a
    refusal that is never reached, a constraint, dependency, decorator or permission that is not there, an owner's condition that is always true,
    a handler that catches nothing, a call that waits for ever, a lock that locks nothing. Those tests run that ask the guard; none fails.

    Example: `if account.balance < amount: raise HTTPException(400)`, and tests that only transfer what is there.
    Instead: one test for each guard that sends what it must refuse, and looks at the answer and at what must not have changed.

    The guards that `toughen fix` puts in get theirs: it writes the tests, switches each of these guards off, and tells which are held.
    """

    id = "suite/unguarded"
    title = "A check can go, and no test fails"
    severity = Severity.LOW
    cwe = (1164,)
    order = 90
    rehearses = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each guard of what the route runs, switched off."""
        if target.blueprint.suite.files:
            yield from map(without, mutants_of(target, route))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The tests pass with the guard, and without it."""
        control = heard(traces["control"])
        if isinstance(control, str):
            return Unclear(control)
        fact = experiment.fact
        place = Location(fact("file"), int(fact("line")), fact("function") or None)
        key = f"{fact('kind')} in {fact('function') or fact('file')}: {fact('text')}"[:_KEY] + fact("nth")
        severity = Severity.MEDIUM if fact("kind") in _GRAVE else None
        detail = tuple((name, fact(name)) for name in ("kind", "file", "line", "function", "text"))
        asked = control.reached.get(int(fact("number")), ())
        doubtful = control.flaky if fact("at_import") or "" in asked else control.flaky & set(asked)
        if doubtful:
            return Unclear(f"a test that asks it passes now and then: {min(doubtful)}")
        if not asked:
            facts: dict[str, Json] = {"guard": fact("text"), "without it": fact("without"), "tests": f"{len(control.passed)} pass; none of them ever asks it"}
            return Holds(Evidence(f"no test ever asks this {fact('kind')}: {fact('text')}", facts, place, detail, key, severity))
        off = traces["off"].suite
        if off is None or off.problem:
            return Unclear(off.problem if off else "nobody ran the tests without the guard")
        tests = [each.id for each in off.tests] if off.failed else sorted(control.passed if fact("at_import") or "" in asked else control.passed & set(asked))
        if not tests:
            return Unclear("the tests that ask it do not pass as it is")
        outcome, said = said_of(tests, off)
        if outcome != "survived":
            return Fails() if outcome == "killed" else Unclear(said)
        facts = {"guard": fact("text"), "without it": fact("without"), "tests": f"{len(tests)} that ask it pass without it as well: {', '.join(tests[:3])}"}
        ask = "asks" if len(tests) == 1 else "ask"
        whom = f"all {len(tests)} tests pass" if fact("at_import") else f"no test fails, though {len(tests)} {ask} it"
        return Holds(Evidence(f"without this {fact('kind')} {whom}: {fact('text')}", facts, place, detail, key, severity))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief: what the test has to send."""
        fact = finding.evidence.fact if finding.evidence else lambda _: ""
        yield Unmended(
            "which answer is meant is the owner's to say",
            f"What must hold afterwards: a test fails when {fact('text')} ({fact('file')}:{fact('line')}) is taken out. Send what it must turn away, assert the answer's status, and that nothing was written.",
        )

    BROKEN: ClassVar[list[Broken]] = [
        Broken(TRANSFER, "POST /transfer", _NEEDS, HAPPY, unmended="the owner's to say", unseen="what a test is worth is seen when it runs"),
        Broken(FLASK_BOOK, "POST /entries", ("flask", "pytest"), {"tests/__init__.py": "", "tests/test_book.py": UNITTEST["tests/test_book.py"].replace("400)", "400) if False else None")}, unmended="the owner's to say", unseen="what a test is worth is seen when it runs"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(TRANSFER, "each guard has a test that fails without it", _NEEDS, BITING),
        Sound(FLASK_BOOK, "each guard has a test of unittest's that fails without it", ("flask", "pytest"), UNITTEST),
    ]
