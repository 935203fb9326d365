"""Owns the last step of hardening: tests written from what was mended, kept where they pass on the mended project and fail on the one before."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen.errors import LabError
from toughen.events import Stage, Step
from toughen.harden.executing import Ran, provided, run_file
from toughen.harden.settling import FINDING, rehearsed, settled, switched_off
from toughen.harden.tree import commit as commit_patch
from toughen.harden.tree import put, undo
from toughen.lab.copying import copy_project
from toughen.lab.rehearsing import switched
from toughen.model.finding import Status
from toughen.model.patch import FileChange, Gone, Kept, Patch
from toughen.regressions import EMPTY, Draft, Known, Shown, Unwritten, assembled, drafted, grounds, place_of, taken
from toughen.regressions.drafts import journey_drafts, renamed
from toughen.regressions.known import UnwritableError
from toughen.survey import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from toughen.events import Listener
    from toughen.lab.target import LabTarget
    from toughen.model.finding import Finding, Proof
    from toughen.model.patch import MendOutcome
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment, Trial
    from toughen.model.verdict import Verdict
    from toughen.regressions import Ground

_MOST, _SHOWN = 120, 4
_ENOUGH = 0.6
"""Share of the tests that must pass on a ground before the next one is not tried."""
_REQUIREMENTS = ("requirements-dev.txt", "requirements_dev.txt", "dev-requirements.txt", "requirements-test.txt", "requirements/dev.txt", "requirements/test.txt")


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the tests."""

    patch: Patch | None
    notes: tuple[str, ...] = ()


