"""The SARIF report, held to the schema that OASIS publishes (tests/data/sarif) and to what code hosts read of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from toughen.model.blueprint import Route
from toughen.model.finding import Finding, Status
from toughen.model.patch import Kept
from toughen.model.source import Location
from toughen.report import sarif

if TYPE_CHECKING:
    from toughen.model.verdict import Verdict

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "sarif" / "sarif-schema-2.1.0.json").read_text())


def run(verdict: Verdict) -> dict[str, Any]:
    """The one run of a rendered report that keeps the schema."""
    document = json.loads(sarif.render(verdict, "0.1.0"))
    jsonschema.Draft4Validator(SCHEMA, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER).validate(document)
    found: dict[str, Any] = document["runs"][0]
    return found


@pytest.mark.parametrize("name", ["verdict", "mended", "hostile", "dead"])
def test_it_keeps_the_published_schema(name: str, request: pytest.FixtureRequest) -> None:
    """Whatever the run was, and whatever a prototype's names and answers hold."""
    run(request.getfixturevalue(name))


def test_the_schema_can_say_no(verdict: Verdict) -> None:
    """The validator refuses an unknown key, a wrong level and a tag that stands twice."""
    good = sarif.document(verdict, "0.1.0")
    for path, bad in ((("results", 0, "extra"), 1), (("results", 0, "level"), "fatal"), (("tool", "driver", "rules", 0, "properties", "tags"), ["a", "a"])):
        document = json.loads(json.dumps(good))
        at = document["runs"][0]
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = bad
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft4Validator(SCHEMA).validate(document)


def test_a_rule_tells_a_host_all_that_it_shows(verdict: Verdict) -> None:
    """Name, descriptions, help, level, CWE numbers in the form that hosts filter by, precision and severity within a host's limits."""
    rules = {each["id"]: each for each in run(verdict)["tool"]["driver"]["rules"]}
    race = rules["race/lost-update"]
    assert race["name"] == "LostUpdate"
    assert race["shortDescription"]["text"] == "Two requests at once, and one change is lost"
    assert "Who pays" in race["help"]["text"]
    assert "Who pays" in race["help"]["markdown"]
    assert race["defaultConfiguration"]["level"] == "error"
    assert {"security", "race", "external/cwe/cwe-362", "external/cwe/cwe-367"} <= set(race["properties"]["tags"])
    assert race["properties"]["precision"] == "very-high"
    assert float(race["properties"]["security-severity"]) > 9.0
    assert "security-severity" not in rules["operations/no-health-check"]["properties"]
    for each in rules.values():
        assert len(each["id"]) <= 255
        assert len(each["shortDescription"]["text"]) <= 1024
        assert len(each["fullDescription"]["text"]) <= 1024


