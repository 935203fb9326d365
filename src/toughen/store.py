"""Owns `.toughen/`: proofs with the snapshots that they start from, the last report and the history of runs; written atomically, read with suspicion."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.errors import ProofError, ReportError
from toughen.introductions import withheld
from toughen.lab.snapshot import Snapshot
from toughen.model.finding import Proof
from toughen.model.identity import Identity
from toughen.model.past import Past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import TypeAdapter

FOLDER = ".toughen"
SCHEMA = 1
LAST, WHOLE, FIXED, GATED, HISTORY = "last.json", "whole.json", "fixed.json", "gated.json", "history.jsonl"
_LARGEST = 256 << 20
_RUNS, _LINE, _LONG, _MANY = 200, 16 << 10, 1 << 20, 10**6
"""Runs that the history keeps, the most bytes of one, of the file, and breaks or seconds: what is larger was not written here."""


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
    folder = _folder(root)
    (folder / "proofs").mkdir(exist_ok=True)
    (folder / "snapshots").mkdir(exist_ok=True)
    place = folder / "snapshots" / f"{snapshot.digest}.json"
    if not place.exists():
        images = {name: base64.b64encode(image).decode() for name, image in snapshot.images.items()}
        write(place, json.dumps({"schema": SCHEMA, "images": images}).encode())
    file = folder / "proofs" / f"{slug(finding_id)}.json"
    write(file, _stored().dump_json(StoredProof(SCHEMA, finding_id, app, proof, tuple(map(withheld, identities)), prepared, together), indent=1))
    return file.relative_to(root).as_posix()


def _folder(root: Path) -> Path:
    """`.toughen/`, which hides itself from git."""
    folder = root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".gitignore").exists():
        write(folder / ".gitignore", b"*\n")
    return folder


@cache
def _past() -> TypeAdapter[Past]:
    from pydantic import TypeAdapter

    return TypeAdapter(Past)


def remember(root: Path, report: str, past: Past) -> None:
    """Keep a run's JSON report as the last one (of one that looked for everything, of one that mended, and of one that asked all gates, as that one too), and add its line to the history. Raises OSError."""
    folder = _folder(root)
    with _alone(folder):
        for name in (LAST, *(() if past.only else (WHOLE,)), *((FIXED,) if past.mended and not past.only else ()), *((GATED,) if past.verb == "gate" and not past.only else ())):
            write(folder / name, report.encode("utf-8", "replace"))
        line = json.dumps({"schema": SCHEMA, **asdict(past)}, ensure_ascii=True)
        kept = [*_lines(folder / HISTORY), line][-_RUNS:]
        write(folder / HISTORY, "".join(f"{each}\n" for each in kept).encode("utf-8", "replace"))


def last(root: Path, name: str = LAST) -> bytes:
    """The last run's JSON report as it lies there; WHOLE is that of the last run that looked for everything, FIXED of the last one of these that mended. Raises ReportError."""
    file = root / FOLDER / name
    try:
        if file.stat().st_size > _LARGEST:
            raise ReportError(f"{FOLDER}/{name} is too large to be a report", subject=file)
        return file.read_bytes()
    except OSError as error:
        raise ReportError(f"there is no report of a run in {root}", subject=file, hint="run `toughen check` first: it keeps its report in .toughen/last.json") from error


def history(root: Path) -> tuple[Past, ...]:
    """The runs that are remembered, the oldest first; lines that are broken or of another version are passed over."""
    from pydantic import ValidationError

    found: list[Past] = []
    for line in _lines(root / FOLDER / HISTORY):
        try:
            whole = json.loads(line)
            if whole.pop("schema", None) == SCHEMA:
                past = _past().validate_python(whole)
                found += [past] if 0 <= past.breaks <= _MANY and 0 <= past.seconds <= _MANY else []
        except (ValueError, AttributeError, TypeError, RecursionError, ValidationError):
            continue
    return tuple(found)


def _lines(file: Path) -> list[str]:
    """The lines of the history, whoever wrote them, within bounds."""
    try:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - _LONG))
            text = opened.read(_LONG).decode("utf-8", "replace")
    except OSError:
        return []
    return [each for each in text.split("\n") if each.strip() and len(each) <= _LINE][-_RUNS:]


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two runs that end at once do not lose each other's line."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def proofs(root: Path) -> tuple[Path, ...]:
    """The files of stored proofs."""
    return tuple(sorted((root / FOLDER / "proofs").glob("*.json")))


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
