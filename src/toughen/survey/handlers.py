"""Owns what one route reads and asks: parameters declared and inferred, and its guards."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Guard, Parameter, Place, Route
from toughen.model.source import Location
from toughen.survey import guards as guarding
from toughen.survey import urls
from toughen.survey.asked import roles_in
from toughen.survey.bodies import read_body
from toughen.survey.facts import dotted
from toughen.survey.fastapi import Signature, depends, signature
from toughen.survey.models import shape
from toughen.survey.project import Function, Project, Symbol
from toughen.survey.refusals import denials
from toughen.survey.routes import Found, collect, hooks
from toughen.survey.spec import specified

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.survey.routers import Graph, Key, Mounted

_TYPED: Final = frozenset({"fastapi"})
_BODYLESS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass
class Handlers:
    """The routes of one application and how to read them."""

    graph: Graph
    framework: str
    _hooks: list[tuple[Symbol, Mounted]] | None = field(default=None)

    @property
    def project(self) -> Project:
        """The project."""
        return self.graph.project

    @cached_property
    def found(self) -> list[Found]:
        """Every route that the source declares."""
        declared = urls.declared(self.project) if self.framework == "django" else []
        return [*collect(self.graph), *specified(self.graph), *declared]

    @cached_property
    def hooks(self) -> list[tuple[Symbol, Mounted, Function]]:
        """Functions in front of every handler that refuse somebody."""
        found = []
        for symbol, mounted in hooks(self.graph):
            node = self.project.function(symbol)
            if node is not None and denials(node.body):
                found.append((symbol, mounted, node))
        return found

    def routes(self, found: Found) -> list[Route]:
        """One Route for each method."""
        return [self.route(found, method) for method in found.methods]

    def route(self, found: Found, method: str) -> Route:
        """The Route as the source alone tells it."""
        try:
            return self._route(found, method)
        except RecursionError:
            # A handler nested beyond reason: where it is remains true.
            return Route(method, found.path, self.place(found.handler), introspected=False)

    def place(self, symbol: Symbol | None) -> Location:
        """The handler's definition; file "" outside the project."""
        return guarding.place(self.project, symbol) if symbol else Location("", 0)

    def _route(self, found: Found, method: str) -> Route:
        symbol = found.handler
        node = self.project.function(symbol) if symbol else None
        read = signature(self.project, found) if self.framework in _TYPED else Signature(list(found.parameters))
        identities = self.identities(symbol, node)
        objects = self.objects(found, symbol, node, read)
        decorators = [*(node.decorator_list if node else ()), *found.wrappers]
        parameters, body = list(read.parameters), found.body or read.body
        if symbol is not None:
            reading = read_body(
                self.project, symbol, objects=objects, method=method, wrappers=self.wrappers(symbol, decorators)
            )
            parameters = merge(parameters, reading.parameters())
            body = body or reading.body
        if method in _BODYLESS:
            parameters = [each for each in parameters if each.declared or each.place is not Place.JSON]
            body = body if any(each.place in {Place.JSON, Place.FORM, Place.FILE} for each in parameters) else None
        return Route(
            method,
            found.path,
            self.place(symbol),
            tuple(parameters),
            tuple(self.guards(found, read.dependencies, identities)),
            body,
            introspected=False,
            body_model=read.body_model,
        )

    def objects(self, found: Found, symbol: Symbol | None, node: Function | None, read: Signature) -> list[str]:
        """Arguments that hold an untyped JSON object."""
        if self.framework == "connexion" and node is not None:
            return [each.arg for each in node.args.args if each.arg == "body"]
        # webargs, apifairy and flask_smorest hand the parsed body over as an argument; its schema declares it.
        del found, symbol
        return read.objects

    def identities(self, symbol: Symbol | None, node: Function | None) -> set[str]:
        """Arguments that hold the caller, since their dependency guards."""
        if symbol is None or node is None or self.framework not in _TYPED:
            return set()
        found: set[str] = set()
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
        pairs = [*zip(positional, [*defaults, *node.args.defaults], strict=True)]
        pairs += zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        for arg, default in pairs:
            kind = shape(self.project, symbol.file, arg.annotation)
            target = depends(symbol.file, kind, default, arg.annotation)
            if target is not None and guarding.dependency_guards(self.project, [target]):
                found.add(arg.arg)
        return found

    def wrappers(self, symbol: Symbol, decorators: Iterable[ast.expr]) -> list[Symbol]:
        """The project's own decorators of a handler."""
        found = []
        for each in decorators:
            name = dotted(each.func if isinstance(each, ast.Call) else each)
            target = self.project.resolve(symbol.file, name, symbol.name) if name else ""
            definition = self.project.definition(target) if isinstance(target, Symbol) else None
            if isinstance(target, Symbol) and definition and definition.kind == "def":
                found.append(target)
        return found

    def guards(
        self,
        found: Found,
        dependencies: list[tuple[str, ast.expr]],
        identities: set[str],
        framework: list[Guard] | None = None,
    ) -> list[Guard]:
        """All guards of a route; `framework` replaces the dependencies where the framework itself named them."""
        listed = list(framework) if framework is not None else guarding.dependency_guards(self.project, dependencies)
        symbol = found.handler
        if symbol is not None:
            node = self.project.function(symbol)
            scope = symbol.name.rpartition(".")[0]
            wrappers = [*(node.decorator_list if node else ()), *found.wrappers]
            listed += guarding.decorator_guards(self.project, symbol.file, scope, wrappers)
            listed += guarding.inline_guards(self.project, symbol, identities)
        for hook, mounted, node in self.hooks:
            if self.fronts(hook, mounted, found) and not _exempt(node, found):
                asked = roles_in(self.project, hook.file, node)
                listed.append(Guard("inline", hook.name, guarding.place(self.project, hook), asked))
        if not listed and found.secured:
            listed += [Guard("scheme", name, self.place(symbol)) for name in found.secured]
        return listed

    def fronts(self, hook: Symbol, mounted: Mounted, found: Found) -> bool:
        """Whether a hook runs in front of a route: it hangs on the application, or on the route's own router."""
        if found.mounted is None:
            return mounted.router.key == self.graph.root
        definition = self.project.definition(hook)
        everywhere = definition and any(head.endswith("before_app_request") for head in definition.decorators)
        root: Key | None = self.graph.root
        return bool(everywhere) or mounted.router.key in {root, found.mounted.router.key}


