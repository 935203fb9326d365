"""Owns what the author of a rule sees: Rule, Target, Judgement, Broken and Sound."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Protocol

from toughen.model.finding import (
    Evidence,
    Finding,
    Inconclusive,
    Outcome,
    Proof,
    Proven,
    Refuted,
    Severity,
    Suspected,
    Suspicion,
)
from toughen.model.journey import Journey
from toughen.model.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toughen.model.advisory import Audit
    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.identity import Identity
    from toughen.model.mutant import Mutant
    from toughen.model.patch import Patch, Unmended
    from toughen.model.source import Location
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment


@dataclass(frozen=True, slots=True)
class Holds:
    """The break showed itself in these traces."""

    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Fails:
    """The control passed and the hostile request was turned away, or did no harm."""


@dataclass(frozen=True, slots=True)
class Aside(Fails):
    """The Break does not show, and something else does that a reader should know: told as a suspicion."""

    message: str = ""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Unclear:
    """The control did not pass, or the traces say nothing."""

    reason: str


Judgement = Holds | Fails | Unclear


class Target(Protocol):
    """The prototype under attack, as a rule may use it. Every trial starts from the snapshot."""

    @property
    def blueprint(self) -> Blueprint:
        """The facts about the prototype."""

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Minted users; at least two for every role where that was possible."""

    @property
    def snapshot(self) -> str:
        """Content hash of the snapshot that trials start from."""

    @property
    def forged_identity(self) -> str:
        """Name of the identity whose credential is garbage of the right form (`garbage`)."""

    def journey(self, route_id: str) -> Journey | None:
        """The verified Journey to that route, None where it was not reached."""

    def journeys(self) -> tuple[Journey, ...]:
        """All verified Journeys."""

    def identity(self, name: str) -> Identity | None:
        """The identity of that name."""

    def peer(self, name: str) -> Identity | None:
        """Another identity of the same role (and tenant) as that one."""

    def spares(self, name: str) -> tuple[Identity, ...]:
        """Further identities of the same role (and tenant), where others have taken what there is; nothing else is asked of them."""

    def stranger(self, name: str) -> Identity | None:
        """An identity of the same role in another tenant, None where there are no tenants."""

    def honest(self, route_id: str) -> Trace | None:
        """The Trace of the route's Journey, run once from the snapshot in a process of its own and remembered."""

    def run(self, trial: Trial) -> Trace:
        """Run one trial from the snapshot, unless a trace of it is remembered."""

    def anew(self, trial: Trial) -> Trace:
        """Run one trial from the snapshot in processes of its own, whatever is remembered of it."""

    def habits(self) -> frozenset[str]:
        """Statements that nearly every request runs (looking up the token, noting when a user was last seen)."""

    def people(self) -> tuple[str, ...]:
        """Tables that identities have their rows in, the users' first."""

    def owner(self, table: str, of: str | None = None) -> str | None:
        """The column of that table that names its owner among the users (or the people `of` another table), None where there is none."""

    def refuses(self, route_id: str) -> bool:
        """Whether the route's own request is refused to somebody without a credential (what it needs first is done as before)."""

    def owners(self, table: str, of: str | None = None) -> tuple[tuple[tuple[str, str, str], ...], ...]:
        """Ways from a table to the users whom its rows belong to, as (table, column, table it refers to); the shortest only."""

    def rows(self, table: str) -> tuple[dict[str, Json], ...]:
        """The table's rows as the snapshot holds them."""

    def texts(self) -> Mapping[str, str]:
        """The project's own Python files as they were booted: what attackers of a published or copied source know."""

    def audit(self) -> Audit | None:
        """What a database of vulnerabilities says of the installed packages, asked once a run; None where nobody is asked."""

    def mutants(self) -> tuple[Mutant, ...]:
        """The guards of the prototype's source, each of which a Rehearsal may switch off."""

    def loaded(self, route_id: str) -> frozenset[str]:
        """Names of the installed packages that the process has loaded which served the route's Journey."""


class Traces(Mapping[str, "Trace"]):
    """The traces of an experiment's trials, each run when the judge first asks for it."""

    def __init__(self, run: Callable[[Trial], Trace], trials: Mapping[str, Trial]) -> None:
        """Take what runs a trial, and the trials by name."""
        self._run = run
        self._trials = trials
        self._done: dict[str, Trace] = {}

    def __getitem__(self, name: str) -> Trace:
        """The trace of that trial; KeyError where there is no such trial."""
        if name not in self._done:
            self._done[name] = self._run(self._trials[name])
        return self._done[name]

    def __iter__(self) -> Iterator[str]:
        """Names of the trials."""
        return iter(self._trials)

    def __len__(self) -> int:
        """How many trials there are."""
        return len(self._trials)


