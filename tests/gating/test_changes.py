"""What changed since a commit: found by comparing contents, in any repository, without running anything of it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from toughen.errors import ConfigurationError
from toughen.gating.changes import base, since
from toughen.gating.scope import scope_of

if TYPE_CHECKING:
    from pathlib import Path


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    (root / "main.py").write_text("a = 1\nb = 2\nc = 3\n")
    (root / "old.py").write_text("x = 1\n")
    (root / ".gitignore").write_text("ignored.py\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def test_lines(repository: Path) -> None:
    """Lines that were added or altered are new, whether they are committed, staged, in the tree or in a file that git does not track; ignored files are not."""
    first = git(repository, "rev-parse", "HEAD")
    (repository / "main.py").write_text("a = 1\nb = 22\nc = 3\nd = 4\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    (repository / "fresh.py").write_text("y = 1\nz = 2\n")
    (repository / "ignored.py").write_text("q = 1\n")
    (repository / "old.py").unlink()
    changes = since(repository, first)
    assert changes is not None
    assert changes.files == {"main.py": frozenset({2, 4}), "fresh.py": frozenset({1, 2})}
    assert changes.gone == {"old.py"}
    assert changes.touch(".py")
    assert not changes.touch(".txt")
    assert changes.lines("nowhere.py") == frozenset()


def test_same(repository: Path) -> None:
    """Nothing changed where nothing did, and not where only the ends of lines are others."""
    assert since(repository, "HEAD") == type(since(repository, "HEAD"))("HEAD", {}, frozenset())  # type: ignore[misc]
    (repository / "main.py").write_bytes(b"a = 1\r\nb = 2\r\nc = 3\r\n")
    changes = since(repository, "HEAD")
    assert changes is not None
    assert changes.lines("main.py") == frozenset()


def test_below(repository: Path) -> None:
    """A project in a folder of a repository has its own files only, by their paths in the project."""
    backend = repository / "backend"
    backend.mkdir()
    (backend / "app.py").write_text("one = 1\n")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "backend")
    (backend / "app.py").write_text("one = 1\ntwo = 2\n")
    (repository / "main.py").write_text("changed = True\n")
    changes = since(backend, "HEAD")
    assert changes is not None
    assert changes.files == {"app.py": frozenset({2})}


def test_hostile(repository: Path) -> None:
    """Filters, hooks and monitors that a repository configures are not run."""
    for key, value in (("filter.evil.clean", "touch ran; cat"), ("filter.evil.smudge", "touch ran; cat"), ("core.fsmonitor", "touch ran"), ("diff.external", "touch ran")):
        git(repository, "config", key, value)
    (repository / ".gitattributes").write_text("*.py filter=evil diff=evil\n")
    (repository / "main.py").write_text("a = 1\n")
    assert since(repository, "HEAD") is not None
    assert not (repository / "ran").exists()


def test_unknown(repository: Path, tmp_path: Path) -> None:
    """A commit that git does not know, an option in its place and a folder without git are no commits."""
    assert since(repository, "0" * 40) is None
    assert since(repository, "--output=x") is None
    assert since(tmp_path, "HEAD") is None
    assert base(tmp_path, "", {}) == ""


def test_base(repository: Path) -> None:
    """A change is held against where its branch began: the branch that is named, or that CI names; else the last commit."""
    start = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "-qb", "feature")
    (repository / "main.py").write_text("a = 1\n")
    git(repository, "commit", "-qam", "feature")
    git(repository, "checkout", "-q", "main")
    (repository / "old.py").write_text("x = 2\n")
    git(repository, "commit", "-qam", "meanwhile")
    git(repository, "update-ref", "refs/remotes/origin/main", "main")
    git(repository, "checkout", "-q", "feature")
    assert base(repository, "main", {}) == start
    assert base(repository, "", {"GITHUB_BASE_REF": "main"}) == start
    assert base(repository, "", {"CI_MERGE_REQUEST_DIFF_BASE_SHA": start}) == start
    assert base(repository, "", {}) == git(repository, "rev-parse", "HEAD")


def test_scope(repository: Path, tmp_path: Path) -> None:
    """A run that cannot know what changed says so, and what to do."""
    assert scope_of(repository, changed=False, variables={}).changed is None
    assert scope_of(repository, changed=True, variables={}).changed is not None
    with pytest.raises(ConfigurationError, match="git knows no commit 'nowhere'"):
        scope_of(repository, changed=True, named="nowhere", variables={})
    with pytest.raises(ConfigurationError, match="no commit to hold the change against"):
        scope_of(tmp_path, changed=True, variables={})
    (repository / "toughen-baseline.json").write_text('{"schema": 1, "since": "%s", "gates": {}}' % ("1" * 40))
    with pytest.raises(ConfigurationError, match="git does not know 111111111111"):
        scope_of(repository, changed=False, variables={})
