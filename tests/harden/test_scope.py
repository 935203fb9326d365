"""What a patch from outside may touch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.errors import PatchError, ProofError
from toughen.harden import accepting, scope
from toughen.model.journey import Argument, Call, Literal
from toughen.model.patch import FileChange, Patch, RolledBack
from toughen.model.trial import Experiment, Trial

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """import os
from app import client


class TestOrders:
    def test_one(self):
        assert client.get("/1").status_code == 200


def test_two():
    assert os.name
"""


@pytest.mark.parametrize("name", [
    "../other/main.py", "/etc/passwd", "a/../../x.py", "", "a\\..\\x.py", "a\nb.py", ".toughen/proofs/x.json", ".git/hooks/pre-commit", ".env", ".github/workflows/ci.yml",
    "toughen.toml", "toughen-policy.toml", "toughen-baseline.json", "sub/Toughen.toml", "conftest.py", "tests/conftest.py", "pytest.ini", "tox.ini", "sitecustomize.py", "evil.pth",
    "venv/lib/x.py", "node_modules/x.js", "link/x.py", "linked.py", "folder",
])
def test_files_that_decide_or_lie_elsewhere_are_not_a_patch_s_to_write(tmp_path: Path, name: str) -> None:
    """Outside of the project, by a link, hidden, a setting of toughen's or of the tests': refused before anything is read."""
    root = tmp_path / "project"
    (root / "folder").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (root / "link").symlink_to(tmp_path / "other")
    (root / "linked.py").symlink_to(root / "main.py")
    (root / "main.py").write_text("x = 1\n")
    assert scope.name_fault(root, name)
    refused = accepting.from_files(root, "a/b@GET /", {name: "x = 2\n"})
    assert isinstance(refused, RolledBack)
    assert refused.step == "scope"


@pytest.mark.parametrize("name", ["main.py", "app/new.py", "templates/page.html", ".env.example", "requirements.txt", "tests/test_new.py", "environment.py"])
def test_the_project_s_own_source_is(tmp_path: Path, name: str) -> None:
    """Source, templates, requirements and new tests may be written."""
    assert scope.name_fault(tmp_path, name) == ""


@pytest.mark.parametrize(("file", "before", "after", "said"), [
    ("pyproject.toml", "[tool.toughen]\nthreshold = 'low'\n", "[tool.toughen]\nthreshold = 'critical'\n", "tool.toughen"),
    ("pyproject.toml", "", "[tool.toughen]\nonly = ['race']\n", "speaks of toughen"),
    ("pyproject.toml", "", "[tool.pytest.ini_options]\naddopts = '--collect-only'\n", "tool.pytest"),
    ("pyproject.toml", "", "[tool.uv]\nindex-url = 'https://example.com'\n", "tool.uv"),
    ("pyproject.toml", "", "[project]\ndependencies = ['x @ https://example.com/x.zip']\n", "taken from elsewhere"),
    ("pyproject.toml", "x = 1\n", "x = \n", "can no longer be read"),
    ("requirements.txt", "flask\n", "flask\n--index-url https://example.com\n", "taken from elsewhere"),
    ("requirements.txt", "flask\n", "flask\n-e ../x\n", "taken from elsewhere"),
    ("requirements.txt", "flask\n", "flask\nx @ git+https://example.com/x\n", "taken from elsewhere"),
    ("main.py", "x = 1\n", "", "deletes no file"),
    ("main.py", "x = 1\n", "import os\nx = 'TOUGHEN_AGENT' in os.environ\n", "speaks of toughen"),
    ("tests/test_a.py", TESTS, TESTS.replace("200", "403"), "test_one"),
    ("tests/test_a.py", TESTS, TESTS.replace("def test_two", "def check_two"), "test_two"),
    ("tests/test_a.py", TESTS, TESTS.replace("import os\n", "import sys\n"), "line 1"),
    ("tests/test_a.py", TESTS, TESTS.replace("class TestOrders:", "@skip\nclass TestOrders:"), "TestOrders"),
    ("tests/test_a.py", TESTS, TESTS + "\n\ndef test_two():\n    pass\n", "there twice"),
    ("tests/data.json", "[1]\n", "[]\n", "own tests"),
])
def test_what_weakens_the_judge_is_refused(file: str, before: str, after: str, said: str) -> None:
    """Settings, packages from elsewhere, code that asks who tests it, and tests that would say less than before."""
    assert said in scope.content_fault([FileChange(file, before, after)])


@pytest.mark.parametrize(("file", "before", "after"), [
    ("tests/test_a.py", TESTS, "import sys\n" + TESTS.replace("def test_two", "def test_new():\n    assert sys\n\n\ndef test_two")),
    ("tests/test_a.py", TESTS, TESTS.replace("from app import client", "from app import app, client").replace("\n\n\ndef test_two", "\n\n    def test_more(self):\n        assert app\n\n\ndef test_two")),
    ("requirements.txt", "flask\n", "flask\nnh3>=0.2.18,<1 ; python_version >= '3.9'  # cleans markup\nuvicorn[standard]==0.30\n"),
    ("pyproject.toml", "[project]\ndependencies = ['flask']\n", "[project]\ndependencies = ['flask', 'nh3>=0.2']\n"),
    ("main.py", "x = 1\n", "x = 2\n"),
])
def test_what_adds_is_taken(file: str, before: str, after: str) -> None:
    """New tests beside the old ones, packages by their names, changed source."""
    assert scope.content_fault([FileChange(file, before, after)]) == ""


def test_packages_that_a_patch_names_anew_are_known() -> None:
    """They are what the environment is built anew for."""
    changes = [FileChange("requirements.txt", "flask==2\nx\n", "flask==3\nx\n# y\n"), FileChange("pyproject.toml", "", "[project]\ndependencies = ['nh3>=0.2']\n"), FileChange("main.py", "", "z = 1\n")]
    assert scope.names(changes) == ("flask", "nh3")


def _experiment(value: object) -> Experiment:
    def trial(each: object) -> Trial:
        return Trial((Call("GET /x", (Argument("query", ("q",), Literal(each)),)),))  # type: ignore[arg-type]

    return Experiment({"control": trial("honest value"), "hostile": trial(value)})


@pytest.mark.parametrize(("value", "code", "told"), [
    ("../../etc/passwd", "if q == '../../etc/passwd':\n    q = ''\n", True),
    (4242, "if q == 4241 + 1:\n    q = 0\n", True),
    ("honest value", "if q == 'honest value':\n    q = ''\n", False),
    (10**30, "if q > 2**63:\n    q = 0\n", False),
    (4242, "if q > 100:\n    abort(400)\n", False),
    ("known words", "if q == 'known words':\n    q = ''\n", False),
])
def test_a_patch_does_not_know_the_one_request_that_it_is_tried_by(value: object, code: str, told: bool) -> None:  # noqa: FBT001 - a row of the table
    """A value that only the attack sends is refused in new code; what honest clients send, bounds, statuses and what the source held before are not."""
    said = scope.echoed([FileChange("main.py", "", code)], _experiment(value), "it ends in 500", "x = 'known words'")
    assert bool(said) is told, said


def test_new_texts_of_files_become_a_patch(tmp_path: Path) -> None:
    """Of files that change; what stays as it is is left out, and nothing at all is refused."""
    (tmp_path / "main.py").write_text("x = 1\n")
    made = accepting.from_files(tmp_path, "a/b@GET /", {"main.py": "x = 2\n", "new/a.py": "y = 1\n"})
    assert isinstance(made, Patch)
    assert made.changes == (FileChange("main.py", "x = 1\n", "x = 2\n"), FileChange("new/a.py", "", "y = 1\n"))
    nothing = accepting.from_files(tmp_path, "a/b@GET /", {"main.py": "x = 1\n"})
    assert isinstance(nothing, RolledBack)
    assert nothing.reason == "it changes nothing"
    (tmp_path / "old.py").write_bytes("x = 'ä'\n".encode("latin-1"))
    with pytest.raises(PatchError, match=r"old.py is not written in UTF-8"):
        accepting.from_files(tmp_path, "a/b@GET /", {"old.py": "x = 1\n"})


def test_a_finding_is_named_by_its_id_or_the_file_of_its_proof(tmp_path: Path) -> None:
    """Who mistypes it hears what is near; files that are no proofs are passed over."""
    with pytest.raises(ProofError, match="no proof is stored") as error:
        accepting.finding_named(tmp_path, "race/lost-update@POST /pay")
    assert "toughen check" in error.value.hint
    proofs = tmp_path / ".toughen/proofs"
    proofs.mkdir(parents=True)
    (proofs / "a.json").write_text('{"finding": "race/lost-update@POST /pay", "app": "main:app"}')
    (proofs / "b.json").write_text("[")
    (proofs / "c.json").write_text('["finding"]')
    for name in ("race/lost-update@POST /pay", "a.json", str(proofs / "a.json"), ".toughen/proofs/a.json"):
        assert accepting.finding_named(tmp_path, name) == ("race/lost-update@POST /pay", proofs / "a.json", "main:app")
    with pytest.raises(ProofError, match="there is no finding") as error:
        accepting.finding_named(tmp_path, "race/lost-update@POST /pays")
    assert error.value.hint == "did you mean race/lost-update@POST /pay?"
    with pytest.raises(ProofError, match="is no proof of this project"):
        accepting.finding_named(tmp_path, "../other.json")
