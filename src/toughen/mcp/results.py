"""Owns what the tools answer: typed, small enough to be read whole, and with the next step where there is one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Severity = Literal["low", "medium", "high", "critical"]


class Answer(BaseModel):
    """Base of all: what is not named here is a mistake of ours."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Place(Answer):
    """A place in the source."""

    file: str
    line: int
    function: str | None


class SurveyedRoute(Answer):
    """A route as the source declares it."""

    method: str
    path: str
    handler: Place
    guards: tuple[str, ...] = Field(description="What is asked before the handler does its work.")
    parameters: tuple[str, ...]


class SurveyedTable(Answer):
    """A table that the source maps or creates."""

    name: str
    columns: tuple[str, ...]
    model: str | None


class Suspicion(Answer):
    """What the source only looks like: nothing was executed for it."""

    finding: str
    severity: Severity
    place: Place
    message: str


class Surveyed(Answer):
    """What the source alone says; nothing was executed."""

    name: str
    framework: str
    app: str | None = Field(description="The application that would be attacked: module:attribute.")
    alternatives: tuple[str, ...] = Field(description="Other applications that were found; name one as `app`.")
    database: str | None
    lines: int
    tests: int
    runner: str | None
    routes: tuple[SurveyedRoute, ...]
    tables: tuple[SurveyedTable, ...]
    roles: tuple[str, ...]
    environment: tuple[str, ...] = Field(description="Environment variables that it needs and has no default for.")
    outbound: tuple[str, ...] = Field(description="Hosts, or client libraries, that it calls.")
    suspected: tuple[Suspicion, ...]
    unread: tuple[str, ...] = Field(description="Files that could not be read, and why.")


class Brief(Answer):
    """What somebody must know who mends this by hand."""

    reason: str = Field(description="Why there is no mend by code.")
    must_hold: str = Field(description="What must hold afterwards, and where to start.")
    next: str = Field(description="How the patch is handed in.")


class Break(Answer):
    """A break that was executed, twice, after an honest request had passed."""

    finding: str = Field(description="Its id, for `accept`.")
    break_id: str = Field(description="Its kind, for `explain` and `only`.")
    severity: Severity
    route: str | None
    place: Place
    message: str
    evidence: tuple[str, ...] = Field(description="What was sent, answered and changed.")
    proof: str | None = Field(description="The stored proof, for `replay`; relative to the project.")
    mend: Literal["automatic", "brief", "none"] = Field(description="automatic: `fix` has one to try.")
    brief: Brief | None = Field(description="Where no mend by code is to be had: for whoever writes the patch.")


class Unclear(Answer):
    """Where nothing can be said."""

    break_id: str
    route: str
    reason: str


class Missed(Answer):
    """A route that no honest client reached."""

    route: str
    reason: str


class Checked(Answer):
    """A run that executed the prototype, on a throw-away copy of it."""

    decision: Literal["ready", "harden", "rewrite"]
    why: str
    booted: bool
    findings: tuple[Break, ...]
    suspected: tuple[Suspicion, ...]
    inconclusive: tuple[Unclear, ...]
    routes: int
    reached: int
    unreached: tuple[Missed, ...]
    notes: tuple[str, ...]
    seconds: float
    left_out: int = Field(default=0, description="Suspicions and inconclusive pairs that are not told here; the report has them.")


class Explained(Answer):
    """The public page of a break."""

    break_id: str
    title: str
    severity: Severity
    cwe: tuple[int, ...]
    owasp: str
    asvs: str
    page: str


class Replayed(Answer):
    """A stored proof, executed again in a fresh boot."""

    finding: str
    outcome: Literal["proven", "gone", "inconclusive"]
    message: str
    evidence: tuple[str, ...]


class Mend(Answer):
    """What became of one mend."""

    finding: str
    outcome: Literal["kept", "gone", "rolled-back", "unmended"]
    summary: str = ""
    note: str = ""
    files: tuple[str, ...] = ()
    diff: str = ""
    by: str = Field(default="", description="The finding whose patch ended this one, too.")
    step: str = Field(default="", description="The step of the order of trust at which it was taken back.")
    reason: str = ""
    brief: Brief | None = None


class Fixed(Answer):
    """Every mend that was tried; those that were kept stand in the user's files where `written` says so."""

    written: bool
    mends: tuple[Mend, ...]
    tests: tuple[str, ...] = Field(description="Files of regression tests for what was mended.")
    tests_diff: str
    left: tuple[str, ...] = Field(description="Findings that no mend ended.")
    why: str
    booted: bool


class Accepted(Answer):
    """What became of a patch from outside."""

    finding: str
    accepted: bool
    written: bool
    step: str = Field(description='Where it failed: scope, parse, environment, boot, proof, control, journeys or tests; "" where it was accepted.')
    reason: str
    advice: str = Field(description="What stands against it, and what must hold.")
    files: tuple[str, ...]
    diff: str
    gone_with_it: tuple[str, ...] = Field(description="Other findings that it ends as well.")


class Fault(Answer):
    """One thing that a gate holds against the project."""

    key: str
    message: str
    place: Place | None
    count: int


class Gate(Answer):
    """What one gate says."""

    gate: str
    title: str
    state: Literal["held", "fell", "not checked", "passed over"]
    why: str
    hint: str
    faults: tuple[Fault, ...] = Field(description="What it fell for, new or beyond the baseline.")
    known: int = Field(description="Faults that the baseline has.")
    waived: int
    gone: int = Field(description="Faults of the baseline that are no longer there.")
    measured: dict[str, str]


class Held(Answer):
    """All gates; one that fell, or could not look, is no yes."""

    holds: bool
    gates: tuple[Gate, ...]
    booted: bool
    why: str
    left_out: int = Field(default=0, description="Faults that are not told here; the report has them.")


Budget = Annotated[float, Field(gt=0, le=3600, description="Seconds for exploring and proving together; building the environment and booting are not counted.")]
