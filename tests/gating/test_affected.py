"""What a change can have touched: the routes whose handlers run a changed line, all where it lies beneath them, none where nothing is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.gatekeeping import Changes
from toughen.gating.affected import affected
from toughen.survey import read, survey

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """from flask import Flask
import helpers
import models

app = Flask(__name__)


@app.get("/one")
def one():
    return helpers.first()


@app.get("/two")
def two():
    return "two"
"""
HELPERS = """def first():
    return "first"


def unused():
    return "nobody"
"""
ALL = {"GET /one", "GET /two"}


@pytest.mark.parametrize(("files", "gone", "routes"), [
    ({"main.py": {9}}, (), {"GET /one"}),
    ({"main.py": {13}}, (), {"GET /two"}),
    ({"helpers.py": {2}}, (), {"GET /one"}),
    ({"helpers.py": {6}}, (), ALL),
    ({"models.py": {1}}, (), ALL),
    ({"main.py": {5}}, (), ALL),
    ({"main.py": {11}}, (), set()),
    ({"templates/a.html": {1}}, (), ALL),
    ({"requirements.txt": {1}}, (), ALL),
    ({"toughen-baseline.json": {1}}, (), set()),
    ({"README.md": {1}}, (), set()),
    ({"test_main.py": {1}}, (), set()),
    ({"apart.py": {1}}, (), set()),
    ({}, ("models.py",), ALL),
    ({}, ("notes.md",), set()),
])
def test_affected(tmp_path: Path, files: dict[str, set[int]], gone: tuple[str, ...], routes: set[str]) -> None:
    """A handler, what it calls, what lies beneath all, a text, a test, a file that nothing imports, a file that went."""
    for name, text in {"main.py": MAIN, "helpers.py": HELPERS, "models.py": "LIMIT = 3\n", "test_main.py": "import main\n\n\ndef test_x():\n    assert main.app\n", "apart.py": "x = 1\n"}.items():
        (tmp_path / name).write_text(text)
    sources = read(tmp_path)
    changes = Changes("HEAD", {name: frozenset(lines) for name, lines in files.items()}, frozenset(gone))
    assert affected(survey(sources), sources.texts, changes) == routes
