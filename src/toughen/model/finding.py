"""Owns verdicts about one Break at one place: suspicions, outcomes, findings and their evidence."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from toughen.model.blueprint import Json
from toughen.model.source import Location
from toughen.model.trial import Experiment


class Severity(StrEnum):
    """How much a proven break costs."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Status(StrEnum):
    """How sure we are."""

    SUSPECTED = "suspected"
    PROVEN = "proven"


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A place where a rule's static part saw the shape of its Break."""

    break_id: str
    route: str | None
    location: Location
    message: str
    detail: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was observed, in facts that a reader can check."""

    message: str
    """One sentence: what happened."""
    facts: dict[str, Json] = field(default_factory=dict)
    """Requests, answers, rows, statements: what the report and the proof file show."""
    location: Location | None = None
    """The statement, field or handler that the evidence names; steers the mend."""
    detail: tuple[tuple[str, str], ...] = ()
    """Facts for the mend: (`statement`, ...), (`column`, ...)."""
    key: str = ""
    """Tells apart two breaks of one rule on one route (a field's name); "" where there is only one."""
    severity: Severity | None = None
    """What this one costs, where it is not what the rule says of all."""

    def fact(self, name: str) -> str:
        """The detail of that name, "" where it is missing."""
        return next((value for key, value in self.detail if key == name), "")


@dataclass(frozen=True, slots=True)
class Proof:
    """A replayable experiment and the evidence that it gave, twice."""

    break_id: str
    route: str
    experiment: Experiment
    evidence: Evidence
    snapshot: str
    """Content hash of the database snapshot that it starts from."""
    repeated: int = 2
    toughen: str = ""
    """Version that wrote it."""


@dataclass(frozen=True, slots=True)
class Proven:
    """Executed twice from the snapshot after the honest control passed."""

    proof: Proof


@dataclass(frozen=True, slots=True)
class Refuted:
    """The honest request passed and the hostile one was turned away."""


@dataclass(frozen=True, slots=True)
class Inconclusive:
    """Nothing can be said, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Suspected:
    """Come upon while proving, and not shown."""

    suspicion: Suspicion


Outcome = Proven | Refuted | Inconclusive | Suspected


@dataclass(frozen=True, slots=True)
class Finding:
    """A Break at a place."""

    break_id: str
    route: str | None
    location: Location
    status: Status
    severity: Severity
    message: str
    evidence: Evidence | None = None
    proof: Proof | None = None
    cwe: tuple[int, ...] = ()
    mend: str = "none"
    """automatic, brief or none."""

    @property
    def id(self) -> str:
        """`race/lost-update@POST /transfer`, with `#field` where a route has several."""
        place = self.route or str(self.location)
        key = f"#{self.evidence.key}" if self.evidence and self.evidence.key else ""
        return f"{self.break_id}@{place}{key}"


@dataclass(frozen=True, slots=True)
class NotConcluded:
    """A rule that could say nothing about a route."""

    break_id: str
    route: str
    reason: str
