"""Owns the writing of patches: into a throw-away copy while they are tried, into the user's clean tree when they are kept."""

from __future__ import annotations

import difflib
import subprocess
from typing import TYPE_CHECKING

from toughen.errors import DirtyTreeError
from toughen.store import write

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from toughen.model.patch import FileChange, Patch


def diff(changes: Iterable[FileChange]) -> str:
    """A unified diff that `git apply` takes."""
    parts: list[str] = []
    for change in changes:
        old = "/dev/null" if change.before == "" else f"a/{change.file}"
        lines = difflib.unified_diff(_lines(change.before), _lines(change.after), old, f"b/{change.file}", n=3)
        parts.extend(line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines)
    return "".join(parts)


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def put(root: Path, changes: Iterable[FileChange]) -> None:
    """Write changes below root, each file whole or not at all; its mode stays."""
    for change in changes:
        place = (root / change.file).resolve()
        if not place.is_relative_to(root.resolve()):
            message = f"{change.file} lies outside the project"
            raise DirtyTreeError(message, subject=change.file)
        place.parent.mkdir(parents=True, exist_ok=True)
        _lay(place, change.after)


def _lay(place: Path, text: str) -> None:
    mode = place.stat().st_mode & 0o777 if place.exists() else 0o644
    write(place, text.encode("utf-8"))
    place.chmod(mode)


def undo(root: Path, changes: Iterable[FileChange]) -> None:
    """Put files back as they were before these changes."""
    for change in changes:
        place = root / change.file
        if change.before == "" and place.exists():
            place.unlink()
        else:
            _lay(place, change.before)


def same_edit(offer: Patch, patch: Patch) -> bool:
    """Whether a patch would insert the same lines once more."""
    def added(changes: tuple[FileChange, ...]) -> list[str]:
        return [line for change in changes for line in change.after.splitlines() if line not in set(change.before.splitlines())]

    lines = added(patch.changes)
    return bool(lines) and added(offer.changes) == lines


def demand_clean(root: Path) -> None:
    """Raise DirtyTreeError unless root is a git tree without uncommitted changes to tracked files."""
    done = git(root, "status", "--porcelain", "--untracked-files=no", "--", ".")
    if done is None:
        raise DirtyTreeError("this folder is not a git tree", subject=root, hint="commit it first, or say --force; --dry-run shows the diff without writing")
    if done.strip():
        raise DirtyTreeError("the tree has uncommitted changes", subject=done.strip().splitlines()[:5], hint="commit or stash them first, or say --force")


def commit(root: Path, patch: Patch) -> bool:
    """One commit for one patch; False where git refused."""
    files = [change.file for change in patch.changes]
    if git(root, "add", "--", *files) is None:
        return False
    message = f"{patch.summary}\n\n{patch.finding}\n" + (f"\n{patch.note}\n" if patch.note else "")
    return git(root, "commit", "-q", "-m", message, "--", *files) is not None


def git(root: Path, *arguments: str) -> str | None:
    """Run git in root; its output, None where it failed."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=60, check=False)  # noqa: S607
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
