"""Owns the sweep of wrong values: what is tried at every place of an honest call, what crashes, and at which line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Literal, Marker
from toughen.model.trial import Trial
from toughen.sql import bindings
from toughen.twists import answer, body_of, changed, named, negative, parameter_of, raw_json, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.model.blueprint import Json, Route, Table
    from toughen.model.journey import Call, Journey, Value
    from toughen.model.trace import Exchange, Failure, Statement
    from toughen.rule import Target

_HUGE = 10**30
_LONG = 5000
_LENGTHS = (4096, 1024, 255, 72)
_MOST = 120
_BATCH, _TELLING = 10, 10
_SLOW = 1500.0
"""Milliseconds after which a request is taken to wait for something that an earlier one left behind."""
_TICK = 1.1
_FAILED, _INVALID = 500, 422
_LARGEST_CALL = 200_000
_DIRECTION = re.compile(r"type|kind|direction|category|side|debit|credit|status", re.IGNORECASE)
_HELD = re.compile(r"balance|wallet|saldo|account|budget|ledger", re.IGNORECASE)
"""Words of what somebody has, to which entries add up."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong value at one place of an honest call."""

    field: str
    place: Place
    path: tuple[str | int, ...]
    kind: str
    """string, number, true, null, list, object, missing, huge, negative, zero, nan, long, nul, empty, text, body or again."""
    about: str
    call: Call
    before: tuple[Call, ...] = ()
    """Honest calls that go directly in front of it, more than a second earlier: some prototypes make keys of the clock."""


@dataclass(frozen=True, slots=True)
class Crash:
    """A wrong value and the exchange in which it crashed."""

    wrong: Wrong
    exchange: Exchange

    @property
    def site(self) -> str:
        """Line of the project at which it crashed; `handled` where the handler answered 500 by itself."""
        failure = self.exchange.failure
        return str(failure.location or failure.type) if failure else "handled"


def crashed(exchange: Exchange) -> bool:
    """Whether a request ended in an exception that nobody handled, or in a 500.

    In debug mode Flask raises its own 400 for a missing key, so that a developer sees where; its server answers 400.
    """
    failure = exchange.failure
    if failure is not None and failure.type.startswith("werkzeug.exceptions.") and re.match(r"4\d\d ", failure.message):
        return False
    return failure is not None or exchange.status == _FAILED


def swept(target: Target, journey: Journey, route: Route) -> list[Crash]:
    """All wrong values, several in one process; what an earlier one may have disturbed is sent again in the next.

    A success may have taken a key, and a crash may have left a lock behind: a refusal or crash after one says nothing.
    """
    found: list[Crash] = []
    waiting = list(wrong_calls(journey.call, route))[:_MOST]
    size = _BATCH
    while waiting:
        batch, waiting = waiting[:size], waiting[size:]
        trace = target.run(Trial((*journey.calls[:-1], *(each.call for each in batch)), journey.grants))
        exchanges = trace.exchanges[len(journey.calls) - 1 :]
        disturbed = False
        doubtful: list[Wrong] = []
        for wrong, exchange in zip(batch, exchanges, strict=False):
            if disturbed and not succeeded(exchange) and exchange.status != _INVALID:
                doubtful.append(wrong)
            elif crashed(exchange):
                found.append(Crash(wrong, exchange))
            disturbed = disturbed or crashed(exchange) or (succeeded(exchange) and route.method != "GET")
        waiting = doubtful + waiting
        if any(each.milliseconds > _SLOW or each.response is None for each in exchanges):
            size = 1
    for wrong in repeated(target, journey, route):
        if not crashed(target.run(trial(journey, wrong, apart=0.0)).last):
            continue
        exchange = target.run(trial(journey, wrong)).last
        if crashed(exchange):
            found.append(Crash(wrong, exchange))
    return found


