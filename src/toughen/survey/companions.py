"""Owns the files beside the source that mends may have to extend."""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from toughen.survey.history import tracked

if TYPE_CHECKING:
    from pathlib import Path

_DEPENDENCIES: Final = ("requirements.txt", "requirements.in", "requirements/base.txt", "requirements/prod.txt", "pyproject.toml")
_NAMES: Final = (
    *_DEPENDENCIES,
    ".env.example", ".env.sample", ".env.template", ".env.dist", "env.example", "example.env",
)  # fmt: skip
_LAID: Final = ("ops/alerts.yml", "ops/log-alerts.yml")
"""Files that mends lay where there are none; what one holds that is there is nobody's business."""
_LARGEST: Final = 1 << 18


def companions(root: Path, home: str = ".") -> tuple[tuple[str, str], ...]:
    """(file, text) of those that are there, small and written in UTF-8: another encoding cannot be written back as it was.

    Of the dependency files those nearest to `home`, the folder of the entry, come first.
    """
    found = []
    nearer = [folder for folder in (PurePosixPath(home), *PurePosixPath(home).parents) if folder.parts and ".." not in folder.parts]
    inner = [(folder / name).as_posix() for folder in nearer for name in _DEPENDENCIES]
    settings = [name for name in dict.fromkeys([".env", *((folder / ".env").as_posix() for folder in nearer)]) if (root / name).is_file() and tracked(root, name)]
    for name in (*inner, *_NAMES, *settings):
        place = root / name
        with suppress(OSError, ValueError):
            if place.is_file() and place.resolve().is_relative_to(root.resolve()) and place.stat().st_size <= _LARGEST:
                text = place.read_bytes().decode("utf-8")
                if "\r" not in text and not text.startswith("\ufeff"):
                    found.append((name, text))
    found += [(name, "") for name in _LAID if (root / name).exists()]
    return tuple(found)
