"""Words that the repairs of wrong input are written in: converters, nulls, discarded keys, handlers of a whole application."""

from __future__ import annotations

from toughen.codemod import (
    Bounds,
    Draft,
    Field,
    Module,
    check,
    converter,
    discard,
    finite,
    limit,
    overflow,
    present,
    twice,
)
from toughen.model.patch import Unmended


def done(draft: Draft | Unmended) -> str:
    """The text after a draft."""
    assert isinstance(draft, Draft), draft
    return draft.done()


FLASK = """from flask import Flask, jsonify, request

app = Flask(__name__)


@app.route("/items/<int:item_id>", methods=["PUT"])
def update(item_id):
    data = request.get_json()
    if not data:
        return jsonify({"error": "No data"}), 400
    return jsonify({"name": data["name"].strip(), "id": item_id})
"""


def test_an_integer_in_the_path_is_bounded_where_it_is_converted() -> None:
    """Only the converter changes, and a second application refuses."""
    text = twice(lambda module: converter(module, "update", "item_id"), Module("main.py", FLASK))
    assert text == FLASK.replace("<int:item_id>", "<int(max=9223372036854775807):item_id>")


def test_another_converter_is_left_alone() -> None:
    """A path without `<int:...>` is refused with its reason."""
    refused = converter(Module("main.py", FLASK.replace("<int:", "<")), "update", "item_id")
    assert isinstance(refused, Unmended)
    assert "item_id" in refused.reason


def test_a_key_is_taken_out_behind_the_tests_of_the_body() -> None:
    """`data.pop` stands behind `if not data`, and a second application refuses."""
    text = twice(lambda module: discard(module, "update", "role"), Module("main.py", FLASK))
    assert isinstance(text, str)
    assert '"No data"}), 400\n    data.pop("role", None)\n    return' in text


def test_null_is_refused_where_it_crashed() -> None:
    """A field whose null crashes is tested also where it is read by `.get` alone; an absent one passes."""
    source = FLASK.replace('data["name"].strip()', 'data.get("name")')
    lenient = done(check(Module("main.py", source), "update", [Field("name", "string")]))
    strict = done(check(Module("main.py", source), "update", [Field("name", "string", null=False)]))
    assert 'if data.get("name") is not None and not isinstance' in lenient
    assert 'if "name" in data and not isinstance' in strict


def test_a_field_that_is_cast_keeps_its_text_form() -> None:
    """`int(data["n"])` takes "5": a type test in front of it would refuse an honest client."""
    source = FLASK.replace('data["name"].strip()', 'int(data["name"])')
    assert "isinstance(data[" not in done(check(Module("main.py", source), "update", [Field("name", "integer")]))


FASTAPI = """from fastapi import FastAPI, HTTPException
from typing import Optional
from pydantic import BaseModel

app = FastAPI()
limits = {}

class Change(BaseModel):
    name: Optional[str] = None
    price: float | None = None

@app.put("/items")
def change(item: Change, extra: dict):
    return {"name": extra["name"].strip()}
"""


def test_null_is_refused_for_a_field_that_may_be_absent() -> None:
    """`Optional[str] = None` becomes `str = None`, in both spellings."""
    one = done(present(Module("main.py", FASTAPI), "Change", "name"))
    assert "    name: str = None\n" in one
    assert "    price: float = None\n" in done(present(Module("main.py", one), "Change", "price"))


def test_a_body_that_is_a_parameter_is_tested_at_the_start() -> None:
    """FastAPI tests `extra: dict` itself; the field is tested in front of the first statement."""
    text = done(check(Module("main.py", FASTAPI), "change", [Field("name", "string", required=True)]))
    assert 'def change(item: Change, extra: dict):\n    if not isinstance(extra.get("name"), str):\n' in text
    assert "isinstance(extra, dict)" not in text


def test_an_attribute_is_limited_where_its_model_cannot_be() -> None:
    """The test opens the handler; None passes only where the field may be None."""
    word = limit(Module("main.py", FASTAPI), 14, "item", Bounds(ge=0), status=422, value="item.price", nullable=True)
    assert "    if item.price is not None and not 0 <= item.price:\n        raise HTTPException(status_code=422" in done(word)


def test_a_limit_stands_behind_the_try_that_casts() -> None:
    """What a `try` of one statement assigns is bound behind it, when each handler leaves."""
    source = FLASK.replace(
        '    return jsonify({"name"',
        '    try:\n        n = int(data["n"])\n    except ValueError:\n        return jsonify({"error": "n"}), 400\n    return jsonify({"name"',
    )
    text = done(limit(Module("main.py", source), 12, "n", Bounds(le=2**63 - 1)))
    assert '"n"}), 400\n    if not n <= 2**63 - 1:\n' in text


def test_handlers_of_a_whole_application_keep_their_distance() -> None:
    """A definition behind `app = ...` has blank lines around it, at module level and in a factory."""
    assert '    return JSONResponse(status_code=422, content={"detail": detail})\n\n\nlimits = {}' in done(finite(Module("main.py", FASTAPI)))
    factory = "from flask import Flask\n\ndef create_app():\n    app = Flask(__name__)\n    app.debug = False\n    return app\n"
    text = twice(overflow, Module("app.py", factory))
    assert isinstance(text, str)
    assert "    app = Flask(__name__)\n\n    @app.errorhandler(OverflowError)\n" in text
    assert "400\n\n    app.debug = False\n" in text
