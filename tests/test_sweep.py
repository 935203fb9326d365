"""The sweep: which wrong values are tried, and how crashes are grouped."""

from __future__ import annotations

import json

from toughen.model.blueprint import Parameter, Place, Route
from toughen.model.journey import Argument, Call, Literal, Marker, Stored
from toughen.model.source import Location
from toughen.model.trace import Exchange, Failure, Response
from toughen.sweep import Crash, crashed, facts, grouped, line_of, wrong_calls

ROUTE = Route("POST", "/orders/{shop}", Location("main.py", 3, "order"), (Parameter(Place.PATH, ("shop",), "integer"), Parameter(Place.QUERY, ("limit",), "integer")))
CALL = Call(
    "POST /orders/{shop}",
    (
        Argument(Place.PATH, ("shop",), Stored("shops", "id")),
        Argument(Place.JSON, ("amount",), Literal(5)),
        Argument(Place.JSON, ("note",), Marker("note")),
    ),
    body="json",
)
FAILED = Failure("ValueError", "no number", Location("main.py", 7, "order"), 'File "/p/main.py", line 7, in order\n    amount = int(data["amount"])\nValueError')


def crash(index: int, failure: Failure | None) -> Crash:
    """A crash of the n-th wrong value."""
    return Crash(list(wrong_calls(CALL, ROUTE))[index], Exchange("POST", "/orders/1", "", Response(500), failure=failure))


def test_every_place_is_tried_by_its_kind() -> None:
    """A key that is looked up when it is sent counts by its parameter's type; a left out query number is tried too."""
    tried = {(each.field, each.kind) for each in wrong_calls(CALL, ROUTE)}
    assert {("body", "body"), ("shop", "huge"), ("amount", "string"), ("amount", "nan"), ("note", "long"), ("note", "nul"), ("limit", "huge")} <= tried
    assert ("limit", "missing") not in tried
    assert ("shop", "missing") not in tried


def test_crashes_are_grouped_by_line() -> None:
    """Two values that crash at one line are one finding; a 500 that the handler answers by itself is another."""
    groups = grouped([crash(0, FAILED), crash(1, FAILED), crash(2, None)])
    assert [len(each) for each in groups] == [2, 1]
    told = json.loads(facts(groups[0], {}, {}))
    assert told == [{"field": "body", "place": "json", "path": [], "kinds": ["body"], "type": "any", "fits": None}]


def test_the_line_that_raised_is_known_by_its_text() -> None:
    """Lines move while mends are applied: the text finds the statement again."""
    assert line_of(FAILED) == 'amount = int(data["amount"])'
    assert crashed(Exchange("POST", "/", "", Response(500)))
    assert not crashed(Exchange("POST", "/", "", Response(400)))


def test_flask_s_own_400_is_no_crash() -> None:
    """What Flask raises in debug mode, and answers with 400 elsewhere, is no crash; an abort with 500 is one."""
    missing = Failure("werkzeug.exceptions.BadRequestKeyError", "400 Bad Request: The browser sent a request that ...", None)
    assert not crashed(Exchange("POST", "/", "", Response(500), failure=missing))
    assert crashed(Exchange("POST", "/", "", Response(500), failure=Failure("werkzeug.exceptions.InternalServerError", "500 Internal Server Error", None)))
