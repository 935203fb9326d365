"""Owns files that the prototype opens from another folder than the one that they lie in: whoever runs it stands there."""

from __future__ import annotations

import os
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toughen.explore.session import Session

_LARGEST = 20 << 20
"""Bytes of the largest file that is copied."""
_SKIPPED = {".git", "node_modules", "__pycache__", "venv", ".venv", "site-packages"}


def bring(session: Session) -> list[str]:
    """Copy files that were opened in vain to where they were sought, where the project has one of that name; what was done, in words."""
    done = []
    for name in sorted(session.missing_files):
        sought = PurePosixPath(name)
        if sought.is_absolute() or ".." in sought.parts:
            continue
        found = _named(session.lab.project, sought.name)
        place = session.lab.imports / sought
        if len(found) == 1 and not place.exists() and found[0].stat().st_size <= _LARGEST:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found[0], place)
            done.append(f"copied {found[0].relative_to(session.lab.project).as_posix()} to {name}, where the source opens it")
    session.missing_files.clear()
    return done


def _named(root: Path, name: str) -> list[Path]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [each for each in folders if each not in _SKIPPED]
        if name in files:
            found.append(Path(folder) / name)
    return [each for each in found if each.is_file() and not each.is_symlink()]
