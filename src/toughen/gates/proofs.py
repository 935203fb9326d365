"""Owns the gate of proofs: what was proven once is refuted, and nothing else is proven."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.faulting import again, fault_of, key_of
from toughen.gatekeeping import DOWN, Faults, Gate, Looked, Site
from toughen.gates import authorization, dependencies
from toughen.model.finding import Inconclusive, Proven, Status
from toughen.model.gate import Fault

if TYPE_CHECKING:
    from toughen.model.finding import Finding


class Proofs(Gate):
    """Every stored proof replays as refuted, and this run's own attack proves nothing."""

    id = "proofs"
    title = "No break is proven"
    order = 41
    breaks = ("",)

    def look(self, site: Site) -> Looked:
        """What the attack proved, and what became of the proofs of the past."""
        if not site.booted:
            return DOWN
        others = ("suite/", "operations/", dependencies.BREAK, *authorization.PROVES)
        found = [each for each in site.verdict.findings if each.status is Status.PROVEN and not each.break_id.startswith(others)]
        faults = [replace(fault_of(each, f"{each.break_id} on {each.route}: {each.message}"), alike=_alike(site, each)) for each in found]
        replayed = site.replayed()
        origin = {key_of(each): each for each, _ in replayed}
        # What another gate asks about is held against the project there.
        stored = again([each for each in replayed if not each[0].break_id.startswith(others)], {each.key for each in faults})
        faults += [replace(each, alike=_alike(site, origin[each.key])) for each in stored]
        refuted = len(replayed) - sum(isinstance(outcome, Proven | Inconclusive) for _, outcome in replayed)
        late = [each for each in site.verdict.inconclusive if "used up" in each.reason and not each.break_id.startswith(others)]
        doubtful = [Fault(f"{each.break_id}@{each.route} untold", each.reason) for each in late] + [Fault(f"{each.route} unreached", each.reason) for each in site.verdict.unreached]
        why = f"{len(site.verdict.tried)} attacks, {len(replayed)} stored proofs" + (f"; there was no time for {len(late)} more: a larger --budget tells of them" if late else "")
        return Faults(faults, {"proven": str(len(found)), "stored": str(len(replayed)), "refuted": str(refuted)}, why, doubtful)


def _alike(site: Site, finding: Finding) -> tuple[str, ...]:
    """How a baseline knows an attack for which there was no time when it was written; not on a line that came since."""
    if site.new is not None and finding.location.line in site.new.lines(finding.location.file):
        return ()
    return f"{finding.break_id}@{finding.route} untold", f"{finding.route} unreached"
