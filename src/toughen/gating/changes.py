"""Owns what changed since a commit: lines that are there now and were not there then, found by comparing contents, so that no filter of the repository's runs."""

from __future__ import annotations

import difflib
import hashlib
import os
from typing import TYPE_CHECKING, Final

from toughen import repository
from toughen.gatekeeping import Changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_LARGEST: Final = 2 << 20
"""Bytes of a file whose lines are compared; all lines of a larger one count as new."""
_SHA1: Final = 40


def base(root: Path, named: str, variables: Mapping[str, str]) -> str:
    """The commit that a change is held against: where the named branch parts from here, else what a push (by pre-commit) or CI says, else the last commit; empty where git knows none."""
    told = named or variables.get("PRE_COMMIT_FROM_REF", "") or variables.get("CI_MERGE_REQUEST_DIFF_BASE_SHA", "") or (f"origin/{variables['GITHUB_BASE_REF']}" if variables.get("GITHUB_BASE_REF") else "")
    found, head = repository.resolved(root, told or "HEAD"), repository.resolved(root, "HEAD")
    return repository.shared(root, found, head) if found and head and found != head else found


def since(root: Path, commit: str) -> Changes | None:
    """What came since a commit, what is not committed and not ignored included; None where git does not know that commit."""
    known = repository.resolved(root, commit) if commit else ""
    if not known:
        return None
    then = dict(_tree(root, known))
    names = dict.fromkeys([*then, *repository.names(root, ["ls-files", "--others", "--exclude-standard", "-z"]), *repository.names(root, ["ls-files", "-z"])])
    files: dict[str, frozenset[int]] = {}
    cuts: dict[str, frozenset[int]] = {}
    for name in names:
        now = _read(root / name)
        if now is None or then.get(name) == _digest(now, len(then.get(name, "0" * _SHA1))):
            continue
        before = repository.content(root, known, name) if name in then and len(now) <= _LARGEST else b""
        found, cut = _new(before, now)
        if found or name not in then or before.splitlines() != now.splitlines():
            files[name] = found
        if cut:
            cuts[name] = cut
    return Changes(commit, files, frozenset(name for name in then if not (root / name).exists()), cuts)


def _tree(root: Path, commit: str) -> Iterator[tuple[str, str]]:
    """(file, id of its content) of a commit, below the root."""
    for entry in b"".join(repository.output(root, ["ls-tree", "-r", "-z", commit])).split(b"\0"):
        about, _, name = entry.partition(b"\t")
        parts = about.split()
        if name and len(parts) == 3 and parts[1] == b"blob" and parts[0] != b"120000":  # noqa: PLR2004 - mode, kind, id
            yield os.fsdecode(name), parts[2].decode()


def _read(file: Path) -> bytes | None:
    """A file's content; None for what is none, or leads elsewhere."""
    try:
        return file.read_bytes() if file.is_file() and not file.is_symlink() else None
    except OSError:
        return None


def _digest(content: bytes, length: int) -> str:
    """Git's id of a content."""
    whole = b"blob %d\0%b" % (len(content), content)
    return hashlib.sha1(whole, usedforsecurity=False).hexdigest() if length == _SHA1 else hashlib.sha256(whole).hexdigest()


def _new(before: bytes, now: bytes) -> tuple[frozenset[int], frozenset[int]]:
    """(numbers of the lines, from 1, that are new; of those behind which something was taken out); how lines end does not count."""
    old, lines = before.decode("utf-8", "replace").splitlines(), now.decode("utf-8", "replace").splitlines()
    if not old:
        return frozenset(range(1, len(lines) + 1)), frozenset()
    blocks = difflib.SequenceMatcher(None, old, lines, autojunk=False).get_opcodes()
    new = frozenset(number + 1 for kind, _, _, start, end in blocks if kind in {"insert", "replace"} for number in range(start, end))
    return new, frozenset(start for kind, first, last, start, _ in blocks if kind == "delete" and any(each.strip() and not each.lstrip().startswith("#") for each in old[first:last]))
