"""Owns the minting of identities by facts: sign-up inserts a user, log-in's token changes a refused probe."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen.explore.forge import forgeries
from toughen.explore.outcomes import Depth, depth
from toughen.explore.people import password_column, password_parameter, role_column, role_values, users_table
from toughen.explore.search import first_plan
from toughen.explore.session import Entry, Plan, RouteState, Session
from toughen.explore.values import PASSWORD, Candidate, normal
from toughen.lab.requests import cookies
from toughen.model.blueprint import Place
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Argument, Call, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.model.blueprint import Json, Table
    from toughen.model.trace import Exchange

_SCHEMES = (("Authorization", "Bearer "), ("Authorization", ""), ("Authorization", "Token "), ("Authorization", "JWT "), ("X-Access-Token", ""), ("X-Auth-Token", ""), ("X-API-Key", ""), ("x-token", ""), ("token", ""))
_NO_ROLE = (None, 0)
_TOKEN = re.compile(r"^[\w\-.=+/~|:]{12,4096}$")


@dataclass(slots=True)
class Person:
    """A user whose password is known (or who has none), before a credential is found."""

    row: dict[str, Json]
    password: str | None
    how: str


@dataclass(slots=True)
class Door:
    """How one logs in here, once it is known."""

    login: Call | None = None
    names: tuple[tuple[Place, tuple[str | int, ...], str], ...] = ()
    """(place, path, column) of log-in's parameters that name the user."""
    secrets: tuple[tuple[Place, tuple[str | int, ...]], ...] = ()
    token: tuple[str | int, ...] = ()
    header: tuple[str, str] | None = None
    cookie: bool = False
    basic: str | None = None
    """Column of the user name where requests carry HTTP Basic; None elsewhere."""
    forge: tuple[str, str] | None = None
    """(function, column) of the project's own token function and what it is given."""
    basic_login: bool = False


