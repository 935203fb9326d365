"""The JUnit report, read as CI servers read it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, fromstring

import pytest

from toughen.model.finding import Status
from toughen.report import junit

if TYPE_CHECKING:
    from toughen.model.verdict import Verdict


KNOWN = {
    "testsuites": {"name", "time", "tests", "failures", "errors"}, "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"}, "testcase": {"name", "classname", "time"},
    "failure": {"type", "message"}, "error": {"type", "message"}, "skipped": {"message"}, "system-out": set[str](),
}
"""What the strictest schema in use (junit-10.xsd of the xUnit plug-in for Jenkins) has on these elements, as far as it is used here."""
INSIDE = {"testsuites": {"testsuite"}, "testsuite": {"testcase"}, "testcase": {"failure", "error", "skipped", "system-out"}}


def read(verdict: Verdict) -> Element:
    """The root of a report whose numbers agree with what they count."""
    root = fromstring(junit.render(verdict, "0.1.0"))  # noqa: S314 - written here
    assert root.tag == "testsuites"
    for each in root.iter():
        assert set(each.keys()) <= KNOWN[each.tag]
        assert {child.tag for child in each} <= INSIDE.get(each.tag, set())
    for suite in root:
        cases = suite.findall("testcase")
        assert suite.get("tests") == str(len(cases))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(sum(each.find(tag) is not None for each in cases))
        assert float(suite.get("time", "")) == pytest.approx(sum(float(each.get("time", "")) for each in cases))
        assert all(each.get("name") and each.get("classname") for each in cases)
        assert all(len(each.findall("failure")) + len(each.findall("error")) + len(each.findall("skipped")) <= 1 for each in cases)
    for attribute in ("tests", "failures", "errors"):
        assert root.get(attribute) == str(sum(int(each.get(attribute, "")) for each in root))
    return root


def case(root: Element, break_id: str, name: str) -> Element:
    """The case of that break and route."""
    return next(each for each in root.iter("testcase") if each.get("classname") == f"toughen.{break_id}" and each.get("name") == name)


@pytest.mark.parametrize("name", ["verdict", "mended", "hostile", "dead"])
def test_its_numbers_agree(name: str, request: pytest.FixtureRequest) -> None:
    """Tests, failures, errors, skipped and time are what the cases add up to, whatever the prototype's names and answers hold."""
    read(request.getfixturevalue(name))


def test_a_case_says_what_became_of_a_break_on_a_route(verdict: Verdict) -> None:
    """Proven fails with what happened, the proof and how to see it again; refuted passes; inconclusive is skipped with its reason."""
    root = read(verdict)
    assert [each.get("name") for each in root] == ["toughen.input", "toughen.operations", "toughen.race"]
    race = case(root, "race.lost-update", "POST /transfer")
    failure = race.find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("race/lost-update", "two requests at once leave 5")
    assert failure.text is not None
    for each in ("proof: .toughen/proofs/race-lost-update-POST-transfer.json", "replay: toughen replay .toughen/proofs/race-lost-update-POST-transfer.json", "stands still", "main.py:12 in transfer"):
        assert each in failure.text
    assert race.get("time") == "2.000"
    assert len(case(root, "input.crash", "GET /")) == 0
    skipped = case(root, "race.lost-update", "GET /").find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "the control does not pass"


def test_what_had_nothing_to_attack_is_no_case(verdict: Verdict) -> None:
    """A rule that found nothing to try on a route tested nothing there."""
    assert not [each for each in read(verdict).iter("testcase") if each.get("classname") == "toughen.operations.no-health-check" and each.get("name") == "GET /"]


def test_a_suspicion_is_told_and_fails_nothing(verdict: Verdict) -> None:
    """It stands in system-out of a case that is skipped, or that passed where its break was refuted by execution."""
    root = read(verdict)
    one = case(root, "operations.no-health-check", "operations/no-health-check")
    assert "no route tells" in (one.findtext("system-out") or "")
    assert one.find("skipped") is not None
    beside = replace(verdict.findings[1], route="GET /", status=Status.SUSPECTED)
    passed = case(read(replace(verdict, findings=(beside,))), "input.crash", "GET /")
    assert passed.find("system-out") is not None
    assert passed.find("failure") is None
    assert passed.find("skipped") is None


def test_several_breaks_of_one_rule_on_one_route_are_one_case(verdict: Verdict) -> None:
    """CI servers count cases: the failure tells all of them."""
    twice = replace(verdict, findings=(verdict.findings[1], replace(verdict.findings[1], message="note = [] ends in KeyError")))
    failure = case(read(twice), "input.crash", "POST /transfer").find("failure")
    assert failure is not None
    assert "(and 1 more)" in str(failure.get("message"))
    assert "note = [] ends in KeyError" in str(failure.text)


def test_what_was_mended_passes_and_the_rest_fails(mended: Verdict) -> None:
    """As the exit code has it: kept and ended by another is gone, taken back is not."""
    root = read(mended)
    assert case(root, "race.lost-update", "POST /one").find("failure") is None
    assert case(root, "race.lost-update", "POST /transfer").find("failure") is None
    assert case(root, "input.crash", "POST /transfer").find("failure") is not None


def test_a_prototype_that_does_not_boot_is_an_error(dead: Verdict) -> None:
    """No build goes green over a run that executed nothing; one that was asked to read only is skipped."""
    root = read(dead)
    assert root.get("errors") == "1"
    error = case(root, "run", "boot").find("error")
    assert error is not None
    assert "no luck" in str(error.text)
    static = read(replace(dead, notes=("static survey only",)))
    assert static.get("errors") == "0"
    assert case(static, "run", "boot").find("skipped") is not None


def test_every_character_is_one_that_xml_has(hostile: Verdict) -> None:
    """XML 1.0 knows no way to write control characters, surrogates or U+FFFE; the report shows them as escapes."""
    text = junit.render(hostile, "0.1.0")
    assert not re.search(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    assert r"\x1b[31m" in text
    assert len(text) < 5_000_000
