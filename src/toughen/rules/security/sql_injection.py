"""Owns security/sql-injection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Marker
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer, literal, named, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Argument, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Statement, Trace
    from toughen.rule import Judgement, Target

_LITERALS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)


class SqlInjection(Rule):
    """A value from the request becomes part of the SQL text: whoever sends it writes the query.

    Who pays: every user. One request reads or deletes any table, or logs in as anybody.

    Example: `f"SELECT * FROM users WHERE name = '{name}'"`.
    Instead: bound parameters: `execute("SELECT * FROM users WHERE name = ?", (name,))`.
    """

    id = "security/sql-injection"
    title = "A value from the request becomes part of the SQL"
    severity = Severity.CRITICAL
    cwe = (89,)
    owasp = "API8:2023"
    asvs = "V1.2.4"
    order = 10
    BROKEN: ClassVar[list[Broken]] = []
    SOUND: ClassVar[list[Sound]] = []

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text or untyped value with a canary and a quote, or a canary in a comment where no quote is needed."""
        control = Trial(journey.calls, journey.grants)
        for argument in journey.call.arguments:
            if argument.place in {Place.HEADER, Place.COOKIE, Place.FILE} or isinstance(literal(argument), bool | dict | list):
                continue
            for shape, about in _shapes(argument):
                call = journey.call.with_argument(argument.place, argument.path, Marker("injected", shape))
                yield Experiment(
                    {"control": control, "hostile": Trial((*journey.calls[:-1], call), journey.grants)},
                    f"{about} in {named(argument)}", (("field", named(argument)), ("shape", shape)),
                )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The canary and what follows it stand in the text of a statement, outside of every literal."""
        control, hostile = traces["control"], traces["hostile"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        canary = hostile.markers.get("injected", "")
        found = next((each for each in hostile.last.statements if canary and _escaped_its_place(each.text, canary, experiment.fact("shape"))), None)
        if found is None:
            return Fails()
        return Holds(
            Evidence(
                f"{experiment.fact('field')} becomes part of the SQL text: {_around(found, canary)}",
                {
                    "request": shown(hostile.last), "answer": answer(hostile.last), "statement": found.text[:600],
                    "error": found.error or "", "honest": shown(control.last),
                },
                found.location,
                (("field", experiment.fact("field")), ("statement", found.text[:600])),
                key=experiment.fact("field"),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Not yet."""
        yield from ()


def _shapes(argument: Argument) -> Iterator[tuple[str, str]]:
    value = literal(argument)
    if not isinstance(value, int | float) or argument.place in {Place.PATH, Place.QUERY, Place.FORM}:
        yield "tgn{}'q", "a quote"
    honest = value if isinstance(value, int | float) or (isinstance(value, str) and value.isdigit()) else None
    if honest is not None:
        yield f"{honest}/*tgn{{}}*/", "a comment"


def _escaped_its_place(text: str, canary: str, shape: str) -> bool:
    """Whether the canary's quote ended a literal, or its comment stands as a comment."""
    if canary not in text:
        return False
    if "/*" in shape:
        return f"tgn{canary}*/" in _LITERALS.sub("''", text)
    at = text.index(canary) + len(canary)
    return text[at : at + 2] == "'q"


def _around(statement: Statement, canary: str) -> str:
    at = statement.text.index(canary)
    return " ".join(statement.text[max(0, at - 60) : at + 40].split())
