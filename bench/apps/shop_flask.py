"""A Flask app that sells what is in stock: it is read, checked and written back, so that two at once both buy the last piece."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from flask import Flask, jsonify

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue

app = Flask(__name__)


def connect() -> sqlite3.Connection:
    """One connection a request."""
    opened = sqlite3.connect("shop.db")
    opened.row_factory = sqlite3.Row
    return opened


with connect() as start:
    start.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, stock INTEGER)")
    start.execute("INSERT OR IGNORE INTO items (id, stock) VALUES (1, 10)")
start.close()


@app.post("/items/<int:item>/buy")
def buy(item: int) -> ResponseReturnValue:
    """Sell one piece."""
    conn = connect()
    try:
        row = conn.execute("SELECT stock FROM items WHERE id = ?", (item,)).fetchone()
        if row is None or row["stock"] < 1:
            return jsonify({"error": "sold out"}), 409
        conn.execute("UPDATE items SET stock = ? WHERE id = ?", (row["stock"] - 1, item))
        conn.commit()
    finally:
        conn.close()
    return jsonify({"ok": True})


def sells(item: int) -> bool:
    """The handler as a function: whether it sold a piece."""
    with app.test_request_context(f"/items/{item}/buy", method="POST"):
        return not isinstance(buy(item), tuple)
