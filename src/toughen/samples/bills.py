"""Owns an example app that collects its statements by branches and has a function of its own run them in one transaction."""

from __future__ import annotations

COLLECTED = '''import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)

def connect():
    return sqlite3.connect("bills.db")

def query(sql, values=()):
    conn = connect()
    try:
        return conn.execute(sql, values).fetchall()
    finally:
        conn.close()

def run_in_transaction(statements):
    conn = connect()
    try:
        for sql, values in statements:
            conn.execute(sql, values)
        conn.commit()
    except Exception:
        conn.rollback()
        raise
    finally:
        conn.close()

run_in_transaction([
    ("CREATE TABLE IF NOT EXISTS cards (id INTEGER PRIMARY KEY, credit INTEGER)", ()),
    ("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, balance INTEGER)", ()),
    ("CREATE TABLE IF NOT EXISTS bills (id INTEGER PRIMARY KEY, card_id INTEGER, amount INTEGER)", ()),
    ("INSERT OR IGNORE INTO cards (id, credit) VALUES (1, 400), (2, 400)", ()),
    ("INSERT OR IGNORE INTO accounts (id, balance) VALUES (1, 900)", ()),
])

@app.route("/cards/<int:card_id>")
def card(card_id):
    rows = query("SELECT id, credit FROM cards WHERE id = ?", (card_id,))
    return jsonify({"id": rows[0][0], "credit": rows[0][1]}) if rows else (jsonify({"error": "no such card"}), 404)

@app.route("/bills")
def bills():
    return jsonify([{"id": each[0], "card": each[1], "amount": each[2]} for each in query("SELECT id, card_id, amount FROM bills")])

@app.route("/bills", methods=["POST"])
def pay_bill():
    data = request.get_json()
    amount, card_id = int(data["amount"]), int(data["card_id"])
    if amount <= 0:
        return jsonify({"error": "amount must be positive"}), 400
    if card_id:
        rows = query("SELECT credit FROM cards WHERE id = ?", (card_id,))
        if not rows:
            return jsonify({"error": "no such card"}), 404
        if amount > rows[0][0]:
            return jsonify({"error": "The card has not enough credit"}), 400
    statements = []
    bill = "INSERT INTO bills (card_id, amount) VALUES (?, ?)"
    statements.append((bill, (card_id, amount)))
    if card_id:
        spend = """
            UPDATE cards
            SET credit = credit - ?
            WHERE id = ?
        """
        statements.append((spend, (amount, card_id)))
    else:
        statements.append(("UPDATE accounts SET balance = balance - ? WHERE id = 1", (amount,)))
    run_in_transaction(statements)
    return jsonify({"paid": amount}), 201
'''
"""A card is charged for a bill when it has enough, and not when it has enough by then."""
CHARGED_IF_ENOUGH = (
    COLLECTED.replace('            WHERE id = ?\n        """\n        statements.append((spend, (amount, card_id)))', '            WHERE id = ? AND credit >= ?\n        """\n        needed.append(len(statements))\n        statements.append((spend, (amount, card_id, amount)))')
    .replace("    statements = []\n", "    statements, needed = [], []\n").replace("    run_in_transaction(statements)\n", '    if run_in_transaction(statements, needed) is False:\n        return jsonify({"error": "The card has not enough credit"}), 400\n')
    .replace("def run_in_transaction(statements):", "def run_in_transaction(statements, needed=()):")
    .replace("        for sql, values in statements:\n            conn.execute(sql, values)\n", "        for number, (sql, values) in enumerate(statements):\n            if conn.execute(sql, values).rowcount == 0 and number in needed:\n                conn.rollback()\n                return False\n")
)
