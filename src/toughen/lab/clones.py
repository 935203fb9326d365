"""Owns copies of a built environment: one for each addition to it, so that what others share stays as it was built."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING

from toughen.lab.caching import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MARKER = "complete.json"
"""Lies in an environment that is whole, and holds what had to be said of it."""
_LIBRARIES = "site-packages"


def clone(home: Path, additions: Sequence[str], fill: Callable[[Path], str | None]) -> tuple[Path, str] | None:
    """The folder of a copy of `home` with these additions, and what `fill` said when it put them in; None where `fill` could not.

    It is made once, whoever asks first, in a folder that takes its name only when it is whole.
    """
    digest = hashlib.blake2b("\0".join([home.name, *additions]).encode(), digest_size=12).hexdigest()
    place = home.parent / digest
    with locked(home.parent / f"{digest}.lock"):
        marker = place / MARKER
        if not marker.is_file():
            # What an interrupted run has left.
            for left in (place, *home.parent.glob(f"{digest}-*")):
                shutil.rmtree(left, ignore_errors=True)
            draft = home.parent / f"{digest}-{os.getpid()}"
            try:
                shutil.copytree(home, draft, symlinks=True, ignore=shutil.ignore_patterns(MARKER), copy_function=_linked)
                said = fill(draft)
                if said is None:
                    return None
                _name_anew(draft, (home, draft), place)
                (draft / MARKER).write_text(json.dumps({"notes": [*notes_of(home), *filter(None, [said])], "said": said}))
                # It is as old as what it was made from: later releases may be out.
                whole = (home / MARKER).stat()
                os.utime(draft / MARKER, (whole.st_atime, whole.st_mtime))
                draft.rename(place)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
        return place, str(json.loads(marker.read_text())["said"])


def notes_of(place: Path) -> list[str]:
    """What its marker says."""
    return [str(each) for each in json.loads((place / MARKER).read_text())["notes"]]


def _linked(source: str, target: str) -> None:
    """One more name for a file of a package, which an installer replaces and never rewrites; a copy of anything else."""
    if _LIBRARIES in source:
        try:
            return os.link(source, target)
        except OSError:
            # Another file system, or one without links.
            pass
    shutil.copy2(source, target)
    return None


def _name_anew(folder: Path, old: Sequence[Path], new: Path) -> None:
    """Scripts of an environment name its interpreter by its path."""
    for script in (folder / "bin").iterdir():
        if script.is_symlink() or not script.is_file():
            continue
        text = told = script.read_bytes()
        for each in old:
            told = told.replace(os.fsencode(each), os.fsencode(new))
        if told != text:
            script.write_bytes(told)
