"""Claims about known keys: what the prototype refuses requests without needs no second test of presence."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Field, check, quiet

if TYPE_CHECKING:
    from collections.abc import Callable

_HEAD = """
from flask import Flask, request
app = Flask(__name__)

@app.post('/notes')
def add():
    data = request.get_json()
"""
_TAIL = """
    title = data['title']
    return title.strip(), 201
"""
FIELDS = [Field("title", "string")]


@pytest.mark.parametrize(
    "tests",
    [
        "    if not data or 'title' not in data:\n        return '', 400\n",
        "    if not data:\n        return '', 400\n    if 'title' not in data or 'other' not in data:\n        return '', 400\n",
        "    required = ['other', 'title']\n    for field in required:\n        if field not in data:\n            return '', 400\n",
        "    if not data or not all(each in data for each in ('title', 'other')):\n        return '', 400\n",
        "    if not data or not data.get('title'):\n        return '', 400\n",
    ],
)
def test_a_key_that_is_known_to_be_there_is_not_asked_for_again(mended: Callable[..., Any], run: Callable[..., Any], tests: str) -> None:
    """The field's test stands behind the prototype's own, without `in`, and answers as the file does."""
    text = mended(_HEAD + tests + _TAIL, lambda m: check(m, "add", FIELDS))
    assert textwrap.indent("if not isinstance(data['title'], str):\n    return '', 400", "    ") in text
    client = run(text)["app"].test_client()
    assert client.post("/notes", json={"title": 7, "other": 1}).status_code == 400
    assert client.post("/notes", json={"other": 1}).status_code == 400
    assert client.post("/notes", json=[1]).status_code == 400
    assert client.post("/notes", json={"title": "a", "other": 1}).status_code == 201


def test_a_key_that_may_be_missing_is_still_asked_for(mended: Callable[..., Any]) -> None:
    """A test that does more than to ask ends what is known."""
    tests = "    if not data:\n        return '', 400\n    if data['other'].x:\n        return '', 400\n    if 'title' not in data:\n        return '', 400\n"
    assert "if 'title' in data and not isinstance(data['title'], str)" in mended(_HEAD + tests + _TAIL, lambda m: check(m, "add", FIELDS))


def test_a_body_that_is_not_json_is_read_as_none(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """The prototype's own test then answers it, past any handler of errors."""
    source = _HEAD + "    if not data or 'title' not in data:\n        return 'No title', 400\n" + _TAIL
    broad = source.replace("\n@app.post", "\n@app.errorhandler(Exception)\ndef failed(error):\n    return 'failed', 500\n\n@app.post")
    client = run(mended(broad, lambda m: quiet(m, "add")))["app"].test_client()
    assert client.post("/notes", data="{", content_type="application/json").status_code == 400
    assert client.post("/notes", json={"title": "a"}).status_code == 201
