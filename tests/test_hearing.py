"""Owns the claims about which lines of a log can be searched and joined with a request, and what counts as word of an error."""

from __future__ import annotations

import json

import pytest

from toughen import hearing
from toughen.model.trace import Exchange, Logged, Outgoing, Response, RowChange, Told, Trace


def exchange(*lines: str, status: int = 500, headers: tuple[tuple[str, str], ...] = (), body: str = "") -> Exchange:
    """A request that made its process write these lines."""
    return Exchange("GET", "/items", "", Response(status, headers, body), told=Told(lines))


@pytest.mark.parametrize("line", [
    f'{{"level": "error", "event": "failed", "request_id": "{hearing.REQUEST_ID}"}}',
    f'{{"severity": "ERROR", "message": "{hearing.REQUEST_ID} failed"}}',
    '{"text": "failed", "record": {"level": {"name": "ERROR", "no": 40}, "extra": {"correlation_id": "a81f"}}}',
    f'ts=2026-01-01 level=error msg="it failed" trace={hearing.REQUEST_ID.replace("-", "")}',
    "\x1b[2m2026-01-01\x1b[0m [\x1b[31merror    \x1b[0m] failed  \x1b[36mmethod\x1b[0m=GET \x1b[36mpath\x1b[0m=/items \x1b[36mrequest_id\x1b[0m=77ab",
    '{"levelno": "40", "level": "40", "msg": "failed", "req": {"id": "x"}, "id": "answered-1"}',
])  # fmt: skip
def test_a_structured_line_tells(line: str) -> None:
    """JSON and pairs tell, whoever writes them, where they hold a level and an id that was sent, is answered, or is called so."""
    assert hearing.telling(exchange("starting", line, headers=(("X-Request-ID", "answered-1"),)))[0] == line


@pytest.mark.parametrize(("line", "instead"), [
    ("", "nothing at all"),
    ("ERROR:app:it failed", "prose"),
    ("Traceback (most recent call last):", "a traceback in many lines of prose"),
    ('{"level": "info", "event": "failed", "request_id": "7f3a9c2e"}', "prose"),
    ('{"level": "error", "event": "failed", "user": 7}', "a structured line, and none that names the request"),
    ('127.0.0.1 - - "GET /items HTTP/1.1" 500 -', "prose"),
])  # fmt: skip
def test_prose_does_not(line: str, instead: str) -> None:
    """Prose, a line without a level or without a request, and a line of access are no such line; what there is instead is said."""
    assert hearing.telling(exchange(*([line] if line else []))) == ("", instead)


def test_what_is_told_elsewhere() -> None:
    """A record that is seen nowhere went somewhere, and so did a call that an honest request does not make; what is written here is seen, escaped or not."""
    honest = exchange(status=200)
    record = Logged(40, "shop", "it\nfailed: 'x'", own=True)
    unseen = Exchange("GET", "/", "", Response(500), told=Told(("other",), (record,)))
    assert "logger shop" in hearing.elsewhere(unseen, honest)
    assert hearing.elsewhere(Exchange("GET", "/", "", Response(500), told=Told((json.dumps({"msg": record.message}),), (record,))), honest) == ""
    assert "sentry.example" in hearing.elsewhere(Exchange("GET", "/", "", Response(500), told=Told(), outgoing=(Outgoing("sentry.example", 443),)), honest)


def test_news_is_what_honest_requests_do_not_write() -> None:
    """Numbers and ids do not make a line new; what libraries note below a warning is none; a project's own word of it is."""
    usual = Told(("10:00 GET /items 3f9a8b7c6d5e",))
    assert not hearing.news(Told(("10:07 GET /items aa9a8b7c6d5e",)), usual)
    assert not hearing.news(Told(("INFO engine ROLLBACK",), (Logged(20, "sqlalchemy.engine", "ROLLBACK", own=False),)), usual)
    assert hearing.news(Told(("INFO could not save",), (Logged(20, "shop", "could not save", own=True),)), usual)
    assert hearing.loud(Told((), (Logged(30, "shop", "slow", own=True),)))


def test_what_was_missed() -> None:
    """An error answered, rows that are not there, a message that was not sent and a page without its content are missed; a read that is made up for is not."""
    row = RowChange("items", "inserted", after={"id": 1})
    honest = Trace((exchange(status=201, body="[1]"),), final_changes=(row,))
    assert hearing.missed(honest, Trace((exchange(status=400),)), "") == "GET /items answers 400"
    assert "no row of items is inserted" in hearing.missed(honest, Trace((exchange(status=201, body="[1]"),)), "")
    assert "without what it was to show" in hearing.missed(Trace((exchange(status=200, body="[1]"),)), Trace((exchange(status=200, body="[]"),)), "")
    for method, found in (("POST", True), ("GET", False)):
        called = Exchange("POST", "/join", "", Response(201), outgoing=(Outgoing("mail.example", 443, f"{method} /send HTTP/1.1"),))
        assert bool(hearing.missed(Trace((called,)), Trace((Exchange("POST", "/join", "", Response(201)),)), "mail.example")) is found
