"""`toughen fix` ends with tests: end to end, on a prototype that is booted, mended and tested for real."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import specimens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

ONLY = ("--only", "security/object-authorization", "--only", "input", "--only", "suite/none")


@pytest.mark.long
def test_what_was_mended_is_kept_by_tests(prototype: Write, tmp_path: Path) -> None:
    """The tests pass on what `fix` wrote, those of breaks fail on the source as it was, `suite/none` is gone by them, every guard that a repair brought is told of, and a second run changes none of them."""
    project = prototype({**specimens.BROKEN, "requirements.txt": "fastapi\n", "requirements-dev.txt": "ruff\n"})
    done = project.toughen("fix", str(project.root), "--force", "--format", "json", *ONLY, seconds=400)
    report = json.loads(done.stdout)
    assert report["tests"]["files"] == ["tests/test_hardened.py", "requirements-dev.txt"]
    assert (project.root / "requirements-dev.txt").read_text() == "ruff\npytest\nhttpx\n"
    assert any(" guards that the repairs brought are held by the tests" in each for each in report["notes"]), report["notes"]
    assert [each for each in report["mends"] if each["finding"].startswith("suite/none@") and each["outcome"] == "gone"]
    text = (project.root / "tests" / "test_hardened.py").read_text()
    known = specimens.known(specimens.MENDED)
    mended = specimens.outcomes(tmp_path / "mended", {"main.py": (project.root / "main.py").read_text()}, known, text)
    assert set(mended.values()) == {"PASSED"}, mended
    broken = specimens.outcomes(tmp_path / "broken", specimens.BROKEN, known, text)
    assert {name for name, word in broken.items() if word == "PASSED"} == {name for name in broken if name.endswith("_works")}
    assert "test_read_hides_another_users_note" in broken
    assert "toughen" not in text
    again = project.toughen("fix", str(project.root), "--force", *ONLY, seconds=400)
    assert (project.root / "tests" / "test_hardened.py").read_text() == text, again.stderr


@pytest.mark.long
def test_they_can_be_left_out(prototype: Write) -> None:
    """`--no-tests` mends and writes no test."""
    project = prototype({**specimens.BROKEN, "requirements.txt": "fastapi\n"})
    done = project.toughen("fix", str(project.root), "--force", "--no-tests", "--format", "json", "--only", "security/object-authorization", seconds=400)
    report = json.loads(done.stdout)
    assert [each for each in report["mends"] if each["outcome"] == "kept"]
    assert "tests" not in report
    assert not (project.root / "tests").exists()
