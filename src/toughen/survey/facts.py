"""Owns the facts that one pass over one Python file yields: an index of what is where, small enough to be cached."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

VERSION: Final = 13
"""Raised whenever a file's facts change shape or meaning; an older cache is then dropped."""

ROUTER_CALLS: Final = frozenset(
    {
        "FastAPI", "APIRouter", "Flask", "Blueprint", "APIBlueprint", "APIFlask", "OpenAPI", "Starlette", "Router",
        "App", "FlaskApp", "AsyncApp", "FlaskAPI", "Api", "Namespace", "namespace", "Quart",
    }
)  # fmt: skip
"""Last names of the calls that make an application or a router."""

ROUTE_DECORATORS: Final = frozenset(
    {"get", "post", "put", "patch", "delete", "head", "options", "route", "api_route", "trace"}
)
"""Last names of the decorators that bind a handler to a path."""

HOOK_DECORATORS: Final = frozenset({"before_request", "before_app_request", "middleware"})
"""Last names of the decorators that put a function in front of every handler."""

LINK_CALLS: Final = frozenset(
    {
        "include_router", "register_blueprint", "mount", "add_namespace", "add_resource", "add_url_rule",
        "add_api_route", "add_route", "add_api", "register_api", "before_request", "add_middleware",
    }
)  # fmt: skip
"""Last names of the calls that tie a router, a view or a specification to an application."""

CLIENTS: Final = {
    "requests": "requests", "httpx": "httpx", "urllib": "urllib", "urllib2": "urllib", "urllib3": "urllib3",
    "aiohttp": "aiohttp", "smtplib": "smtplib", "aiosmtplib": "aiosmtplib", "boto3": "boto3", "stripe": "stripe",
    "openai": "openai", "anthropic": "anthropic", "http": "http.client", "twilio": "twilio", "sendgrid": "sendgrid",
    "slack_sdk": "slack_sdk", "websockets": "websockets", "ftplib": "ftplib", "paramiko": "paramiko",
    "socket": "socket", "mailjet_rest": "mailjet", "resend": "resend", "pika": "pika", "redis": "redis",
}  # fmt: skip
"""Root packages whose calls leave the process, with the name that reports show."""
Span = tuple[int, int]


class Definition(NamedTuple):
    """A function or class: its name, its lines and the names that decorate or found it."""

    kind: str
    """def or class."""
    name: str
    """Qualified by the enclosing definitions: `create_app.index`."""
    first: int
    """Line of its first decorator, or of the definition."""
    line: int
    end: int
    decorators: tuple[str, ...]
    """Dotted text of each decorator without its arguments; "" where it is no dotted name."""
    bases: tuple[str, ...]
    """Dotted text of each base class; for functions the names of the parameters."""
    returns: tuple[str, ...] = ()
    """Dotted text of what a function returns, with `()` after a call."""


class Sighting(NamedTuple):
    """One noteworthy statement or expression."""

    kind: str
    """router, link, outbound, environment, wrapper, secret, ddl, database, role, table, main, module-write."""
    line: int
    end: int
    text: str = ""
    detail: str | None = None
    flag: bool = False


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What one pass over one file found; JSON-serializable."""

    lines: int
    imports: dict[str, str]
    """Bound name -> dotted target; a relative target keeps its leading dots."""
    imported: tuple[str, ...]
    """Absolute modules that the file imports."""
    stars: tuple[str, ...]
    definitions: tuple[Definition, ...]
    assigned: dict[str, Span]
    """Module-level name -> lines of its last assignment."""
    sightings: tuple[Sighting, ...]
    tests: int = 0

    def as_json(self) -> list[Any]:
        """Plain lists and dictionaries."""
        return [
            self.lines, self.imports, self.imported, self.stars,
            [list(each) for each in self.definitions],
            self.assigned,
            [list(each) for each in self.sightings],
            self.tests,
        ]  # fmt: skip

    @classmethod
    def from_json(cls, value: list[Any]) -> FileFacts:
        """The inverse of `as_json`; raises ValueError, TypeError or IndexError on anything else."""
        lines, imports, imported, stars, definitions, assigned, sightings, tests = value
        return cls(
            lines,
            imports,
            tuple(imported),
            tuple(stars),
            tuple(
                Definition(kind, name, first, line, end, tuple(decorators), tuple(bases), tuple(returns))
                for kind, name, first, line, end, decorators, bases, returns in definitions
            ),
            {name: (first, last) for name, (first, last) in assigned.items()},
            tuple(Sighting(*each) for each in sightings),
            tests,
        )

    def enclosing(self, line: int) -> Definition | None:
        """The innermost function that holds that line."""
        found = None
        for each in self.definitions:
            if each.first > line:
                break
            if each.end >= line and each.kind == "def":
                found = each
        return found

    def definition(self, name: str) -> Definition | None:
        """The last definition of that qualified name."""
        return next((each for each in reversed(self.definitions) if each.name == name), None)




def dotted(node: ast.expr | None) -> str:
    """`a.b.c` for names and attributes, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


def target_name(target: ast.expr) -> str:
    """The last name of what is assigned to."""
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name
    return ""


def default_of(node: ast.Call) -> tuple[str | None, bool]:
    """(the default that a call gives, whether it gives one); `?` where it is computed."""
    value = node.args[1] if len(node.args) > 1 else None
    if value is None:
        value = next((each.value for each in node.keywords if each.arg == "default"), None)
    if value is None:
        return None, False
    if isinstance(value, ast.Constant):
        return (None if value.value is None else str(value.value)), True
    return "?", True
