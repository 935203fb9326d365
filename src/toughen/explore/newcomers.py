"""Owns the making of people: through the prototype's own sign-up, from its rows, or from what its source holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.explore import handshake
from toughen.explore.confirming import confirm, unconfirmed
from toughen.explore.forge import hashers
from toughen.explore.literals import KEY, VALUE
from toughen.explore.outcomes import Depth, depth
from toughen.explore.people import HASHED, password_column, password_parameter, role_column
from toughen.explore.session import Entry
from toughen.explore.values import PASSWORD, Candidate, grants_power, normal
from toughen.model.blueprint import Parameter, Place
from toughen.twists import POWERFUL

if TYPE_CHECKING:
    from toughen.explore.session import Plan, RouteState, Session
    from toughen.model.blueprint import Json, Table
    from toughen.model.journey import Call

_NAMING = ("username", "email", "login", "name", "user", "user_name", "phone", "phone_number", "usuario", "nome", "nombre", "correo")
_MADE = {"name", "type", "422", "fresh", "demanded", "raised"}
_MOST = 6


@dataclass(slots=True)
class Person:
    """A user whose password is known (or who has none), before a credential is found."""

    row: dict[str, Json]
    password: str | None
    how: str
    """signup, row, source (the source holds it) or memory (it lives in the memory of the process that it signed up at)."""
    call: Call | None = None
    """The sign-up, where it is needed again in every process."""


@dataclass(slots=True)
class Newcomers:
    """Makes people for a session."""

    session: Session
    states: dict[str, RouteState]
    table: Table | None
    confirming: bool = False
    """Whether a new account lets nobody in before it is confirmed."""
    door_in_memory: RouteState | None = None
    """The route that signs people up who live in memory."""
    _hashed: str | None = None
    """The one hash that is written into rows: whoever is logged in may be known by it (Django's sessions are)."""

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

    def people(self) -> list[Person]:
        """People whose password is known: two who signed up, else those in rows, else those that the source names."""
        found: list[Person] = []
        if self.table is not None:
            found = [person for _ in range(2) if (person := self.sign_up()) is not None] or self._from_rows()
        return found or self._from_source() or self._from_login()

    def of_table(self) -> list[Person]:
        """People of a table whose password is known: two who signed up, else those whom it holds already."""
        assert self.table is not None
        found = [person for _ in range(2) if (person := self.sign_up()) is not None]
        return found or (self._from_rows() if self.session.rows(self.table.name) else [])

    def sign_up(self) -> Person | None:
        """One more user through the prototype's own sign-up."""
        state = self.signup()
        if state is None or state.reached is None or self.table is None:
            return None
        session = self.session
        before = {repr(row) for row in session.rows(self.table.name)}
        plan = self.renewed(state, state.reached.plan)
        exchange = session.send(plan.call(state.route, None, state.body))
        if depth(exchange) is not Depth.SUCCESS:
            plan = state.reached.plan.put({k: c for k, c in plan.values if normal(str(k[1][-1])) in _NAMING or password_parameter(str(k[1][-1]))}, "sign up")
            exchange = session.send(plan.call(state.route, None, state.body))
        new = [row for row in session.rows(self.table.name) if repr(row) not in before]
        if depth(exchange) is not Depth.SUCCESS or not new:
            return None
        password = next((str(c.value) for k, c in plan.values if password_parameter(str(k[1][-1]))), PASSWORD)
        if self.confirming:
            confirm(session, self.states, self.table, new[-1])  # type: ignore[arg-type]
        return Person(new[-1], password, "signup")  # type: ignore[arg-type]

    def confirmed(self, person: Person) -> bool:
        """Confirm the account of somebody who signed up; from then on everybody's is. Whether anything of it changed."""
        if self.table is None or person.how != "signup":
            return False
        self.confirming = True
        return confirm(self.session, self.states, self.table, person.row)

    def confirmable(self, person: Person) -> bool:
        """Whether somebody who signed up has something of his account that may still want to be confirmed."""
        return self.table is not None and person.how == "signup" and unconfirmed(self.session, self.table, person.row)

    def renewed(self, state: RouteState, plan: Plan) -> Plan:
        """A sign-up for somebody else: new names, the common password, and all else as it was accepted."""
        session, changes = self.session, handshake.handed_out(self.session, plan)
        for key, candidate in plan.values:
            parameter = state.parameters.get(key)
            if key in changes or parameter is None or not isinstance(candidate.value, str):
                continue
            made = candidate.source in _MADE and not parameter.enum and not grants_power(parameter.name)
            renewed = session.maker.make(parameter) if made or normal(parameter.name) in _NAMING else candidate.value
            value = PASSWORD if password_parameter(parameter.name) and candidate.source in _MADE else renewed
            changes[key] = Candidate(value, "fresh")
        return handshake.with_new_token(session, plan.put(changes, "sign up"))

    def _from_rows(self) -> list[Person]:
        """Users that the prototype's own seeds made: their plain password, or the project's own hash written over theirs."""
        if self.table is None:
            return []
        session, column = self.session, password_column(self.table)
        rows = session.rows(self.table.name)
        if column is None:
            return []
        role = role_column(self.table)
        rows = sorted(rows, key=lambda row: _switched_off(row) or "admin" in str(row.get(role or "", "")).lower() or str(row.get(role or "")) == "1")
        plain = [row for row in rows if isinstance(row.get(column), str) and len(str(row[column])) < 30 and not str(row[column]).startswith("$")]  # noqa: PLR2004
        # Beside hashes, a plain password is a row that nobody can log in with any more.
        if plain and not any(HASHED.match(str(row[column])) for row in rows):
            return [Person(row, str(row[column]), "row") for row in plain[:6]]  # type: ignore[arg-type]
        hashed = self._hash()
        if rows and hashed:
            key = next((each.name for each in self.table.columns if each.primary_key), None)
            for row in rows[:6]:
                if key is not None:
                    session.lab.world.assign(self.table.name, column, hashed, ((key, row[key]),))  # type: ignore[arg-type]
                    row[column] = hashed
            return [Person(row, PASSWORD, "row") for row in rows[:6]]  # type: ignore[arg-type]
        if not rows:
            rows = self._insert(hashed or PASSWORD)
        return [Person(row, PASSWORD if hashed or not plain else None, "row") for row in rows[:6]]  # type: ignore[arg-type]

    def _hash(self) -> str | None:
        """The project's own hash of the common password."""
        if self._hashed is not None:
            return self._hashed
        for function in hashers(self.session):
            try:
                value = self.session.call_function(function, [PASSWORD])
            except LookupError:
                continue
            if isinstance(value, str) and value != PASSWORD and len(value) > 20:  # noqa: PLR2004
                self._hashed = value
                return value
        return None

    def _insert(self, password: str) -> list[dict[str, object]]:
        """Two users written into the empty table by its columns."""
        assert self.table is not None
        for _ in range(2):
            row: dict[str, Json] = {}
            for column in self.table.columns:
                if column.primary_key and column.type == "integer":
                    continue
                if column.name == password_column(self.table):
                    row[column.name] = password
                elif column.type == "boolean" and grants_power(column.name):
                    row[column.name] = False
                elif not column.nullable or column.unique or normal(column.name) in {"username", "email", "name"}:
                    kind = {"datetime": "string", "date": "string"}.get(column.type, column.type)
                    least = [each for each in column.enum if not POWERFUL.search(str(each))] or column.enum
                    row[column.name] = least[0] if least else self.session.maker.make(Parameter(Place.JSON, (column.name,), type=kind))
            self.session.lab.world.insert(self.table.name, row)
        return self.session.rows(self.table.name)

    def _from_source(self) -> list[Person]:
        """People whose name and plain password are written in the source (`USERS = {"admin": "secret"}`)."""
        found = []
        for collection, record in self.session.written:
            password = next((value for name, value in record.items() if password_parameter(name)), None)
            if password is None and VALUE in record and any(word in normal(collection) for word in ("user", "account", "credential", "login")):
                password = record[VALUE]
            if not isinstance(password, str) or HASHED.match(password):
                continue
            row = {name: value for name, value in record.items() if name not in {KEY, VALUE}}
            if isinstance(record.get(KEY), str) and not {"username", "email"} & set(row):
                row["username"] = record[KEY]
            if any(isinstance(value, str) for name, value in row.items() if not password_parameter(name)):
                found.append(Person(row, password, "source"))
        return found[:_MOST]

    def _from_login(self) -> list[Person]:
        """Whoever gave a password and was let in while looking around: in a log-in that the source gave it, or in a sign-up in memory."""
        for state in self.states.values():
            if state.reached is None or state.route.method == "GET":
                continue
            password = next((candidate for key, candidate in state.reached.plan.values if password_parameter(str(key[1][-1]))), None)
            if password is None:
                continue
            if password.source not in _MADE:
                return [Person(_sent(state.reached.plan), str(password.value), "source")]
            if not self.session.lab.world.databases:
                self.door_in_memory = state
                found = [person for _ in range(2) if (person := self._in_memory()) is not None]
                if found:
                    return found
        return []

    def _in_memory(self) -> Person | None:
        """One more user in the memory of the session's process."""
        state = self.door_in_memory
        if state is None or state.reached is None:
            return None
        plan = self.renewed(state, state.reached.plan)
        call = plan.call(state.route, None, state.body)
        exchange = self.session.send(call)
        password = next((str(candidate.value) for key, candidate in plan.values if password_parameter(str(key[1][-1]))), PASSWORD)
        if depth(exchange) is not Depth.SUCCESS:
            return None
        self.session.history.append(Entry(state.route.id, call, exchange, plan, kept=True))
        return Person(_sent(plan), password, "memory", call)

    def another(self, waiting: list[Person]) -> Person | None:
        """One more person: who signs up, waits, or is written as a copy of the first."""
        fresh = self.sign_up()
        if fresh is not None:
            return fresh
        if self.door_in_memory is not None:
            return self._in_memory()
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


def _switched_off(row: dict[str, object]) -> bool:
    """Whether a row says that its account may not be used."""
    return any(normal(name) in {"is_active", "active", "enabled", "is_enabled"} and str(value).lower() in {"0", "false"} for name, value in row.items())


def _sent(plan: Plan) -> dict[str, Json]:
    return {str(path[-1]): candidate.value for (_, path), candidate in plan.values if not password_parameter(str(path[-1]))}
