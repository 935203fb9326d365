"""Owns what a run of the gates is narrowed to: the change that it looks at, what is new since the baseline, and the baseline that it must not exceed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import repository
from toughen.errors import ConfigurationError
from toughen.gating import baseline as baselines
from toughen.gating.changes import base, since

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from toughen.gatekeeping import Changes
    from toughen.gating.baseline import Baseline


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run looks at."""

    changed: Changes | None = None
    """None looks at everything."""
    new: Changes | None = None
    """What came since the baseline was written."""
    baseline: Baseline | None = None
    before: str = ""
    """The commit whose baseline this one must not exceed."""

    def lines(self) -> Mapping[str, frozenset[int]]:
        """New lines by file; of the change alone, where the run is narrowed to one."""
        told = self.changed or self.new
        return told.files if told is not None else {}


def scope_of(root: Path, *, changed: bool, named: str = "", variables: Mapping[str, str] = os.environ) -> Scope:
    """Read the baseline and ask git. Raises ConfigurationError where it cannot say what changed."""
    known = baselines.read(root)
    new = since(root, known.since) if known is not None else None
    if known is not None and known.since and new is None and repository.resolved(root, "HEAD"):
        raise ConfigurationError(f"git does not know {known.since[:12]}, the commit of the baseline", subject=root, hint="a shallow clone has only the last commits: fetch all of them (`fetch-depth: 0`, `git fetch --unshallow`)")
    # pre-commit names no commit where the remote has nothing of a branch yet: all of it is new.
    first = "PRE_COMMIT_REMOTE_NAME" in variables and "PRE_COMMIT_FROM_REF" not in variables
    if not changed or (first and not named):
        return Scope(None, new, known, _committed(root))
    commit = base(root, named, variables)
    if not commit:
        what = f"git knows no commit {named!r}" if named else "there is no commit to hold the change against"
        raise ConfigurationError(what, subject=root, hint="run `toughen gate` without --changed, or name a commit with --base")
    return Scope(since(root, commit), new, known, commit)


def _committed(root: Path) -> str:
    """The commit whose baseline comes before the one that lies here: the last one, or the one before where nothing was written since."""
    head = repository.resolved(root, "HEAD")
    there = (root / baselines.FILE).read_bytes() if (root / baselines.FILE).is_file() else b""
    return head if there != repository.content(root, "HEAD", baselines.FILE) else repository.resolved(root, "HEAD^")
