"""`toughen report`, as a user types it after a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "output.schema.json").read_text())
CRASHES = """
    from flask import Flask, jsonify, request
    app = Flask(__name__)


    @app.post("/double")
    def double():
        return jsonify(result=int(request.get_json()["n"]) * 2)
    """


def test_a_run_is_told_again_without_another(prototype: Write) -> None:
    """After check and fix: page, Markdown, JSON and dossier come from what is stored; the history has both runs, and nothing of the project changes."""
    project = prototype({"main.py": CRASHES})
    name = project.root.name
    checked = project.toughen("check", name, "--only", "input/crash", "--format", "html")
    assert checked.returncode == 10, checked.stderr
    assert "<h1>Of what this run looked for: " in checked.stdout
    assert "<caption>The first run</caption>" in checked.stdout
    fixed = project.toughen("fix", name, "--only", "input/crash", "--force")
    assert fixed.returncode in {0, 10}, fixed.stderr
    before = project.digest()
    page = project.toughen("report", name)
    assert page.returncode == 0, page.stderr
    assert page.stdout.startswith("<!doctype html>")
    assert "The last 2 of 2 runs" in page.stdout
    assert "This run looked only for <code>input/crash</code>" in page.stdout
    document = json.loads(project.toughen("report", name, "--format", "json").stdout)
    jsonschema.validate(document, SCHEMA)
    assert (document["run"]["verb"], document["run"]["only"]) == ("fix", ["input/crash"])
    assert document["change"]["lines"] == document["prototype"]["lines"] > 0
    assert project.toughen("report", name, "--format", "markdown").stdout.count("input/crash")
    assert "input/crash on POST /double" in project.toughen("report", name, "--format", "text").stdout
    assert len(json.loads(project.toughen("report", name, "--format", "sarif").stdout)["runs"]) == 1
    dossier = project.toughen("report", name, "--for", "buyer", "-o", "sale/dossier.html")
    assert (dossier.returncode, dossier.stdout) == (0, "")
    assert "Rewrite or keep?" in (project.root.parent / "sale/dossier.html").read_text()
    assert "The run looked only for input/crash" in project.toughen("report", name, "--for", "buyer", "--format", "markdown").stdout
    assert len(json.loads(project.toughen("report", name, "--for", "buyer", "--format", "json").stdout)["answers"]) == 5
    assert project.digest() == before


@pytest.mark.parametrize(
    ("stored", "arguments", "said"),
    [
        (None, (), "run `toughen check` first"),
        ("{", (), ".toughen/last.json is no report that this version reads"),
        ('{"schema": 7}', (), "schema: Input should be 1, not '7'"),
        ("{}", ("--format", "xml"), "--format must be html, markdown, json, text or sarif, not 'xml'"),
        ("{}", ("--for", "buyer", "--format", "sarif"), "--format must be html, markdown or json, not 'sarif'"),
        ("{}", ("--for", "everybody"), "everybody"),
    ],
)
def test_what_cannot_be_told_is_said_in_one_sentence(prototype: Write, stored: str | None, arguments: tuple[str, ...], said: str) -> None:
    """No run yet, a broken file, another version, an unknown format or reader: exit code 2, what is wrong, no traceback."""
    project = prototype({"main.py": CRASHES})
    if stored is not None:
        (project.root / ".toughen").mkdir()
        (project.root / ".toughen/last.json").write_text(stored)
    done = project.toughen("report", project.root.name, *arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
