"""Owns requests that another site's page makes in the name of whoever looks at it: what a browser lets it send, and what protects against it.

A page of another site can send a form (also as text/plain) with the cookies of the prototype that are not SameSite (RFC
6265bis 5.6.7.1), without reading any answer: no token of a page, no header of its own. With SameSite=Lax cookies go along with GET
only.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from toughen.doors import carries_right, is_idle
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Extract, Literal, Marker, Tampered
from toughen.model.trial import Experiment, Trial
from toughen.twists import changed, literal, named, succeeded, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Route
    from toughen.model.identity import Identity
    from toughen.model.journey import Journey, Value
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Target

ORIGIN = "https://attacker.example"
_TOKEN = re.compile(r"csrf|xsrf|authenticity|^_token$|nonce|anti_?forgery", re.IGNORECASE)
"""What a page holds so that only it can make the request."""
_DOOR = re.compile(r"log-?_?in\b|log-?_?out|sign-?_?(in|up|out)|regist", re.IGNORECASE)
_OK, _ELSEWHERE, _TELLING = 200, 300, 3
_SET = re.compile(r"^\s*([^=;\s]+)=")


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """The identity's request as another site's page can make it: by form, by text, with the cookies alone; as it is where the prototype lets other sites."""
    who = target.identity(journey.identity or "")
    honest = target.honest(journey.route)
    if who is None or not who.credential.cookies or honest is None or _DOOR.search(journey.route):
        return
    call = journey.call if effects(honest) else _telling(target, route, journey)
    login = _sets(target, who)
    if call is None or login is None:
        return
    # Somebody else's log-in on the way would leave its cookie with everybody.
    logins = {each.login.route for each in target.identities if each.login is not None}
    before = tuple(each for each in journey.calls[:-1] if each.identity is not None or each.route not in logins)
    if len(before) < len(journey.calls) - 1 and (any(isinstance(each.value, Extract) for one in journey.calls for each in one.arguments) or any(each.after for each in journey.grants)):
        before = journey.calls[:-1]
    if effects(target.run(Trial((*before, call.by(None)), journey.grants))):
        return
    shared = {"control": (*before, call), "login": login.calls, "nobody": (*before, call.by(None))}
    facts = (("cookies", ",".join(name for name, _ in who.credential.cookies)), ("method", route.method), ("who", who.name))
    shapes = [(each, shape, None) for each, shape in _forged(call, who)] if route.method in {"POST", "GET"} else []
    for each, shape, preflight in [*shapes, *_allowed(target, call, who)]:
        trials = {**shared, **({"preflight": (preflight,)} if preflight is not None else {}), "attack": (*before, each)}
        yield Experiment({name: Trial(calls, () if name in {"login", "preflight"} else journey.grants) for name, calls in trials.items()}, f"another site's page, {shape}", (("shape", shape), *facts))


def _telling(target: Target, route: Route, journey: Journey) -> Call | None:
    """Where the honest request sets what stands there already: the same with other values; None where that changes nothing either."""
    call = journey.call
    for argument in (*call.arguments, *unsent(target, route, journey), *(Argument(each.place, each.path, Literal(each.default)) for each in route.parameters if each.type == "boolean")):
        value = literal(argument)
        if argument.place not in {Place.JSON, Place.FORM} or isinstance(value, dict | list):
            continue
        other: Value = Literal(not value) if isinstance(value, bool) else Literal(value + 1) if isinstance(value, int | float) else Marker(named(argument), "text")
        call = call.with_argument(argument.place, argument.path, other)
    if call == journey.call:
        return None
    trace = target.run(Trial((*journey.calls[:-1], call), journey.grants))
    return call if succeeded(trace.last) and effects(trace) else None


def _allowed(target: Target, call: Call, who: Identity) -> Iterator[tuple[Call, str, Call]]:
    """The request as it is, where the answer to a preflight (fetch.spec.whatwg.org, 4.8) lets other sites send it with cookies."""
    method = call.route.partition(" ")[0]
    asked = (("Origin", ORIGIN), ("Access-Control-Request-Method", method), ("Access-Control-Request-Headers", "content-type"))
    preflight = Call(
        f"OPTIONS {call.route.partition(' ')[2]}",
        (*(each for each in call.arguments if each.place is Place.PATH and isinstance(each.value, Literal)), *(Argument(Place.HEADER, (name,), Literal(value)) for name, value in asked)),
    )  # fmt: skip
    if method in {"GET", "HEAD"} or not lets(target.run(Trial((preflight,))).last):
        return
    yield replace(call.by(None), arguments=(*_known(call), *_sent_along(who))), "a script that the prototype's CORS lets in", preflight


def lets(answer: Exchange) -> bool:
    """Whether the answer to a preflight lets the other site send cookies and JSON."""
    response = answer.response
    if response is None or response.status >= 400 or response.header("access-control-allow-origin") != ORIGIN:  # noqa: PLR2004
        return False
    headers = (response.header("access-control-allow-headers") or "").lower()
    return (response.header("access-control-allow-credentials") or "").lower() == "true" and ("content-type" in headers or "*" in headers)


def _sets(target: Target, who: Identity) -> Journey | None:
    """The journey whose answer sets the identity's cookies: log-in, as a rule."""
    names = {name for name, _ in who.credential.cookies}
    login = who.login.route if who.login is not None else ""
    found = [each for each in target.journeys() if each.call.identity is None and (honest := target.honest(each.route)) is not None and names & set(attributes(honest.last))]
    return min(found, key=lambda each: (each.route != login, each.route), default=None)


