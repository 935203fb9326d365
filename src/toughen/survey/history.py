"""Owns what git knows of a project: keys that its history still holds, and whether it tracks a file. The repository is hostile: nothing of it is executed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Secret, masked
from toughen.model.source import Location
from toughen.repository import lines
from toughen.survey.literals import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_COMMITS: Final = 400
_MOST: Final = 20
_TEST: Final = re.compile(r"(?:^|/)(?:tests?|fixtures|node_modules|site-packages)/|test_[^/]*$|\.(?:lock|min\.js|svg|ipynb|md)$|\.env\.(?:example|sample|template|dist)$")
_QUOTED: Final = re.compile(r"""["']([^"'\s]{16,200})["']|=\s*([^\s"']{16,200})\s*$""")
_PLACEHOLDER: Final = re.compile(r"example|x{6,}|0{8,}|1234567|your[-_]|placeholder|dummy|test_", re.IGNORECASE)


def history(root: Path, texts: Mapping[str, str]) -> tuple[Secret, ...]:
    """Keys in the form of their providers that a commit added and no file holds now; bounded in time, commits and bytes."""
    if not (root / ".git").exists():
        return ()
    now = "\n".join(texts.values())
    found: dict[str, Secret] = {}
    for commit, file, value in _added(root):
        if value not in now and value not in found and not _PLACEHOLDER.search(value):
            found[value] = Secret(f"a provider's key that commit {commit} put into {file}", masked(value), Location(file, 0))
        if len(found) >= _MOST:
            break
    return tuple(found.values())


def tracked(root: Path, name: str) -> bool:
    """Whether git tracks that file."""
    if not (root / ".git").exists():
        return False
    return name in "".join(lines(root, ["ls-files", "--", name])).splitlines()


def _added(root: Path) -> Iterator[tuple[str, str, str]]:
    """(commit, file, value) for each key-shaped value that a commit added."""
    commit = file = ""
    wanted = ["log", "-p", "-U0", "--no-color", "--no-textconv", "--no-ext-diff", "--no-renames", f"--max-count={_COMMITS}", "--format=commit %h"]
    for line in lines(root, wanted):
        if line.startswith("commit "):
            commit = line[7:].strip()[:12]
        elif line.startswith("+++ "):
            file = line[4:].strip().removeprefix("b/")
        elif line.startswith("+") and not _TEST.search(file):
            for match in _QUOTED.finditer(line[1:2_000]):
                value = match.group(1) or match.group(2)
                if PROVIDER.match(value):
                    yield commit, file, value
