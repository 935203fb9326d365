"""Processes that trials share while a break is looked for: what they hide is looked for again in fresh ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import config
from toughen.lab.target import LabTarget
from toughen.pipeline import Run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

INJECTION = "security/sql-injection"
ONCE = """import sqlite3
from flask import Flask, jsonify, request

app = Flask(__name__)
conn = sqlite3.connect("notes.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT)")
conn.execute("INSERT INTO notes (title) VALUES ('milk'), ('bread')")
conn.commit()
served = []

@app.route("/notes")
def search():
    served.append(1)
    if len(served) > 1:
        return jsonify({"error": "Come back later"}), 429
    term, order = request.args["term"], request.args["order"]
    rows = conn.execute(f"SELECT id, title FROM notes WHERE title LIKE ? ORDER BY '{order}'", (f"%{term}%",)).fetchall()
    return jsonify([{"id": row[0], "title": row[1]} for row in rows])
"""


def proven(root: Path) -> set[str]:
    """Breaks that are proven of a prototype whose process serves one search only."""
    (root / "main.py").write_text(ONCE)
    (root / "requirements.txt").write_text("flask\n")
    verdict = Run(root, config.read(root, only=(INJECTION,))).check()
    assert verdict.journeys, verdict.why
    return {each.break_id for each in verdict.findings}


def test_what_a_shared_process_refuses_is_looked_for_in_fresh_ones(tmp_path: Path) -> None:
    """A process that turns away all but its first request hides an injection; that it no longer answers the honest request gives it away."""
    assert proven(tmp_path) == {INJECTION}


def test_the_control_of_a_shared_process_is_what_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without that control the injection stays hidden: processes are shared indeed."""
    monkeypatch.setattr(LabTarget, "spoiled", lambda *_: False)
    assert not proven(tmp_path)
