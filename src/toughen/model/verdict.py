"""Owns the result of a run: findings, coverage and the decision, as every report reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from toughen.model.blueprint import Blueprint
from toughen.model.finding import Finding, NotConcluded
from toughen.model.identity import Identity
from toughen.model.journey import Journey, Unreached
from toughen.model.matrix import Matrix
from toughen.model.patch import MendOutcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """Everything that a run found out."""

    blueprint: Blueprint
    decision: str
    """ready, harden or rewrite."""
    why: str
    findings: tuple[Finding, ...] = ()
    inconclusive: tuple[NotConcluded, ...] = ()
    journeys: tuple[Journey, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    identities: tuple[Identity, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage: survey_s, environment_s, boot_s, explore_s, first_proof_s, prove_s, total_s."""
    notes: tuple[str, ...] = ()
    """What the user should know: sandbox level, dummies for missing variables, steps that prepared the database."""
    mends: tuple[tuple[str, MendOutcome], ...] = ()
    """(finding id, what became of its mend), for fix."""
    booted: bool = True
    matrix: Matrix | None = None
    """Every route against every kind of user, where that was asked for."""