def repeated(target: Target, journey: Journey, route: Route) -> Iterator[Wrong]:
    """The same request a second time, and for each unique key of several, one that repeats this key only."""
    honest = target.honest(route.id)
    if honest is None or not changed(honest) or not succeeded(honest.last):
        return
    call = journey.call
    yield Wrong("body", Place.JSON, (), "again", "the same request a second time", call, (call,))
    tables = [table for each in changed(honest) if each.kind == "inserted" and (table := target.blueprint.table(each.table)) is not None]
    names = {column.name for table in tables for column in table.columns if column.unique} | {key[0] for table in tables for key in table.uniques if len(key) == 1}
    unique = [each for each in call.arguments if named(each) in names and each.place in {Place.JSON, Place.FORM}]
    for kept in unique if len(unique) > 1 else ():
        other = call
        for each in unique:
            if each is not kept:
                other = other.with_argument(each.place, each.path, _another(each.value))
        yield Wrong(named(kept), kept.place, kept.path, "again", f"a {named(kept)} that is taken", other, (call,))


def _another(value: Value) -> Value:
    match value:
        case Literal(str() as text):
            return Literal(f"z{text}")
        case Literal(int() | float() as number) if not isinstance(number, bool):
            return Literal(number + 1)
        case Marker(name, shape):
            return Marker(f"{name}-other", shape)
    return value


def trial(journey: Journey, wrong: Wrong, apart: float = _TICK) -> Trial:
    """The journey with its last call replaced by the wrong one, `apart` seconds after one that it repeats."""
    return Trial((*journey.calls[:-1], *wrong.before, wrong.call), journey.grants, apart=apart if wrong.before else 0.0)


def grouped(crashes: Sequence[Crash]) -> list[list[Crash]]:
    """Crashes by the line at which they happen; the same request a second time stands apart."""
    groups: dict[tuple[str, bool], list[Crash]] = {}
    for each in crashes:
        groups.setdefault((each.site, each.wrong.kind == "again"), []).append(each)
    return list(groups.values())


def facts(crashes: Sequence[Crash], types: dict[str, str], fits: dict[str, int]) -> str:
    """What a mend must know of the crashing fields, as JSON: place, path, kinds of wrong values, honest type, length."""
    told: dict[str, dict[str, Json]] = {}
    for each in crashes:
        wrong = each.wrong
        key = f"{wrong.place.value}:{'.'.join(map(str, wrong.path))}"
        entry = told.setdefault(
            key, {"field": wrong.field, "place": wrong.place.value, "path": list(wrong.path), "kinds": [], "type": types.get(wrong.field, "any"), "fits": fits.get(wrong.field)}
        )
        kinds = entry["kinds"]
        assert isinstance(kinds, list)
        if wrong.kind not in kinds:
            kinds.append(wrong.kind)
    return json.dumps(list(told.values()))


def honest_types(target: Target, route: Route) -> dict[str, str]:
    """JSON Schema types of the fields of the body that an honest client sends; a whole number counts as what its column holds."""
    honest = target.honest(route.id)
    if honest is None:
        return {}
    try:
        body = json.loads(honest.last.request_body)
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for name, value in body.items() if isinstance(body, dict) else ():
        parameter = parameter_of(route, Argument(Place.JSON, (name,), Literal(value)))
        columns = [column for change in changed(honest) if (table := target.blueprint.table(change.table)) and (column := table.column(name))]
        found[name] = _type(value)
        if found[name] == "integer" and ("number" in {each.type for each in columns} or (parameter is not None and parameter.type == "number")):
            found[name] = "number"
    return {name: each for name, each in found.items() if each}


def _type(value: Json) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
    return ""


def longest(target: Target, journey: Journey, crashes: Sequence[Crash]) -> dict[str, int]:
    """For each text that crashes by its length, the longest tried length that does not."""
    fits: dict[str, int] = {}
    for wrong in (each.wrong for each in crashes if each.wrong.kind == "long"):
        for length in _LENGTHS:
            call = wrong.call.with_argument(wrong.place, wrong.path, Literal("x" * length))
            if not crashed(target.run(trial(journey, replace(wrong, call=call))).last):
                fits[wrong.field] = length
                break
    return fits


