"""Writing into the user's tree: only where it is clean, whole or not at all, one commit a mend."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from toughen.errors import DirtyTreeError
from toughen.harden import tree
from toughen.model.patch import FileChange, Patch

if TYPE_CHECKING:
    from pathlib import Path


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A clean repository with one file."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "config", "user.email", "t@example.com")
    git(tmp_path, "config", "user.name", "T")
    (tmp_path / "main.py").write_text("a = 1\nb = 2\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "start")
    return tmp_path


def test_uncommitted_work_is_never_written_over(repository: Path) -> None:
    """A tree with changes to tracked files is refused; an untracked file is no hindrance; a folder without git is refused."""
    tree.demand_clean(repository)
    (repository / "untracked.txt").write_text("x")
    tree.demand_clean(repository)
    (repository / "main.py").write_text("a = 3\n")
    with pytest.raises(DirtyTreeError, match="uncommitted"):
        tree.demand_clean(repository)


def test_a_folder_without_history_is_refused(tmp_path: Path) -> None:
    """Without git nothing could be taken back: it needs --force."""
    with pytest.raises(DirtyTreeError, match="not a git tree"):
        tree.demand_clean(tmp_path)


CHANGES = [
    pytest.param((FileChange("main.py", "a = 1\nb = 2\n", "a = 1\nc = 3\nb = 2\n"),), id="change"),
    pytest.param((FileChange("new/file.py", "", "x = 1\n"),), id="new-file"),
    pytest.param((FileChange("main.py", "a = 1\nb = 2\n", "a = 1\nb = 3"),), id="no-final-newline"),
    pytest.param((FileChange("main.py", "a = 1\nb = 2\n", "a = 'é\u2028'\nb = 2\n"),), id="odd-line-ends"),
]


@pytest.mark.parametrize("changes", CHANGES)
def test_the_printed_diff_applies(repository: Path, changes: tuple[FileChange, ...]) -> None:
    """`git apply` takes what `fix --dry-run` prints and makes the very files that `fix` writes."""
    (repository / "p.diff").write_text(tree.diff(changes), newline="")
    git(repository, "apply", "p.diff")
    for change in changes:
        assert (repository / change.file).read_text() == change.after


def test_put_and_undo(repository: Path) -> None:
    """What is put is undone to the byte; a file's mode stays; a new file goes."""
    (repository / "main.py").chmod(0o755)
    changes = (FileChange("main.py", "a = 1\nb = 2\n", "a = 9\n"), FileChange("new.py", "", "x\n"))
    tree.put(repository, changes)
    assert (repository / "main.py").read_text() == "a = 9\n"
    assert (repository / "main.py").stat().st_mode & 0o777 == 0o755
    tree.undo(repository, changes)
    assert (repository / "main.py").read_text() == "a = 1\nb = 2\n"
    assert not (repository / "new.py").exists()


def test_undo_keeps_the_mode(repository: Path) -> None:
    """A script that could be run can still be run after a mend was rolled back."""
    (repository / "main.py").chmod(0o755)
    changes = (FileChange("main.py", "a = 1\nb = 2\n", "a = 9\n"),)
    tree.put(repository, changes)
    tree.undo(repository, changes)
    assert (repository / "main.py").stat().st_mode & 0o777 == 0o755


def test_a_patch_cannot_leave_the_project(repository: Path) -> None:
    """A change outside the project, through `..` or a link, is refused."""
    (repository / "link").symlink_to(repository.parent)
    for file in ("../escaped.py", "link/escaped.py"):
        with pytest.raises(DirtyTreeError):
            tree.put(repository, (FileChange(file, "", "x"),))
    assert not (repository.parent / "escaped.py").exists()


def test_one_commit_a_mend(repository: Path) -> None:
    """A mend becomes one commit of its own files, with its finding in the message; other work stays as it is."""
    (repository / "other.txt").write_text("mine")
    git(repository, "add", "other.txt")
    patch = Patch("race/lost-update@POST /x", (FileChange("main.py", "a = 1\nb = 2\n", "a = 2\n"),), "let the database add")
    tree.put(repository, patch.changes)
    assert tree.commit(repository, patch)
    assert git(repository, "show", "--format=%B", "--name-only", "HEAD").split() == ["let", "the", "database", "add", "race/lost-update@POST", "/x", "main.py"]
    assert git(repository, "status", "--porcelain") == "A  other.txt\n"