def attributes(exchange: Exchange) -> dict[str, str]:
    """SameSite of each cookie that an answer sets, lower case; "" where it says nothing of it."""
    found = {}
    for name, value in exchange.response.headers if exchange.response is not None else ():
        match = _SET.match(value) if name.lower() == "set-cookie" else None
        if match is not None:
            same = re.search(r";\s*samesite\s*=\s*(\w+)", value, re.IGNORECASE)
            found[match.group(1)] = same.group(1).lower() if same else ""
    return found


def _forged(call: Call, who: Identity) -> Iterator[tuple[Call, str]]:
    """(the call, its shape) as a form sends it, without what only the prototype's own page knows."""
    kept = _known(call)
    bare = replace(call.by(None), arguments=(*kept, *_sent_along(who)))
    fields = [each for each in kept if each.place is Place.JSON]
    if not fields:
        yield bare, "a form"
        return
    others = tuple(each for each in bare.arguments if each.place is not Place.JSON)
    if all(isinstance(each.value, Literal) and len(each.path) == 1 for each in fields):
        body = json.dumps({str(each.path[0]): literal(each) for each in fields})
        yield replace(bare, arguments=others, raw_body=body, raw_type="text/plain", body="json"), "a form of plain text"
    if all(len(each.path) == 1 for each in fields):
        yield replace(bare, arguments=(*others, *(Argument(Place.FORM, each.path, each.value) for each in fields)), body="form"), "a form"


def _known(call: Call) -> tuple[Argument, ...]:
    """What somebody else can fill in: no header, nothing that is read off a page, no token."""
    return tuple(
        each for each in call.arguments
        if each.place not in {Place.HEADER, Place.COOKIE} and not _TOKEN.search(named(each)) and not (carries_right(named(each)) and each.place is not Place.PATH) and not _read_off(each)
    )  # fmt: skip


def _sent_along(who: Identity) -> tuple[Argument, ...]:
    """What the browser adds: the cookies, and where the page comes from."""
    told = {"Origin": ORIGIN, "Referer": f"{ORIGIN}/", "Sec-Fetch-Site": "cross-site"}
    cookies = (Argument(Place.COOKIE, (name,), Tampered(who.name, f"cookie:{name}", "kept")) for name, _ in who.credential.cookies)
    return (*cookies, *(Argument(Place.HEADER, (name,), Literal(value)) for name, value in told.items()))


def _read_off(argument: Argument) -> bool:
    """Whether a value is read off a page or a header of an answer: another site's page reads none."""
    return isinstance(argument.value, Extract) and bool(argument.value.pointer) and str(argument.value.pointer[0]) in {"#field", "#header", "#cookie"}


def effects(trace: Trace) -> frozenset[tuple[str, str, str]]:
    """(table, kind, column) of what the last request changed, but for clocks and counters."""
    return frozenset(
        (each.table, each.kind, column) for each in changed(trace)
        for column in (each.columns if each.kind == "updated" else ("*",)) if each.kind != "updated" or not is_idle(column)
    )  # fmt: skip


def looked_at(trace: Trace) -> bool:
    """Whether a GET shows a page, and all that changes is that it was seen: nothing goes for good, and nothing of its address is written down."""
    last, rows = trace.last, changed(trace)
    if last.method != "GET" or last.status is None or not _OK <= last.status < _ELSEWHERE:
        return False
    replaced = {each.table for each in rows if each.kind == "inserted"}
    if any(each.kind == "deleted" and each.table not in replaced for each in rows):
        return False
    address = urlsplit(last.target)
    said = {each for each in (*map(unquote, address.path.split("/")), *(value for _, value in parse_qsl(address.query))) if len(each) >= _TELLING}
    return not any(str(value) in said for each in rows for name, value in each.after.items() if each.kind == "inserted" or name in each.columns)


def left_out(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether the request is a script's, and no cookie says that it is meant for those: browsers leave all others out there."""
    said = attributes(traces["login"].last)
    return "preflight" in traces and not any(said.get(each) == "none" for each in experiment.fact("cookies").split(","))


def protected(experiment: Experiment, traces: Mapping[str, Trace]) -> bool:
    """Whether a browser leaves the cookies out of such a request."""
    said = attributes(traces["login"].last)
    strong = {"strict"} if experiment.fact("method") == "GET" else {"strict", "lax"}
    names = [each for each in experiment.fact("cookies").split(",") if each in said]
    return bool(names) and any(said[each] in strong for each in names)
