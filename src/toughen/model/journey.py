"""Owns what is sent: values that are made when a trial runs, calls, grants and learned Journeys."""

from __future__ import annotations

from dataclasses import dataclass, replace

from toughen.model.blueprint import Json, Place


@dataclass(frozen=True, slots=True)
class Literal:
    """A value known beforehand."""

    value: Json


@dataclass(frozen=True, slots=True)
class Extract:
    """A value taken from the answer to an earlier step of the same trial."""

    step: int
    """Index of the step in the trial's list of calls."""
    pointer: tuple[str | int, ...]
    """Keys into the JSON body; `("#header", "Location")` and `("#cookie", "name")` reach the others."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A value read from the database when the call is sent (a one-time code, an id)."""

    table: str
    column: str
    where: tuple[tuple[str, Extract | Marker | Json], ...] = ()
    """Equalities that choose the row; of several the newest that holds anything there."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A fresh canary, new for every run; equal names within one trial are the same canary."""

    name: str
    shape: str = "text"
    """text, email, digits, or any text that holds `{}` where the canary's 16 hex digits go.

    Such a text may hold `{outside}` (the lab's own folder, which no code of the prototype's names) and `{a}`, `{b}` (the
    canary's `factors`); one that begins with `base64:` is sent encoded.
    """


@dataclass(frozen=True, slots=True)
class Tampered:
    """What an identity carries when the call is sent, sent by somebody else.

    A signed token (RFC 7519) loses the signature that it had, and says what it said: whoever takes it, takes what anybody
    could have written. A cookie that is `kept` is what a browser sends along when another site's page makes the request.
    """

    identity: str
    carrier: str
    """`header:Authorization` or `cookie:access_token`: where the token is carried; the whole value of that is made."""
    how: str
    """unsigned (`alg: none`), emptied, garbled, signed (with `key`), or kept (as it is)."""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Long:
    """A text of so many characters, made when the call is sent; it begins as an honest one does, and does not compress."""

    begin: str
    size: int


@dataclass(frozen=True, slots=True)
class Copies:
    """A list of so many equal elements; `parts` are the leaves of one, by their paths below it."""

    times: int
    parts: tuple[tuple[tuple[str | int, ...], Literal | Extract | Stored | Marker], ...]
    numbered: bool = False
    """True has each text of an element end in the element's number, for lists that want no two alike."""


Value = Literal | Extract | Stored | Marker | Tampered | Long | Copies


def steps_of(value: Value) -> frozenset[int]:
    """Steps whose answers a value is taken from."""
    match value:
        case Extract(step):
            return frozenset({step})
        case Stored(_, _, where):
            return frozenset(each.step for _, each in where if isinstance(each, Extract))
    return frozenset()


def stepped(value: Value, by: int, after: int = -1) -> Value:
    """A value whose steps behind `after` stand so many places later."""
    match value:
        case Extract(step) if step > after:
            return replace(value, step=step + by)
        case Stored(_, _, where):
            return replace(value, where=tuple((name, replace(each, step=each.step + by) if isinstance(each, Extract) and each.step > after else each) for name, each in where))
    return value


def factors(canary: str) -> tuple[int, int]:
    """Two numbers of five digits that are as fresh as the canary: their product is in no answer by chance."""
    return tuple(10_000 + int(canary[at : at + 4] or "0", 16) for at in (0, 4))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Argument:
    """One value at one place of a request.

    What a file's value names is uploaded well-formed (`picture.png`); an object of `name`, `type` (its content type), `like`
    (the name whose content it has), `size` (bytes) and `unpacked` (bytes that an archive unpacks to) says more of it. A name with a newline in it is a name, a tab and
    a content type where there is one, and behind the newline the file's text.
    """

    place: Place
    path: tuple[str | int, ...]
    value: Value


@dataclass(frozen=True, slots=True)
class Call:
    """One request as a template: assembled and given its credential only when it is sent."""

    route: str
    """Route id: `POST /transfer`."""
    arguments: tuple[Argument, ...] = ()
    identity: str | None = None
    """Name of the Identity that sends it, None for anonymous."""
    raw_body: str | None = None
    """Body sent as it stands (UTF-8) instead of the assembled one."""
    raw_type: str | None = None
    """Content type of raw_body."""
    body: str | None = None
    """json, form, multipart, or a document that is put together from what stands at form places: text, xml, email; None sends no body unless arguments demand one."""
    inside: bool = False
    """Sent from the machine that the prototype runs on: some routes answer nobody else."""

    def argument(self, place: Place, path: tuple[str | int, ...]) -> Argument | None:
        """The argument at that place, None where it is not sent."""
        return next((each for each in self.arguments if each.place is place and each.path == path), None)

    def with_argument(self, place: Place, path: tuple[str | int, ...], value: Value) -> Call:
        """This call with one argument replaced or added; every argument below `path` goes."""
        kept = tuple(each for each in self.arguments if not (each.place is place and each.path[: len(path)] == path))
        return replace(self, arguments=(*kept, Argument(place, path, value)))

    def without_argument(self, place: Place, path: tuple[str | int, ...]) -> Call:
        """This call without an argument and all below it."""
        kept = tuple(each for each in self.arguments if not (each.place is place and each.path[: len(path)] == path))
        return replace(self, arguments=kept)

    def by(self, identity: str | None) -> Call:
        """This call sent by another identity; whoever comes from elsewhere has not the machine that its sender sat at."""
        return self if identity == self.identity else replace(self, identity=identity, inside=False)


@dataclass(frozen=True, slots=True)
class Grant:
    """A column written by the lab so that an honest request can pass (a balance, a date), or to know a row again."""

    table: str
    where: tuple[tuple[str, Json], ...]
    """Equalities that choose the rows."""
    column: str
    value: Json
    after: int = 0
    """How many of the trial's calls run before it is written."""


@dataclass(frozen=True, slots=True)
class Journey:
    """A learned, minimal sequence that reaches a route's success from the snapshot; replayed twice."""

    route: str
    calls: tuple[Call, ...]
    """Prerequisites first; the last call is the route's own."""
    status: int
    """Status of the last answer."""
    grants: tuple[Grant, ...] = ()
    shallow: bool = False
    """A mutating route that answered with success and wrote nothing: no control for a write oracle."""
    anonymous: bool = False
    """The same calls succeed without any credential."""
    sources: tuple[tuple[str, str], ...] = ()
    """(argument, where its value came from), for the report."""
    together: bool = False
    """Its calls need the memory of one process: what they build on is not, or not only, in the database."""

    @property
    def call(self) -> Call:
        """The route's own call."""
        return self.calls[-1]

    @property
    def identity(self) -> str | None:
        """Name of the identity that sends the last call."""
        return self.calls[-1].identity


@dataclass(frozen=True, slots=True)
class Unreached:
    """A route without a Journey, with the deepest reason met."""

    route: str
    reason: str
    status: int | None = None
