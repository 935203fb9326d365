"""Owns guessing: which requests a password or a short code opens, how often somebody is wrong, and what a limit looks like from outside.

A limit is known by what it does: after many wrong tries from one client the right one no longer opens, tries are answered
otherwise than before, or each takes much longer. Limits in the memory of a process are seen because all tries of the first
run share one.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from toughen.disclosure import PASSWORD, kind
from toughen.doors import carries_right
from toughen.model.blueprint import Place
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.twists import literal, named, succeeded, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json
    from toughen.model.journey import Argument, Call, Journey
    from toughen.model.trace import Exchange, Trace
    from toughen.rule import Target

LIMITED = re.compile(r"flask_limiter|slowapi|fastapi_limiter|rate_?limit|\blimiter\b|throttl|too[_ ]many|\b429\b|attempts|lockout|lock_?out|locked_until|failed_login|captcha", re.IGNORECASE)
"""Words of a source that counts tries."""
_TOLD = re.compile(r"\b(\d{1,6})\s*(?:/|per)\s*(?:\d+\s*)?(?:second|minute|hour|day)", re.IGNORECASE)
"""How limiters are told of a limit: `200 per day`, `5/minute`."""
_COUNTED = re.compile(r"attempt|fail|lock|block|ban|tries", re.IGNORECASE)
_CREDENTIAL = re.compile(r"token|jwt|session|api_?key", re.IGNORECASE)
"""Names under which an answer hands out what logs somebody in."""
_STORES = frozenset({6379, 11211})
"""Ports of the servers that limits are kept on: Redis and memcached."""
_FEW, _MANY, _FULL = 6, 30, 110
"""Tries of a first look; of a prototype that speaks of no limit; of one that does: 50 an hour is what limiters' manuals begin with."""
_PATIENCE = 30.0
"""Seconds that the tries of one run may take."""
_SHORT, _SLOWER, _SLOW = 8, 4, 1_000.0


@dataclass(frozen=True, slots=True)
class Secret:
    """What a request must know."""

    kind: str
    """password or code."""
    arguments: tuple[Argument, ...]
    form: str
    """How a wrong one looks: the right one, whose kinds of characters are kept."""


def secret_of(target: Target, journey: Journey) -> Secret | None:
    """The password, or the short code, that an open request must know; None where it asks for neither."""
    honest, table = target.honest(journey.route), users(target.blueprint)
    if honest is None or (journey.identity is not None and not journey.anonymous):
        return None
    made = table is not None and any(each.table == table.name and each.kind == "inserted" for each in honest.final_changes)
    passwords = tuple(each for each in journey.call.arguments if isinstance(literal(each), str) and (PASSWORD.search(named(each)) or _basic(each) is not None))
    # The client's own secret (RFC 6749 2.3.1) is an application's, and mostly nobody asks for it.
    codes = tuple(each for each in journey.call.arguments if (carries_right(named(each)) or kind(named(each)) == "code") and not named(each).startswith("client_") and each.place not in {Place.COOKIE, Place.HEADER})
    for argument in codes[:1]:
        value = _sent(honest.last, argument)
        if value and len(value) <= _SHORT and _proves(target, journey, argument):
            return Secret("code", (argument,), value)
    if passwords and not codes and not made and not any(each.route == journey.route for each in target.journeys() if each.identity is not None):
        return Secret("password", passwords, str(literal(passwords[0])))
    return None


def _proves(target: Target, journey: Journey, argument: Argument) -> bool:
    """Whether a code proves who somebody is. A short link's, a country's, a course's code is the address of a row, and meant to be known."""
    honest, table = target.honest(journey.route), users(target.blueprint)
    if honest is None or (table is not None and any(each.table == table.name and each.kind == "inserted" for each in honest.final_changes)):
        return False
    response = honest.last.response
    given = response.json if response is not None and isinstance(response.json, dict) else {}
    if response is not None and ((response.header("set-cookie") and honest.last.method != "GET") or any(_CREDENTIAL.search(name) and isinstance(value, str) for name, value in given.items())):
        return True
    if table is not None and any(each.table == table.name for each in honest.final_changes):
        return True
    if any(PASSWORD.search(named(each)) for each in journey.call.arguments if each is not argument):
        return True
    return argument.place in {Place.JSON, Place.FORM} and kind(named(argument)) == "code"


def _basic(argument: Argument) -> tuple[str, str] | None:
    """(user, password) of HTTP Basic (RFC 7617)."""
    value = literal(argument)
    if argument.place is not Place.HEADER or named(argument).lower() != "authorization" or not str(value).startswith("Basic "):
        return None
    try:
        user, _, password = base64.b64decode(str(value)[6:]).decode().partition(":")
    except (ValueError, binascii.Error):
        return None
    return user, password


def _sent(exchange: Exchange, argument: Argument) -> str:
    """What an argument held when it was sent."""
    value = literal(argument)
    if value is None:
        match = re.search(rf"""["']?\b{re.escape(named(argument))}\b["']?\s*[:=]\s*["']?([\w-]+)""", exchange.request_body or exchange.target)
        value = match.group(1) if match else None
    return "" if value is None else str(value)


