"""Owns `.toughen/`: proofs and the snapshots that they start from, written atomically and read with suspicion."""

from __future__ import annotations

import base64
import json
import os
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.errors import ProofError
from toughen.introductions import withheld
from toughen.lab.snapshot import Snapshot
from toughen.model.finding import Proof
from toughen.model.identity import Identity

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FOLDER = ".toughen"
SCHEMA = 1
_LARGEST = 256 << 20


@dataclass(frozen=True, slots=True)
class StoredProof:
    """What a proof file holds."""

    schema: int
    finding: str
    app: str
    """The entry that was attacked: `main:app`."""
    proof: Proof
    identities: tuple[Identity, ...]
    prepared: tuple[str, ...] = ()
    """Steps that prepared the memory of the server process."""
    together: bool = False
    """Whether honest requests build on the memory of their process."""


@cache
def _stored() -> TypeAdapter[StoredProof]:
    from pydantic import TypeAdapter

    return TypeAdapter(StoredProof)


def slug(finding_id: str) -> str:
    """A file name for a finding."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", finding_id).strip("-")[:150]


def save(
    root: Path, finding_id: str, app: str, proof: Proof, identities: tuple[Identity, ...], snapshot: Snapshot, prepared: tuple[str, ...] = (), *, together: bool = False
) -> str:
    """Write a proof and its snapshot; the proof's path relative to root."""
    folder = root / FOLDER
    (folder / "proofs").mkdir(parents=True, exist_ok=True)
    (folder / "snapshots").mkdir(exist_ok=True)
    if not (folder / ".gitignore").exists():
        write(folder / ".gitignore", b"*\n")
    place = folder / "snapshots" / f"{snapshot.digest}.json"
    if not place.exists():
        images = {name: base64.b64encode(image).decode() for name, image in snapshot.images.items()}
        write(place, json.dumps({"schema": SCHEMA, "images": images}).encode())
    file = folder / "proofs" / f"{slug(finding_id)}.json"
    write(file, _stored().dump_json(StoredProof(SCHEMA, finding_id, app, proof, tuple(map(withheld, identities)), prepared, together), indent=1))
    return file.relative_to(root).as_posix()


def load(file: Path) -> tuple[StoredProof, Snapshot]:
    """Read a proof and its snapshot. Raises ProofError."""
    from pydantic import ValidationError

    try:
        if file.stat().st_size > _LARGEST:
            raise ProofError(f"{file.name} is too large to be a proof", subject=file)
        stored = _stored().validate_json(file.read_bytes())
    except OSError as error:
        raise ProofError(f"there is no proof at {file}", subject=file, hint="run `toughen check` first; proofs lie in .toughen/proofs/") from error
    except ValidationError as error:
        raise ProofError(f"{file.name} is not a proof: {error.errors()[0]['msg']}", subject=file) from error
    digest = stored.proof.snapshot
    place = file.parent.parent / "snapshots" / f"{digest}.json"
    if not re.fullmatch(r"[0-9a-f]{32}", digest) or not place.is_file():
        raise ProofError(f"the snapshot of {file.name} is missing", subject=place)
    try:
        images = {str(name): base64.b64decode(image) for name, image in json.loads(place.read_bytes())["images"].items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ProofError(f"the snapshot of {file.name} cannot be read", subject=place) from error
    return stored, Snapshot(digest, images)


def write(place: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o644)
        Path(name).replace(place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
