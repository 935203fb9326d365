"""Owns the result of a run: findings, coverage and the decision, as every report reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from toughen.model.blueprint import Blueprint
from toughen.model.breaks import Break, Tried
from toughen.model.finding import Finding, NotConcluded
from toughen.model.gate import Gated
from toughen.model.identity import Identity
from toughen.model.journey import Journey, Unreached
from toughen.model.matrix import Matrix
from toughen.model.past import Past
from toughen.model.patch import MendOutcome, Patch


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
    tests: Patch | None = None
    """The regression tests that were written from what was mended, for fix."""
    booted: bool = True
    matrix: Matrix | None = None
    """Every route against every kind of user, where that was asked for."""
    breaks: tuple[Break, ...] = ()
    """Every Break that was looked for."""
    tried: tuple[Tried, ...] = ()
    """Every (Break, route) that was executed; what is neither refuted nor proven nor inconclusive had nothing to attack."""
    waived: tuple[tuple[str, str], ...] = ()
    """(finding id, why its owner accepts it for now)."""
    gates: tuple[Gated, ...] = ()
    """What each gate says, where they were asked."""
    history: tuple[Past, ...] = ()
    """The runs that are remembered, the oldest first, this one included."""
