"""Owns the statement of a run: in-toto's Statement v1 with its test-result predicate, and what only toughen says beside it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toughen.errors import AttestationError
from toughen.model.finding import Proven, Refuted, Status, Suspected
from toughen.model.gate import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.fingerprint import Fingerprint
    from toughen.model.finding import Finding, Outcome
    from toughen.model.verdict import Verdict

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://in-toto.io/attestation/test-result/v0.1"
OWN: Final = "toughen"
"""Name of the field of the predicate that is toughen's own; whoever does not know it passes it over, as in-toto wants it."""
_RESULTS: Final = {State.HELD: "passedTests", State.PASSED_OVER: "warnedTests", State.FELL: "failedTests", State.UNCHECKED: "failedTests"}


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", populate_by_name=True)


Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Digest(_Part):
    """in-toto's set of digests, as far as it is used here."""

    sha256: Hex | None = None
    git_commit: Annotated[str | None, Field(alias="gitCommit", pattern="^([0-9a-f]{40}|[0-9a-f]{64})$")] = None


class Resource(_Part):
    """Something with a name and a digest."""

    name: str
    digest: Digest


class Told(_Part):
    """What became of one stored proof."""

    finding: str
    file: Annotated[str, Field(pattern=r"^proofs/[A-Za-z0-9._-]{1,200}\.json$")]
    sha256: Hex
    outcome: Literal["refuted", "proven", "inconclusive"]


class Own(_Part):
    """What only toughen says."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    version: str
    at: str
    decision: str
    routes: int
    reached: int
    gates: dict[str, Literal["held", "fell", "not checked", "passed over"]]
    known: int
    """Faults that the baseline lets through."""
    waived: tuple[str, ...]
    proofs: tuple[Told, ...]
    report: Hex
    """SHA-256 of the JSON report in the evidence."""
    evidence: Hex
    """SHA-256 of the archive that lies beside the attestation."""


class Predicate(_Part):
    """in-toto's test-result v0.1."""

    result: Literal["PASSED", "WARNED", "FAILED"]
    configuration: tuple[Resource, ...]
    passed: Annotated[tuple[str, ...], Field(alias="passedTests")] = ()
    warned: Annotated[tuple[str, ...], Field(alias="warnedTests")] = ()
    failed: Annotated[tuple[str, ...], Field(alias="failedTests")] = ()
    toughen: Own


class Statement(_Part):
    """in-toto's Statement v1."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], Field(alias="_type")]
    subject: Annotated[tuple[Resource, ...], Field(min_length=1)]
    predicate_type: Annotated[Literal["https://in-toto.io/attestation/test-result/v0.1"], Field(alias="predicateType")]
    predicate: Predicate


def stated(
    verdict: Verdict, source: Fingerprint, configuration: Mapping[str, str], proofs: Sequence[Told], *, version: str, at: str, report: str, evidence: str
) -> dict[str, Any]:
    """The statement of a run of all gates. `configuration` is file -> SHA-256; `report` and `evidence` are digests."""
    subject = [{"name": verdict.blueprint.name, "digest": {"sha256": source.sha256}}]
    if source.commit:
        subject.append({"name": verdict.blueprint.name, "digest": {"gitCommit": source.commit}})
    listed: dict[str, list[str]] = {"passedTests": [], "warnedTests": [], "failedTests": []}
    for each in verdict.gates:
        listed[_RESULTS[each.state]].append(f"gate/{each.gate}")
    for proof in proofs:
        listed["passedTests" if proof.outcome == "refuted" else "failedTests"].append(f"proof/{proof.finding}")
    known, waived = sum(one.count for each in verdict.gates for one in each.known), [f"{each.gate} {fault.key}" for each in verdict.gates for fault, _ in each.waived]
    open_ = any(each.open for each in verdict.gates) or not verdict.booted
    return {
        "_type": STATEMENT, "subject": subject, "predicateType": PREDICATE,
        "predicate": {
            "result": "FAILED" if open_ else "WARNED" if known or waived or listed["failedTests"] else "PASSED",
            "configuration": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(configuration.items())],
            **listed,
            OWN: {
                "schema": 1, "version": version, "at": at, "decision": verdict.decision, "routes": len(verdict.blueprint.routes), "reached": len(verdict.journeys),
                "gates": {each.gate: each.state.value for each in verdict.gates}, "known": known, "waived": waived,
                "proofs": [each.model_dump() for each in proofs], "report": report, "evidence": evidence,
            },
        },
    }


def outcomes(verdict: Verdict, replayed: Sequence[tuple[Finding, Outcome]]) -> Iterator[tuple[str, Literal["refuted", "proven", "inconclusive"]]]:
    """(finding, what became of it) of all that this run proved or executed again; what only the tests show is left to the gates."""
    for each in verdict.findings:
        if each.status is Status.PROVEN and not each.break_id.startswith("suite/"):
            yield each.id, "proven"
    for finding, outcome in replayed:
        yield finding.id, "proven" if isinstance(outcome, Proven) else "refuted" if isinstance(outcome, Refuted | Suspected) else "inconclusive"


def read(payload: bytes) -> Statement:
    """A statement as somebody signed it. Raises AttestationError."""
    try:
        return Statement.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise AttestationError(f"what was signed is no statement of toughen's: {where[:120]}: {first['msg']}", subject=payload[:200]) from error


def canonical(statement: Mapping[str, Any]) -> bytes:
    """The bytes that are signed."""
    return json.dumps(statement, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
