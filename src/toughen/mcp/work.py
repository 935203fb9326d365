"""Owns what each tool does, as one call after another: arguments -> the pipeline -> a typed answer; nothing here knows the protocol."""

from __future__ import annotations

import difflib
from dataclasses import replace
from inspect import cleandoc
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toughen import config, store
from toughen.conclude import remembered, suspected
from toughen.errors import BootError, ConfigurationError, PatchError
from toughen.harden import accepting, tree
from toughen.harden.briefing import asked
from toughen.mcp import results
from toughen.model.finding import Inconclusive, Proven, Refuted, Status, Suspected
from toughen.model.patch import Gone, Kept, RolledBack, Unmended
from toughen.pipeline import Run
from toughen.report import json as json_report
from toughen.report import stored
from toughen.report import text as text_report
from toughen.rules import chosen, load, named
from toughen.survey import read
from toughen.survey import survey as surveyed
from toughen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel

    from toughen.events import Listener
    from toughen.model.finding import Finding
    from toughen.model.gate import Gated
    from toughen.model.patch import MendOutcome, Patch
    from toughen.model.source import Location
    from toughen.model.verdict import Verdict

_MOST, _LINES = 40, 24
"""Suspicions, inconclusive pairs and unreached routes that an answer tells, and lines of evidence."""
_NEXT = "Write a patch and hand it to `accept` with finding = {!r}: it is tried on a copy, and refused with the reason where it does not hold."


def survey(_: Listener, path: str, app: str | None = None) -> results.Surveyed:
    """What the source alone says."""
    root = Path(path)
    settings = config.read(root, app=app)
    sources = read(root)
    seen = surveyed(sources, app=settings.app)
    return results.Surveyed(
        name=seen.name, framework=seen.framework, app=seen.entry.target if seen.entry else None, alternatives=seen.entry.alternatives if seen.entry else (), database=seen.database,
        lines=seen.lines, tests=seen.suite.tests, runner=seen.suite.runner, roles=seen.roles,
        routes=tuple(
            results.SurveyedRoute(method=each.method, path=each.path, handler=_place(each.handler), guards=tuple(guard.name for guard in each.guards), parameters=tuple(dict.fromkeys(one.name for one in each.parameters)))
            for each in seen.routes
        ),
        tables=tuple(results.SurveyedTable(name=each.name, columns=tuple(column.name for column in each.columns), model=each.model) for each in seen.tables),
        environment=tuple(sorted({each.name for each in seen.environment if each.required})),
        outbound=tuple(sorted({each.host or each.client for each in seen.outbound})),
        suspected=tuple(map(_suspicion, suspected(chosen(settings.only), seen, sources.texts))),
        unread=tuple(f"{each.file}: {each.reason}" for each in seen.unparsed),
    )


def check(tell: Listener, path: str, only: Sequence[str] = (), budget: float | None = None, app: str | None = None) -> results.Checked:
    """Prove where the prototype breaks; the report is kept."""
    run = _run(tell, path, only, budget, app)
    verdict = _remembered(run, run.check(), "check")
    briefs = _Briefs(run.root, verdict)
    proven = [each for each in verdict.findings if each.status is Status.PROVEN]
    supposed = [each for each in verdict.findings if each.status is Status.SUSPECTED]
    return results.Checked(
        decision=verdict.decision, why=verdict.why, booted=verdict.booted, findings=tuple(_break(each, briefs) for each in proven),  # type: ignore[arg-type]
        suspected=tuple(map(_suspicion, supposed[:_MOST])),
        inconclusive=tuple(results.Unclear(break_id=each.break_id, route=each.route, reason=each.reason) for each in verdict.inconclusive[:_MOST]),
        routes=len(verdict.blueprint.routes), reached=len(verdict.journeys), unreached=tuple(results.Missed(route=each.route, reason=each.reason) for each in verdict.unreached),
        notes=verdict.notes, seconds=round(verdict.timings.get("total_s", 0.0), 1), left_out=max(0, len(supposed) - _MOST) + max(0, len(verdict.inconclusive) - _MOST),
    )


def explain(_: Listener, break_id: str) -> results.Explained:
    """The page of a break. Raises ConfigurationError with what is near."""
    rule = named(break_id)
    if rule is None:
        known = [each.id for each in load()]
        near = difflib.get_close_matches(break_id, known, n=1)
        raise ConfigurationError(f"there is no break {break_id!r}", subject=break_id, hint=f"did you mean {near[0]}?" if near else f"there are: {', '.join(known)}")
    return results.Explained(break_id=rule.id, title=rule.title, severity=rule.severity.value, cwe=rule.cwe, owasp=rule.owasp, asvs=rule.asvs, page=cleandoc(type(rule).__doc__ or ""))


