"""What a change can have touched: never less, and not everything for a line of one route."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from toughen.gatekeeping import Changes
from toughen.gating.affected import affected
from toughen.gating.changes import since
from toughen.survey import read, survey

if TYPE_CHECKING:
    from pathlib import Path

APP = """from fastapi import Depends, FastAPI, HTTPException

import pricing

app = FastAPI()
LIMIT = 50


def known(token: str):
    if token != "x":
        raise HTTPException(401)
    return token


@app.get("/items")
def items():
    # all of them
    return [pricing.total(1)]


@app.post("/buy", dependencies=[Depends(known)])
def buy(amount: int):
    if amount < 1:
        raise HTTPException(400)
    return {"paid": amount}


@app.get("/free")
def free():
    return 0
"""
PRICING = "RATE = 2\n\n\ndef total(price):\n    return price * RATE\n"
ALL = {"GET /items", "POST /buy", "GET /free"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {"main.py": APP, "pricing.py": PRICING, "other.py": "import flask\n", "test_main.py": "def test(): ...\n", "settings.toml": "x = 1\n", "docs/a.json": "{}", ".github/workflows/ci.yml": "on: push\n", "toughen.toml": "seed = 1\n", ".env": "A=1\n"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-Af")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(root), *arguments], capture_output=True, check=True)


def touched(root: Path) -> set[str]:
    sources = read(root)
    changes = since(root, "HEAD")
    assert changes is not None
    return set(affected(survey(sources), sources.texts, changes))


@pytest.mark.parametrize(("file", "before", "after", "routes"), [
    ("main.py", '    return {"paid": amount}', '    return {"paid": amount + 1}', {"POST /buy"}),
    ("main.py", "    if amount < 1:\n        raise HTTPException(400)\n", "", {"POST /buy"}),
    ("main.py", ", dependencies=[Depends(known)])", ")", {"POST /buy"}),
    ("main.py", "    return 0\n", "    return 0\n\n\n# the end\n\n", set()),
    ("main.py", "    # all of them\n", "", set()),
    ("main.py", "LIMIT = 50", "LIMIT = 5000", ALL),
    ("main.py", "LIMIT = 50\n", "", ALL),
    ("main.py", '@app.get("/free")\ndef free():\n    return 0\n', "", ALL - {"GET /free"}),
    ("pricing.py", "    return price * RATE", "    return price", {"GET /items"}),
    ("pricing.py", "RATE = 2", "RATE = 3", ALL),
    ("other.py", "import flask", "import flask as f", set()),
    ("test_main.py", "...", "assert 1", set()),
    ("settings.toml", "1", "2", ALL),
    (".env", "1", "2", ALL),
    ("docs/a.json", "{}", "[]", set()),
    (".github/workflows/ci.yml", "push", "pull_request", set()),
    ("toughen.toml", "1", "2", set()),
])
def test_changes(project: Path, file: str, before: str, after: str, routes: set[str]) -> None:
    """A line of a handler, or of what it calls, touches its route, taken out or put in; what lies beneath all of them, in source or beside it, touches all; tests, tools and documents touch none."""
    text = (project / file).read_text()
    assert before in text
    (project / file).write_text(text.replace(before, after))
    assert touched(project) == routes


def test_decorator_gone(project: Path) -> None:
    """A decorator that is taken out lies between functions: everything is looked at."""
    text = (project / "main.py").read_text().replace("@app.post", "@str\n@app.post").replace('@app.get("/free")\n', "@app.get(\"/free\")\n@app.get('/liberty')\n")
    (project / "main.py").write_text(text)
    git(project, "commit", "-qam", "second")
    (project / "main.py").write_text(text.replace("@app.get('/liberty')\n", ""))
    assert touched(project) >= {"GET /free"}


@pytest.mark.parametrize(("file", "routes"), [("pricing.py", ALL), ("settings.toml", ALL), ("test_main.py", set()), ("docs/a.json", set())])
def test_gone(project: Path, file: str, routes: set[str]) -> None:
    """A file of the application that is gone touches everything, one of the tests nothing."""
    (project / file).unlink()
    if file == "test_main.py":
        # The survey no longer knows that it was one.
        sources = read(project)
        assert affected(survey(sources), sources.texts, Changes("HEAD", {}, frozenset({"tests/test_main.py"}))) == frozenset()
        return
    assert touched(project) == routes


def test_line_ends(project: Path) -> None:
    """A checkout with other line ends has changed nothing."""
    (project / "main.py").write_bytes((project / "main.py").read_bytes().replace(b"\n", b"\r\n"))
    assert touched(project) == set()


def test_new_file(project: Path) -> None:
    """A new module that the application imports is looked at with all routes: what it does while it is imported touches them all."""
    (project / "fresh.py").write_text("def x():\n    return 1\n")
    assert touched(project) == set()
    text = (project / "main.py").read_text()
    (project / "main.py").write_text(text.replace("    return 0\n", "    import fresh\n    return fresh.x()\n"))
    assert touched(project) == {"GET /free"}, "what it holds is in what the route calls"
    (project / "fresh.py").write_text("SEEN = []\n\n\ndef x():\n    return 1\n")
    assert touched(project) == ALL


def test_named_in_a_text(project: Path) -> None:
    """A module that is loaded by its name touches everything as well."""
    (project / "plugins").mkdir()
    (project / "plugins/audit.py").write_text("x = 1\n")
    (project / "main.py").write_text((project / "main.py").read_text().replace("LIMIT = 50\n", "LIMIT = 50\n__import__('plugins.audit')\n"))
    git(project, "add", "-A")
    git(project, "commit", "-qm", "second")
    (project / "plugins/audit.py").write_text("x = 2\n")
    assert touched(project) == ALL