def wrong(call: Call, secret: Secret) -> Call:
    """The call with another secret of the same form, new each time."""
    made = f"Wr0ng!{secrets.token_hex(4)}" if secret.kind == "password" else _another(secret.form)
    for argument in secret.arguments:
        basic = _basic(argument)
        value: Json = made
        if basic is not None:
            value = "Basic " + base64.b64encode(f"{basic[0]}:{made}".encode()).decode()
        elif isinstance(literal(argument), int):
            value = int(made)
        call = call.with_argument(argument.place, argument.path, Literal(value))
    return call


def _another(form: str) -> str:
    while True:
        made = "".join(secrets.choice("0123456789") if each.isdigit() else secrets.choice("abcdef") if each.islower() else secrets.choice("ABCDEF") if each.isupper() else each for each in form)
        if made != form and not (form[:1] != "0" and made[:1] == "0"):
            return made


def experiments(target: Target, journey: Journey) -> Iterator[Experiment]:
    """Many wrong tries from one client, then the right one."""
    secret = secret_of(target, journey)
    if secret is None:
        return
    grants = tuple(each for each in journey.grants if not _COUNTED.search(each.column))
    control = Trial(journey.calls, grants)
    look = target.run(Trial((*journey.calls[:-1], *(wrong(journey.call, secret) for _ in range(_FEW)), journey.call), grants))
    speaks = any(LIMITED.search(text) for text in target.texts().values())
    each = max((one.milliseconds for one in look.exchanges[-_FEW - 1 : -1]), default=1.0) / 1_000 + 0.001
    wanted = _FULL if speaks else _MANY
    count = max(_FEW, min(wanted, int(_PATIENCE / each)))
    tries = tuple(wrong(journey.call, secret) for _ in range(count))
    # A wider limit than can be tried is one, too.
    wider = any(int(found) >= count for text in target.texts().values() for found in _TOLD.findall(text))
    # What nothing supplies is made up, and may have turned a limit off.
    made_up = any(each.required and re.search(r"LIMIT|THROTTL|LOCKOUT|ATTEMPT", each.name) for each in target.blueprint.environment)
    enough = not made_up and not (speaks and wider) and (count >= wanted or (not speaks and count >= _FEW * 2))
    facts = (("secret", secret.kind), ("fields", ",".join(dict.fromkeys(named(one) for one in secret.arguments))), ("before", str(len(journey.calls) - 1)), ("enough", "yes" if enough else ""))
    yield Experiment({"control": control, "guesses": Trial((*journey.calls[:-1], *tries, journey.call), grants)}, f"{count} wrong tries, then the right one", facts)


def tries(experiment: Experiment, trace: Trace) -> tuple[Exchange, ...]:
    """The wrong tries of a run."""
    return trace.exchanges[int(experiment.fact("before")) : -1]


def kept_elsewhere(exchanges: tuple[Exchange, ...]) -> bool:
    """Whether tries were to be counted on a server that the lab does not have."""
    return any(each.port in _STORES for one in exchanges for each in one.outgoing)


def alike(one: Exchange, other: Exchange) -> bool:
    """Whether two answers say the same: status, cookies, fields, or the page without its numbers."""
    left, right = one.response, other.response
    if left is None or right is None or left.status != right.status:
        return left is None and right is None
    if bool(left.header("set-cookie")) != bool(right.header("set-cookie")) or left.header("location") != right.header("location"):
        return False
    if left.is_json and right.is_json:
        return _fields(left.json) == _fields(right.json)
    return re.sub(r"[\d\w=+/-]{16,}|\d", "", left.body) == re.sub(r"[\d\w=+/-]{16,}|\d", "", right.body)


def _fields(value: Json) -> object:
    return sorted(value) if isinstance(value, dict) else type(value).__name__


def limited(guesses: tuple[Exchange, ...]) -> bool:
    """Whether the tries themselves tell of a limit: other statuses than the first, or growing delays."""
    statuses = {each.status for each in guesses}
    if len(statuses) > 1 or statuses & {429, 423}:
        return True
    begin, end = (median(each.milliseconds for each in part) for part in (guesses[: _FEW // 2], guesses[-_FEW // 2 :]))
    return end > _SLOW and end > begin * _SLOWER


def opened(trace: Trace, control: Trace) -> bool:
    """Whether the right secret still opens as it did in the control."""
    return succeeded(trace.last) and alike(trace.last, control.last)


def unfit(experiment: Experiment, traces: Mapping[str, Trace]) -> str:
    """Why the run says nothing, "" where it does."""
    control, guesses = traces["control"], tries(experiment, traces["guesses"])
    if not succeeded(control.last):
        return "the honest request does not succeed"
    if not guesses or any(each.response is None for each in guesses):
        return "a wrong try was not answered"
    if any(each.status is not None and each.status >= 500 for each in guesses):  # noqa: PLR2004
        return "a wrong try ends in a 500"
    if alike(guesses[0], control.last):
        return f"a wrong {experiment.fact('secret')} is answered as the right one is"
    if kept_elsewhere(guesses):
        return "tries are counted on a server that the lab does not have"
    return ""