def replay(tell: Listener, proof: str, budget: float | None = None, app: str | None = None) -> results.Replayed:
    """Execute a stored proof again."""
    file = Path(proof)
    root = file.parent.parent.parent
    kept, _ = store.load(file)
    finding, outcome = Run(root, config.read(root, app=app or kept.app, budget=budget), tell).replay(file)
    match outcome:
        case Proven(again):
            return results.Replayed(finding=finding.id, outcome="proven", message=again.evidence.message, evidence=_told(again.evidence.facts))
        case Refuted():
            return results.Replayed(finding=finding.id, outcome="gone", message="the honest request passes and the hostile one is turned away", evidence=())
        case Suspected(beside):
            return results.Replayed(finding=finding.id, outcome="gone", message=f"gone; beside it: {beside.message}", evidence=())
        case Inconclusive(reason):
            return results.Replayed(finding=finding.id, outcome="inconclusive", message=reason, evidence=())


def fix(tell: Listener, path: str, only: Sequence[str] = (), budget: float | None = None, app: str | None = None, *, dry_run: bool = True, tests: bool = True) -> results.Fixed:
    """Mend what was proven; without `dry_run` what is kept is written. Raises DirtyTreeError."""
    run = _run(tell, path, only, budget, app)
    if not dry_run:
        tree.demand_clean(run.root)
    verdict = _remembered(run, run.fix(write=not dry_run, commit=False, tests=tests), "fix --dry-run" if dry_run else "fix")
    ended = {finding for finding, outcome in verdict.mends if isinstance(outcome, Kept | Gone)}
    left = tuple(each.id for each in verdict.findings if each.status is Status.PROVEN and each.id not in ended)
    return results.Fixed(
        written=not dry_run and verdict.booted, mends=tuple(_mend(*each) for each in verdict.mends), tests=_files(verdict.tests) if verdict.tests else (),
        tests_diff=json_report.diff(verdict.tests) if verdict.tests else "", left=left, why=verdict.why, booted=verdict.booted,
    )


def accept(
    tell: Listener, path: str, finding: str, patch: str | None = None, files: Mapping[str, str] | None = None, budget: float | None = None, app: str | None = None, *, write: bool = False
) -> results.Accepted:
    """Take a patch from outside through the order of trust. Raises PatchError, ProofError, BootError."""
    root = Path(path)
    known = accepting.finding_named(root, finding)
    if (patch is None) == (not files):
        raise PatchError("hand in either `patch` or `files`", hint="patch: a unified diff; files: the new text of each file that changes, by its path")
    proposed = accepting.from_files(root, known.finding, files) if files else accepting.from_diff(root, known.finding, (patch or "").encode("utf-8", "surrogatepass"))
    if isinstance(proposed, RolledBack):
        return _judged(known.finding, proposed, (), write=False)
    settings = config.read(root, app=app, budget=budget)
    verdict = Run(root, settings if settings.app else replace(settings, app=known.app), tell).accept(proposed, write=write)
    if not verdict.booted:
        raise BootError(verdict.why, subject=root)
    outcomes = dict(verdict.mends)
    return _judged(known.finding, outcomes[known.finding], [each for each, outcome in outcomes.items() if isinstance(outcome, Gone)], write=write)


def gate(
    tell: Listener, path: str, only: Sequence[str] = (), budget: float | None = None, app: str | None = None, base: str = "", *, changed: bool = False
) -> results.Held:
    """Ask the gates. Raises ConfigurationError for gates and commits that there are not."""
    from toughen.gates import load as gates
    from toughen.gating.scope import scope_of

    known = [each.id for each in gates()]
    for each in only:
        if each not in known:
            raise ConfigurationError(f"there is no gate {each!r}", subject=each, hint=f"there are: {', '.join(known)}")
    run = _run(tell, path, (), budget, app)
    verdict = run.gate(scope_of(run.root, changed=changed or bool(base), named=base), tuple(only)).verdict
    verdict = _remembered(run, verdict, "gate", tuple(only) or (("changed",) if changed or base else ()))
    return results.Held(
        holds=not any(each.open for each in verdict.gates), gates=tuple(map(_gate, verdict.gates)), booted=verdict.booted, why=verdict.why,
        left_out=sum(max(0, len(each.faults) - _MOST) for each in verdict.gates),
    )


def _gate(gated: Gated) -> results.Gate:
    return results.Gate(
        gate=gated.gate, title=gated.title, state=gated.state.value, why=gated.why, hint=gated.hint,
        faults=tuple(results.Fault(key=each.key, message=each.message, place=_place(each.location) if each.location else None, count=each.count) for each in gated.faults[:_MOST]),
        known=sum(each.count for each in gated.known), waived=len(gated.waived), gone=gated.gone, measured=gated.measured,
    )


