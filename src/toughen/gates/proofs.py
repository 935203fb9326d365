"""Owns the gate of proofs: what was proven once is refuted, and nothing else is proven."""

from __future__ import annotations

from toughen.faulting import again, fault_of
from toughen.gatekeeping import DOWN, Faults, Gate, Looked, Site
from toughen.gates import authorization, dependencies
from toughen.model.finding import Inconclusive, Proven, Status


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
        faults = [fault_of(each, f"{each.break_id} on {each.route}: {each.message}") for each in found]
        replayed = site.replayed()
        # What another gate asks about is held against the project there.
        faults += again([each for each in replayed if not each[0].break_id.startswith(others)], {each.key for each in faults})
        refuted = len(replayed) - sum(isinstance(outcome, Proven | Inconclusive) for _, outcome in replayed)
        return Faults(faults, {"proven": str(len(found)), "stored": str(len(replayed)), "refuted": str(refuted)}, f"{len(site.verdict.tried)} attacks, {len(replayed)} stored proofs")
