"""Owns the JSON report as it is read back: nothing in it is believed before its shape was checked, and what is wrong is said with its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from toughen.errors import ReportError
from toughen.model.blueprint import Blueprint, Entry, Route, Suite
from toughen.model.finding import Evidence, Finding, NotConcluded, Severity, Status
from toughen.model.gate import Fault, Gated, State, Waiver
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Call, Journey, Unreached
from toughen.model.matrix import ANONYMOUS, INVALID, Access, Cell, Matrix, Whose
from toughen.model.patch import FileChange, Gone, Kept, MendOutcome, Patch, RolledBack, Unmended
from toughen.model.source import Location
from toughen.model.verdict import Verdict
from toughen.report import json as json_report

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 64 << 20
"""Bytes; a report of a thousand findings with their timelines has some megabytes."""
_SHOWN = 5

Count = Annotated[int, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0)]


class _Part(BaseModel):
    """Types are exact; what a later version adds is passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False, populate_by_name=True)


class Prototype(_Part):
    """Which prototype it is about."""

    name: str
    framework: str
    entry: str | None
    database: str | None
    routes: Count
    lines: Count | None = None
    tests: Count | None = None


class Path(_Part):
    """A route."""

    method: str
    path: str

    @property
    def id(self) -> str:
        """`POST /transfer`."""
        return f"{self.method} {self.path}"


class Missed(Path):
    """A route that no honest client reached."""

    reason: str


class Spot(_Part):
    """A place in the source."""

    file: str
    line: Count
    function: str | None


class Found(_Part):
    """A finding."""

    id: str
    break_id: Annotated[str, Field(alias="break", pattern="^[a-z]+/[a-z-]+$")]
    place: str
    status: Literal["proven", "suspected"]
    severity: Literal["low", "medium", "high", "critical"]
    route: Path | None
    location: Spot
    message: str
    evidence: dict[str, JsonValue]
    proof: str | None
    cwe: tuple[int, ...]
    mend: Literal["automatic", "brief", "none"]


class Authorization(_Part):
    """How many cells of the matrix say what."""

    cells: Count
    allowed: Count
    refused: Count
    missing: Count
    undecided: Count
    untested: Count


class Coverage(_Part):
    """What an honest client reached."""

    routes: Count
    reached: Count
    tested: tuple[Path, ...] = ()
    unreached: tuple[Missed, ...]
    authorization: Authorization | None = None


class Unclear(_Part):
    """A rule that could say nothing about a route."""

    break_id: Annotated[str, Field(alias="break")]
    route: Path
    reason: str


class Person(_Part):
    """A user that was minted."""

    name: str
    role: str | None
    how: str


class Asked(Path):
    """A cell of the matrix."""

    who: str
    whose: Literal["own", "other's", "other tenant's", "-"]
    access: Literal["allowed", "refused", "missing", "undecided", "untested"]
    reason: str


class Mended(_Part):
    """What became of one repair."""

    finding: str
    outcome: Literal["kept", "gone", "rolled-back", "unmended"]
    summary: str = ""
    note: str = ""
    files: tuple[str, ...] = ()
    by: str = ""
    step: str = ""
    reason: str = ""
    brief: str = ""
    diff: str = ""


class Change(_Part):
    """How much of the prototype all kept patches together leave as it was, in lines of Python."""

    files: Count
    lines: Count
    kept: Count
    removed: Count
    added: Count


class Ran(_Part):
    """Which run the report is of."""

    verb: str
    at: str
    only: tuple[str, ...]


class Decision(_Part):
    """The verdict."""

    decision: Literal["ready", "harden", "rewrite"]
    why: str


class Faulty(_Part):
    """One thing that a gate holds against the project."""

    key: str
    message: str
    location: Spot | None
    count: Count


class Waived(Faulty):
    """One that somebody answers for."""

    reason: str
    owner: str
    expires: str


class Held(_Part):
    """What a gate says."""

    gate: str
    title: str
    state: Literal["held", "fell", "not checked", "passed over"]
    why: str
    hint: str
    faults: tuple[Faulty, ...]
    known: Count
    gone: Count
    waived: tuple[Waived, ...]
    measured: dict[str, str]
    seconds: Seconds


class Report(_Part):
    """The whole report, as docs/output.md has it."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    toughen: str
    prototype: Prototype
    findings: tuple[Found, ...]
    coverage: Coverage
    inconclusive: tuple[Unclear, ...]
    identities: tuple[Person, ...]
    matrix: tuple[Asked, ...] | None = None
    mends: tuple[Mended, ...]
    change: Change | None = None
    notes: tuple[str, ...]
    booted: bool
    verdict: Decision
    timings: dict[str, Seconds]
    run: Ran | None = None
    gates: tuple[Held, ...] = ()

    @property
    def proven(self) -> tuple[Found, ...]:
        """What was executed, twice."""
        return tuple(each for each in self.findings if each.status == "proven")

    @property
    def suspected(self) -> tuple[Found, ...]:
        """What the source only looks like."""
        return tuple(each for each in self.findings if each.status == "suspected")

    @property
    def ended(self) -> frozenset[str]:
        """Ids of the breaks that kept repairs end."""
        return frozenset(each.finding for each in self.mends if each.outcome in {"kept", "gone"})

    @property
    def gone(self) -> frozenset[str]:
        """Ids of the breaks that are no longer in the user's files."""
        return self.ended if self.written else frozenset()

    @property
    def written(self) -> bool:
        """Whether kept repairs stand in the user's files, as far as the report knows."""
        return bool(self.mends) and (self.run is None or "--dry-run" not in self.run.verb)


