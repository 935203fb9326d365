"""Owns what answers give away of people: which columns nobody may see, what stands of them in an answer, and who may ask for what.

That an answer holds a column is a fact: a text that was planted in the row of somebody else, or what the row holds, stands
in the body. Whether it may is said by the column (a password, a card number), by who asks (anybody), or by the prototype
(it shows the same column to its administrators only). An e-mail address that everybody who is logged in may see is left
undecided: well-built prototypes show it so.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from toughen.doors import carries_right, is_door
from toughen.model.blueprint import Place
from toughen.model.journey import Grant, Literal, Marker
from toughen.model.trial import Experiment, Trial
from toughen.ownership import keys, powerful, row_of
from toughen.twists import holds, key_of, literal, named, succeeded, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Column, Json, Table
    from toughen.model.identity import Identity
    from toughen.model.journey import Call, Journey
    from toughen.model.trace import Exchange, Statement, Trace
    from toughen.rule import Target

PASSWORD = re.compile(
    r"^(hash(ed)?_?|encrypted_?|user_?|plain_?)?(password|passwd|pwd|passphrase|passcode|senha|contrase(n|ñ)a|clave|mot_?de_?passe|passwort|kennwort)(_?(hash|hashed|digest|salt|plain))?$"
    r"|^hash(ed)?_?(password|pwd|pass)?$|^(pw|pass)(_?hash)?$|^(password_?)?salt$",
    re.IGNORECASE,
)
"""Columns that no answer may hold, whoever asks."""
CODE = re.compile(
    r"^(\w+_)?(reset|recovery|verification|verify|activation|confirm(ation)?|refresh|access|session|auth|api|remember|otp|totp|mfa|two_?factor|2fa|magic|login)_?(token|code|key|secret|otp|pin)s?(_hash)?$"
    r"|^(token|otp|pin|pin_?code|secret|secret_?key|secret_?token|backup_?codes?|security_?answer|secret_?answer)$",
    re.IGNORECASE,
)
"""Columns that open an account: only its owner may see them."""
PRIVATE = re.compile(
    r"^(credit_?|debit_?|bank_?)?card(_?(number|no|num))?$|^(cvv|cvc|cvv2|security_code)$|^iban$|^(ssn|social_security(_number)?|national_id|passport(_?(number|no))?|tax_?id|id_card(_number)?)$"
    r"|^(dob|date_of_birth|birth_?date|birthday)$|^(salary|income)$",
    re.IGNORECASE,
)
"""What no prototype shows of its users to each other."""
CONTACT = re.compile(r"^((home|billing|shipping|street|postal|mailing)_?)?address(_?line)?(_?\d)?$|^street(_name)?$|^(phone|mobile|telephone|tel|cell)(_?(number|no))?$|^(phone|mobile)_\w*number$", re.IGNORECASE)
MAIL = re.compile(r"^(user_?)?e?_?mail(_?address)?$", re.IGNORECASE)
_GROUP = re.compile(r"team|org|tenant|company|household|group|workspace|department|family|school", re.IGNORECASE)
_SHORTEST, _LONG, _DIGITS = 8, 24, 16
_MOST = 12


def kind(column: str) -> str:
    """password, code, private, contact or mail; "" for a column that tells nothing."""
    for name, pattern in (("password", PASSWORD), ("code", CODE), ("private", PRIVATE), ("contact", CONTACT), ("mail", MAIL)):
        if pattern.search(column):
            return name
    return ""


def secret_columns(table: Table) -> tuple[str, ...]:
    """Columns of the users that hold a password or what opens an account."""
    return tuple(each.name for each in table.columns if kind(each.name) == "code" or (each.type in {"string", "any"} and kind(each.name) == "password"))


# -- what is planted ---------------------------------------------------------------------------------------------------


def planted(column: Column, what: str) -> Json:
    """A fresh value that such a column takes and that stands nowhere else; None where it takes none that could be known again."""
    room = column.max_length or _LONG * 2
    token = secrets.token_hex(8)
    if column.type in {"integer", "number"}:
        return int(token, 16) % 10**9 + 10**9 if what in {"private", "contact", "code"} else None
    if column.type not in {"string", "any"}:
        return None
    if what == "mail":
        return f"tgn{token}@example.com" if room > _LONG + _SHORTEST else None
    if what in {"contact", "private"} and not re.search(r"address|street", column.name, re.IGNORECASE):
        digits = str(int(token, 16) % 10**_DIGITS).zfill(_DIGITS)[: min(room, 10 if what == "contact" else _DIGITS)]
        return digits if len(digits) >= _SHORTEST else None
    return f"tgn{token}"[:room] if room >= _SHORTEST else None


def plants(table: Table, victim: Identity, kinds: frozenset[str]) -> tuple[tuple[str, Grant], ...]:
    """(column, what is written into the victim's row) for the columns of these kinds; names by which rows are chosen stay."""
    found = []
    for column in table.columns:
        what = kind(column.name)
        if what not in kinds or column.primary_key or column.references or not key_of(victim.row):
            continue
        value = planted(column, what)
        if value is not None:
            found.append((column.name, Grant(victim.table or table.name, key_of(victim.row), column.name, value)))
    return tuple(found[:_MOST])


def aimed(target: Target, journey: Journey, table: Table, victim: Identity) -> tuple[Call, ...]:
    """The journey's calls with the last one aimed at the victim's row, where it names somebody's; as they are elsewhere."""
    honest = target.honest(journey.route)
    read = [each for each in honest.last.statements if table.name.lower() in (*each.reads, *each.writes)] if honest else []
    made = [each.after for each in honest.changes if each.table == table.name] if honest else []
    call = journey.call
    for argument in call.arguments:
        given = literal(argument)
        if argument.place in {Place.HEADER, Place.COOKIE, Place.FILE} or given is None or isinstance(given, bool | dict | list):
            continue
        used = any(str(given) == str(value) for each in read for value in each.parameters) or any(isinstance(given, str) and given in each.text for each in read)
        columns = [name for row in (*target.rows(table.name), *made) for name, value in row.items() if used and value is not None and str(value) == str(given)]
        wanted = sorted(dict.fromkeys(columns), key=lambda name: (name.lower() not in named(argument).lower(), name.lower() not in {"id", "username", "email"}))
        value = victim.row.get(wanted[0]) if wanted and kind(wanted[0]) not in {"password", "code"} else None
        if value is not None:
            call = call.with_argument(argument.place, argument.path, Literal(value))
    if call == journey.call:
        return journey.calls
    moved = (*journey.calls[:-1], call)
    return moved if succeeded(target.run(Trial(moved, journey.grants)).last) else journey.calls


# -- who asks ----------------------------------------------------------------------------------------------------------


def asker(target: Target, journey: Journey) -> Identity | None:
    """Who sends the request: None for anybody."""
    return None if journey.anonymous else target.identity(journey.identity or "")


def victim_of(target: Target, who: Identity | None, *, bare: bool = False) -> Identity | None:
    """Somebody else with a row among the users, of the ordinary role where there is one; `bare`: to whom nothing else belongs."""
    others = [each for each in target.identities if each.row and each.table and key_of(each.row) and (who is None or (each.name != who.name and key_of(each.row) != key_of(who.row)))]
    ranked = sorted(others, key=lambda each: (powerful(each), who is not None and each.role != who.role))
    return next((each for each in ranked if not bare or (not powerful(each) and not _owns(target, each))), None)


def _owns(target: Target, identity: Identity) -> bool:
    """Whether rows of other tables belong to somebody: an author, a seller shows himself with what he offers."""
    mine = keys(identity)
    for table in target.blueprint.tables:
        column = target.owner(table.name, identity.table)
        if column is not None and not re.search(r"token|session|log|device", table.name, re.IGNORECASE) and any(str(row.get(column)) in mine for row in target.rows(table.name)):
            return True
    return False


def _together(one: Identity | None, other: Identity) -> bool:
    """Whether two users are of one team, company, family."""
    return one is not None and any(_GROUP.search(name) and value is not None and other.row.get(name) == value for name, value in one.row.items())


def _open(target: Target) -> bool:
    """Whether whoever likes becomes a user."""
    return any(each.how == "signup" for each in target.identities)


def _guarded(target: Target, journey: Journey, who: Identity | None, victim: Identity, column: str) -> bool:
    """Whether another page shows that column of the victim to somebody of power, and is refused to who asks here."""
    value = victim.row.get(column)
    for each in target.journeys() if isinstance(value, str) else ():
        asked = target.identity(each.identity or "")
        if each.route == journey.route or not each.route.startswith("GET ") or asked is None or not powerful(asked) or not target.refuses(each.route):
            continue
        honest = target.honest(each.route)
        if honest is not None and holds(honest.last, str(value)) and not succeeded(target.run(Trial((*each.calls[:-1], each.call.by(who.name if who else None)), each.grants)).last):
            return True
    return False


# -- experiments -------------------------------------------------------------------------------------------------------


def experiments(target: Target, journey: Journey) -> Iterator[Experiment]:
    """Secrets of another that were planted, then what the answer holds of the caller's own row, then what is private of another."""
    if journey.call.inside:
        # What the machine is shown that the prototype runs on is shown to nobody else.
        return
    table, honest = users(target.blueprint), target.honest(journey.route)
    who = asker(target, journey)
    if honest is not None and not any(each.table for each in target.identities):
        yield from _of_newcomer(target, journey, who)
    if table is None or honest is None:
        return
    detail = (("table", table.name), ("columns", ",".join(secret_columns(table))), ("asker", who.name if who else ""), ("powerful", "yes" if who and powerful(who) else ""))
    control = Trial(journey.calls, journey.grants)
    touched = any(table.name.lower() in (*each.reads, *each.writes) for each in honest.last.statements)
    door = is_door(target, journey) and not journey.route.startswith("GET ")
    victim = victim_of(target, who)
    if touched and victim is not None and not door:
        yield from _of_another(target, journey, table, victim, frozenset({"password", "code"}), "secret", detail)
    if touched:
        stranger = who is None and not _proves(target, journey)
        yield Experiment({"control": control}, "secrets in the answer", (("kind", "own"), ("stranger", "yes" if stranger else ""), *detail))
    bare = victim_of(target, who, bare=True)
    guarded = any(target.refuses(each.route) for each in target.journeys())
    if touched and bare is not None and not door and guarded and not (who and powerful(who)):
        yield from _of_another(target, journey, table, bare, frozenset({"mail", "contact", "private"}), "personal", detail, who=who)


def _of_another(
    target: Target, journey: Journey, table: Table, victim: Identity, kinds: frozenset[str], about: str, detail: tuple[tuple[str, str], ...], *, who: Identity | None = None
) -> Iterator[Experiment]:
    calls = aimed(target, journey, table, victim)
    if any(call.identity == victim.name for call in calls):
        return
    found = plants(table, victim, kinds)
    if not found:
        return
    facts = [("planted", ",".join(f"{column}={grant.value}" for column, grant in found)), ("kind", about), ("victim", victim.name)]
    if about == "personal":
        facts.append(("decided", ",".join(column for column, _ in found if _is_private(target, journey, who, victim, column))))
    trials = {"control": Trial(calls, journey.grants), "planted": Trial(calls, (*journey.grants, *(grant for _, grant in found)))}
    yield Experiment(trials, f"{about} columns of another", (*facts, *detail))


def _of_newcomer(target: Target, journey: Journey, who: Identity | None) -> Iterator[Experiment]:
    """Where users live in the memory of a process: somebody signs up before the request, and is known by what he gave."""
    logins = {each.login.route for each in target.identities if each.login is not None}
    signups = [each for each in target.journeys() if each.route.startswith("POST ") and each.route not in logins and any(PASSWORD.search(named(one)) for one in each.call.arguments)]
    if not signups or journey.route in {*logins, signups[0].route} or is_door(target, journey) or (who and powerful(who)):
        return
    shapes = {"password": "Tg{}9!aZ", "code": "tgc{}", "mail": "tgn{}@example.com", "contact": "digits", "private": "digits", "": "tgu{}"}
    newcomer, call, columns = signups[0].call, journey.call, []
    for argument in newcomer.arguments:
        given, what = literal(argument), kind(named(argument))
        if not isinstance(given, str) or (not what and "name" not in named(argument).lower()):
            continue
        newcomer = newcomer.with_argument(argument.place, argument.path, Marker(named(argument), shapes[what]))
        columns += [f"{named(argument)}:{shapes[what]}"] if what else []
        for own_ in call.arguments:
            if any(literal(own_) is not None and literal(own_) == each.row.get(named(argument)) for each in target.identities):
                call = call.with_argument(own_.place, own_.path, Marker(named(argument), shapes[what]))
    names = [each.partition(":")[0] for each in columns]
    decided = [each for each in names if kind(each) in {"password", "code", "private", "contact"} or who is None]
    planted_first = Trial((*journey.calls[:-1], newcomer, call), journey.grants)
    facts = (("kind", "newcomer"), ("marked", ",".join(columns)), ("decided", ",".join(decided)), ("victim", "somebody who just signed up"), ("asker", who.name if who else ""), ("table", ""))
    if columns and any(target.refuses(each.route) for each in target.journeys()):
        yield Experiment({"control": Trial(journey.calls, journey.grants), "planted": planted_first}, "what a newcomer gave", facts)


def _is_private(target: Target, journey: Journey, who: Identity | None, victim: Identity, column: str) -> bool:
    """Whether anything says that who asks may not see that column of another."""
    what = kind(column)
    if _together(who, victim) and what != "private":
        return False
    return what == "private" or who is None or (what == "contact" and _open(target)) or _guarded(target, journey, who, victim, column)


def _proves(target: Target, journey: Journey) -> bool:
    """Whether the request proves who sends it: by a password, a code, a key, or because it makes the account."""
    honest, table = target.honest(journey.route), users(target.blueprint)
    made = honest is not None and table is not None and any(each.table == table.name and each.kind == "inserted" for each in honest.final_changes)
    return made or any(PASSWORD.search(named(each)) or carries_right(named(each)) for each in journey.call.arguments)


# -- what stands in an answer ------------------------------------------------------------------------------------------


def seen(experiment: Experiment, trace: Trace) -> list[str]:
    """Columns of which the planted text stands in the answer."""
    pairs = [each.partition("=") for each in experiment.fact("planted").split(",") if each]
    return [column for column, _, value in pairs if holds(trace.last, value)]


def marked(experiment: Experiment, trace: Trace) -> dict[str, str]:
    """What the newcomer gave, by the name of its field, where it stands in the answer."""
    found = {}
    for each in experiment.fact("marked").split(","):
        name, _, shape = each.partition(":")
        canary = trace.markers.get(name, "")
        text = str(int(canary, 16) % 10**9 + 10**9) if shape == "digits" and canary else shape.replace("{}", canary)
        if canary and holds(trace.last, text):
            found[name] = text
    return found


def own(experiment: Experiment, trace: Trace) -> dict[str, str]:
    """Secret columns of rows that the request read or wrote, with the value that stands in the answer."""
    table, found = experiment.fact("table").lower(), {}
    read = [row_of(sample, table) for each in trace.last.statements if table in each.reads for sample in each.sample]
    written = [{name.lower(): value for name, value in each.after.items()} for each in trace.final_changes if each.table.lower() == table and each.kind != "deleted"]
    fresh = [each for each in trace.final_changes if each.table.lower() == table and each.kind == "updated"]
    for column in experiment.fact("columns").split(","):
        for row in (*read, *written):
            value = row.get(column.lower())
            if kind(column) == "password":
                if isinstance(value, str) and len(value) >= _SHORTEST and not _elsewhere(row, column, value) and holds(trace.last, value):
                    found[column] = value
            elif value and experiment.fact("stranger") and any(column in each.columns and each.after.get(column) == value for each in fresh) and _handed(trace.last, str(value)):
                # A code that was just made is handed to somebody who did not say who he is.
                found[column] = str(value)
    return found


def _handed(exchange: Exchange, code: str) -> bool:
    """Whether a code that nobody sent stands in the answer: a short one under the name of a code."""
    if code in exchange.request_body or code in exchange.target:
        return False
    if len(code) >= _SHORTEST:
        return holds(exchange, code)
    path = place(exchange, code)
    return bool(path) and bool(CODE.search(path.rpartition(".")[2]) or kind(path.rpartition(".")[2]) or re.search(r"code|otp|pin|token", path.rpartition(".")[2], re.IGNORECASE))


def _elsewhere(row: Mapping[str, Json], column: str, value: str) -> bool:
    """Whether another column of the row holds the text too."""
    return any(isinstance(other, str) and value in other for name, other in row.items() if name != column.lower())


def place(exchange: Exchange, needle: str) -> str:
    """Where the text stands in a JSON answer: `users.0.password`; "" in any other."""
    waiting: list[tuple[Json, tuple[str, ...]]] = [(exchange.response.json, ())] if exchange.response is not None else []
    while waiting:
        value, path = waiting.pop(0)
        match value:
            case list():
                waiting += [(each, (*path, str(index))) for index, each in enumerate(value)]
            case dict():
                waiting += [(each, (*path, str(key))) for key, each in value.items()]
            case _ if (needle in str(value) if len(needle) >= _SHORTEST else needle == str(value)):
                return ".".join(path)
    return ""


def reading(experiment: Experiment, trace: Trace, values: list[str]) -> Statement | None:
    """The statement that read what was shown."""
    table = experiment.fact("table").lower()
    read = [each for each in trace.last.statements if table in each.reads and each.location]
    return next((each for each in read if any(value in str(row) for row in each.sample for value in values)), read[-1] if read else None)

