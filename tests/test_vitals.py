"""Owns the claims about which addresses may tell of a prototype's health, and how their answers are read."""

from __future__ import annotations

import pytest

from toughen import vitals
from toughen.model.blueprint import Blueprint, Route
from toughen.model.source import Location
from toughen.model.trace import Exchange, Response

HERE = Location("main.py", 1, "f")


def answered(path: str, status: int, body: str = "", kind: str = "application/json", json: object = None) -> Exchange:
    """An address and what it answers."""
    return Exchange("GET", path, "", Response(status, (("content-type", kind),), body, json=json, is_json=json is not None))  # type: ignore[arg-type]


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/health", "/health_check", "/ping", "/api/status", "/_health", "/probe/ready", "/livez"])
def test_words_of_health(path: str) -> None:
    """Paths that are called so are asked."""
    assert vitals.tells(path)


@pytest.mark.parametrize("path", ["/", "/orders/{order_id}/status", "/healthy-recipes", "/shops/1/orders/2/status", "/livestock", "/upload", "/already"])
def test_words_of_business(path: str) -> None:
    """Paths of the business are not, though a word is in them."""
    assert not vitals.tells(path)


def test_well_known_names_are_asked_below_what_routes_share() -> None:
    """The declared address comes first, then the names at the root and below the API's prefixes; nowhere comes last."""
    routes = tuple(Route("GET", path, HERE) for path in ("/api/v1/items", "/api/v1/orders", "/shop/alive", "/about"))
    asked = [each.route for each in vitals.candidates(Blueprint("shop", "flask", None, routes))]
    assert asked[0] == "GET /shop/alive"
    assert {"GET /healthz", "GET /api/readyz", "GET /api/v1/ping"} <= set(asked)
    assert not any("/about/" in each for each in asked)
    assert asked[-2:] == ["GET /", vitals.NOWHERE]


def test_who_answers_everybody_alike_tells_nothing() -> None:
    """The page that a catch-all gives for any address is no health check; a root that only greets is none either."""
    page = answered("/no-such-address-here", 200, "<html>shop</html>", "text/html")
    assert vitals.alive([answered("/healthz", 200, "<html>shop</html>", "text/html"), page]) == []
    assert vitals.alive([answered("/live", 200, "ok"), answered("/health", 200, "ok"), page]) == [1, 0]
    lost = answered("/no-such-address-here", 404)
    assert vitals.alive([answered("/", 200, json={"message": "Welcome"}), answered("/ping", 404), lost]) == []
    assert vitals.alive([answered("/", 200, json={"status": "running"}), lost]) == [0]


def test_a_check_that_is_shut_is_told() -> None:
    """One that wants a credential, or fails though nothing is wrong, says nothing; where all that is unknown is answered so, there is none."""
    assert vitals.shut([answered("/healthz", 401), answered("/x", 404)]) == "GET /healthz answers 401"
    assert vitals.shut([answered("/healthz", 503), answered("/x", 404)]) == "GET /healthz answers 503"
    assert vitals.shut([answered("/healthz", 401), answered("/x", 401)]) == ""
    assert vitals.shut([answered("/healthz", 500), answered("/x", 500)]) == ""
    assert vitals.shut([answered("/up", 404), answered("/x", 404)]) == ""
