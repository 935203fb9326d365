"""Owns what is fetched before a request is sent: a token against request forgery, the tag of what it changes."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from toughen.explore import forms
from toughen.explore.outcomes import Depth, depth, message
from toughen.explore.session import Entry, Plan
from toughen.explore.values import Candidate, Origin, grants_power
from toughen.lab.requests import UnresolvedError, pick
from toughen.model.blueprint import Parameter, Place

if TYPE_CHECKING:
    from toughen.explore.session import Key, RouteState, Session
    from toughen.model.trace import Exchange


def tokens_of_own(session: Session) -> list[Candidate]:
    """Tokens against request forgery that this identity was given, newest first; one is fetched where there is none."""
    found = [each for index in range(len(session.history) - 1, -1, -1) if session.history[index].call.identity == session.current for each in _forgery_tokens(session, index)]
    # A page's token belongs to the cookie that came with it, so it is asked for anew.
    kept = [each for each in found if each.origin is None or each.origin.pointer[0] != "#field"]
    return kept or fetched_token(session)


def _forgery_tokens(session: Session, index: int) -> list[Candidate]:
    answer = session.history[index].exchange.response
    body = answer.json if answer is not None else None
    if not isinstance(body, dict):
        return [Candidate(value, "pool", Origin(index, ("#field", name))) for name, value in forms.tokens(session.history[index].exchange)]
    return [
        Candidate(value, "pool", Origin(index, (name,))) for name, value in body.items()
        if re.search(r"csrf|xsrf", name, re.IGNORECASE) and isinstance(value, str)
    ]


def with_new_token(session: Session, plan: Plan) -> Plan:
    """The plan with a token against request forgery that was fetched now, where it sends one."""
    keys = [key for key, _ in plan.values if forms.FORGERY.search(str(key[1][-1]))]
    token = fetched_token(session) if keys else []
    return plan.put(dict.fromkeys(keys, token[0]), plan.why) if token else plan


def handed_out(session: Session, plan: Plan) -> dict[Key, Candidate]:
    """Values that an answer handed out together with a row that it wrote (a captcha, a ticket), fetched anew: each may serve once only.

    What was read from that row (what stands in the picture, the code that was sent) is read from the new one.
    """
    changes: dict[Key, Candidate] = {}
    for key, candidate in plan.values:
        if candidate.origin is None or key in changes:
            continue
        maker = session.history[candidate.origin.entry]
        table = next((min(each.writes) for each in maker.exchange.statements if each.verb == "insert" and each.writes), None)
        if table is None or not any(one.stored is not None and one.stored[0].lower() == table.lower() for _, one in plan.values):
            continue
        before = {repr(row) for row in session.rows(table)}
        answer = session.send(maker.call)
        new = [row for row in session.rows(table) if repr(row) not in before]
        if depth(answer) is not Depth.SUCCESS or not new:
            continue
        session.history.append(Entry(maker.route, maker.call, answer, maker.plan, kept=True))
        for other, one in plan.values:
            if one.origin is not None and one.origin.entry == candidate.origin.entry:
                with contextlib.suppress(UnresolvedError):
                    changes[other] = Candidate(pick([answer], 0, one.origin.pointer), "pool", Origin(len(session.history) - 1, one.origin.pointer))
            elif one.stored is not None and one.stored[0].lower() == table.lower():
                changes[other] = Candidate(new[-1].get(one.stored[1]), "mirror", stored=one.stored, beside=one.beside)  # type: ignore[arg-type]
    return changes


def fetched_token(session: Session) -> list[Candidate]:
    """A token against request forgery, fetched now by the identity that is trying."""
    for index in range(len(session.history) - 1, -1, -1):
        entry = session.history[index]
        if not entry.route.startswith("GET ") or not _forgery_tokens(session, index):
            continue
        call = entry.call.by(session.current)
        answer = session.send(call)
        if depth(answer) is Depth.SUCCESS:
            session.history.append(Entry(entry.route, call, answer, entry.plan, kept=True))
            return _forgery_tokens(session, len(session.history) - 1)
    return []


def forgery(session: Session, state: RouteState, plan: Plan, exchange: Exchange) -> Plan | None:
    """Where the answer says that the token against request forgery is not the one: a new one."""
    if not re.search(r"csrf|xsrf|forgery", message(exchange), re.IGNORECASE) or plan.why == "forgery":
        return None
    keys = [key for key, _ in plan.values if re.search(r"csrf|xsrf", str(key[1][-1]), re.IGNORECASE)]
    if keys or state.body not in {None, "form"}:
        # A script sends it beside its JSON, under the name that Flask-WTF and Django read.
        header: Key = (Place.HEADER, ("X-CSRFToken",))
        token = fetched_token(session)
        if token and not keys:
            state.parameters.setdefault(header, Parameter(*header, "string", required=True, declared=False))
        return plan.put(dict.fromkeys(keys or [header], token[0]), "forgery") if token else None
    return from_page(session, state, plan, exchange, "forgery") or _with_any_token(session, state, plan)


def _with_any_token(session: Session, state: RouteState, plan: Plan) -> Plan | None:
    """The token of any page that this identity may see: it is the session's, not the page's."""
    token = next((each for each in fetched_token(session) if each.origin is not None and each.origin.pointer[0] == "#field"), None)
    if token is None or token.origin is None:
        return None
    key: Key = (Place.FORM, (str(token.origin.pointer[1]),))
    state.parameters.setdefault(key, Parameter(*key, "string", required=True, declared=False))
    state.body = "form"
    return plan.put({key: token}, "forgery")


def from_page(session: Session, state: RouteState, plan: Plan, exchange: Exchange, why: str) -> Plan | None:
    """What the page with the form for this route would send, its token too; the page is asked for anew."""
    path = exchange.target.partition("?")[0]
    for entry in reversed(session.history):
        wanted = forms.named(entry.exchange, path) if entry.route.startswith("GET ") else None
        if wanted is None:
            continue
        answer = session.send(entry.call.by(session.current))
        if depth(answer) is not Depth.SUCCESS:
            continue
        session.history.append(Entry(entry.route, entry.call.by(session.current), answer, entry.plan, kept=True))
        place = len(session.history) - 1
        changes: dict[Key, Candidate] = {(Place.FORM, (name,)): Candidate(value, "pool", Origin(place, ("#field", name))) for name, value in forms.tokens(answer)}
        for parameter in wanted:
            key: Key = (parameter.place, parameter.path)
            state.parameters.setdefault(key, parameter)
            if plan.get(key) is None and not grants_power(parameter.name):
                changes[key] = Candidate(session.maker.make(state.parameters[key]), "name")
        for key in changes:
            state.parameters.setdefault(key, Parameter(*key, "string", required=True, declared=False))
        state.body = "form"
        return plan.put(changes, why) if changes else None
    return None


def precondition(session: Session, state: RouteState, plan: Plan, exchange: Exchange) -> Plan | None:
    """Where a change wants the tag of what it changes (428, RFC 6585): that of the same resource, fetched now."""
    key: Key = (Place.HEADER, ("If-Match",))
    if exchange.status not in {412, 428} or plan.why == "precondition":
        return None
    look = Plan(tuple(item for item in plan.values if item[0][0] is Place.PATH), plan.grants, "look")
    read = session.blueprint.route(f"GET {state.route.path}")
    if read is None:
        return None
    call = look.call(read, session.current, None)
    answer = session.send(call)
    tag = answer.response.header("ETag") if answer.response is not None else None
    if tag is None or depth(answer) is not Depth.SUCCESS:
        return None
    session.history.append(Entry(read.id, call, answer, look, kept=True))
    state.parameters.setdefault(key, Parameter(*key, "string", required=True, declared=False))
    return plan.put({key: Candidate(tag, "pool", Origin(len(session.history) - 1, ("#header", "ETag")))}, "precondition")