@dataclass(slots=True)
class Registrar:
    """Mints identities for a session."""

    session: Session
    states: dict[str, RouteState]
    door: Door | None = None
    table: Table | None = None
    notes: list[str] = field(default_factory=list)

    def mint(self) -> None:
        """Find the door, then mint two users for the ordinary role and for every other role that the code knows."""
        self.table = users_table(self.session.blueprint)
        people = self._people()
        for person in people:
            self.door = self._find_door(person)
            if self.door is not None:
                break
        if self.door is None:
            return
        self._mint_roles(people)
        self._log_in_is_reached()

    def _log_in_is_reached(self) -> None:
        """The log-in that minted the identities is the honest request to its route."""
        own = next((each for each in self.session.wallet.identities.values() if each.login is not None), None)
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

    def _probes(self) -> list[RouteState]:
        """Routes that refused an anonymous request for want of a credential, those without parameters first."""
        found = [
            state for state in self.states.values()
            if state.reached is None and None in state.tried and depth(state.tried[None]) is Depth.REFUSED
        ]
        return sorted(found, key=lambda state: (state.route.method != "GET", state.route.path.count("{"), len(state.parameters)))

    # -- people ---------------------------------------------------------------------------------------------------

    def signup(self) -> RouteState | None:
        """The route whose success inserts into the table of users."""
        if self.table is None:
            return None
        name = self.table.name.lower()
        for state in self.states.values():
            reached = state.reached
            if reached is None or not any(each.verb == "insert" and name in each.writes for each in reached.exchange.statements):
                continue
            if any(password_parameter(str(key[1][-1])) for key, _ in reached.plan.values):
                return state
        return None

    def _people(self) -> list[Person]:
        if self.table is None:
            return []
        people = [person for _ in range(2) if (person := self.sign_up()) is not None]
        return people or self._from_rows()

    def sign_up(self) -> Person | None:
        """One more user through the prototype's own sign-up."""
        state = self.signup()
        if state is None or state.reached is None or self.table is None:
            return None
        session = self.session
        before = {repr(row) for row in session.rows(self.table.name)}
        changes = {}
        for key, candidate in state.reached.plan.values:
            parameter = state.parameters.get(key)
            if parameter is None or not isinstance(candidate.value, str):
                continue
            value = PASSWORD if password_parameter(parameter.name) else session.maker.make(parameter)
            if parameter.enum or candidate.source in {"pool", "rows", "branch"}:
                value = candidate.value
            changes[key] = Candidate(value, "fresh")
        plan = state.reached.plan.put(changes, "sign up")
        exchange = session.send(plan.call(state.route, None, state.body))
        if depth(exchange) is not Depth.SUCCESS:
            plan = state.reached.plan.put({k: c for k, c in changes.items() if normal(str(k[1][-1])) in {"username", "email", "name", "login", "phone"} or password_parameter(str(k[1][-1]))}, "sign up")
            exchange = session.send(plan.call(state.route, None, state.body))
        new = [row for row in session.rows(self.table.name) if repr(row) not in before]
        if depth(exchange) is not Depth.SUCCESS or not new:
            return None
        password = next((str(c.value) for k, c in plan.values if password_parameter(str(k[1][-1]))), PASSWORD)
        return Person(new[-1], password, "signup")  # type: ignore[arg-type]

    def _from_rows(self) -> list[Person]:
        """Users that the prototype's own seeds made: their plain password, or the project's own hash written over theirs."""
        if self.table is None:
            return []
        session, column = self.session, password_column(self.table)
        rows = session.rows(self.table.name)
        if column is None:
            return []
        role = role_column(self.table)
        rows = sorted(rows, key=lambda row: "admin" in str(row.get(role or "", "")).lower() or str(row.get(role or "")) == "1")
        plain = [row for row in rows if isinstance(row.get(column), str) and len(str(row[column])) < 30 and not str(row[column]).startswith("$")]  # noqa: PLR2004
        if plain:
            return [Person(row, str(row[column]), "row") for row in plain[:6]]  # type: ignore[arg-type]
        hashed = self._hash()
        if rows and hashed:
            key = next((each.name for each in self.table.columns if each.primary_key), None)
            for row in rows[:6]:
                if key is not None:
                    session.lab.world.execute(
                        f'UPDATE "{self.table.name}" SET "{column}" = ? WHERE "{key}" IS ?', [hashed, row[key]], self.table.name  # type: ignore[list-item]  # noqa: S608
                    )
                    row[column] = hashed
            return [Person(row, PASSWORD, "row") for row in rows[:6]]  # type: ignore[arg-type]
        if not rows:
            rows = self._insert(hashed or PASSWORD)
        return [Person(row, PASSWORD if hashed or not plain else None, "row") for row in rows[:6]]  # type: ignore[arg-type]

    def _hash(self) -> str | None:
        """The project's own hash of the common password."""
        for function in _functions(self.session, r"hash|encrypt_password|set_password|make_password"):
            try:
                value = self.session.call_function(function, [PASSWORD])
            except LookupError:
                continue
            if isinstance(value, str) and value != PASSWORD and len(value) > 20:  # noqa: PLR2004
                return value
        for function in ("werkzeug.security:generate_password_hash",):
            if any("werkzeug.security" in text for text in self.session.sources.values()):
                try:
                    value = self.session.call_function(function, [PASSWORD])
                except LookupError:
                    continue
                if isinstance(value, str):
                    return value
        return None

    def _insert(self, password: str) -> list[dict[str, object]]:
        """Two users written into the empty table by its columns."""
        assert self.table is not None
        from toughen.model.blueprint import Parameter

        for _ in range(2):
            row: dict[str, Json] = {}
            for column in self.table.columns:
                if column.primary_key and column.type == "integer":
                    continue
                if column.name == password_column(self.table):
                    row[column.name] = password
                elif not column.nullable or column.unique or normal(column.name) in {"username", "email", "name"}:
                    kind = {"datetime": "string", "date": "string"}.get(column.type, column.type)
                    row[column.name] = self.session.maker.make(Parameter(Place.JSON, (column.name,), type=kind, enum=column.enum))
            self.session.lab.world.insert(self.table.name, row)
        return self.session.rows(self.table.name)

    # -- the door -------------------------------------------------------------------------------------------------

    def _find_door(self, person: Person) -> Door | None:
        probes = self._probes()
        if person.password is not None:
            for door in (*self._logins(person, probes), *self._basic(person, probes)):
                return door
        return self._forged(person, probes)

    def _logins(self, person: Person, probes: list[RouteState]) -> Iterator[Door]:
        """Routes that take a password: whichever answers with a token or cookie that changes a refused probe."""
        signup = self.signup()
        takers = [
            state for state in self.states.values()
            if state.route.method in {"POST", "GET", "PUT"} and any(password_parameter(each.name) for each in state.parameters.values())
            and "reset" not in state.route.path and state is not signup
        ]
        takers.sort(key=lambda state: (not re.search(r"log-?in|token|auth|sign-?in|session", state.route.path, re.IGNORECASE), len(state.parameters), len(state.route.path)))
        if signup is not None:
            takers.append(signup)
        for state in takers[:6]:
            for plan, names in self._introductions(state, person):
                call = plan.call(state.route, None, state.body)
                exchange = self.session.send(call)
                if depth(exchange) is not Depth.SUCCESS:
                    continue
                secrets = tuple(key for key, _ in plan.values if password_parameter(str(key[1][-1])))
                door = self._opened(exchange, probes)
                if door is not None:
                    yield replace(door, login=call, names=names, secrets=secrets)

    def _introductions(self, state: RouteState, person: Person) -> Iterator[tuple[Plan, tuple[tuple[Place, tuple[str | int, ...], str], ...]]]:
        """Log-in's parameters filled with the user's own columns: by name, else each column that can name a user."""
        base = first_plan(self.session, state)
        for key, parameter in state.parameters.items():
            if base.get(key) is None and (password_parameter(parameter.name) or normal(parameter.name) in {"username", "email", "login"}):
                base = base.put({key: Candidate("", "name")}, "log in")
        naming = [name for name, value in person.row.items() if isinstance(value, str) and re.search(r"user|mail|login|name|phone|account", name, re.IGNORECASE) and value]
        for fallback in [*dict.fromkeys(["username", "email", *naming])]:
            if fallback not in person.row:
                continue
            values: dict[tuple[Place, tuple[str | int, ...]], Candidate] = {}
            names = []
            for key, candidate in base.values:
                name = normal(str(key[1][-1]))
                column = next((each for each in person.row if normal(each) == name and person.row[each] not in {None, ""}), None)
                if password_parameter(name):
                    values[key] = Candidate(person.password, "identity")
                elif column is not None and isinstance(person.row[column], str):
                    values[key] = Candidate(person.row[column], "identity")
                    names.append((key[0], key[1], column))
                elif re.search(r"user|mail|login|identif|name|account", name) and candidate.source != "schema":
                    values[key] = Candidate(person.row[fallback], "identity")
                    names.append((key[0], key[1], fallback))
            yield base.put(values, "log in"), tuple(names)

    def _opened(self, exchange: Exchange, probes: list[RouteState]) -> Door | None:
        """What of log-in's answer changes a refused probe: a cookie, or a token in some header."""
        if exchange.response is None:
            return None
        given = cookies(exchange.response.headers)
        if given and self._changes(probes, Credential(cookies=tuple(given.items()))):
            return Door(cookie=True)
        for pointer, token in tokens(exchange.response.json):
            for header in self._headers():
                if self._changes(probes, Credential(((header[0], header[1] + token),))):
                    return Door(token=pointer, header=header)
        if not probes and (found := next(tokens(exchange.response.json), None)):
            return Door(token=found[0], header=_SCHEMES[0])
        return Door(cookie=True) if given and not probes else None

    def _headers(self) -> list[tuple[str, str]]:
        asked = [(name, "") for name in self.session.asked_headers if name.lower() != "authorization"]
        return [*asked, *_SCHEMES]

    def _changes(self, probes: list[RouteState], credential: Credential) -> bool:
        """Whether a credential changes the answer to a refused probe (first three probes)."""
        session = self.session
        session.wallet.identities["#probe"] = Identity("#probe", None, credential, "probe")
        try:
            for state in probes[:3]:
                refused = state.tried[None]
                checkpoint = session.lab.world.checkpoint()
                plan = first_plan(session, state)
                exchange = session.send(plan.call(state.route, "#probe", state.body))
                session.lab.world.rollback(checkpoint)
                told = depth(exchange)
                if told > Depth.REFUSED and told is not Depth.CRASHED and exchange.status not in {401, refused.status}:
                    return True
                if depth(exchange) is Depth.SUCCESS:
                    return True
        finally:
            del session.wallet.identities["#probe"]
        return False

    def _basic(self, person: Person, probes: list[RouteState]) -> Iterator[Door]:
        """HTTP Basic: on every request, or only at the route that hands out tokens."""
        for column in [name for name, value in person.row.items() if isinstance(value, str) and re.search(r"user|mail|login|name", name, re.IGNORECASE) and value][:3]:
            credential = basic(str(person.row[column]), str(person.password))
            session = self.session
            for state in probes:
                if state.route.method == "POST" and re.search(r"token|login|auth|session", state.route.path, re.IGNORECASE):
                    session.wallet.identities["#basic"] = Identity("#basic", None, credential, "probe")
                    call = first_plan(session, state).call(state.route, "#basic", state.body)
                    exchange = session.send(call)
                    del session.wallet.identities["#basic"]
                    if depth(exchange) is Depth.SUCCESS:
                        door = self._opened(exchange, [each for each in probes if each is not state])
                        if door is not None:
                            header = next(value for _, value in credential.headers)
                            login = replace(call, identity=None, arguments=(*call.arguments, Argument(Place.HEADER, ("Authorization",), Literal(header))))
                            yield replace(door, login=login, basic=column, basic_login=True)
            if self._changes(probes, credential):
                yield Door(basic=column)

    def _forged(self, person: Person, probes: list[RouteState]) -> Door | None:
        """A token by the project's own function, believed only where it changes a refused probe."""
        for function, column, token in forgeries(self.session, person.row):
            for header in self._headers():
                if self._changes(probes, Credential(((header[0], header[1] + token),))):
                    return Door(header=header, forge=(function, column))
        return None

    # -- roles ----------------------------------------------------------------------------------------------------

    def _mint_roles(self, people: list[Person]) -> None:
        table = self.table
        if table is None or self.door is None:
            return
        column = role_column(table)
        values = role_values(self.session.blueprint, table, [person.row for person in people] + self.session.rows(table.name)) if column else []  # type: ignore[operator]
        ordinary = people[0].row.get(column) if column else None
        ordered = [ordinary, *[value for value in values if not _same_role(value, ordinary)]]
        waiting = list(people)
        for value in ordered:
            for number in (1, 2):
                own = next((person for person in waiting if column is None or _same_role(person.row.get(column), value)), None)
                if own is not None:
                    waiting.remove(own)
                person = own or self._another(waiting if not self.signup() else [])
                if person is None:
                    continue
                if own is None and column is not None and not self._raise(person, column, value):
                    continue
                label = _label(value, ordinary=_same_role(value, ordinary), column=column)
                identity = self.admit(person, f"{label}{number}", None if column is None else str(value))
                if identity is not None:
                    self.session.wallet.add(identity)

    def _another(self, waiting: list[Person]) -> Person | None:
        fresh = self.sign_up()
        if fresh is not None:
            return fresh
        if waiting and len(waiting) > 2:  # noqa: PLR2004
            return waiting.pop()
        return self._copied()

    def _copied(self) -> Person | None:
        """A second row made like the first, where nobody can sign up."""
        table = self.table
        model = next(iter(self._from_rows()), None)
        if table is None or model is None:
            return None
        row = dict(model.row)
        for column in table.columns:
            if column.primary_key and column.type == "integer":
                row.pop(column.name, None)
            elif column.unique or normal(column.name) in {"username", "email"} or column.primary_key:
                from toughen.model.blueprint import Parameter

                row[column.name] = self.session.maker.make(Parameter(Place.JSON, (column.name,), type="string"))
        if not self.session.lab.world.insert(table.name, row):
            return None
        return Person(self.session.rows(table.name)[-1], model.password, "row")  # type: ignore[arg-type]

    def _raise(self, person: Person, column: str, value: Json) -> bool:
        """Write the role in the throw-away database."""
        assert self.table is not None
        keys = [each.name for each in self.table.columns if each.primary_key] or list(person.row)[:1]
        done = self.session.lab.world.execute(
            f'UPDATE "{self.table.name}" SET "{column}" = ? WHERE "{keys[0]}" IS ?', [value, person.row.get(keys[0])], self.table.name  # noqa: S608
        )
        if done:
            person.row[column] = value
        return done

    def admit(self, person: Person, name: str, role: str | None) -> Identity | None:
        """Log a person in through the door that was found."""
        door, session = self.door, self.session
        assert door is not None
        table = self.table.name if self.table else None
        if door.forge is not None and door.header is not None:
            function, column = door.forge
            for each, of, forged in forgeries(session, person.row):
                if each == function and of == column:
                    given_to = tuple(_arguments(column, person.row))
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
        exchange = session.send(login)
        if depth(exchange) is not Depth.SUCCESS or exchange.response is None:
            return None
        if door.cookie:
            held = Credential(cookies=tuple(cookies(exchange.response.headers).items()))
            return Identity(name, role, held, person.how, person.row, table, login=login)
        token = dict(tokens(exchange.response.json)).get(door.token)
        if token is None or door.header is None:
            return None
        given = tuple(cookies(exchange.response.headers).items())
        held = Credential(((door.header[0], door.header[1] + token),), given)
        return Identity(name, role, held, person.how, person.row, table, login, door.token, door.header)


def basic(user: str, password: str) -> Credential:
    """HTTP Basic (RFC 7617)."""
    return Credential((("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()),))


def tokens(body: Json, pointer: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Strings of an answer that look like tokens, those under a telling name first."""
    found = list(_strings(body, pointer))
    found.sort(key=lambda each: (not re.search(r"access|auth", str(each[0][-1:]), re.IGNORECASE), not re.search(r"token|jwt|key|session", str(each[0][-1:]), re.IGNORECASE)))
    yield from found[:6]


def _strings(body: Json, pointer: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(body, dict):
        for key, value in list(body.items())[:40]:
            yield from _strings(value, (*pointer, key))
    elif isinstance(body, str) and _TOKEN.match(body) and not re.search(r"[@ ]", body):
        yield pointer, body


def _functions(session: Session, pattern: str) -> list[str]:
    from toughen.explore.forge import functions

    return functions(session, pattern)


def _arguments(shape: str, row: dict[str, Json]) -> list[Json]:
    from toughen.explore.forge import arguments

    return arguments(shape, row)


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