@dataclass
class Regressing:
    """Writes the tests of one run of `fix`."""

    verdict: Verdict
    target: LabTarget
    tree: Path
    """The mended project, in its copy."""
    outcomes: Mapping[str, MendOutcome]
    experiment: Callable[[Proof], Experiment]
    """The experiment of a proof as the mended prototype takes it."""
    boot: Callable[[], AbstractContextManager[LabTarget]]
    """The mended prototype in a fresh boot: a context of its LabTarget."""
    tell: Listener
    left: list[Unwritten] = field(default_factory=list)
    needs: tuple[str, ...] | None = None
    """Packages that the tests need."""

    def run(self) -> Written:
        """The tests that hold, as a patch; with what could not be written, and why."""
        ended = [each for each in self.verdict.findings if isinstance(self.outcomes.get(each.id), Kept | Gone) and each.proof is not None and not each.break_id.startswith("suite/")]
        proven = [each for each in self.verdict.findings if each.status is Status.PROVEN]
        bare = frozenset(self.target.learned) if any(each.break_id == "suite/none" for each in proven) else frozenset(each.route or "" for each in proven if each.break_id == "suite/uncovered")
        if not ended and not bare:
            return Written(None)
        self.tell(Stage("tests", f"written from {len(ended)} breaks that were mended"))
        try:
            shown, known = self._shown(ended[:_MOST])
        except LabError as error:
            return Written(None, (f"no regression tests were written: {error.message}",))
        try:
            return self._written(shown, known, bare)
        except UnwritableError as error:
            return Written(None, (f"no regression tests were written: {error}",))

    def _written(self, shown: Sequence[Shown], known: Known, bare: frozenset[str]) -> Written:
        """The tests that hold. Raises UnwritableError."""
        file = place_of(known.blueprint)
        existing = (self.tree / file).read_text("utf-8") if (self.tree / file).is_file() else EMPTY
        offered = grounds(known)
        if isinstance(offered, str):
            return Written(None, (f"no regression tests were written: {offered}",))
        chosen = self._chosen(known, shown, offered, file, existing, bare=bare)
        if isinstance(chosen, str):
            return Written(None, (f"no regression tests were written: {chosen}",))
        ground, drafts = chosen
        drafts = self._biting(known, ground, drafts, file, existing)
        if not drafts:
            return Written(None, self._notes(0))
        text = assembled(known, ground, drafts, existing)
        changes = (FileChange(file, existing, text), *self._required())
        needs = self.needs or ()
        run = "python manage.py test" if not needs else f"python -m unittest {file.removesuffix('.py').replace('/', '.')}" if ground.block else f"pytest {file}"
        install = "" if len(changes) > 1 else f" (pip install {' '.join(repr(each) if '<' in each else each for each in needs)})"
        note = f"run with `{run}`" + (f"; it needs {' and '.join(needs)}{install}" if needs else "")
        honest = sum(each.finding.startswith("journey ") for each in drafts)
        what = f"{len(drafts) - honest} regression tests" + (f" and {honest} of honest requests" if honest else "")
        return Written(Patch(FINDING, changes, f"Add {what} in {file}", note), self._notes(len(drafts)))

    def add(self, root: Path | None, *, commit: bool) -> tuple[Verdict, dict[str, Gone]]:
        """Put the tests that hold into the tree, and (with `root`) into the user's; the verdict with them, and findings that they end."""
        written = self.run()
        gone: dict[str, Gone] = {}
        notes = written.notes
        if written.patch is not None:
            self.tell(Step(f"kept: {written.patch.summary}"))
            put(self.tree, written.patch.changes)
            if root is not None:
                put(root, written.patch.changes)
                if commit:
                    commit_patch(root, written.patch)
            gone, said = self.settled(written.patch)
            notes = (*said, *notes)
        return replace(self.verdict, tests=written.patch, notes=(*self.verdict.notes, *notes)), gone

    def settled(self, patch: Patch) -> tuple[dict[str, Gone], tuple[str, ...]]:
        """(findings about the project's tests that the written ones end, what is said of the guards that the repairs brought)."""
        try:
            # Where the repairs are written at once, the user's own tree is no longer what was booted.
            before = switched(self.target.texts(), self.verdict.blueprint.suite.files).mutants
            with self.boot() as target:
                gone = dict(settled(rehearsed(target, patch, self.tree), self.verdict.findings))
                killed, survived = switched_off(target, before)
        except LabError as error:
            return {}, (f"whether the tests hold the guards that the repairs brought is not known: {error.message}",)
        if not killed and not survived:
            return gone, ()
        rest = f"; not {', '.join(survived[:_SHOWN])}" if survived else ""
        return gone, (f"{killed} of {killed + len(survived)} guards that the repairs brought are held by the tests: without one of them a test fails{rest}",)

    def _notes(self, written: int) -> tuple[str, ...]:
        reasons: dict[str, list[str]] = {}
        for each in self.left:
            reasons.setdefault(each.reason, []).append(each.finding)
        told = tuple(f"no regression test for {', '.join(findings[:_SHOWN])}{f' and {len(findings) - _SHOWN} more' if len(findings) > _SHOWN else ''}: {reason}" for reason, findings in reasons.items())
        return told if written or told else ("no regression tests were written: none of them holds",)

    # -- what is known -------------------------------------------------------------------------------------------------

    def _shown(self, ended: Sequence[Finding]) -> tuple[list[Shown], Known]:
        """Every break with its trials before and after. Raises LabError."""
        target = self.target
        honest = {route: trace for route in list(target.learned) if (trace := target.honest(route)) is not None}
        found: list[Shown] = []
        with self.boot() as hard:
            for finding in ended:
                assert finding.proof is not None
                experiment = self.experiment(finding.proof)
                trials = _told(experiment)
                before = {name: target.anew(trial) for name, trial in trials.items()}
                after = {name: hard.anew(trial) for name, trial in trials.items()}
                found.append(Shown(finding, experiment, before, after))
            mended: dict[str, Trace] = {route: trace for route in list(hard.learned) if (trace := hard.honest(route)) is not None}
            learned = dict(hard.learned)
        demands = tuple(dict.fromkeys(name for outcome in self.outcomes.values() if isinstance(outcome, Kept) for name in outcome.patch.demands))
        rows = {name.lower(): tuple(held.values()) for name, held in target.lab.world.start.items()}
        known = Known(self.verdict.blueprint, read(self.tree).texts, target.wallet.everybody(), learned, {**honest, **mended}, rows, (*target.lab.steps, *_ran_once(self.verdict.notes)), demands)
        return found, known

    # -- what holds ----------------------------------------------------------------------------------------------------

    def _chosen(self, known: Known, shown: Sequence[Shown], offered: Sequence[Ground], file: str, existing: str, *, bare: frozenset[str]) -> tuple[Ground, list[Draft]] | str:
        """The ground on which the most tests pass, and for each break the first variant that does; or why none does."""
        best: tuple[Ground, list[Draft], list[Unwritten]] | None = None
        problem = "none of them passes on the mended project"
        for ground in offered:
            if existing and ground.kind != "suite" and "client" not in taken(existing):
                problem = f"{file} is there already, and has no fixture `client`"
                continue
            self.left = []
            variants = self._variants(known, shown, ground, existing, bare=bare)
            if not variants:
                problem = self.left[0].reason if self.left else "there is nothing to write"
                continue
            ran = self._ran(self.tree, file, assembled(known, ground, [group[0] for group in variants], existing), ground)
            if ran.problem or ran.touched:
                problem = ran.problem or f"they would write to the project's own {', '.join(ran.touched[:2])}"
                continue
            others = {group[0].name: [renamed(each, f"{each.name}__{number}") for number, each in enumerate(group[1:], 1)] for group in variants if group[0].name not in ran.passed}
            flat = [each for group in others.values() for each in group]
            again = self._ran(self.tree, file, assembled(known, ground, flat, existing), ground) if flat else ran
            kept: list[Draft] = []
            for group in variants:
                held = next((draft for draft in others.get(group[0].name, ()) if draft.name in again.passed and not again.touched), None) if group[0].name in others else group[0]
                if held is None:
                    self.left.append(Unwritten(group[0].finding, f"its test does not pass on the mended project: {ran.said.get(group[0].name, 'it was not run')}"))
                else:
                    kept.append(renamed(held, group[0].name))
            if not kept and ran.said:
                problem = f"none of them passes on the mended project: {next(iter(ran.said.values()))}"
            if kept and (best is None or len(kept) > len(best[1])):
                best = ground, kept, list(self.left)
            if best is not None and len(best[1]) >= _ENOUGH * len(variants):
                break
        if best is None:
            return problem
        self.left = [each for each in best[2] if not each.finding.startswith("journey ")]
        return best[0], best[1]

    def _variants(self, known: Known, shown: Sequence[Shown], ground: Ground, existing: str, *, bare: frozenset[str]) -> list[list[Draft]]:
        """For each break its test in variants, under a name that no other has."""
        names = taken(existing)
        found: list[list[Draft]] = []
        bodies: dict[str, str] = {}
        told = [(drafted(known, each, ground.client, writable=ground.writable), each.finding.id) for each in shown]
        honest = (journey_drafts(known, route, ground.client, writable=ground.writable) for route in known.journeys if route in bare)
        told.extend((each, each[0].finding) for each in honest if each)
        for drafts, finding in told:
            if isinstance(drafts, Unwritten):
                self.left.append(drafts)
                continue
            body = drafts[0].text.rpartition('"""')[2]
            if body in bodies:
                self.left.append(Unwritten(finding, f"the test of {bodies[body]} asks the same"))
                continue
            # The id of the break in a docstring says that its test is there.
            if f'"""{finding}\n' in existing or (finding.startswith("journey ") and drafts[0].name in names):
                continue
            name = next(each for each in (drafts[0].name, *(f"{drafts[0].name}_{number}" for number in range(2, 1000))) if each not in names)
            names.add(name)
            bodies[body] = finding
            found.append([renamed(each, name) for each in drafts])
        return found

    def _biting(self, known: Known, ground: Ground, drafts: list[Draft], file: str, existing: str) -> list[Draft]:
        """Those that fail on the project as it was, and pass once more, together with the others, on the mended one."""
        before = self.tree.parent / "before" / self.tree.name
        shutil.rmtree(before.parent, ignore_errors=True)
        copy_project(self.tree, before)
        for outcome in reversed(list(self.outcomes.values())):
            if isinstance(outcome, Kept):
                undo(before, outcome.patch.changes)
        text = assembled(known, ground, drafts, existing)
        unmended = self._ran(before, file, text, ground)
        again = self._ran(self.tree, file, text, ground)
        kept: list[Draft] = []
        for each in drafts:
            if not each.finding.startswith("journey ") and each.name in unmended.passed:
                self.left.append(Unwritten(each.finding, "its test passes on the project as it was before the repair, too"))
            elif each.name not in again.passed:
                self.left.append(Unwritten(each.finding, "its test passes now and then"))
            else:
                kept.append(each)
        return kept

    def _ran(self, tree: Path, file: str, text: str, ground: Ground) -> Ran:
        """Run a file of tests on a copy of a tree, in the box, in the project's own environment."""
        self.needs = provided(self.target.lab, ground.client) if self.needs is None else self.needs
        if self.needs is None:
            return Ran(problem="what they need cannot be put beside the project's environment")
        return run_file(self.target.lab, tree, self.verdict.blueprint.entry, FileChange(file, EMPTY, text), self.needs)

    def _required(self) -> list[FileChange]:
        """The project's own list of what its developers need, with what the tests need."""
        for name in _REQUIREMENTS:
            place = self.tree / name
            if place.is_file():
                text = place.read_text("utf-8")
                missing = [each for each in self.needs or () if not any(line.strip().lower().startswith(each.partition("<")[0]) for line in text.splitlines())]
                return [FileChange(name, text, text.rstrip("\n") + "\n" + "".join(f"{each}\n" for each in missing))] if missing else []
        return []


def _ran_once(notes: Sequence[str]) -> tuple[str, ...]:
    """Scripts and commands of the project's that made its tables and seeds, as the run told of them."""
    said = " ; ".join(each for each in notes if each.startswith("prepared the database: "))
    return (*(f"script:{name}" for name in re.findall(r"ran (\S+\.py)\b(?! )", said)), *(f"command:{name}" for name in re.findall(r"ran flask ([\w-]+)(?= ;|;|$)", said)))


def _told(experiment: Experiment) -> dict[str, Trial]:
    """The trials that a client could send."""
    return {name: trial for name, trial in experiment.trials.items() if not (trial.schedule or trial.together or trial.fault or trial.kills or trial.rehearsal or trial.started)}
