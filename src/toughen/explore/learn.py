"""Owns what one failed answer teaches: which keys it asked for, which value was refused, which row was wanted."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen import sql
from toughen.explore import forms
from toughen.explore.handshake import fetched_token, tokens_of_own
from toughen.explore.offers import first, stem_of
from toughen.explore.outcomes import Depth, depth, message
from toughen.explore.values import Candidate, carries_credential, grants_power, normal
from toughen.lab.requests import text_of
from toughen.model.blueprint import Parameter, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Key, Plan, RouteState, Session
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange, Statement

_PLACES = {
    "json": Place.JSON, "form": Place.FORM, "query": Place.QUERY, "args": Place.QUERY, "header": Place.HEADER,
    "cookie": Place.COOKIE, "file": Place.FILE, "files": Place.FILE,
}
_CREDENTIAL = {"authorization", "x_api_key", "x_auth_token", "x_access_token", "cookie", "host", "user_agent"}
_REFUSED = 400
_NEXT = {str: "integer", int: "number", float: "boolean", bool: "array", list: "object"}
_WHOLE = frozenset({"__all__", "non_field_errors", "detail", "errors", "error", "message", "messages"})
"""Where complaints stand that are of no single field."""
_OF_ROWS = re.compile(r"does not exist|already|unique|select a valid choice|is not one of the available|didn.t match|do not match|too common|too similar|invalid pk", re.IGNORECASE)
_EXISTS = re.compile(r"already|exist|taken|duplicate|in use|unique", re.IGNORECASE)


def demanded(state: RouteState, plan: Plan, exchange: Exchange, session: Session) -> Plan | None:
    """Add every key that the handler asked the request for and did not find."""
    missing: dict[Key, Candidate] = {}
    absent = _missing_key(exchange)
    refusal = normal(exchange.response.body) if exchange.response is not None and exchange.response.status == _REFUSED else ""
    carried = {str(each.key[-1]) for each in exchange.demands if each.present and each.key and each.place in {"header", "cookie"}}
    for demand in exchange.demands:
        place = _PLACES.get(demand.place)
        if place is None or demand.present or not demand.key:
            continue
        if str(demand.key[-1]) in carried and not demand.required:
            # A credential that was looked for in one place after the other, and found: a made-up one would stand before it.
            continue
        key: Key = (place, tuple(demand.key))
        name = str(demand.key[-1])
        csrf = "csrf" in normal(name) or "xsrf" in normal(name)
        if place in {Place.HEADER, Place.COOKIE} and not csrf and (
            normal(name) in _CREDENTIAL or not (demand.required or normal(name) in refusal) or carries_credential(Parameter(Place.HEADER, (name,)))
        ):
            continue
        if place is Place.COOKIE or (csrf and not tokens_of_own(session)):
            continue
        if plan.get(key) is not None or (grants_power(name) and name != absent):
            continue
        parameter = state.parameters.get(key) or Parameter(
            place, key[1], type=_type_of(demand.default) if demand.type == "any" else demand.type, required=demand.required, default=demand.default, declared=False
        )
        state.parameters[key] = parameter
        if state.body is None and place in {Place.JSON, Place.FORM}:
            state.body = "json" if place is Place.JSON else "form"
        missing[key] = first(session, state, parameter)
    for key, parameter in state.parameters.items():
        # A header that the handler declares as optional, and whose absence it refuses by name.
        if parameter.place is Place.HEADER and plan.get(key) is None and key not in missing and normal(parameter.name) in refusal and normal(parameter.name) not in _CREDENTIAL and not carries_credential(parameter):
            missing[key] = first(session, state, parameter)
    if not missing and not any(key[0] in {Place.JSON, Place.FORM} for key, _ in plan.values):
        missing = _any_fields(state, exchange, session)
    if not missing and state.route.method == "POST":
        missing = _form_fields(state, plan, exchange, session)
    return plan.put(missing, "demanded") if missing else None


def _form_fields(state: RouteState, plan: Plan, exchange: Exchange, session: Session) -> dict[Key, Candidate]:
    """Fields of the form that came back instead of what was asked for, with its token."""
    if state.body not in {None, "form"}:
        return {}
    missing: dict[Key, Candidate] = {}
    for parameter in forms.fields(exchange, exchange.target.partition("?")[0]):
        key: Key = (parameter.place, parameter.path)
        if plan.get(key) is None and not grants_power(parameter.name) and parameter.required:
            known = state.parameters.setdefault(key, parameter)
            missing[key] = first(session, state, known)
    if missing:
        state.body = "form"
    for name, _ in forms.tokens(exchange):
        key = (Place.FORM, (name,))
        if plan.get(key) is None and (token := fetched_token(session)):
            state.body = "form"
            state.parameters.setdefault(key, Parameter(Place.FORM, (name,), "string", required=True, declared=False))
            missing[key] = token[0]
    return missing


def _any_fields(state: RouteState, exchange: Exchange, session: Session) -> dict[Key, Candidate]:
    """Where the handler takes whatever fields it is sent: those that the resource shows, as a client would echo them."""
    walked = next((each for each in exchange.demands if not each.key and each.place in {"json", "form"}), None)
    if walked is None:
        return {}
    place = Place.JSON if walked.place == "json" else Place.FORM
    shown: Json = None
    for entry in session.history:
        if entry.route == f"GET {state.route.path}" and entry.exchange.response:
            shown = entry.exchange.response.json
    while isinstance(shown, dict) and sum(isinstance(each, dict) for each in shown.values()) == 1:
        shown = next(each for each in shown.values() if isinstance(each, dict))
    names = list(shown) if isinstance(shown, dict) else [
        column.name for table in session.blueprint.tables if stem_of(table.name).endswith(stem_of(state.resource) or "-") for column in table.columns
    ]
    fields: dict[Key, Candidate] = {}
    for name in names:
        if grants_power(name) or normal(name) in {"id", "password", "username", "email", "created_at", "updated_at"} or normal(name).endswith("_id"):
            continue
        parameter = Parameter(place, (name,), declared=False)
        state.parameters[(place, (name,))] = parameter
        fields[(place, (name,))] = Candidate(session.maker.make(parameter), "demanded")
    state.body = state.body or ("json" if place is Place.JSON else "form")
    return fields


def named_fields(state: RouteState, plan: Plan, exchange: Exchange, session: Session) -> Iterator[Plan]:
    """Optional fields that a refusal names, one at a time: "enter an email or a phone number"."""
    if exchange.status != _REFUSED or plan.why == "named":
        return
    said = normal(message(exchange))
    for key, parameter in state.parameters.items():
        if key[0] in {Place.JSON, Place.FORM, Place.QUERY} and plan.get(key) is None and re.search(rf"(^|_){normal(parameter.name)}(_|$)", said) and not grants_power(parameter.name):
            yield plan.put({key: first(session, state, parameter)}, "named")


def _missing_key(exchange: Exchange) -> str:
    failure = exchange.failure or next(iter(exchange.handled), None)
    if failure and failure.type.endswith("KeyError"):
        return failure.message.strip("'\"")
    return ""


def _type_of(default: Json) -> str:
    match default:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case list():
            return "array"
        case dict():
            return "object"
    return "any"


def invalid_fields(state: RouteState, plan: Plan, exchange: Exchange, session: Session) -> Plan | None:
    """Mend what a 422 (FastAPI, marshmallow, jsonschema) names: add what is missing, change what is of the wrong kind."""
    bodies = [exchange.response.json if exchange.response else None, *(_told(each.message) for each in exchange.handled if "Validation" in each.type)]
    changes: dict[Key, Candidate] = {}
    told = [(*each, False) for body in bodies for each in _complaints(body)] + [(*each, True) for each in _rejected(exchange)]
    for place, path, text, declared in told:
        key = _key_for(state, plan, place, path)
        if key[0] is Place.HEADER and carries_credential(Parameter(key[0], key[1])):
            continue
        parameter = state.parameters.get(key) or Parameter(key[0], key[1], required=True, declared=False)
        sent = plan.get(key)
        if "none_required" in text and sent is not None and not parameter.required:
            return plan.drop({key}, "422")
        corrected = _corrected(parameter, text)
        if corrected == parameter and sent is not None and declared:
            # A serializer's own field knows its kind; another value of it may do.
            changes[key] = Candidate(session.maker.make(parameter), "422")
            continue
        if corrected == parameter and sent is not None:
            # The complaint does not say what is wrong with what was sent: the next kind of value.
            corrected = replace(parameter, type=_NEXT.get(type(sent.value), "string"))
        parameter = corrected
        state.parameters[key] = parameter
        if state.body is None and key[0] in {Place.JSON, Place.FORM}:
            state.body = "json" if key[0] is Place.JSON else "form"
        changes[key] = Candidate(session.maker.make(parameter), "422")
    return plan.put(changes, "422") if changes else None


def _rejected(exchange: Exchange) -> list[tuple[str, tuple[str | int, ...], str]]:
    """What a form of Django's, or a serializer of its REST framework, says of single fields; what a row lacks or has already is no matter of the value's kind."""
    body = exchange.response.json if exchange.response is not None and exchange.status == _REFUSED else None
    said = {name: " ".join(map(str, each)) for name, each in body.items() if isinstance(each, list) and all(isinstance(one, str) for one in each)} if isinstance(body, dict) else {}
    said |= dict(exchange.rejected)
    return [("", (name,), text) for name, text in list(said.items())[:20] if name not in _WHOLE and not _OF_ROWS.search(text)]


def _told(text: str) -> Json:
    """The complaints in the text of a validation error that the handler answered in its own words."""
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return None
    return {"errors": found} if isinstance(found, dict) else None


_PAST = "2020-02-03"


def _complaints(body: Json) -> Iterator[tuple[str, tuple[str | int, ...], str]]:
    if not isinstance(body, dict):
        return
    for name in ("detail", "errors", "error", "message", "messages"):
        found = body.get(name)
        if isinstance(found, list):
            for each in found[:20]:
                if isinstance(each, dict) and isinstance(where := each.get("loc"), list) and where:
                    path = tuple(step for step in where[1:] if isinstance(step, str | int))
                    yield str(where[0]), path, f"{each.get('type', '')} {each.get('msg', '')}"
        elif isinstance(found, dict):
            for key, each in list(found.items())[:20]:
                if key in {"json", "form", "query", "querystring", "headers"} and isinstance(each, dict):
                    for field, text in list(each.items())[:20]:
                        yield key, (field,), str(text)
                else:
                    yield "", (key,), str(each)


def _key_for(state: RouteState, plan: Plan, place: str, path: tuple[str | int, ...]) -> Key:
    named = {"body": Place.FORM if state.body == "form" else Place.JSON, "json": Place.JSON, "form": Place.FORM, "query": Place.QUERY,
             "querystring": Place.QUERY, "path": Place.PATH, "header": Place.HEADER, "headers": Place.HEADER, "cookie": Place.COOKIE}
    known = {key for key, _ in plan.values} | set(state.parameters)
    if place not in named:
        return next((key for key in known if key[1] and key[1][-1] == path[-1]), (Place.FORM if state.body == "form" else Place.JSON, path))
    return (named[place], path)


def _corrected(parameter: Parameter, text: str) -> Parameter:
    low = text.lower()
    if parameter.format in {"date", "date-time"} or re.search(r"date|datum|day", normal(parameter.name)):
        if re.search(r"(not|n't|no)\b[^.]*\bfuture", low):
            return replace(parameter, enum=(_PAST if parameter.format == "date" else f"{_PAST}T10:00:00",))
        if "zero time" in low:
            return replace(parameter, type="string", format="date")
    for word, kind in (("int", "integer"), ("float", "number"), ("number", "number"), ("decimal", "number"), ("bool", "boolean"), ("list", "array"), ("array", "array"),
                       ("dict", "object"), ("object", "object"), ("string", "string"), ("str", "string")):
        if re.search(rf"\b(valid )?{word}", low) and "length" not in low:
            parameter = replace(parameter, type=kind)
            break
    for word, form in (("email", "email"), ("datetime", "date-time"), ("date", "date"), ("uuid", "uuid"), ("url", "uri")):
        if word in low:
            return replace(parameter, type="string", format=form)
    if match := re.search(r"at least (\d+)|minimum length (?:is )?(\d+)|shorter than minimum length (\d+)", low):
        size = int(next(each for each in match.groups() if each))
        return replace(parameter, min_length=size) if "char" in low or "length" in low else replace(parameter, minimum=size)
    if match := re.search(r"at most (\d+)|longer than maximum length (\d+)|maximum length (?:is )?(\d+)", low):
        return replace(parameter, max_length=int(next(each for each in match.groups() if each)))
    if match := re.search(r"greater than (?:or equal to )?(-?\d+)", low):
        return replace(parameter, minimum=int(match.group(1)) + 1)
    if match := re.search(r"less than (?:or equal to )?(-?\d+)", low):
        return replace(parameter, maximum=int(match.group(1)) - 1)
    if match := re.search(r"(?:one of|expected|be)[: ]+((?:'[^']+'(?:, | or )?)+)", text):
        return replace(parameter, enum=tuple(re.findall(r"'([^']+)'", match.group(1))))
    if match := re.search(r"(\d+)[- ]digits?\b", low):
        return replace(parameter, pattern=rf"^\d{{{match.group(1)}}}$")
    if match := re.search(r"pattern '([^']+)'", text):
        return replace(parameter, pattern=match.group(1))
    return parameter


def bind(state: RouteState, plan: Plan, exchange: Exchange) -> list[tuple[Key, str, str, Statement]]:
    """Places whose value was bound to a column in one of the statements."""
    found = []
    for statement in exchange.statements:
        tables = statement.reads if statement.verb == "select" else tuple(sorted(statement.writes)) if statement.verb in {"update", "delete"} else ()
        if not tables:
            continue
        columns = sql.bindings(statement.text)
        for key, candidate in plan.values:
            sent = text_of(candidate.value)
            for (table, column, operator), bound in zip(columns, statement.parameters, strict=False):
                if column and operator in {"eq", "in", "is", "like"} and text_of(bound) == sent and sent:
                    found.append((key, table or tables[0], column, statement))
                    state.bound.setdefault(key, (table or tables[0], column))
            if len(sent) > 2 and (match := re.search(rf"(\w+)\s*(?:=|LIKE)\s*(?:['\"]%?{re.escape(sent)}%?['\"]|{re.escape(sent)}\b)", statement.text, re.IGNORECASE)):  # noqa: PLR2004
                found.append((key, tables[0], match.group(1), statement))
                state.bound.setdefault(key, (tables[0], match.group(1)))
    return found


def wanted_rows(session: Session, state: RouteState, plan: Plan, exchange: Exchange, owner: Json) -> Iterator[Plan]:
    """Where a statement looked for a row by our value and found none: the values of rows that exist, one row for all."""
    empty: dict[str, dict[str, list[Key]]] = {}
    for key, table, column, statement in bind(state, plan, exchange):
        if statement.rows == 0 or statement.error:
            empty.setdefault(table, {}).setdefault(column, []).append(key)
    for table, columns in empty.items():
        taken = {(state.bound.get(key), repr(candidate.value)) for key, candidate in plan.values if key not in {each for keys in columns.values() for each in keys}}
        rows = [row for row in session.rows(table) if not any(((table, column), repr(row.get(column))) in taken for column in columns)] or session.rows(table)
        # Of a code that few rows have, only those tell one.
        rows = [row for row in rows if any(row.get(column) is not None for column in columns)] or rows
        own = [row for row in rows if owner is not None and any(value == owner for name, value in row.items() if name.lower() != "id")]
        seen: set[str] = set()
        for row in [*reversed(own[-3:]), *reversed(rows[-3:]), *rows[:1]]:
            changes: dict[Key, Candidate] = {}
            for column, keys in columns.items():
                value = next((each for name, each in row.items() if name.lower() == column.lower()), None)
                if value is not None:
                    changes.update(dict.fromkeys(keys, Candidate(value, "sqltrace", stored=(table, column))))  # type: ignore[arg-type]
            if changes and repr(changes) not in seen:
                seen.add(repr(changes))
                yield plan.put(changes, "sqltrace")


def fresh_values(session: Session, state: RouteState, plan: Plan, exchange: Exchange) -> Plan | None:
    """Where the answer says that something exists already: new values at the places that were looked up."""
    said = message(exchange) + (exchange.failure.message if exchange.failure else "")
    if depth(exchange) not in {Depth.CONFLICT, Depth.CRASHED} and not _EXISTS.search(said):
        return None
    if not _EXISTS.search(said):
        return None
    named = {column for _, column in re.findall(r"UNIQUE constraint failed: (\w+)\.(\w+)", said)}
    looked = {key for key, _, _, statement in bind(state, plan, exchange) if statement.rows}
    keys = {key for key, _ in plan.values if key in looked or str(key[1][-1]) in named}
    if not keys:
        keys = {key for key, candidate in plan.values if isinstance(candidate.value, str) and key[0] is not Place.PATH}
    changes = {
        key: Candidate(session.maker.make(state.parameters.get(key) or Parameter(key[0], key[1])), "fresh")
        for key in keys if normal(str(key[1][-1])) not in {"password", "confirm_password"}
    }
    return plan.put(changes, "fresh") if changes else None
