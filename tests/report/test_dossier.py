"""The dossier: every sentence has a number of the report in it, and where there is none it says so."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from toughen.report import buyer, dossier, stored


def report(*, proven: int = 4, kept: int = 0, unmended: int = 0, share: int = 98, verb: str = "check", only: tuple[str, ...] = (), at: str = "2026-01-02T00:00:00Z", **more: Any) -> stored.Report:
    """A report of so many breaks of which so many were mended."""
    breaks = ["security/sql-injection", "race/lost-update", "input/crash", "failure/hang", "suite/vacuous"]
    findings = [
        {
            "id": f"{breaks[number % 5]}@GET /{number}", "break": breaks[number % 5], "place": breaks[number % 5].partition("/")[0], "status": "proven", "severity": "high", "route": {"method": "GET", "path": f"/{number}"},
            "location": {"file": "main.py", "line": number, "function": None}, "message": "m", "evidence": {}, "proof": f".toughen/proofs/{number}.json", "cwe": [], "mend": "automatic",
        }
        for number in range(proven)
    ]
    mends = [{"finding": each["id"], "outcome": "kept" if number < kept else "unmended", "reason": "r"} for number, each in enumerate(findings[: kept + unmended])]
    return stored.read(json.dumps({
        "schema": 1, "toughen": "0.1.0", "prototype": {"name": "shop", "framework": "flask", "entry": "main:app", "database": None, "routes": 10, "lines": 1000, "tests": 7}, "findings": findings,
        "coverage": {"routes": 10, "reached": 9, "unreached": [{"method": "GET", "path": "/x", "reason": "always 500"}], "authorization": {"cells": 20, "allowed": 10, "refused": 8, "missing": 1, "undecided": 1, "untested": 0}},
        "inconclusive": [], "identities": [], "mends": mends, "notes": [], "booted": True, "verdict": {"decision": "harden", "why": "w"}, "timings": {"total_s": 3.0}, "run": {"verb": verb, "at": at, "only": list(only)},
        **({"change": {"files": 2, "lines": 1000, "kept": share * 10, "removed": 1000 - share * 10, "added": 30}} if mends else {}), **more,
    }))


def shorts(drawn: dossier.Dossier) -> list[str]:
    return [each.short for each in drawn.answers]


REPORTS = {
    "check": report(), "fix": report(kept=3, unmended=1, verb="fix"), "clean": report(proven=0), "narrow": report(only=("race",)), "dry": report(kept=4, verb="fix --dry-run"),
    "not booted": report(proven=0, booted=False, coverage={"routes": 10, "reached": 0, "unreached": []}),
}


@pytest.mark.parametrize("name", REPORTS)
def test_every_sentence_shows_a_number_and_its_source(name: str) -> None:
    """Whatever the run was, no sentence of the five answers stands without a number and the place in the report where it comes from."""
    for answer in dossier.dossier(REPORTS[name]).answers:
        assert answer.statements
        for each in answer.statements:
            assert each.source
            assert re.search(r"\d", each.text) or "not in this report" in each.text, each.text


def test_five_questions_are_asked() -> None:
    """A buyer finds the five questions, in the words that he asks them in."""
    assert [each.question for each in dossier.dossier(REPORTS["check"]).answers] == [
        "Can it be hardened, rather than just built fast?", "Where does it break?", "Rewrite or keep?", "What verifies the AI's output mechanically?", "Is security designed in, or bolted on?",
    ]


def test_nothing_is_decided_without_repairs() -> None:
    """Before a repair was tried nothing is said of hardening or rewriting: there is no number for it."""
    drawn = dossier.dossier(REPORTS["check"])
    assert shorts(drawn)[0] == shorts(drawn)[2] == "Not measured"
    assert drawn.headline == "This report does not carry a decision yet."
    assert {each.after for each in drawn.rows} == {None}


def test_what_was_measured_decides() -> None:
    """Repairs that end most breaks and leave most lines: keep. Few breaks ended, or few lines left: rewrite; and the bar is told."""
    keep, few, much = dossier.dossier(report(kept=3, unmended=1, verb="fix")), dossier.dossier(report(kept=1, unmended=3, verb="fix")), dossier.dossier(report(kept=4, share=60, verb="fix"))
    assert shorts(keep)[:3:2] == ["In part", "Keep"]
    assert keep.lead == "3 of 4 breaks (75 %) end by repairs that keep 980 of 1,000 lines (98 %); 1 break waits for a decision by a person."
    assert shorts(few)[2] == shorts(much)[2] == "Rewrite"
    assert "70 % of the lines and 50 % of the breaks" in few.lead
    assert [(each.before, each.after) for each in keep.rows] == [(1, 0), (1, 1), (1, 0), (1, 0), (0, 0), (0, 0)]


@pytest.mark.parametrize("name", ["narrow", "not booted"])
def test_a_run_that_saw_little_decides_nothing(name: str) -> None:
    """A run that looked for one place only, or executed nothing, is no ground for a decision."""
    assert dossier.dossier(REPORTS[name]).headline == "This report does not carry a decision yet."


def test_a_check_after_the_repairs_is_what_counts() -> None:
    """Where the project was checked again after it had been mended, what is left is what that check proved."""
    drawn = dossier.dossier(report(proven=1, at="2026-01-03T00:00:00Z"), report(kept=3, unmended=1, verb="fix"))
    assert sum(each.before for each in drawn.rows) == 4
    assert sum(each.after or 0 for each in drawn.rows) == 1
    assert "Checked again afterwards: 1 break proven, where there were 4 (repaired 2026-01-02)." in [each.text for each in drawn.answers[0].statements]


def test_hardened_is_what_was_written_and_held() -> None:
    """Repairs on a copy, or a break that a later check proves, are not called hardened."""
    again = dossier.dossier(report(proven=0, at="2026-01-03T00:00:00Z"), report(kept=4, verb="fix"))
    worse = dossier.dossier(report(proven=1, at="2026-01-03T00:00:00Z"), report(kept=4, verb="fix"))
    dry = dossier.dossier(REPORTS["dry"])
    assert again.headline == "Keep it: it is hardened, as far as it was tested."
    assert {worse.headline, dry.headline} == {"Keep it and harden it."}


def test_gates_that_were_not_run_say_so() -> None:
    """No gate is shown as passed: each is not run, beside what else the report holds on the matter."""
    drawn = dossier.dossier(REPORTS["fix"])
    assert {each.state for each in drawn.gates} == {"not run"}
    page = buyer.page(REPORTS["fix"], None, "ab" * 32)
    assert page.count('<td class="state">not run</td>') == len(drawn.gates) == 11


def test_security_is_judged_by_refusals() -> None:
    """Designed in only where refusals were seen, none lacks, and nothing was proven; without a matrix and a break, not measured."""
    cells = {"cells": 20, "allowed": 10, "refused": 10, "missing": 0, "undecided": 0, "untested": 0}
    clean = report(proven=0, coverage={"routes": 10, "reached": 9, "unreached": [], "authorization": cells})
    bare = report(proven=0, coverage={"routes": 10, "reached": 9, "unreached": []})
    open_to_all = report(proven=1, coverage={"routes": 10, "reached": 9, "unreached": [], "authorization": {**cells, "refused": 0, "missing": 10}})
    assert [shorts(dossier.dossier(each))[4] for each in (clean, REPORTS["check"], open_to_all, bare)] == ["Designed in, as far as tested", "There, with holes", "Not there", "Not measured"]


def test_the_dossier_as_markdown() -> None:
    """The same answers as text, with every mark of the prototype's own taken as text."""
    text = buyer.markdown(report(kept=4, verb="fix", notes=["<b>[x](javascript:1)</b>"]), None, "ab" * 32)
    assert text.startswith("# shop: Keep it: it is hardened, as far as it was tested.\n")
    assert "<b>" not in text
    assert "](javascript" not in text
