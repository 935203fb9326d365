"""Owns the run: source -> Blueprint -> Identities, Journeys -> Proofs -> Verdict, on one page; it prints nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen import store
from toughen.conclude import described, suspected
from toughen.errors import LabError
from toughen.events import silent
from toughen.lab.auditing import auditor
from toughen.lab.mysql import lacking
from toughen.lab.packages import installed
from toughen.lab.servers import MYSQL
from toughen.model.verdict import Verdict
from toughen.replaying import replays
from toughen.rules import chosen
from toughen.starting import Start

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from toughen.config import Config
    from toughen.events import Listener
    from toughen.gating.hold import Held
    from toughen.gating.narrowing import Narrowing
    from toughen.gating.scope import Scope
    from toughen.lab.snapshot import Snapshot
    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Outcome
    from toughen.model.patch import Patch
    from toughen.rule import Rule


AUTHORIZATION = ("security/no-authentication", "security/object-authorization", "security/function-authorization", "security/weak-token")
"""The breaks that an audit proves."""
VULNERABLE = "security/vulnerable-dependency"
_ONLY_SURVEYED = "only surveyed: nothing was executed"


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """A thread for what waits meanwhile; whoever is interrupted does not wait for it."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


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
    _aim: Narrowing | None = None
    """What the gates want of the attack, where they are asked."""
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
        from toughen.gating.narrowing import Narrowing
        from toughen.gating.yard import Yard

        aim = self._aim = Narrowing(scope, tuple(only))
        self._counting = aim.counting
        stored = store.proofs(self.root)
        with self.attack() as (verdict, target):

            def again() -> list[tuple[Finding, Outcome]]:
                return self.replays(each for each in map(store.load, stored) if aim.again(each[0], verdict, self._texts))

            yard = Yard(self.root, self._texts, verdict, target, scope.changed, scope.new, again)
            return Holding(yard, scope.baseline, self.config.waivers, scope.before, self.tell).run(only)

    def replay(self, file: Path) -> tuple[Finding, Outcome]:
        """Execute a stored proof again in a fresh boot."""
        return self.replays([store.load(file)])[0]

    def replays(self, proofs: Iterable[tuple[store.StoredProof, Snapshot]]) -> list[tuple[Finding, Outcome]]:
        """Execute stored proofs again, in one fresh boot for all that start alike."""
        return replays(self._start, proofs)

    @contextmanager
    def attack(self) -> Iterator[tuple[Verdict, LabTarget | None]]:
        """The Verdict, and the Target while it is still alive."""
        from toughen.attacking import Attack

        began, rules = time.monotonic(), self._rules()
        sources, blueprint = self._start.survey()
        self._texts = sources.texts
        timings = {"survey_s": time.monotonic() - began}
        with _beside() as beside:
            # Booting is waiting: what is suspected is found out meanwhile.
            suspecting = beside.submit(lambda: tuple(suspected(rules, blueprint, sources.texts)))
            if self.config.static:
                yield Verdict(blueprint, "harden", _ONLY_SURVEYED, suspecting.result(), timings=timings, booted=False, notes=("static survey only",), breaks=described(rules)), None
                return
            handed = False
            try:
                with self._start.booted(sources, blueprint) as (lab, booted):
                    timings["boot_s"] = time.monotonic() - began - timings["survey_s"]
                    attack = Attack(self._start, rules, sources, began, timings, self._counting, self._aim)
                    if self.auditing:
                        found = attack.audited(lab, booted, suspecting.result)
                    else:
                        watch = auditor(self.config.advisories, self.root)
                        if any(each.id == VULNERABLE for each in rules):
                            # Asking is waiting too.
                            beside.submit(lambda: watch.audit(installed(lab.environment).packages))
                        found = attack.proven(lab, booted, suspecting.result, watch)
                    handed = True
                    yield found
            except LabError as error:
                if handed:
                    raise
                yield self._unbooted(error, blueprint, suspecting.result(), {**timings, "total_s": time.monotonic() - began}), None

    @property
    def _start(self) -> Start:
        return Start(self.root, self.config, self.tell)

    def _unbooted(self, error: LabError, blueprint: Blueprint, findings: tuple[Finding, ...], timings: dict[str, float]) -> Verdict:
        lacks = lacking() if blueprint.database == MYSQL else ""
        why = error.message + (f"\n{error.hint}" if error.hint else "") + (f"\n{lacks}" if lacks else "")
        return Verdict(blueprint, "harden", why, findings, timings=timings, booted=False, breaks=described(self._rules()))

    def _rules(self) -> tuple[Rule, ...]:
        return self._aim.rules() if self._aim is not None else chosen(self.config.only, AUTHORIZATION if self.auditing else ())
