"""Owns the people of the tests: readable names, how they sign up and log in through the project's own routes, and what is known of their rows."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place
from toughen.model.journey import Literal
from toughen.regressions.known import UnwritableError
from toughen.regressions.source import Code
from toughen.regressions.telling import leaves

if TYPE_CHECKING:
    from toughen.model.blueprint import Json
    from toughen.model.identity import Identity
    from toughen.model.journey import Argument, Call, Journey
    from toughen.regressions.known import Known

NAMES = ("alice", "brian", "clara", "david", "emily", "frank", "grace", "henry", "irene", "james", "karen", "louis")
PASSWORD_NAME = re.compile(r"passw|pwd|secret|contrasena|senha", re.IGNORECASE)
_MADE = re.compile(r"^tg\d*([a-z]\w*)$|^tg[a-z]+\d+$")
_MAIL = re.compile(r"^[\w.+-]+@[\w.-]+$")
_LONG_TOKEN = 16


@dataclass
class Cast:
    """Who acts, and by which words."""

    known: Known
    writable: bool = False
    """Whether the tests have a way to write rows."""
    _words: dict[str, str] = field(default_factory=dict)
    _spent: set[str] = field(default_factory=set)

    @cached_property
    def names(self) -> dict[str, str]:
        """Identity -> the name that it signs up by."""
        ordered = sorted(self.known.identities, key=lambda each: each.kind != "user")
        return {each.name: NAMES[index] if index < len(NAMES) else f"person{index}" for index, each in enumerate(ordered)}

    def variable(self, identity: Identity) -> str:
        """What the tests call somebody: `alice`, or `admin` for whoever has a role."""
        ordinary = identity.kind in {"user", "key"}
        if ordinary:
            return self.names[identity.name]
        rank = identity.name.removeprefix(identity.kind)
        return re.sub(r"\W", "_", identity.kind) if rank in {"", "1"} else f"other_{identity.kind}" if rank == "2" else f"{identity.kind}{rank}"

    @cached_property
    def signup(self) -> Journey | None:
        """The journey through the sign-up: it inserts into the table of users, and sends a password."""
        table = next((each.table.lower() for each in self.known.identities if each.how == "signup" and each.table), None)
        if table is None:
            return self._signup_in_memory()
        for route, journey in self.known.journeys.items():
            trace = self.known.honest.get(route)
            if trace is None or not trace.exchanges or not any(PASSWORD_NAME.search(str(each.path[-1])) for each in journey.call.arguments if each.path):
                continue
            if any(each.verb == "insert" and table in each.writes for each in trace.last.statements):
                return journey
        return None

    def _signup_in_memory(self) -> Journey | None:
        for route, journey in self.known.journeys.items():
            if re.search(r"sign.?up|register|registr", route, re.IGNORECASE) and any(PASSWORD_NAME.search(str(each.path[-1])) for each in journey.call.arguments if each.path):
                return journey
        return None

    # -- values that are somebody's ----------------------------------------------------------------------------------

    @cached_property
    def _belongings(self) -> dict[str, str]:
        """A text of somebody's row that is his alone -> how it is written: `alice`, `alice@example.com`."""
        found: dict[str, str] = {}
        for identity in self.known.identities:
            if identity.how not in {"signup", "memory"} and not self.forced:
                continue
            name = self.names[identity.name]
            for value in (*identity.row.values(), *self._sent(identity)):
                if isinstance(value, str) and (_MADE.match(value) or (value.startswith("tg") and _MAIL.match(value))):
                    found.setdefault(value, f"{name}@example.com" if "@" in value else name)
        return found

    @staticmethod
    def _sent(identity: Identity) -> list[Json]:
        return [each.value.value for each in identity.login.arguments if isinstance(each.value, Literal)] if identity.login is not None else []

    def whose(self, value: Json) -> Identity | None:
        """Whose own name or address a text is."""
        if not isinstance(value, str) or value not in self._belongings:
            return None
        name = self._belongings[value].removesuffix("@example.com")
        return next((each for each in self.known.identities if self.names[each.name] == name), None)

    def spelled(self, text: str) -> str:
        """A body as it stands, with the names of people and words for what was made up."""
        return re.sub(r"\btg\w+(@example\.com)?", lambda match: str(self.readable(match.group())), text)

    def readable(self, value: Json) -> object:
        """A value as a person would write it: names for the lab's users, words for what was made up."""
        if isinstance(value, dict):
            return {key: self.readable(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.readable(each) for each in value]
        if not isinstance(value, str):
            return value
        if value in self._belongings:
            return self._belongings[value]
        if self.signing and value == self.password:
            return Code("PASSWORD")
        return self._made_up(value)

    def _made_up(self, value: str) -> str:
        """A word for what the lab made up, the same for the same."""
        if value not in self._words:
            if re.fullmatch(r"tg\d+@example\.com", value):
                offers = [f"{each}@example.com" for each in (*reversed(NAMES), *map(str, range(99)))]
            elif match := re.fullmatch(r"tg\d*(user|username|login|name)\d+", value):
                offers = [*reversed(NAMES), *(f"{match.group(1)}{number}" for number in range(99))]
            elif match := re.fullmatch(r"tg\d*([a-z]+)\d*", value):
                stem = match.group(1)
                offers = [f"{'an' if stem[0] in 'aeiou' else 'a'} {stem}", f"another {stem}", *(f"{stem} {number}" for number in range(3, 99))]
            else:
                return value
            self._words[value] = next(each for each in offers if each not in self._spent)
            self._spent.add(self._words[value])
        return self._words[value]

    def anew(self) -> None:
        """What is made up from here on is another word: somebody may have taken the first ones."""
        self._words.clear()

    @staticmethod
    def basic(argument: Argument) -> tuple[str, str] | None:
        """(name, password) that a header of HTTP's own log-in holds (RFC 7617), None where it is another value."""
        plain = argument.value.value if isinstance(argument.value, Literal) else None
        if argument.place is not Place.HEADER or not isinstance(plain, str) or not plain.startswith("Basic "):
            return None
        try:
            name, colon, password = base64.b64decode(plain.removeprefix("Basic ")).decode().partition(":")
        except ValueError:
            return None
        return (name, password) if colon else None

    @cached_property
    def signing(self) -> bool:
        """Whether people sign up, rather than being there from the start."""
        return self.forced or any(each.how in {"signup", "memory"} for each in self.known.identities)

    @cached_property
    def password(self) -> str:
        """What the lab's users log in with."""
        found = [str(each.value.value) for identity in self.known.identities if identity.login for each in identity.login.arguments if isinstance(each.value, Literal) and each.path and PASSWORD_NAME.search(str(each.path[-1]))]
        found += [both[1] for identity in self.known.identities if identity.login for each in identity.login.arguments if (both := self.basic(each)) is not None]
        return max(set(found), key=found.count) if found else ""

    def person_of(self, column: str, value: Json) -> Identity | None:
        """Who has this value as the key of his row, or as what other rows name him by."""
        if value is None or isinstance(value, bool):
            return None
        for identity in self.known.identities:
            key = self.key(identity)
            if key is not None and identity.row.get(key) == value and _names_a_person(column, identity.table or ""):
                return identity
        return None

    def key(self, identity: Identity) -> str | None:
        """The primary key of his table."""
        table = self.known.blueprint.table(identity.table or "")
        return next((each.name for each in table.columns if each.primary_key), None) if table is not None else None

    # -- how he comes in ---------------------------------------------------------------------------------------------

    def raised(self, identity: Identity) -> dict[str, Json]:
        """Columns of his row that the lab wrote: the role that no sign-up gives."""
        ordinary = next((each for each in self.known.identities if each.table == identity.table and each.kind == "user"), None)
        if self.forced and ordinary is not None and ordinary.name != identity.name:
            return {column: value for column, value in identity.row.items() if column in {"is_staff", "is_superuser", "role"} and value != ordinary.row.get(column)}
        if ordinary is None or ordinary.name == identity.name or identity.how != "signup":
            return {}
        same = {None, ordinary.role}
        if identity.role in same:
            return {}
        return {column: value for column, value in identity.row.items() if value != ordinary.row.get(column) and str(int(value) if isinstance(value, bool) else value) == identity.role}

    def naming(self, identity: Identity) -> list[Argument]:
        """Where his log-in says who he is."""
        held = {*map(str, identity.row.values()), *self._belongings}
        said = [each for each in identity.login.arguments if each.path and not PASSWORD_NAME.search(str(each.path[-1]))] if identity.login is not None else []
        return [each for each in said if isinstance(each.value, Literal) and isinstance(each.value.value, str) and each.value.value in held]

    def given(self, identity: Identity) -> list[object]:
        """By which name and password he logs in who is there from the start. Raises UnwritableError."""
        names = self.naming(identity)
        secrets = [each.value for each in identity.login.arguments if each.path and PASSWORD_NAME.search(str(each.path[-1]))] if identity.login is not None else []
        plain = [each.value for each in (*(name.value for name in names[:1]), *secrets[:1]) if isinstance(each, Literal)]
        if len(plain) != 2:  # noqa: PLR2004 - a name and a password
            raise UnwritableError(f"{identity.name} logs in by something else than a name and a password")
        return [self.readable(each) for each in plain]

    def raising(self, identity: Identity) -> str:
        """The helper that signs somebody up with his role: `signed_up_as_admin`."""
        return f"signed_up_as_{re.sub(r'[^a-z0-9_]', '_', identity.kind.lower())}"

    def naming_column(self, identity: Identity) -> str:
        """The column that tells somebody's row from others by what he signed up with. Raises UnwritableError."""
        if self.forced:
            return next((each for each in ("username", "email") if each in identity.row), "username")
        name = next((column for column, value in identity.row.items() if isinstance(value, str) and value in self._belongings), None)
        if name is None:
            raise UnwritableError(f"nothing in {identity.table} tells {identity.name} from others but his key")
        return name

    def entering(self, identity: Identity) -> str:
        """How he comes in: signup, login (he is there already), or forge. Raises UnwritableError."""
        if self.forced:
            if self.raised(identity) and not identity.table:
                raise UnwritableError(f"nothing is known of the row of {identity.name}")
            return "signup"
        if identity.forge is not None:
            raise UnwritableError(f"{identity.name} has a token of the project's own function, and no log-in")
        if identity.login is None:
            raise UnwritableError(f"there is no log-in that {identity.name} can repeat")
        if any(not isinstance(each.value, Literal) for each in identity.login.arguments):
            raise UnwritableError(f"the log-in of {identity.name} takes a value of another answer")
        if identity.how in {"signup", "memory"}:
            if self.signup is None:
                raise UnwritableError("no route signs people up")
            if len(self.signup.calls) != 1:
                raise UnwritableError("signing up takes more than one request")
            if any(not isinstance(each.value, Literal) for each in self.signup.call.arguments):
                raise UnwritableError("signing up takes a value of another answer")
            if self.raised(identity):
                self.naming_column(identity)
            if self.raised(identity) and not self.writable:
                raise UnwritableError(f"nobody becomes {identity.role} but by a row, and the tests have no way to write one")
            return "signup"
        if identity.how in {"source", "row"} and not re.search(r"Tg7!", str(self._sent(identity))):
            self.given(identity)
            return "login"
        raise UnwritableError(f"the password of {identity.name} is the lab's own")

    @property
    def forced(self) -> bool:
        """Whether people are made and logged in by Django itself, as its test client does it."""
        return self.known.blueprint.framework == "django" and bool(self.known.identities)

    @property
    def by_cookie(self) -> bool:
        """Whether people are known by a cookie: each then has a client of his own."""
        first = next((each for each in self.known.identities if each.login is not None), None)
        return self.forced or (first is not None and first.header is None)

    def id_pointer(self) -> tuple[Call, tuple[str | int, ...]] | None:
        """(a request without arguments, where its answer holds the asker's own key)."""
        for route, journey in self.known.journeys.items():
            trace, identity = self.known.honest.get(route), self.known.identity(journey.identity)
            if identity is None or trace is None or not trace.exchanges or not route.startswith("GET ") or "{" in route or len(journey.calls) != 1 or journey.call.arguments:
                continue
            key = self.key(identity)
            answer = trace.last.response.json if trace.last.response else None
            if key is None or not isinstance(answer, dict):
                continue
            for pointer, value in leaves(answer):
                if value == identity.row.get(key) and pointer and str(pointer[-1]).lower() in {key.lower(), "id", "user_id", "userid"} and all(isinstance(each, str) for each in pointer):
                    return journey.call, pointer
        return None


def _names_a_person(column: str, table: str) -> bool:
    """Whether a name of a value may mean somebody's key."""
    stem = re.sub(r"_?(id|uid|uuid|pk)$", "", column.lower())
    own = table.lower().rstrip("s")
    return stem in {"", own, "user", "owner", "author", "account", "customer", "member", "created_by", "to_user", "from_user", "recipient", "sender", "receiver", "to", "target_user"}


def password_arguments(call: Call) -> list[Argument]:
    """Where a call sends a password."""
    return [each for each in call.arguments if each.path and PASSWORD_NAME.search(str(each.path[-1]))]
