"""Owns the image of a server's database: an archive that another run reads, and does not trust."""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING

from toughen.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LARGEST = 256 << 20
"""Bytes of an image that are unpacked."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, AttributeError, RuntimeError)


def packed(parts: Iterable[tuple[str, bytes | str]]) -> bytes:
    """An archive of these files: the same for the same parts, whatever packs it."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts:
            # Without the time of day.
            archive.writestr(zipfile.ZipInfo(name), content)
    return held.getvalue()


@contextlib.contextmanager
def opened(image: bytes, subject: str) -> Iterator[zipfile.ZipFile]:
    """The archive of an image; what goes wrong while it is read is a LabError."""
    try:
        with zipfile.ZipFile(io.BytesIO(image)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _LARGEST:
                raise LabError("the stored rows are too many to be unpacked", subject=subject)
            yield archive
    except _DAMAGED as error:
        raise LabError("the stored rows of the database cannot be read", subject=subject) from error
