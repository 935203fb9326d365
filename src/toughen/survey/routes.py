"""Owns the routes that the source declares: decorators, registrations and specifications, with whole path templates."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Parameter, Place
from toughen.survey.facts import HOOK_DECORATORS, ROUTE_DECORATORS, Definition, dotted
from toughen.survey.project import Function, Project, Symbol, argument, keyword
from toughen.survey.routers import Graph, Mounted, calls_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.facts import Sighting

_VERBS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")
_VIEW_VERBS: Final = ("get", "post", "put", "patch", "delete")
_FLASK_PART: Final = re.compile(r"<(?:([A-Za-z_]\w*)(?:\([^>]*\))?:)?([A-Za-z_]\w*)>")
_STARLETTE_PART: Final = re.compile(r"\{([A-Za-z_]\w*)(?::([A-Za-z_]\w*))?\}")
_TYPES: Final = {"int": ("integer", None), "float": ("number", None), "uuid": ("string", "uuid")}


@dataclass(frozen=True, slots=True)
class Found:
    """One route as the source declares it."""

    methods: tuple[str, ...]
    path: str
    handler: Symbol | None
    """The project's function; None where it lies outside or could not be followed."""
    line: int
    mounted: Mounted | None
    call: ast.Call | None
    """The decorator or registration."""
    wrappers: tuple[ast.expr, ...] = ()
    """Expressions that wrap the handler at its registration, or guard the class that it belongs to."""
    parameters: tuple[Parameter, ...] = field(default=())
    """Parameters that a specification declares."""
    body: str | None = None
    secured: tuple[str, ...] = ()
    """Security schemes that a specification asks for."""


def plain(path: str) -> tuple[str, tuple[Parameter, ...]]:
    """A framework's path template in braces without converters, and the parameters that it holds."""
    parameters: list[Parameter] = []

    def replace(name: str, converter: str | None) -> str:
        kind, form = _TYPES.get(converter or "", ("string", None))
        parameters.append(Parameter(Place.PATH, (name,), kind, required=True, format=form))
        return f"{{{name}}}"

    if "<" in path:
        path = _FLASK_PART.sub(lambda found: replace(found[2], found[1]), path)
    else:
        path = _STARLETTE_PART.sub(lambda found: replace(found[1], found[2]), path)
    if not path.startswith("/"):
        path = f"/{path}"
    return path, tuple(parameters)


def collect(graph: Graph) -> list[Found]:
    """Every route that the graph's root reaches, in the order of the source."""
    project = graph.project
    mounted: dict[tuple[str, str, str], list[Mounted]] = {}
    for each in graph.reached():
        mounted.setdefault(each.router.key, []).append(each)
    found: list[Found] = []
    for file, facts in project.facts.items():
        for definition in facts.definitions:
            if any(head.rpartition(".")[2] in ROUTE_DECORATORS and "." in head for head in definition.decorators):
                found += _decorated(graph, mounted, file, definition)
        for seen in facts.sightings:
            if seen.kind == "link" and seen.text in {"add_url_rule", "add_api_route", "add_route", "add_resource"}:
                found += _registered(graph, mounted, file, seen)
    for routers in mounted.values():
        for router in routers:
            if router.router.kind in {"starlette", "router", "fastapi"}:
                found += _listed(project, router)
    order = {file: index for index, file in enumerate(project.facts)}
    found.sort(key=lambda each: (order[each.handler.file] if each.handler else 0, each.line))
    unique: dict[tuple[str, str], Found] = {}
    for route in found:
        for method in route.methods:
            unique.setdefault((method, route.path), route)
    kept = {id(route) for route in unique.values()}
    return [route for route in found if id(route) in kept]


def hooks(graph: Graph) -> list[tuple[Symbol, Mounted]]:
    """Functions that run in front of every handler of a router: before_request, HTTP middleware."""
    project = graph.project
    found: list[tuple[Symbol, Mounted]] = []
    mounted: dict[tuple[str, str, str], Mounted] = {each.router.key: each for each in graph.reached()}
    for file, facts in project.facts.items():
        for definition in facts.definitions:
            for head in definition.decorators:
                base, _, last = head.rpartition(".")
                if last in HOOK_DECORATORS and base:
                    key = graph.find(file, definition.name.rpartition(".")[0], base)
                    if key in mounted:
                        found.append((Symbol(file, definition.name), mounted[key]))
        for seen in facts.sightings:
            if seen.kind == "link" and seen.text == "before_request":
                for call in calls_on(project, file, seen.line, seen.end, seen.text):
                    base = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else ""
                    scope = project.scope(file, call.lineno)
                    key = graph.find(file, scope, base)
                    target = project.resolve(file, dotted(argument(call, 0, "f")), scope)
                    if key in mounted and isinstance(target, Symbol):
                        found.append((target, mounted[key]))
    return found


