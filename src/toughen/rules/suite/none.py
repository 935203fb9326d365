"""Owns suite/none."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment
from toughen.rehearsals import ALL
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.suites import FLASK_BOOK, HAPPY, TRANSFER, UNITTEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class NoTests(Rule):
    """There are no tests: nobody knows whether the next change breaks what works today.

    Who pays: whoever changes the code next, and everybody who uses it afterwards.

    Shown: no file of the project holds a test function of pytest's, unittest's or Django's.

    Example: a backend of twelve routes and an empty `tests` folder.
    Instead: for each route one test of what it does, and one of what it must refuse.

    `toughen fix` writes the first ones into `tests/test_hardened.py`: each honest request that it learned, and each break that it
    mended. They pass on the mended project, and those of breaks fail on the one before.
    """

    id = "suite/none"
    title = "The project has no tests"
    severity = Severity.LOW
    cwe = (1053,)
    order = 90
    rehearses = True
    whole = True
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """All tests that there are."""
        yield Experiment({"control": ALL}, "the project's own tests are looked for", (("files", str(len(target.blueprint.suite.files))), ("routes", str(len(target.blueprint.routes))), ("handler", route.handler.file)))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """No file holds one, and none runs."""
        run = traces["control"].suite
        if run is None:
            return Unclear("nobody looked for tests")
        if int(experiment.fact("files")) or run.tests:
            return Fails()
        message = f"no test covers any of the {experiment.fact('routes')} routes: the project has none"
        return Holds(Evidence(message, {"looked for": "functions and classes of pytest, unittest and Django, in every file of the project"}, Location(experiment.fact("handler"), 1)))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief."""
        routes = ", ".join(each.id for each in blueprint.routes[:4])
        yield Unmended(
            "what is right is the owner's to say",
            f"`toughen fix` writes tests of what it learned and mended, where they hold. What must hold afterwards: each route ({routes}, …) has a test of what it does, which asserts the answer and the rows, and one of what it must refuse: wrong input, nobody's credential, another user's.",
        )

    BROKEN: ClassVar[list[Broken]] = [
        Broken(TRANSFER, "GET /", ("fastapi",), unmended="the owner's to say", unseen="what is not there has no line"),
        Broken(FLASK_BOOK, "POST /entries", ("flask",), {"tests/__init__.py": ""}, unmended="the owner's to say", unseen="what is not there has no line"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(TRANSFER, "it has some, whatever they are worth", ("fastapi", "httpx", "pytest"), HAPPY),
        Sound(FLASK_BOOK, "unittest's are tests", ("flask",), UNITTEST),
    ]
