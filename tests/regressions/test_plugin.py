"""`pytest --toughen`: stored proofs as tests."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Prototype

TICKETS = """
    import sqlite3
    from flask import Flask, jsonify

    app = Flask(__name__)

    def get_db():
        conn = sqlite3.connect("app.db")
        conn.row_factory = sqlite3.Row
        return conn

    with get_db() as start:
        start.execute("CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY, remaining INTEGER)")
        start.execute("INSERT OR IGNORE INTO tickets (id, remaining) VALUES (1, 5)")

    @app.route("/tickets/<int:ticket_id>/buy", methods=["POST"])
    def buy(ticket_id):
        conn = get_db()
        row = conn.execute("SELECT remaining FROM tickets WHERE id = ?", (ticket_id,)).fetchone()
        if row is None or row["remaining"] < 1:
            conn.close()
            return jsonify({"error": "sold out"}), 400
        conn.execute("UPDATE tickets SET remaining = ? WHERE id = ?", (row["remaining"] - 1, ticket_id))
        conn.commit()
        conn.close()
        return jsonify({"left": row["remaining"] - 1})
"""
OWN = "def test_own():\n    assert True\n"
ITEM = "toughen::race/lost-update@POST /tickets/{ticket_id}/buy"


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Plain pytest in the prototype's folder, with the plugin of the source under test."""
    command = [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:toughen", "-p", "toughen.plugin", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)


def test_without_the_option_nothing_is_collected_and_nothing_imported(tmp_path: Path) -> None:
    """A project whose pytest finds the plugin pays nothing for it: its own tests run, and neither the lab nor the rules are loaded."""
    (tmp_path / "test_own.py").write_text("import sys\n\ndef test_own():\n    assert not [name for name in sys.modules if name.startswith('toughen.') and name not in {'toughen.plugin', 'toughen.version'}]\n")
    done = run(tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_with_no_proof_stored_only_the_projects_own_tests_run(tmp_path: Path) -> None:
    """A folder that was never checked has nothing to replay, and that is no failure."""
    (tmp_path / "test_own.py").write_text(OWN)
    done = run(tmp_path, "--toughen")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_a_race_fails_with_its_timeline_until_it_is_mended(prototype: Callable[[Mapping[str, str]], Prototype]) -> None:
    """A stored race is an item by its break and route: it fails with what happened while it breaks, passes once it is mended, and is left out by `-k` like any test."""
    project = prototype({"main.py": TICKETS, "test_own.py": OWN, "requirements.txt": "flask\n"})
    checked = project.toughen("check", str(project.root), "--only", "race/lost-update")
    assert checked.returncode == 10, checked.stderr
    broken = run(project.root, "--toughen")
    assert f"FAILED {ITEM}" in broken.stdout, broken.stdout
    assert "still breaks: " in broken.stdout
    assert "stands still" in broken.stdout
    assert "PASSED test_own.py::test_own" in broken.stdout
    assert "1 passed, 1 deselected" in run(project.root, "--toughen", "-k", "own").stdout
    main = project.root / "main.py"
    main.write_text(main.read_text().replace('"UPDATE tickets SET remaining = ? WHERE id = ?", (row["remaining"] - 1, ticket_id)', '"UPDATE tickets SET remaining = remaining - 1 WHERE id = ?", (ticket_id,)'))
    mended = run(project.root, "--toughen")
    assert f"PASSED {ITEM}" in mended.stdout, mended.stdout


def test_what_no_longer_boots_fails_and_says_so(prototype: Callable[[Mapping[str, str]], Prototype]) -> None:
    """Proofs that cannot be replayed are no green tick."""
    project = prototype({"main.py": TICKETS, "requirements.txt": "flask\n"})
    project.toughen("check", str(project.root), "--only", "race/lost-update")
    (project.root / "main.py").write_text("import nowhere_to_be_found\nfrom flask import Flask\napp = Flask(__name__)\n")
    done = run(project.root, "--toughen")
    assert "the proofs cannot be replayed" in done.stdout, done.stdout
