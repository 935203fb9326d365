"""Owns the run of a third party over an attestation: the signature, the source, the evidence, and every proof executed again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from toughen import store
from toughen.attesting import check, envelope, evidence
from toughen.attesting.check import Check
from toughen.attesting.making import beside
from toughen.attesting.statement import read
from toughen.errors import AttestationError, ProofError
from toughen.gating.scope import scope_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from toughen.gating.hold import Held
    from toughen.gating.scope import Scope
    from toughen.lab.snapshot import Snapshot
    from toughen.model.finding import Finding, Outcome


class Runner(Protocol):
    """Who executes."""

    root: Path

    def replays(self, proofs: Iterable[tuple[store.StoredProof, Snapshot]]) -> list[tuple[Finding, Outcome]]:
        """Execute stored proofs again."""

    def gate(self, scope: Scope) -> Held:
        """Ask every gate."""


@dataclass(frozen=True, slots=True)
class Attested:
    """The files of an attestation, and the key of whom one believes."""

    file: Path
    key: Path
    evidence: Path | None = None


def verified(run: Runner, told: Attested, *, executed: bool, gates: bool) -> Iterator[Check]:
    """Every check in turn. Raises AttestationError where it is not what was signed by that key."""
    statement = read(envelope.opened(_bytes(told.file, "the attestation"), _bytes(told.key, "the key")))
    own = statement.predicate.toughen
    yield Check("signature", holds=True, said=f"of this key, over toughen {own.version}'s run of {own.at}: {statement.predicate.result}, {own.reached} of {own.routes} routes reached")
    yield from check.sources(statement, run.root)
    with tempfile.TemporaryDirectory(prefix="toughen-verify-") as folder:
        place = Path(folder) / store.FOLDER
        files = evidence.unpacked(told.evidence or beside(told.file), place, own.evidence)
        yield from check.evidence(statement, files)
        if executed:
            try:
                proofs = [store.load(place / each.file) for each in own.proofs]
            except ProofError as error:
                raise AttestationError(f"the evidence cannot be replayed: {error.message}", subject=error.subject) from error
            yield from check.replays(statement, run.replays(proofs))
    if gates:
        yield from check.gates(statement, run.gate(scope_of(run.root, changed=False)).verdict)


def _bytes(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise AttestationError(f"{what} cannot be read: {error.strerror}: {file}", subject=file) from error
