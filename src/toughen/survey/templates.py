"""Owns the templates of pages that lie beside the source, as mends may have to change them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_ENDS: Final = (".html", ".htm", ".jinja", ".jinja2", ".j2")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__", "site-packages", "dist-packages", "build", "dist", "venv", "env"})
_LARGEST, _MOST, _FOLDERS = 1 << 18, 200, 2_000


def templates(root: Path) -> tuple[tuple[str, str], ...]:
    """(file, text) of Jinja's templates: those in UTF-8 with plain ends of lines, which can be written back as they were."""
    found: list[tuple[str, str]] = []
    for at, (folder, inner, names) in enumerate(os.walk(root)):
        inner[:] = sorted(each for each in inner if each not in _SKIPPED and not each.startswith(".") and not (Path(folder) / each).is_symlink())
        for name in sorted(each for each in names if each.endswith(_ENDS)):
            place = Path(folder) / name
            with suppress(OSError, ValueError):
                if place.is_file() and not place.is_symlink() and place.stat().st_size <= _LARGEST:
                    text = place.read_bytes().decode("utf-8")
                    if ("{{" in text or "{%" in text) and "\r" not in text and not text.startswith("\ufeff"):
                        found.append((place.relative_to(root).as_posix(), text))
        if len(found) >= _MOST or at >= _FOLDERS:
            break
    return tuple(found[:_MOST])
