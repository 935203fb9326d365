"""What users and programs read: the text report as a snapshot, the JSON report against its published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from toughen.model.blueprint import Blueprint, Entry, Route
from toughen.model.finding import Evidence, Finding, NotConcluded, Proof, Severity, Status
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Call, Journey, Unreached
from toughen.model.patch import FileChange, Gone, Kept, Patch, RolledBack, Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.model.verdict import Verdict
from toughen.report import json as json_report
from toughen.report import text as text_report

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "output.schema.json").read_text())
PLACE = Location("main.py", 12, "transfer")
CALL = Call("POST /transfer")
EVIDENCE = Evidence("two requests at once leave 105", {"requests": ["POST /transfer", "POST /transfer"], "answers": ["200", "200"]}, PLACE)
PROVEN = Finding(
    "race/lost-update", "POST /transfer", PLACE, Status.PROVEN, Severity.CRITICAL, "two requests at once leave 105", EVIDENCE,
    Proof("race/lost-update", "POST /transfer", Experiment({"control": Trial((CALL,))}), EVIDENCE, "0" * 32), (362,), "automatic",
)
SUSPECTED = Finding("input/crash", None, Location("other.py", 3), Status.SUSPECTED, Severity.MEDIUM, "looks brittle")
BLUEPRINT = Blueprint("shop", "flask", Entry("main:app", "main.py", "only one", "flask"), (Route("POST", "/transfer", PLACE), Route("GET", "/x", PLACE)), database="sqlite")
VERDICT = Verdict(
    BLUEPRINT, "harden", "1 break proven, 1 of them critical", (PROVEN, SUSPECTED),
    (NotConcluded("input/nonsense", "GET /x", "the control does not pass"),), (Journey("POST /transfer", (CALL,), 200),),
    (Unreached("GET /x", "always 500: KeyError: 'x' (main.py:3)", 500),), (Identity("user1", "user", Credential(), "signed up", {}, "users"),),
    {"total_s": 12.34, "first_proof_s": 3.2}, ("sandbox: full",),
)
PATCH = Patch("race/lost-update@POST /transfer", (FileChange("main.py", "a\n", "b\n"),), "let the database add")
FIXED = Verdict(
    BLUEPRINT, "harden", "1 break proven", (PROVEN,),
    mends=(("a", Kept(PATCH)), ("b", Gone("a")), ("c", RolledBack(PATCH, "tests", "1 test fails")), ("d", Unmended("no repair is known", "do it by hand"))),
)
FAILED = Verdict(BLUEPRINT, "harden", "the prototype did not boot: RuntimeError: no luck\n  main.py:3", (SUSPECTED,), booted=False)

TEXT = """\
toughen 0.1.0: shop (flask, main:app, sqlite, 2 routes)

1. CRITICAL  Two requests at once, and one change is lost
   race/lost-update on POST /transfer
   two requests at once leave 105
   at main.py:12 in transfer
   requests:   POST /transfer
               POST /transfer
   answers:    200
               200

Suspected only, from the source (1); not proven, never fails a gate:
  input/crash
      other.py:3: looks brittle

Reached 1 of 2 routes as an honest client, as user1.
  not reached  GET /x: always 500: KeyError: 'x' (main.py:3)
Inconclusive (1):
  input/nonsense: the control does not pass (GET /x)
Note: sandbox: full
Verdict: harden. 1 break proven, 1 of them critical.
Took 12.3 s, first proof after 3.2 s.
Next: `toughen fix --dry-run` shows the repairs, `toughen replay .toughen/proofs/...` shows one break again.
"""


def crash(route: str, subject: str, exception: str, line: int) -> Finding:
    """A proven crash of a route."""
    evidence = Evidence(f"{subject} ends in {exception}", {"request": route, "exception": exception}, Location("main.py", line))
    return Finding("input/crash", route, Location("main.py", line), Status.PROVEN, Severity.MEDIUM, f"{subject} ends in {exception}", evidence)


SAME = """\
1. MEDIUM  input/crash
   input/crash on GET /a
   id = 10**30 ends in OverflowError: too large
   at main.py:1
   request:    GET /a
   exception:  OverflowError: too large
   The same in 1 more:
   2. GET /c: page = 10**30, at main.py:3

3. MEDIUM  input/crash
   input/crash on GET /b
   q = a list ends in KeyError: 0
   at main.py:2
   request:    GET /b
   exception:  KeyError: 0
