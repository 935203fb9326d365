"""Owns the run: source -> Blueprint -> Identities, Journeys -> Proofs -> Verdict, on one page; it prints nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen import store
from toughen.conclude import described, finding_of, notes_of, offered, suspected, verdict_of
from toughen.errors import LabError
from toughen.events import Stage, Step, silent
from toughen.introductions import refilled
from toughen.lab import environment, migrations
from toughen.lab.auditing import Auditor as Watch
from toughen.lab.auditing import auditor
from toughen.lab.crew import Crew, spare
from toughen.lab.memory import Memory
from toughen.lab.mysql import lacking
from toughen.lab.opening import open_lab
from toughen.lab.packages import installed
from toughen.lab.servers import MYSQL, kind_of
from toughen.lab.target import LabTarget
from toughen.lab.twin import logged_in
from toughen.lab.variables import dummies
from toughen.model.finding import Finding, Inconclusive, Outcome, Status
from toughen.model.verdict import Verdict
from toughen.rules import chosen, load, named
from toughen.survey import Sources, join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from toughen.audit.policy import Policy
    from toughen.config import Config
    from toughen.events import Listener
    from toughen.explore.explore import Explored
    from toughen.gating.hold import Held
    from toughen.gating.scope import Scope
    from toughen.lab.boot import Lab
    from toughen.lab.snapshot import Snapshot
    from toughen.model.blueprint import Blueprint
    from toughen.model.matrix import Matrix
    from toughen.model.patch import Patch
    from toughen.prove import Proving
    from toughen.rule import Rule


AUTHORIZATION = ("security/no-authentication", "security/object-authorization", "security/function-authorization", "security/weak-token")
"""The breaks that an audit proves."""
VULNERABLE = "security/vulnerable-dependency"
_ONLY_SURVEYED = "only surveyed: nothing was executed"


@dataclass(slots=True)
class Run:
    """One run over one project."""

    root: Path
    config: Config
    tell: Listener = silent
    auditing: bool = False
    """True asks every route in the name of every kind of user, instead of attacking it with every rule."""
    _counting: bool = False
    """True counts what every kind of user may do beside the attacks."""
    _scope: Scope | None = None
    """What the gates look at, where they are asked."""
    _gates: tuple[str, ...] = ()
    """The gates that are asked; none named are all."""
    _texts: dict[str, str] = field(default_factory=dict)
    """Its Python files, once they were read."""

    def check(self) -> Verdict:
        """Survey, boot, explore, prove. What is known statically is in the Verdict even when the prototype does not boot."""
        self._counting = not self.auditing and not self.config.only
        with self.attack() as (verdict, _):
            return verdict

    def fix(self, *, write: bool, commit: bool, tests: bool = False) -> Verdict:
        """Check, then mend every proven finding, each kept only if it survives the order of trust; with `tests`, write regression tests of what was mended."""
        with self.attack() as (verdict, target):
            if target is None:
                return verdict
            from toughen.harden.fix import Hardening

            hardening = Hardening(self.root, verdict, target, self.tell)
            return hardening.run(write=write, commit=commit, tests=tests)

    def accept(self, patch: Patch, *, write: bool) -> Verdict:
        """Prove one finding anew, then take a patch from outside for it through the order of trust. Raises PatchError."""
        self.config = replace(self.config, only=(patch.finding.partition("@")[0],), static=False)
        with self.attack() as (verdict, target):
            if target is None:
                return verdict
            from toughen.harden.accepting import Accepting

            return Accepting(self.root, verdict, target, self.tell).accept(patch, write=write)

    def gate(self, scope: Scope, only: Collection[str] = ()) -> Held:
        """Attack what the scope is narrowed to, and ask every gate, or `only` these."""
        from toughen.gating.hold import Holding
        from toughen.gating.yard import Yard

        self._scope, self._counting, self._gates = scope, not only or "authorization" in only, tuple(only)
        stored = store.proofs(self.root)
        with self.attack() as (verdict, target):
            replaying = lambda: self.replays([each for each in map(store.load, stored) if self._again(each[0], verdict, scope)])  # noqa: E731
            yard = Yard(self.root, self._texts, verdict, target, scope.changed, scope.new, replaying)
            holding = Holding(yard, scope.baseline, self.config.waivers, scope.before, self.tell)
            return holding.run(only)

    def _again(self, stored: store.StoredProof, verdict: Verdict, scope: Scope) -> bool:
        """Whether a stored proof is executed again: not what this run has proven anyhow, nor of a route that is gone, nor what the change cannot have touched."""
        from toughen.gating.affected import affected

        if stored.proof.break_id.startswith("suite/") or any(each.id == stored.finding and each.status is Status.PROVEN for each in verdict.findings):
            return False
        if stored.proof.route not in {each.id for each in verdict.blueprint.routes}:
            return False
        return scope.changed is None or stored.proof.route in affected(verdict.blueprint, self._texts, scope.changed)

    def replay(self, file: Path) -> tuple[Finding, Outcome]:
        """Execute a stored proof again in a fresh boot."""
        return self.replays([store.load(file)])[0]

    def replays(self, proofs: Iterable[tuple[store.StoredProof, Snapshot]]) -> list[tuple[Finding, Outcome]]:
        """Execute stored proofs again, in one fresh boot for all that start alike."""
        told: list[tuple[Finding, Outcome]] = []
        alike: dict[tuple[str, tuple[str, ...], bool, tuple[str, ...]], list[tuple[store.StoredProof, Snapshot]]] = {}
        for stored, snapshot in proofs:
            rule = named(stored.proof.break_id)
            if rule is None:
                told.append((finding_of(None, stored.proof.route, stored.proof), Inconclusive(f"this version has no rule {stored.proof.break_id}")))
                continue
            alike.setdefault((snapshot.digest, stored.prepared, stored.together, tuple(each.name for each in stored.identities)), []).append((stored, snapshot))
        sources, surveyed = self._survey() if alike else (None, None)
        for (digest, prepared, together, _), group in alike.items():
            assert sources is not None
            assert surveyed is not None
            with self._booted(sources, surveyed) as (lab, blueprint):
                lab.redo(prepared)
                lab.world.bring(group[0][1])
                migrations.further(lab)
                people = [refilled(each, self.config.identities) for each in group[0][0].identities]
                target = LabTarget(lab, blueprint, logged_in(lab, people), digest, memory=Memory(together=together))
                for stored, _ in group:
                    rule = named(stored.proof.break_id)
                    assert rule is not None
                    self.tell(Stage("prove", f"replaying {stored.finding}"))
                    told.append((finding_of(rule, stored.proof.route, stored.proof), rule.confirm(target, stored.proof.route, stored.proof.experiment)))
        return told

    @contextmanager
    def attack(self) -> Iterator[tuple[Verdict, LabTarget | None]]:
        """The Verdict, and the Target while it is still alive."""
        began = time.monotonic()
        sources, blueprint = self._survey()
        self._texts = sources.texts
        timings = {"survey_s": time.monotonic() - began}
        with ThreadPoolExecutor(1) as beside:
            # Booting is waiting: what is suspected is found out meanwhile.
            suspecting = beside.submit(lambda: tuple(suspected(self._rules(), blueprint, sources.texts)))
            if self.config.static:
                yield Verdict(blueprint, "harden", _ONLY_SURVEYED, suspecting.result(), timings=timings, booted=False, notes=("static survey only",), breaks=described(self._rules())), None
                return
            handed = False
            try:
                with self._booted(sources, blueprint) as (lab, booted):
                    timings["boot_s"] = time.monotonic() - began - timings["survey_s"]
                    watch = auditor(self.config.advisories, self.root)
                    if not self.auditing and any(each.id == VULNERABLE for each in self._rules()):
                        # Asking is waiting too.
                        beside.submit(lambda: watch.audit(installed(lab.environment).packages))
                    found = self._proven(lab, booted, sources, (suspecting.result, watch), timings, began)
                    handed = True
                    yield found
            except LabError as error:
                if handed:
                    raise
                timings["total_s"] = time.monotonic() - began
                lacks = lacking() if blueprint.database == MYSQL else ""
                why = error.message + (f"\n{error.hint}" if error.hint else "") + (f"\n{lacks}" if lacks else "")
                yield Verdict(blueprint, "harden", why, suspecting.result(), timings=timings, booted=False, breaks=described(self._rules())), None

    def _proven(
        self, lab: Lab, blueprint: Blueprint, sources: Sources, beside: tuple[Callable[[], tuple[Finding, ...]], Watch], timings: dict[str, float], began: float
    ) -> tuple[Verdict, LabTarget]:
        from toughen.audit import policy
        from toughen.audit.stage import Auditor
        from toughen.prove import Proving

        suspicions, watch = beside
        proving = Proving(self.root, self._rules(), time.monotonic() + self.config.budget, began, self.tell)
        with Crew(lambda: open_lab(self.root, lab.entry, lab.environment, lab.variables, server=kind_of(lab.world.server)), spare()) as crew:
            explored = self._explore(lab, blueprint, sources, timings, crew)
            if self.auditing:
                matrix: Matrix | None = Auditor(proving, policy.read(self.root / policy.FILE)).run(explored, crew, lab.variables)
            else:
                explored.target.memory.auditor = watch
                known = self._narrowed(proving, explored.target) if self._scope else None
                proving.run(explored.target, crew, self._worth(explored.target, sources))
                matrix = Auditor(proving, known).counted(explored, crew, lab.variables) if self._counting else None
        if proving.first_proof is not None:
            timings["first_proof_s"] = proving.first_proof
        shown = {(each.break_id, each.route) for each in proving.findings}
        supposed = (
            *(each for each in suspicions() if (each.break_id, each.route) not in proving.settled),
            *(each for each in proving.suspected if (each.break_id, each.route) not in shown),
        )
        findings = [replace(each, mend=offered(named(each.break_id), each, blueprint, sources.texts)) for each in proving.findings]
        timings |= {"total_s": time.monotonic() - began} | ({"audit_s": matrix.seconds} if matrix else {})
        verdict = verdict_of(blueprint, explored, findings, supposed, proving.unclear, timings, notes_of(lab, self.config, blueprint.stand_in, lacking() if blueprint.stand_in and blueprint.database == MYSQL else ""))
        return replace(verdict, matrix=matrix, breaks=described(self._rules()), tried=proving.tried), explored.target

    def _narrowed(self, proving: Proving, target: LabTarget) -> Policy | None:
        """For the gates: the reviewed policy says what is meant, and comparisons on new lines are moved by one; the policy."""
        from toughen.audit import policy
        from toughen.audit.stage import Meant

        assert self._scope is not None
        if target.memory.rehearsing is not None:
            target.memory.rehearsing.changed = self._scope.lines()
        known = policy.read(self.root / policy.FILE)
        if known is not None:
            proving.meant = Meant(known, target).of
        return known

    def _worth(self, target: LabTarget, sources: Sources) -> set[tuple[str, str]] | None:
        """(rule, route) that a change can have touched; None where nothing is narrowed to one."""
        if self._scope is None or self._scope.changed is None:
            return None
        from toughen.gating.affected import affected
        from toughen.prove import ALL

        routes = affected(target.blueprint, sources.texts, self._scope.changed)
        return {(rule.id, ALL if rule.whole else route) for rule in self._rules() for route in routes}

    def _survey(self) -> tuple[Sources, Blueprint]:
        self.tell(Stage("survey", str(self.root.name)))
        sources = read(self.root, cache=environment.cache_folder() / "survey")
        return sources, survey(sources, app=self.config.app)

    @contextmanager
    def _booted(self, sources: Sources, blueprint: Blueprint) -> Iterator[tuple[Lab, Blueprint]]:
        assert blueprint.entry is not None
        self.tell(Stage("environment", f"for {blueprint.entry.target}"))
        built = environment.provided(self.root, sources.texts, blueprint.entry)
        texts, given = tuple(sources.texts.values()), dict(self.config.environment)
        made_up = dummies(blueprint, self.root, texts, given)
        if made_up.server == MYSQL and lacking():
            # SQLite stands in where the project can do with it.
            made_up = dummies(blueprint, self.root, texts, given, mysql=False)
        self.tell(Stage("boot", f"{blueprint.entry.target} on Python {built.version} ({built.origin})"))
        with open_lab(self.root, blueprint.entry, built, made_up.values, server=made_up.server) as lab:
            yield lab, replace(join(blueprint, lab.facts, sources), stand_in=made_up.stood_in)

    def _rules(self) -> tuple[Rule, ...]:
        rules = chosen(self.config.only, AUTHORIZATION if self.auditing else ())
        if self._scope is None:
            return rules
        # The gates name what they read; what they do not read is not attacked.
        from toughen.gates import load as gates

        wanted = tuple(each for gate in gates() if not self._gates or gate.id in self._gates for each in gate.breaks)
        return tuple(rule for rule in load() if rule.id.startswith(wanted) and (not rule.rehearses or rule.id in wanted))

    def _explore(self, lab: Lab, blueprint: Blueprint, sources: Sources, timings: dict[str, float], crew: Crew) -> Explored:
        from toughen.explore.explore import Explorer

        began = time.monotonic()
        self.tell(Stage("explore", f"{len(blueprint.routes)} routes"))
        explorer = Explorer(lab, blueprint, sources.texts, self.config.budget / 2, lambda text: self.tell(Step(text)), seed=self.config.seed, configured=self.config.identities, crew=crew)
        explored = explorer.run()
        timings["explore_s"] = time.monotonic() - began
        return explored
