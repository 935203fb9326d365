"""Owns the gate of authorization: the policy has a line for every route, nothing waits in it, and nobody gets what it does not allow."""

from __future__ import annotations

from toughen.audit import policy
from toughen.faulting import again
from toughen.gatekeeping import DOWN, CouldNot, Faults, Gate, Looked, Site
from toughen.model.gate import Fault
from toughen.model.matrix import Access

PROVES = ("security/no-authentication", "security/object-authorization", "security/function-authorization", "security/weak-token")
"""The breaks that say so."""


class Authorization(Gate):
    """Every route has a line in `toughen-policy.toml`, no `ask` is left in it, and every kind of user gets what it says and no more."""

    id = "authorization"
    title = "Everybody gets what the policy says, and no more"
    order = 40
    breaks = PROVES

    def look(self, site: Site) -> Looked:
        """Hold the matrix of this run against the policy."""
        matrix = site.verdict.matrix
        if not site.booted:
            return DOWN
        late = sum(each.access is Access.UNTESTED and "used up" in each.reason for each in matrix.cells) if matrix is not None else 0
        if matrix is None or (late and late == matrix.count(Access.UNTESTED) == len(matrix.cells)):
            return CouldNot("there was no time to ask the routes in everybody's name", "give it a larger --budget, or run `toughen audit`")
        known = policy.read(site.root / policy.FILE)
        missing = [each for each in matrix.cells if each.access is Access.MISSING]
        faults = [Fault(f"{each.route} {each.subject}", f"{each.route}: {each.subject} gets what nobody meant: {each.reason}") for each in missing]
        faults += [Fault(each.id, each.message, each.location, finding=each.id) for each in site.verdict.findings if each.break_id in PROVES and each.status.value == "proven" and each.route not in {cell.route for cell in missing}]
        faults += again([each for each in site.replayed() if each[0].break_id in PROVES and each[0].route not in {cell.route for cell in missing}], {each.key for each in faults})
        if known is None:
            undecided = matrix.count(Access.UNDECIDED)
            faults.append(Fault("no policy", f"nobody has said who may call what ({undecided} cells wait): `toughen audit` draws {policy.FILE} to be reviewed"))
        else:
            faults += [Fault(f"unlisted {each}", f"{policy.FILE} has no line for {each}") for each in policy.unlisted(matrix, known)]
            faults += [Fault(f"ask {route}", f"{policy.FILE} still asks who may call {route}") for route, rights in known.routes.items() if rights.ask]
        measured = {each.value: str(matrix.count(each)) for each in Access}
        return Faults(faults, measured, f"{len(matrix.cells)} cells, {matrix.count(Access.MISSING)} missing" + (f"; there was no time to ask {late}: a larger --budget asks them" if late else ""))

