"""Claims about bodies that a function hands to the handler: both ends are tested, each in the file's own style."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Field
from toughen.codemod.handed import check_handed

if TYPE_CHECKING:
    from collections.abc import Callable

PAIR = """
from flask import Flask, jsonify, request
app = Flask(__name__)

def validated(required):
    data = request.get_json(silent=True)
    if data is None:
        return False, {'error': 'Invalid JSON'}, 400
    for field in required:
        if field not in data:
            return False, {'error': f'Missing {field}'}, 400
    return True, data, 200

@app.post('/beats')
def beat():
    valid, data, status = validated(['service'])
    if not valid:
        return jsonify(data), status
    service = data.get('service', '').strip()
    return jsonify({'service': service}), 201
"""
ALONE = """
from flask import Flask, jsonify, request
app = Flask(__name__)

def parsed():
    body = request.get_json(silent=True)
    return body

@app.post('/beats')
def beat():
    data = parsed()
    if not data:
        return jsonify({'error': 'No body'}), 400
    return jsonify({'service': data['service'].strip()}), 201
"""
FIELDS = [Field("service", "string", required=True)]


def test_the_reader_tests_the_body_and_the_handler_its_fields(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """A number and a list are refused where the body is read; a field of another kind where the handler has refused what is missing."""
    text = mended(PAIR, lambda m: check_handed(m, "beat", FIELDS, text="Invalid request body"))
    client = run(text)["app"].test_client()
    for wrong in (7, [1], {"service": 7}, {"service": None}, {}):
        assert client.post("/beats", json=wrong).status_code == 400, wrong
    assert client.post("/beats", json={"service": " a "}).json == {"service": "a"}


def test_a_body_that_nothing_tests_is_refused_behind_the_call(mended: Callable[..., Any], run: Callable[..., Any], refused: Callable[..., Any]) -> None:
    """A reader that never refuses has no way to say so: the handler does. What no function of the file reads is left alone."""
    client = run(mended(ALONE, lambda m: check_handed(m, "beat", FIELDS, text="No object")))["app"].test_client()
    for wrong in (7, [1], "x", {"service": 7}):
        assert client.post("/beats", json=wrong).status_code == 400, wrong
    assert client.post("/beats", json={"service": "a"}).status_code == 201
    assert refused(ALONE.replace("parsed()\n    if", "other()\n    if"), lambda m: check_handed(m, "beat", FIELDS, text="No")) == "beat reads no JSON body"


@pytest.mark.parametrize("name", ["data", "body"])
def test_the_body_is_known_by_the_name_that_the_handler_gives_it(mended: Callable[..., Any], name: str) -> None:
    """Whatever the reader calls it."""
    text = mended(PAIR.replace("valid, data, status", f"valid, {name}, status").replace("jsonify(data)", f"jsonify({name})").replace("data.get('service'", f"{name}.get('service'"), lambda m: check_handed(m, "beat", FIELDS, text="No"))
    assert f"not isinstance({name}.get('service'), str)" in text
