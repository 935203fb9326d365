"""Owns how one logs in here: the door that a person's password, token or key opens, believed only where it changes a refused probe."""

from __future__ import annotations

import ast
import base64
import itertools
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen.explore import handshake
from toughen.explore.forge import forgeries
from toughen.explore.forms import FORGERY
from toughen.explore.literals import values_of
from toughen.explore.outcomes import Depth, depth, message
from toughen.explore.people import password_parameter
from toughen.explore.refusing import refusals
from toughen.explore.search import first_plan
from toughen.explore.session import Entry
from toughen.explore.values import Candidate, grants_power, normal
from toughen.lab.credentials import garbled
from toughen.lab.requests import cookies
from toughen.model.blueprint import Place
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Argument, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.newcomers import Person
    from toughen.explore.session import Plan, RouteState, Session
    from toughen.model.blueprint import Json
    from toughen.model.journey import Call
    from toughen.model.trace import Exchange

_SCHEMES = (("Authorization", "Bearer "), ("Authorization", ""), ("Authorization", "Token "), ("Authorization", "JWT "), ("X-Access-Token", ""), ("X-Auth-Token", ""), ("X-API-Key", ""), ("x-token", ""), ("token", ""))
_TOKEN = re.compile(r"^[\w\-.=+/~|:]{12,4096}$")
_NAMES_USER = re.compile(r"user|mail|login|identif|name|account")
_NEVER_NAMES = re.compile(r"role|url|hash|password|date|_at$|status|type", re.IGNORECASE)
TELLING = re.compile(r"token|jwt|key|session|secret", re.IGNORECASE)
"""Names under which answers hold credentials."""
_MOST_NAMES = 6
_MOST_TAKERS = 6
_PROBES = 3
_OK = 200
_LEAVES = re.compile(r"log-?_?(out|off)|sign-?_?(out|off)", re.IGNORECASE)
_GARBAGE = "tg-no-such-credential"


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
class Doors:
    """Finds the door of a session's prototype."""

    session: Session
    states: dict[str, RouteState]
    signup: RouteState | None
    knocking: Person | None = None
    """Whose credential is tried: a request that names somebody must name him."""
    most: int = _PROBES
    """Routes that refuse strangers which one credential is tried on."""
    only: frozenset[str] | None = None
    """Where it is a further kind of people: the routes that everybody else was refused by."""
    apart: frozenset[str] = frozenset()
    """Sign-ups of other kinds: whoever came by one of them would be another."""
    about: str = ""
    """What this kind of people is called: a log-in that is named for it is tried first."""
    sure: bool = False
    """Whether only what changes a refused probe is believed: a greeting alone is not."""

    def find(self, person: Person) -> Door | None:
        """The door that this person opens, None where none is found."""
        self.knocking = person
        probes = self.probes()
        if person.password is not None:
            for door in itertools.chain(self._logins(person, probes), self._basic(person, probes), self._welcomes(person) if self.only is None and not self.sure else ()):
                self._introduce(person)
                return door
        return self._forged(person, probes)

    def _logins(self, person: Person, probes: list[RouteState]) -> Iterator[Door]:
        """Routes that take a password: whichever answers with a token or cookie that changes a refused probe."""
        for state in self._takers():
            for plan, names in self._introductions(state, person):
                call = plan.call(state.route, None, state.body)
                exchange = self.session.send(call)
                self.session.forget()
                if depth(exchange) is not Depth.SUCCESS and not (depth(exchange) is Depth.INVALID and exchange.status == _OK):
                    continue
                self._note_reached(state, plan, exchange)
                secrets = tuple(key for key, _ in plan.values if password_parameter(str(key[1][-1])))
                door = self._opened(exchange, probes)
                if door is not None:
                    yield replace(door, login=call, names=names, secrets=secrets)

    def _welcomes(self, person: Person) -> Iterator[Door]:
        """Where nothing refuses strangers: a log-in that gives a cookie and sends elsewhere whoever has the right password, and nobody else."""
        for state in self._takers():
            for plan, names in self._introductions(state, person) if state is not self.signup else ():
                secrets = tuple(key for key, _ in plan.values if password_parameter(str(key[1][-1])))
                wrong = plan.put({key: Candidate(garbled(str(person.password)), "identity") for key in secrets}, "log in")
                told = []
                for each in (plan, wrong):
                    told.append(self.session.send(each.call(state.route, None, state.body)))
                    self.session.forget()
                right, other = told
                if right.response is None or other.response is None or depth(right) is not Depth.SUCCESS or not cookies(right.response.headers):
                    continue
                if (right.status, right.response.header("Location")) != (other.status, other.response.header("Location")):
                    self._note_reached(state, plan, right)
                    yield Door(login=plan.call(state.route, None, state.body), names=names, secrets=secrets, cookie=True)

    def _takers(self) -> list[RouteState]:
        """Routes that take a password, log-in first and sign-up last."""
        found = [
            state for state in self.states.values()
            if state.route.method in {"POST", "GET", "PUT"} and any(password_parameter(each.name) for each in state.parameters.values())
            and "reset" not in state.route.path and state is not self.signup and state.route.id not in self.apart
        ]
        found.sort(key=lambda state: (bool(self.about) and self.about not in state.route.path.lower(), not re.search(r"log-?in|token|auth|sign-?in|session", state.route.path, re.IGNORECASE), len(state.parameters), len(state.route.path)))
        return [*found, *([self.signup] if self.signup is not None else [])][:_MOST_TAKERS]

    def _introduce(self, person: Person) -> None:
        """Other routes that take a name and a password are reached by somebody whom they know."""
        for state in self._takers():
            for plan, _ in self._introductions(state, person) if state.reached is None else ():
                checkpoint = self.session.lab.world.checkpoint()
                exchange = self.session.send(plan.call(state.route, None, state.body))
                self.session.forget()
                # Nobody who was minted may lose his password to it.
                self.session.lab.world.rollback(checkpoint)
                self._note_reached(state, plan, exchange)
                if state.reached is not None:
                    break

    def _note_reached(self, state: RouteState, plan: Plan, exchange: Exchange) -> None:
        """Whether or not its answer opens anything: this is how the route is reached. A page's token is fetched anew in a Journey of its own."""
        guarded = any(FORGERY.search(str(key[1][-1])) for key, _ in plan.values)
        if state.reached is None and not guarded and depth(exchange) is Depth.SUCCESS:
            state.reached = Entry(state.route.id, plan.call(state.route, None, state.body), exchange, plan, kept=True)
            state.shallow = not any(each.writes for each in exchange.statements)
            self.session.history.append(state.reached)

    def _introductions(self, state: RouteState, person: Person) -> Iterator[tuple[Plan, tuple[tuple[Place, tuple[str | int, ...], str], ...]]]:
        """Log-in's parameters filled with the user's own columns: by name, else each column that can name a user."""
        base = first_plan(self.session, state)
        for key, parameter in state.parameters.items():
            if base.get(key) is None and (
                password_parameter(parameter.name) or normal(parameter.name) in {"username", "email", "login", "name"} or FORGERY.search(parameter.name)
            ):
                base = base.put({key: Candidate("", "name")}, "log in")
            elif base.get(key) is None and parameter.place is Place.FORM and not grants_power(parameter.name):
                # A page's form sends all that it holds: which of several it is, "remember me".
                base = base.put({key: Candidate(self.session.maker.make(parameter), "form")}, "log in")
        texts = [name for name, value in person.row.items() if isinstance(value, str) and value and not password_parameter(name) and not _NEVER_NAMES.search(name)]
        naming = sorted(texts, key=lambda name: not re.search(r"user|mail|login|name|phone|account", name, re.IGNORECASE))[:_MOST_NAMES]
        asked = [key for key, candidate in base.values if _NAMES_USER.search(normal(str(key[1][-1]))) and candidate.source != "schema" and not password_parameter(str(key[1][-1]))]
        own = {key: column for key in asked if (column := _column_of(person.row, str(key[1][-1]))) is not None}
        seen: set[str] = set()
        # By name first. What OAuth2 calls `username` may be looked up in any column that names somebody.
        for fallback, named in [*((each, own) for each in dict.fromkeys(["username", "email", *naming])), *((each, {}) for each in naming if len(asked) == 1)]:
            if fallback not in person.row:
                continue
            names = tuple((key[0], key[1], named.get(key, fallback)) for key in asked)
            values = {key: Candidate(person.row[column], "identity") for key, (_, _, column) in zip(asked, names, strict=True)}
            values |= {key: Candidate(person.password, "identity") for key, _ in base.values if password_parameter(str(key[1][-1]))}
            others = {key: column for key, _ in base.values if key not in values and (column := _column_of(person.row, str(key[1][-1]))) is not None}
            values |= {key: Candidate(person.row[column], "identity") for key, column in others.items()}
            names += tuple((key[0], key[1], column) for key, column in others.items())
            if repr(values) not in seen:
                seen.add(repr(values))
                yield handshake.with_new_token(self.session, base.put(values, "log in")), names

    def opened_by(self, exchange: Exchange) -> Door | None:
        """What of any answer opens what refuses strangers; None where nothing does."""
        probes = self.probes()
        return self._opened(exchange, probes) if probes else None

    def _opened(self, exchange: Exchange, probes: list[RouteState]) -> Door | None:
        """What of log-in's answer changes a refused probe: a cookie, or a token in some header."""
        if exchange.response is None:
            return None
        given = cookies(exchange.response.headers)
        if given and self.changes(probes, Credential(cookies=tuple(given.items()))):
            return Door(cookie=True)
        for pointer, token in tokens(exchange.response.json):
            # Of further people many routes are asked: what is not called a credential is none.
            for header in self.headers() if self.only is None or TELLING.search(str(pointer[-1:])) else ():
                if self.changes(probes, Credential(((header[0], header[1] + token),))):
                    return Door(token=pointer, header=header)
        if not probes and (found := next(tokens(exchange.response.json), None)):
            return Door(token=found[0], header=_SCHEMES[0])
        return Door(cookie=True) if given and not probes else None

    def headers(self) -> list[tuple[str, str]]:
        """(header, prefix) in which tokens travel: those that handlers asked for first."""
        asked = [(name, "") for name in self.session.asked_headers if name.lower() != "authorization"]
        return [*asked, *_SCHEMES]

    def changes(self, probes: list[RouteState], credential: Credential) -> bool:
        """Whether a credential changes the answer to a refused probe (the first of them)."""
        session = self.session
        session.wallet.identities["#probe"] = Identity("#probe", None, credential, "probe")
        try:
            for state in probes[: self.most]:
                refused = state.tried[None]
                checkpoint = session.lab.world.checkpoint()
                plan = self._in_his_name(first_plan(session, state))
                exchange = session.send(plan.call(state.route, "#probe", state.body))
                session.lab.world.rollback(checkpoint)
                told = depth(exchange)
                if told is Depth.SUCCESS:
                    if state.route.method != "GET" and session.lab.world.databases:
                        # What it did in memory (everybody is logged out) must not outlive the question.
                        session.reset()
                    return True
                # Whoever is known but may not is answered otherwise than nobody: 403, or back to the log-in page after a log-out.
                further = told >= Depth.REFUSED and exchange.status not in {401, refused.status} and (told is not Depth.CRASHED or _within(state, exchange))
                if further and not self._means_nothing(state, plan, exchange, credential):
                    return True
        finally:
            del session.wallet.identities["#probe"]
        return False

    def _in_his_name(self, plan: Plan) -> Plan:
        """The request with what names somebody taken from the row of whoever knocks."""
        row = self.knocking.row if self.knocking else {}
        own = {key: column for key, _ in plan.values if key[0] is not Place.PATH and (column := _column_of(row, str(key[1][-1]))) is not None}
        return plan.put({key: Candidate(row[column], "identity") for key, column in own.items()}, plan.why) if own else plan

    def _means_nothing(self, state: RouteState, plan: Plan, answer: Exchange, credential: Credential) -> bool:
        """Whether a garbled credential gets the same answer: then that answer says nothing about this one."""
        session = self.session
        nothing = Credential(tuple((name, garbled(value)) for name, value in credential.headers), tuple((name, garbled(value)) for name, value in credential.cookies))
        session.wallet.identities["#probe"] = Identity("#probe", None, nothing, "probe")
        checkpoint = session.lab.world.checkpoint()
        other = session.send(plan.call(state.route, "#probe", state.body))
        session.lab.world.rollback(checkpoint)
        if depth(answer) is Depth.CRASHED:
            return depth(other) is Depth.CRASHED and (answer.failure and answer.failure.type) == (other.failure and other.failure.type)
        return other.status == answer.status and message(other) == message(answer)

    def keys(self) -> Iterator[Credential]:
        """Keys that the source compares with a header (`if key != API_KEY`): values beside it in the branch that refused one that means nothing."""
        session, probes = self.session, self.probes()
        names = list(session.asked_headers) or ["X-API-Key"]
        for state in probes[:_PROBES]:
            plan = first_plan(session, state)
            for header, prefix in [*((name, "") for name in names), ("Authorization", "Bearer ")]:
                session.wallet.identities["#probe"] = Identity("#probe", None, Credential(((header, prefix + _GARBAGE),)), "probe")
                checkpoint = session.lab.world.checkpoint()
                traced = session.send(plan.call(state.route, "#probe", state.body), lines=True)
                session.lab.world.rollback(checkpoint)
                del session.wallet.identities["#probe"]
                found = [value for value in self._compared(traced) if self.changes([state], Credential(((header, prefix + value),)))]
                if found:
                    yield from [Credential(((header, prefix + value),)) for value in found[:2]]
                    return

    def _compared(self, traced: Exchange) -> list[str]:
        found: list[Json] = []
        for branch in refusals(self.session.sources, traced):
            for node in ast.walk(branch.test):
                sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else node.args if isinstance(node, ast.Call) else []
                for side in sides:
                    # hmac.compare_digest(key, API_KEY) and the like compare too; a local name may hold a setting or its default.
                    for each in (side, *(_assigned_locally(branch.function, side.id) if isinstance(side, ast.Name) and branch.function else ())):
                        found += values_of(self.session, each, _PROBES)
        return list(dict.fromkeys(each for each in found if isinstance(each, str)))[:6]

    def _basic(self, person: Person, probes: list[RouteState]) -> Iterator[Door]:
        """HTTP Basic: on every request, or only at the route that hands out tokens."""
        for column in [name for name, value in person.row.items() if isinstance(value, str) and re.search(r"user|mail|login|name", name, re.IGNORECASE) and value][:3]:
            credential = basic(str(person.row[column]), str(person.password))
            session = self.session
            for state in probes:
                if state.route.method in {"POST", "GET"} and re.search(r"token|log-?in|auth|sign-?in|session", state.route.path, re.IGNORECASE):
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
            if self.changes(probes, credential):
                yield Door(basic=column)

    def _forged(self, person: Person, probes: list[RouteState]) -> Door | None:
        """A token by the project's own function, believed only where it changes a refused probe."""
        for function, column, token in forgeries(self.session, person.row):
            for header in self.headers():
                if self.changes(probes, Credential(((header[0], header[1] + token),))):
                    return Door(header=header, forge=(function, column))
        return None

    def probes(self) -> list[RouteState]:
        """Routes that refused an anonymous request for want of a credential: one of each way to refuse first, those without parameters before others."""
        found = [
            state for state in self.states.values()
            if state.reached is None and None in state.tried and depth(state.tried[None]) is Depth.REFUSED and (self.only is None or state.route.id in self.only)
        ]
        # Who asks to be logged out is sent to the log-in page, too, and has lost his cookie.
        found = [state for state in found if not _LEAVES.search(state.route.path)] or found
        found.sort(key=lambda state: (state.route.method != "GET", state.route.path.count("{"), len(state.parameters)))
        # What one realm lets in, another refuses in its own words.
        ways: dict[tuple[int | None, str], RouteState] = {}
        for state in found:
            ways.setdefault((state.tried[None].status, message(state.tried[None])), state)
        return [*ways.values(), *(state for state in found if state not in ways.values())]


def _assigned_locally(function: ast.AST, name: str) -> list[ast.expr]:
    """What a name is assigned within a function."""
    return [node.value for node in ast.walk(function) if isinstance(node, ast.Assign) and any(isinstance(each, ast.Name) and each.id == name for each in node.targets)]


def _column_of(row: dict[str, Json], name: str) -> str | None:
    """The text column of a person's row that a parameter is called after."""
    return next((each for each in row if normal(each) == normal(name) and isinstance(row[each], str) and row[each]), None)


def _within(state: RouteState, exchange: Exchange) -> bool:
    """Whether the route's own handler crashed: whoever came so far was let in."""
    place, own = exchange.failure.location if exchange.failure else None, state.route.handler
    return place is not None and place.file == own.file and place.function == own.function


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
