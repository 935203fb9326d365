"""Mends beside the statement: the owner whom a client names, and lists."""

from __future__ import annotations

from textwrap import dedent

import pytest

from toughen.codemod import Draft, Module, claimed, own_rows, owned
from toughen.model.patch import Unmended

FLASK = """
import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("app.db")

@app.get("/shops/<int:shop_id>/payments")
@login_required
def payments_of(caller, shop_id, name):
{body}
"""


def module(body: str) -> Module:
    return Module("main.py", FLASK.replace("{body}", "\n".join(f"    {each}" for each in dedent(body).strip().splitlines())))


def line(text: Module, part: str) -> int:
    return next(number for number, each in enumerate(text.text.splitlines(), 1) if part in each)


@pytest.mark.parametrize(
    ("load", "test"),
    [
        ('rows = conn.execute("SELECT id, shop_id FROM payments WHERE shop_id = ?", (shop_id,)).fetchall()', "if shop_id != caller['id']:"),
        ("rows = conn.execute(f\"SELECT id FROM payments WHERE state = 'paid' AND shop_id = {shop_id}\").fetchall()", "if shop_id != caller['id']:"),
        ('rows = conn.execute("SELECT id FROM payments WHERE shop_id = ?", (request.args["shop"],)).fetchall()', 'if str(request.args["shop"]) != str(caller[\'id\']):'),
        ("rows = Payment.query.filter_by(shop_id=shop_id).all()", "if shop_id != caller['id']:"),
        ("rows = db.query(Payment).filter(Payment.shop_id == name).all()", "if str(name) != str(caller['id']):"),
    ],
)
def test_an_owner_whom_the_client_names_is_compared_with_the_caller(load: str, test: str) -> None:
    """In front of the statement, as a number where the path makes it one; a second application finds nothing to do."""
    text = module(f"{load}\nreturn jsonify([row[0] for row in rows])")
    draft = claimed(text, line(text, "rows = "), "shop_id", "caller['id']")
    assert isinstance(draft, Draft), draft
    before, _, _ = draft.done().partition("    rows = ")
    assert f"    {test}\n        return " in before
    assert before.rstrip().endswith("403")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ('rows = conn.execute("SELECT id FROM payments WHERE id = ?", (shop_id,)).fetchall()', "with 0 values"),
        ('rows = conn.execute("SELECT id FROM payments WHERE shop_id = ?", (caller["id"],)).fetchall()', "own rows already"),
        ('conn.execute("UPDATE payments SET state = 1 WHERE shop_id = ?", (shop_id,))', "with 0 values"),
    ],
)
def test_what_names_no_owner_is_left_alone(load: str, reason: str) -> None:
    """Another column, the caller himself, and a write."""
    text = module(f"{load}\nreturn jsonify([])")
    draft = claimed(text, line(text, "conn.execute("), "shop_id", "caller['id']")
    assert isinstance(draft, Unmended)
    assert reason in draft.reason


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ('rows = conn.execute("SELECT id, shop_id FROM payments").fetchall()\nreturn jsonify([row[0] for row in rows])', "rows = [row for row in rows if row[1] == caller['id']]"),
        ('rows = conn.execute("SELECT * FROM payments").fetchall()\nreturn jsonify([each["id"] for each in rows])', "rows = [row for row in rows if row['shop_id'] == caller['id']]"),
        ("rows = Payment.query.all()\nfor each in rows:\n    if each.id == shop_id:\n        return jsonify(each.id)", "rows = [row for row in rows if row.shop_id == caller['id']]"),
    ],
)
def test_a_list_keeps_the_rows_of_the_caller(body: str, kept: str) -> None:
    """As the function reads its rows: by position, by key, by attribute."""
    text = module(body)
    draft = own_rows(text, line(text, "rows = "), "shop_id", "caller['id']")
    assert isinstance(draft, Draft), draft
    assert kept.replace("'", '"') in draft.done().replace("'", '"')


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('rows = conn.execute("SELECT * FROM payments").fetchall()\nreturn jsonify([row[0] for row in rows])', "the place of shop_id in them is unknown"),
        ('rows = conn.execute("SELECT id FROM payments WHERE id = ?", (shop_id,)).fetchone()\nreturn jsonify(rows[0])', "is no list"),
    ],
)
def test_rows_whose_owner_is_not_seen_are_left_alone(body: str, reason: str) -> None:
    """A position that nothing tells, and a single row."""
    text = module(body)
    draft = own_rows(text, line(text, "rows = "), "shop_id", "caller['id']")
    assert isinstance(draft, Unmended)
    assert reason in draft.reason


def test_a_list_has_no_owner_of_its_own() -> None:
    """What is read row by row is not compared as one row."""
    text = module("rows = Payment.query.all()\nreturn jsonify([row.id for row in rows])")
    draft = owned(text, line(text, "rows = "), "shop_id", "caller.id")
    assert isinstance(draft, Unmended)
    assert "several rows" in draft.reason
