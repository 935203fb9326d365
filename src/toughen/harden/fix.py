"""Owns the order of trust: a mend is tried on its own copy and kept only when every step of it holds."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from toughen.errors import EnvironmentFailedError, LabError
from toughen.events import Stage, Step, silent
from toughen.harden.briefing import briefed, further
from toughen.harden.regressing import Regressing
from toughen.harden.sameness import Behaviour, behaviour, differences, entered, led
from toughen.harden.suite import Running, SuiteResult, baseline, running
from toughen.harden.tree import commit as commit_patch
from toughen.harden.tree import put, same_edit, undo
from toughen.lab import environment as environments
from toughen.lab.copying import copy_project
from toughen.lab.twin import mended
from toughen.lab.variables import made_up
from toughen.model.blueprint import Suite
from toughen.model.finding import Finding, Inconclusive, Proof, Proven, Refuted, Status, Suspected
from toughen.model.patch import Gone, Kept, MendOutcome, Patch, RolledBack, Unmended
from toughen.rules import named
from toughen.store import save
from toughen.survey import join, read, survey
from toughen.survey.companions import companions
from toughen.survey.templates import templates
from toughen.tidying import tidying

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from toughen.events import Listener
    from toughen.lab.snapshot import Snapshot
    from toughen.lab.target import LabTarget
    from toughen.model.journey import Call, Journey
    from toughen.model.trial import Experiment
    from toughen.model.verdict import Verdict
    from toughen.rule import Rule

_SHOWN, _RUNS = 3, 3
MOST_VARIANTS = 4
"""Variants of one mend that are tried."""


@dataclass(slots=True)
class Hardening:
    """Mends the proven findings of one Verdict, one at a time, each on top of those that were kept."""

    root: Path
    verdict: Verdict
    target: LabTarget
    tell: Listener = silent
    _before: dict[str, Behaviour] = field(default_factory=dict)
    _suite: SuiteResult | None = None
    _snapshot: Snapshot | None = None
    _outcomes: dict[str, MendOutcome] = field(default_factory=dict)
    _rewrites: frozenset[str] = frozenset()
    """Columns whose values kept mends change by intention."""
    _withheld: frozenset[str] = frozenset()
    """Fields that kept mends leave out of answers by intention, as `Patch.withholds` has them."""
    _former: dict[str, str] = field(default_factory=dict)
    """Who sent a route's honest request before a mend asked for a role that he has not."""
    _left: Finding | None = None
    """What the mend that was tried last leaves of a break that it cures in part."""
    _facts: dict[str, Any] | None = None
    """What the application said of itself when the tree as it is now was booted: its lines are those of the tree."""

    def run(self, *, write: bool, commit: bool, tests: bool = False) -> Verdict:
        """Try every mend; with `write`, those that were kept are written to the user's tree; with `tests`, regression tests are written from them."""
        self.tell(Stage("mend", f"{sum(1 for each in self.verdict.findings if each.status is Status.PROVEN)} proven breaks"))
        self._outcomes = {}
        with self._bench() as tree:
            waiting = self._ordered()
            while waiting:
                finding = waiting.pop(0)
                if isinstance(self._outcomes.get(finding.id), Gone):
                    continue
                self.tell(Step(f"mending {finding.id}"))
                outcome = self._outcomes[finding.id] = self._mend(finding, tree)
                match outcome:
                    case Kept(patch):
                        self.tell(Step(f"kept: {patch.summary}"))
                        waiting = [*self._remains(), *waiting]
                        if write:
                            put(self.root, patch.changes)
                            if commit:
                                commit_patch(self.root, patch)
                    case RolledBack(patch, step, reason):
                        self.tell(Step(f"rolled back ({step}): {reason}"))
                    case Unmended(reason):
                        self.tell(Step(f"not mended: {reason}"))
                    case Gone(by):
                        self.tell(Step(f"mended by the patch for {by}"))
            if tests:
                self.verdict, gone = Regressing(self.verdict, self.target, tree, self._outcomes, self._experiment, lambda: self._booted(tree), self.tell).add(self.root if write else None, commit=commit)
                self._outcomes.update(gone)
        return replace(self.verdict, mends=tuple((each.id, self._outcomes[each.id]) for each in self._ordered()))

    @contextmanager
    def _bench(self) -> Iterator[Path]:
        """A copy of the project to try patches in, once it is known how it answers and which of its tests pass before any; gone with the context."""
        lab = self.target.lab
        lab.restore()
        self._snapshot = lab.world.take()
        bench = Path(tempfile.mkdtemp(prefix="toughen-mend-"))
        try:
            tree = bench / (self.root.name if self.root.name.isidentifier() else "project")
            copy_project(self.root, tree)
            self._baseline(tree)
            self._suite = baseline(lab, tree, self.verdict.blueprint.suite)
            if self._suite.problem:
                self.tell(Step(f"the prototype's own tests: {self._suite.problem}"))
            yield tree
        finally:
            with tidying():
                shutil.rmtree(bench, ignore_errors=True)

    def _ordered(self) -> list[Finding]:
        proven = [each for each in self.verdict.findings if each.status is Status.PROVEN and each.proof is not None]
        return sorted(proven, key=lambda each: (rule.order if (rule := named(each.break_id)) else 99, each.id))

    def _mend(self, finding: Finding, tree: Path) -> MendOutcome:
        """The first variant that survives; else the first one that cures a part of the break; else why the last one did not."""
        rule = named(finding.break_id)
        if rule is None:
            return Unmended(f"this version has no rule {finding.break_id}")
        sources = read(tree)
        blueprint = join(survey(sources, app=self.verdict.blueprint.entry.target if self.verdict.blueprint.entry else None), self._facts or self.target.lab.facts, sources)
        last: MendOutcome = Unmended("no repair is known for this shape of code")
        brief = ""
        partial: list[Patch] = []
        for offer in islice(rule.mend(finding, blueprint, sources.texts), MOST_VARIANTS):
            if isinstance(offer, Unmended):
                last, brief = offer if not isinstance(last, RolledBack) else last, offer.brief or brief
                continue
            fault = self._tried(rule, finding, offer, tree)
            if fault is None:
                return Kept(offer)
            last = further(last, RolledBack(offer, *fault))
            partial += [offer] if self._left is not None else []
        for offer in partial:
            fault = self._tried(rule, finding, offer, tree, partly=True)
            if fault is None:
                return Kept(offer)
            last = further(last, RolledBack(offer, *fault))
        return briefed(last, rule, brief, sources.texts)

    def _tried(self, rule: Rule, finding: Finding, offer: Patch, tree: Path, *, partly: bool = False) -> tuple[str, str] | None:
        """Put one variant into the tree; where it does not hold, take it out again and say which step failed and why."""
        self._left = None
        put(tree, offer.changes)
        kept, self._rewrites = self._rewrites, self._rewrites | {each.lower() for each in offer.rewrites}
        told, self._withheld = self._withheld, self._withheld | set(offer.withholds)
        # The mended code and the prototype's own tests find what it demands, as they would where it is deployed.
        supplied = {name: made_up(name) for name in offer.demands if name not in self.target.lab.variables}
        self.target.lab.variables.update(supplied)
        environment = self.target.lab.environment
        fault = self._provide(offer, tree) or self._fault(rule, finding, offer, tree, partly=partly)
        if fault is not None:
            self._rewrites, self._withheld = kept, told
            for name in supplied:
                self.target.lab.variables.pop(name, None)
            if offer.raises:
                self.target.lab.environment = environment
            undo(tree, offer.changes)
        return fault

    def _remains(self) -> list[Finding]:
        """What the mend that was kept last leaves of its break, as a finding of its own."""
        left, self._left = self._left, None
        if left is None or left.proof is None or self._snapshot is None:
            return []
        lab = self.target.lab
        self.verdict = replace(self.verdict, findings=(*self.verdict.findings, left))
        save(self.root, left.id, lab.entry.target, left.proof, self.target.identities, self._snapshot, lab.steps, together=self.target.memory.together)
        self.tell(Step(f"a part of it is left: {left.id}: {left.message}"))
        return [left]

    def _provide(self, patch: Patch, tree: Path) -> tuple[str, str] | None:
        """Install what the mended code imports beside what was there, or anew where it wants other releases; why that cannot be had.

        The user's own environment is left alone: where it lacks something, the boot says so.
        """
        lab = self.target.lab
        lab.environment = environments.beside(lab.environment, patch.packages) or lab.environment
        if patch.raises:
            try:
                lab.environment = environments.anew(tree, self.root, read(tree).texts, lab.entry, patch.raises)
            except EnvironmentFailedError as error:
                return "environment", error.message
        return None

    def _fault(self, rule: Rule, finding: Finding, patch: Patch, tree: Path, *, partly: bool) -> tuple[str, str] | None:
        """The step of the order of trust that fails and why; None when all hold, with `partly` for that part of the break which is cured."""
        self._left = None
        again = self._again(rule, finding, patch, tree)
        if again is not None:
            return again
        assert finding.proof is not None
        try:
            with self._booted(tree) as target, self._tests(tree, target) as tests:
                experiment = self._experiment(finding.proof)
                if partly:
                    experiment, self._left = self._parted(rule, finding, target, experiment)
                for _ in range(2):
                    target.forget()
                    match rule.confirm(target, finding.route or "", experiment):
                        case Proven(proof):
                            left = self._parted(rule, finding, target, experiment)[1] if not partly else None
                            self._left = left
                            return "proof", f"the break is still there: {left.message if left is not None else proof.evidence.message}"
                        case Inconclusive(reason):
                            return "control", f"the honest control no longer passes: {reason}"
                        case Refuted() | Suspected():
                            pass
                fault = self._changed(target, finding) or self._lost(tests)
                if fault is None:
                    self._facts = target.lab.facts
                    self.target.learned.update(target.learned)
                    self._spare(target, finding)
                return fault
        except LabError as error:
            return "boot", error.message

    def _parted(self, rule: Rule, finding: Finding, target: LabTarget, experiment: Experiment) -> tuple[Experiment, Finding | None]:
        """(the part of an experiment that is cured, what is left of the break); the experiment and None where it is all or nothing."""
        alone = {name: rule.only(experiment, frozenset({name})) for name in experiment.trials if name != "control"}
        shown = frozenset(name for name, part in alone.items() if part is None or rule.shows(target, part))
        cured, left = rule.only(experiment, frozenset(alone) - shown), rule.only(experiment, shown)
        if cured is None or left is None:
            return experiment, None
        match rule.confirm(target, finding.route or "", left):
            case Proven(proof):
                evidence = proof.evidence
                return cured, replace(finding, location=evidence.location or finding.location, message=evidence.message, evidence=evidence, proof=proof, mend="brief")
        return experiment, None

    def _experiment(self, proof: Proof) -> Experiment:
        """The proof's experiment; where a mend has closed that route since to the sender of its control, a stranger or somebody without the role, as somebody else."""
        proof = replace(proof, experiment=led(proof.experiment, self.target.learned))
        calls = proof.experiment.trials["control"].calls
        known = self.target.journey(proof.route)
        if not calls or known is None or known.identity is None:
            return proof.experiment
        one, another = calls[-1].identity, known.identity
        if one is not None and (one != self._former.get(proof.route) or one == another):
            return proof.experiment

        def sent(calls: tuple[Call, ...]) -> tuple[Call, ...]:
            return entered(calls, {proof.route: another}) if one is None else tuple(each.by(another) if each.identity == one else each for each in calls)

        return replace(proof.experiment, trials={name: replace(trial, calls=sent(trial.calls)) for name, trial in proof.experiment.trials.items()})

    def _booted(self, tree: Path) -> AbstractContextManager[LabTarget]:
        """A tree in a fresh boot, on the snapshot of the proofs, with every identity logged in again."""
        assert self._snapshot is not None
        return mended(tree, self.target, self._snapshot)

    def _baseline(self, tree: Path) -> None:
        """How every Journey answers before any mend, in a boot like that of the mended trees.

        A Journey that answers differently from run to run by itself (random data, one-time tokens) says nothing about a
        mend and is left out by name.
        """
        with self._booted(tree) as target:
            runs = [{each.route: behaviour(target, each) for each in target.journeys()} for _ in range(_RUNS)]
            honest = {each.route: each.status for each in target.journeys()}
        self._before = {
            route: first for route, first in runs[0].items()
            if first.statuses[-1] == honest[route] and all(other[route] == first for other in runs[1:])
        }
        for route in runs[0].keys() - self._before.keys():
            self.tell(Step(f"{route} answers differently from run to run: no mend is judged by it"))

    def _spare(self, target: LabTarget, finding: Finding) -> None:
        """Other findings of this route or break whose proof the mended code turns away too need no patch of their own."""
        for other in self._ordered():
            rule = named(other.break_id)
            if other.id == finding.id or rule is None or other.proof is None or isinstance(self._outcomes.get(other.id), Kept | Gone):
                continue
            if other.route != finding.route and other.break_id != finding.break_id:
                continue
            experiment = self._experiment(other.proof)
            if rule.shows(target, experiment):
                continue
            if all(self._refuted(rule, target, other.route or "", experiment) for _ in range(2)):
                self._outcomes[other.id] = Gone(finding.id)
                self.tell(Step(f"mended by the patch for {finding.id}: {other.id}"))

    @staticmethod
    def _refuted(rule: Rule, target: LabTarget, route: str, experiment: Experiment) -> bool:
        target.forget()
        return isinstance(rule.confirm(target, route, experiment), Refuted | Suspected)

    def _again(self, rule: Rule, finding: Finding, patch: Patch, tree: Path) -> tuple[str, str] | None:
        """A second application must find nothing left to do, or refuse."""
        sources = read(tree)
        for change in patch.changes:
            if change.file.endswith(".py") and change.file in {each.file for each in sources.unparsed}:
                return "parse", f"{change.file} no longer parses"
        entry = self.verdict.blueprint.entry
        beside = companions(tree, PurePosixPath(entry.file).parent.as_posix() if entry else ".")
        blueprint = replace(self.verdict.blueprint, companions=beside, templates=templates(tree))
        for offer in rule.mend(finding, blueprint, sources.texts):
            if isinstance(offer, Patch) and same_edit(offer, patch):
                return "idempotence", "a second application changes the code again"
            break
        return None

    def _changed(self, target: LabTarget, finding: Finding) -> tuple[str, str] | None:
        """Every Journey answers as before: status, shape of the body, rows.

        Where the mend closes the finding's own route to strangers, Journeys that called it as nobody call it as somebody.
        """
        guarded = self._closed(finding)
        for journey in target.journeys():
            if journey.route not in self._before:
                continue
            found = differences(self._before[journey.route], behaviour(target, journey), self._rewrites, self._gone(journey.route))
            calls = entered(journey.calls, guarded)
            if found and calls != journey.calls:
                known = replace(journey, calls=calls, anonymous=journey.anonymous and calls[-1].identity is None)
                found = differences(self._before[journey.route], behaviour(target, known), self._rewrites, self._gone(journey.route))
                if not found:
                    target.learned[journey.route] = known
            if found and (self._unsteady(target, journey) or self._stood_in(target, finding, journey)):
                continue
            if found:
                return "journeys", f"{journey.route} answers differently: {'; '.join(found[:_SHOWN])}"
        assert finding.proof is not None
        for trial in finding.proof.experiment.trials.values():
            target.run(trial)
        own = target.journey(finding.route or "")
        if own is not None and own.route in self._before:
            found = differences(self._before[own.route], behaviour(target, own), self._rewrites, self._gone(own.route))
            if found:
                return "journeys", f"after the hostile request, {own.route} answers differently: {'; '.join(found[:_SHOWN])}"
        return None

    def _gone(self, route: str) -> frozenset[str]:
        """Fields that the answers of a route no longer show."""
        return frozenset(each.removeprefix(f"{route} ") for each in self._withheld if " " not in each or each.startswith(f"{route} "))

    def _unsteady(self, target: LabTarget, journey: Journey) -> bool:
        """Whether a Journey that answers differently now does so by chance.

        By chance means: as before, twice, when it is asked again; or both as before and as now without any mend.
        """
        before = self._before[journey.route]
        now = behaviour(target, journey)
        chance = now == before and behaviour(target, journey) == before
        if not chance:
            unmended = [behaviour(self.target, journey) for _ in range(_RUNS)]
            chance = before in unmended and now in unmended
        if chance:
            del self._before[journey.route]
            self.tell(Step(f"{journey.route} answers differently from run to run: no mend is judged by it"))
        return chance

    def _stood_in(self, target: LabTarget, finding: Finding, journey: Journey) -> bool:
        """Where the honest Journey did itself what the mend turns away, whether the proof's control answers as it did without the mend."""
        rule = named(finding.break_id)
        if rule is None or not rule.closes or finding.proof is None or journey.route != finding.route:
            return False
        control = finding.proof.experiment.trials["control"]
        own = replace(journey, calls=control.calls, grants=control.grants)
        before = behaviour(self.target, own)
        if differences(before, behaviour(target, own), self._rewrites, self._gone(journey.route)):
            return False
        self._former[journey.route] = journey.identity or ""
        target.learned[journey.route], self._before[journey.route] = own, before
        return True

    def _closed(self, finding: Finding) -> dict[str, str]:
        """The finding's route and who passes its control, where the honest Journey to it is a stranger's."""
        own = self.target.journey(finding.route or "")
        control = finding.proof.experiment.trials["control"].calls if finding.proof else ()
        who = control[-1].identity if control else None
        return {own.route: who} if own is not None and own.anonymous and who is not None else {}

    def _tests(self, tree: Path, target: LabTarget) -> AbstractContextManager[Running]:
        """The prototype's own tests, started beside everything else that a mend is tried by, with what its boot found missing."""
        self.target.lab.environment = target.lab.environment
        some = self._suite is not None and self._suite.passed
        return running(self.target.lab, tree, self.verdict.blueprint.suite if some else Suite())

    def _lost(self, tests: Running) -> tuple[str, str] | None:
        """Every test that passed still passes."""
        if self._suite is None or not self._suite.passed:
            return None
        now = tests.result()
        if lost := sorted(self._suite.passed - now.passed):
            return "tests", f"{len(lost)} of the prototype's own tests no longer pass: {now.problem or ', '.join(lost[:_SHOWN])}"
        return None
