"""Claims about answer, cast and reraise: one statement is answered, and HTTP errors are let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import Module, answer, cast, keeps_http_errors, reraise

if TYPE_CHECKING:
    from collections.abc import Callable

FLASK = """
from flask import Flask, jsonify, request, abort
app = Flask(__name__)

@app.post('/pay')
def pay():
    try:
        data = request.get_json()
        amount = float(data.get('amount', 0))
        if amount < 0:
            abort(422)
        return jsonify({'paid': amount})
    except Exception as e:
        return jsonify({'error': str(e)}), 500

@app.get('/page')
def page():
    number = int(request.args.get('n', 1))
    return jsonify({'n': number})

@app.get('/other')
def other():
    return jsonify({'error': 'No such thing'}), 404
"""


def test_a_cast_that_raises_is_a_400(
    mended: Callable[..., Any], run: Callable[..., Any], at: Callable[..., Any]
) -> None:
    """`int('x')` is answered in the file's style, and honest values as before."""
    client = run(mended(FLASK, lambda m: cast(m, at(m.text, "int(request"), "n must be a number")))["app"].test_client()
    bad = client.get("/page?n=x")
    assert (bad.status_code, bad.json) == (400, {"error": "n must be a number"})
    assert client.get("/page?n=7").json == {"n": 7}


def test_http_errors_pass_the_broad_handler(
    mended: Callable[..., Any], run: Callable[..., Any], at: Callable[..., Any]
) -> None:
    """abort() and an unreadable body keep their status instead of a 500."""
    client = run(mended(FLASK, lambda m: reraise(m, at(m.text, "float(data"))))["app"].test_client()
    assert client.post("/pay", json={"amount": -1}).status_code == 422
    assert client.post("/pay", data="x").status_code == 415
    assert client.post("/pay", json={"amount": 2}).json == {"paid": 2.0}


def test_an_outage_is_answered_where_it_happens(changed: Callable[..., Any]) -> None:
    """A time-out becomes 504 by a handler in front of the broad one that would swallow it."""
    source = """
    import requests
    from fastapi import FastAPI, HTTPException
    app = FastAPI()
    @app.get('/rate')
    def rate():
        try:
            return requests.get('http://x', timeout=2).json()
        except Exception as e:
            raise HTTPException(status_code=500, detail=str(e))
    """
    lines = changed(source, lambda m: answer(m, 8, "requests.Timeout", 504, "The rate service is slow"))
    assert lines == [
        "+    except requests.Timeout:",
        "+        raise HTTPException(status_code=504, detail='The rate service is slow')",
    ]


def test_what_is_handled_or_compound_is_refused(refused: Callable[..., Any], at: Callable[..., Any]) -> None:
    """Handled exceptions, statements without a cast and compound statements are refused."""
    handled = "@app.get('/')\ndef f():\n    try:\n        x = int(y)\n"
    handled += "    except (TypeError, ValueError):\n        return 'no no', 400\n"
    assert "already handled" in refused(handled, lambda m: cast(m, 4))
    assert "nothing is cast" in refused(FLASK, lambda m: cast(m, at(m.text, "get_json")))
    compound = "@app.get('/')\ndef f():\n    if int(y) > 2:\n        return 'no no', 400\n"
    assert "compound" in refused(compound, lambda m: cast(m, 3))
    assert "no broad handler" in refused(FLASK, lambda m: reraise(m, at(m.text, "int(request")))


@pytest.mark.parametrize(
    ("handlers", "kept"),
    [
        ("@app.errorhandler(Exception)\ndef failed(e):\n    return 'failed', 500\n", True),
        ("def failed(e):\n    return 'failed', 500\napp.register_error_handler(Exception, failed)\n", True),
        ("@app.errorhandler(Exception)\ndef failed(e):\n    return e if isinstance(e, HTTPException) else ('failed', 500)\n", False),
        ("@app.errorhandler(Exception)\ndef failed(e):\n    return 'failed', 500\n@app.errorhandler(400)\ndef bad(e):\n    return 'bad', 400\n", False),
        ("@app.errorhandler(500)\ndef failed(e):\n    return 'failed', 500\n", False),
        ("", False),
    ],
)
def test_a_handler_for_everything_takes_http_errors_too(handlers: str, kept: bool) -> None:  # noqa: FBT001
    """Flask asks the most specific handler; one that lets HTTP errors pass keeps none."""
    assert keeps_http_errors(Module("app.py", f"from flask import Flask\napp = Flask(__name__)\n{handlers}")) is kept


def test_what_a_broad_handler_answers_with_400_is_answered(refused: Callable[..., Any], at: Callable[..., Any]) -> None:
    """`except Exception: return ..., 400` around a statement needs no second `try`."""
    source = FLASK.replace("str(e)}), 500", "str(e)}), 400")
    assert "already handled" in refused(source, lambda m: answer(m, at(m.text, "float(data"), "ValueError", 400, "No"))
