"""A Flask app that keeps its stock in SQLite by the standard library."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flask import Flask, jsonify, request

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

app = Flask(__name__)


def connect() -> sqlite3.Connection:
    """One connection a request."""
    opened = sqlite3.connect("shop.db")
    opened.row_factory = sqlite3.Row
    return opened


setup = connect()
setup.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER)")
if setup.execute("SELECT COUNT(*) FROM items").fetchone()[0] == 0:
    setup.executemany("INSERT INTO items (name, stock) VALUES (?, ?)", [(f"item {each}", 1_000_000) for each in range(10)])
setup.commit()
setup.close()


@app.get("/items/<int:number>")
def items(number: int) -> ResponseReturnValue:
    """Read a few rows."""
    limit = int(request.args.get("limit", 5))
    db = connect()
    rows = db.execute("SELECT id, name, stock FROM items WHERE id >= ? LIMIT ?", (number, limit)).fetchall()
    db.close()
    return jsonify([dict(row) for row in rows])


@app.post("/orders")
def order() -> ResponseReturnValue:
    """Read a row, change it, commit."""
    wanted = request.get_json()
    db = connect()
    stock = db.execute("SELECT stock FROM items WHERE id = ?", (wanted["item"],)).fetchone()["stock"]
    db.execute("UPDATE items SET stock = ? WHERE id = ?", (stock - wanted["quantity"], wanted["item"]))
    db.commit()
    db.close()
    return jsonify(item=wanted["item"], quantity=wanted["quantity"])
