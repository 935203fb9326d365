"""Owns the verifying of an attestation: one line for each thing that was checked, and whether it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.fingerprint import digest_of, fingerprint
from toughen.model.finding import Proven, Refuted, Suspected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from toughen.attesting.statement import Statement
    from toughen.model.finding import Finding, Outcome
    from toughen.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    what: str
    holds: bool
    said: str


def sources(statement: Statement, root: Path) -> Iterator[Check]:
    """The files are those that were attested, and so are the settings, the baseline and the policy."""
    own = fingerprint(root)
    told = {each.digest.sha256 for each in statement.subject if each.digest.sha256}
    commits = [each.digest.git_commit for each in statement.subject if each.digest.git_commit]
    said = f"{own.files} files, SHA-256 {own.sha256[:16]}…"
    holds = own.sha256 in told
    wanted = f", commit {commits[0][:12]}" if commits else ""
    yield Check("source", holds, said if holds else f"{said}: not the files that were attested{wanted}")
    for each in statement.predicate.configuration:
        now = digest_of(root / each.name) if "/" not in each.name and not each.name.startswith(".") else ""
        same = now == (each.digest.sha256 or "")
        yield Check(each.name, same, "as attested" if same else "another one than was attested")


def evidence(statement: Statement, files: Mapping[str, str]) -> Iterator[Check]:
    """The report and every proof are those that were attested."""
    told = statement.predicate.toughen
    yield Check("report", files.get("report.json") == told.report, "as attested" if files.get("report.json") == told.report else "another one than was attested")
    for each in told.proofs:
        if files.get(each.file) != each.sha256:
            yield Check(each.finding, holds=False, said=f"its proof ({each.file}) is not the one that was attested")


def replays(statement: Statement, replayed: Sequence[tuple[Finding, Outcome]]) -> Iterator[Check]:
    """Executed again, each proof ends as was attested."""
    now = {finding.id: "proven" if isinstance(outcome, Proven) else "refuted" if isinstance(outcome, Refuted | Suspected) else "inconclusive" for finding, outcome in replayed}
    for each in statement.predicate.toughen.proofs:
        seen = now.get(each.finding, "not replayed")
        yield Check(each.finding, seen == each.outcome, f"{seen}, as attested" if seen == each.outcome else f"attested as {each.outcome}, and here it is {seen}")


def gates(statement: Statement, verdict: Verdict) -> Iterator[Check]:
    """Asked again, each gate says what was attested."""
    now = {each.gate: each.state.value for each in verdict.gates}
    for name, state in statement.predicate.toughen.gates.items():
        seen = now.get(name, "not asked")
        yield Check(f"gate {name}", seen == state, f"{seen}, as attested" if seen == state else f"attested as {state}, and here it {'is ' if ' ' in seen else ''}{seen}")
