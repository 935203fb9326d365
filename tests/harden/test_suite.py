"""The prototype's own tests, as a mend meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import config
from toughen.harden.suite import baseline
from toughen.lab.copying import copy_project
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    from flask import Flask
    app = Flask(__name__)

    @app.get("/")
    def index():
        return "hello"
    """
TEST = """
    from main import app

    def test_index():
        assert app.test_client().get("/").data == b"hello"

    def test_that_fails():
        assert app.test_client().get("/").data == b"bye"
    """


def test_what_passes_is_known_before_a_mend(prototype: Write, tmp_path: Path) -> None:
    """Tests of a tree that lies outside of the lab are run; one that fails is told apart, and those that show a break are left out."""
    project = prototype({"main.py": APP, "tests/test_index.py": TEST, "tests/exploits/test_break.py": TEST, "tests/conftest.py": "import sys; sys.path.insert(0, '.')"})
    run = Run(project.root, config.read(project.root))
    sources, blueprint = run._start.survey()
    copy_project(project.root, tmp_path / "tree")
    with run._start.booted(sources, blueprint) as (lab, booted):
        found = baseline(lab, tmp_path / "tree", booted.suite)
    assert found.problem == ""
    assert found.passed == {"tests.test_index::test_index"}
    assert found.failed == {"tests.test_index::test_that_fails"}
