"""Owns suite/uncovered."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment
from toughen.rehearsals import ALL, asks, heard, sent
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


class Uncovered(Rule):
    """A route is served, and no test of the project ever sends it a request.

    Who pays: whoever changes what lies behind it: that it broke is told by its users.

    Shown: the project's own tests run on a copy of it, and every request that they send is noted, with the route that it fits.

    Example: `POST /refund`, and tests that order and pay.
    Instead: one test of what it does, one of what it must refuse.
    """

    id = "suite/uncovered"
    title = "No test sends a request to this route"
    severity = Severity.LOW
    cwe = (1053,)
    order = 91
    rehearses = True
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """All tests that there are."""
        if target.blueprint.suite.files:
            place = route.handler
            detail = (("method", route.method), ("path", route.path), ("file", place.file), ("line", str(place.line)), ("function", place.function or ""))
            yield Experiment({"control": ALL}, "what the project's own tests send", (*detail, ("others", " ".join(each.path for each in target.blueprint.routes if each.method == route.method and each.path != route.path))))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Some requests are seen, and none of them fits the route."""
        control = heard(traces["control"])
        if isinstance(control, str):
            return Unclear(control)
        if not control.requests:
            return Unclear("no request of its tests is seen: they call functions, or a server of their own")
        if any(asks(each, experiment.fact("method"), experiment.fact("path"), experiment.fact("others").split()) for each in control.requests):
            return Fails()
        fact = experiment.fact
        seen = sorted({f"{each.method} {each.path}" for each in control.requests})
        facts: dict[str, Json] = {"requests": len(control.requests), "tests": len(control.tests), "others": [*seen[:6]]}
        return Holds(Evidence(f"{sent(control)}, and none to {fact('method')} {fact('path')}", facts, Location(fact("file"), int(fact("line")), fact("function") or None)))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief."""
        yield Unmended("what is right is the owner's to say", f"What must hold afterwards: a test sends {finding.route} what it is made for, and asserts the answer and the rows; another one sends what it must refuse.")

    BROKEN: ClassVar[list[Broken]] = [
        Broken(TRANSFER, "GET /", _NEEDS, HAPPY, unmended="the owner's to say", unseen="what a test sends is seen when it runs"),
        Broken(
            FLASK_BOOK, "GET /entries/{entry_id}", ("flask", "pytest"), {"test_book.py": "from main import app\n\ndef test_nothing_is_refused():\n    assert app.test_client().post('/entries', json={'owner': 'ann'}).status_code == 400\n"},
            unmended="the owner's to say", unseen="what a test sends is seen when it runs",
        ),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(FLASK_BOOK, "each route is asked, by its placeholder", ("flask", "pytest"), UNITTEST),
        Sound(TRANSFER, "each route is asked", _NEEDS, {"test_main.py": BITING["test_main.py"] + "\ndef test_home(client):\n    assert client.get('/?from=here').json() == {'bank': 'open'}\n"}),
    ]
