"""Owns who an object belongs to while a prototype is attacked: whose row it is, how the owner makes it, who may see it.

Sources: the identifier-based definition of broken object level authorization (OWASP API1:2023); that only a listing
filtered by owner, a sibling that refuses, or a private kind of data is evidence of a policy is from measurements on
applications with legitimate sharing, where "another user succeeded" alone was wrong more often than right.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen import sql
from toughen.model.blueprint import Place
from toughen.model.journey import Extract, Grant, Literal, Marker, Stored
from toughen.model.trial import Trial
from toughen.twists import POWER, SECRET, holds, key_of, literal, named, parameter_of, succeeded, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Json, Table
    from toughen.model.identity import Identity
    from toughen.model.journey import Argument, Call, Journey
    from toughen.model.trace import Exchange, RowChange, Trace
    from toughen.rule import Target

_KEY = re.compile(r"csrf|xsrf|nonce|token", re.IGNORECASE)
_PERSON = re.compile(r"^(to|from|sender|recipient|receiver|assignee|assigned_to|owner|author|user|buyer|seller|member|created_by)(_(id|user|user_id|username))?$|_user(_id)?$", re.IGNORECASE)
PRIVILEGED = re.compile(r"admin|super|staff|moderator|manager|support|teacher|doctor|editor|operator|employee|librarian", re.IGNORECASE)
"""Roles whose work it is to see and change what belongs to others."""
_LINK = re.compile(
    r"^(?:[0-9a-f]{16,}|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9])[\w-]{10,}"
    r"|(?=[\w-]{10,}$)(?!tgn)(?:.*?(?:[a-z](?=[A-Z0-9])|[A-Z](?=[a-z0-9])|[0-9](?=[A-Za-z]))){3}.*)$"
)
"""What was drawn at random, by its looks: hexadecimal, a UUID, a token of small and large letters and digits, or one of whose kinds
change places three times (of the tokens of `secrets.token_urlsafe(12)` all but one in a thousand; 7 of a hundred hold no digit)."""
_SIGNED = re.compile(r"[/=](?=[^/&?=]*[a-z])(?=[^/&?=]*[A-Z])(?=[^/&?=]*[0-9])(?=[^/&?=]{24,})[\w-]{2,}(?:[.:][\w-]{4,}){1,3}(?=[/&?]|$)")
"""A value with its signature behind it, as JWT (RFC 7515) and itsdangerous write it, in an address."""
_SHORTEST = 6
_CANARIES = 4
_LONG = 24
"""Room that a canary needs."""


@dataclass(frozen=True, slots=True)
class Planted:
    """The owner's object with something in it that can be recognised."""

    calls: tuple[Call, ...]
    grants: tuple[Grant, ...]
    canary: str
    """Name of the Marker, or the text itself."""
    column: str
    """Where it was planted, for the report and the policy."""
    secret: bool = False
    """True where the column's name says that nobody else may see it."""


def is_person(name: str) -> bool:
    """Whether a value of that name says who somebody is: an owner, a recipient."""
    return _PERSON.search(name) is not None


def powerful(identity: Identity) -> bool:
    """Whether the identity's role may do more than others: what it reaches says nothing about ordinary users."""
    return bool(PRIVILEGED.search(identity.role or "") or PRIVILEGED.search(identity.name))


def keys(identity: Identity) -> frozenset[str]:
    """What names a user in other tables: the key of its row, its user name, its e-mail."""
    named_so = {"id", "user_id", "uuid", "username", "email"}
    return frozenset(str(value) for name, value in (*key_of(identity.row), *identity.row.items()) if value is not None and (name.lower() in named_so or (name, value) in key_of(identity.row)))