def _decorated(
    graph: Graph, mounted: dict[tuple[str, str, str], list[Mounted]], file: str, definition: Definition
) -> Iterator[Found]:
    project = graph.project
    scope = definition.name.rpartition(".")[0]
    for index, head in enumerate(definition.decorators):
        base, _, last = head.rpartition(".")
        if last not in ROUTE_DECORATORS or not base:
            continue
        key = graph.find(file, scope, base)
        if key is None or key not in mounted:
            continue
        node = project.tree(file, definition)
        if node is None:
            continue
        decorator = node.decorator_list[index]
        if not isinstance(decorator, ast.Call):
            continue
        paths = _paths(project, file, decorator)
        for each in mounted[key]:
            for path in paths:
                if isinstance(node, ast.ClassDef):
                    yield from _class_routes(project, file, definition.name, node, each, path, decorator, ())
                else:
                    methods = _methods(project, file, decorator, last)
                    whole, _ = plain(each.prefix + path)
                    yield Found(methods, whole, Symbol(file, definition.name), definition.line, each, decorator,
                                parameters=plain(each.prefix + path)[1])  # fmt: skip


def _paths(project: Project, file: str, call: ast.Call) -> list[str]:
    nodes: list[ast.expr] = [each for each in call.args if not isinstance(each, ast.Starred)] or [
        value for value in [keyword(call, "path", "rule")] if value is not None
    ]
    # flask_restx takes several paths, every other framework one.
    return [path for each in nodes if (path := project.text(each, file)) is not None]


def _methods(project: Project, file: str, call: ast.Call, verb: str) -> tuple[str, ...]:
    if verb.upper() in _VERBS:
        return (verb.upper(),)
    value = project.fold(keyword(call, "methods"), file)
    if isinstance(value, list):
        named = {str(each).upper() for each in value}
        return tuple(each for each in _VERBS if each in named and each not in {"OPTIONS", "TRACE"})
    return ("GET",)


def _class_routes(
    project: Project,
    file: str,
    name: str,
    node: ast.ClassDef,
    mounted: Mounted,
    path: str,
    call: ast.Call,
    wrappers: tuple[ast.expr, ...],
) -> Iterator[Found]:
    """The methods of a view class: flask's MethodView, flask_restful's Resource."""
    methods = dict(_view_methods(project, Symbol(file, name)))
    wanted = project.fold(keyword(call, "methods"), file)
    for value in (_class_value(node, "decorators"), _class_value(node, "method_decorators")):
        if isinstance(value, ast.List | ast.Tuple):
            wrappers = (*wrappers, *value.elts)
    whole, parameters = plain(mounted.prefix + path)
    for verb, symbol in methods.items():
        if isinstance(wanted, list) and verb.upper() not in {str(each).upper() for each in wanted}:
            continue
        definition = project.definition(symbol)
        yield Found((verb.upper(),), whole, symbol, definition.line if definition else 0, mounted, call, wrappers,
                    parameters)  # fmt: skip


def _class_value(node: ast.ClassDef, name: str) -> ast.expr | None:
    for each in node.body:
        match each:
            case ast.Assign(targets=[ast.Name(id=bound)], value=value) if bound == name:
                return value
    return None


def _view_methods(project: Project, symbol: Symbol, depth: int = 0) -> Iterator[tuple[str, Symbol]]:
    definition = project.definition(symbol)
    if definition is None or depth > 5:  # noqa: PLR2004 - deeper hierarchies of views are hostile
        return
    for base in definition.bases:
        found = project.resolve(symbol.file, base)
        if isinstance(found, Symbol):
            yield from _view_methods(project, found, depth + 1)
    for verb in _VIEW_VERBS:
        if project.facts[symbol.file].definition(f"{symbol.name}.{verb}"):
            yield verb, Symbol(symbol.file, f"{symbol.name}.{verb}")


