"""Claims about check and body_model: wrong bodies are refused in the app's words, honest ones pass as before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Bounds, Field, body_model, check

if TYPE_CHECKING:
    from collections.abc import Callable

FLASK = """
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post('/pay')
def pay():
    data = request.get_json()
    if not data or 'amount' not in data:
        return jsonify({'error': 'Missing amount'}), 400
    note = data.get('note')
    size = data.get('size', 1)
    return jsonify({'paid': data['amount'] * 2, 'note': note and note.strip(), 'size': size + 1})
"""
FIELDS = [
    Field("amount", "integer", required=True, bounds=Bounds(ge=1)),
    Field("note", "string"),
    Field("size", "number"),
]
WRONG: list[Any] = [
    [1],
    "text",
    {"amount": "5"},
    {"amount": True},
    {"amount": 0},
    {"amount": 10**30},
    {"amount": 1.5},
    {"amount": 1, "note": 5},
    {"amount": 1, "size": None},
    {"amount": 1, "size": "2"},
]


def _client(run: Callable[[str], dict[str, Any]], text: str) -> Any:
    app = run(text)["app"]
    app.testing = False
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app.test_client()


def test_the_test_that_is_there_is_widened(changed: Callable[..., Any]) -> None:
    """`if not data` keeps its message and refuses lists and text too."""
    assert changed(FLASK, lambda m: check(m, "pay")) == [
        "-    if not data or 'amount' not in data:",
        "+    if not isinstance(data, dict) or not data or 'amount' not in data:",
    ]


def test_wrong_bodies_are_400_and_honest_ones_as_before(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """In Flask no wrong body gets a 500 or a success, and honest answers are equal to those of the unmended app."""
    before = _client(run, FLASK)
    after = _client(run, mended(FLASK, lambda m: check(m, "pay", FIELDS)))
    assert {before.post("/pay", json=body).status_code for body in WRONG} > {500}
    assert [after.post("/pay", json=body).status_code for body in WRONG] == [400] * len(WRONG)
    assert after.post("/pay", data='{"amount": 1, "size": NaN}', content_type="application/json").status_code == 400
    for body in ({"amount": 3}, {"amount": 1, "note": None, "size": 2.5}, {"amount": 1, "note": " x "}, {}):
        one, two = before.post("/pay", json=body), after.post("/pay", json=body)
        assert (one.status_code, one.json) == (two.status_code, two.json)


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        ("data = request.json", "data = request.json\n    if not isinstance(data, dict):\n        return"),
        ("data = request.get_json() or {}", "or {}\n    if not isinstance(data, dict):\n        return"),
        ("print(request.json['x'])", "    if not isinstance(request.json, dict):\n        return"),
        (
            "data = request.get_json()\n    if data is None:\n        return 'no body', 400",
            "if not isinstance(data, dict):",
        ),
    ],
)
def test_every_read_gets_its_test(mended: Callable[..., Any], read: str, wanted: str) -> None:
    """Reads without a test, with a default, in passing, and with `is None`."""
    source = f"from flask import request\n@app.post('/x')\ndef x():\n    {read}\n    return 'no body', 400\n"
    assert wanted in mended(source, lambda m: check(m, "x"))


def test_starlette_bodies_are_tested(mended: Callable[..., Any]) -> None:
    """An awaited body is tested, and refused in the framework's style."""
    source = "from fastapi import FastAPI, Request\napp = FastAPI()\n@app.post('/x')\nasync def x(request: Request):\n"
    source += "    body = await request.json()\n    return body['a']\n"
    text = mended(source, lambda m: check(m, "x", [Field("a", "string", required=True)]))
    assert "    if not isinstance(body, dict):\n        raise HTTPException(status_code=400" in text
    assert "if not isinstance(body.get('a'), str):" in text


def test_a_swallowed_refusal_is_refused(refused: Callable[..., Any]) -> None:
    """A raise inside of `try ... except Exception` would be a 500: reraise comes first."""
    source = "from fastapi import HTTPException\n@app.post('/x')\nasync def x(request):\n    try:\n"
    source += "        d = await request.json()\n    except Exception:\n        raise HTTPException(status_code=500)\n"
    assert "swallow" in refused(source, lambda m: check(m, "x"))


def test_a_handler_without_body_is_refused(refused: Callable[..., Any]) -> None:
    """Nothing is tested where nothing is read."""
    assert "reads no JSON body" in refused("@app.get('/x')\ndef x():\n    return 1\n", lambda m: check(m, "x"))


def test_a_model_at_the_boundary_keeps_the_handler(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """Through pydantic wrong bodies are refused, unknown keys and absent keys are as before."""
    source = FLASK.replace("if not data or 'amount' not in data:", "if 'amount' not in data:")
    client = _client(run, mended(source, lambda m: body_model(m, "pay", "Payment", FIELDS)))
    assert [client.post("/pay", json=body).status_code for body in ([1], {"amount": 0}, {"amount": "x"}, {})] == [
        400
    ] * 4
    assert client.post("/pay", json={"amount": 3, "more": 1}).json == {"paid": 6, "note": None, "size": 2}
