"""Owns suite/vacuous."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment, Rehearsal, Trial
from toughen.rehearsals import ALL, EMPTY, REFUSED, asks, heard, hollow
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.suites import BITING, EMPTY_TESTS, FLASK_BOOK, TRANSFER, UNITTEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_NEEDS = ("fastapi", "httpx", "pytest")


class Vacuous(Rule):
    """A test passes whatever the application answers: it asserts nothing of it, only a constant, or swallows its own failure.

    Who pays: whoever trusts the green tick. Assistants write such tests to please: they run, they count, they protect nothing.

    Shown: the project's own tests run on a copy of it; then once more while every request of theirs is answered with 500, and once with 200
    and an empty object, and nothing is done. A test that sends requests and passes in all three says nothing of any answer.

    Example: `response = client.post("/orders", json=order)` and no assert; `assert response is not None`; `try: … except: pass`.
    Instead: assert the status, what the answer holds, and what is in the database afterwards.
    """

    id = "suite/vacuous"
    title = "A test passes whatever is answered"
    severity = Severity.LOW
    cwe = (1053,)
    order = 90
    rehearses = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Test functions without an assertion, with constant ones only, or that swallow their failure."""
        yield from hollow(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each test whose first request goes to this route, while nobody's answers are given."""
        run = target.run(ALL).suite if target.blueprint.suite.files else None
        others = " ".join(each.path for each in target.blueprint.routes if each.method == route.method and each.path != route.path)
        firsts = {each.test: each for each in reversed(run.requests)} if run is not None else {}
        for test, first in sorted(firsts.items()):
            if asks(first, route.method, route.path, others.split()):
                trials = {"control": ALL, "refused": Trial((), rehearsal=Rehearsal(answer=REFUSED)), "empty": Trial((), rehearsal=Rehearsal(answer=EMPTY))}
                yield Experiment(trials, f"{test}, whatever is answered", (("test", test),))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """It passes as it is, against 500, and against an empty 200."""
        control, test = heard(traces["control"]), experiment.fact("test")
        if isinstance(control, str):
            return Unclear(control)
        if test not in control.passed:
            return Unclear(f"{test} does not pass as it is, or only now and then")
        sent = [each for each in control.requests if each.test == test]
        refused, empty = traces["refused"].suite, traces["empty"].suite
        if not sent or refused is None or empty is None or "done" not in refused.ended or "done" not in empty.ended:
            return Unclear("the tests do not end when nobody's answers are given")
        if test not in refused.passed or test not in empty.passed:
            return Fails()
        file, _, name = test.partition("::")
        facts: dict[str, Json] = {"test": test, "sends": [f"{each.method} {each.path} -> {each.status}" for each in sent[:4]], "passes against": f"{REFUSED}, and {EMPTY} with an empty object"}
        return Holds(Evidence(f"{name.rpartition('::')[2]} passes when every request is answered with {REFUSED}, and when it is answered with {EMPTY} and nothing is done", facts, Location(file, 1, name.replace("::", ".")), (("test", test),), key=name))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief."""
        test = finding.evidence.fact("test") if finding.evidence else "the test"
        yield Unmended("what is right is the owner's to say", f"What must hold afterwards: {test} fails when its requests are answered with 500. Assert the status, what the answer holds, and the rows; let no handler swallow an AssertionError.")

    BROKEN: ClassVar[list[Broken]] = [
        Broken(TRANSFER, "GET /balance", _NEEDS, EMPTY_TESTS, unmended="the owner's to say", unseen="which route a test asks is seen when it runs"),
        Broken(
            FLASK_BOOK, "POST /entries", ("flask", "pytest"), {"test_book.py": "from main import app\n\ndef test_writes():\n    app.test_client().post('/entries', json={'owner': 'ann', 'text': 'hello'})\n    assert True\n"},
            unmended="the owner's to say", unseen="which route a test asks is seen when it runs",
        ),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(TRANSFER, "each test looks at its answer", _NEEDS, BITING),
        Sound(FLASK_BOOK, "unittest's assertions are assertions", ("flask", "pytest"), UNITTEST),
        Sound(TRANSFER, "a constant is asserted where no request is sent", _NEEDS, {"test_main.py": "import main\n\ndef test_who_is_there():\n    assert set(main.accounts) == {'ann', 'ben'}\n\ndef test_title():\n    assert main.app.title == 'FastAPI'\n"}),
    ]
