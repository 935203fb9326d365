"""Owns the gate of dependencies: nothing is installed that is known to be vulnerable, and that was looked up."""

from __future__ import annotations

from toughen.gatekeeping import DOWN, CouldNot, Faults, Gate, Looked, Site, Untouched
from toughen.model.finding import Status
from toughen.model.gate import Fault

BREAK = "security/vulnerable-dependency"
_NEEDS = (".txt", ".toml", ".lock", "Pipfile", "setup.py", "setup.cfg", ".in")


class Dependencies(Gate):
    """No package that the project installs has a known vulnerability; what could not be looked up is no yes."""

    id = "dependencies"
    title = "No known vulnerability is installed"
    order = 31
    breaks = (BREAK,)

    def look(self, site: Site) -> Looked:
        """What the attack said of security/vulnerable-dependency."""
        if site.changed is not None and not site.changed.touch(*_NEEDS):
            return Untouched("no requirement changed")
        if not site.booted:
            return DOWN
        unclear = [each.reason for each in site.verdict.inconclusive if each.break_id == BREAK]
        if unclear:
            return CouldNot(unclear[0])
        found = [each for each in site.verdict.findings if each.break_id == BREAK and each.status in {Status.PROVEN, Status.SUSPECTED}]
        return Faults([Fault(f"{each.id} {each.message}", each.message, each.location, finding=each.id) for each in found], {"vulnerable": str(len(found))}, "what is installed, by its advisories")
