"""Owns the gate of operations: a failure leaves a line that says which request it was, and a probe tells when the database is gone."""

from __future__ import annotations

from toughen.gatekeeping import CouldNot, Faults, Gate, Looked, Site
from toughen.model.finding import Status
from toughen.model.gate import Fault


class Operations(Gate):
    """What operations/ proves: structured logs with a request's id, health checks, no failure without a trace."""

    id = "operations"
    title = "Failures are seen"
    order = 42
    breaks = ("operations/",)

    def look(self, site: Site) -> Looked:
        """What the attack proved of operations/."""
        if not site.booted:
            return CouldNot("the prototype does not boot here")
        found = [each for each in site.verdict.findings if each.break_id.startswith("operations/") and each.status is Status.PROVEN]
        return Faults([Fault(each.id, f"{each.break_id}: {each.message}", each.location, finding=each.id) for each in found], {"proven": str(len(found))}, "a forced error, a dead database, a silent failure")
