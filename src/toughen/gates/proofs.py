"""Owns the gate of proofs: what was proven once is refuted, and nothing else is proven."""

from __future__ import annotations

from toughen.gatekeeping import CouldNot, Faults, Gate, Looked, Site
from toughen.gates import authorization, dependencies
from toughen.model.finding import Inconclusive, Proven, Status
from toughen.model.gate import Fault


class Proofs(Gate):
    """Every stored proof replays as refuted, and this run's own attack proves nothing."""

    id = "proofs"
    title = "No break is proven"
    order = 41
    breaks = ("",)

    def look(self, site: Site) -> Looked:
        """What the attack proved, and what became of the proofs of the past."""
        if not site.booted:
            return CouldNot("the prototype does not boot here")
        others = ("suite/", "operations/", dependencies.BREAK, *authorization.PROVES)
        found = [each for each in site.verdict.findings if each.status is Status.PROVEN and not each.break_id.startswith(others)]
        faults = [Fault(each.id, f"{each.break_id} on {each.route}: {each.message}", each.location, finding=each.id) for each in found]
        replayed = site.replayed()
        faults += [Fault(finding.id, f"the stored proof holds again: {outcome.proof.evidence.message}", finding.location) for finding, outcome in replayed if isinstance(outcome, Proven)]
        faults += [Fault(f"inconclusive {finding.id}", f"the stored proof of {finding.id} cannot be replayed: {outcome.reason}") for finding, outcome in replayed if isinstance(outcome, Inconclusive)]
        refuted = len(replayed) - sum(isinstance(outcome, Proven | Inconclusive) for _, outcome in replayed)
        return Faults(faults, {"proven": str(len(found)), "stored": str(len(replayed)), "refuted": str(refuted)}, f"{len(site.verdict.tried)} attacks, {len(replayed)} stored proofs")
