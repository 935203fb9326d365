"""Gates in every format: what fell, what could not be checked, what is waived, and whom it stops."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest

from toughen.model.gate import Fault, Gated, State, Waiver
from toughen.model.source import Location
from toughen.report import buyer, dossier, gates, html, junit, markdown, sarif, stored
from toughen.report import json as json_report

if TYPE_CHECKING:
    from toughen.model.verdict import Verdict

DATA = Path(__file__).parents[2]
UNTESTED = Fault("main.py: total = <b>1</b>", "no test runs this \x1b[31mnew line", Location("main.py", 7), strict=True)
OLD = Fault("auth.py", "3 lines are run by no test: 4-6", Location("auth.py", 4), count=3)
WAIVER = Waiver("secrets", "*", "rotated on Friday", "ada@example.org", "2027-01-01")


def gated(finding: str) -> tuple[Gated, ...]:
    return (
        Gated("types", "Types hold", State.PASSED_OVER, "no Python file changed"),
        Gated("coverage", "New lines are tested", State.FELL, "9 of 10 lines are run by tests", faults=(UNTESTED,), known=(OLD,), gone=2, measured={"lines": "9 of 10"}, seconds=1.5),
        Gated("secrets", "No secret is published", State.HELD, "the source", waived=((Fault("config.py: KEY", "KEY stands in the source", Location("config.py", 1)), WAIVER),)),
        Gated("dependencies", "No known vulnerability is installed", State.UNCHECKED, "nobody answers", "check the network"),
        Gated("proofs", "No break is proven", State.FELL, "20 attacks", "the waiver expired", (Fault(finding, "it breaks", finding=finding),)),
    )


@pytest.fixture
def held(verdict: Verdict) -> Verdict:
    """A run of the gates."""
    return replace(verdict, gates=gated(verdict.findings[0].id))


def test_text(held: Verdict) -> None:
    """A line a gate; then what each fell for, with its place, and what to do; escapes of a terminal stay text."""
    text = gates.render(held, "0.1.0")
    assert "FELL        coverage" in text
    assert "NOT CHECKED dependencies" in text
    assert "main.py:7: no test runs this \\x1b[31mnew line" in text
    assert "3 known from the baseline; 2 of the baseline are gone" in text
    assert "waived until 2027-01-01 by ada@example.org: config.py: KEY (rotated on Friday)" in text
    assert "  check the network" in text
    assert text.endswith("Gates that stop this change: fell: coverage, proofs; not checked: dependencies.\n")
    assert gates.render(replace(held, gates=held.gates[:1]), "0.1.0").endswith("All gates hold (0 held, 1 passed over).\n")


def test_many(held: Verdict) -> None:
    """Of many faults the first are shown and the others counted; what was not executed is told."""
    many = replace(held.gates[1], faults=tuple(replace(UNTESTED, key=str(number)) for number in range(30)))
    text = gates.render(replace(held, gates=(many,), booted=False, why="it does not boot"), "0.1.0")
    assert "coverage fell for 30:" in text
    assert "and 22 more (--format json has them all)" in text
    assert "The prototype was not executed.\n  it does not boot" in text


def test_json(held: Verdict) -> None:
    """The report keeps its schema, and is read back as it was written."""
    document = json_report.document(held, "0.1.0")
    jsonschema.validate(json.loads(json.dumps(document)), json.loads((DATA.parent / "docs" / "output.schema.json").read_text()))
    again = stored.verdict_of(stored.of(held, "0.1.0"))
    assert [each.state for each in again.gates] == [each.state for each in held.gates]
    assert again.gates[1].faults == (replace(UNTESTED, strict=False),)
    assert sum(each.count for each in again.gates[1].known) == 3
    assert again.gates[2].waived[0][1].owner == "ada@example.org"


def test_sarif(held: Verdict) -> None:
    """What is no finding is a result of a rule of the gate's; what somebody answers for is suppressed; the schema is kept."""
    document = json.loads(sarif.render(held, "0.1.0"))
    jsonschema.Draft4Validator(json.loads((DATA / "data" / "sarif" / "sarif-schema-2.1.0.json").read_text())).validate(document)
    told = {each["ruleId"]: each for each in document["runs"][0]["results"] if each["ruleId"].startswith("gate/")}
    assert set(told) == {"gate/coverage", "gate/secrets"}, "a break that is proven is told once, as a finding"
    assert told["gate/secrets"]["suppressions"][0]["justification"] == "ada@example.org, until 2027-01-01: rotated on Friday"
    assert not told["gate/coverage"]["suppressions"]
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in told.values())


def test_junit(held: Verdict) -> None:
    """A case a gate: failure, error where it could not be checked, skipped where nothing changed."""
    root = fromstring(junit.render(held, "0.1.0"))  # noqa: S314 - our own text
    cases = {each.get("name"): [child.tag for child in each] for each in root.iter("testcase") if each.get("classname") == "toughen.gates"}
    assert cases == {"types": ["skipped"], "coverage": ["failure"], "secrets": [], "dependencies": ["error"], "proofs": ["failure"]}


def test_markdown(held: Verdict) -> None:
    """The comment begins with what stops the change; findings that are let through are not listed."""
    text = markdown.render(held, "0.1.0")
    assert "## toughen: ❌ a gate fell" in text
    assert "**Gates that stop this change: fell: coverage, proofs; not checked: dependencies.**" in text
    assert "<b>1" not in text
    assert f"{held.findings[0].message[:20]}" in text
    waived = replace(held, waived=((held.findings[0].id, "known"),), gates=held.gates[:1])
    assert "## toughen: ✅ the gates hold" in markdown.render(waived, "0.1.0")
    assert f"`{held.findings[0].break_id}` on" not in markdown.render(waived, "0.1.0").partition("<details>")[0]


def test_page(held: Verdict) -> None:
    """The page has a section of gates, and none where none was asked."""
    page = html.render(held, "0.1.0")
    assert '<section id="gates"' in page
    assert "✕ fell" in page
    assert "<h1>Not through the gate: 2 gates fell, 1 could not be checked.</h1>" in page
    assert "<h1>The gates hold.</h1>" in html.render(replace(held, gates=held.gates[:1]), "0.1.0")
    assert "<b>1</b>" not in page
    assert '<section id="gates"' not in html.render(replace(held, gates=()), "0.1.0")


def test_dossier(held: Verdict) -> None:
    """The buyer reads how many gates held, what they let through, and which are open; gates of an earlier whole run stand in a later report."""
    report = stored.of(held, "0.1.0")
    plain = stored.of(replace(held, gates=()), "0.1.0")
    for drawn in (dossier.dossier(report), dossier.dossier(plain, None, report)):
        states = {each.name: each.state for each in drawn.gates}
        assert states["coverage"] == "fell"
        assert states["lint"] == "not run"
        answer = drawn.answers[3]
        assert answer.short.startswith("1 of 5 gates")
        said = " ".join(each.text for each in answer.statements)
        assert "open: types, coverage, dependencies, proofs." in said
        assert "They let 3 faults through that were there before, and 1 that somebody answers for until a day." in said
    assert "fell for 1" in buyer.markdown(report, None, "ab" * 32)
