"""What counts as the same behaviour when a mend withholds a field by intention."""

from __future__ import annotations

from toughen.harden.sameness import Behaviour, differences, led, shape
from toughen.model.journey import Call, Journey
from toughen.model.trial import Experiment, Trial


def behaved(body: object) -> Behaviour:
    return Behaviour((200,), shape(body), (), body)  # type: ignore[arg-type]


def test_a_field_that_is_withheld_is_no_difference() -> None:
    """Wherever it stood in the answer; another field that goes with it is one."""
    before = behaved({"users": [{"id": 1, "password": "x"}, {"id": 2, "password": None}]})
    assert differences(before, behaved({"users": [{"id": 1}, {"id": 2}]}), withheld=frozenset({"password"})) == []
    assert differences(before, behaved({"users": [{"id": 1}, {"id": 2}]}))
    assert differences(before, behaved({"users": [{}, {}]}), withheld=frozenset({"password"}))


def test_steps_on_routes_that_were_closed_since_are_somebody_s() -> None:
    """A list that a stranger read first is read by who may now; the last call stays the stranger's who attacks by it."""
    stranger = (Call("GET /users"), Call("GET /users/{name}"))
    closed = {"GET /users": Journey("GET /users", (Call("GET /users", identity="user1"),), 200)}
    calls = led(Experiment({"control": Trial(stranger)}), closed).trials["control"].calls
    assert [each.identity for each in calls] == ["user1", None]
    assert led(Experiment({"attack": Trial((Call("GET /users"),))}), closed).trials["attack"].calls[0].identity is None
