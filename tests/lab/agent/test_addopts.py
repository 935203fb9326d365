"""What a project adds to every call of pytest, without what spreads, measures, reports or ends early."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from toughen.lab.agent.addopts import without

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("name", "text", "kept"), [
    ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = "-vv -n auto --cov --cov-report xml --cov-fail-under=100"\nasyncio_mode = "auto"\n', ["-vv"]),
    ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = [\n  "--cov=app", "--import-mode=importlib",\n  "-p", "no:warnings",\n]\n\n[tool.other]\naddopts = "x"\n', ["--import-mode=importlib", "-p", "no:warnings"]),
    ("pyproject.toml", '[tool.pytest.ini_options]\naddopts = """\n  -ra\n  --maxfail 1\n"""\n', ["-ra"]),
    ("pytest.ini", "[pytest]\naddopts = -xq --ds=site.settings --reruns 2 -n4\n    --html report.html -m 'not slow'  # local\n", ["-q", "--ds=site.settings", "-m", "not slow"]),
    ("setup.cfg", "[tool:pytest]\naddopts = -x --lf\n", []),
    ("tox.ini", "[pytest]\naddopts = --junitxml=a.xml\n", []),
    ("pytest.toml", "[pytest]\naddopts = ['--dist', 'load', '-W', 'error']\n", ["-W", "error"]),
])
def test_filtered(tmp_path: Path, name: str, text: str, kept: list[str]) -> None:
    """What says how tests are found and what they need stays, in every file that pytest reads."""
    (tmp_path / name).write_text(text)
    option, value = without(str(tmp_path), ["tests/test_a.py"])
    assert option == "-o"
    assert shlex.split(value.removeprefix("addopts=")) == kept


@pytest.mark.parametrize(("name", "text"), [
    ("pytest.ini", "[pytest]\naddopts = -ra --strict-markers\n"), ("pyproject.toml", "[tool.pytest.ini_options]\n"), ("pyproject.toml", "[project]\nname = 'x'\n"), ("setup.cfg", "not a section"),
    ("setup.cfg", "[metadata]\nname = x\n"), ("pytest.ini", "[pytest]\naddopts = 'open\n"),
])
def test_left(tmp_path: Path, name: str, text: str) -> None:
    """Where there is nothing to leave out, or nothing that can be read, nothing is said."""
    (tmp_path / name).write_text(text)
    assert without(str(tmp_path), []) == []


def test_nearest(tmp_path: Path) -> None:
    """The file counts that lies nearest above the tests, as pytest finds it; none above the project does."""
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -n 2\n")
    root = tmp_path / "project"
    (root / "backend/tests").mkdir(parents=True)
    assert without(str(root), ["backend/tests/test_a.py"]) == []
    (root / "setup.cfg").write_text("[tool:pytest]\naddopts = -n 3 -ra\n")
    assert without(str(root), ["backend/tests/test_a.py"]) == ["-o", "addopts=-ra"]
    (root / "backend/pytest.ini").write_text("[pytest]\naddopts = -q\n")
    assert without(str(root), ["backend/tests/test_a.py"]) == []
