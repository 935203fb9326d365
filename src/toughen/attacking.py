"""Owns the attack on a booted prototype: explore, prove, count who may do what, conclude."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from toughen.audit import policy
from toughen.audit.stage import Auditor
from toughen.conclude import described, notes_of, offered, verdict_of
from toughen.events import Stage, Step
from toughen.explore.explore import Explorer
from toughen.lab.crew import Crew, spare
from toughen.lab.mysql import lacking
from toughen.lab.opening import open_lab
from toughen.lab.servers import MYSQL, kind_of
from toughen.prove import Proving
from toughen.rules import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from toughen.audit.policy import Policy
    from toughen.explore.explore import Explored
    from toughen.lab.auditing import Auditor as Watch
    from toughen.lab.boot import Lab
    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.matrix import Matrix
    from toughen.model.verdict import Verdict
    from toughen.rule import Rule
    from toughen.starting import Start
    from toughen.survey import Sources


_ASKING = 60.0
"""Seconds that asking in everybody's name has for a gate, whatever the attack used up."""


class Aim(Protocol):
    """What an attack is narrowed to."""

    def prepare(self, root: Path, proving: Proving, target: LabTarget) -> Policy | None:
        """Look at what was explored before anything is attacked; the policy that says what is meant."""

    def worth(self, target: LabTarget, sources: Mapping[str, str]) -> set[tuple[str, str]] | None:
        """(rule, route) that are attacked; None attacks everything."""


@dataclass(slots=True)
class Attack:
    """One attack; what it took is in `timings`, in seconds."""

    start: Start
    rules: tuple[Rule, ...]
    sources: Sources
    began: float
    timings: dict[str, float]
    counting: bool = False
    """True counts what every kind of user may do beside the attacks."""
    aim: Aim | None = None

    def proven(self, lab: Lab, blueprint: Blueprint, suspicions: Callable[[], tuple[Finding, ...]], watch: Watch) -> tuple[Verdict, LabTarget]:
        """Attack every route with every rule."""
        return self._run(lab, blueprint, suspicions, lambda proving, explored, crew: self._all(proving, explored, crew, lab, watch))

    def audited(self, lab: Lab, blueprint: Blueprint, suspicions: Callable[[], tuple[Finding, ...]]) -> tuple[Verdict, LabTarget]:
        """Ask every route in the name of every kind of user, and prove what looks open."""
        known = policy.read(self.start.root / policy.FILE)
        return self._run(lab, blueprint, suspicions, lambda proving, explored, crew: Auditor(proving, known).run(explored, crew, lab.variables))

    def _all(self, proving: Proving, explored: Explored, crew: Crew, lab: Lab, watch: Watch) -> Matrix | None:
        target = explored.target
        target.memory.auditor = watch
        known = self.aim.prepare(self.start.root, proving, target) if self.aim is not None else None
        proving.run(target, crew, self.aim.worth(target, self.sources.texts) if self.aim is not None else None)
        if not self.counting:
            return None
        # By the way only where it takes some seconds; where a gate asks, whatever it takes.
        if self.aim is not None:
            proving.deadline = max(proving.deadline, time.monotonic() + min(_ASKING, self.start.config.budget / 4))
        auditor = Auditor(proving, known)
        return auditor.run(explored, crew, lab.variables, proved=True) if self.aim is not None else auditor.counted(explored, crew, lab.variables)

    def _run(self, lab: Lab, blueprint: Blueprint, suspicions: Callable[[], tuple[Finding, ...]], work: Callable[[Proving, Explored, Crew], Matrix | None]) -> tuple[Verdict, LabTarget]:
        start, timings = self.start, self.timings
        proving = Proving(start.root, self.rules, time.monotonic() + start.config.budget, self.began, start.tell)
        with Crew(lambda: open_lab(start.root, lab.entry, lab.environment, lab.variables, server=kind_of(lab.world.server)), spare()) as crew:
            explored = self._explored(lab, blueprint, crew)
            matrix = work(proving, explored, crew)
        if proving.first_proof is not None:
            timings["first_proof_s"] = proving.first_proof
        shown = {(each.break_id, each.route) for each in proving.findings}
        supposed = (
            *(each for each in suspicions() if (each.break_id, each.route) not in proving.settled),
            *(each for each in proving.suspected if (each.break_id, each.route) not in shown),
        )
        findings = [replace(each, mend=offered(named(each.break_id), each, blueprint, self.sources.texts)) for each in proving.findings]
        timings |= {"total_s": time.monotonic() - self.began} | ({"audit_s": matrix.seconds} if matrix else {})
        notes = notes_of(lab, start.config, blueprint.stand_in, lacking() if blueprint.stand_in and blueprint.database == MYSQL else "")
        verdict = verdict_of(blueprint, explored, findings, supposed, proving.unclear, timings, notes)
        return replace(verdict, matrix=matrix, breaks=described(self.rules), tried=proving.tried), explored.target

    def _explored(self, lab: Lab, blueprint: Blueprint, crew: Crew) -> Explored:
        began, start = time.monotonic(), self.start
        start.tell(Stage("explore", f"{len(blueprint.routes)} routes"))
        explorer = Explorer(lab, blueprint, self.sources.texts, start.config.budget / 2, lambda text: start.tell(Step(text)), seed=start.config.seed, configured=start.config.identities, crew=crew)
        explored = explorer.run()
        self.timings["explore_s"] = time.monotonic() - began
        return explored
