"""Owns the minting of identities by facts: sign-up inserts a user, log-in's token changes a refused probe."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import count, islice
from typing import TYPE_CHECKING

from toughen.explore import kinds
from toughen.explore.door import TELLING, Door, Doors, basic, tokens
from toughen.explore.forge import arguments, forgeries
from toughen.explore.forms import FORGERY
from toughen.explore.handshake import fetched_token
from toughen.explore.newcomers import Newcomers, Person
from toughen.explore.outcomes import Depth, depth
from toughen.explore.people import beside, role_column, role_values, users_table
from toughen.explore.search import first_plan
from toughen.explore.session import Entry, Plan, RouteState, Session
from toughen.explore.tenants import houses, tenancy
from toughen.explore.values import Candidate, normal
from toughen.lab.requests import cookies
from toughen.model.blueprint import Place
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Literal
from toughen.twists import POWERFUL

if TYPE_CHECKING:
    from toughen.model.blueprint import Json, Table
    from toughen.model.trace import Exchange

_NO_ROLE = (None, 0)
_MAKERS = 4
"""Routes whose answers are tried for keys of people of a further kind."""
_STRANGER = 3
"""Number of the user of each role who belongs to another tenant."""
_REDIRECTS = frozenset({302, 303, 307})
_SPARES = 2
"""Further users of the ordinary role: as many places, less one, can be filled by different people before two compete for the last."""
_OUTSIDE = {"source", "memory"}
"""How people came to be whom no table of the database holds."""


@dataclass(slots=True)
class Registrar:
    """Mints identities for a session."""

    session: Session
    states: dict[str, RouteState]
    door: Door | None = None
    table: Table | None = None
    newcomers: Newcomers | None = None
    kind: str = ""
    """What people are called who are not the users: after their table."""
    admitted: list[tuple[str, Person]] = field(default_factory=list)
    """Names of those who were minted, and who they are."""

    def mint(self) -> None:
        """Mint users; then, for routes that refuse all of them, people of each other kind that has a door of its own."""
        self._mint_users()
        if not self.session.wallet.identities:
            return
        for table in kinds.further(self.session, self.table):
            Registrar(self.session, self.states, table=table).mint_further()
        Registrar(self.session, self.states).hand_out_further()

    def mint_further(self) -> None:
        """Two people of another table, of each of its roles, where they open what nobody does so far; else all is as it was."""
        assert self.table is not None
        shut = kinds.closed(self.session, Doors(self.session, self.states, None).probes())
        if not shut:
            return
        self.kind = kinds.kind_of(self.session, self.table.name)
        checkpoint = self.session.lab.world.checkpoint()
        self.newcomers = Newcomers(self.session, self.states, self.table)
        only = frozenset(state.route.id for state in shut)
        others = [Newcomers(self.session, self.states, each).signup() for each in kinds.further(self.session, self.table)]
        apart = frozenset(each.route.id for each in others if each is not None and each is not self.newcomers.signup())
        doors = Doors(self.session, self.states, self.newcomers.signup(), only=only, apart=apart, about=self.kind, most=len(only))
        people = self.newcomers.of_table()
        self.door = next((door for person in people if (door := doors.find(person)) is not None), None)
        before = len(self.session.wallet.identities)
        if self.door is not None:
            self._mint_roles(people)
        if len(self.session.wallet.identities) == before:
            self.session.lab.world.rollback(checkpoint)
            return
        self._log_in_is_reached()

    def hand_out_further(self) -> None:
        """Two of whoever a route hands a key to without a password, where that opens what nobody does so far."""
        shut = kinds.closed(self.session, Doors(self.session, self.states, None).probes())
        if shut:
            self.newcomers = Newcomers(self.session, self.states, None)
            self._handed_out(Doors(self.session, self.states, None, only=frozenset(state.route.id for state in shut), most=len(shut)), further=True)

    def _mint_users(self) -> None:
        """Find the door, then mint two users for the ordinary role and for every other role that the code knows."""
        self.table = users_table(self.session.blueprint)
        self.newcomers = Newcomers(self.session, self.states, self.table)
        doors = Doors(self.session, self.states, self.newcomers.signup())
        people = self.newcomers.people()
        doors.sure = bool(doors.probes()) and any(self.newcomers.confirmable(person) for person in people)
        for person in people:
            self.door = doors.find(person)
            if self.door is not None:
                break
        if self.door is None:
            confirmed = [person for person in people if self.newcomers.confirmed(person)]
            doors.sure = False
            self.door = next((door for person in confirmed or people if (door := doors.find(person)) is not None), None)
        if self.door is None and self._handed_out(doors):
            return
        if self.door is None:
            for number, credential in enumerate(doors.keys(), 1):
                self.session.wallet.add(Identity(f"key{number}", None, credential, "key in the source"))
            return
        self._mint_roles(people)
        self._log_in_is_reached()
        self._through_another(doors)

    def _through_another(self, doors: Doors) -> None:
        """Where pages send whoever holds a token to their log-in all the same: everybody logs in there as well, and holds both."""
        own = self.door
        shut = [state for state in doors.probes() if self._sent_to_log_in(state)] if own is not None and own.header is not None and self.admitted else []
        if not shut or self.newcomers is None:
            return
        # A log-in was reached as an honest request before: here it is one more way in.
        self.door = Doors(self.session, self.states, self.newcomers.signup(), only=frozenset(each.route.id for each in shut), sure=True, most=len(shut)).find(self.admitted[0][1])
        for name, person in self.admitted if self.door is not None and self.door.cookie else ():
            known = self.session.wallet.identities[name]
            other = self.admit(person, name, known.role)
            if other is not None:
                self.session.wallet.add(replace(known, credential=replace(known.credential, cookies=(*known.credential.cookies, *other.credential.cookies))))
        self.door = own

    def _sent_to_log_in(self, state: RouteState) -> bool:
        """Whether a page does not know the first of those who were minted."""
        checkpoint = self.session.lab.world.checkpoint()
        exchange = self.session.send(first_plan(self.session, state).call(state.route, self.admitted[0][0], state.body))
        self.session.lab.world.rollback(checkpoint)
        return exchange.status in _REDIRECTS and depth(exchange) is Depth.REFUSED

    def _handed_out(self, doors: Doors, *, further: bool = False) -> bool:
        """Two users through a sign-up without a password that hands out the token itself; whether there is one."""
        known = len(self.session.wallet.identities)
        makers = [state for state in self.states.values() if state.route.method == "POST" and state.reached is not None and _gives(state.reached.exchange, telling=further)]
        if further:
            there = {each.table.lower() for each in self.session.wallet.identities.values() if each.table}
            makers = [each for each in makers if each.reached is not None and _made_in(each.reached.exchange) not in there][:_MAKERS]
        for state in makers:
            assert state.reached is not None
            assert self.newcomers is not None
            # Whoever came while looking around is forgotten.
            checkpoint = self.session.lab.world.checkpoint()
            exchange = self.session.send(self.newcomers.renewed(state, state.reached.plan).call(state.route, None, state.body))
            self.session.forget()
            opening = doors.opened_by(exchange) if exchange.response is not None else None
            self.session.lab.world.rollback(checkpoint)
            if opening is None or opening.header is None:
                continue
            self.kind = kinds.kind_of(self.session, _made_in(state.reached.exchange) or state.resource) if further else ""
            for number in (1, 2):
                identity = self._newcomer(state, opening, f"{self.kind or 'user'}{number}")
                if identity is not None:
                    self.session.wallet.add(replace(identity, role=self.kind or None))
            return len(self.session.wallet.identities) > known
        return False

    def _newcomer(self, state: RouteState, opening: Door, name: str) -> Identity | None:
        """Somebody who comes through such a sign-up: the row that it made, and the token that it gave."""
        assert state.reached is not None
        assert opening.header is not None
        assert self.newcomers is not None
        table = _made_in(state.reached.exchange)
        before = {repr(row) for row in self.session.rows(table)} if table else set()
        plan = self.newcomers.renewed(state, state.reached.plan)
        call = plan.call(state.route, None, state.body)
        exchange = self.session.send(call)
        self.session.forget()
        found = dict(tokens(exchange.response.json)).get(opening.token) if exchange.response is not None and depth(exchange) is Depth.SUCCESS else None
        if found is None:
            return None
        self.session.history.append(Entry(state.route.id, call, exchange, plan, kept=True))
        row = next((row for row in reversed(self.session.rows(table)) if repr(row) not in before), {}) if table else {}
        prefix, value = opening.header
        return Identity(name, None, Credential(((prefix, value + found),)), "signup", dict(row), table, header=opening.header)  # type: ignore[arg-type]

    def _log_in_is_reached(self) -> None:
        """The log-in that minted the identities is the honest request to its route."""
        own = next((each for each in reversed(self.session.wallet.identities.values()) if each.login is not None and (each.table == self.table.name if self.table is not None and self.kind else True)), None)
        if own is None or own.login is None:
            return
        state = self.states.get(own.login.route)
        if state is None or state.reached is not None:
            return
        exchange = self.session.send(own.login)
        if depth(exchange) is not Depth.SUCCESS:
            return
        values = tuple(
            ((each.place, each.path), Candidate(each.value.value, "identity")) for each in own.login.arguments if isinstance(each.value, Literal)
        )
        state.reached = Entry(own.login.route, own.login, exchange, Plan(values, why="log in"), kept=True)
        state.shallow = not any(statement.writes for statement in exchange.statements)
        self.session.history.append(state.reached)
        if exchange.response is not None:
            self.session.pool.learn(exchange.response.json, len(self.session.history) - 1, state.resource)

    def _mint_roles(self, people: list[Person]) -> None:
        table, makes = self.table, self.newcomers
        assert makes is not None
        column = role_column(table) if table is not None and people[0].how not in _OUTSIDE else None
        rows = self.session.rows(table.name) if table is not None else []
        # Roles that the source names are those of the users.
        known = replace(self.session.blueprint, roles=()) if self.kind else self.session.blueprint
        values = role_values(known, table, [person.row for person in people] + rows) if table is not None and column else []  # type: ignore[operator]
        ordinary = _ordinary(people, column) if column else None
        ordered = [ordinary, *[value for value in values if not _same_role(value, ordinary)]]
        waiting = list(people)
        kept_apart = tenancy(self.session.blueprint, table) if table is not None and people[0].how not in _OUTSIDE else None
        both = houses(self.session, kept_apart, [person.row for person in people]) if kept_apart is not None else None
        for value in ordered:
            # Where there are tenants, a third one lives in another house than the first two.
            for number in (1, 2, 3) if both else (1, 2):
                own = next((person for person in waiting if column is None or _same_role(person.row.get(column), value)), None)
                if own is not None:
                    waiting.remove(own)
                person = own or makes.another(waiting if not makes.signup() else [])
                if person is None:
                    continue
                if own is None and column is not None and not self._raise(person, column, value):
                    continue
                house = both[number == _STRANGER] if both else None
                if kept_apart is not None and both and person.row.get(kept_apart.column) != house and not self._raise(person, kept_apart.column, house):
                    continue
                label = _label(value, ordinary=_same_role(value, ordinary), column=column)
                if label == "user" and not _same_role(value, ordinary):
                    label = "user_role"
                role = None if column is None else str(value)
                if self.kind:
                    label = self.kind if label == "user" else f"{self.kind}_{label}"
                    role = self.kind if role is None else f"{self.kind}.{role}"
                identity = self.admit(person, f"{label}{number}", role)
                if identity is None and own is not None and person.how == "row" and self.table is not None and (person := makes.another([])) is not None:
                    # An account that lets nobody in any more.
                    fits = column is None or _same_role(person.row.get(column), value) or self._raise(person, column, value)
                    identity = self.admit(person, f"{label}{number}", role) if fits else None
                if identity is not None:
                    self.session.wallet.add(replace(identity, tenant=None if house is None else str(house)))
                    self.admitted.append((identity.name, person))
                    if person.call is not None:
                        self.session.founders[identity.name] = person.call
        if not self.kind and self.admitted:
            self._mint_spares(column, ordinary)

    def _mint_spares(self, column: str | None, ordinary: Json) -> None:
        """Further users of the ordinary role in the first one's house, where there is a table besides the users' that they could fill."""
        wallet, makes = self.session.wallet, self.newcomers
        first = wallet.identities[self.admitted[0][0]]
        if makes is None or self.table is None or first.table is None or len(self.session.blueprint.tables) == 1:
            return
        house = tenancy(self.session.blueprint, self.table) if first.tenant is not None else None
        free = (f"{first.kind}{number}" for number in count(1) if wallet.known(f"{first.kind}{number}") is None)
        for name in islice(free, _SPARES):
            person = makes.another([])
            if person is None or (column is not None and not _same_role(person.row.get(column), ordinary) and not self._raise(person, column, ordinary)):
                return
            if house is not None and not self._raise(person, house.column, first.row.get(house.column)):
                return
            identity = self.admit(person, name, first.role)
            if identity is None:
                return
            wallet.add(replace(identity, tenant=first.tenant, spare=True))
            if person.call is not None:
                self.session.founders[name] = person.call

    def _raise(self, person: Person, column: str, value: Json) -> bool:
        """Write the role, or the tenant, in the throw-away database."""
        assert self.table is not None
        keys = [each.name for each in self.table.columns if each.primary_key] or list(person.row)[:1]
        done = self.session.lab.world.assign(self.table.name, column, value, ((keys[0], person.row.get(keys[0])),))
        if done:
            person.row[column] = value
        if done and (flag := beside(self.table, column)):
            self.session.lab.world.assign(self.table.name, flag, value, ((keys[0], person.row.get(keys[0])),))
            person.row[flag] = value
        return done

    def admit(self, person: Person, name: str, role: str | None) -> Identity | None:
        """Log a person in through the door that was found."""
        door, session = self.door, self.session
        assert door is not None
        table = self.table.name if self.table and person.how not in _OUTSIDE else None
        if door.forge is not None and door.header is not None:
            function, column = door.forge
            for each, of, forged in forgeries(session, person.row):
                if each == function and of == column:
                    given_to = tuple(arguments(column, person.row))
                    return Identity(name, role, Credential(((door.header[0], door.header[1] + forged),)), "forged", person.row, table, header=door.header, forge=(function, given_to))
            return None
        credential = basic(str(person.row.get(door.basic)), str(person.password)) if door.basic else Credential()
        if door.basic and not door.basic_login:
            return Identity(name, role, credential, person.how, person.row, table)
        if door.login is None:
            return None
        login = door.login
        for place, path, column in door.names:
            login = login.with_argument(place, path, Literal(person.row.get(column)))
        for place, path in door.secrets:
            login = login.with_argument(place, path, Literal(person.password))
        if door.basic_login:
            login = login.with_argument(Place.HEADER, ("Authorization",), Literal(credential.headers[0][1]))
        guarded = [each for each in login.arguments if FORGERY.search(str(each.path[-1]))]
        token = fetched_token(session) if guarded else []
        for argument in guarded if token else ():
            login = login.with_argument(argument.place, argument.path, Literal(token[0].value))
        exchange = session.send(login)
        session.forget()
        if exchange.response is None or (depth(exchange) is not Depth.SUCCESS and not door.cookie):
            return None
        if door.cookie:
            held = Credential(cookies=tuple(cookies(exchange.response.headers).items()))
            if not held.cookies:
                return None
            # A log-in that needs a page's token cannot be repeated by itself.
            return Identity(name, role, held, person.how, person.row, table, login=None if guarded else login)
        found = dict(tokens(exchange.response.json)).get(door.token)
        if found is None or door.header is None:
            return None
        given = tuple(cookies(exchange.response.headers).items())
        held = Credential(((door.header[0], door.header[1] + found),), given)
        return Identity(name, role, held, person.how, person.row, table, login, door.token, door.header)


def _ordinary(people: list[Person], column: str) -> Json:
    """The role that a newcomer gets: where the first of all becomes administrator, that of the next."""
    roles = [person.row.get(column) for person in people]
    return next((role for role in roles if role in _NO_ROLE or (role is not True and role != 1 and not POWERFUL.search(str(role)))), roles[0])


def _made_in(exchange: Exchange) -> str | None:
    """The table that somebody new was written to."""
    return next((min(each.writes) for each in exchange.statements if each.writes and each.verb == "insert"), None)


def _gives(exchange: Exchange, *, telling: bool = False) -> bool:
    """Whether an answer to somebody new holds what looks like a token; `telling`: under a name that says so."""
    made = any(each.verb == "insert" for each in exchange.statements)
    found = tokens(exchange.response.json) if made and exchange.response is not None else ()
    return any(not telling or TELLING.search(str(pointer[-1:])) for pointer, _ in found)


def _same_role(one: Json, other: Json) -> bool:
    if isinstance(one, bool | int) and isinstance(other, bool | int):
        return bool(one) == bool(other)
    return str(one).lower() == str(other).lower() or (one in _NO_ROLE and other in _NO_ROLE)


def _label(value: Json, *, ordinary: bool, column: str | None) -> str:
    if ordinary or column is None:
        return "user"
    if isinstance(value, str) and not value.isdigit():
        return re.sub(r"\W+", "_", value.rpartition(".")[2].lower())
    return normal(column).removeprefix("is_") if value else "plain"
