"""Owns the making of an attestation: of a run of all gates, over the source that it saw, with its evidence beside it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from toughen import store
from toughen.attesting import envelope, evidence
from toughen.attesting.statement import Told, canonical, outcomes, stated
from toughen.errors import AttestationError
from toughen.fingerprint import digest_of, fingerprint
from toughen.report import json as json_report
from toughen.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.fingerprint import Fingerprint
    from toughen.gating.hold import Held

SETTINGS: Final = ("pyproject.toml", "toughen.toml", "toughen-baseline.json", "toughen-policy.toml")
"""What decides what the gates let through."""


def beside(attestation: Path) -> Path:
    """Where the evidence of an attestation lies."""
    return attestation.with_name(f"{attestation.name}.evidence.zip")


def attested(root: Path, held: Held, before: Fingerprint, key: bytes, place: Path) -> tuple[Path, Path]:
    """Write the attestation and its evidence. Raises AttestationError where the source changed while the run worked, or the key cannot sign; OSError."""
    now = fingerprint(root)
    inside = place.resolve().is_relative_to(root) and not place.resolve().is_relative_to(root / store.FOLDER)
    if now.sha256 != before.sha256:
        raise AttestationError("the source changed while it was attacked: what was seen is of neither", subject=root, hint="run it again when nothing writes into the project")
    if inside:
        raise AttestationError(f"{place} lies among the files that it speaks of", subject=place, hint=f"put it outside of the project, or below {store.FOLDER}/")
    report = json_report.render(held.verdict, __version__).encode("utf-8", "replace")
    folder = root / store.FOLDER
    proofs: list[Told] = []
    snapshots: dict[str, str] = {}
    for finding, outcome in outcomes(held.verdict, held.replayed):
        name = f"{store.slug(finding)}.json"
        stored, snapshot = store.load(folder / "proofs" / name)
        snapshots[name] = snapshot.digest
        proofs.append(Told(finding=stored.finding, file=f"proofs/{name}", sha256=digest_of(folder / "proofs" / name), outcome=outcome))
    archive = evidence.packed(evidence.gathered(folder, snapshots, report))
    statement = stated(
        held.verdict, before, {name: digest for name in SETTINGS if (digest := digest_of(root / name))}, proofs, version=__version__,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), report=hashlib.sha256(report).hexdigest(), evidence=hashlib.sha256(archive).hexdigest(),
    )
    text = envelope.signed(canonical(statement), key)
    place.parent.mkdir(parents=True, exist_ok=True)
    store.write(beside(place), archive)
    store.write(place, text.encode())
    return place, beside(place)