def test_a_result_names_its_rule_place_and_proof(verdict: Verdict) -> None:
    """The index leads to the rule of that id, the path is relative to the root, the message says how to see it again."""
    found = run(verdict)
    for each in found["results"]:
        assert found["tool"]["driver"]["rules"][each["ruleIndex"]]["id"] == each["ruleId"]
    race = found["results"][0]
    assert race["locations"][0]["physicalLocation"] == {"artifactLocation": {"uri": "main.py", "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 12}}
    assert race["relatedLocations"][0]["physicalLocation"]["region"]["startLine"] == 10
    assert "toughen replay .toughen/proofs/race-lost-update-POST-transfer.json" in race["message"]["text"]


def test_what_is_suspected_fails_no_gate(verdict: Verdict) -> None:
    """A host reads severity off the rule: a suspicion is a note of a rule of its own without one."""
    found = run(verdict)
    suspected = found["results"][-1]
    assert (suspected["level"], suspected["properties"]["status"]) == ("note", "suspected")
    rule = found["tool"]["driver"]["rules"][suspected["ruleIndex"]]
    assert rule["id"] == "operations/no-health-check/suspected"
    assert "security-severity" not in rule["properties"]
    assert rule["defaultConfiguration"]["level"] == "note"


def test_requests_at_once_are_threads_in_their_order(verdict: Verdict) -> None:
    """Each step of the timeline is a step of one request's thread, numbered as it was forced."""
    flow = run(verdict)["results"][0]["codeFlows"][0]
    steps = {each["id"]: [(step["executionOrder"], step["location"]["message"]["text"]) for step in each["locations"]] for each in flow["threadFlows"]}
    assert steps["A"] == [(1, "A: SELECT balance FROM users -> 10"), (2, "A: stands still"), (5, "A: 200")]
    assert steps["B"] == [(3, "B: UPDATE users SET balance=5"), (4, "B: 200")]


def test_a_fingerprint_stays_when_lines_move(verdict: Verdict) -> None:
    """The same finding lower in its file is the same alert; another field or another route is another one."""
    def prints(of: Verdict) -> list[str]:
        return [each["partialFingerprints"]["primaryLocationLineHash"] for each in run(of)["results"]]

    lower = replace(verdict, findings=tuple(replace(each, location=Location(each.location.file, each.location.line + 40, each.location.function)) for each in verdict.findings))
    assert prints(lower) == prints(verdict)
    assert len(set(prints(verdict))) == 3
    other = replace(verdict, findings=(replace(verdict.findings[0], route="POST /other"),))
    assert prints(other)[0] not in prints(verdict)
    twins = replace(verdict, findings=(verdict.findings[2], replace(verdict.findings[2], location=Location("main.py", 9))))
    assert len(set(prints(twins))) == 2


def applied(before: str, replacements: list[dict[str, Any]]) -> str:
    """What a viewer makes of a fix: regions are of lines and characters, the end is not part of them."""
    lines = before.split("\n")

    def at(line: int, column: int) -> int:
        return sum(len(each) + 1 for each in lines[: line - 1]) + column - 1

    for each in reversed(replacements):
        region = each["deletedRegion"]
        begin, end = at(region["startLine"], region["startColumn"]), at(region["endLine"], region["endColumn"])
        assert 0 <= begin <= end <= len(before)
        before = before[:begin] + each.get("insertedContent", {}).get("text", "") + before[end:]
    return before


def test_a_kept_patch_is_a_fix_of_the_files_as_they_were(mended: Verdict) -> None:
    """Applied to the analysed file each fix gives the text that was verified, though patches stand on each other and are told in another order."""
    first = {"main.py": "import x\n\n\ndef transfer():\n    a = 1\n    return a", "new.py": "", "other.py": "a\nb\nc\n"}
    kept = {finding: {each.file: each.after for each in outcome.patch.changes} for finding, outcome in mended.mends if isinstance(outcome, Kept)}
    results = [each for each in run(mended)["results"] if "fixes" in each]
    assert len(results) == len(kept) == 4
    for each in results:
        changes = {change["artifactLocation"]["uri"]: change["replacements"] for change in each["fixes"][0]["artifactChanges"]}
        texts = {file: applied(first[file], replacements) for file, replacements in changes.items()}
        assert kept[each["properties"]["finding"]].items() <= texts.items()


def test_a_run_that_executed_nothing_says_so(dead: Verdict, verdict: Verdict) -> None:
    """executionSuccessful is false with the reason; of a run that went well it is true, and what was not reached or concluded is told."""
    [failed] = run(dead)["invocations"]
    assert failed["executionSuccessful"] is False
    assert failed["toolExecutionNotifications"][0]["level"] == "error"
    assert "no luck" in failed["toolExecutionNotifications"][0]["message"]["text"]
    [well] = run(verdict)["invocations"]
    assert well["executionSuccessful"] is True
    assert [each["descriptor"]["id"] for each in well["toolExecutionNotifications"]] == ["toughen/unreached", "toughen/inconclusive", "toughen/note"]


def test_what_was_waived_is_suppressed(verdict: Verdict) -> None:
    """It stays in the report, with the reason of whoever accepts it."""
    waived = replace(verdict, waived=((verdict.findings[0].id, "until the relaunch"),))
    first, second, *_ = run(waived)["results"]
    assert first["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "until the relaunch"}]
    assert second["suppressions"] == []


def test_a_message_holds_no_link_and_no_placeholder(hostile: Verdict) -> None:
    """What the prototype said cannot lead a reader elsewhere, and the file is plain ASCII."""
    assert sarif.render(hostile, "0.1.0").isascii()
    for each in run(hostile)["results"]:
        assert "](" not in each["message"]["text"]
        assert "{0}" not in each["message"]["text"].replace("{{0}}", "")
        assert "\x1b" not in each["message"]["text"]


def test_a_break_in_a_library_is_shown_where_a_host_can_show_it(verdict: Verdict) -> None:
    """At the route's handler, else at the application's entry: an alert without a file of the repository is dropped by hosts."""
    nowhere = Location("", 0)
    found = Finding("input/crash", "GET /", nowhere, Status.PROVEN, verdict.findings[1].severity, "it breaks", verdict.findings[1].evidence)
    [result] = run(replace(verdict, findings=(found,)))["results"]
    assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 3
    outside = replace(verdict, findings=(found,), blueprint=replace(verdict.blueprint, routes=(Route("GET", "/", nowhere),)))
    assert run(outside)["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "main.py"
