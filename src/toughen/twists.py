"""Owns the words in which rules twist an honest call: which arguments carry text or numbers, what a request shows, who is who."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from toughen.model.blueprint import Blueprint, Json, Parameter, Route, Table
    from toughen.model.identity import Identity
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Target

POWER = re.compile(
    r"^(is_?)?(admin|superuser|staff|verified|approved|moderator|premium|active)$|^(user_?)?roles?$|^(account_?)?balance$|^credits?$"
    r"|permission|privilege|^user_?type$|^account_?type$|^access_?level$|^(is_)?email_?verified$|^credit_?limit$",
    re.IGNORECASE,
)
"""Columns whose value gives power or money."""
SECRET = re.compile(r"password|passwd|pwd|senha|contrase|passwort|mot_?de_?passe|hash|secret|token|api_?key|ssn|otp|reset_?code|pin$", re.IGNORECASE)
"""Columns that no other user may see."""
QUANTITY = re.compile(
    r"(^|_)(quantity|qty|amount|price|stock|count|seats|units|total|cost|fee|salary|age|stars|rating|limit|deposit|withdrawal|sum)(_|$)",
    re.IGNORECASE,
)
"""Numbers that cannot be negative in any business."""
PAID = re.compile(r"(^|_)(amount|deposit|withdrawal|qty|seats)(_|$)", re.IGNORECASE)
"""Numbers that make no sense at 0 either."""
SIGNED = re.compile(r"adjust|correct|refund|revers|ledger|journal|delta|temperature|offset", re.IGNORECASE)
"""Routes and fields where a sign is meant."""
UNSEEN = "the rows that it writes cannot be compared: they live in the prototype's own memory"
"""Why a request that wrote says nothing."""
POWERFUL = re.compile(r"admin|super|staff|moderator|owner|manager", re.IGNORECASE)
"""Roles that may hand out power."""


_INFRASTRUCTURE = re.compile(
    r"^(host|content-(type|length)|accept.*|connection|cookie|origin|sec-.*|if-.*|range|transfer-encoding|upgrade.*|te|via|x-forwarded-.*|x-real-ip|forwarded)$"
    r"|authori[sz]ation|csrf|xsrf|token|session|api-?_?key|jwt",
    re.IGNORECASE,
)
"""Headers and cookies that belong to the way of a request, or say who asks."""


def powerful(identity: Identity | None) -> bool:
    """Whether somebody may hand out power: by his role, or by the flag that he is called after (`admin1`)."""
    return identity is not None and bool(POWERFUL.search(f"{identity.role or ''} {identity.name}"))


def ordinary(target: Target, name: str | None) -> bool:
    """Whether anybody may be who asks: nobody in particular, or one of those whom the prototype's own sign-up makes."""
    who = target.identity(name or "")
    return who is None or (not powerful(who) and who.role == target.identities[0].role)


def shown(exchange: Exchange) -> str:
    """A request as a reader would repeat it: `POST /transfer {"amount": 5}` (cut)."""
    return f"{exchange.method} {exchange.target} {exchange.request_body}".strip()[:400]


def answer(exchange: Exchange) -> str:
    """An answer in one line: status and the beginning of its body."""
    if exchange.response is None:
        return exchange.ended
    return f"{exchange.response.status} {' '.join(exchange.response.body.split())[:200]}".strip()


def succeeded(exchange: Exchange) -> bool:
    """Answered with success, by status and by what a JSON body says of itself."""
    from toughen.oracle import succeeded as answered_well

    return answered_well(exchange)


_ENTRANCE = re.compile(r"log-?_?in|sign-?_?in|auth|connexion|entrar", re.IGNORECASE)


def turned_away(exchange: Exchange, honest: Exchange) -> bool:
    """Whether a request is refused, or sent to the log-in page where the honest one is answered or sent elsewhere."""
    if not succeeded(exchange) or exchange.response is None or honest.response is None:
        return True
    target = exchange.response.header("Location") or ""
    return bool(target) and _ENTRANCE.search(target.partition("?")[0]) is not None and target != honest.response.header("Location")


def guarded(target: Target, journey: Journey) -> bool:
    """Whether the route's own request is refused to a stranger, or sends him to the log-in page."""
    honest = target.honest(journey.route)
    if journey.anonymous or honest is None:
        return False
    from toughen.model.trial import Trial

    return target.refuses(journey.route) or turned_away(target.run(Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants)).last, honest.last)


def parameter_of(route: Route, argument: Argument) -> Parameter | None:
    """The declared parameter that an argument fills."""
    def same(path: tuple[str | int, ...]) -> tuple[str | int, ...]:
        return tuple(0 if isinstance(key, int) else key for key in path)

    return next((each for each in route.parameters if each.place is argument.place and same(each.path) == same(argument.path)), None)


def literal(argument: Argument) -> Json:
    """The argument's value where it is known beforehand, else None."""
    return argument.value.value if isinstance(argument.value, Literal) else None