def by(calls: tuple[Call, ...], attacker: str | None, owner: str | None) -> tuple[Call, ...]:
    """The last call sent by another, who fetches a token of his own where the owner's call carries a fetched one."""
    last = calls[-1].by(attacker)
    extra: list[Call] = []
    if attacker is not None:
        for argument in calls[-1].arguments:
            if not isinstance(argument.value, Extract) or not (argument.place is Place.HEADER or _KEY.search(named(argument))):
                continue
            step = calls[argument.value.step]
            if step.identity == owner and not any(isinstance(each.value, Extract) for each in step.arguments):
                last = last.with_argument(argument.place, argument.path, Extract(len(calls) - 1 + len(extra), argument.value.pointer))
                extra.append(step.by(attacker))
    return (*calls[:-1], *extra, last)


def whole(calls: tuple[Call, ...], owner: str, attacker: str) -> tuple[Call, ...]:
    """The same journey by another: all that the owner did himself, the other does himself."""
    return tuple(call.by(attacker) if call.identity == owner else call for call in calls)


def withdrawn(target: Target, journey: Journey, owner: Identity, attacker: Identity) -> Journey:
    """The journey in which the owner addresses himself where he addressed the attacker: who is a recipient may read."""
    calls = journey.calls
    for index, call in enumerate(journey.calls[:-1]):
        for argument in call.arguments if call.identity == owner.name else ():
            given = literal(argument)
            name = next((key for key, value in key_of(attacker.row) if str(value) == str(given)), None) if is_person(named(argument)) else None
            if name is not None and owner.row.get(name) is not None:
                calls = (*calls[:index], calls[index].with_argument(argument.place, argument.path, Literal(owner.row[name])), *calls[index + 1 :])
    if calls == journey.calls or not succeeded(target.run(Trial(calls, journey.grants)).last):
        return journey
    return replace(journey, calls=calls)


# -- the owner's object ------------------------------------------------------------------------------------------------


def aimed(target: Target, journey: Journey, owner: Identity) -> Journey:
    """The journey with its request aimed at a row of the owner's: as it is, or at one that the owner makes first or has."""
    honest = target.run(Trial(journey.calls, journey.grants))
    if journey.route.startswith("POST ") and any(each.kind == "inserted" for each in honest.final_changes):
        return journey
    mine = keys(owner)
    for statement in honest.last.statements:
        for table in (*statement.reads, *statement.writes):
            column = target.owner(table, owner.table)
            if table == (owner.table or "").lower() and statement.text not in target.habits():
                person_call = _self(journey.call, owner, table, (statement.text, statement.parameters))
                if person_call is not None and succeeded(target.run(Trial((*journey.calls[:-1], person_call), journey.grants)).last):
                    return replace(journey, calls=(*journey.calls[:-1], person_call))
            if column is None:
                far = _far(target, journey.call, owner, table, (statement.text, statement.parameters))
                if far is not None:
                    moved = replace(journey, calls=(*journey.calls[:-1], far))
                    return moved if succeeded(target.run(Trial(moved.calls, moved.grants)).last) else journey
                continue
            if (statement.sample and row_of(statement.sample[0], table).get(column.lower()) in _values(owner)):
                continue
            found = _bound(journey.call, statement.text, statement.parameters, table, column)
            person = next((value for value in owner.row.values() if value is not None and str(value) in mine and _fits(target, table, column, value)), None)
            if found is None or person is None:
                continue
            argument, bound = found
            has = any(str(row.get(column)) == str(person) for row in target.rows(table))
            maker = None if has else _maker(target, table, column, owner, journey.route)
            call = journey.call.with_argument(argument.place, argument.path, Stored(table, bound, ((column, person),)))
            moved = replace(journey, calls=(*(maker.calls if maker else ()), *_later(journey.calls[:-1], len(maker.calls) if maker else 0), *_later((call,), len(maker.calls) if maker else 0)))
            moved = replace(moved, grants=(*(maker.grants if maker else ()), *journey.grants))
            if succeeded(target.run(Trial(moved.calls, moved.grants)).last):
                return moved
    return journey


