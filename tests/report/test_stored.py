"""A report that is read back from disk is a stranger's: its shape is checked, and what is wrong is said with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toughen.errors import ReportError
from toughen.model.blueprint import Blueprint, Entry, Route
from toughen.model.finding import Evidence, Finding, NotConcluded, Severity, Status
from toughen.model.journey import Call, Journey, Unreached
from toughen.model.matrix import Access, Cell, Matrix, Whose
from toughen.model.patch import FileChange, Kept, Patch, RolledBack, Unmended
from toughen.model.source import Location
from toughen.model.verdict import Verdict
from toughen.report import buyer, html, markdown, stored
from toughen.report import json as json_report
from toughen.report import text as text_report

PLACE = Location("main.py", 12, "transfer")
FOUND = tuple(
    Finding(break_id, "POST /transfer", PLACE, Status.PROVEN, Severity.HIGH, f"{break_id} happens", Evidence(f"{break_id} happens", {"request": "POST /transfer"}, PLACE, key=key), None, (20,), "automatic")
    for break_id, key in (("race/lost-update", ""), ("input/nonsense", "amount"), ("input/crash", "n"), ("failure/hang", ""))
)
BEFORE = "import os\n\n\n" + "".join(f"line_{number} = {number}\n" for number in range(40))
FIRST = BEFORE.replace("line_3 = 3\n", "line_3 = 33\nadded = 1\n")
SECOND = FIRST.replace("line_30 = 30\n", "").replace("added = 1\n", "added = 2\n")
VERDICT = Verdict(
    Blueprint("shop", "flask", Entry("main:app", "main.py", "", "flask"), (Route("POST", "/transfer", PLACE), Route("GET", "/x", PLACE)), database="sqlite", lines=100), "harden", "4 breaks proven",
    (*FOUND, Finding("input/crash", None, Location("other.py", 3), Status.SUSPECTED, Severity.MEDIUM, "looks brittle")), (NotConcluded("input/nonsense", "GET /x", "the control does not pass"),),
    (Journey("POST /transfer", (Call("POST /transfer"),), 200),), (Unreached("GET /x", "always 500", 500),), (), {"total_s": 12.34}, ("sandbox: full",),
    (
        # The second patch stands on the first one and is told before it.
        (FOUND[1].id, Kept(Patch(FOUND[1].id, (FileChange("main.py", FIRST, SECOND),), "refuse it"))), (FOUND[0].id, Kept(Patch(FOUND[0].id, (FileChange("main.py", BEFORE, FIRST), FileChange("requirements.txt", "a\n", "b\n")), "add"))),
        (FOUND[2].id, RolledBack(Patch(FOUND[2].id, (FileChange("main.py", "a\n", "b\n"),), "catch it"), "tests", "1 test fails", "Read it.")), (FOUND[3].id, Unmended("no repair", "By hand.")),
    ),
    matrix=Matrix(("user",), (Cell("GET /x", "anonymous", Whose.NONE, Access.REFUSED, "401", works=False), Cell("GET /x", "user", Whose.OTHER, Access.MISSING, "200", works=True))),
)


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json_report.render(VERDICT, "0.1.0"))
    return found


def test_a_report_comes_back_as_it_was() -> None:
    """The Verdict of a stored report tells the same text as the one that it was made of."""
    report = stored.read(json.dumps(document()))
    again = stored.verdict_of(report)
    assert text_report.render(again, "0.1.0") == text_report.render(VERDICT, "0.1.0")
    assert [each.id for each in again.findings] == [each.id for each in VERDICT.findings]
    assert again.matrix == VERDICT.matrix
    assert json.loads(json_report.render(again, "0.1.0"))["findings"] == document()["findings"]
    assert "+added = 2" in markdown.render(again, "0.1.0")


def test_the_share_of_lines_that_stay_is_counted_over_all_patches() -> None:
    """Patches that stand on each other count once: a line that one adds and the next changes is none of the prototype's."""
    assert document()["change"] == {"files": 1, "lines": 100, "kept": 98, "removed": 2, "added": 2}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda report: report.update(schema=2), "schema: Input should be 1, not '2'"),
        (lambda report: report.pop("schema"), "schema: Field required"),
        (lambda report: report["findings"][2].update(severity="awful"), "findings[2].severity: Input should be 'low', 'medium', 'high' or 'critical', not 'awful'"),
        (lambda report: report["findings"][0]["location"].update(line="12"), "findings[0].location.line: Input should be a valid integer, not '12'"),
        (lambda report: report["findings"][0].update({"break": "../../x"}), "findings[0].break: String should match pattern"),
        (lambda report: report["coverage"].update(reached=-1), "coverage.reached: Input should be greater than or equal to 0, not '-1'"),
        (lambda report: report["coverage"].update(reached=True), "coverage.reached: Input should be a valid integer"),
        (lambda report: report.update(findings={}), "findings: Input should be a valid"),
        (lambda report: report["matrix"][1].update(access="yes"), "matrix[1].access: Input should be"),
        (lambda report: report["timings"].update(total_s=None), "timings.total_s: Input should be a valid number"),
        (lambda report: report["verdict"].pop("why"), "verdict.why: Field required"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: Any, said: str) -> None:
    """Another version, a wrong type, a missing part, a number below nothing: the message names the key and what stands there."""
    report = document()
    change(report)
    with pytest.raises(ReportError) as raised:
        stored.read(json.dumps(report), ".toughen/last.json")
    assert raised.value.message.startswith(".toughen/last.json is no report that this version reads: ")
    assert said in raised.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\x00", '{"schema": 1}', "[" * 100_000, b"\xff\xfe", '{"schema": 1e999}', '{"schema": NaN}'])
def test_what_is_no_report_ends_in_one_sentence(text: str | bytes) -> None:
    """Nothing, half a file, another document, nesting without end, no text at all: never a traceback."""
    with pytest.raises(ReportError) as raised:
        stored.read(text)
    assert len(raised.value.message) < 900


def test_a_report_that_is_too_large_is_not_even_read() -> None:
    """The size is asked before the content."""
    with pytest.raises(ReportError, match="too large"):
        stored.read(b" " * (stored.LARGEST + 1))


def test_what_a_later_version_adds_is_passed_over() -> None:
    """Keys that this version does not know are no fault: the contract grows without a new number."""
    report = {**document(), "signature": "x"}
    report["findings"][0]["mood"] = "bad"
    assert len(stored.read(json.dumps(report)).proven) == 4


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    found = [path] if path else []
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(each, (*path, key))
    return found


STORY = {"columns": ["POST /a", "POST /b"], "rows": [{"who": "A", "kind": "statement", "text": "SELECT 1"}, {"who": "B", "kind": "answer", "text": "200"}], "ends": ["x"], "in turn": ["y"]}
WRONG = (None, True, -1, 10**30, 0.5, "", "\ud800", "<script>", "x" * 3000, [], [None], [[1]], {}, {"rows": 3}, {"a": {"b": []}})


def test_any_value_in_any_place_is_shown_or_refused() -> None:
    """Each value of a report replaced by each of fifteen others: it is refused in one sentence, or every format can tell it; nothing breaks in between."""
    whole = document()
    whole["findings"] = whole["findings"][:2]
    whole["findings"][0]["evidence"]["timeline"] = STORY
    whole["run"] = {"verb": "fix", "at": "2026-01-02T00:00:00Z", "only": []}
    text = json.dumps(whole)
    told = refused = 0
    for path in places(whole):
        for wrong in WRONG:
            changed = json.loads(text)
            holder = changed
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = wrong
            try:
                report = stored.read(json.dumps(changed))
            except ReportError:
                refused += 1
                continue
            told += 1
            assert "<script>" not in html.page(report)
            assert "<script>" not in buyer.page(report, None, "ab" * 32)
            buyer.markdown(report, report, "ab" * 32)
            verdict = stored.verdict_of(report)
            for render in (text_report.render, markdown.render):
                render(verdict, "0.1.0")
    assert told > 100
    assert refused > 500
