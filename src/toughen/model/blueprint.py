"""Owns the facts about a prototype that survey learns and every later stage reads: the Blueprint."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from typing_extensions import TypeAliasType

from toughen.model.source import Location

Json = TypeAliasType("Json", "bool | int | float | str | list[Json] | dict[str, Json] | None")
"""Any JSON value."""


class Place(StrEnum):
    """Where in a request a parameter travels."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"
    JSON = "json"
    FORM = "form"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a route reads from the request."""

    place: Place
    path: tuple[str | int, ...]
    """Keys from the root of its place: `("note_id",)`, `("items", 0, "quantity")`; 0 stands for every element of an array."""
    type: str = "any"
    """JSON Schema type: string, integer, number, boolean, array, object, or any where unknown."""
    required: bool = False
    format: str | None = None
    """JSON Schema format (email, date-time, uuid, ...) or `password`."""
    enum: tuple[Json, ...] = ()
    default: Json = None
    example: Json = None
    minimum: float | None = None
    """Inclusive bound; an exclusive bound of an integer is turned into an inclusive one."""
    maximum: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    declared: bool = True
    """True when the framework or its schema declares it, False when it was read off the handler's source."""

    @property
    def name(self) -> str:
        """Last key that is a name: `quantity` for `("items", 0, "quantity")`."""
        return next((key for key in reversed(self.path) if isinstance(key, str)), "")


@dataclass(frozen=True, slots=True)
class Guard:
    """Something that is asked before a handler does its work: who are you, may you."""

    kind: str
    """dependency (FastAPI Depends), decorator, inline (an `if` that refuses) or scheme (declared security)."""
    name: str
    """Source text that names it: `get_current_user`, `login_required`, `'user_id' not in session`."""
    location: Location
    roles: tuple[str, ...] = ()
    """Role literals that it asks for."""


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path template, joined with its handler's source."""

    method: str
    path: str
    """The framework's template in braces: `/notes/{note_id}`."""
    handler: Location
    """The handler's definition (its `def` line); file is "" when the handler lies outside the project."""
    parameters: tuple[Parameter, ...] = ()
    guards: tuple[Guard, ...] = ()
    body: str | None = None
    """Kind of body it wants: json, form, multipart, or None."""
    introspected: bool = True
    """False when only the static survey saw it."""
    body_model: str | None = None
    """Name of the typed model of the body (a pydantic class), None for untyped handlers."""

    @property
    def id(self) -> str:
        """`POST /transfer`."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    type: str = "any"
    """integer, number, string, boolean, datetime, date, blob, json, or any."""
    nullable: bool = True
    primary_key: bool = False
    unique: bool = False
    references: tuple[str, str] | None = None
    """(table, column) of a foreign key."""
    enum: tuple[Json, ...] = ()
    max_length: int | None = None
    has_default: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table, from the mapped models, the DDL in the source, or the live database."""

    name: str
    columns: tuple[Column, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    """Unique constraints and unique indexes over one or more columns."""
    model: str | None = None
    """Class that maps it (`User`)."""
    location: Location | None = None

    def column(self, name: str) -> Column | None:
        """The column of that name, case-insensitively."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Entry:
    """Where the application object is found."""

    target: str
    """`module:attribute`, or `module:function()` for a factory."""
    file: str
    reason: str
    """Why this candidate won, for the report."""
    framework: str
    """fastapi, starlette, flask or connexion."""
    import_root: str = "."
    """Folder (relative to the project's root) that goes on sys.path and is the working directory."""
    alternatives: tuple[str, ...] = ()
    """Other candidates, best first."""
    tied: bool = False
    """True when another candidate scored the same."""
    package: str = ""
    """Name under which the root itself is imported, where it is a package: imports then start from the folder above."""


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """An environment variable that the source reads."""

    name: str
    required: bool
    """True when nothing supplies it otherwise (`os.environ["X"]`, a settings field without default)."""
    default: str | None
    location: Location
    relied: bool = False
    """Nothing in the source asks whether it is there before its value is used."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """A host that the source calls, or a client library that it uses without a literal host."""

    host: str | None
    client: str
    """requests, httpx, urllib, aiohttp, smtplib, ..."""
    location: Location


def masked(value: str) -> str:
    """The first characters, three and a third of it at the most, and the length: a secret is never shown whole."""
    return f"{value[: min(3, len(value) // 3)]}... ({len(value)} characters)"


@dataclass(frozen=True, slots=True)
class Secret:
    """A literal that looks like a secret; its value is never stored whole."""

    name: str
    """The name that it is bound to (`SECRET_KEY`)."""
    shown: str
    """First characters and length: `mys... (11 characters)`."""
    location: Location


@dataclass(frozen=True, slots=True)
class Start:
    """One way in which the project says that it is started."""

    kind: str
    """server (gunicorn, uvicorn and the like), flask (`flask run`) or script (a program of its own)."""
    file: str
    """Where it says so: `Procfile`, `Dockerfile`, the script itself."""
    script: str = ""
    """Of a script: its path."""
    debug: bool = False
    """Of `flask run`: whether the same file turns debugging on."""


@dataclass(frozen=True, slots=True)
class Suite:
    """The prototype's own tests."""

    files: tuple[str, ...] = ()
    tests: int = 0
    runner: str | None = None
    """pytest or unittest."""


@dataclass(frozen=True, slots=True)
class Unparsed:
    """A source file that could not be read; reported, never dropped."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True)
class Blueprint:
    """Everything known about a prototype before it is used."""

    name: str
    framework: str
    entry: Entry | None
    routes: tuple[Route, ...] = ()
    tables: tuple[Table, ...] = ()
    roles: tuple[str, ...] = ()
    """Role literals that the code knows: enum values, strings compared with a role column."""
    outbound: tuple[Outbound, ...] = ()
    environment: tuple[EnvironmentVariable, ...] = ()
    secrets: tuple[Secret, ...] = ()
    suite: Suite = field(default_factory=Suite)
    database: str | None = None
    """sqlite, postgresql, mysql, memory, or None."""
    stand_in: tuple[str, ...] = ()
    """Environment variables that name a database server, where the lab's SQLite stands in for it."""
    unparsed: tuple[Unparsed, ...] = ()
    lines: int = 0
    """Lines of Python surveyed."""
    companions: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(file, text) of what a mend may have to extend: requirements, pyproject.toml, the sample of the environment; and an `.env` that git tracks."""
    templates: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(file, text) of the templates of its pages."""
    history: tuple[Secret, ...] = ()
    """Keys that the history of the repository holds and its files no longer do."""
    starts: tuple[Start, ...] = ()
    """How it is started; none where neither a file beside the source nor a main block says so."""

    def route(self, route_id: str) -> Route | None:
        """The route with that id (`POST /transfer`)."""
        return next((route for route in self.routes if route.id == route_id), None)

    def table(self, name: str) -> Table | None:
        """The table of that name, case-insensitively."""
        return next((table for table in self.tables if table.name.lower() == name.lower()), None)