def _self(call: Call, owner: Identity, table: str, statement: tuple[str, tuple[Json, ...]]) -> Call | None:
    """The call aimed at the owner's own row among the users, where it names another's."""
    argument, bound = _bound(call, *statement, table, "") or (None, "")
    own = next((value for name, value in owner.row.items() if name.lower() == bound), None)
    if argument is None or own is None or argument.place is not Place.PATH or str(literal(argument)) == str(own):
        return None
    return call.with_argument(argument.place, argument.path, Literal(own))


def _far(target: Target, call: Call, owner: Identity, table: str, statement: tuple[str, tuple[Json, ...]]) -> Call | None:
    """The call aimed at a row that is the owner's over two hops, and in which nobody else has a part."""
    paths = [path for path in target.owners(table, owner.table) if len(path) > 1]
    found = _bound(call, *statement, table, "") if paths else None
    if found is None:
        return None
    argument, bound = found
    held = {parent: {str(next(iter(row.values()))) for row in target.rows(parent) if row and str(row.get(owning)) in keys(owner)} for (_, _, parent), (_, owning, _) in paths}
    known = {parent: {str(next(iter(row.values()))) for row in target.rows(parent) if row} for (_, _, parent), _ in paths}
    for row in target.rows(table):
        parts = [(str(row.get(column)) in held[parent], str(row.get(column)) in known[parent]) for (_, column, parent), _ in paths if row.get(column) is not None]
        if any(mine for mine, _ in parts) and all(mine or not there for mine, there in parts) and row.get(bound) is not None:
            return call.with_argument(argument.place, argument.path, Literal(row[bound]))
    return None


def _later(calls: tuple[Call, ...], steps: int) -> tuple[Call, ...]:
    from toughen.pairs import shifted

    return tuple(shifted(call, steps) for call in calls)


def _fits(target: Target, table: str, column: str, value: Json) -> bool:
    known = target.blueprint.table(table)
    kind = known.column(column) if known else None
    return kind is None or kind.type not in {"integer", "string"} or isinstance(value, int) == (kind.type == "integer")


def _bound(call: Call, text: str, parameters: tuple[Json, ...], table: str, column: str) -> tuple[Argument, str] | None:
    """The argument of the request that chooses the row, and the column that it is compared with."""
    for (where, name, how), value in zip(sql.bindings(text), parameters, strict=False):
        if how == "eq" and (where or table) == table and name != column.lower():
            argument = next((each for each in call.arguments if isinstance(each.value, Literal) and str(each.value.value) == str(value)), None)
            if argument is not None:
                return argument, name
    return None


def _maker(target: Target, table: str, column: str, owner: Identity, route: str) -> Journey | None:
    """The owner's own journey that inserts a row of that table."""
    for each in target.journeys():
        if each.identity != owner.name or each.route == route or not each.route.startswith("POST "):
            continue
        made = target.honest(each.route)
        if made is not None and any(one.kind == "inserted" and one.table.lower() == table.lower() and one.after.get(column) in _values(owner) for one in made.changes):
            return each
    return None


def _values(identity: Identity) -> list[Json]:
    return [value for value in identity.row.values() if value is not None]


def row_of(sample: dict[str, Json], table: str) -> dict[str, Json]:
    """A sampled row by the table's own column names (an ORM puts the table's name in front)."""
    return {name.lower().removeprefix(f"{table}_"): value for name, value in sample.items()} | {name.lower(): value for name, value in sample.items() if not name.lower().startswith(f"{table}_")}


# -- canaries ----------------------------------------------------------------------------------------------------------


def plant(target: Target, journey: Journey, owner: Identity) -> Iterator[Planted]:
    """The journey with a canary in what the owner made before, or in the owner's row that the request reads; secrets first."""
    found = sorted(_in_calls(target, journey, owner), key=lambda each: not each.secret) or sorted(_in_rows(target, journey, owner), key=lambda each: not each.secret)
    yield from found[:_CANARIES]
    if not found and not journey.route.startswith("GET "):
        yield Planted(journey.calls, journey.grants, "", "")