def read(content: bytes | str, name: str = "the report") -> Report:
    """A report from outside. Raises ReportError with what is wrong and where."""
    if len(content) > LARGEST:
        raise ReportError(f"{name} is too large to be a report ({len(content) >> 20} MiB)", subject=name)
    try:
        return Report.model_validate_json(content)
    except ValidationError as error:
        faults = list(_faults(error))
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise ReportError(f"{name} is no report that this version reads: {'; '.join(faults[:_SHOWN])}{more}", subject=name, hint="`toughen check` writes a new one") from error


def _faults(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False):
        where = ""
        for step in each["loc"]:
            where += f"[{step}]" if isinstance(step, int) else f".{step}" if where else str(step)
        given = each.get("input")
        shown = f", not {str(given)[:60]!r}" if isinstance(given, str | int | float | None) and each["type"] not in {"missing", "json_invalid"} else ""
        yield f"{where[:120] or 'the whole'}: {each['msg']}{shown}"


def of(verdict: Verdict, version: str) -> Report:
    """A Verdict as its own report tells it: what pages show is what the JSON report holds."""
    return read(json_report.render(verdict, version).encode("utf-8", "replace"))


def verdict_of(report: Report) -> Verdict:
    """The Verdict as far as the report tells it, for formats that are made of one: no experiments, of patches only the lines around what changes."""
    missed = tuple(Unreached(each.id, each.reason) for each in report.coverage.unreached)
    routes = tuple(dict.fromkeys((each.method, each.path) for each in (*report.coverage.tested, *report.coverage.unreached)))
    prototype = report.prototype
    blueprint = Blueprint(
        prototype.name, prototype.framework, Entry(prototype.entry, "", "", prototype.framework) if prototype.entry else None,
        tuple(Route(method, path, Location("", 0)) for method, path in routes), suite=Suite(tests=prototype.tests or 0), database=prototype.database, lines=prototype.lines or 0,
    )
    return Verdict(
        blueprint, report.verdict.decision, report.verdict.why, tuple(map(_finding, report.findings)),
        tuple(NotConcluded(each.break_id, each.route.id, each.reason) for each in report.inconclusive),
        tuple(Journey(each.id, (Call(each.id),), 0) for each in report.coverage.tested), missed,
        tuple(Identity(each.name, each.role, Credential(), each.how) for each in report.identities), dict(report.timings), report.notes,
        tuple((each.finding, _outcome(each)) for each in report.mends), booted=report.booted, matrix=matrix_of(report), gates=tuple(map(_gated, report.gates)),
    )


def _gated(held: Held) -> Gated:
    """A gate as the report tells it; what the baseline has is a number there."""
    known = (Fault("", "", count=held.known),) if held.known else ()
    waived = tuple((_fault(each), Waiver(held.gate, each.key, each.reason, each.owner, each.expires)) for each in held.waived)
    return Gated(held.gate, held.title, State(held.state), held.why, held.hint, tuple(map(_fault, held.faults)), known, waived, held.gone, held.measured, held.seconds)


def _fault(told: Faulty) -> Fault:
    place = told.location
    return Fault(told.key, told.message, Location(place.file, place.line, place.function) if place is not None else None, told.count)


def _finding(found: Found) -> Finding:
    location = Location(found.location.file, found.location.line, found.location.function)
    place, key = f"{found.break_id}@{found.route.id if found.route else location}", ""
    if found.id.startswith(f"{place}#"):
        key = found.id[len(place) + 1 :]
    evidence = Evidence(found.message, dict(found.evidence), location, key=key) if found.evidence or key else None
    return Finding(
        found.break_id, found.route.id if found.route else None, location, Status(found.status), Severity(found.severity), found.message, evidence, None, found.cwe, found.mend
    )


def _outcome(mended: Mended) -> MendOutcome:
    match mended.outcome:
        case "kept":
            return Kept(_patch(mended))
        case "gone":
            return Gone(mended.by)
        case "rolled-back":
            return RolledBack(_patch(mended), mended.step, mended.reason, mended.brief)
        case "unmended":
            return Unmended(mended.reason, mended.brief)


def _patch(mended: Mended) -> Patch:
    changes: list[FileChange] = []
    before: list[str] = []
    after: list[str] = []
    file = ""

    def close() -> None:
        if file:
            changes.append(FileChange(file, "".join(before), "".join(after)))
        before.clear()
        after.clear()

    for line in mended.diff.splitlines(keepends=True):
        if line.startswith("--- "):
            close()
            file = ""
        elif line.startswith("+++ ") and not file:
            file = line[4:].strip().removeprefix("b/")
        elif line[:1] in {" ", "-", "+"}:
            if line[0] != "+":
                before.append(line[1:])
            if line[0] != "-":
                after.append(line[1:])
    close()
    return Patch(mended.finding, tuple(changes) or tuple(FileChange(each, "", "") for each in mended.files), mended.summary, mended.note)


_WORKS = {"allowed": True, "missing": True, "undecided": True, "refused": False, "untested": None}


def matrix_of(report: Report) -> Matrix | None:
    """The matrix of roles and endpoints, where the report holds one."""
    if report.matrix is None:
        return None
    cells = tuple(Cell(each.id, each.who, Whose(each.whose), Access(each.access), each.reason, _WORKS[each.access]) for each in report.matrix)
    roles = tuple(dict.fromkeys(each.who for each in cells if each.who not in {ANONYMOUS, *INVALID}))
    return Matrix(roles, cells, seconds=report.timings.get("audit_s", 0.0))
