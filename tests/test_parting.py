"""Claims about requests that name one row twice: raced with two rows, a transfer to oneself shows what it hides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Status
from toughen.pipeline import Run
from toughen.specimens import PLAIN

if TYPE_CHECKING:
    from pathlib import Path

BANK = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, number TEXT UNIQUE, balance INTEGER)")
    start.executemany("INSERT OR IGNORE INTO accounts (id, number, balance) VALUES (?, ?, 500)", [(1, "4711"), (2, "4712")])

@app.get("/accounts")
def accounts():
    conn = get_db()
    rows = conn.execute("SELECT number, balance FROM accounts LIMIT 50").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.post("/transfer")
def transfer():
    data = request.get_json()
    amount = int(data["amount"])
    conn = get_db()
    source = conn.execute("SELECT balance FROM accounts WHERE number = ?", (data["from_account"],)).fetchone()
    target = conn.execute("SELECT balance FROM accounts WHERE number = ?", (data["to_account"],)).fetchone()
    if source is None or target is None or amount < 1:
        conn.close()
        return jsonify({"error": "no such account"}), 404
    if source["balance"] < amount:
        conn.close()
        return jsonify({"error": "not enough"}), 400
    conn.execute("UPDATE accounts SET balance = balance - ? WHERE number = ?", (amount, data["from_account"]))
    conn.execute("UPDATE accounts SET balance = balance + ? WHERE number = ?", (amount, data["to_account"]))
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
"""
SOUND = BANK.replace("    conn = get_db()\n    source", '    conn = get_db()\n    conn.execute("BEGIN IMMEDIATE")\n    source')


@pytest.mark.parametrize(("source", "broken"), [(BANK, True), pytest.param(SOUND, False, marks=pytest.mark.long)], ids=["read first", "locked first"])
def test_a_transfer_to_oneself_is_raced_with_two_accounts(tmp_path: Path, source: str, *, broken: bool) -> None:
    """An honest client may send an account's money to itself, which no race shows; two accounts do."""
    (tmp_path / "main.py").write_text(source)
    (tmp_path / "requirements.txt").write_text("flask\n")
    verdict = Run(tmp_path, config.read(tmp_path, only=("race/check-then-act",))).check()
    assert verdict.journeys
    assert [each.route for each in verdict.findings if each.status is Status.PROVEN] == (["POST /transfer"] if broken else [])
