"""Owns where honest values come from: the schema, answers already seen, rows, and what a name or a type suggests."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.model.blueprint import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.model.blueprint import Json, Parameter

PASSWORD = "Tg7!passW0rd"
"""The password of every minted user."""
_POWER = re.compile(
    r"^(is_?)?(admin|superuser|super_user|staff|verified|approved|active_admin|root|moderator|owner)$"
    r"|^(user_?|admin_?)?roles?$|^admin_?(flag|user|rights?)$|^balance$|permission|privilege|^scopes?$|^credit(s|_balance)?$|^user_?type$|^account_?type$|^access_?level$",
    re.IGNORECASE,
)


_FIXED = (
    ({"currency"}, "USD"), ({"country"}, "US"), ({"color", "colour"}, "#a1b2c3"), ({"lang", "language", "locale"}, "en"), ({"cvv", "cvc"}, "123"),
    ({"expression", "formula", "equation"}, "2+3"),
)  # fmt: skip
"""What a name asks for, whoever asks."""


def grants_power(name: str) -> bool:
    """Whether a field of that name gives power: an honest client never sends it unasked."""
    return bool(_POWER.search(name))


_CREDENTIAL = re.compile(r"(^|_)(authorization|auth|token|api_?key|apikey|jwt|session|secret|bearer)(_|$)|_key$")


def carries_credential(parameter: Parameter) -> bool:
    """Whether a header or a cookie is the identity's own business: who asks, and not what is asked for."""
    name = normal(parameter.name)
    return parameter.place in {Place.HEADER, Place.COOKIE} and bool(_CREDENTIAL.search(name)) and not re.search(r"csrf|xsrf|idempot", name)


def words(name: str) -> list[str]:
    """`productId` and `product_id` -> ["product", "id"]."""
    return [part for part in re.split(r"[^a-z0-9]+", re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()) if part]


def normal(name: str) -> str:
    """The key under which values of that name are pooled."""
    return "_".join(words(name))


def singular(word: str) -> str:
    """`categories` -> `category`, `boxes` -> `box`, `users` -> `user`."""
    if word.endswith("ies") and len(word) > 4:  # noqa: PLR2004
        return word[:-3] + "y"
    if re.search(r"(s|x|z|ch|sh)es$", word):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was seen: an answer in the session's history."""

    entry: int
    """Index into the session's history."""
    pointer: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A value to try, and why."""

    value: Json
    source: str
    origin: Origin | None = None
    stored: tuple[str, str] | None = None
    """(table, column) of the row that it was read from."""
    beside: tuple[str, tuple[Place, tuple[str | int, ...]]] | None = None
    """(column, place) of what else of the request names that row: what it holds changes from run to run."""


@dataclass(slots=True)
class Pool:
    """Values of answers by normalized key, newest first; `id` also counts as `<resource>_id`."""

    values: dict[str, deque[Candidate]] = field(default_factory=dict)
    keys_added: int = 0

    def learn(self, body: Json, entry: int, resource: str) -> None:
        """Take every leaf of an answer's body."""
        for key, pointer, value, inner in _leaves(body, ()):
            if value is None or value == "" or (isinstance(value, str) and len(value) > 2000):  # noqa: PLR2004
                continue
            parent = next((singular(str(each)) for each in reversed(pointer[:-1]) if isinstance(each, str)), "")
            names = {normal(key)}
            if normal(key) in {"id", "uuid", "_id"}:
                names |= {"" if inner else f"{singular(normal(resource))}_id", f"{normal(parent)}_id" if parent else ""}
            for name in names - {""}:
                self.add(name, Candidate(value, "pool", Origin(entry, pointer)))
        for name, keys in _registers(body, resource):
            for key in keys:
                # JSON knows no numbers as names: a number is meant by one as often as its text.
                for value in (key, int(key)) if re.fullmatch(r"0|[1-9]\d{0,17}", key) else (key,):
                    self.add(f"{singular(normal(name))}_id", Candidate(value, "pool"))

    def add(self, name: str, candidate: Candidate) -> None:
        """Take a value under a normalized name."""
        if name not in self.values:
            self.values[name] = deque(maxlen=12)
            self.keys_added += 1
        known = self.values[name]
        for each in list(known):
            if each.value == candidate.value:
                return
        known.appendleft(candidate)

    def find(self, name: str) -> list[Candidate]:
        """Values seen under that name, or under a name that ends in the same words."""
        key = normal(name)
        found = list(self.values.get(key, ()))
        if not found and "_" in key and not key.endswith("_id"):
            found = list(self.values.get(key.split("_")[-1], ()))
        return found


