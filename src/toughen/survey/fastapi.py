"""Owns FastAPI signatures: what a handler and its dependencies read from the request, and the tree of dependencies."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Parameter, Place
from toughen.survey.facts import dotted
from toughen.survey.models import Shape, leaves, setting, shape
from toughen.survey.project import MISSING, Function, Missing, Project, Symbol, keyword

if TYPE_CHECKING:
    from toughen.survey.routes import Found

_PLACES: Final = {
    "Query": Place.QUERY, "Header": Place.HEADER, "Cookie": Place.COOKIE, "Path": Place.PATH, "Body": Place.JSON,
    "Form": Place.FORM, "File": Place.FILE,
}  # fmt: skip
_GIVEN: Final = frozenset(
    {
        "Request", "Response", "WebSocket", "HTTPConnection", "BackgroundTasks", "SecurityScopes", "Session",
        "AsyncSession", "Connection",
    }
)  # fmt: skip
_LOGIN: Final = frozenset({"OAuth2PasswordRequestForm", "OAuth2PasswordRequestFormStrict"})
_DEEPEST: Final = 8


@dataclass
class Signature:
    """What a handler asks the framework for."""

    parameters: list[Parameter] = field(default_factory=list)
    body: str | None = None
    body_model: str | None = None
    dependencies: list[tuple[str, ast.expr]] = field(default_factory=list)
    """(file, expression inside Depends or Security) of every dependency, the outermost first."""
    objects: list[str] = field(default_factory=list)
    """Arguments that hold an untyped JSON object."""


def signature(project: Project, found: Found) -> Signature:
    """Read a route's handler, its dependencies, and those of the routers above it."""
    result = Signature()
    handler = found.handler
    node = project.function(handler) if handler else None
    names = {each.name for each in found.parameters}
    bodies: list[tuple[str, Shape, ast.Call | None, object]] = []
    if node is not None and handler is not None:
        _read(project, handler.file, node, names, result, bodies, 0)
        _bodies(project, handler.file, bodies, result)
    chain = list(found.mounted.calls) if found.mounted else []
    if found.call is not None:
        file = handler.file if handler else ""
        chain.append((file, found.call))
    for file, call in chain:
        listed = keyword(call, "dependencies")
        for each in listed.elts if isinstance(listed, ast.List | ast.Tuple) else ():
            if isinstance(each, ast.Call) and each.args:
                result.dependencies.append((file, each.args[0]))
                _follow(project, file, each.args[0], names, result, bodies, 0)
    declared = {each.name for each in result.parameters if each.place is Place.PATH}
    result.parameters[:0] = [each for each in found.parameters if each.name not in declared]
    unique = {(each.place, each.path): each for each in result.parameters}
    result.parameters = list(unique.values())
    return result


def _arguments(node: Function) -> list[tuple[ast.arg, ast.expr | None]]:
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
    pairs = list(zip(positional, [*defaults, *node.args.defaults], strict=True))
    return [*pairs, *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]


def _read(
    project: Project,
    file: str,
    node: Function,
    names: set[str],
    result: Signature,
    bodies: list[tuple[str, Shape, ast.Call | None, object]],
    depth: int,
) -> None:
    for arg, default in _arguments(node):
        if arg.arg in {"self", "cls"}:
            continue
        kind = shape(project, file, arg.annotation)
        if (dependency := depends(file, kind, default, arg.annotation)) is not None:
            result.dependencies.append(dependency)
            _follow(project, *dependency, names, result, bodies, depth)
            continue
        annotation = arg.annotation
        while isinstance(annotation, ast.Subscript) and dotted(annotation.value).endswith("Annotated"):
            annotation = annotation.slice.elts[0] if isinstance(annotation.slice, ast.Tuple) else annotation.slice
        if dotted(annotation).rpartition(".")[2] in _GIVEN:
            continue
        call, value = setting(project, file, default, kind)
        required = (value is MISSING and default is None) or (value is MISSING and call is not None)
        kind_name = dotted(call.func).rpartition(".")[2] if call else ""
        place = _PLACES.get(kind_name)
        name = (project.text(keyword(call, "alias"), file) if call else None) or arg.arg
        if name in names:
            place = Place.PATH
        if place is None:
            place = _implied(kind)
        if place is Place.JSON:
            bodies.append((name, kind, call, value))
            if kind.type in {"object", "any"} and kind.model is None:
                result.objects.append(arg.arg)
            continue
        if place is Place.HEADER and name == arg.arg:
            name = name.replace("_", "-")
        if kind.type == "file":
            place = Place.FILE
        if place in {Place.FORM, Place.FILE}:
            result.body = "multipart" if place is Place.FILE else result.body or "form"
        result.parameters += leaves(
            project, file, kind, place, (name,), call=call,
            default=value, required=bool(required) or place is Place.PATH,
        )  # fmt: skip


