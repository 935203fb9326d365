"""Owns the making of the Blueprint: from the source alone, and joined with what the running prototype says of itself."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from toughen.model.blueprint import Blueprint, Column, EnvironmentVariable, Guard, Parameter, Place, Route, Table
from toughen.model.source import Location
from toughen.survey import django, openapi
from toughen.survey import entries as entry_points
from toughen.survey import guards as guarding
from toughen.survey.companions import companions
from toughen.survey.environment import variables
from toughen.survey.handlers import Handlers, merge
from toughen.survey.history import history
from toughen.survey.outbound import hosts
from toughen.survey.project import Project, Symbol
from toughen.survey.registry import models
from toughen.survey.roles import roles
from toughen.survey.routers import Graph
from toughen.survey.routes import Found
from toughen.survey.secrets import secrets
from toughen.survey.starting import starts
from toughen.survey.storage import database
from toughen.survey.suite import suite
from toughen.survey.tables import tables
from toughen.survey.templates import templates
from toughen.survey.views import methods_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.model.blueprint import Entry
    from toughen.survey.routers import Key
    from toughen.survey.sources import Sources

_PART: Final = re.compile(r"\{([A-Za-z_]\w*)(?::\w+)?\}")
_TYPES: Final = {"int": ("integer", None), "float": ("number", None), "uuid": ("string", "uuid")}
_DRIVERS: Final = {
    "sqlite": "sqlite", "sqlite3": "sqlite", "aiosqlite": "sqlite", "pysqlite": "sqlite", "psycopg": "postgresql",
    "psycopg2": "postgresql", "asyncpg": "postgresql", "postgresql": "postgresql", "pg8000": "postgresql",
    "pymysql": "mysql", "mysqldb": "mysql", "mysql": "mysql", "aiomysql": "mysql", "asyncmy": "mysql",
}  # fmt: skip


def survey(sources: Sources, *, app: str | None = None) -> Blueprint:
    """The Blueprint that the source alone gives.

    Raises SurveyError where no application is found, ConfigurationError where `app` names nothing.
    """
    entry, root = entry_points.choose(sources, app)
    handlers = _handlers(sources, entry, root)
    project = handlers.project
    known = (*tables(project), *models(project)) if entry.framework == "django" else tables(project)
    routes = tuple(each for found_route in handlers.found for each in handlers.routes(found_route))
    return Blueprint(
        name=_name(sources),
        framework=entry.framework,
        entry=entry,
        routes=routes,
        tables=known,
        roles=roles(project, known, routes),
        outbound=hosts(project),
        environment=(*variables(project), *_settings(sources, entry)),
        secrets=secrets(project),
        suite=suite(sources),
        database=(django.engine(project) if entry.framework == "django" else None) or database(project, known, routes),
        unparsed=sources.unparsed,
        lines=sources.lines,
        companions=companions(sources.root, PurePosixPath(entry.file).parent.as_posix()),
        templates=templates(sources.root),
        history=history(sources.root, sources.texts),
        starts=starts(sources),
    )


def _handlers(sources: Sources, entry: Entry | None, root: Key | None, framework: str = "") -> Handlers:
    graph = Graph(Project(sources, entry.import_root, entry.package) if entry else Project(sources))
    graph.choose(root)
    return Handlers(graph, framework or (entry.framework if entry else ""))


def _settings(sources: Sources, entry: Entry) -> tuple[EnvironmentVariable, ...]:
    """The variable that says which settings Django takes, with the ones that the project is started with."""
    named = django.settings_named(sources, entry.import_root) if entry.framework == "django" else None
    file = next(iter(django.managers(sources)), entry.file)
    return (EnvironmentVariable(django.SETTINGS, required=False, default=named, location=Location(file, 1)),) if named else ()


def _name(sources: Sources) -> str:
    text = sources.extras.get("pyproject.toml")
    if text:
        import tomllib

        try:
            name = tomllib.loads(text).get("project", {}).get("name")
        except (tomllib.TOMLDecodeError, AttributeError, RecursionError):
            name = None
        if isinstance(name, str) and name:
            return name
    return sources.root.name


def join(blueprint: Blueprint, facts: dict[str, Any], sources: Sources) -> Blueprint:
    """The Blueprint with what the running prototype says of itself (the agent's FACTS): its routes are the truth."""
    entry = blueprint.entry
    framework = str(facts.get("framework") or blueprint.framework)
    root = entry_points.rooted(sources, entry) if entry else None
    handlers = _handlers(sources, entry, root, framework)
    joined = _Joined(handlers, facts, sources)
    told = tuple(
        table
        if table.location
        else replace(table, location=own.location if (own := blueprint.table(table.name)) else None)
        for table in joined.tables()
    )
    names = {each.name.lower() for each in told}
    known = (*told, *(each for each in blueprint.tables if each.name.lower() not in names))
    routes = joined.routes()
    found = next((kind for each in facts.get("databases") or () if (kind := _driver(each))), None)
    return replace(
        blueprint,
        framework=framework,
        routes=routes,
        tables=known,
        roles=roles(handlers.project, known, routes),
        database=found or blueprint.database,
    )


def _driver(told: object) -> str | None:
    return _DRIVERS.get(str(told.get("driver", "")).lower().partition("+")[0]) if isinstance(told, dict) else None


class _Joined:
    """FACTS next to the source."""

    def __init__(self, handlers: Handlers, facts: dict[str, Any], sources: Sources) -> None:
        self.handlers = handlers
        self.project = handlers.project
        self.facts = facts
        self.sources = sources
        self.operations = {
            openapi.key(each.method, each.path): each for each in openapi.operations(facts.get("openapi"))
        }
        self.static: dict[tuple[str, str], Found] = {}
        self.by_place: dict[tuple[str, int], Found] = {}
        for each in handlers.found:
            for method in each.methods:
                self.static.setdefault(openapi.key(method, each.path), each)
            if each.handler:
                self.by_place.setdefault((each.handler.file, each.line), each)

    def relative(self, file: object, line: int, name: str) -> str:
        """The project's file that an absolute path of the lab's copy means, "" for code outside the project."""
        path = str(file or "").replace("\\", "/")
        if not path or "/site-packages/" in path or "/dist-packages/" in path:
            return ""
        parts = path.split("/")
        short = name.rpartition(".")[2]
        for start in range(len(parts)):
            candidate = "/".join(parts[start:])
            text_facts = self.project.facts.get(candidate)
            if text_facts is None:
                continue
            if any(
                each.first <= line <= each.end and (not short or each.name.rpartition(".")[2] == short)
                for each in text_facts.definitions
            ):
                return candidate
        return ""

    def symbol(self, told: dict[str, Any]) -> tuple[Symbol | None, int]:
        """The function that a told place names, and the line of its definition."""
        given = told.get("line")
        line = given if isinstance(given, int) else 0
        name = str(told.get("function") or told.get("name") or "").replace(".<locals>", "")
        file = self.relative(told.get("file"), line, name)
        if not file:
            return None, line
        around = [
            each
            for each in self.project.facts[file].definitions
            if each.first <= (line) <= each.end and each.name.rpartition(".")[2] == name.rpartition(".")[2]
        ]
        if not around:
            return None, line
        found = min(around, key=lambda each: abs(each.line - (line)))
        return Symbol(file, found.name), found.line

    def routes(self) -> tuple[Route, ...]:
        found: dict[str, Route] = {}
        for told in self.facts.get("routes") or ():
            if not isinstance(told, dict) or not isinstance(told.get("path"), str):
                continue
            for method in told.get("methods") or methods_of(self.project, self.symbol(told)[0]):
                route = self.route(told, str(method).upper())
                found.setdefault(route.id, route)
        return tuple(found.values())

    def route(self, told: dict[str, Any], method: str) -> Route:
        symbol, line = self.symbol(told)
        path = str(told["path"])
        identity = openapi.key(method, path)
        known = self.static.get(identity) or self.by_place.get((symbol.file, line) if symbol else ("", -1))
        parameters = list(self.path_parameters(told))
        if known is not None and known.handler != symbol and symbol is not None:
            known = replace(known, handler=symbol, line=line)
        base = known or Found((method,), path, symbol, line, None, None)
        specified = base.parameters
        described = {each.name: each for each in specified if each.place is Place.PATH}
        parameters = [described.get(each.name, each) for each in parameters]
        base = replace(base, path=path, methods=(method,), handler=symbol, parameters=(*parameters, *_rest(specified)))
        read = self.handlers.route(base, method)
        operation = self.operations.get(identity)
        declared = [each for each in read.parameters if each.declared]
        inferred = [each for each in read.parameters if not each.declared]
        body, model = read.body, read.body_model
        if operation is not None:
            declared = [each for each in operation.parameters if each.path or each.type not in {"object", "any"}]
            declared = [*declared, *(each for each in parameters if not _has(declared, each))]
            body = operation.body or body
            # Of two models of one name the document's names are long: `app__routers__users__UserUpdate`.
            model = (operation.body_model or "").rpartition("__")[2] or model
        return replace(
            read,
            parameters=tuple(merge(declared, inferred)),
            guards=self.guards(told, base, read, operation),
            body=body,
            body_model=model,
            introspected=True,
        )

    def path_parameters(self, told: dict[str, Any]) -> tuple[Parameter, ...]:
        given = told.get("converters")
        converters = given if isinstance(given, dict) else {}
        found = []
        for name in _PART.findall(str(told["path"])):
            kind, form = _TYPES.get(str(converters.get(name)), ("string", None))
            found.append(Parameter(Place.PATH, (name,), kind, required=True, format=form))
        return tuple(found)

    def guards(
        self, told: dict[str, Any], base: Found, read: Route, operation: openapi.Operation | None
    ) -> tuple[Guard, ...]:
        listed = list(read.guards)
        if isinstance(told.get("guards"), list):
            return self.named_guards(told["guards"], listed)
        dependencies = told.get("dependencies")
        if isinstance(dependencies, list) and dependencies:
            fronts: list[tuple[str, Location, tuple[str, ...], str]] = []
            for each in dependencies:
                if not isinstance(each, dict):
                    continue
                symbol, line = self.symbol({**each, "function": str(each.get("name") or "").removesuffix(".__call__")})
                if symbol is None:
                    symbol, line = self.symbol({**each, "function": "__call__"})
                # A scheme's own values are its name and address: no role of anybody's.
                values = () if each.get("kind") == "scheme" else each.get("values") or ()
                asked = [*(each.get("scopes") or ()), *values]
                where = Location(symbol.file, line, symbol.name) if symbol else Location("", 0)
                fronts.append((str(each.get("name")), where, tuple(map(str, asked)), str(each.get("kind"))))
            framework = guarding.fact_guards(self.project, fronts)
            others = [each for each in listed if each.kind not in {"dependency", "scheme"}]
            static = [each for each in listed if each.kind == "dependency"]
            listed = [*_named(framework, static), *others]
        if not listed and operation is not None and operation.security:
            listed = [Guard("scheme", name, self.handlers.place(base.handler)) for name in operation.security]
        return tuple(listed)

    def named_guards(self, told: list[Any], read: list[Guard]) -> tuple[Guard, ...]:
        """Guards that the framework itself names, and what the handler asks besides."""
        found: list[Guard] = []
        for each in (one for one in told if isinstance(one, dict)):
            name = str(each.get("name"))
            symbol, line = self.symbol({**each, "function": name.rpartition("(")[2].rstrip(")")})
            where = Location(symbol.file, line, symbol.name) if symbol else Location("", 0)
            found.append(Guard(str(each.get("kind")), name, where, tuple(map(str, each.get("roles") or ()))))
        names = {each.name.partition("(")[0] for each in found}
        return (*found, *(each for each in read if each.kind != "scheme" and each.name.rpartition(".")[2].partition("(")[0] not in names))

    def tables(self) -> tuple[Table, ...]:
        found: dict[str, Table] = {}
        for told in self.facts.get("tables") or ():
            if isinstance(told, dict) and isinstance(told.get("name"), str):
                table = self.table(told)
                found.setdefault(table.name.lower(), table)
        return tuple(found.values())

    def table(self, told: dict[str, Any]) -> Table:
        model = told.get("model")
        symbol, line = self.symbol({**told, "function": model}) if model else (None, 0)
        return Table(
            str(told["name"]),
            tuple(_column(each) for each in told.get("columns") or () if isinstance(each, dict)),
            tuple(tuple(map(str, each)) for each in told.get("uniques") or ()),
            str(model) if model else None,
            Location(symbol.file, line, symbol.name) if symbol else None,
        )


def _rest(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    return tuple(each for each in parameters if each.place is not Place.PATH)


def _has(declared: list[Parameter], wanted: Parameter) -> bool:
    return any(each.place is wanted.place and each.name == wanted.name for each in declared)


def _named(framework: list[Guard], static: list[Guard]) -> list[Guard]:
    """The framework's guards, with the name and roles that the source gives the same place."""
    found: list[Guard] = []
    for each in framework:
        same = [one for one in static if one.location == each.location]
        known = next((one for one in same if set(one.roles) >= set(each.roles)), same[0] if same else None)
        if known is None:
            found.append(each)
            continue
        roles_asked = tuple(dict.fromkeys((*known.roles, *each.roles)))
        found.append(replace(each, name=known.name, roles=roles_asked))
    return found


def _column(told: dict[str, Any]) -> Column:
    reference: tuple[str, str] | None = None
    match told.get("references"):
        case [table, column]:
            reference = (str(table), str(column))
    length = told.get("max_length")
    return Column(
        str(told.get("name")),
        str(told.get("type") or "any"),
        nullable=bool(told.get("nullable", True)),
        primary_key=bool(told.get("primary_key")),
        unique=bool(told.get("unique")),
        references=reference,
        enum=tuple(told.get("enum") or ()),
        max_length=length if isinstance(length, int) else None,
        has_default=bool(told.get("has_default")),
    )