def report(_: Listener, path: str) -> stored.Report:
    """The report of the last run. Raises ReportError."""
    return stored.read(store.last(Path(path)), f"{store.FOLDER}/{store.LAST}")


VERBS: dict[str, Callable[..., BaseModel]] = {each.__name__: each for each in (survey, check, explain, replay, fix, accept, gate, report)}
"""What a worker may be asked to do."""


def _run(tell: Listener, path: str, only: Sequence[str], budget: float | None, app: str | None) -> Run:
    root = Path(path)
    return Run(root, config.read(root, only=tuple(only) or None, budget=budget, app=app), tell)


def _remembered(run: Run, verdict: Verdict, verb: str, only: tuple[str, ...] | None = None) -> Verdict:
    try:
        return remembered(run.root, verdict, __version__, verb, run.config.only if only is None else only)
    except OSError as error:
        return replace(verdict, notes=(*verdict.notes, f"the report is not kept: {error}"))


class _Briefs:
    """What is said of findings that no code mends; the source is read once, and only where it is needed."""

    def __init__(self, root: Path, verdict: Verdict) -> None:
        self.root, self.verdict = root, verdict
        self.texts: Mapping[str, str] | None = None

    def of(self, finding: Finding) -> results.Brief | None:
        rule = named(finding.break_id)
        if finding.mend == "automatic" or rule is None:
            return None
        self.texts = self.texts if self.texts is not None else read(self.root).texts
        said = asked(rule, finding, self.verdict.blueprint, self.texts)
        return results.Brief(reason=said.reason, must_hold=said.brief, next=_NEXT.format(finding.id))


def _break(finding: Finding, briefs: _Briefs) -> results.Break:
    return results.Break(
        finding=finding.id, break_id=finding.break_id, severity=finding.severity.value, route=finding.route, place=_place(finding.location), message=finding.message,
        evidence=_told(finding.evidence.facts) if finding.evidence else (), proof=f"{store.FOLDER}/proofs/{store.slug(finding.id)}.json",
        mend=finding.mend, brief=briefs.of(finding),  # type: ignore[arg-type]
    )


def _suspicion(finding: Finding) -> results.Suspicion:
    return results.Suspicion(finding=finding.id, severity=finding.severity.value, place=_place(finding.location), message=finding.message)


def _place(location: Location) -> results.Place:
    return results.Place(file=location.file, line=location.line, function=location.function)


def _told(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(line.rstrip().removeprefix("   ") for line in islice(text_report.told(facts), _LINES))


def _mend(finding: str, outcome: MendOutcome) -> results.Mend:
    match outcome:
        case Kept(patch):
            return results.Mend(finding=finding, outcome="kept", summary=patch.summary, note=patch.note, files=_files(patch), diff=json_report.diff(patch))
        case Gone(by):
            return results.Mend(finding=finding, outcome="gone", by=by)
        case RolledBack(patch, step, reason, brief):
            said = results.Brief(reason=reason, must_hold=brief, next=_NEXT.format(finding))
            return results.Mend(finding=finding, outcome="rolled-back", summary=patch.summary, files=_files(patch), diff=json_report.diff(patch), step=step, reason=reason, brief=said)
        case Unmended(reason, brief):
            return results.Mend(finding=finding, outcome="unmended", reason=reason, brief=results.Brief(reason=reason, must_hold=brief, next=_NEXT.format(finding)))


def _judged(finding: str, outcome: MendOutcome, gone: Sequence[str], *, write: bool) -> results.Accepted:
    match outcome:
        case Kept(patch):
            return results.Accepted(finding=finding, accepted=True, written=write, step="", reason="the break is gone, and everything honest is as it was", advice="" if write else "Call again with write = true to have it written.", files=_files(patch), diff=json_report.diff(patch), gone_with_it=tuple(gone))
        case RolledBack(patch, step, reason, brief):
            return results.Accepted(finding=finding, accepted=False, written=False, step=step, reason=reason, advice=brief, files=_files(patch), diff=json_report.diff(patch), gone_with_it=())
        case Unmended(reason, brief):
            return results.Accepted(finding=finding, accepted=False, written=False, step="proof", reason=reason, advice=brief, files=(), diff="", gone_with_it=())
        case Gone(by):
            return results.Accepted(finding=finding, accepted=False, written=False, step="proof", reason=f"the patch for {by} ends it already", advice="", files=(), diff="", gone_with_it=())


def _files(patch: Patch) -> tuple[str, ...]:
    return tuple(each.file for each in patch.changes)
