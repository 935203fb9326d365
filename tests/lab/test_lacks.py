"""What an environment turned out to lack is remembered for the same source, and for nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from toughen.lab import environment as environments
from toughen.lab.environment import Environment
from toughen.lab.lacks import Lacks

OURS = Environment(Path(sys.executable), "3.11", "built", cached=True, own=True)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, an empty cache, and an installer that has everything but `gone`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(environments, "extend", lambda environment, need: None if need == "gone" else replace(environment, notes=(*environment.notes, f"added {need}")))
    root = tmp_path / "shop"
    root.mkdir()
    (root / "main.py").write_text("import flask_limiter\n")
    return root


def met(project: Path, *needs: str) -> None:
    """A run that met these needs."""
    lacks = Lacks.of(project, OURS)
    lacks.supplied(OURS)
    lacks.met += needs
    lacks.keep()


def test_the_next_run_has_it_from_the_start(project: Path) -> None:
    """What one run met, in its order, the next one has before the first boot; what that one meets besides is added."""
    met(project, "flask_limiter", "redis")
    assert Lacks.of(project, OURS).supplied(OURS).notes == ("added flask_limiter", "added redis")
    met(project, "stripe")
    assert Lacks.of(project, OURS).known == ["flask_limiter", "redis", "stripe"]


def test_another_source_or_environment_is_another_matter(project: Path) -> None:
    """Nothing is remembered of a source that has changed, nor for another environment."""
    met(project, "redis")
    assert Lacks.of(project, replace(OURS, python=Path("/usr/bin/python3"))).known == []
    (project / "main.py").write_text("import flask\n")
    assert Lacks.of(project, OURS).known == []


def test_what_can_no_longer_be_had_is_not_insisted_on(project: Path) -> None:
    """A need that cannot be met any more ends the list there: the boot will say what is missing."""
    met(project, "redis", "gone", "stripe")
    lacks = Lacks.of(project, OURS)
    assert lacks.supplied(OURS).notes == ("added redis",)
    lacks.keep()
    assert Lacks.of(project, OURS).known == ["redis"]


@pytest.mark.parametrize("text", ["", "{", '"redis"', "[1, null]"])
def test_a_note_that_cannot_be_read_says_nothing(project: Path, text: str) -> None:
    """A damaged file of the cache is as good as none."""
    met(project, "redis")
    Lacks.of(project, OURS).file.write_text(text)
    assert Lacks.of(project, OURS).known == []