def _registered(
    graph: Graph, mounted: dict[tuple[str, str, str], list[Mounted]], file: str, seen: Sighting
) -> Iterator[Found]:
    project = graph.project
    for call in calls_on(project, file, seen.line, seen.end, seen.text):
        if not isinstance(call.func, ast.Attribute):
            continue
        scope = project.scope(file, call.lineno)
        key = graph.find(file, scope, dotted(call.func.value))
        if key is None or key not in mounted:
            continue
        resource = seen.text == "add_resource"
        position = {"add_url_rule": 2, "add_resource": 0}.get(seen.text, 1)
        view = argument(call, position, "view_func", "endpoint", "route", "resource")
        rules = call.args[1:] if resource else [argument(call, 0, "rule", "path")]
        wrappers: list[ast.expr] = []
        while isinstance(view, ast.Call) and not (isinstance(view.func, ast.Attribute) and view.func.attr == "as_view"):
            if not view.args:
                break
            wrappers.append(view.func)
            view = view.args[0]
        if isinstance(view, ast.Call) and isinstance(view.func, ast.Attribute):
            view = view.func.value
        target = project.resolve(file, dotted(view), scope)
        symbol = _bound_view(project, target)
        for rule in rules:
            path = project.text(rule, file)
            if path is None:
                continue
            for each in mounted[key]:
                yield from _views(project, symbol, each, path, call, tuple(wrappers), file)


def _bound_view(project: Project, target: Symbol | str) -> Symbol | None:
    """The class or function that a view means; `users_view = Users.as_view("users")` means Users."""
    if not isinstance(target, Symbol) or project.definition(target):
        return target if isinstance(target, Symbol) else None
    value = project.value(target)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "as_view":
        found = project.resolve(target.file, dotted(value.func.value))
        return found if isinstance(found, Symbol) else None
    return target


def _views(
    project: Project,
    symbol: Symbol | None,
    mounted: Mounted,
    path: str,
    call: ast.Call,
    wrappers: tuple[ast.expr, ...],
    file: str,
) -> Iterator[Found]:
    node = project.node(symbol) if symbol else None
    whole, parameters = plain(mounted.prefix + path)
    if isinstance(node, ast.ClassDef) and symbol:
        yield from _class_routes(project, symbol.file, symbol.name, node, mounted, path, call, wrappers)
    elif symbol or not wrappers:
        line = node.lineno if node else call.lineno
        known = symbol if isinstance(node, Function) else None
        yield Found(_methods(project, file, call, ""), whole, known, line, mounted, call, wrappers, parameters)


def _listed(project: Project, mounted: Mounted) -> Iterator[Found]:
    """`Starlette(routes=[Route("/x", endpoint, methods=[...]), Mount("/api", routes=[...])])`."""
    value = keyword(mounted.router.call, "routes")
    if value is not None:
        yield from _listed_in(project, mounted, mounted.router.file, value, mounted.prefix, 0)


def _listed_in(
    project: Project, mounted: Mounted, file: str, node: ast.expr, prefix: str, depth: int
) -> Iterator[Found]:
    if isinstance(node, ast.Name | ast.Attribute):
        found = project.resolve(file, dotted(node))
        value = project.value(found) if isinstance(found, Symbol) else None
        if isinstance(found, Symbol) and value is not None and depth < 6:  # noqa: PLR2004 - deeper mounts are hostile
            yield from _listed_in(project, mounted, found.file, value, prefix, depth + 1)
        return
    if isinstance(node, ast.BinOp):
        yield from _listed_in(project, mounted, file, node.left, prefix, depth)
        yield from _listed_in(project, mounted, file, node.right, prefix, depth)
    if not isinstance(node, ast.List | ast.Tuple):
        return
    for each in node.elts:
        if not isinstance(each, ast.Call):
            continue
        name = dotted(each.func).rpartition(".")[2]
        path = project.text(argument(each, 0, "path"), file)
        if path is None:
            continue
        if name == "Mount" and (inner := keyword(each, "routes")) is not None and depth < 6:  # noqa: PLR2004 - as above
            yield from _listed_in(project, mounted, file, inner, prefix + path.rstrip("/"), depth + 1)
        elif name == "Route":
            yield from _views(project, _endpoint(project, file, each), mounted, prefix + path, each, (), file)


def _endpoint(project: Project, file: str, call: ast.Call) -> Symbol | None:
    found = project.resolve(file, dotted(argument(call, 1, "endpoint")))
    return found if isinstance(found, Symbol) else None
