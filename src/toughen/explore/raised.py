"""Owns what an exception says about the value that raised it: the format it wanted, the type, the column that was missing."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from toughen.explore import offers
from toughen.explore.outcomes import message, wants_identity
from toughen.explore.values import Candidate, grants_power, normal
from toughen.lab.requests import text_of
from toughen.model.blueprint import Parameter, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Key, Plan, RouteState, Session
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange

_DAY = dt.datetime(2031, 2, 3, 10, 30)  # noqa: DTZ001 - formats without a zone are what prototypes parse
_MOST = 4
_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}
_WANTED = re.compile(r"\b(required|missing|mandatory|must be provided|must provide|not provided)\b", re.IGNORECASE)
_IDLE_WORDS = frozenset(["is", "are", "required", "missing", "mandatory", "must", "be", "provided", "field", "fields", "error", "message", "data", "json", "body", "request", "invalid", "the", "and", "or", "a", "an", "no", "not", "input"])
_WORDS_READ = 24
_OF_TEXT = r"strip|lower|upper|split|startswith|endswith|encode|replace|title|isdigit|format"


def raised_plans(session: Session, state: RouteState, plan: Plan, exchange: Exchange) -> Iterator[Plan]:
    """Plans that meet what the exceptions of this request (unhandled, or handled and answered with their text) ask for."""
    said = [
        f"KeyError: {each.message}" if each.type.endswith("KeyError") else each.message
        for each in ((exchange.failure,) if exchange.failure else ()) + exchange.handled
    ]
    # "Token is missing" names no field of the request's body where it is a credential that is wanted.
    told = message(exchange) if not wants_identity(exchange) else ""
    for text in dict.fromkeys([*said, told] if told not in {"", exchange.ended} else said):
        yield from _formats(plan, text)
        yield from _kinds(session, state, plan, text)
        yield from _fields(session, state, plan, text)


def _holding(plan: Plan, value: str) -> list[Key]:
    return [key for key, candidate in plan.values if text_of(candidate.value) == value]


def _formats(plan: Plan, text: str) -> Iterator[Plan]:
    """Dates and times in the format that the parser was given."""
    if match := re.search(r"time data '(.*?)' does not match format '(.*?)'", text):
        value: Json = _DAY.strftime(match.group(2))
        keys = _holding(plan, match.group(1))
        if keys:
            yield plan.put(dict.fromkeys(keys, Candidate(value, "raised")), "raised")
    elif match := re.search(r"Invalid URL '(.*?)'", text):
        keys = _holding(plan, match.group(1))
        if keys:
            yield plan.put(dict.fromkeys(keys, Candidate("https://example.com/page", "raised")), "raised")
    elif match := re.search(r"unconverted data remains: (.+)", text):
        tail = match.group(1)
        for key, candidate in plan.values:
            if isinstance(candidate.value, str) and candidate.value.endswith(tail) and len(candidate.value) > len(tail):
                yield plan.put({key: Candidate(candidate.value[: -len(tail)], "raised")}, "raised")
    elif match := re.search(r"Invalid isoformat string: '(.*?)'", text):
        keys = _holding(plan, match.group(1))
        for value in ("2031-02-03T10:30:00", "2031-02-03", "10:30:00"):
            if keys:
                yield plan.put(dict.fromkeys(keys, Candidate(value, "raised")), "raised")


def _kinds(session: Session, state: RouteState, plan: Plan, text: str) -> Iterator[Plan]:
    """Another type for the value that could not be used as one."""
    if match := re.search(r"invalid literal for int\(\) with base 10: '(.*?)'", text):
        yield from _retyped(session, state, plan, _holding(plan, match.group(1)), "integer")
    elif match := re.search(r"could not convert string to float: '(.*?)'", text):
        yield from _retyped(session, state, plan, _holding(plan, match.group(1)), "number")
    elif "badly formed hexadecimal UUID string" in text:
        for key, candidate in plan.values:
            parameter = state.parameters.get(key)
            if parameter is not None and isinstance(candidate.value, str) and parameter.format != "uuid":
                fitting = replace(parameter, type="string", format="uuid")
                yield plan.put({key: Candidate(session.maker.make(fitting), "raised")}, "raised")
    elif match := re.search(r"'(.*?)' is not (?:a valid|among the defined enum values[^:]*: \w+\. Possible values:) ?(.*)", text):
        keys = _holding(plan, match.group(1))
        for choice in _choices(session, match.group(2))[:_MOST] if keys else ():
            yield plan.put(dict.fromkeys(keys, Candidate(choice, "raised")), "raised")
    elif match := re.search(rf"'(int|float|bool|list|dict)' object has no attribute '({_OF_TEXT})'", text):
        yield from _every(session, state, plan, match.group(1), "string")
    elif match := re.search(r"'str' object has no attribute '(get|items|keys|values|append|extend|isoformat)'|string indices must be integers", text):
        yield from _every(session, state, plan, "str", "array" if match.group(1) in {"append", "extend"} else "object")
    elif re.search(r"not supported between instances of '(str' and '(int|float)|(int|float)' and 'str)'|unsupported operand type\(s\) for .*'str'", text):
        yield from _every(session, state, plan, "str", "integer")


def _retyped(session: Session, state: RouteState, plan: Plan, keys: list[Key], kind: str) -> Iterator[Plan]:
    for key in keys:
        parameter = replace(state.parameters.get(key) or Parameter(key[0], key[1], declared=False), type=kind, format=None)
        state.parameters[key] = parameter
        for number, candidate in enumerate(offers.offers(session, state, parameter)):
            if number >= _MOST:
                break
            yield plan.put({key: candidate}, "raised")


def _every(session: Session, state: RouteState, plan: Plan, sent: str, kind: str) -> Iterator[Plan]:
    """Each value of that Python type whose parameter does not declare its type, in turn, as another."""
    for key, candidate in plan.values:
        parameter = state.parameters.get(key)
        if parameter is None or type(candidate.value).__name__ != sent or (parameter.declared and parameter.type != "any"):
            continue
        yield plan.put({key: Candidate(session.maker.make(replace(parameter, type=kind, format=None)), "raised")}, "raised")


def _choices(session: Session, named: str) -> list[str]:
    """Members of the enumeration that a ValueError names, or the values that it lists."""
    if "," in named:
        return re.findall(r"[\w\- ]+", named.strip(" .'"))
    name = re.match(r"\w*", named)
    for text in session.sources.values():
        if name and (match := re.search(rf"^class {name.group(0)}\([^)]*\):((?:\n[ \t]+.*|\n[ \t]*)+)", text, re.MULTILINE)):
            return re.findall(r"^[ \t]+\w+\s*=\s*['\"](.*?)['\"]", match.group(1), re.MULTILINE)
    return []


def _untold(state: RouteState) -> bool:
    """Whether nothing declares what the body holds."""
    return state.body is not None and not any(each.declared and each.place in {Place.JSON, Place.FORM} for each in state.parameters.values())


def _said_names(session: Session, text: str) -> list[str]:
    """Words of a refusal ("title is required", "Missing due date") that the source has as keys."""
    spoken = re.findall(r"[a-z][a-z0-9_]*", text.lower())[:_WORDS_READ]
    pairs = [f"{one}_{other}" for one, other in pairwise(spoken)]
    whole = "\n".join(session.sources.values())
    found = [name for name in (*pairs, *spoken) if name not in _IDLE_WORDS and re.search(rf"['\"]{re.escape(name)}['\"]", whole)]
    return [name for name in dict.fromkeys(found) if not any(name != other and name in other.split("_") for other in found)][:_MOST]


def _fields(session: Session, state: RouteState, plan: Plan, text: str) -> Iterator[Plan]:
    """Fields that a row or an object wanted and did not get, or got and did not know."""
    place = Place.FORM if state.body == "form" else Place.JSON
    wanted: list[str] = []
    if match := re.search(r"NOT NULL constraint failed: \w+\.(\w+)", text):
        wanted = [match.group(1)]
    elif match := re.search(r"missing \d+ required (?:positional|keyword-only) arguments?: (.*)", text):
        wanted = re.findall(r"'(\w+)'", match.group(1))
    elif (match := re.fullmatch(r"KeyError: '(\w+)'", text)) and _untold(state):
        wanted = [match.group(1)]
    elif match := re.search(r"'(\w+)' is an invalid keyword argument|unexpected keyword argument '(\w+)'", text):
        unknown = match.group(1) or match.group(2)
        keys = {key for key, _ in plan.values if key[0] is not Place.PATH and str(key[1][-1]) == unknown}
        if keys:
            yield plan.drop(keys, "raised")
    elif _untold(state) and _WANTED.search(text):
        wanted = _said_names(session, text)
    missing: dict[Key, Candidate] = {}
    for name in wanted:
        key: Key = (place, (name,))
        if plan.get(key) is not None or grants_power(name) or normal(name) == "self":
            continue
        parameter = state.parameters.get(key) or Parameter(place, (name,), required=True, declared=False)
        state.parameters[key] = parameter
        missing[key] = offers.first(session, state, parameter)
    if missing:
        state.body = state.body or "json"
        yield plan.put(missing, "raised")
