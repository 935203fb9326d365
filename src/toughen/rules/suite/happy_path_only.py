"""Owns suite/happy-path-only."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment
from toughen.rehearsals import ALL, heard, sent
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.suites import BITING, FLASK_BOOK, HAPPY, TRANSFER, UNITTEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_NEEDS = ("fastapi", "httpx", "pytest")
_REFUSED = 400


class HappyPathOnly(Rule):
    """Every request of every test is answered with success: nobody tries what must not work.

    Who pays: the owner, when the first user mistypes an amount, forgets to log in, or asks for somebody else's order.

    Shown: the project's own tests run on a copy of it, and every request that they send is noted with its answer. None is refused.

    Example: twelve tests that order, pay and list, and none that orders -1, without a token, or what is sold out.
    Instead: for each check a test that sends what it turns away.

    `toughen fix` writes those of the breaks that it mended beside the project's own tests.
    """

    id = "suite/happy-path-only"
    title = "No test sends what must be refused"
    severity = Severity.LOW
    cwe = (1053,)
    order = 91
    rehearses = True
    whole = True
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """All tests that there are."""
        if target.blueprint.suite.files:
            yield Experiment({"control": ALL}, "how the project's own requests are answered", (("file", target.blueprint.suite.files[0]),))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Some requests are seen, and none of them is refused."""
        control = heard(traces["control"])
        if isinstance(control, str):
            return Unclear(control)
        if not control.requests:
            return Unclear("no request of its tests is seen: they call functions, or a server of their own")
        if any(each.status >= _REFUSED for each in control.requests):
            return Fails()
        answers = sorted({each.status for each in control.requests})
        facts: dict[str, Json] = {"requests": len(control.requests), "tests": len(control.tests), "answers": [*answers], "without a credential": sum(not each.known for each in control.requests)}
        return Holds(Evidence(f"{sent(control)}, and none of them is refused", facts, Location(experiment.fact("file"), 1)))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief."""
        yield Unmended(
            "which answer is meant is the owner's to say",
            "What must hold afterwards: for each route a test sends abnormal input (missing, negative, too long), no credential, another user's, and what a failing service or a sold-out stock leads to; it asserts the refusal, and that nothing was written.",
        )

    BROKEN: ClassVar[list[Broken]] = [
        Broken(TRANSFER, "GET /", _NEEDS, HAPPY, unmended="the owner's to say", unseen="how a request is answered is seen when it is sent"),
        Broken(
            FLASK_BOOK, "POST /entries", ("flask", "pytest"), {"test_book.py": "from main import app\n\ndef test_writes():\n    assert app.test_client().post('/entries', json={'owner': 'ann', 'text': 'hello'}).status_code == 201\n"},
            unmended="the owner's to say", unseen="how a request is answered is seen when it is sent",
        ),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(TRANSFER, "what must be refused is sent", _NEEDS, BITING),
        Sound(FLASK_BOOK, "what must be refused is sent by tests of unittest's", ("flask", "pytest"), UNITTEST),
    ]
