"""The baseline: what is let through because it was there, which may only become less."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from toughen.errors import ConfigurationError
from toughen.gating import baseline
from toughen.gating.baseline import Baseline
from toughen.model.gate import Fault

if TYPE_CHECKING:
    from pathlib import Path


def test_split() -> None:
    """As many of a key as there were are known, one more is new; strict ones are always new; what went is counted."""
    known = Baseline("", {"types": {"a": 2, "gone": 3}, "coverage": {"main.py": 10}})
    faults = [Fault("a", "1"), Fault("a", "2"), Fault("a", "3"), Fault("b", "4"), Fault("a", "5", strict=True)]
    new, old, gone = known.split("types", faults)
    assert [each.message for each in new] == ["3", "4", "5"]
    assert [each.message for each in old] == ["1", "2"]
    assert gone == 3
    assert known.split("coverage", [Fault("main.py", "", count=10)])[0] == []
    assert known.split("coverage", [Fault("main.py", "", count=11)])[0]
    assert known.split("coverage", [Fault("main.py", "", count=7)])[2] == 3
    assert known.split("other", [Fault("x", "")])[0]


def test_lowered_only(tmp_path: Path) -> None:
    """Written a first time it has all but what is strict; written again it has less, and never more."""
    made = baseline.written(tmp_path, {"lint": [Fault("a", ""), Fault("a", ""), Fault("b", ""), Fault("c", "", strict=True)]}, None)
    assert made.faults == {"lint": {"a": 2, "b": 1}}
    assert baseline.read(tmp_path) == made
    again = baseline.written(tmp_path, {"lint": [Fault("a", ""), Fault("d", "")], "types": [Fault("e", "")]}, made)
    assert again.faults == {"lint": {"a": 1}}
    kept = baseline.written(tmp_path, {"types": []}, again)
    assert kept.faults == {"lint": {"a": 1}}, "a gate that could not look keeps what it had"


def test_risen(tmp_path: Path) -> None:
    """A number that somebody raised by hand is told, with what it was."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path), *arguments], capture_output=True, check=True)

    git("init", "-q")
    baseline.written(tmp_path, {"lint": [Fault("a", "")]}, None)
    git("add", "-A")
    git("commit", "-qm", "baseline")
    now = Baseline("", {"lint": {"a": 2, "b": 1}})
    assert [each.key for each in baseline.risen(tmp_path, now, "HEAD")] == ["lint a", "lint b"]
    assert "2 of lint's 'a' through, and 1 before" in baseline.risen(tmp_path, now, "HEAD")[0].message
    assert baseline.risen(tmp_path, now, "") == []
    assert baseline.risen(tmp_path, Baseline("", {"lint": {"a": 1}}), "HEAD") == []


@pytest.mark.parametrize(("text", "said"), [
    ("{", "is not JSON"),
    ("[]", "it has no `schema`"),
    ('{"schema": 7, "toughen": "9.9"}', "has schema 7, of toughen 9.9"),
    ('{"schema": 1}', "`gates` must be an object of objects"),
    ('{"schema": 1, "gates": {"lint": 3}}', "`gates` must be an object of objects"),
    ('{"schema": 1, "gates": {"lint": {"a": 0}}}', "'a' must be a number from 1 on, not 0"),
    ('{"schema": 1, "gates": {"lint": {"a": true}}}', "'a' must be a number from 1 on, not True"),
    ("[" * 100_000, "is not JSON"),
])
def test_faults(tmp_path: Path, text: str, said: str) -> None:
    """A baseline that is none, or that another version wrote, is told with what to do; it never lets everything through."""
    (tmp_path / baseline.FILE).write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        baseline.read(tmp_path)


def test_none(tmp_path: Path) -> None:
    """No file is no baseline; an unreadable one is told."""
    assert baseline.read(tmp_path) is None
    (tmp_path / baseline.FILE).mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        baseline.read(tmp_path)


def test_whole_or_not(tmp_path: Path) -> None:
    """What is written is JSON that a person can review: one line for each fault, sorted."""
    baseline.written(tmp_path, {"lint": [Fault("b", ""), Fault("a", "ü")]}, None)
    lines = (tmp_path / baseline.FILE).read_text().splitlines()
    assert [each.strip() for each in lines if '"a"' in each or '"b"' in each] == ['"a": 1,', '"b": 1']
    assert json.loads("\n".join(lines))["schema"] == 1