def _leaves(value: Json, pointer: tuple[str | int, ...], *, inner: bool = False) -> Iterator[tuple[str, tuple[str | int, ...], Json, bool]]:
    """(key, pointer, value, whether it lies inside something that has an id of its own)."""
    if isinstance(value, dict):
        own = inner or "id" in value
        for key, each in list(value.items())[:60]:
            yield from _leaves(each, (*pointer, key), inner=own if isinstance(each, dict | list) else inner)
    elif isinstance(value, list):
        for index, each in enumerate(value[:3]):
            yield from _leaves(each, (*pointer, index), inner=inner)
    else:
        key = next((each for each in reversed(pointer) if isinstance(each, str)), "")
        if key:
            yield key, pointer, value, inner


def _registers(body: Json, name: str) -> Iterator[tuple[str, list[str]]]:
    """(what it holds, first keys) of objects whose every value is an object of the same shape: records by their id."""
    if not isinstance(body, dict):
        return
    records = list(body.values())
    if records and all(isinstance(each, dict) for each in records) and (len(records) > 1 or any(any(mark.isdigit() for mark in key) for key in body)):
        shapes = [set(each) for each in records[:5] if isinstance(each, dict)]
        if shapes[0] and all(len(each & shapes[0]) * 2 > len(each | shapes[0]) for each in shapes):
            yield name, list(body)[:3]
            return
    for key, each in body.items():
        if isinstance(each, dict):
            yield from _registers(each, key)


@dataclass(slots=True)
class Maker:
    """Makes plausible, distinct values from names and types."""

    counter: int = 0

    def make(self, parameter: Parameter) -> Json:
        """One value that fits the parameter's declared type, format and bounds."""
        self.counter += 1
        number = self.counter
        kind = parameter.type
        name = parameter.name
        if kind == "any":
            kind = _kind_of(name)
        match kind:
            case "integer":
                return int(_within(parameter, _integer(name, number)))
            case "number":
                return _within(parameter, float(_integer(name, number)) + 0.5)
            case "boolean":
                return True
            case "array":
                return []
            case "object":
                return {}
        return _sized(parameter, self.text(name, parameter.format, number))

    def text(self, name: str, form: str | None, number: int) -> str:
        """A string that fits the name or format."""
        parts = {re.sub(r"\d+$", "", part) for part in words(name)}
        joined = normal(name)
        if form == "email" or "email" in parts or joined.endswith("mail"):
            return f"tg{number}@example.com"
        if form == "password" or parts & {"password", "passwd", "pwd", "pass", "passphrase"}:
            return PASSWORD
        if form == "date-time" or parts & {"datetime", "timestamp", "deadline"} or joined.endswith("_at"):
            return f"2031-01-{number % 27 + 1:02d}T10:00:00"
        if form == "date" or parts & {"date", "day", "birthday", "dob", "expiry", "until"}:
            return f"2031-02-{number % 27 + 1:02d}"
        if form == "time" or words(name)[-1:] == ["time"]:
            return f"{number % 12 + 8:02d}:30"
        if form == "uuid" or parts & {"uuid", "guid"}:
            return f"00000000-0000-4000-8000-{number:012d}"
        if form in {"uri", "url"} or parts & {"url", "uri", "link", "website", "homepage", "avatar", "image"}:
            return f"https://example.com/tg{number}"
        if parts & {"phone", "mobile", "tel", "telephone"}:
            return f"+1202555{number % 10000:04d}"
        if parts & {"username", "login", "nickname", "handle"} or joined == "user_name":
            return f"tguser{number}"
        if fixed := next((value for names, value in _FIXED if parts & names), ""):
            return fixed
        if parts & {"zip", "zipcode", "postal", "postcode"}:
            return f"{10000 + number % 89999}"
        if joined in {"card_number", "cardnumber", "card", "pan", "cc"} or ("card" in parts and parts & {"credit", "debit", "number", "cc"}):
            return "4242424242424242"
        if parts & {"pin", "otp", "code"} and len(parts) <= 2:  # noqa: PLR2004
            return f"{1000 + number % 8999}"
        if parts & {"firstname", "lastname", "surname"} or joined in {"first_name", "last_name", "full_name", "fullname"}:
            return f"Tg{_letters(number)}"
        return f"tg{number}{words(name)[-1] if words(name) else ''}"