def wrong_calls(call: Call, route: Route) -> Iterator[Wrong]:
    """The whole body first, then each argument, then the numbers in the query that the honest call leaves out."""
    if call.body == "json" or any(each.place is Place.JSON for each in call.arguments):
        for value, words in (([1], "a list"), ("text", "a string"), (7, "a number")):
            yield Wrong("body", Place.JSON, (), "body", f"a body that is {words} instead of an object", raw_json(call, value))
        yield Wrong("body", Place.JSON, (), "text", "a body that is not JSON", replace(raw_json(call, None), raw_body="{"))
    for argument in call.arguments:
        yield from _argument(call, argument, _value(argument, route))
    for parameter in route.parameters:
        if parameter.place is Place.QUERY and parameter.type == "integer" and call.argument(Place.QUERY, parameter.path) is None:
            yield from _argument(call, Argument(Place.QUERY, parameter.path, Literal(1)), 1, sent=False)


def _value(argument: Argument, route: Route) -> Json:
    """The honest value, or one of its kind where it is only known when the call is sent."""
    if isinstance(argument.value, Literal):
        return argument.value.value
    parameter = parameter_of(route, argument)
    return 1 if parameter is not None and parameter.type in {"integer", "number"} else "text"


def _argument(call: Call, argument: Argument, value: Json, *, sent: bool = True) -> Iterator[Wrong]:
    if argument.place in {Place.HEADER, Place.COOKIE, Place.FILE} or len(str(call.raw_body or "")) > _LARGEST_CALL:
        return
    name = named(argument)

    def wrong(kind: str, words: str, twisted: Call) -> Wrong:
        return Wrong(name, argument.place, argument.path, kind, words, twisted)

    for kind, words, bad in _plain(value) if argument.place is not Place.JSON else _json(value):
        if not (argument.place is Place.PATH and kind in {"empty", "long", "nul"}):
            yield wrong(kind, f"{name} = {words}", call.with_argument(argument.place, argument.path, Literal(bad)))
    if argument.place is not Place.PATH and sent:
        yield wrong("missing", f"no {name}", call.without_argument(argument.place, argument.path))
    body = body_of(call)
    if argument.place is Place.JSON and _number(value) and isinstance(body, dict) and len(argument.path) == 1:
        yield wrong("nan", f"{name} = NaN", raw_json(call, {**body, str(argument.path[0]): float("nan")}))


def _number(value: Json) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Json) -> Iterator[tuple[str, str, Json]]:
    """(kind, words, value) for what travels as text."""
    if _number(value) or (isinstance(value, str) and value.isdigit()):
        yield "text", "abc", "abc"
        yield "huge", "10**30", str(_HUGE)
        yield "negative", "-1", "-1"
        yield "zero", "0", "0"
    elif isinstance(value, str):
        yield "long", f"{_LONG:,} characters", "x" * _LONG
        yield "nul", "a text with a zero byte", "a\x00b"
    yield "empty", "nothing", ""


def _json(value: Json) -> Iterator[tuple[str, str, Json]]:
    """(kind, words, value) for JSON of another kind than the honest value."""
    if _number(value):
        yield "string", "a string", "abc"
        yield "huge", "10**30", _HUGE
        yield "negative", "-1", -1
        yield "zero", "0", 0
    else:
        yield "number", "a number", 7
        yield "true", "true", True
    yield "null", "null", None
    yield "list", "a list", []
    yield "object", "an object", {"a": 1}
    if isinstance(value, str):
        yield "long", f"{_LONG:,} characters", "x" * _LONG
        yield "nul", "a text with a zero byte", "a\x00b"


@dataclass(frozen=True, slots=True)
class Site:
    """All wrong values that crash at one line."""

    key: str
    about: str
    wrongs: tuple[Wrong, ...]
    """The most telling ones: each field and kind once."""
    fields: str
    """Facts about the fields that crash here, for the mend."""


def sites(target: Target, route: Route, journey: Journey, most: int) -> tuple[list[Site], str]:
    """The lines that crash, each with its wrong values, and the facts about all fields of the route that crash."""
    crashes = swept(target, journey, route)
    declared = {each.name: each.type for each in route.parameters if each.type != "any"}
    types, fits = {**declared, **honest_types(target, route)}, longest(target, journey, crashes)
    found: dict[str, Site] = {}
    for group in grouped(crashes)[:most]:
        first = group[0].wrong
        if group[0].exchange.failure is None and meant(target, journey, first):
            continue
        key = ("again" if first.field == "body" else f"{first.field}-again") if first.kind == "again" else "+".join(dict.fromkeys(each.wrong.field for each in group))
        key = f"{key}-{first.kind}" if key in found else key
        telling = {(each.wrong.field, each.wrong.kind): each.wrong for each in reversed(group)}
        about = first.about + (f" (and {len(group) - 1} more)" if len(group) > 1 else "")
        found[key] = Site(key, about, tuple(reversed(telling.values()))[:_TELLING], facts(group, types, fits))
    return list(found.values()), facts(crashes, types, fits)


