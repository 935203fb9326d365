"""Owns the gate of guards: none can be taken out of the code while every test passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.gatekeeping import DOWN, CouldNot, Faults, Gate, Looked, Site
from toughen.model.finding import Status
from toughen.model.gate import Fault
from toughen.model.source import Location
from toughen.rehearsals import told

if TYPE_CHECKING:
    from toughen.model.finding import Finding

BREAK = "suite/unguarded"
_NOBODY = ("the prototype's own tests cannot be run", "the prototype has no tests", "none of its")
"""How it is told that no test says anything."""


class Guards(Gate):
    """Each guard of the code is switched off once; a test must fail. On new lines, each comparison is moved by one as well."""

    id = "guards"
    title = "Every guard has a test that fails without it"
    order = 22
    breaks = (BREAK,)

    def look(self, site: Site) -> Looked:
        """What the attack said of suite/unguarded."""
        if not site.booted:
            return DOWN
        if not site.blueprint.suite.files:
            return CouldNot("there are no tests that could protect a guard", "`toughen fix` writes the first ones from what it mends")
        found = [each for each in site.verdict.findings if each.break_id == BREAK and each.status is Status.PROVEN]
        faults = [Fault(_key(each), each.message, each.location, finding=each.id) for each in found]
        unclear = sorted({each.reason for each in site.verdict.inconclusive if each.break_id == BREAK})
        late = next((each for each in unclear if "used up" in each or each.startswith(_NOBODY)), None)
        if late is not None and not found:
            return CouldNot(f"nothing is known of the guards: {late}", "a larger --budget gives them more time" if "used up" in late else "")
        shown = {each.key for each in faults}
        # What was not judged in this run may be in the next: it is old code then, too.
        doubtful = [Fault(key, f"nothing is known of {each.text}", Location(each.file, each.line)) for each in site.unjudged() if (key := f"{each.file} {told(each)}") not in shown]
        why = (f"{len(found)} can go unnoticed" if found else "none can go unnoticed") + (f"; of {len(doubtful)} nothing is known: {late}" if late and doubtful else "")
        return Faults(faults, {"unprotected": str(len(found)), **({"nothing is said of": "; ".join(unclear[:3])} if unclear else {})}, why, doubtful)


def _key(finding: Finding) -> str:
    """Where it stands and how it is written: which of the routes that run it is told of it does not count."""
    return f"{finding.location.file} {finding.evidence.key if finding.evidence else finding.id}"
