"""Owns proving: every rule against every route that was reached, by as many boots as there is room for."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen import store
from toughen.conclude import finding_of
from toughen.errors import LabError
from toughen.events import Found, Stage, Step
from toughen.lab.twin import Probe
from toughen.model.breaks import Tried
from toughen.model.finding import (
    Finding,
    Inconclusive,
    NotConcluded,
    Outcome,
    Proof,
    Proven,
    Refuted,
    Status,
    Suspected,
)
from toughen.model.trial import Trial
from toughen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from toughen.events import Listener
    from toughen.lab.crew import Crew
    from toughen.lab.snapshot import Snapshot
    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Route
    from toughen.model.trial import Experiment
    from toughen.rule import Rule

ALL = "*"
"""Stands for every route."""
_TESTS = "the prototype's own tests"
"""The place of whoever asks them: one of the crew at a time."""
Job = tuple[int, "Rule", "tuple[Route, ...]"]


@dataclass(slots=True)
class Proving:
    """What all rules say of all routes, gathered in the order of the rules and routes whoever comes first."""

    root: Path
    rules: Sequence[Rule]
    deadline: float
    """On the monotonic clock: what has not begun by then is inconclusive."""
    began: float
    tell: Listener
    first_proof: float | None = None
    """Seconds from the beginning of the run to the first proof."""
    late: float = 0.0
    """Seconds after the deadline until which the prototype's own tests may still be asked: they are asked last."""
    meant: Callable[[Finding], bool] = field(default=lambda _: False)
    """Whether what would be a finding is meant: the owner's reviewed policy allows it."""
    settled: set[tuple[str, str]] = field(default_factory=set)
    """(rule, route) that were proven or refuted: nothing of them is left to suspect."""
    _seconds: dict[tuple[str, str], float] = field(default_factory=dict)
    _snapshot: Snapshot | None = None
    _findings: list[tuple[int, Finding]] = field(default_factory=list)
    _unclear: list[tuple[int, NotConcluded]] = field(default_factory=list)
    _suspected: list[tuple[int, Finding]] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """What was proven."""
        return [each for _, each in sorted(self._findings, key=lambda item: item[0])]

    @property
    def unclear(self) -> list[NotConcluded]:
        """What could not be concluded, and why."""
        return [each for _, each in sorted(self._unclear, key=lambda item: item[0])]

    @property
    def suspected(self) -> tuple[Finding, ...]:
        """What was come upon on the way and could not be shown."""
        return tuple(each for _, each in sorted(self._suspected, key=lambda item: item[0]))

    @property
    def tried(self) -> tuple[Tried, ...]:
        """What was executed, and how long it took."""
        refuted = self.settled - {(each.break_id, each.route) for each in self.findings}
        return tuple(Tried(*pair, pair in refuted, seconds) for pair, seconds in sorted(self._seconds.items()))

    def run(self, target: LabTarget, crew: Crew, only: Collection[tuple[str, str]] | None = None) -> None:
        """Take the snapshot and let the crew loose; on these (rule, route) `only`, where they are named: (rule, ALL) for one that looks at the whole."""
        self.tell(Stage("prove", f"{len(target.learned)} routes, {len(self.rules)} rules" if only is None else f"{len(only)} of them look open"))
        target.lab.restore()
        snapshot = self._snapshot = target.lab.world.take()
        target.snapshot = snapshot.digest
        entry = target.lab.entry.target
        reached = [route for route in target.blueprint.routes if target.journey(route.id)]
        reading = tuple(sorted(reached, key=lambda route: route.method != "GET"))
        # The prototype's own tests are asked about every route.
        all_of = [(route,) for route in target.blueprint.routes]
        shares = [(rule, routes) for rule in self.rules for routes in (all_of[: 1 if rule.whole else None] if rule.rehearses else [reading] if rule.whole else [(route,) for route in reached]) if routes]
        if only is not None:
            shares = [(rule, routes) for rule, routes in shares if (rule.id, ALL if rule.whole else routes[0].id) in only]
        jobs: list[tuple[str, Job]] = [(routes[0].id, (number, rule, routes)) for number, (rule, routes) in enumerate(shares)]
        if only is not None:
            # There is little time: one of the crew asks the prototype's own tests from the beginning, the others attack meanwhile.
            jobs = sorted(((_TESTS if job[1].rehearses else place, job) for place, job in jobs), key=lambda each: each[0] != _TESTS)
        known = next((each for each in target.journeys() if not each.anonymous), None)
        probe = Probe(Trial(known.calls, known.grants), known.status) if known else None
        crew.work(target, snapshot, jobs, lambda worker, job: self._do(worker, job, snapshot, entry), probe)

    def _do(self, target: LabTarget, job: Job, snapshot: Snapshot, entry: str) -> None:
        number, rule, routes = job
        unclear: list[NotConcluded] = []
        refuted = False
        for route in routes:
            if time.monotonic() > self.deadline + (self.late if rule.rehearses else 0.0):
                unclear.append(NotConcluded(rule.id, route.id, "the time budget was used up"))
                break
            self.tell(Step(f"{rule.id} on {route.id}"))
            for outcome in self._timed(rule, route, self._outcomes(rule, target, route)):
                match outcome:
                    case Proven(proof):
                        self._found(number, rule, route, replace(proof, toughen=__version__), target, snapshot, entry)
                        if rule.whole:
                            return
                    case Inconclusive(reason):
                        unclear.append(NotConcluded(rule.id, route.id, reason))
                    case Suspected(each):
                        told = Finding(rule.id, each.route, each.location, Status.SUSPECTED, rule.severity, each.message, cwe=rule.cwe)
                        self._suspected.append((number, told))
                    case Refuted():
                        refuted = True
                        self.settled.add((rule.id, route.id))
        # Of the whole prototype one reason says enough, and none is wanted where a route turned the attack away.
        self._unclear += [(number, each) for each in (unclear[: not refuted] if rule.whole else unclear)]

    def _timed(self, rule: Rule, route: Route, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
        began = time.monotonic()
        try:
            yield from outcomes
        finally:
            pair = (rule.id, route.id)
            self._seconds[pair] = self._seconds.get(pair, 0.0) + time.monotonic() - began

    def _outcomes(self, rule: Rule, target: LabTarget, route: Route) -> Iterator[Outcome]:
        """What a rule says of a route: looked for in a process that its trials share, and looked for again in fresh ones where that process may have hidden it."""
        shown: set[str] = set()
        doubtful: list[Outcome] = []
        with target.sharing():
            for outcome in _said(rule, target, route):
                if isinstance(outcome, Proven):
                    shown.add(outcome.proof.evidence.key)
                    yield outcome
                else:
                    doubtful.append(outcome)
            # A rule that says all with one proof has nothing left to look for.
            trusted = (rule.single and bool(shown)) or (not any(isinstance(each, Inconclusive) for each in doubtful) and not target.spoiled(route.id))
        if not trusted:
            doubtful = []
            with target.doubting():
                for outcome in _said(rule, target, route):
                    if not isinstance(outcome, Proven):
                        doubtful.append(outcome)
                    elif outcome.proof.evidence.key not in shown:
                        yield outcome
        yield from doubtful

    def one(self, target: LabTarget, break_id: str, route_id: str, experiment: Experiment) -> None:
        """Confirm one experiment of a rule's, on the snapshot of the last run."""
        rule, route = next((each for each in self.rules if each.id == break_id), None), target.blueprint.route(route_id)
        if rule is None or route is None or self._snapshot is None:
            return
        match rule.confirm(target, route_id, experiment):
            case Proven(proof):
                self._found(len(self._findings), rule, route, replace(proof, toughen=__version__), target, self._snapshot, target.lab.entry.target)
            case Inconclusive(reason):
                self._unclear.append((len(self._unclear), NotConcluded(rule.id, route_id, reason)))

    def _found(self, number: int, rule: Rule, route: Route, proof: Proof, target: LabTarget, snapshot: Snapshot, entry: str) -> None:
        finding = finding_of(rule, route.id, proof, route)
        if self.meant(finding):
            return
        seconds = time.monotonic() - self.began
        self.first_proof = self.first_proof or seconds
        store.save(self.root, finding.id, entry, proof, target.wallet.everybody(), snapshot, target.lab.steps, together=target.memory.together)
        self._findings.append((number, finding))
        self.settled.add((rule.id, route.id))
        self.tell(Found(finding, seconds))


def _said(rule: Rule, target: LabTarget, route: Route) -> Iterator[Outcome]:
    try:
        yield from rule.prove(target, route)
    except LabError as error:
        yield Inconclusive(error.message)
