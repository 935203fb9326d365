"""Owns findings as faults of a gate: known again in the next run, whichever route shows what is of the whole prototype."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.model.finding import Inconclusive, Proven
from toughen.model.gate import Fault
from toughen.rules import named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from toughen.model.finding import Finding, Outcome


def key_of(finding: Finding) -> str:
    """What stays the same: its id, without the route where the break is the whole prototype's."""
    rule = named(finding.break_id)
    if rule is None or not rule.whole:
        return finding.id
    return finding.break_id + (f" {finding.evidence.key}" if finding.evidence and finding.evidence.key else "")


def fault_of(finding: Finding, message: str) -> Fault:
    """A finding that a gate holds against the project."""
    return Fault(key_of(finding), message, finding.location, finding=finding.id)


def again(replayed: Sequence[tuple[Finding, Outcome]], known: Collection[str]) -> Iterator[Fault]:
    """Stored proofs that hold again, or that cannot be executed again; not of what this run has shown anyhow (`known` keys)."""
    seen = set(known)
    for finding, outcome in replayed:
        key = key_of(finding)
        if key in seen:
            continue
        match outcome:
            case Proven(proof):
                seen.add(key)
                yield Fault(key, f"the stored proof of {finding.id} holds again: {proof.evidence.message}", finding.location, finding=finding.id)
            case Inconclusive(reason):
                seen.add(key)
                yield Fault(key, f"the stored proof of {finding.id} cannot be executed again: {reason}", finding.location)
            case _:
                continue
