"""Owns the fingerprint of a project's source: one digest that anybody can recompute, and the commit that it is."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toughen import repository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SKIPPED: Final = frozenset({".git", ".hg", ".venv", "venv", "env", "node_modules", "__pycache__", ".toughen", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".tox"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a source is known by."""

    sha256: str
    """Of the lines `<sha256 of a file>  <its path>`, sorted by path: what `sha256sum` prints of these files, through `sha256sum`."""
    files: int
    commit: str = ""
    """The commit that has exactly these files; empty where something is not committed, or without git."""


def fingerprint(root: Path) -> Fingerprint:
    """The fingerprint of all files that git tracks or would track, without git of all but environments and caches; `.toughen/` is never part of it."""
    names = sorted(each for each in (_known(root) or _there(root)) if not each.startswith(".toughen/"))
    lines = [f"{digest}  {name}\n" for name in names if (digest := digest_of(root / name))]
    whole = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    head = repository.resolved(root, "HEAD")
    clean = bool(head) and not b"".join(repository.output(root, ["status", "--porcelain", "--untracked-files=normal", "--", "."])).strip()
    return Fingerprint(whole, len(lines), head if clean else "")


def digest_of(file: Path) -> str:
    """SHA-256 of a file's content; empty for what is no file of the project's own."""
    try:
        if file.is_symlink() or not file.is_file():
            return ""
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return ""


def _known(root: Path) -> set[str]:
    return {name for option in ("--cached", "--others") for name in repository.names(root, ["ls-files", option, "--exclude-standard", "-z"])} if repository.resolved(root, "HEAD") else set()


def _there(root: Path) -> Iterator[str]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(each for each in folders if each not in _SKIPPED)
        yield from (os.path.relpath(f"{folder}{os.sep}{each}", root) for each in files)
