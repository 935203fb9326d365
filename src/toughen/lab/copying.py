"""Owns the throw-away copies of a project: what is copied, where they lie, and the removal of those whose owner was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from toughen.errors import BootError

COPY_LIMIT = 1 << 30
"""Bytes of a project that are copied."""
_MOST_TEXTS, _LARGEST_TEXT = 2_000, 1 << 20
_SKIPPED = {".git", ".hg", ".venv", "venv", "env", "node_modules", "__pycache__", ".toughen", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"}


def copy_project(root: Path, destination: Path) -> None:
    """Copy the project without its history and environments. Raises BootError when it is larger than COPY_LIMIT."""
    total = 0

    def ignored(folder: str, names: list[str]) -> list[str]:
        nonlocal total
        left_out = []
        for name in names:
            path = os.path.join(folder, name)
            outside = os.path.islink(path) and not os.path.realpath(path).startswith(str(root.resolve()) + os.sep)
            if outside or (name in _SKIPPED and os.path.isdir(path)):
                left_out.append(name)
            elif os.path.isfile(path):
                total += os.path.getsize(path)
            elif not os.path.isdir(path) and not os.path.islink(path):
                left_out.append(name)
        if total > COPY_LIMIT:
            raise BootError(f"the project is larger than {COPY_LIMIT >> 20} MiB", subject=root, hint="run toughen in the folder of the backend")
        return left_out

    shutil.copytree(root, destination, ignore=ignored, symlinks=True)


def texts(root: Path) -> dict[str, str]:
    """The project's own Python files by their path, without environments, hidden folders and what is beyond bounds."""
    found: dict[str, str] = {}
    for folder, names, files in os.walk(root):
        inner = [each for each in sorted(names) if each not in _SKIPPED and not each.startswith(".") and each != "site-packages"]
        names[:] = [each for each in inner if not os.path.exists(os.path.join(folder, each, "pyvenv.cfg"))]
        for name in sorted(files):
            place = os.path.join(folder, name)
            if len(found) < _MOST_TEXTS and name.endswith(".py") and os.path.isfile(place) and not os.path.islink(place) and os.path.getsize(place) <= _LARGEST_TEXT:
                with contextlib.suppress(OSError), open(place, encoding="utf-8", errors="replace") as file:
                    found[Path(place).relative_to(root).as_posix()] = file.read()
    return found


def sweep(folder: str | None) -> None:
    """Remove worlds of ours whose owner was killed: it could not do it itself."""
    place = Path(folder or tempfile.gettempdir())
    for world in place.glob("toughen-*-*"):
        owner = world.name.split("-")[1]
        with contextlib.suppress(OSError):
            if owner.isdigit() and world.stat().st_uid == os.getuid() and not Path(f"/proc/{owner}").exists() and Path("/proc/self").exists():
                shutil.rmtree(world, ignore_errors=True)


def roomy() -> str | None:
    """Memory-backed storage where there is room for worlds; None where there is not."""
    shared = "/dev/shm"  # noqa: S108
    with contextlib.suppress(OSError):
        found = os.statvfs(shared)
        if found.f_bavail * found.f_frsize > 2 << 30 and os.access(shared, os.W_OK):
            return shared
    return None
