"""The hook that is laid is called before a push: what pre-commit says of it is what the gate looks at."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from toughen.gating.scope import scope_of

if TYPE_CHECKING:
    from pathlib import Path


def test_a_push_is_held_against_what_the_remote_has(tmp_path: Path) -> None:
    """Commits that are pushed count as the change, though nothing differs from the last commit; all of it where the remote has nothing of the branch yet."""

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        return subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    (tmp_path / "main.py").write_text("a = 1\n")
    git("add", "-A")
    git("commit", "-qm", "first")
    there = git("rev-parse", "HEAD")
    (tmp_path / "main.py").write_text("a = 1\nb = 2\n")
    git("commit", "-qam", "second")
    bare = scope_of(tmp_path, changed=True, variables={})
    assert bare.changed is not None
    assert not bare.changed.files
    pushed = scope_of(tmp_path, changed=True, variables={"PRE_COMMIT_FROM_REF": there, "PRE_COMMIT_REMOTE_NAME": "origin"})
    assert pushed.changed is not None
    assert pushed.changed.files == {"main.py": frozenset({2})}
    first = scope_of(tmp_path, changed=True, variables={"PRE_COMMIT_REMOTE_NAME": "origin"})
    assert first.changed is None
