"""Owns patches from outside: one that somebody wrote for a finding goes through the same order of trust as a mend of toughen's own, and through what only a stranger's needs."""

from __future__ import annotations

import difflib
import json
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from toughen import store
from toughen.errors import LabError, PatchError, ProofError
from toughen.events import Stage, Step
from toughen.harden import scope, unified
from toughen.harden.briefing import briefed
from toughen.harden.filled import filled
from toughen.harden.fix import MOST_VARIANTS, Hardening
from toughen.harden.sameness import Behaviour, behaviour, differences, entered
from toughen.harden.suite import Running, SuiteResult, running
from toughen.harden.tree import put
from toughen.lab.copying import copy_project
from toughen.lab.rehearsing import Rehearsing
from toughen.lab.variables import dummies
from toughen.model.blueprint import Suite
from toughen.model.finding import Finding, Proven, Status
from toughen.model.patch import FileChange, Kept, Patch, RolledBack, Unmended
from toughen.rules import named
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Blueprint
    from toughen.model.journey import Journey
    from toughen.model.patch import MendOutcome
    from toughen.model.verdict import Verdict
    from toughen.rule import Rule

SCOPE = "scope"
"""The step before all others: what a patch may touch."""
_LARGEST, _SHOWN = 64 << 20, 3
_PARSE = """
import sys
for name in sys.argv[1:]:
    try:
        compile(open(name, "rb").read(), name, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        sys.exit("%s: %s" % (name, error))
"""


class Known(NamedTuple):
    """A finding that a proof is stored of."""

    finding: str
    file: Path
    app: str
    """The entry that was attacked: `main:app`."""


def stored_findings(root: Path) -> dict[str, Known]:
    """The findings that proofs are stored of, by id; files that are none are passed over."""
    found = (_known(each) for each in sorted((root / store.FOLDER / "proofs").glob("*.json")))
    return {each.finding: each for each in found if each is not None}


