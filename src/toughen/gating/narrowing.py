"""Owns what the gates want of an attack: the rules that they read, the routes that a change can have touched, and the policy that says what is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.audit import policy
from toughen.audit.stage import Meant
from toughen.gates import load as gates
from toughen.gating.affected import affected
from toughen.model.finding import Status
from toughen.prove import ALL
from toughen.rehearsals import mutants_of
from toughen.rules import load

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from toughen.audit.policy import Policy
    from toughen.gating.scope import Scope
    from toughen.lab.target import LabTarget
    from toughen.model.verdict import Verdict
    from toughen.prove import Proving
    from toughen.rule import Rule
    from toughen.store import StoredProof


_TOGETHER = 30.0
"""Seconds that they may be asked, and beyond the budget, where a change is looked at."""
_LONGEST, _LATE = 240.0, 180.0
"""Seconds that all tests may take once, and that they may be asked beyond the budget, where all of the project is looked at: what was not asked is no yes."""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """An attack for the sake of gates."""

    scope: Scope
    only: Collection[str] = ()
    """The gates that are asked; none named are all."""

    @property
    def counting(self) -> bool:
        """Whether every route is asked in everybody's name."""
        return not self.only or "authorization" in self.only

    def rules(self) -> tuple[Rule, ...]:
        """The rules whose breaks the gates read: what they do not read is not attacked."""
        wanted = tuple(each for gate in gates() if not self.only or gate.id in self.only for each in gate.breaks)
        return tuple(rule for rule in load() if rule.id.startswith(wanted) and (not rule.rehearses or rule.id in wanted))

    def prepare(self, root: Path, proving: Proving, target: LabTarget) -> Policy | None:
        """The reviewed policy says what is meant, and comparisons on new lines are moved by one; the policy."""
        if target.memory.rehearsing is not None:
            target.memory.rehearsing.changed = self.scope.lines()
            if self.scope.changed is None:
                target.memory.rehearsing.longest = _LONGEST
        proving.late = _LATE if self.scope.changed is None else _TOGETHER
        known = policy.read(root / policy.FILE)
        if known is not None:
            proving.meant = Meant(known, target).of
        return known

    def worth(self, target: LabTarget, sources: Mapping[str, str]) -> set[tuple[str, str]] | None:
        """(rule, route) that a change can have touched; None where nothing is narrowed to one."""
        if self.scope.changed is None:
            return None
        routes = affected(target.blueprint, sources, self.scope.changed)
        if target.memory.rehearsing is not None:
            target.memory.rehearsing.together = _TOGETHER
            target.memory.rehearsing.wanted = {each.key for route in target.blueprint.routes if route.id in routes for each in mutants_of(target, route)}
        return {(rule.id, ALL if rule.whole else route) for rule in self.rules() for route in routes}

    def again(self, stored: StoredProof, verdict: Verdict, sources: Mapping[str, str]) -> bool:
        """Whether a stored proof is executed again: not what this run has proven anyhow, nor of a route that is gone, nor what the change cannot have touched."""
        if stored.proof.break_id.startswith("suite/") or any(each.id == stored.finding and each.status is Status.PROVEN for each in verdict.findings):
            return False
        if stored.proof.route not in {each.id for each in verdict.blueprint.routes}:
            return False
        return self.scope.changed is None or stored.proof.route in affected(verdict.blueprint, sources, self.scope.changed)
