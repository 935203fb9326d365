"""Findings that the patch of another one ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import config
from toughen.model.finding import Status
from toughen.model.patch import Gone, Kept
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        return jsonify({"ok": True})
    """


def test_one_patch_ends_two_breaks(prototype: Callable[[Mapping[str, str]], Prototype]) -> None:
    """The write transaction that ends the lost update ends the oversold ticket too: it gets no patch of its own, and says whose it was."""
    made = prototype({"main.py": TICKETS})
    verdict = Run(made.root, config.read(made.root, only=("race",))).fix(write=True, commit=False)
    proven = {each.id: each for each in verdict.findings if each.status is Status.PROVEN}
    assert {each.break_id for each in proven.values()} == {"race/lost-update", "race/check-then-act"}
    outcomes = dict(verdict.mends)
    kept = [finding for finding, outcome in outcomes.items() if isinstance(outcome, Kept)]
    gone = [outcome for outcome in outcomes.values() if isinstance(outcome, Gone)]
    assert len(kept) == 1, outcomes
    assert gone == [Gone(kept[0])]
    again = Run(made.root, config.read(made.root, only=("race",))).check()
    assert not [each for each in again.findings if each.status is Status.PROVEN]