"""


def test_one_cause_is_told_once() -> None:
    """Crashes that end in the same exception stand under the first of them, each with its number, route and place."""
    found = (crash("GET /a", "id = 10**30", "OverflowError: too large", 1), crash("GET /b", "q = a list", "KeyError: 0", 2), crash("GET /c", "page = 10**30", "OverflowError: too large", 3))
    verdict = Verdict(BLUEPRINT, "harden", "3 breaks proven", found)
    assert SAME in text_report.render(verdict, "0.1.0")


def test_what_is_said_alike_of_several_routes_is_told_once() -> None:
    """Three forms that another site's page can send are one want of one cookie: the first is told, the others by route and place."""
    said = "a page of another site (a form, no token) changes rows of post in the name of user1"
    found = tuple(Finding("security/csrf", f"POST /{name}", Location("blog.py", line), Status.PROVEN, Severity.HIGH, said, Evidence(said, {"request": f"POST /{name}"})) for line, name in enumerate("abc", 1))
    text = text_report.render(Verdict(BLUEPRINT, "harden", "3 breaks proven", found), "0.1.0")
    assert text.count(said) == 1
    assert "   The same in 2 more:\n   2. POST /b, at blog.py:2\n   3. POST /c, at blog.py:3\n" in text


def test_the_text_report() -> None:
    """A reader sees the worst first, with what happened and where, and what was not reached and why."""
    assert text_report.render(VERDICT, "0.1.0", {"race/lost-update": "Two requests at once, and one change is lost"}) == TEXT


def test_every_repair_is_told() -> None:
    """What became of each repair stands in the text: kept, ended by another, rolled back with its step, left to a hand."""
    text = text_report.render(FIXED, "0.1.0")
    for line in ("mended       a: let the database add", "mended too   b:", "rolled back  c: at the step 'tests': 1 test fails", "by hand      d: no repair is known", "do it by hand"):
        assert line in text


@pytest.mark.parametrize(
    "outcome",
    [RolledBack(PATCH, "tests", "1 test fails", "Read the test."), Unmended("no repair is known", "Read the test.")],
)
def test_what_is_left_to_be_done_by_hand_names_its_place_and_its_proof(outcome: RolledBack | Unmended) -> None:
    """Whoever mends it knows where to start, what must hold, and what says that it is done."""
    told = text_report.render(Verdict(BLUEPRINT, "harden", "1 break proven", (PROVEN,), mends=((PROVEN.id, outcome),)), "0.1.0")
    assert "Read the test." in told
    assert "At main.py:12 in transfer; it is done when `toughen replay .toughen/proofs/race-lost-update-POST-transfer.json` no longer shows it" in told


def test_a_patch_that_was_taken_back_is_in_the_json_report() -> None:
    """As a diff to begin with, with its brief."""
    outcome = RolledBack(PATCH, "tests", "1 test fails", "Read the test.")
    document = json.loads(json_report.render(Verdict(BLUEPRINT, "harden", "1 break proven", (PROVEN,), mends=((PROVEN.id, outcome),)), "0.1.0"))
    jsonschema.validate(document, SCHEMA)
    assert document["mends"][0]["brief"] == "Read the test."
    assert "-a\n+b\n" in document["mends"][0]["diff"]


def test_a_prototype_that_does_not_boot_is_told() -> None:
    """Nothing is claimed about what was not executed."""
    text = text_report.render(FAILED, "0.1.0")
    assert "Nothing was executed." in text
    assert "RuntimeError: no luck" in text
    assert "Verdict" not in text


@pytest.mark.parametrize("verdict", [VERDICT, FIXED, FAILED], ids=["check", "fix", "not-booted"])
def test_the_json_report_keeps_its_contract(verdict: Verdict) -> None:
    """The JSON report is what docs/output.schema.json says, without one key more."""
    document = json.loads(json_report.render(verdict, "0.1.0"))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(document, SCHEMA)


def test_the_schema_can_say_no() -> None:
    """The schema refuses a document with an unknown key, a wrong status or a missing part."""
    good = json_report.document(VERDICT, "0.1.0")
    finding = {**good["findings"][0], "status": "sure"}
    for bad in ({**good, "extra": 1}, {key: value for key, value in good.items() if key != "verdict"}, {**good, "findings": [finding]}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, SCHEMA)
