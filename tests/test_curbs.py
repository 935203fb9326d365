"""Bounds as a source has them."""

from __future__ import annotations

from toughen import curbs
from toughen.model.blueprint import Blueprint, Parameter, Place, Route
from toughen.model.source import Location

ROUTE = Route("GET", "/items", Location("app.py", 5, "items"), (Parameter(Place.QUERY, ("limit",), "integer"), Parameter(Place.QUERY, ("skip",), "integer")))
ORDER = Route("POST", "/orders", Location("app.py", 5, "order"), (Parameter(Place.JSON, ("items", 0, "id"), "integer"),), body="json")


def unpaged(body: str) -> list[str]:
    """What is suspected of a handler that limits a query."""
    text = f"from flask import Flask, request\napp = Flask(__name__)\n\n@app.get('/items')\ndef items():\n    limit = request.args.get('limit', 10, type=int)\n    skip = request.args.get('skip', 0, type=int)\n    {body}\n"
    return [each.message for each in curbs.unpaged("input/unbounded", Blueprint("p", "flask", None, (ROUTE,)), {"app.py": text})]


def test_a_number_that_limits_a_query_wants_a_bound() -> None:
    """By whatever way it gets into the statement: a method, its marks, the text."""
    assert len(unpaged("return Item.query.offset(skip).limit(limit).all()")) == 1
    assert len(unpaged("return db.execute('SELECT * FROM items WHERE a = ? LIMIT ? OFFSET ?', (1, limit, skip)).fetchall()")) == 1
    assert len(unpaged("return db.execute(f'SELECT * FROM items LIMIT {limit} OFFSET {skip}').fetchall()")) == 1


def test_a_bounded_one_is_not_suspected() -> None:
    """A cap, a comparison from above, a constant; an offset is no size."""
    assert not unpaged("return Item.query.limit(min(limit, 50)).all()")
    assert not unpaged("if limit > 50:\n        limit = 50\n    return Item.query.limit(limit).all()")
    assert not unpaged("return Item.query.offset(skip).limit(20).all()")
    assert not unpaged("return db.execute('SELECT * FROM items LIMIT 5 OFFSET ?', (skip,)).fetchall()")


def unlisted(body: str) -> list[str]:
    """What is suspected of a handler that reads a list."""
    text = f"from flask import Flask, request\napp = Flask(__name__)\n\n@app.post('/orders')\ndef order():\n    data = request.get_json()\n    items = data['items']\n    {body}\n    return '', 201\n"
    return [each.message for each in curbs.unlisted("input/unbounded", Blueprint("p", "flask", None, (ORDER,)), {"app.py": text})]


def test_a_loop_over_a_list_wants_a_length() -> None:
    """Where each element costs a statement and nothing asks how many there are."""
    assert len(unlisted("for item in items:\n        db.execute('INSERT INTO lines VALUES (?)', (item['id'],))")) == 1
    assert not unlisted("if len(items) > 50:\n        return '', 400\n    for item in items:\n        db.execute('INSERT INTO lines VALUES (?)', (item['id'],))")
    assert not unlisted("for item in items:\n        total = item['id']")
