"""`toughen gate`, as a user types it: on a prototype in a git repository, with a baseline, with a change."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    import sqlite3
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    def connect():
        return sqlite3.connect("notes.db", timeout=5)


    with connect() as setup:
        setup.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)")


    @app.post("/notes")
    def add():
        body = request.get_json()["body"]
        if not isinstance(body, str) or not 0 < len(body) <= 200:
            return jsonify(error="1 to 200 characters"), 400
        db = connect()
        db.execute("INSERT INTO notes (body) VALUES (?)", (body,))
        db.commit()
        db.close()
        return jsonify(ok=True), 201


    @app.get("/notes")
    def listed():
        db = connect()
        rows = db.execute("SELECT body FROM notes LIMIT 50").fetchall()
        db.close()
        return jsonify([row[0] for row in rows])
    """
TESTS = """
    from main import app


    def test_add():
        client = app.test_client()
        assert client.post("/notes", json={"body": "milk"}).status_code == 201
        assert "milk" in client.get("/notes").get_json()


    def test_refuses():
        client = app.test_client()
        for body in ("", "x" * 201, 3):
            assert client.post("/notes", json={"body": body}).status_code == 400
    """
PEEK = """

@app.get("/notes/<int:note_id>")
def one(note_id):
    if note_id > 100:
        return jsonify(error="no such note"), 404
    db = connect()
    row = db.execute("SELECT body FROM notes WHERE id = " + request.args.get("id", str(note_id))).fetchone()
    db.close()
    return jsonify(row[0])
"""


def git(prototype: Prototype, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(prototype.root), *arguments], capture_output=True, check=True)


def gates(prototype: Prototype, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """(exit code, gate -> what it says)."""
    done = prototype.toughen("gate", prototype.root.name, *arguments, "--format", "json", "-o", "gate.json")
    assert done.returncode in {0, 11}, done.stderr
    return done.returncode, {each["gate"]: each for each in json.loads((prototype.root.parent / "gate.json").read_text())["gates"]}


def committed(prototype: Prototype) -> Prototype:
    git(prototype, "init", "-q")
    git(prototype, "add", "-A")
    git(prototype, "commit", "-qm", "first")
    return prototype


def test_holds(prototype: Write) -> None:
    """What falls at first is let through once it is in the baseline, which a second writing cannot raise; a change that brings a break, an untested line and an unprotected guard falls for these alone."""
    notes = committed(prototype({"main.py": APP, "tests/test_notes.py": TESTS, ".gitignore": ".venv\n.toughen\n*.db\n", "toughen.toml": WAIVED}))
    code, first = gates(notes)
    assert code == 11
    assert first["tests"]["state"] == "held"
    assert first["tests"]["measured"]["passed"] == "2"
    assert first["secrets"]["state"] == "held"
    assert first["operations"]["state"] == "fell"
    assert first["types"]["state"] == "not checked"
    assert first["dependencies"]["state"] == "held"
    assert first["dependencies"]["waived"][0]["owner"] == "ada@example.org"
    done = notes.toughen("gate", notes.root.name, "--write-baseline")
    assert done.returncode == 0, done.stderr
    assert "wrote toughen-baseline.json" in done.stderr
    git(notes, "add", "-A")
    git(notes, "commit", "-qm", "baseline")
    code, held = gates(notes)
    assert code == 0, {name: each for name, each in held.items() if each["state"] not in {"held", "passed over"}}
    assert held["operations"]["known"]
    main = notes.root / "main.py"
    main.write_text(main.read_text() + PEEK)
    code, fell = gates(notes, "--changed")
    assert code == 11
    assert fell["dependencies"]["state"] == "passed over"
    assert {name for name, each in fell.items() if each["state"] == "fell"} == {"types", "tests", "coverage", "guards", "proofs"}
    assert [each["key"] for each in fell["tests"]["faults"]] == ["suite/uncovered@GET /notes/{note_id}"]
    assert any("security/sql-injection" in each["message"] for each in fell["proofs"]["faults"])
    assert any("boundary" in each["key"] for each in fell["guards"]["faults"]), "a comparison on a new line is moved by one"
    assert all(each["location"]["line"] > 33 for each in fell["coverage"]["faults"])


WAIVED = """
    [[waivers]]
    gate = "dependencies"
    fault = "not checked"
    reason = "no network here"
    owner = "ada@example.org"
    expires = "2027-06-30"
    """


def test_nothing_changed(prototype: Write) -> None:
    """A change of a text that nothing is made of asks the routes nothing, and the gates of source are passed over."""
    notes = committed(prototype({"main.py": APP, "tests/test_notes.py": TESTS, ".gitignore": ".venv\n.toughen\n*.db\n", "README.md": "notes\n"}))
    (notes.root / "README.md").write_text("Notes, kept.\n")
    code, told = gates(notes, "--changed")
    assert {name for name, each in told.items() if each["state"] == "passed over"} >= {"types", "lint", "coverage", "dependencies"}
    assert told["proofs"]["state"] == "held"
    assert code in {0, 11}


@pytest.mark.parametrize(("arguments", "said"), [
    (("--only", "typse"), "there is no gate 'typse'; did you mean types?"),
    (("--write-baseline", "--changed"), "--write-baseline looks at everything"),
    (("--changed",), "there is no commit to hold the change against"),
    (("--base", "main"), "git knows no commit 'main'"),
])
def test_bad_arguments(prototype: Write, arguments: tuple[str, ...], said: str) -> None:
    """What makes no sense is told before anything is executed, with exit code 2; a folder without git too."""
    notes = prototype({"main.py": APP})
    done = notes.toughen("gate", notes.root.name, *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_no_baseline_of_what_does_not_boot(prototype: Write) -> None:
    """A baseline of gates that saw nothing would let nothing through once they do: it is not written, and that is said."""
    notes = prototype({"main.py": "from flask import Flask\napp = Flask(__name__)\nraise RuntimeError('no luck')\n"})
    done = notes.toughen("gate", notes.root.name, "--write-baseline")
    assert done.returncode == 3
    assert "toughen-baseline.json is not written" in done.stderr
    assert not (notes.root / "toughen-baseline.json").exists()
