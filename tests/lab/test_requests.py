"""Calls become requests."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest

from toughen.lab.requests import (
    Resolver,
    UnresolvedError,
    assemble,
    build,
    cookies,
    flatten,
    hidden_fields,
    pick,
    text_of,
)
from toughen.model.blueprint import Place
from toughen.model.identity import Credential
from toughen.model.journey import Argument, Call, Extract, Literal, Marker, Stored, Tampered
from toughen.model.trace import Exchange, Response


def argument(place: Place, name: str, value: object) -> Argument:
    return Argument(place, (name,), Literal(value))  # type: ignore[arg-type]


def resolver(rows: list[dict[str, object]] | None = None) -> Resolver:
    return Resolver(lambda _: rows or [])  # type: ignore[arg-type,return-value]


def body_of(request: dict[str, object]) -> bytes:
    return base64.b64decode(str(request["body_b64"]))


def answered(body: object, headers: tuple[tuple[str, str], ...] = ()) -> Exchange:
    return Exchange("GET", "/", "", Response(200, headers, json.dumps(body), 0, body, is_json=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [{"a": 1, "b": {"c": [1, {"d": None}]}}, {"items": [{"id": 1}, {"id": 2}]}, {}, {"empty": {}, "none": []}])
def test_what_is_taken_apart_is_put_together_again(value: object) -> None:
    """A JSON value spread over paths is the same value when it is built from them."""
    assert build(flatten(value)) == value  # type: ignore[arg-type]


def test_a_path_may_be_the_whole_body() -> None:
    """An empty path is the whole body, a list as well."""
    assert build([((), [1, 2])]) == [1, 2]


def test_every_place_of_a_request() -> None:
    """Values travel where they belong: path (quoted), query (repeated for lists), header, cookie, JSON."""
    call = Call(
        "POST /notes/{note_id}",
        (
            argument(Place.PATH, "note_id", "a/b ü"),
            argument(Place.QUERY, "tag", ["x", "y z"]),
            Argument(Place.HEADER, ("X-Key",), Literal(value=True)),
            argument(Place.COOKIE, "lang", "de"),
            argument(Place.JSON, "title", "T"),
        ),
    )
    request = assemble(call, resolver(), (), None)
    assert request["target"] == "/notes/a%2Fb%20%C3%BC?tag=x&tag=y+z"
    headers = dict(request["headers"])
    assert headers["X-Key"] == "true"
    assert headers["Cookie"] == "lang=de"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body_of(request)) == {"title": "T"}
    assert headers["Content-Length"] == str(len(body_of(request)))


def test_a_backslash_in_a_path_stays() -> None:
    """A value of the path is data and no pattern, whatever it holds."""
    request = assemble(Call("GET /f/{name}", (argument(Place.PATH, "name", r"\1\g<0>"),)), resolver(), (), None)
    assert request["target"] == "/f/%5C1%5Cg%3C0%3E"


def test_a_form_and_a_file() -> None:
    """Fields alone are a form; with a file they are multipart."""
    field = argument(Place.FORM, "title", "a&b")
    assert body_of(assemble(Call("POST /x", (field,)), resolver(), (), None)) == b"title=a%26b"
    request = assemble(Call("POST /x", (field, argument(Place.FILE, "file", "cat.png"))), resolver(), (), None)
    assert b'name="file"; filename="cat.png"' in body_of(request)
    assert dict(request["headers"])["Content-Type"].startswith("multipart/form-data; boundary=")


def test_a_call_wins_over_its_credential() -> None:
    """A header that the call sets itself is not set again by the credential."""
    credential = Credential((("Authorization", "Bearer real"),), (("session", "s"),))
    call = Call("GET /x", (argument(Place.HEADER, "authorization", "Bearer mine"),))
    headers = assemble(call, resolver(), (), credential)["headers"]
    assert [value for name, value in headers if name.lower() == "authorization"] == ["Bearer mine"]
    assert ("Cookie", "session=s") in headers


def test_a_raw_body_is_sent_as_it_stands() -> None:
    """A raw body goes out byte for byte, lone surrogates too."""
    request = assemble(Call("POST /x", raw_body='{"a": NaN}\ud800'), resolver(), (), None)
    assert body_of(request) == b'{"a": NaN}\xed\xa0\x80'


def test_equal_markers_are_one_canary() -> None:
    """Two markers of one name carry the same fresh canary, each in its own shape."""
    made = resolver()
    call = Call("POST /x", (Argument(Place.JSON, ("a",), Marker("m")), Argument(Place.JSON, ("b",), Marker("m", "email"))))
    body = json.loads(body_of(assemble(call, made, (), None)))
    canary = made.markers["m"]
    assert body == {"a": f"tgn{canary}", "b": f"tgn{canary}@example.com"}
    assert resolver().resolve(Marker("m"), ()) != body["a"]


def test_values_of_answers_and_rows() -> None:
    """A value is taken from an earlier answer, its header or cookie, or from the newest row that fits."""
    exchange = answered({"items": [{"id": 7}]}, (("Location", "/x/7"), ("Set-Cookie", "sid=abc; Path=/")))
    assert pick([exchange], 0, ("items", -1, "id")) == 7
    assert pick([exchange], 0, ("#header", "location")) == "/x/7"
    assert pick([exchange], 0, ("#cookie", "sid")) == "abc"
    made = resolver([{"id": 1, "code": "old", "user": 7}, {"id": 2, "code": "new", "user": 7}, {"id": 3, "code": "no", "user": 8}])
    assert made.resolve(Stored("codes", "code", (("user", Extract(0, ("items", 0, "id"))),)), [exchange]) == "new"


def test_what_is_not_there_is_said() -> None:
    """A value that no answer and no row holds raises, and is never made up."""
    for step, pointer in ((0, ("items", 3)), (0, ("x",)), (1, ("a",)), (0, ("#header", "X"))):
        with pytest.raises(UnresolvedError):
            pick([answered({"items": [1]})], step, pointer)
    with pytest.raises(UnresolvedError):
        resolver().resolve(Stored("codes", "code"), ())


def test_text_and_cookies() -> None:
    """JSON values have one way to stand in a URL; the last Set-Cookie of a name wins."""
    assert [text_of(each) for each in (None, True, 3, 1.5, "x", [1])] == ["", "true", "3", "1.5", "x", "[1]"]
    assert cookies((("Set-Cookie", "a=1"), ("set-cookie", "a=2; HttpOnly"), ("X", "b=3"))) == {"a": "2"}


def test_a_field_of_a_page_is_taken_along() -> None:
    """The token that a page hides in a form or a meta element is found, its entities read; what is typed in is no such thing."""
    page = """<meta name="csrf-token" content="m1"><form><INPUT value='a&amp;b' type="hidden" name="csrf_token"><input name="shown" value="x" type="text"></form>"""
    assert hidden_fields(page) == {"csrf-token": "m1", "csrf_token": "a&b"}
    seen = Exchange("GET", "/", "", Response(200, (("Content-Type", "text/html"),), page))
    assert pick([seen], 0, ("#field", "csrf_token")) == "a&b"
    with pytest.raises(UnresolvedError, match="no field other"):
        pick([seen], 0, ("#field", "other"))


def test_a_token_is_sent_without_its_signature() -> None:
    """What it says stays, its signature goes: emptied, made up, or by a key that was found out; a cookie is kept as it is."""
    head, claims = (base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=").decode() for each in ({"alg": "HS256"}, {"sub": "ann"}))
    held = Credential((("Authorization", f"Bearer {head}.{claims}.c2lnbmVk"),), (("sid", "abc"),))
    found = Resolver(lambda _: [], credential=lambda _: held)

    def sent(how: str, key: str = "", carrier: str = "header:Authorization") -> str:
        return str(found.resolve(Tampered("user1", carrier, how, key), ()))

    assert sent("emptied") == f"Bearer {head}.{claims}."
    unsigned = sent("unsigned").removeprefix("Bearer ").split(".")
    assert json.loads(base64.urlsafe_b64decode(unsigned[0] + "=="))["alg"] == "none"
    assert unsigned[1:] == [claims, ""]
    assert sent("garbled").startswith(f"Bearer {head}.{claims}.")
    assert sent("garbled") != sent("garbled")
    signed = sent("signed", "secret").removeprefix("Bearer ").split(".")
    expected = hmac.new(b"secret", f"{signed[0]}.{signed[1]}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signed[2] + "=") == expected
    assert sent("kept", carrier="cookie:sid") == "abc"
    with pytest.raises(UnresolvedError):
        sent("emptied", carrier="cookie:sid")


def test_of_several_rows_the_newest_that_holds_a_value_is_read() -> None:
    """A code that was sent to one user is not looked for in the row of another."""
    rows = [{"name": "ann", "code": "1"}, {"name": "bob", "code": "2"}, {"name": "cat", "code": None}]
    assert resolver(rows).resolve(Stored("users", "code"), ()) == "2"
    assert resolver(rows).resolve(Stored("users", "code", (("name", "ann"),)), ()) == "1"
    assert resolver(rows).resolve(Stored("users", "code", (("name", "cat"),)), ()) is None


def test_a_value_inside_of_another_leaves_the_argument_as_it_was() -> None:
    """A canary put into a list that an honest request sends was sent by every later honest request as well."""
    coupons = [{"code": "SAVE", "value": 0}]
    assert build([(("coupons",), coupons), (("coupons", 0, "value"), "canary")]) == {"coupons": [{"code": "SAVE", "value": "canary"}]}
    assert coupons == [{"code": "SAVE", "value": 0}]