def _in_calls(target: Target, journey: Journey, owner: Identity) -> Iterator[Planted]:
    for index, call in enumerate(journey.calls[:-1]):
        if call.identity != owner.name or call.route.startswith("GET "):
            continue
        for argument in texts(call):
            if free(target, call.route, argument, made_up=False):
                marked = call.with_argument(argument.place, argument.path, Marker("owned", "tgn{}"))
                calls = (*journey.calls[:index], marked, *journey.calls[index + 1 :])
                trace = target.run(Trial(calls, journey.grants))
                canary = f"tgn{trace.markers.get('owned', '-')}"
                written = not journey.route.startswith("GET ") and any(canary in str(each.before) for each in trace.final_changes)
                if succeeded(trace.last) and (written or (journey.route.startswith("GET ") and holds(trace.last, canary))):
                    yield Planted(calls, journey.grants, "owned", named(argument), bool(SECRET.search(named(argument))))


def _in_rows(target: Target, journey: Journey, owner: Identity) -> Iterator[Planted]:
    honest = target.run(Trial(journey.calls, journey.grants))
    for statement in honest.last.statements:
        for table in statement.reads:
            column, known = target.owner(table, owner.table), target.blueprint.table(table)
            if column is None or known is None or statement.rows != 1 or not statement.sample:
                continue
            row = row_of(statement.sample[0], table)
            key = key_of({name: value for name, value in row.items() if name in {"id", "uuid"}}) or key_of(row)
            if row.get(column.lower()) not in _values(owner) or not key:
                continue
            made = any(each.kind == "inserted" and each.table.lower() == table and str(each.after.get(key[0][0])) == str(key[0][1]) for each in honest.changes)
            # A row that the owner makes on the way cannot be written beforehand: all that he has by then is marked.
            where, late = (((column, row[column.lower()]),), len(journey.calls) - 1) if made else (key, 0)
            for text in [each for each in known.columns if _plantable(each, known, column)][:_CANARIES]:
                canary = "tgn" + secrets.token_hex(8)
                yield Planted(journey.calls, (*journey.grants, Grant(known.name, where, text.name, canary, late)), canary, text.name, bool(SECRET.search(text.name)))
            numbers = [each for each in known.columns if each.type in {"integer", "number"} and not (each.primary_key or each.references or each.name == column)]
            for number in sorted(numbers, key=lambda each: not POWER.search(each.name))[: _CANARIES if made else 1]:
                amount = secrets.randbelow(9 * 10**8) + 10**8
                yield Planted(journey.calls, (*journey.grants, Grant(known.name, where, number.name, amount, late)), str(amount), number.name, secret=bool(POWER.search(number.name)))
            if journey.route.startswith("GET "):
                continue
            for name, value in row.items():
                if isinstance(value, str) and len(value) >= _SHORTEST and (each := known.column(name)) is not None and each.unique:
                    yield Planted(journey.calls, journey.grants, value, name)


def _plantable(each: object, known: Table, owner: str) -> bool:
    from toughen.model.blueprint import Column

    assert isinstance(each, Column)
    plain = each.type in {"string", "any"} and not each.primary_key and not each.unique and not each.references and not each.enum
    dated = re.search(r"date|time|_at$|status|state|type|currency|role", each.name, re.IGNORECASE)
    return plain and not dated and each.name != owner and not (each.max_length or 99) < _LONG and known.column(each.name) is not None


def free(target: Target, route_id: str, argument: Argument, *, made_up: bool = True) -> bool:
    """Whether a text may be anything: no enum, format or pattern says what it is, and the honest one was made up."""
    route = target.blueprint.route(route_id)
    known = parameter_of(route, argument) if route else None
    value = literal(argument)
    fits = isinstance(value, str) and "@" not in value and (value.startswith("tg") or not made_up)
    return fits and (known is None or not (known.enum or known.format or known.pattern or (known.max_length or 99) < _LONG))


def shows(trace: Trace, exchange: Exchange, canary: str) -> bool:
    """Whether an answer shows what was planted under that name, or the text itself."""
    marker = trace.markers.get(canary)
    return holds(exchange, f"tgn{marker}" if marker else canary)


