"""Owns how tokens and codes are tried: signed tokens whose signature is changed, tokens that never end, codes that can be worked out, resets that ask for nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
import uuid
from typing import TYPE_CHECKING, Any

from toughen.disclosure import PASSWORD, aimed, kind, victim_of
from toughen.doors import carries_right
from toughen.guessing import Secret, wrong
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Literal, Stored, Tampered
from toughen.model.trial import Experiment, Trial
from toughen.oracle import clock
from toughen.twists import literal, named, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json, Route
    from toughen.model.identity import Credential, Identity
    from toughen.model.journey import Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Target

WORDS = (
    "secret", "secretkey", "secret_key", "secret-key", "mysecret", "mysecretkey", "my_secret_key", "my-secret-key", "supersecret", "super-secret", "supersecretkey", "super-secret-key",
    "changeme", "change-me", "change_me", "changeit", "password", "passw0rd", "admin", "key", "jwt", "jwtsecret", "jwt_secret", "jwt-secret", "jwt_secret_key", "jwt-secret-key",
    "your-secret-key", "your_secret_key", "yoursecretkey", "your-256-bit-secret", "your-256-bit-secret-key-here", "default", "dev", "development", "test", "testing", "123456", "12345678", "qwerty",
    "random", "flask", "fastapi", "hello", "token", "private", "topsecret", "s3cr3t", "secret123", "password123", "abc123", "thisisasecret", "this-is-a-secret", "thisismysecretkey", "shhhhh", "",
)  # fmt: skip
"""What everybody tries first: words of tutorials and of lists of leaked keys."""
_HOWS = ("garbled", "unsigned", "emptied")
_SESSIONS = re.compile(r"token|session|jwt|login|device", re.IGNORECASE)
_ENDS = re.compile(r"expir|valid_(until|to)|ends?_at|max_age|ttl", re.IGNORECASE)
_AGE_READ = re.compile(r"""(\[|get\(\s*)["'](iat|created|issued_at)["']|max_age|issued_at\s*[<>+-]""")
"""Where a source works with the time at which a token was made."""
_OLD = re.compile(r"old|current|existing|previous", re.IGNORECASE)
_SHORT_DIGITS, _SHORT_TEXT, _TRIES = 5, 4, 12
_AROUND, _LONGEST, _MOST_NAMES, _SHORTEST_SEED = 90, 100, 12, 5
"""Seconds back, and columns of a row, of which a code may be made."""


# -- signed tokens -----------------------------------------------------------------------------------------------------


def decoded(part: str) -> dict[str, Any]:
    """One part of a signed token (RFC 7515) as JSON; nothing where it is none."""
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def is_signed(token: str) -> bool:
    """Whether a text is a signed token."""
    parts = token.split(".")
    return len(parts) == 3 and "alg" in decoded(parts[0]) and bool(decoded(parts[1]))  # noqa: PLR2004


def carrier(credential: Credential) -> tuple[str, str]:
    """(where a credential carries a signed token, the token): `("header:Authorization", "ey...")`; blanks where it carries none."""
    for place, held in (("header", credential.headers), ("cookie", credential.cookies)):
        for name, value in held:
            token = value.rpartition(" ")[2]
            if is_signed(token):
                return f"{place}:{name}", token
    return "", ""


def weak_key(token: str, texts: Mapping[str, str]) -> str | None:
    """The word that a token is signed with, where it stands in no file of the source."""
    head, claims, signature = token.split(".")
    digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}.get(str(decoded(head).get("alg")), "")
    for word in WORDS if digest else ():
        made = base64.urlsafe_b64encode(hmac.new(word.encode(), f"{head}.{claims}".encode(), digest).digest()).rstrip(b"=").decode()
        if hmac.compare_digest(made, signature):
            return None if any(f'"{word}"' in text or f"'{word}'" in text for text in texts.values()) else word
    return None


def forged(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """The identity's token without its signature; on the first route of each guard."""
    who = target.identity(journey.identity or "")
    where, token = carrier(who.credential) if who is not None else ("", "")
    if who is None or not token or not target.refuses(route.id) or not _is_first(target, route, who):
        return
    place, _, name = where.partition(":")
    into = Place.HEADER if place == "header" else Place.COOKIE
    stranger = journey.call.by(None)
    prefix = next((value.rpartition(" ")[0] for known, value in who.credential.headers if known == name), "")
    nonsense = stranger.with_argument(into, (name,), Literal(f"{prefix} tgn-no-such-token".strip()))
    for how, key in [*((each, "") for each in _HOWS), *((("signed", found),) if (found := weak_key(token, target.texts())) is not None else ())]:
        attack = stranger.with_argument(into, (name,), Tampered(who.name, where, how, key))
        trials = {"control": journey.call, "nonsense": nonsense, "attack": attack}
        yield Experiment(
            {title: Trial((*journey.calls[:-1], call), journey.grants) for title, call in trials.items()},
            f"a token that is {how}", (("kind", "signed" if how == "signed" else "signature"), ("how", how), ("key", key), ("who", who.name)),
        )


def _is_first(target: Target, route: Route, who: Identity) -> bool:
    """Whether this is the route on which its guard is tried: a reading one where there is one."""
    guards = {each.name for each in route.guards}
    alike = [
        known for each in target.journeys()
        if each.identity is not None and (known := target.blueprint.route(each.route)) is not None and {one.name for one in known.guards} == guards
        and (asked := target.identity(each.identity)) is not None and carrier(asked.credential)[0] == carrier(who.credential)[0] and target.refuses(each.route)
    ]
    return bool(alike) and min(alike, key=lambda each: (each.method != "GET", "{" in each.path, each.id)).id == route.id


# -- tokens that never end ---------------------------------------------------------------------------------------------


def endless(target: Target, journey: Journey) -> Iterator[Experiment]:
    """Log-in's own answer, where nothing but the token says how old it is."""
    mine = next((each for each in target.identities if each.login is not None and each.login.route == journey.route and carrier(each.credential)[0]), None)
    if mine is None or _kept(target, mine):
        return
    read = any(_AGE_READ.search(text) for text in target.texts().values())
    yield Experiment({"control": Trial(journey.calls, journey.grants)}, "the age of a token", (("kind", "expiry"), ("age", "read" if read else ""), ("pointer", ".".join(map(str, mine.token)))))


def _kept(target: Target, who: Identity) -> bool:
    """Whether the prototype keeps its tokens, or their keys, in a table of its own that says when they end."""
    token = carrier(who.credential)[1]
    key = decoded(token.split(".")[1]).get("jti")
    for journey in target.journeys():
        honest = target.honest(journey.route) if journey.identity == who.name else None
        for statement in honest.last.statements if honest else ():
            bound = {str(each) for each in statement.parameters}
            if token in bound or (key is not None and str(key) in bound):
                return True
            for table in statement.reads:
                known = target.blueprint.table(table)
                if _SESSIONS.search(table) and known is not None and any(_ENDS.search(each.name) for each in known.columns):
                    return True
    return False


def handed_out(exchange: Exchange) -> list[str]:
    """Signed tokens in an answer: in its body, and in the cookies that it sets."""
    if exchange.response is None:
        return []
    texts = [exchange.response.body, *(value for name, value in exchange.response.headers if name.lower() == "set-cookie")]
    found = [each for text in texts for each in re.findall(r"[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", text)]
    return [each for each in dict.fromkeys(found) if is_signed(each)]


def ends(token: str, *, age: bool) -> bool:
    """Whether a token says when it ends; `age`: or when it was made, which the prototype reads."""
    claims = decoded(token.split(".")[1])
    times = {name for name, value in claims.items() if clock(value) or (isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]", value))}
    return "exp" in claims or bool(times - {"iat", "auth_time"}) or (age and bool(times))


# -- codes -------------------------------------------------------------------------------------------------------------


def codes(target: Target, journey: Journey) -> Iterator[Experiment]:
    """The request that makes a code, again and for somebody else; and how often one may be wrong about a short one."""
    honest = target.honest(journey.route)
    found = made(honest) if honest is not None else None
    if honest is None or found is None or (journey.identity is not None and not journey.anonymous):
        return
    change, column, value = found
    trials = {"control": Trial(journey.calls, journey.grants), "again": Trial(journey.calls, journey.grants, apart=0.01)}
    table = users(target.blueprint)
    somebody = victim_of(target, None)
    moved = aimed(target, journey, table, somebody) if table is not None and somebody is not None else journey.calls
    if moved != journey.calls:
        trials["other"] = Trial(moved, journey.grants)
    facts = [("kind", "code"), ("table", change.table), ("column", column)]
    use = next((each for each in target.journeys() if each.route != journey.route and (_used(each, change.table, column))), None)
    argument = _used(use, change.table, column) if use is not None else None
    if use is not None and argument is not None and _is_short(str(value)):
        secret = Secret("code", (argument,), str(value))
        trials["guesses"] = Trial((*use.calls[:-1], *(wrong(use.call, secret) for _ in range(_TRIES)), use.call), use.grants)
        facts += [("before", str(len(use.calls) - 1)), ("use", use.route)]
    yield Experiment(trials, f"how {column} is made", tuple(facts))


def _used(journey: Journey | None, table: str, column: str) -> Argument | None:
    """The argument of a request that carries the code that stands in that column."""
    for argument in journey.call.arguments if journey is not None else ():
        if isinstance(argument.value, Stored) and argument.value.table.lower() == table.lower() and argument.value.column.lower() == column.lower():
            return argument
    return None


def made(trace: Trace) -> tuple[RowChange, str, Json] | None:
    """(row, column, value) of a code that the request made and nobody sent."""
    for change in trace.final_changes:
        for column in change.columns if change.kind != "deleted" else ():
            value = change.after.get(column)
            what = kind(column) == "code" or (carries_right(column) and _SESSIONS.search(change.table) is None)
            if what and value not in {None, ""} and not isinstance(value, bool) and str(value) not in f"{trace.last.target} {trace.last.request_body}":
                return change, column, value
    return None


def _is_short(value: str) -> bool:
    return len(value) <= (_SHORT_DIGITS if value.isdigit() else _SHORT_TEXT)


def guessable(experiment: Experiment, traces: Mapping[str, Trace]) -> str:
    """Why a code can be guessed, in words that end a sentence; "" where it cannot.

    That it is the same twice for one user says nothing: it may be made with a key, for a while.
    """
    first, second = made(traces["control"]), made(traces["again"])
    if first is None or second is None:
        return ""
    one, other = str(first[2]), str(second[2])
    told = _worked_out(one, first[0].after) if _worked_out(other, second[0].after) else ""
    if told:
        return f"is made of {told}"
    third = made(traces["other"]) if "other" in traces else None
    if third is not None and one == other == str(third[2]):
        return "is the same for everybody"
    return f"has {len(one)} characters" if _is_short(one) and "guesses" in experiment.trials else ""


def _worked_out(value: str, row: Mapping[str, Json]) -> str:
    """What a code is made of, where that is the clock, or the row's own public columns."""
    try:
        if uuid.UUID(value).version == 1:
            return "the clock (a UUID of version 1)"
    except ValueError:
        pass
    now = int(time.time())
    names = [str(each) for name, each in row.items() if each is not None and str(each) != value and kind(name) not in {"password", "code"} and len(str(each)) < _LONGEST][:_MOST_NAMES]
    seconds = [str(now - back) for back in range(_AROUND)]
    if value.isdigit() and len(value) > _SHORT_TEXT and any(second.endswith(value) for second in seconds):
        return "the clock"
    seeds = {**dict.fromkeys(seconds, "the clock"), **dict.fromkeys(names, "what is known of the user")}
    seeds |= {f"{left}{mark}{right}": "the user and the clock" for name in names for second in seconds for mark in ("", "-", "_", ":") for left, right in ((name, second), (second, name))}
    return next((told for seed, told in seeds.items() if len(seed) >= _SHORTEST_SEED and _is_shape(value, seed)), "")


def _is_shape(value: str, seed: str) -> bool:
    """Whether a code is a text, in base64, or the beginning of a digest of it."""
    data = seed.encode()
    digests = [each.hexdigest() for each in (hashlib.md5(data, usedforsecurity=False), hashlib.sha1(data, usedforsecurity=False), hashlib.sha256(data))]
    return value in {seed, base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode().rstrip("=")} or (len(value) > _SHORT_DIGITS and any(each.startswith(value.lower()) for each in digests))


# -- resets ------------------------------------------------------------------------------------------------------------


def resets(target: Target, journey: Journey) -> Iterator[Experiment]:
    """Somebody else's new password, by a request that proves nothing: without the code, or with a wrong one."""
    table, honest = users(target.blueprint), target.honest(journey.route)
    logins = {each.login.route for each in target.identities if each.login is not None}
    if table is None or honest is None or journey.route in logins or (journey.identity is not None and not journey.anonymous):
        return
    changed = [each for each in honest.final_changes if each.table == table.name and each.kind == "updated" and any(PASSWORD.search(column) for column in each.columns)]
    fresh = [each for each in journey.call.arguments if PASSWORD.search(named(each)) or re.search(r"password|passwd|pwd", named(each), re.IGNORECASE)]
    if not changed or not fresh or any(_OLD.search(named(each)) for each in fresh):
        return
    victim = victim_of(target, None)
    if victim is None:
        return
    calls = aimed(target, journey, table, victim)
    call, proofs = calls[-1], []
    secret = f"Tgn!{secrets.token_hex(6)}A1"
    for argument in call.arguments:
        if argument in fresh or any(PASSWORD.search(named(argument)) and argument.path == each.path for each in fresh):
            call = call.with_argument(argument.place, argument.path, Literal(secret))
        elif not _names_user(argument, victim) and argument.place not in {Place.HEADER, Place.COOKIE}:
            proofs.append(argument)
            call = call.with_argument(argument.place, argument.path, Literal(_other(literal(argument))))
    # What was asked for beforehand is asked for no more: an attacker reads nobody's mail.
    attack = Trial((*(each for each in calls[:-1] if proofs), call), journey.grants)
    key = next(iter(victim.row.items()))
    facts = (("kind", "reset"), ("table", table.name), ("key", f"{key[0]}={key[1]}"), ("victim", victim.name), ("wrong", ",".join(named(each) for each in proofs)))
    yield Experiment({"control": Trial(journey.calls, journey.grants), "attack": attack}, "a new password without a proof", facts)


def _names_user(argument: Argument, victim: Identity) -> bool:
    """Whether an argument says who somebody is, as a column of his row has it that is no secret."""
    value = literal(argument)
    return value is not None and any(str(each) == str(value) and kind(name) not in {"password", "code"} for name, each in victim.row.items())


def _other(value: Json) -> Json:
    if isinstance(value, int) and not isinstance(value, bool):
        return value + 1
    return "000000" if isinstance(value, str) and value.isdigit() else f"tgn{secrets.token_hex(8)}"


def taken_over(experiment: Experiment, trace: Trace) -> RowChange | None:
    """The victim's row whose password the attack changed."""
    name, _, value = experiment.fact("key").partition("=")
    for each in trace.final_changes:
        if each.table == experiment.fact("table") and each.kind == "updated" and str(each.before.get(name)) == value and any(PASSWORD.search(column) for column in each.columns):
            return each
    return None


def all_of(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """Every experiment on one route."""
    yield from forged(target, route, journey)
    yield from endless(target, journey)
    yield from codes(target, journey)
    yield from resets(target, journey)