class Rule(ABC):
    """One way to break. The docstring is its public page: what breaks, who pays, example, instead, references.

    A rule yields experiments; each holds a trial named `control` (the honest request) and the hostile ones.
    `judge` reads their traces only, so that a stored Proof can be judged again in a fresh boot.
    """

    id: ClassVar[str]
    """`place/defect`, as in DESIGN."""
    title: ClassVar[str]
    """The defect in a few plain words, for a founder: `Two buyers get the last item`."""
    severity: ClassVar[Severity]
    cwe: ClassVar[tuple[int, ...]] = ()
    owasp: ClassVar[str] = ""
    """OWASP API Top 10 2023 entry (`API1:2023`)."""
    asvs: ClassVar[str] = ""
    """ASVS 5.0 requirement."""
    order: ClassVar[int] = 50
    """Mends are applied in this order (low first): bind, guard, scope, allow, bounds, locks, answers."""
    single: ClassVar[bool] = False
    """True where one proof for a route says all: the remaining experiments are not run."""
    waits: ClassVar[bool] = False
    """True where the verdict hangs on who waits for whom in the database: another one that stands in for it says nothing."""
    closes: ClassVar[bool] = False
    """True where an honest Journey may do itself what the mend turns away: the proof's control then stands for it."""
    whole: ClassVar[bool] = False
    """True where the Break is the prototype's rather than a route's: it is proven once, on the first route that shows it (reading ones first)."""

    rehearses: ClassVar[bool] = False
    """True where the prototype's own tests are asked rather than its routes: no honest journey is needed."""

    BROKEN: ClassVar[list[Broken]]
    SOUND: ClassVar[list[Sound]]

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:  # noqa: ARG002
        """Yield places that look like the Break; `sources` maps each project file to its text."""
        yield from ()

    @abstractmethod
    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Yield what to execute against this route, the most telling experiment first."""

    @abstractmethod
    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Say what the traces of the experiment's trials show; reads nothing else."""

    @abstractmethod
    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Yield repairs of this one finding, the most trusted first; each is tried until one survives."""

    def only(self, experiment: Experiment, names: frozenset[str]) -> Experiment | None:  # noqa: ARG002
        """The experiment with the control and those of its hostile trials alone; None where they show the Break together only."""
        return None

    def prove(self, target: Target, route: Route) -> Iterator[Outcome]:
        """Run the experiments on one route: one Proven for each break shown twice, else one Refuted or Inconclusive."""
        journey = Journey(route.id, (), 0) if self.rehearses else target.journey(route.id)
        if journey is None:
            yield Inconclusive("no honest journey reaches this route")
            return
        if self.waits and target.blueprint.stand_in:
            yield Inconclusive("SQLite stands in for the prototype's database server, and requests wait for each other otherwise there")
            return
        proven: set[str] = set()
        unclear: list[str] = []
        asides: list[Suspected] = []
        refuted = False
        for experiment in self.experiments(target, route, journey):
            outcome = self.confirm(target, route.id, experiment, skip=proven)
            match outcome:
                case Proven(proof):
                    proven.add(proof.evidence.key)
                    yield outcome
                    if self.single:
                        return
                case Refuted():
                    refuted = True
                case Suspected():
                    asides.append(outcome)
                case Inconclusive(reason):
                    unclear.append(reason)
        if not proven and unclear:
            yield Inconclusive(unclear[0])
        elif not proven and (refuted or asides):
            yield Refuted()
        if not proven:
            yield from asides[:1]

    def shows(self, target: Target, experiment: Experiment) -> bool:
        """Whether the Break shows itself when the experiment is executed once."""
        return isinstance(self.judge(experiment, Traces(target.run, experiment.trials)), Holds)

    def confirm(
        self, target: Target, route_id: str, experiment: Experiment, skip: set[str] | frozenset[str] = frozenset()
    ) -> Outcome:
        """Execute one experiment; where the Break shows, execute it again, each call in a process of its own."""
        first = self.judge(experiment, Traces(target.run, experiment.trials))
        match first:
            case Aside(message, location) if location is not None:
                return Suspected(Suspicion(self.id, route_id, location, message))
            case Fails():
                return Refuted()
            case Unclear(reason):
                return Inconclusive(reason)
            case Holds(evidence) if evidence.key in skip:
                return Refuted()
        again = self.judge(experiment, Traces(_afresh(target, route_id), {name: alone(trial) for name, trial in experiment.trials.items()}))
        match again:
            case Holds(evidence):
                return Proven(Proof(self.id, route_id, experiment, evidence, target.snapshot))
            case Fails():
                return Inconclusive(f"shown once and not the second time: {first.evidence.message}")
            case Unclear(reason):
                return Inconclusive(f"shown once, then: {reason}")


def _afresh(target: Target, route_id: str) -> Callable[[Trial], Trace]:
    """Runs a trial whatever is remembered of it; the Journey itself was run so, each call in a process of its own, once for all."""
    journey = target.journey(route_id)
    honest = Trial(journey.calls, journey.grants, isolated=True) if journey is not None else None

    def run(trial: Trial) -> Trace:
        known = target.honest(route_id) if trial == honest else None
        return known or target.anew(trial)

    return run


def alone(trial: Trial) -> Trial:
    """The same trial with a process for each call."""
    return replace(trial, isolated=True)


@dataclass(frozen=True, slots=True)
class Broken:
    """The smallest app that breaks: written to `main.py` of an empty project and attacked for real."""

    source: str
    route: str
    """Id of the route that breaks."""
    requirements: tuple[str, ...] = ("flask",)
    """Packages that its environment needs."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Other files of the project, by path."""
    unmended: str = ""
    """Why no mend is expected (a part of the reason); "" where the mend must end in Refuted."""
    unseen: str = ""
    """Why the source alone shows nothing; "" where `suspect` must name the route."""


@dataclass(frozen=True, slots=True)
class Sound:
    """An app that looks alike and is right: it must never be Proven."""

    source: str
    why: str
    """What makes it right."""
    requirements: tuple[str, ...] = ("flask",)
    files: Mapping[str, str] = field(default_factory=dict)
    alike: str = ""
    """Why the source alone cannot tell it from the break; "" where `suspect` must be silent."""