def unsent(target: Target, route: Route, journey: Journey) -> tuple[Argument, ...]:
    """Optional values that the route reads and that its honest request leaves out, with their defaults; not what says who asks."""
    places = {"query": Place.QUERY, "form": Place.FORM, "json": Place.JSON, "header": Place.HEADER, "cookie": Place.COOKIE}
    own = {each.lower() for identity in target.identities for each, _ in (*identity.credential.headers, *identity.credential.cookies)}
    honest = target.honest(route.id)
    # A request without a body may have had a form with nothing in it.
    forms = {"form", "multipart"} if journey.route.startswith("GET ") or journey.call.arguments else {"form", "multipart", None}
    found: dict[tuple[Place, tuple[str | int, ...]], Json] = {}
    for parameter in route.parameters:
        if parameter.place in places.values() and parameter.type not in ({"object", "boolean"} if parameter.place is not Place.JSON else {"object", "array", "boolean"}):
            found[(parameter.place, parameter.path)] = parameter.default
    for demand in honest.last.demands if honest else ():
        if demand.place in places:
            found.setdefault((places[demand.place], demand.key), demand.default)
    return tuple(
        Argument(place, path, Literal(default)) for (place, path), default in found.items()
        if path and journey.call.argument(place, path) is None and (place is not Place.FORM or journey.call.body in forms)
        and not (place is Place.JSON and journey.route.startswith("GET "))
        and not (place in {Place.HEADER, Place.COOKIE} and (str(path[-1]).lower() in own or _INFRASTRUCTURE.search(str(path[-1]))))
    )


def texts(call: Call) -> Iterator[Argument]:
    """Arguments that carry free text."""
    for argument in call.arguments:
        if isinstance(literal(argument), str) and argument.place not in {Place.HEADER, Place.COOKIE, Place.FILE}:
            yield argument


def numbers(call: Call) -> Iterator[Argument]:
    """Arguments that carry a number, also those that travel as text in a query or form."""
    for argument in call.arguments:
        value = literal(argument)
        if isinstance(value, bool) or argument.place in {Place.HEADER, Place.COOKIE, Place.FILE}:
            continue
        if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"-?\d{1,9}(\.\d+)?", value)):
            yield argument


def named(argument: Argument) -> str:
    """The last name in an argument's path."""
    return next((key for key in reversed(argument.path) if isinstance(key, str)), "body")


def body_of(call: Call) -> Json:
    """The JSON body that the call's literal arguments make."""
    root: dict[str, Json] = {}
    for argument in call.arguments:
        if argument.place is Place.JSON and len(argument.path) == 1 and isinstance(argument.path[0], str):
            root[argument.path[0]] = literal(argument)
    return root


def raw_json(call: Call, value: object) -> Call:
    """The call with a JSON body as it stands; NaN and Infinity are written as Python's json does."""
    kept = tuple(each for each in call.arguments if each.place is not Place.JSON)
    return replace(call, arguments=kept, raw_body=json.dumps(value), raw_type="application/json", body="json")


def users(blueprint: Blueprint) -> Table | None:
    """The table with a password column."""
    return next((table for table in blueprint.tables if any(re.search(r"password|passwd|pwd|senha|contrase|passwort|mot_?de_?passe", column.name, re.IGNORECASE) for column in table.columns)), None)


def key_of(row: dict[str, Json]) -> tuple[tuple[str, Json], ...]:
    """The equality that names a row: its first column."""
    first = next(iter(row.items()), None)
    return (first,) if first else ()


def holds(exchange: Exchange, needle: str) -> bool:
    """Whether an answer's body or headers hold a text."""
    response = exchange.response
    if response is None or not needle:
        return False
    return needle in response.body or any(needle in value for _, value in response.headers)


def changed(trace: Trace) -> tuple[RowChange, ...]:
    """Rows that the last call changed."""
    return trace.final_changes


def unseen(trace: Trace, hostile: Callable[[Json], bool]) -> bool:
    """Whether the last call bound a hostile value to a write that hit rows, and no row is seen to change: the database lives in the prototype's own memory."""
    return not trace.final_changes and any(each.writes and each.rows and not each.error and any(map(hostile, each.parameters)) for each in trace.last.statements)


def given(value: Json, sent: str) -> bool:
    """Whether a value stands in what was sent."""
    shown = {"true", "1"} if value is True or value == 1 else {"false", "0"} if value is False or value == 0 else {str(value)}
    return bool((shown - {""}) & set(re.split(r'[\s",:{}\[\]&=/?]+', sent)))


def chosen(change: RowChange, column: str, exchange: Exchange) -> bool:
    """Whether the request says what stands in a column afterwards; a number that it was moved by is worked out by the server."""
    before, after = change.before.get(column), change.after.get(column)
    sent = f"{exchange.target} {exchange.request_body}"
    moved = isinstance(before, int | float) and isinstance(after, int | float) and given(abs(after - before), sent)
    return given(after, sent) and not moved


def turned_back(change: RowChange, control: Trace) -> bool:
    """Whether a request moved a number of a row one way, where the honest request moved it the other way."""
    for honest in changed(control):
        if honest.table != change.table or honest.kind != "updated" or key_of(honest.before) != key_of(change.before):
            continue
        for name in change.columns:
            values = (honest.before.get(name), honest.after.get(name), change.before.get(name), change.after.get(name))
            one, two, three, four = (float(each) if isinstance(each, int | float) else 0.0 for each in values)
            if (two - one) * (four - three) < 0:
                return True
    return False


def negative(value: object, most: float) -> bool:
    """Whether a value is a number of at most `most`."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value <= most


def counted(route: Route, call: Call) -> Iterator[tuple[Argument, str]]:
    """Arguments with their names that carry a number which cannot be negative; none where the route means a sign."""
    for argument in () if SIGNED.search(route.path) else numbers(call):
        name = named(argument)
        if QUANTITY.search(name) and not SIGNED.search(name):
            yield argument, name
