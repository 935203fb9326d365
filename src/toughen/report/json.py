"""Owns the JSON report: the schema-versioned output contract of DESIGN (docs/output.md)."""

from __future__ import annotations

import json
import re
from difflib import unified_diff
from itertools import islice
from typing import TYPE_CHECKING, Any

from toughen.model.finding import Status
from toughen.model.matrix import Access
from toughen.model.patch import Gone, Kept, RolledBack, Unmended

if TYPE_CHECKING:
    from toughen.model.finding import Finding
    from toughen.model.gate import Fault, Gated
    from toughen.model.matrix import Cell, Matrix
    from toughen.model.patch import FileChange, MendOutcome, Patch
    from toughen.model.source import Location
    from toughen.model.verdict import Verdict

SCHEMA = 1


def render(verdict: Verdict, version: str) -> str:
    """The report as JSON text with a final newline."""
    return json.dumps(document(verdict, version), indent=1, ensure_ascii=False, default=str) + "\n"


def document(verdict: Verdict, version: str) -> dict[str, Any]:
    """The report as a dictionary."""
    blueprint = verdict.blueprint
    return {
        "schema": SCHEMA,
        "toughen": version,
        **({"run": {"verb": verdict.history[-1].verb, "at": verdict.history[-1].at, "only": list(verdict.history[-1].only)}} if verdict.history else {}),
        "prototype": {
            "name": blueprint.name,
            "framework": blueprint.framework,
            "entry": blueprint.entry.target if blueprint.entry else None,
            "database": blueprint.database,
            "routes": len(blueprint.routes),
            "lines": blueprint.lines,
            "tests": blueprint.suite.tests,
        },
        "findings": [_finding(each) for each in verdict.findings],
        "coverage": {
            "routes": len(blueprint.routes),
            "reached": len(verdict.journeys),
            "tested": [_route(each.route) for each in verdict.journeys],
            "unreached": [{**_route(each.route), "reason": each.reason} for each in verdict.unreached],
            "authorization": _counts(verdict.matrix) if verdict.matrix else None,
        },
        "inconclusive": [
            {"break": each.break_id, "route": _route(each.route), "reason": each.reason} for each in verdict.inconclusive
        ],
        "identities": [{"name": each.name, "role": each.role, "how": each.how} for each in verdict.identities],
        **({"matrix": [_cell(each) for each in verdict.matrix.cells]} if verdict.matrix else {}),
        "mends": [{"finding": finding, **_mend(outcome)} for finding, outcome in verdict.mends],
        **({"change": changed(verdict)} if verdict.mends else {}),
        **({"tests": {"summary": verdict.tests.summary, "note": verdict.tests.note, "files": [each.file for each in verdict.tests.changes], "diff": diff(verdict.tests)}} if verdict.tests else {}),
        **({"gates": [_gated(each) for each in verdict.gates]} if verdict.gates else {}),
        "notes": list(verdict.notes),
        "booted": verdict.booted,
        "verdict": {"decision": verdict.decision, "why": verdict.why},
        "timings": {name: round(seconds, 2) for name, seconds in verdict.timings.items()},
    }


def _gated(gated: Gated) -> dict[str, Any]:
    return {
        "gate": gated.gate,
        "title": gated.title,
        "state": gated.state.value,
        "why": gated.why,
        "hint": gated.hint,
        "faults": [_fault(each) for each in gated.faults],
        "known": sum(each.count for each in gated.known),
        "gone": gated.gone,
        "waived": [{**_fault(fault), "reason": waiver.reason, "owner": waiver.owner, "expires": waiver.expires} for fault, waiver in gated.waived],
        "measured": gated.measured,
        "seconds": round(gated.seconds, 2),
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {"key": fault.key, "message": fault.message, "location": _location(fault.location) if fault.location else None, "count": fault.count}


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "id": finding.id,
        "break": finding.break_id,
        "place": finding.break_id.partition("/")[0],
        "status": finding.status.value,
        "severity": finding.severity.value,
        "route": _route(finding.route) if finding.route else None,
        "location": _location(finding.location),
        "message": finding.message,
        "evidence": finding.evidence.facts if finding.evidence else {},
        "proof": f".toughen/proofs/{slug(finding.id)}.json" if finding.status is Status.PROVEN else None,
        "cwe": list(finding.cwe),
        "mend": finding.mend,
    }


def _counts(matrix: Matrix) -> dict[str, int]:
    return {"cells": len(matrix.cells), **{access.value: matrix.count(access) for access in Access}}


def _cell(cell: Cell) -> dict[str, Any]:
    return {**_route(cell.route), "who": cell.who, "whose": cell.whose.value, "access": cell.access.value, "reason": cell.reason}


def _route(route: str) -> dict[str, str]:
    method, _, path = route.partition(" ")
    return {"method": method, "path": path}


def _location(location: Location) -> dict[str, Any]:
    return {"file": location.file, "line": location.line, "function": location.function}


def _mend(outcome: MendOutcome) -> dict[str, Any]:
    match outcome:
        case Kept(patch):
            return {"outcome": "kept", "summary": patch.summary, "note": patch.note, "files": [each.file for each in patch.changes], "diff": diff(patch)}
        case Gone(by):
            return {"outcome": "gone", "by": by}
        case RolledBack(patch, step, reason, brief):
            return {"outcome": "rolled-back", "summary": patch.summary, "step": step, "reason": reason, "brief": brief, "diff": diff(patch)}
        case Unmended(reason, brief):
            return {"outcome": "unmended", "reason": reason, "brief": brief}


def diff(patch: Patch) -> str:
    """What a patch would change, as a unified diff."""
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for each in patch.changes
        for line in unified_diff(each.before.splitlines(keepends=True), each.after.splitlines(keepends=True), f"a/{each.file}" if each.before else "/dev/null", f"b/{each.file}")
    )


def changed(verdict: Verdict) -> dict[str, int]:
    """How much of the prototype all kept patches together leave as it was, counted in lines of Python."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    chains: dict[str, list[FileChange]] = {}
    for _, outcome in verdict.mends:
        for each in outcome.patch.changes if isinstance(outcome, Kept) else ():
            if each.file.endswith(".py"):
                chains.setdefault(each.file, []).append(each)
    for file, chain in chains.items():
        # Each patch stands on those before it, and they need not be told in that order.
        results, origins = {each.after for each in chain}, {each.before for each in chain}
        first[file] = next((each.before for each in chain if each.before not in results), chain[0].before)
        last[file] = next((each.after for each in chain if each.after not in origins), chain[-1].after)
    removed = added = 0
    for file, before in first.items():
        for line in islice(unified_diff(before.splitlines(), last[file].splitlines(), n=0, lineterm=""), 2, None):
            removed += line.startswith("-")
            added += line.startswith("+")
    lines = max(verdict.blueprint.lines, removed)
    return {"files": len(first), "lines": lines, "kept": lines - removed, "removed": removed, "added": added}


def slug(finding_id: str) -> str:
    """The file name of a finding's proof."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", finding_id).strip("-")[:150]
