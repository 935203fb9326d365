"""Owns the SARIF report: version 2.1.0 (OASIS, errata 01), in the subset and within the limits that code hosts read."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from toughen.model.breaks import Break
from toughen.model.finding import Severity, Status
from toughen.model.patch import Gone, Kept
from toughen.model.source import Location
from toughen.report import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.model.finding import Finding
    from toughen.model.gate import Gated
    from toughen.model.patch import Patch
    from toughen.model.verdict import Verdict

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
SUSPECTED = "/suspected"
_LEVELS = {Severity.CRITICAL: "error", Severity.HIGH: "error", Severity.MEDIUM: "warning", Severity.LOW: "warning"}
_SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.5"}
"""In the middle of the ranges that GitHub gives these words: above 9.0, 7.0 to 8.9, 4.0 to 6.9, below."""
_LONGEST, _LONG = 1000, 8000
_MOST_STEPS = 60
_NOTICES = {
    "toughen/not-executed": "Nothing was executed.", "toughen/unreached": "A route was not reached, and not attacked.", "toughen/inconclusive": "Nothing can be said of a break on a route.",
    "toughen/note": "What a reader must know of the run.", "toughen/left-out": "Results that the report has no room for.",
}
_MOST = 5000
"""GitHub shows no more results of a run."""


def render(verdict: Verdict, version: str) -> str:
    """The report as JSON text in ASCII, with a final newline."""
    return json.dumps(document(verdict, version), indent=1) + "\n"


def document(verdict: Verdict, version: str) -> dict[str, Any]:
    """The report as a dictionary."""
    rules = _rules(verdict)
    seen: Counter[str] = Counter()
    fixes = _fixes(verdict)
    waived = dict(verdict.waived)
    shown = verdict.findings[:_MOST]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "toughen", "version": version, "semanticVersion": version, "rules": list(rules.values()),
                "notifications": [{"id": id_, "shortDescription": {"text": said}} for id_, said in _NOTICES.items()],
            }},
            "automationDetails": {"id": "toughen/"},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": {ROOT: {"description": {"text": "The prototype's folder."}}},
            "invocations": [_invocation(verdict, len(verdict.findings) - len(shown))],
            "results": [*(_result(each, verdict, list(rules), seen, fixes, waived) for each in shown), *_faulty(verdict, list(rules), seen, _MOST - len(shown))],
            "properties": {
                "decision": verdict.decision, "why": plain.printable(verdict.why), "routes": len(verdict.blueprint.routes), "reached": len(verdict.journeys),
                "timings": {name: round(seconds, 2) for name, seconds in verdict.timings.items()},
            },
        }],
    }


def _rules(verdict: Verdict) -> dict[str, dict[str, Any]]:
    """Every break that was looked for, and apart from it what is only suspected: a host reads severity off the rule, and a suspicion must fail no gate."""
    known = {each.id: each for each in verdict.breaks}
    known |= {each.break_id: Break(each.break_id, each.break_id, each.severity, each.cwe) for each in verdict.findings if each.break_id not in known}
    suspected = {each.break_id for each in verdict.findings if each.status is Status.SUSPECTED}
    gates = {f"gate/{each.gate}": _gate(each) for each in verdict.gates if any(not fault.finding for fault in (*each.faults, *(fault for fault, _ in each.waived)))}
    return {each.id: _rule(each) for each in known.values()} | gates | {each.id + SUSPECTED: _suspected(each) for each in known.values() if each.id in suspected}


def _rule(each: Break) -> dict[str, Any]:
    first = each.page.partition("\n\n")[0]
    numbers = [*(f"external/cwe/cwe-{number}" for number in each.cwe), *(f"external/{kind}/{number.lower().replace(':', '-')}" for kind, number in (("owasp", each.owasp), ("asvs", each.asvs)) if number)]
    security = bool(each.owasp or each.asvs) or each.place in {"security", "race"}
    page = each.page or each.title
    return {
        "id": each.id,
        "name": "".join(word.title() for word in re.split(r"[/-]", each.id.partition("/")[2])),
        "shortDescription": {"text": plain.shortened(each.title, _LONGEST)},
        "fullDescription": {"text": plain.shortened(" ".join(first.split()) or each.title, _LONGEST)},
        "help": {"text": page, "markdown": f"# {each.title}\n\n{page}\n\n`toughen explain {each.id}` prints this page.\n"},
        "defaultConfiguration": {"level": _LEVELS[each.severity]},
        "properties": {
            "tags": list(dict.fromkeys([*(["security"] if security else []), each.place, *numbers])), "precision": "very-high", "problem.severity": _LEVELS[each.severity],
            **({"security-severity": _SCORES[each.severity]} if security else {}),
        },
    }


def _suspected(each: Break) -> dict[str, Any]:
    rule = _rule(each)
    said = f"Suspected, not proven: {each.title}"
    properties = {"tags": [tag for tag in rule["properties"]["tags"] if tag != "security"], "precision": "medium", "problem.severity": "recommendation"}
    return rule | {
        "id": each.id + SUSPECTED, "name": f"{rule['name']}Suspected", "shortDescription": {"text": plain.shortened(said, _LONGEST)}, "defaultConfiguration": {"level": "note"}, "properties": properties,
    }


def _result(finding: Finding, verdict: Verdict, rules: Sequence[str], seen: Counter[str], fixes: Mapping[str, dict[str, Any]], waived: Mapping[str, str]) -> dict[str, Any]:
    proven = finding.status is Status.PROVEN
    rule = finding.break_id if proven else finding.break_id + SUSPECTED
    handler = _handler(verdict, finding.route)
    place = finding.location if finding.location.file else handler
    related = [handler] if handler.file and handler != place else []
    return {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        "level": _LEVELS[finding.severity] if proven else "note",
        "kind": "fail",
        "message": {"text": _message(finding)},
        "locations": [_place(place, verdict)],
        **({"relatedLocations": [{"id": 1, **_place(each, verdict), "message": {"text": _text(f"{finding.route} is handled here")}} for each in related]} if related else {}),
        **({"codeFlows": [flow]} if (flow := _flow(finding, place, verdict)) else {}),
        "partialFingerprints": _fingerprints(finding, rule, seen),
        **({"fixes": [fixes[finding.id]]} if finding.id in fixes else {}),
        "suppressions": [{"kind": "external", "status": "accepted", "justification": plain.printable(waived[finding.id])}] if finding.id in waived else [],
        "properties": {
            "status": finding.status.value, "severity": finding.severity.value, "finding": plain.printable(finding.id), "route": plain.printable(finding.route) if finding.route else None, "mend": _mend(finding, verdict),
            **({"proof": plain.proof(finding), "replay": plain.replay(finding)} if proven else {}),
        },
    }


def _gate(gated: Gated) -> dict[str, Any]:
    return {
        "id": f"gate/{gated.gate}", "name": f"{gated.gate.title()}Gate", "shortDescription": {"text": plain.shortened(gated.title, _LONGEST)}, "fullDescription": {"text": plain.shortened(gated.title, _LONGEST)},
        "help": {"text": f"{gated.title}. `toughen gate --only {gated.gate}` asks this gate alone."}, "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["gate"], "precision": "very-high", "problem.severity": "error"},
    }


def _faulty(verdict: Verdict, rules: Sequence[str], seen: Counter[str], room: int) -> Iterator[dict[str, Any]]:
    """What gates fell for, and what somebody answers for, where it is no finding that is told already."""
    told = [(gated, fault, waiver) for gated in verdict.gates for fault, waiver in (*((each, None) for each in gated.faults), *gated.waived) if not fault.finding]
    for gated, fault, waiver in told[:room]:
        digest = hashlib.sha256(f"gate/{gated.gate}\0{fault.key}".encode("utf-8", "backslashreplace")).hexdigest()
        seen[digest] += 1
        yield {
            "ruleId": f"gate/{gated.gate}", "ruleIndex": rules.index(f"gate/{gated.gate}"), "level": "error", "kind": "fail", "message": {"text": _text(fault.message)},
            "locations": [_place(fault.location or Location("", 0), verdict)], "partialFingerprints": {"primaryLocationLineHash": f"{digest[:16]}:{seen[digest]}"},
            "suppressions": [{"kind": "external", "status": "accepted", "justification": plain.printable(f"{waiver.owner}, until {waiver.expires}: {waiver.reason}")}] if waiver is not None else [],
        }


def _message(finding: Finding) -> str:
    where = f" ({finding.route})" if finding.route else ""
    said = f"{finding.message}{where}" if finding.status is Status.PROVEN else f"Suspected, not proven: {finding.message}{where}"
    return _text(said) + (f"\nShown again by: {plain.replay(finding)}" if finding.status is Status.PROVEN else "")


def _text(text: str) -> str:
    """Plain text (SARIF 3.11.2) in which nothing reads as a link or as a placeholder for an argument."""
    return re.sub(r"\{(\d+)\}", r"{{\1}}", plain.shortened(plain.printable(text), _LONGEST).replace("](", "] ("))


def _handler(verdict: Verdict, route: str | None) -> Location:
    return next((each.handler for each in verdict.blueprint.routes if each.id == route), Location("", 0))


def _place(location: Location, verdict: Verdict) -> dict[str, Any]:
    """A host shows only what lies in a file of the repository: what happens in a library's own code is shown at the application's entry."""
    entry = verdict.blueprint.entry
    file = location.file or (entry.file if entry else "") or "."
    function = [{"name": plain.printable(location.function), "kind": "function"}] if location.function else []
    return {
        "physicalLocation": {"artifactLocation": _artifact(file), "region": {"startLine": max(1, location.line)}},
        **({"logicalLocations": function} if function else {}),
    }


def _artifact(file: str) -> dict[str, Any]:
    return {"uri": quote(file.lstrip("/").encode("utf-8", "surrogatepass")), "uriBaseId": ROOT}


def _flow(finding: Finding, place: Location, verdict: Verdict) -> dict[str, Any] | None:
    """Requests at once as threads, in the order in which they were forced; each step lies in the handler of its request."""
    story = (finding.evidence.facts if finding.evidence else {}).get("timeline")
    if not isinstance(story, dict):
        return None
    columns, rows = story.get("columns"), story.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return None
    threads: dict[str, list[dict[str, Any]]] = {}
    for order, row in enumerate([each for each in rows if isinstance(each, dict)][:_MOST_STEPS], 1):
        who = str(row.get("who"))
        at = "ABC".find(who)
        own = _handler(verdict, str(columns[at]).partition("?")[0]) if 0 <= at < len(columns) else Location("", 0)
        threads.setdefault(who, []).append({
            "executionOrder": order, "location": {**_place(own if own.file else place, verdict), "message": {"text": _text(f"{who}: {row.get('text')}")}},
        })
    flows = [{"id": who, "locations": steps} for who, steps in threads.items()]
    return {"message": {"text": "Requests at once, in this order."}, "threadFlows": flows} if flows else None


def _fingerprints(finding: Finding, rule: str, seen: Counter[str]) -> dict[str, str]:
    """Of what stays when lines move: break, route and field; where there is no route file, function and message. GitHub reads the one it has named."""
    key = finding.id if finding.route else "\0".join((finding.break_id, finding.location.file, finding.location.function or "", re.sub(r"\d+", "0", finding.message)))
    digest = hashlib.sha256(f"{rule}\0{key}".encode("utf-8", "backslashreplace")).hexdigest()
    seen[digest] += 1
    return {"primaryLocationLineHash": f"{digest[:16]}:{seen[digest]}", "toughenFinding/v1": f"{digest}:{seen[digest]}"}


def _mend(finding: Finding, verdict: Verdict) -> str:
    outcome = next((outcome for id_, outcome in verdict.mends if id_ == finding.id), None)
    return {Kept: "kept", Gone: "gone"}.get(type(outcome), "left") if outcome is not None else finding.mend


def _fixes(verdict: Verdict) -> dict[str, dict[str, Any]]:
    """What each kept patch changes, against the files as they were analysed.

    Patches stand on each other: one whose files others changed before it comes with their changes, in the state in which it was verified.
    """
    waiting = [(id_, outcome.patch) for id_, outcome in verdict.mends if isinstance(outcome, Kept)]
    later = {(each.file, each.after) for _, patch in waiting for each in patch.changes}
    first: dict[str, str] = {}
    for _, patch in waiting:
        for each in patch.changes:
            if (each.file, each.before) not in later:
                first.setdefault(each.file, each.before)
    now = dict(first)
    touched: dict[str, frozenset[str]] = {}
    fixes: dict[str, dict[str, Any]] = {}
    while ready := next((each for each in waiting if all(now.get(change.file) == change.before for change in each[1].changes)), None):
        waiting.remove(ready)
        id_, patch = ready
        files = frozenset().union(*(touched.get(each.file, frozenset()) | {each.file} for each in patch.changes))
        now |= {each.file: each.after for each in patch.changes}
        touched |= dict.fromkeys(files, files)
        if changes := [_change(file, first[file], now[file]) for file in sorted(files) if first[file] != now[file]]:
            fixes[id_] = {"description": {"text": _text(_described(patch, first))}, "artifactChanges": changes}
    return fixes


def _described(patch: Patch, first: Mapping[str, str]) -> str:
    beside = any(first[each.file] != each.before for each in patch.changes)
    return patch.summary + (" (with the repairs that were kept before it in the same files)" if beside else "")


def _change(file: str, before: str, after: str) -> dict[str, Any]:
    return {"artifactLocation": _artifact(file), "replacements": list(_replacements(before, after))}


def _replacements(before: str, after: str) -> Iterator[dict[str, Any]]:
    """Whole lines; a region ends where the next line begins, in the last line behind its last character (SARIF 3.30)."""
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text) for text in (before, after))
    for tag, start, end, begin, stop in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            continue
        whole = end < len(old) or not old or old[-1].endswith("\n")
        last = {"endLine": end + 1, "endColumn": 1} if whole else {"endLine": max(end, 1), "endColumn": len(old[-1]) + 1}
        yield {
            "deletedRegion": {"startLine": start + 1, "startColumn": 1, **last},
            **({"insertedContent": {"text": "".join(new[begin:stop]).encode("utf-8", "replace").decode()}} if stop > begin else {}),
        }


def _invocation(verdict: Verdict, left_out: int) -> dict[str, Any]:
    static = "static survey only" in verdict.notes
    notices = list(_notices(verdict, left_out, static=static))
    return {
        "executionSuccessful": verdict.booted or static,
        "toolExecutionNotifications": [{"level": level, "descriptor": {"id": kind, "index": list(_NOTICES).index(kind)}, "message": {"text": _text(text)[:_LONG]}, **({"locations": [_place(place, verdict)]} if place.file else {})} for level, kind, text, place in notices],
    }


def _notices(verdict: Verdict, left_out: int, *, static: bool) -> Iterator[tuple[str, str, str, Location]]:
    """What was not executed, not reached and not concluded: nothing is skipped silently."""
    nowhere = Location("", 0)
    if not verdict.booted:
        yield "note" if static else "error", "toughen/not-executed", f"Nothing was executed: {verdict.why}", nowhere
    for each in verdict.unreached:
        yield "warning", "toughen/unreached", f"{each.route} was not reached, and not attacked: {each.reason}", _handler(verdict, each.route)
    for one in verdict.inconclusive:
        yield "note", "toughen/inconclusive", f"{one.break_id} on {one.route}: {one.reason}", _handler(verdict, one.route)
    for note in verdict.notes:
        yield "note", "toughen/note", note, nowhere
    if left_out:
        yield "warning", "toughen/left-out", f"{left_out} more results are left out here; the JSON report has them all", nowhere