def linked(target: Target, exchange: Exchange) -> bool:
    """Whether a row was asked for by a link that nobody can guess: signed, or drawn by the server beside the row's own key."""
    if _SIGNED.search(exchange.target):
        return True
    for statement in exchange.statements:
        for (where, name, how), value in zip(sql.bindings(statement.text), statement.parameters, strict=False):
            known = target.blueprint.table(where or next(iter((*statement.reads, *statement.writes)), ""))
            column = known.column(name) if known else None
            random = how == "eq" and isinstance(value, str) and _LINK.match(value) and (value in exchange.target or value in exchange.request_body)
            if random and not name.endswith("_id") and (column is None or not (column.primary_key or column.references)):
                return True
    return False


# -- whose row ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Belonging:
    """Whose a row is, from facts that a stored proof carries."""

    owner: frozenset[str]
    attacker: frozenset[str]
    users: str
    """Table of the users, lower case."""
    columns: tuple[tuple[str, str], ...]
    """(table, column that holds the owner's key), lower case tables."""
    parents: tuple[tuple[str, str, str, str], ...]
    """(table, column, whose, comma-separated keys of that user's parent rows): ownership over two hops."""

    def of_owner(self, change: RowChange) -> bool:
        """Whether the row was the owner's before, and the attacker has no part in it."""
        table, before = change.table.lower(), change.before
        if change.kind == "inserted":
            return False
        if table == self.users:
            return str(next(iter(before.values()), None)) in self.owner
        column = dict(self.columns).get(table)
        if column is not None:
            return str(before.get(column)) in self.owner and not self.party(before, column)
        mine = self._through("owner", table, before)
        return mine and not self._through("attacker", table, before)

    def party(self, row: Mapping[str, Json], column: str = "") -> bool:
        """Whether a row names the attacker beside its owner: a recipient, an assignee."""
        return any(_PERSON.search(name) and name != column and str(value) in self.attacker for name, value in row.items())

    def _through(self, whose: str, table: str, before: dict[str, Json]) -> bool:
        return any(str(before.get(column)) in held.split(",") for name, column, who, held in self.parents if name == table and who == whose)


def belonging(target: Target, owner: Identity, attacker: Identity, trace: Trace) -> tuple[tuple[str, str], ...]:
    """Facts for an experiment from which `told` makes the Belonging again."""
    columns, parents = [], []
    for table in target.blueprint.tables:
        for path in target.owners(table.name, owner.table):
            if len(path) == 1:
                columns.append(f"{table.name.lower()}:{path[0][1]}")
                continue
            (_, column, parent), (_, owning, _) = path[0], path[1]
            rows = (*target.rows(parent), *(each.after for each in trace.changes if each.table.lower() == parent.lower()))
            for whose, identity in (("owner", owner), ("attacker", attacker)):
                held = {str(next(iter(row.values()))) for row in rows if row and str(row.get(owning)) in keys(identity)}
                if held:
                    parents.append(f"{table.name.lower()}:{column}:{whose}:{'+'.join(sorted(held))}")
    return (
        ("own", ",".join(sorted(keys(owner)))), ("others", ",".join(sorted(keys(attacker)))), ("users", (owner.table or "").lower()),
        ("owners", ",".join(columns)), ("parents", ",".join(parents)),
    )


def told(fact: object) -> Belonging:
    """The Belonging that an experiment's facts carry; `fact` is `experiment.fact`."""
    assert callable(fact)
    def items(name: str) -> list[str]:
        return [each for each in str(fact(name)).split(",") if each]

    columns = tuple((table, column) for table, _, column in (each.partition(":") for each in items("owners")))
    parents = tuple((parts[0], parts[1], parts[2], parts[3].replace("+", ",")) for each in items("parents") if len(parts := each.split(":")) == 4)  # noqa: PLR2004
    return Belonging(frozenset(items("own")), frozenset(items("others")), str(fact("users")), columns, parents)
