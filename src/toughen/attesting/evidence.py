"""Owns the archive of evidence: the report, the stored proofs and the snapshots that they start from; unpacked with suspicion."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from typing import TYPE_CHECKING, Final

from toughen.errors import AttestationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

REPORT: Final = "report.json"
_NAME: Final = re.compile(r"report\.json|proofs/[A-Za-z0-9._-]{1,200}\.json|snapshots/[0-9a-f]{32}\.json")
_LARGEST, _MOST, _ALL = 256 << 20, 5_000, 1 << 30
"""Bytes of one file, files, and bytes of all."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """An archive of these files, the same for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), files[name], zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def gathered(folder: Path, proofs: Mapping[str, str], report: bytes) -> dict[str, bytes]:
    """The report, these proofs (file name -> digest of its snapshot) below `.toughen/`, and their snapshots. Raises OSError."""
    found = {REPORT: report}
    for name, snapshot in proofs.items():
        found[f"proofs/{name}"] = (folder / "proofs" / name).read_bytes()
        found[f"snapshots/{snapshot}.json"] = (folder / "snapshots" / f"{snapshot}.json").read_bytes()
    return found


def unpacked(archive: Path, place: Path, sha256: str) -> dict[str, str]:
    """Unpack what was signed for into a folder; file -> SHA-256. Raises AttestationError where it is another archive, or holds what no evidence is."""
    try:
        with archive.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise AttestationError(f"the evidence cannot be read: {error.strerror}: {archive}", subject=archive, hint="it lies beside the attestation, or where --evidence says") from error
    if digest != sha256:
        raise AttestationError(f"{archive.name} is not the evidence that was signed for: its SHA-256 is {digest[:16]}…, not {sha256[:16]}…", subject=archive)
    found: dict[str, str] = {}
    try:
        with zipfile.ZipFile(archive) as opened:
            listed = opened.infolist()
            if len(listed) > _MOST or sum(each.file_size for each in listed) > _ALL:
                raise AttestationError(f"{archive.name} is too large to be evidence", subject=archive)
            for each in listed:
                if not _NAME.fullmatch(each.filename) or each.file_size > _LARGEST:
                    raise AttestationError(f"{archive.name} holds {each.filename[:80]!r}, which no evidence is", subject=archive)
                content = _content(opened, each)
                target = place / each.filename
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                found[each.filename] = hashlib.sha256(content).hexdigest()
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise AttestationError(f"{archive.name} cannot be unpacked: {error}", subject=archive) from error
    return found


def _content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """A member, as long as it says to be at most."""
    with archive.open(member) as stream:
        content = stream.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise AttestationError(f"{member.filename} is not as long as it says", subject=member.filename)
    return content