def _known(file: Path) -> Known | None:
    try:
        if file.stat().st_size > _LARGEST:
            return None
        whole = json.loads(file.read_bytes())
        return Known(str(whole["finding"]), file, str(whole["app"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def finding_named(root: Path, name: str) -> Known:
    """The finding that was proven in this project, by its id or by the file of its proof. Raises ProofError with what is near."""
    known = stored_findings(root)
    if name in known:
        return known[name]
    if name.endswith(".json"):
        places = {place.resolve() for place in (Path(name), root / name, root / store.FOLDER / "proofs" / name) if place.is_file()}
        found = next((each for each in known.values() if each.file.resolve() in places), None)
        if found is not None:
            return found
        raise ProofError(f"{name} is no proof of this project", subject=name, hint=f"proofs lie in {root.name}/{store.FOLDER}/proofs/")
    if not known:
        raise ProofError(f"no proof is stored in {root.name}: there is no finding {name!r}", subject=root, hint="run `toughen check` first: a patch is for something that was proven")
    near = difflib.get_close_matches(name, known, n=_SHOWN, cutoff=0.5) or [each for each in known if name.partition("@")[0] in each][:_SHOWN]
    raise ProofError(f"there is no finding {name!r}", subject=name, hint=f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}")


def from_diff(root: Path, finding: str, content: bytes) -> Patch | RolledBack:
    """A unified diff as a patch of a project; taken back at once where it touches what it must not. Raises PatchError where it cannot be read or does not apply."""
    for each in unified.parse(content):
        fault = scope.name_fault(root, each.file)
        if fault:
            return RolledBack(_patch(finding, ()), SCOPE, fault)
    return _admitted(finding, (FileChange(*each) for each in unified.changed(content, lambda name: _text(root, name))))


def from_files(root: Path, finding: str, files: Mapping[str, str]) -> Patch | RolledBack:
    """New texts of whole files as a patch of a project; taken back at once where it touches what it must not. Raises PatchError."""
    for name, text in files.items():
        fault = scope.name_fault(root, name)
        if fault:
            return RolledBack(_patch(finding, ()), SCOPE, fault)
        if len(text) > unified.LARGEST or "\0" in text:
            raise PatchError(f"the text of {name} is no source: it is larger than {unified.LARGEST >> 10} KiB, or holds a NUL byte", subject=name)
    return _admitted(finding, (FileChange(name, _text(root, name) or "", text) for name, text in files.items()))


def _patch(finding: str, changes: tuple[FileChange, ...]) -> Patch:
    return Patch(finding, changes, f"Take a patch for {finding}")


def _admitted(finding: str, proposed: Iterable[FileChange]) -> Patch | RolledBack:
    changes = tuple(each for each in proposed if each.before != each.after)
    fault = scope.content_fault(changes)
    return RolledBack(_patch(finding, changes), SCOPE, fault) if fault else _patch(finding, changes)


def _text(root: Path, name: str) -> str | None:
    """The text of a file of the project, None where there is none."""
    if scope.name_fault(root, name):
        return None
    try:
        return (root / name).read_bytes().decode("utf-8")
    except OSError:
        return None
    except UnicodeDecodeError as error:
        raise PatchError(f"{name} is not written in UTF-8: a patch cannot be laid onto it", subject=name) from error


@dataclass
class Accepting(Hardening):
    """Judges one patch from outside for one proven finding."""

    _rule: Rule | None = None
    _patched: Blueprint | None = None
    """What is known of the prototype with the patch, before it is booted."""
    _filled: dict[str, tuple[Journey, Behaviour]] = field(default_factory=dict)

    def accept(self, patch: Patch, *, write: bool) -> Verdict:
        """The Verdict with what became of the patch; with `write`, one that is kept is in the user's tree afterwards. Raises PatchError."""
        finding = next((each for each in self.verdict.findings if each.id == patch.finding and each.status is Status.PROVEN and each.proof is not None), None)
        rule = named(finding.break_id) if finding else None
        if finding is None or rule is None:
            return replace(self.verdict, mends=((patch.finding, Unmended("the break does not show itself in the project as it is: there is nothing that a patch could be proven to end", "Run `toughen check` again.")),))
        self._rule = rule
        self.tell(Stage("accept", f"a patch for {finding.id}"))
        with self._bench() as tree:
            self._filled = filled(self.target)
            outcome = self._outcomes[finding.id] = self._judged(rule, finding, patch, tree)
        match outcome:
            case Kept(kept):
                self.tell(Step("it holds"))
                if write:
                    _write(self.root, kept.changes)
            case RolledBack(_, step, reason):
                self.tell(Step(f"refused ({step}): {reason}"))
        return replace(self.verdict, mends=tuple((each.id, self._outcomes[each.id]) for each in self._ordered() if each.id in self._outcomes))

    def _judged(self, rule: Rule, finding: Finding, patch: Patch, tree: Path) -> MendOutcome:
        sources = read(tree)
        offers = list(islice(rule.mend(finding, self.verdict.blueprint, sources.texts), MOST_VARIANTS))
        brief = next((each.brief for each in offers if isinstance(each, Unmended) and each.brief), "")
        assert finding.proof is not None
        known = scope.echoed(patch.changes, finding.proof.experiment, finding.message, "\n".join(sources.texts.values()))
        if known:
            return briefed(RolledBack(patch, SCOPE, known), rule, brief, sources.texts)
        try:
            patch = self._meant(finding, patch, [each for each in offers if isinstance(each, Patch)], tree)
            fault = self._tried(rule, finding, patch, tree)
        except LabError as error:
            fault = "boot", error.message
        return Kept(patch) if fault is None else briefed(RolledBack(patch, *fault), rule, brief, sources.texts)

    def _meant(self, finding: Finding, patch: Patch, offers: list[Patch], tree: Path) -> Patch:
        """The patch with what a mend of this finding changes by intention: what toughen's own would, the fields that the proof shows to whom they are not for, tables that are new."""
        after = tree.parent / "after" / tree.name
        copy_project(tree, after)
        put(after, patch.changes)
        sources, entry = read(after), self.verdict.blueprint.entry
        patched = self._patched = survey(sources, app=entry.target if entry else None)
        known = {each.name.lower() for each in self.verdict.blueprint.tables}
        lab = self.target.lab
        wanted = dummies(patched, after, tuple(sources.texts.values()), lab.variables).values
        evidence = finding.evidence
        shown = [each for each in evidence.fact("columns").split(",") if each] if evidence else []
        route = finding.route or ""
        return replace(
            patch,
            rewrites=(*dict.fromkeys([*(each for offer in offers for each in offer.rewrites), *(f"{each.name}.*" for each in patched.tables if each.name.lower() not in known)]),),
            withholds=(*dict.fromkeys([*(each for offer in offers for each in offer.withholds), *(f"{route} {each}" for each in shown)]),),
            demands=tuple(sorted(set(wanted) - set(lab.variables))),
            raises=scope.names(patch.changes),
        )

    @contextmanager
    def _booted(self, tree: Path) -> Iterator[LabTarget]:
        """A rule that asks the prototype's own tests asks those of the tree that is booted."""
        with super()._booted(tree) as target:
            if self._rule is not None and self._rule.rehearses:
                target.memory.rehearsing = Rehearsing(target.lab, self._patched or self.verdict.blueprint)
            yield target

    def _again(self, rule: Rule, finding: Finding, patch: Patch, tree: Path) -> tuple[str, str] | None:  # noqa: ARG002 - nothing of it is applied twice
        """The prototype's own interpreter reads what is changed."""
        lab = self.target.lab
        place = lab.work / "patched"
        shutil.rmtree(place, ignore_errors=True)
        names = [each.file for each in patch.changes if each.file.endswith(".py")]
        for each in names:
            (place / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(tree / each, place / each)
        if not names:
            return None
        code, said = lab.run_script(["-I", "-c", _PARSE, *names], cwd=place)
        return None if code == 0 else ("parse", f"the prototype's interpreter (Python {lab.environment.version}) does not read it: {said.strip() or 'it takes too long'}")

    def _changed(self, target: LabTarget, finding: Finding) -> tuple[str, str] | None:
        """Every Journey answers as before; and the break is looked for anew: a stranger's patch may close one request only."""
        return super()._changed(target, finding) or self._emptied(target, finding) or self._anew(target, finding)

    def _emptied(self, target: LabTarget, finding: Finding) -> tuple[str, str] | None:
        """A Journey that is answered with an empty list says little of what a stranger's patch does to it: the same behind one that writes."""
        closed = self._closed(finding)
        for name, (journey, before) in self._filled.items():
            if journey.route in closed:
                continue
            asked = replace(journey, calls=entered(journey.calls, closed))
            found = differences(before, behaviour(target, asked), self._rewrites, self._gone(journey.route))
            if found and behaviour(self.target, journey) == before:
                return "journeys", f"{name} answers differently: {'; '.join(found[:_SHOWN])}"
        return None

    def _anew(self, target: LabTarget, finding: Finding) -> tuple[str, str] | None:
        rule, route = named(finding.break_id), target.blueprint.route(finding.route or "")
        if rule is None or route is None:
            return None
        known = {each.id for each in self.verdict.findings} - {finding.id}
        target.forget()
        for outcome in rule.prove(target, route):
            if isinstance(outcome, Proven) and replace(finding, evidence=outcome.proof.evidence).id not in known:
                return "proof", f"the stored request is turned away, and the break is still there by another: {outcome.proof.evidence.message}"
        return None

    def _tests(self, tree: Path, target: LabTarget) -> AbstractContextManager[Running]:
        """The prototype's own tests as they were before the patch, and those that the patch brings."""
        lab = self.target.lab
        lab.environment = target.lab.environment
        if self._suite is None or not self._suite.passed:
            return running(lab, tree, Suite())
        judged = tree.parent / "judged" / tree.name
        shutil.rmtree(judged.parent, ignore_errors=True)
        copy_project(tree, judged)
        suite = self.verdict.blueprint.suite
        for file in suite.files:
            if (self.root / file).is_file():
                shutil.copyfile(self.root / file, judged / file)
        brought = [each for each in self._patched.suite.files if each not in suite.files] if self._patched else []
        return running(lab, judged, replace(suite, files=(*suite.files, *brought)))

    def _lost(self, tests: Running) -> tuple[str, str] | None:
        """Every test that passed still passes, and so does every one that the patch brings."""
        fault = super()._lost(tests)
        if fault is not None or self._suite is None or not self._suite.passed:
            return fault
        now: SuiteResult = tests.result()
        new = sorted(now.failed - self._suite.failed - self._suite.passed)
        return ("tests", f"tests that it brings do not pass: {', '.join(new[:_SHOWN])}") if new else None


def _write(root: Path, changes: tuple[FileChange, ...]) -> None:
    """Write an accepted patch into the user's tree: all of it or nothing. Raises PatchError."""
    there = {each.file: (root / each.file).exists() for each in changes}
    for each in changes:
        fault = scope.name_fault(root, each.file)
        if fault or (_text(root, each.file) or "") != each.before:
            raise PatchError(fault or f"{each.file} was changed while the patch was tried: nothing is written", subject=each.file, hint="make the patch anew for what stands there")
    done: list[FileChange] = []
    try:
        for each in changes:
            done.append(each)
            put(root, (each,))
    except OSError as error:
        for each in done:
            if there[each.file]:
                put(root, (replace(each, after=each.before),))
            else:
                (root / PurePosixPath(each.file)).unlink(missing_ok=True)
        raise PatchError(f"the patch cannot be written: {error}", subject=root, hint="nothing of it is in the tree") from error