def meant(target: Target, journey: Journey, wrong: Wrong) -> bool:
    """Whether a 500 is what the handler answers on purpose: nothing was raised in the prototype. Its status is wrong, and nothing crashed."""
    last = target.run(replace(trial(journey, wrong), traced=True)).last
    return last.status == _FAILED and last.failure is None and bool(last.lines) and not last.handled


def line_of(failure: Failure | None) -> str:
    """The source line of the project at which an exception was raised, as its traceback shows it."""
    if failure is None or failure.location is None:
        return ""
    found = re.findall(rf'{re.escape(failure.location.file)}", line {failure.location.line}, in [^\n]*\n([^\n]*)', failure.traceback)
    return found[-1].strip() if found else ""


def said(exchange: Exchange) -> str:
    """The exception in one line, or the answer where the handler answered 500 by itself."""
    failure = exchange.failure
    return f"{failure.type}: {' '.join(failure.message.split())[:120]}" if failure else answer(exchange)


def written_rows(target: Target, route: Route) -> list[tuple[Table, dict[str, Json]]]:
    """The rows that the honest request writes; of an update that changed nothing, the rows that it read."""
    honest = target.honest(route.id)
    if honest is None:
        return []
    rows = [(each.table, each.after) for each in changed(honest) if each.kind != "deleted"]
    if not rows and route.method in {"PUT", "PATCH"}:
        own = [each for each in honest.last.statements if each.verb == "select" and each.text not in target.habits()]
        rows = [(name, dict(sample)) for each in own for name in each.reads[:1] for sample in each.sample[:1]]
    found = {name: (table, row) for name, row in rows if (table := target.blueprint.table(name)) is not None}
    return list(found.values())


def signed(target: Target, route: Route, field: str) -> bool:
    """Whether numbers below zero are meant in a field: rows hold some, or a query asks for them."""
    if any(negative(row.get(field), -1) for table, _ in written_rows(target, route) for row in target.rows(table.name)):
        return True
    below = re.compile(rf"\b{re.escape(field)}\b\W{{0,2}}\s*<\s*(0\b(?!\.\d*[1-9])|\?)", re.IGNORECASE)
    for each in target.journeys():
        honest = target.honest(each.route)
        for statement in honest.last.statements if honest else ():
            if (match := below.search(statement.text)) and (match.group(1) != "?" or 0 in statement.parameters):
                return True
            if honest and any(_keeps_books(table, field, statement, honest.last) for table, _ in written_rows(target, route)):
                return True
    return False


def _keeps_books(table: Table, field: str, statement: Statement, shows: Exchange) -> bool:
    """Whether the entries of a table add up to what somebody has: their sum by a key is shown as a balance, and no other column says in which direction one goes."""
    if table.name.lower() not in statement.reads or not re.search(rf"\bSUM\s*\([^()]*\b{re.escape(field)}\b", statement.text, re.IGNORECASE):
        return False
    if any(_DIRECTION.search(column.name) for column in table.columns):
        return False
    keys = [column for where, column, how in bindings(statement.text) if where == table.name.lower() and how == "eq"]
    told = shows.response.body if shows.response else ""
    return bool(keys) and any(_HELD.search(each) for each in (statement.text, *keys, told[:2000]))


def same_value(found: Json, wanted: str) -> bool:
    """Whether a column holds a value that was sent, in whatever form it stores it."""
    if isinstance(found, bool) or wanted in {"True", "False"}:
        return str(bool(found)) == wanted
    if isinstance(found, int | float) and wanted.replace(".", "", 1).lstrip("-").isdigit():
        return float(found) == float(wanted)
    return str(found) == wanted
