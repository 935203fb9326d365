"""Owns the claims about demand recording: what a handler asks for is noted, and nothing else changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FLASK = """
    import copy, json, pickle
    from flask import Flask, request, jsonify
    from werkzeug.datastructures import ImmutableMultiDict
    app = Flask(__name__)
    @app.post("/json")
    def body():
        data = request.get_json()
        data["name"]; data.get("age", 18); "note" in data; data.pop("left", None)
        request.json["tags"][0]["label"]
        return "ok"
    @app.post("/same")
    def same():
        data = request.get_json()
        plain = json.loads(request.data)
        assert isinstance(data, dict) and data == plain and plain == data
        assert json.dumps(data) == json.dumps(plain) and repr(data) == repr(plain) and list(data) == list(plain)
        assert {**data} == plain and dict(data) == plain and (lambda **k: k)(**data) == plain
        assert copy.deepcopy(data) == plain and type(pickle.loads(pickle.dumps(data))) is dict
        assert (data | {"more": 1}) == {**plain, "more": 1} and bool(data) and len(data) == len(plain)
        data["added"] = 1
        assert request.json["added"] == 1 and request.get_json() is data
        assert isinstance(request.args, ImmutableMultiDict) and request.args == ImmutableMultiDict([("q", "1")])
        assert request.args.to_dict() == {"q": "1"} and dict(request.args) == {"q": "1"}
        return jsonify(data)
    @app.post("/spread")
    def spread():
        (lambda **k: k)(**request.json)
        return "ok"
    @app.post("/form")
    def form():
        request.form.get("user"); request.files.get("upload"); request.args.get("page", 1, type=int)
        request.cookies.get("sid"); request.headers.get("X-Key"); request.authorization
        return request.form["password"]
    @app.post("/values")
    def values():
        return request.values["either"]
    @app.post("/deep")
    def deep():
        return helper(request.get_json())
    def helper(data):
        return str(data["address"]["city"])
    from marshmallow import Schema, fields
    class Address(Schema):
        city = fields.String(required=True)
    class Guest(Schema):
        name = fields.String(required=True)
        email = fields.Email()
        nights = fields.Integer(required=True, data_key="stay")
        rate = fields.Float()
        vip = fields.Boolean()
        address = fields.Nested(Address)
    @app.post("/guests")
    def guests():
        return jsonify(errors=Guest().validate(request.get_json()))
    @app.patch("/guests")
    def some():
        return jsonify(Guest(partial=True).load(request.get_json()))
"""

FASTAPI = """
    from fastapi import Body, Depends, FastAPI, Header, Request
    from fastapi.security import OAuth2PasswordBearer
    from pydantic import BaseModel
    app = FastAPI()
    class Model(BaseModel):
        a: int
        b: str = "x"
    @app.post("/json")
    async def body(request: Request):
        data = await request.json()
        data["name"]; data.get("age", 18)
        request.query_params.get("page"); request.headers.get("x-key"); request.cookies.get("sid")
        return data
    @app.post("/model")
    def model(model: Model, x_key: str = Header(None), token: str = Depends(OAuth2PasswordBearer(tokenUrl="t"))):
        return model
    @app.post("/dict")
    def bare(data: dict):
        return data["wanted"]
    @app.post("/embedded")
    def embedded(data: dict = Body(..., embed=True)):
        return data.get("inner")
"""


@pytest.fixture(scope="module")
def flask(boot: Callable[..., Any]) -> Iterator[Any]:
    """A Flask app."""
    return boot(FLASK)


@pytest.fixture(scope="module")
def fastapi(boot: Callable[..., Any]) -> Iterator[Any]:
    """A FastAPI app."""
    return boot(FASTAPI)


def demands(host: Any, *asked: Any, **record: object) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Demands of one request, by place and key."""
    told = host.child().serve(asked, **{"demand": True, **record})[0]
    return {(each["place"], *each["key"]): each for each in told["demands"]}


def test_json_keys(flask: Any) -> None:
    """Subscription demands a key, `.get`, `in` and pop with a default only ask for it; nested keys have their path."""
    noted = demands(flask, "POST", "/json", {"name": 1, "tags": [{"label": 2}]})
    assert noted["json", "name"]["required"]
    assert noted["json", "name"]["present"]
    assert (noted["json", "age"]["required"], noted["json", "age"]["default"]) == (False, 18)
    assert not noted["json", "note"]["required"]
    assert not noted["json", "left"]["present"]
    assert noted["json", "tags", 0, "label"]["required"]


