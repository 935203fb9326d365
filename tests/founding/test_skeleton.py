"""`toughen new-rule`: one file that is a rule at once, and whose examples fail until it is filled."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from toughen.errors import ConfigurationError
from toughen.founding.skeleton import begun

HERE = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout: its source, and the test that every rule is put to."""
    for name in ("src", "tests/test_rules.py", "tests/conftest.py", "pyproject.toml"):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if (HERE / name).is_dir():
            shutil.copytree(HERE / name, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(HERE / name, place)
    return tmp_path


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a copy, with the copy's own source."""
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=checkout, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_rule_begins_with_one_file_that_is_found_and_fails(checkout: Path) -> None:
    """The file is well written, is a rule that `explain` knows, and its broken example fails in the generated test, as nothing proves it yet."""
    begins = run(checkout, "-m", "toughen", "new-rule", "input/absent-object")
    assert begins.returncode == 0, begins.stderr
    file = checkout / "src/toughen/rules/input/absent_object.py"
    assert str(file) in begins.stdout
    assert "class AbsentObject(Rule):" in file.read_text()
    assert "@" not in file.read_text().replace("@app", "")
    explained = run(checkout, "-m", "toughen", "explain", "input/absent-object")
    assert explained.stdout.startswith("input/absent-object: FILL"), explained.stderr
    unused = ("--ignore", "F401", "--ignore", "TD", "--ignore", "FIX")
    linted = run(checkout, "-m", "ruff", "check", "--no-cache", *unused, str(file))
    assert linted.returncode == 0, linted.stdout
    tested = run(checkout, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_rules.py", "-k", "input/absent-object")
    assert tested.returncode == 1, tested.stdout
    assert "FAILED tests/test_rules.py::test_broken[input/absent-object-0]" in tested.stdout, tested.stdout
    again = run(checkout, "-m", "toughen", "new-rule", "input/absent-object")
    assert again.returncode == 2
    assert "already" in again.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", "is not of the form place/name"), ("input/Absent", "is not of the form place/name"), ("input/../x", "is not of the form place/name"),
        ("inptu/absent", "there is no place 'inptu'; did you mean 'input'?"), ("input/crash", "there is rules/input/crash.py already"), ("input/lambda", "'lambda' is a word of Python's"),
    ],
)
def test_a_name_that_will_not_do(name: str, said: str) -> None:
    """One sentence, and nothing is written."""
    before = sorted((HERE / "src/toughen/rules").rglob("*.py"))
    with pytest.raises(ConfigurationError) as told:
        begun(name)
    assert said in told.value.message
    assert sorted((HERE / "src/toughen/rules").rglob("*.py")) == before


def test_an_installed_toughen_begins_no_rule(tmp_path: Path) -> None:
    """Rules are loaded from the package alone: where there is no checkout it is said what to do."""
    folder = tmp_path / "site-packages" / "toughen" / "rules"
    (folder / "input").mkdir(parents=True)
    (folder / "input" / "__init__.py").touch()
    with pytest.raises(ConfigurationError, match="checkout") as told:
        begun("input/absent", folder)
    assert "clone" in told.value.hint
    assert [each.name for each in (folder / "input").iterdir()] == ["__init__.py"]
