"""What tells the mended answer from the one before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from toughen.model.trace import Exchange, Response, RowChange, Trace
from toughen.regressions.telling import Absent, Answered, Equal, Headed, Refusal, Unstored, own, told

if TYPE_CHECKING:
    from toughen.model.blueprint import Json


def answer(status: int, body: Json = None, *, sent: Json = None, headers: tuple[tuple[str, str], ...] = (), changes: tuple[RowChange, ...] = (), markers: dict[str, str] | None = None) -> Trace:
    response = Response(status, headers, json.dumps(body), json=body, is_json=True)
    return Trace((Exchange("POST", "/", json.dumps(sent) if sent is not None else "", response),), final_changes=changes, markers=markers or {})


def test_a_refusal_where_there_was_none() -> None:
    """Success and a crash before, a 4xx now: a refusal. A 4xx both times tells nothing."""
    assert told(answer(200), answer(403)) == (Refusal(),)
    assert told(answer(500), answer(422)) == (Refusal(),)
    assert told(answer(404), answer(422)) == ()


def test_a_crash_that_is_an_answer_now() -> None:
    """A 500 before and success now: the status is what is asserted; a crash now is nobody's test."""
    assert told(answer(500), answer(200)) == (Answered(200),)
    assert told(answer(200), answer(500)) == ()


def test_fields_that_are_gone() -> None:
    """What the answer no longer shows is asserted to be absent, beside the status that it still has."""
    assert told(answer(200, [{"id": 1, "password": "x"}]), answer(200, [{"id": 1}])) == (Answered(200), Absent('"password"'))


def test_a_canary_that_is_gone() -> None:
    """A canary of the lab's that stood in the answer is told by its name: it is another one in every run."""
    before = answer(200, "a tgnaaaa", markers={"planted": "tgnaaaa"})
    assert told(before, answer(200, "a", markers={"planted": "tgnbbbb"})) == (Answered(200), Absent("tgnaaaa", "planted"))


def test_a_value_that_was_taken_and_is_not_now() -> None:
    """What was sent and came back before, and does not now."""
    before, after = answer(200, {"role": "admin"}, sent={"role": "admin"}), answer(200, {"role": "user"}, sent={"role": "admin"})
    assert told(before, after) == (Answered(200), Equal(("role",), "admin", differs=True))


def test_headers_and_cookies() -> None:
    """A header that is no longer sent, and flags that a cookie has now."""
    shared = answer(200, headers=(("Access-Control-Allow-Origin", "https://evil.example"),))
    assert told(shared, answer(200)) == (Answered(200), Headed("access-control-allow-origin", None))
    before, after = answer(200, headers=(("Set-Cookie", "session=x; Path=/"),)), answer(200, headers=(("Set-Cookie", "session=y; HttpOnly; SameSite=Lax; Path=/"),))
    assert told(before, after) == (Answered(200), Headed("set-cookie", None, ("session", "httponly", "samesite")))


def row(**after: Json) -> tuple[RowChange, ...]:
    return (RowChange("users", "inserted", after=after),)


def test_what_stands_in_a_row_only() -> None:
    """Answers alike, and a row that holds what was sent no longer: the row is told by a text of the request's."""
    sent: Json = {"username": "ann", "admin": True}
    before, after = answer(201, sent=sent, changes=row(id=1, username="ann", admin=1)), answer(201, sent=sent, changes=row(id=1, username="ann", admin=0))
    assert told(before, after) == (Answered(201), Unstored("users", "admin", 1, ("username", "ann")))


def test_what_another_repair_did_is_not_this_breaks() -> None:
    """What the honest answer differs in as well is left out; of several rows, the break's own column is the one."""
    admin, password = Unstored("users", "admin", 1, ("username", "ann")), Unstored("users", "password", "pw", ("username", "ann"))
    assert own((Answered(201), password, admin), (Answered(201), password), "admin") == (Answered(201), admin)
    assert own((Answered(201), password, admin), (), "admin") == (Answered(201), admin)
    assert own((Refusal(),), (Refusal(),), "") == (Refusal(),)