def _exempt(node: Function, found: Found) -> bool:
    """Whether a hook names the route's path or endpoint among those that it lets through."""
    name = found.handler.name.rpartition(".")[2] if found.handler else ""
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and each.value:
            text = each.value
            if text == found.path or text.rpartition(".")[2] == name:
                return True
        if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "startswith":
            for prefix in ast.walk(each):
                if (
                    isinstance(prefix, ast.Constant)
                    and isinstance(prefix.value, str)
                    and len(prefix.value) > 1
                    and found.path.startswith(prefix.value)
                    and not _negated(node, each)
                ):
                    return True
    return False


def _negated(node: Function, call: ast.Call) -> bool:
    """`if path.startswith("/api/admin") and not admin: refuse` guards that prefix, it does not exempt it."""
    for each in ast.walk(node):
        if isinstance(each, ast.If) and any(inner is call for inner in ast.walk(each.test)):
            return bool(denials(each.body)) and not any(
                isinstance(inner, ast.UnaryOp)
                and isinstance(inner.op, ast.Not)
                and any(x is call for x in ast.walk(inner))
                for inner in ast.walk(each.test)
            )
    return False


def merge(declared: list[Parameter], inferred: list[Parameter]) -> list[Parameter]:
    """Declared parameters, then what the source reads besides; a part of a declared value is no news."""
    known = {(each.place, each.path) for each in declared}
    bodies = {each.path[0] for each in declared if each.place is Place.JSON and each.path}
    names = {(each.place, str(each.name).lower()) for each in declared if each.place is not Place.JSON}
    found = list(declared)
    for each in inferred:
        if (each.place, each.path) in known or (each.place, each.name.lower()) in names:
            continue
        if each.place is Place.JSON and each.path[0] in bodies:
            continue
        found.append(each)
    return found


__all__ = ["Handlers", "merge", "replace"]
