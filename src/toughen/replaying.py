"""Owns replays: stored proofs, executed again in fresh boots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.conclude import finding_of
from toughen.events import Stage
from toughen.introductions import refilled
from toughen.lab import migrations
from toughen.lab.memory import Memory
from toughen.lab.target import LabTarget
from toughen.lab.twin import logged_in
from toughen.model.finding import Inconclusive
from toughen.rules import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toughen.lab.snapshot import Snapshot
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Outcome
    from toughen.starting import Start
    from toughen.store import StoredProof
    from toughen.survey import Sources

    Stored = tuple[StoredProof, Snapshot]


def replays(start: Start, proofs: Iterable[Stored]) -> list[tuple[Finding, Outcome]]:
    """Execute stored proofs again, in one fresh boot for all that start alike. Raises LabError."""
    told: list[tuple[Finding, Outcome]] = []
    alike: dict[object, list[Stored]] = {}
    for stored, snapshot in proofs:
        if named(stored.proof.break_id) is None:
            told.append((finding_of(None, stored.proof.route, stored.proof), Inconclusive(f"this version has no rule {stored.proof.break_id}")))
        else:
            alike.setdefault((snapshot.digest, stored.prepared, stored.together, tuple(each.name for each in stored.identities)), []).append((stored, snapshot))
    if alike:
        read = start.survey()
        for group in alike.values():
            told += _alike(start, group, *read)
    return told


def _alike(start: Start, group: Sequence[Stored], sources: Sources, surveyed: Blueprint) -> Iterator[tuple[Finding, Outcome]]:
    first, snapshot = group[0]
    with start.booted(sources, surveyed) as (lab, blueprint):
        lab.redo(first.prepared)
        lab.world.bring(snapshot)
        migrations.further(lab)
        people = [refilled(each, start.config.identities) for each in first.identities]
        target = LabTarget(lab, blueprint, logged_in(lab, people), snapshot.digest, memory=Memory(together=first.together))
        for stored, _ in group:
            rule = named(stored.proof.break_id)
            assert rule is not None
            start.tell(Stage("prove", f"replaying {stored.finding}"))
            yield finding_of(rule, stored.proof.route, stored.proof), rule.confirm(target, stored.proof.route, stored.proof.experiment)
