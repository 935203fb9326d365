"""Honest values: from a schema, a name, or an answer."""

from __future__ import annotations

import re

import pytest

from toughen.explore.outcomes import Depth, depth, explain, soft_failure
from toughen.explore.values import Maker, Pool, grants_power, normal, required, singular
from toughen.model.blueprint import Parameter, Place
from toughen.model.source import Location
from toughen.model.trace import Exchange, Failure, Response


def parameter(name: str, **more: object) -> Parameter:
    return Parameter(Place.JSON, (name,), **more)  # type: ignore[arg-type]


def answered(status: int, body: object = None, **more: object) -> Exchange:
    return Exchange("POST", "/x", "", Response(status, (), str(body), 0, body, is_json=body is not None), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "shape"),
    [
        (parameter("email"), r"[^@\s]+@[^@\s]+\.\w+"),
        (parameter("x", type="string", format="uuid"), r"[0-9a-f-]{36}"),
        (parameter("x", type="string", format="date"), r"\d{4}-\d\d-\d\d"),
        (parameter("age", type="integer", minimum=18, maximum=20), r"18|19|20"),
        (parameter("x", type="string", min_length=30, max_length=40), r".{30,40}"),
        (parameter("code", type="string", max_length=3), r".{1,3}"),
    ],
)
def test_a_value_fits_its_declaration(made: Parameter, shape: str) -> None:
    """Types, formats, bounds and lengths are kept, and what a name suggests where nothing is declared."""
    assert re.fullmatch(shape, str(Maker().make(made)))


def test_two_values_differ() -> None:
    """Two users get two names and two addresses."""
    maker = Maker()
    assert maker.make(parameter("email")) != maker.make(parameter("email"))
    assert maker.make(parameter("username")) != maker.make(parameter("username"))


def test_power_is_never_asked_for() -> None:
    """An honest client sends no role, balance or flag of power unless it is required."""
    for name in ("role", "is_admin", "isAdmin".lower(), "balance", "permissions", "verified"):
        assert grants_power(name)
    for name in ("name", "amount", "email", "title", "rolename"):
        assert not grants_power(name)
    fields = [parameter("title", required=True), parameter("body"), parameter("role")]
    assert [each.name for each in required(fields)] == ["title"]
    assert [each.name for each in required(fields, every=True)] == ["title", "body"]


def test_answers_teach_ids() -> None:
    """The `id` in an answer about notes is a `note_id` elsewhere; the newest comes first, and no value twice."""
    pool = Pool()
    pool.learn([{"id": 7, "title": "a", "owner": {"id": 3}}], 0, "notes")
    pool.learn({"id": 8}, 1, "notes")
    pool.learn({"id": 8}, 2, "notes")
    seen = [each.value for each in pool.find("noteId")]
    assert seen == [each.value for each in pool.find("note_id")]
    assert seen[0] == 8
    assert seen.count(7) == seen.count(8) == 1
    assert [each.value for each in pool.find("owner_id")] == [3]


def test_names_are_normalized() -> None:
    """`productId`, `product-id` and `product_id` are one name; plurals become singular."""
    assert {normal(each) for each in ("productId", "product-id", "product_id")} == {"product_id"}
    assert [singular(each) for each in ("categories", "boxes", "users", "class")] == ["category", "box", "user", "class"]


@pytest.mark.parametrize(
    ("exchange", "wanted"),
    [
        (answered(200, {"ok": True}), Depth.SUCCESS),
        (answered(201, {"error": ""}), Depth.SUCCESS),
        (answered(200, {"success": False, "message": "no such thing"}), Depth.INVALID),
        (answered(200, {"error": "username already taken"}), Depth.CONFLICT),
        (answered(200, {"error": "please log in"}), Depth.REFUSED),
        (answered(401), Depth.REFUSED),
        (answered(403, {"detail": "already voted"}), Depth.CONFLICT),
        (answered(404), Depth.MISSING),
        (answered(400, {"detail": "Email already registered"}), Depth.CONFLICT),
        (answered(422, {"detail": [{"loc": ["header", "authorization"]}]}), Depth.REFUSED),
        (answered(422, {"detail": [{"loc": ["body", "x"]}]}), Depth.INVALID),
        (answered(500), Depth.CRASHED),
        (answered(200, failure=Failure("KeyError", "'x'", None)), Depth.CRASHED),
        (Exchange("GET", "/", "", None, ended="timeout"), Depth.DEAD),
    ],
)
def test_how_far_a_request_came(exchange: Exchange, wanted: Depth) -> None:
    """An answer is judged by its status and by what its body says of itself."""
    assert depth(exchange) is wanted


def test_a_failure_is_explained_in_one_line() -> None:
    """The reason names the exception with the user's own line, the time-out, or the answer's words."""
    crashed = answered(500, failure=Failure("KeyError", "'x'", Location("main.py", 3, "f")))
    assert explain(crashed) == "always 500: KeyError: 'x' (main.py:3 in f)"
    assert "never ended" in explain(Exchange("GET", "/", "", None, ended="timeout"))
    assert explain(answered(400, {"detail": "bad\nvalue"})) == "400: bad value"
    assert not soft_failure(answered(200, [1]))


def test_records_by_their_number_are_found_by_number_and_text() -> None:
    """`{"1": {...}, "2": {...}}` names records: JSON makes texts of numbers, and a route may want either."""
    pool = Pool()
    pool.learn({"1": {"name": "tea"}, "2": {"name": "coffee"}}, 0, "products")
    assert {each.value for each in pool.find("product_id")} == {"1", 1, "2", 2}
    pool.learn({"a7": {"name": "tea"}, "b8": {"name": "coffee"}}, 1, "notes")
    assert {each.value for each in pool.find("note_id")} == {"a7", "b8"}