def _implied(kind: Shape) -> Place:
    """Where FastAPI looks for an argument without a marker: scalars in the query, all else in the body."""
    if kind.type == "file":
        return Place.FILE
    if kind.type in {"object", "array"} or (kind.type == "class" and kind.model):
        if kind.type == "array" and kind.items is not None and kind.items.type == "file":
            return Place.FILE
        return Place.JSON
    return Place.QUERY


def _bodies(
    project: Project, file: str, bodies: list[tuple[str, Shape, ast.Call | None, object]], result: Signature
) -> None:
    for name, kind, call, value in bodies:
        asked = keyword(call, "embed") if call else None
        embed = len(bodies) > 1 or (isinstance(asked, ast.Constant) and asked.value is True)
        found = leaves(
            project, file, kind, Place.JSON, (name,) if embed else (), call=call, required=isinstance(value, Missing)
        )
        # A body of unknown content is read off the handler's source instead.
        result.parameters += [each for each in found if each.path or each.type not in {"object", "any"}]
        result.body = "json"
        if kind.model and not result.body_model:
            result.body_model = kind.model.name.rpartition(".")[2]


def depends(
    file: str, kind: Shape, default: ast.expr | None, annotation: ast.expr | None
) -> tuple[str, ast.expr] | None:
    """What an argument depends on, with the file that says so; a bare `Depends()` means the annotated class."""
    for home, each in ((file, default), *kind.metadata):
        if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] in {"Depends", "Security"}:
            target = each.args[0] if each.args else keyword(each, "dependency")
            if target is not None:
                return home, target
            own = _own_class(annotation)
            return (file, own) if own is not None else None
    return None


def _own_class(annotation: ast.expr | None) -> ast.expr | None:
    if isinstance(annotation, ast.Subscript) and isinstance(annotation.slice, ast.Tuple):
        return annotation.slice.elts[0]
    return annotation


def target_of(project: Project, file: str, node: ast.expr) -> Symbol | str:
    """The function or class that a dependency calls: the name itself, or what its factory is."""
    if isinstance(node, ast.Call):
        return project.resolve(file, dotted(node.func))
    return project.resolve(file, dotted(node))


def dependency_function(project: Project, file: str, node: ast.expr) -> tuple[Symbol, Function] | None:
    """The function that runs for a dependency.

    It is the dependency itself, `__call__` of an instance, `__init__` of a class, or the inner function of a factory.
    """
    found = target_of(project, file, node)
    if not isinstance(found, Symbol):
        return None
    definition = project.definition(found)
    if definition is None:
        klass = project.instance(found)
        found = Symbol(klass.file, f"{klass.name}.__call__") if klass else found
        function = project.function(found)
        return (found, function) if function else None
    if definition.kind == "class":
        inner = Symbol(found.file, f"{found.name}.{'__call__' if isinstance(node, ast.Call) else '__init__'}")
        function = project.function(inner)
        return (inner, function) if function else None
    if isinstance(node, ast.Call):
        for name in definition.returns:
            inner = Symbol(found.file, f"{found.name}.{name}")
            if (function := project.function(inner)) is not None:
                return inner, function
    function = project.function(found)
    return (found, function) if function else None


def _follow(
    project: Project,
    file: str,
    node: ast.expr,
    names: set[str],
    result: Signature,
    bodies: list[tuple[str, Shape, ast.Call | None, object]],
    depth: int,
) -> None:
    if depth > _DEEPEST or len(result.dependencies) > 100:  # noqa: PLR2004 - hostile trees end here
        return
    if dotted(node).rpartition(".")[2] in _LOGIN:
        result.body = "form"
        result.parameters += [
            Parameter(Place.FORM, ("username",), "string", required=True),
            Parameter(Place.FORM, ("password",), "string", required=True, format="password"),
        ]
        return
    if (function := dependency_function(project, file, node)) is not None:
        _read(project, function[0].file, function[1], names, result, bodies, depth + 1)
        return
    found = target_of(project, file, node)
    if isinstance(found, Symbol) and (klass := project.klass(found)) is not None and klass.body:
        kind = shape(project, file, node)
        if kind.model:
            result.parameters += leaves(project, file, kind, Place.QUERY, ())
