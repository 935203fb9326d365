"""Owns the gate of operations: a failure leaves a line that says which request it was, and a probe tells when the database is gone."""

from __future__ import annotations

from toughen.faulting import again, fault_of
from toughen.gatekeeping import DOWN, Faults, Gate, Looked, Site
from toughen.model.finding import Status


class Operations(Gate):
    """What operations/ proves: structured logs with a request's id, health checks, no failure without a trace."""

    id = "operations"
    title = "Failures are seen"
    order = 42
    breaks = ("operations/",)

    def look(self, site: Site) -> Looked:
        """What the attack proved of operations/."""
        if not site.booted:
            return DOWN
        found = [each for each in site.verdict.findings if each.break_id.startswith("operations/") and each.status is Status.PROVEN]
        faults = [fault_of(each, f"{each.break_id}: {each.message}") for each in found]
        faults += again([each for each in site.replayed() if each[0].break_id.startswith("operations/")], {each.key for each in faults})
        return Faults(faults, {"proven": str(len(found))}, "a forced error, a dead database, a silent failure")