def test_missing_key_is_noted_before_the_crash(flask: Any) -> None:
    """A key whose absence ends in a KeyError is a demand that was not met."""
    noted = demands(flask, "POST", "/json", {"other": 1})
    assert (noted["json", "name"]["required"], noted["json", "name"]["present"]) == (True, False)


def test_helpers_ask_too(flask: Any) -> None:
    """A key that a helper function asks for is a demand."""
    assert ("json", "address", "city") in demands(flask, "POST", "/deep", {"address": {"city": "x"}})


@pytest.mark.parametrize("demand", [True, False])
def test_recording_changes_nothing(flask: Any, demand: bool) -> None:  # noqa: FBT001
    """Comparison, JSON, copies, unpacking and mutation behave as with the framework's own objects."""
    told = flask.child().serve(("POST", "/same?q=1", {"a": {"b": [1, {"c": None}]}, "d": "\u00e9"}), demand=demand)[0]
    assert told["failure"] is None
    assert told["status"] == 200


def test_unpacking_demands_nothing(flask: Any) -> None:
    """`f(**data)` takes what is there: the keys are noted, none is required."""
    noted = demands(flask, "POST", "/spread", {"a": 1, "b": 2})
    assert [noted["json", key]["required"] for key in "ab"] == [False, False]
    assert noted["json",]["how"] == "iterate"


def test_form_query_headers(flask: Any) -> None:
    """Forms, files, queries, cookies, headers and the Authorization header are noted under their own place."""
    header = {"content-type": "application/x-www-form-urlencoded"}
    noted = demands(flask, "POST", "/form?page=2", b"user=a&password=b", header)
    assert set(noted) == {
        ("form", "user"),
        ("form", "password"),
        ("file", "upload"),
        ("query", "page"),
        ("cookie", "sid"),
        ("header", "X-Key"),
        ("header", "Authorization"),
    }
    assert (noted["query", "page"]["type"], noted["query", "page"]["default"]) == ("int", 1)
    assert noted["form", "password"]["required"]
    assert ("form", "either") in demands(flask, "POST", "/values", b"either=1", header)


def test_starlette_request(fastapi: Any) -> None:
    """What a handler reads from Starlette's request is noted."""
    noted = demands(fastapi, "POST", "/json?page=1", {"name": 1})
    assert set(noted) == {("json", "name"), ("json", "age"), ("query", "page"), ("header", "x-key"), ("cookie", "sid")}


def test_framework_itself_demands_nothing(fastapi: Any) -> None:
    """A typed body, a declared header and a security scheme are read by FastAPI: its schema tells them, not demands."""
    assert demands(fastapi, "POST", "/model", {"a": 1}, {"authorization": "Bearer x"}) == {}


def test_body_declared_as_a_bare_dictionary(fastapi: Any) -> None:
    """`data: dict` has no schema: its keys are noted when the handler gets it."""
    assert demands(fastapi, "POST", "/dict", {"wanted": 1})["json", "wanted"]["required"]
    assert ("json", "data", "inner") in demands(fastapi, "POST", "/embedded", {"data": {"inner": 1}})


def test_nothing_is_noted_when_off(flask: Any) -> None:
    """Without demand recording there are no demands."""
    assert demands(flask, "POST", "/json", {"name": 1, "tags": [{"label": 2}]}, demand=False) == {}


def test_a_schema_asks_for_its_fields(flask: Any) -> None:
    """marshmallow's fields are demands with their kind, under the key that travels; a partial schema requires none of them."""
    noted = demands(flask, "POST", "/guests", {"name": "x"})
    told = {key[1]: (each.get("type"), each["required"], each["default"]) for key, each in noted.items() if len(key) == 2}
    assert told == {
        "name": ("string", True, None), "email": ("string", False, None), "stay": ("integer", True, None), "rate": ("number", False, None),
        "vip": ("boolean", False, None), "address": ("object", False, None),
    }
    assert noted["json", "name"]["present"]
    assert not any(each["required"] for each in demands(flask, "PATCH", "/guests", {}).values())
    assert ("json", "address", "city") in demands(flask, "PATCH", "/guests", {"address": {}})