def _letters(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number, 26)
        text = chr(97 + digit) + text
    return text or "a"


def _kind_of(name: str) -> str:
    parts = words(name)
    if not parts:
        return "string"
    last = parts[-1]
    if last in {"amount", "price", "total", "cost", "sum", "fee", "balance", "limit", "salary", "rate", "budget", "income"}:
        return "number"
    if last in {"quantity", "qty", "count", "stock", "age", "rating", "stars", "seats", "year", "month", "number", "size", "page", "offset", "score", "points", "days", "hours", "minutes"}:
        return "integer"
    if parts[0] in {"is", "has", "can", "enable", "enabled", "allow"} or last in {"enabled", "flag", "notifications", "alerts"}:
        return "boolean"
    if last in {"items", "tags", "ids", "products", "list"}:
        return "array"
    return "string"


def _integer(name: str, number: int) -> int:
    parts = set(words(name))
    if "year" in parts:
        return 2031
    if "month" in parts:
        return number % 12 + 1
    if "age" in parts:
        return 30
    if parts & {"rating", "stars"}:
        return 4
    if parts & {"page", "offset", "skip"}:
        return 1
    if parts & {"limit", "per", "size"}:
        return 10
    if parts & {"quantity", "qty", "seats", "count"}:
        return 1
    return number % 7 + 2


def _within(parameter: Parameter, value: float) -> float:
    if parameter.minimum is not None and value < parameter.minimum:
        value = parameter.minimum
    if parameter.maximum is not None and value > parameter.maximum:
        value = parameter.maximum
    return value


def _sized(parameter: Parameter, text: str) -> str:
    if parameter.pattern and not re.search(parameter.pattern, text):
        text = _from_pattern(parameter.pattern) or text
    if parameter.min_length and len(text) < parameter.min_length:
        text += "x" * (parameter.min_length - len(text))
    if parameter.max_length is not None and len(text) > parameter.max_length:
        text = text[: parameter.max_length]
    return text


def _from_pattern(pattern: str) -> str | None:
    """A string for simple patterns: alternatives of words, and classes with counts."""
    body = pattern.removeprefix("^").removesuffix("$")
    if match := re.fullmatch(r"\(?(?:\?:)?([\w\- ]+(?:\|[\w\- ]+)+)\)?", body):
        return match.group(1).split("|")[0]
    out = ""
    for token, _, low, _, mark in re.findall(r"(\\d|\\w|\[[^\]]+\]|\\.|[\w\-@ .#:/])((?:\{(\d+)(,\d*)?\})|([+*?]))?", body):
        count = int(low) if low else 0 if mark in {"*", "?"} else 3 if mark == "+" else 1
        sample = "7" if token == r"\d" else "a" if token == r"\w" else token[1] if token[0] in "[\\" else token
        if token[0] == "[" and token[1] == "^":
            sample = "k"
        out += sample * count
    return out if re.search(pattern, out) else None


def required(parameters: Sequence[Parameter], *, every: bool = False) -> list[Parameter]:
    """The leaves that an honest minimal request holds; all but power fields when `every`."""
    containers = {each.path[:end] for each in parameters for end in range(1, len(each.path))}
    optional = {(each.place, each.path) for each in parameters if not each.required}
    chosen = []
    for each in parameters:
        if each.place in {Place.HEADER, Place.COOKIE} and not each.required:
            continue
        if carries_credential(each) or (each.place is Place.HEADER and normal(each.name) == "cookie"):
            continue
        if each.path in containers and each.type in {"object", "array", "any"}:
            continue
        within_optional = any((each.place, each.path[:end]) in optional for end in range(1, len(each.path)))
        if each.place is Place.PATH or (each.required and not within_optional) or (every and not grants_power(each.name)):
            chosen.append(each)
    return chosen
