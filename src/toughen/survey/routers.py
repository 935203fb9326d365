"""Owns the graph of applications and routers: who includes whom, under which prefix, and what stands in front of it."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toughen.survey.facts import dotted
from toughen.survey.project import Symbol, argument, keyword

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.project import Project

_KINDS: Final = {
    "FastAPI": "fastapi",
    "APIRouter": "router",
    "Starlette": "starlette",
    "Router": "router",
    "Flask": "flask",
    "APIFlask": "flask",
    "OpenAPI": "flask",
    "Quart": "flask",
    "Blueprint": "router",
    "APIBlueprint": "router",
    "App": "connexion",
    "FlaskApp": "connexion",
    "AsyncApp": "connexion",
    "Api": "api",
    "Namespace": "router",
    "namespace": "router",
}
_PACKAGES: Final = {
    "fastapi": {"FastAPI", "APIRouter"},
    "starlette": {"Starlette", "Router"},
    "flask": {"Flask", "Blueprint"},
    "apiflask": {"APIFlask", "APIBlueprint"},
    "flask_openapi3": {"OpenAPI", "APIBlueprint"},
    "flask_smorest": {"Api", "Blueprint"},
    "flask_restful": {"Api"},
    "flask_restx": {"Api", "Namespace"},
    "connexion": {"App", "FlaskApp", "AsyncApp", "FlaskAPI"},
    "quart": {"Quart", "Blueprint"},
}
APPLICATIONS: Final = frozenset({"fastapi", "starlette", "flask", "connexion"})

Key = tuple[str, str, str]
"""File, scope and name of the variable that holds a router."""


@dataclass(frozen=True, slots=True)
class Router:
    """An application or router, where it is made."""

    key: Key
    kind: str
    """fastapi, starlette, flask, connexion, router (a part of one) or api (flask_restful and its kin)."""
    call: ast.Call
    line: int
    prefix: str = ""

    @property
    def file(self) -> str:
        """File that makes it."""
        return self.key[0]


@dataclass(frozen=True, slots=True)
class Link:
    """One router put into another."""

    parent: Key
    child: Key
    prefix: str
    replaces: bool
    """True where the prefix takes the place of the child's own (Flask)."""
    call: ast.Call
    file: str


@dataclass(frozen=True, slots=True)
class Mounted:
    """A router as it is reached from the application: the whole prefix and the chain of calls that carry dependencies."""

    router: Router
    prefix: str
    calls: tuple[tuple[str, ast.Call], ...]
    """(file, call) of every constructor and include on the way."""


@dataclass
class Graph:
    """Every router of the project and how they hang together."""

    project: Project
    routers: dict[Key, Router] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    unresolved: int = 0
    """Includes whose router could not be found."""
    root: Key | None = None
    """The chosen application; it stands in for parameters named app."""

    def __post_init__(self) -> None:
        """Collect routers, then links."""
        for file, seen in self.project.sightings("router"):
            for statement in self.project.statements(file, seen.line, seen.end):
                for node in ast.walk(statement):
                    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                        for target in targets:
                            self._router(file, node.lineno, dotted(target), node.value)

    def choose(self, root: Key | None) -> None:
        """Take the application whose routes are wanted, and read the links."""
        self.root = root
        self.links.clear()
        self.unresolved = 0
        for key, router in self.routers.items():
            self._extends(key, router)
        for file, seen in self.project.sightings("link"):
            if seen.text in {"include_router", "register_blueprint", "mount", "add_namespace"}:
                for call in calls_on(self.project, file, seen.line, seen.end, seen.text):
                    self._link(file, call)

    def _router(self, file: str, line: int, name: str, call: ast.Call) -> None:
        made = self._made(file, call)
        if not name or not made:
            return
        package, kind_name = made
        kind = _KINDS[kind_name]
        value = keyword(call, "prefix", "url_prefix", "path")
        if value is None and kind_name in {"Namespace", "namespace"}:
            first = self.project.text(argument(call, 0, "name"), file)
            prefix = f"/{first}" if first else ""
        else:
            prefix = self.project.text(value, file) or ""
        if kind == "connexion" and package != "connexion":
            return
        key = (file, self.project.scope(file, line), name)
        self.routers[key] = Router(key, kind, call, line, prefix.rstrip("/"))

    def _extends(self, key: Key, router: Router) -> None:
        """`Api(app)` of flask_restful and its kin, and the namespaces that hang on it."""
        file, scope, _ = key
        func = router.call.func
        if router.kind == "api":
            parent = argument(router.call, 0, "app", "blueprint")
            found = self.find(file, scope, dotted(parent)) if parent is not None else None
            # An `Api()` without an app is tied to one by init_app.
            found = found or self.root
        elif isinstance(func, ast.Attribute) and func.attr == "namespace":
            found = self.find(file, scope, dotted(func.value))
        else:
            return
        if found and found != key:
            self.links.append(Link(found, key, "", replaces=False, call=router.call, file=file))

    def _made(self, file: str, call: ast.Call) -> tuple[str, str] | None:
        name = dotted(call.func)
        last = name.rpartition(".")[2]
        if last == "namespace":
            return ("flask_restx", last)
        found = self.project.resolve(file, name)
        if isinstance(found, Symbol):
            return self._subclass(found)
        package = found.partition(".")[0]
        if last not in _PACKAGES.get(package, set()):
            last = found.rpartition(".")[2]
        return (package, last) if last in _PACKAGES.get(package, set()) else None

    def _subclass(self, symbol: Symbol) -> tuple[str, str] | None:
        definition = self.project.definition(symbol)
        for base in definition.bases if definition and definition.kind == "class" else ():
            found = self.project.external(symbol.file, base)
            package, last = found.partition(".")[0], found.rpartition(".")[2]
            if last in _PACKAGES.get(package, set()):
                return package, last
        return None

    def find(self, file: str, scope: str, name: str, depth: int = 0) -> Key | None:
        """The router that a dotted name means, seen from a scope; the root for a parameter of an enclosing function."""
        if not name or depth > 8:  # noqa: PLR2004 - aliases of aliases end somewhere
            return None
        around = scope
        while True:
            if (file, around, name) in self.routers:
                return (file, around, name)
            if around:
                definition = self.project.facts[file].definition(around)
                if definition and definition.kind == "def" and name in definition.bases:
                    return self.root
            if not around:
                break
            around = around.rpartition(".")[0]
        found = self.project.resolve(file, name)
        if not isinstance(found, Symbol):
            trimmed = name.removesuffix(".app")
            return self.find(file, scope, trimmed, depth + 1) if trimmed != name else None
        key = (found.file, "", found.name)
        if key in self.routers:
            return key
        value = self.project.value(found)
        if isinstance(value, ast.Call):
            made = self.made_by(found.file, value, depth + 1)
            if made:
                return made
        elif isinstance(value, ast.Name | ast.Attribute):
            return self.find(found.file, "", dotted(value), depth + 1)
        trimmed = name.removesuffix(".app")
        return self.find(file, scope, trimmed, depth + 1) if trimmed != name else None

    def made_by(self, file: str, call: ast.Call, depth: int = 0) -> Key | None:
        """The router that a call to one of the project's factories returns."""
        found = self.project.resolve(file, dotted(call.func))
        return self.factory(found, depth) if isinstance(found, Symbol) else None

    def factory(self, symbol: Symbol, depth: int = 0) -> Key | None:
        """The router that a function of the project builds and returns."""
        definition = self.project.definition(symbol)
        if definition is None or definition.kind != "def" or depth > 8:  # noqa: PLR2004 - factories of factories
            return None
        for name in definition.returns:
            if name.endswith("()"):
                inner = self.project.resolve(symbol.file, name[:-2])
                found = self.factory(inner, depth + 1) if isinstance(inner, Symbol) else None
            else:
                found = self._returned(symbol, name, depth)
            if found:
                return found
        return None

    def _returned(self, symbol: Symbol, name: str, depth: int) -> Key | None:
        definition = self.project.definition(symbol)
        if definition and name in definition.bases:
            return None
        found = self.find(symbol.file, symbol.name, name, depth + 1)
        if found or (node := self.project.function(symbol)) is None:
            return found
        for inner in ast.walk(node):
            match inner:
                case ast.Assign(targets=[ast.Name(id=bound)], value=ast.Call() as call) if bound == name:
                    if made := self.made_by(symbol.file, call, depth + 1):
                        return made
        return None

    def _link(self, file: str, call: ast.Call) -> None:
        if not isinstance(call.func, ast.Attribute):
            return
        scope = self.project.scope(file, call.lineno)
        method = call.func.attr
        parent = self.find(file, scope, dotted(call.func.value))
        position = 1 if method == "mount" else 0
        child_node = argument(call, position, "router", "blueprint", "app", "ns")
        value = argument(call, 0, "path") if method == "mount" else keyword(call, "prefix", "url_prefix", "path")
        prefix = self.project.text(value, file)
        if parent is None or child_node is None:
            return
        children = [each for name in self._names(file, call, child_node) if (each := self.find(file, scope, name))]
        if isinstance(child_node, ast.Call) and (made := self.made_by(file, child_node)):
            children.append(made)
        if not children and method != "mount":
            self.unresolved += 1
        for child in children:
            flask = method in {"register_blueprint", "add_namespace"} and value is not None
            self.links.append(Link(parent, child, (prefix or "").rstrip("/"), flask, call, file))

    def _names(self, file: str, call: ast.Call, node: ast.expr) -> Iterator[str]:
        """Names that an argument can mean; the variable of a loop over a literal means each of its elements."""
        name = dotted(node)
        head, dot, rest = name.partition(".")
        around = self.project.facts[file].enclosing(call.lineno)
        body: list[ast.stmt] = []
        if around and (tree := self.project.tree(file, around)):
            body = [tree]
        elif not around and "for " in self.project.sources.texts[file]:
            body = self.project.statements(file, max(1, call.lineno - 1), call.end_lineno or call.lineno)
        for statement in body:
            for loop in ast.walk(statement):
                if isinstance(loop, ast.For) and isinstance(loop.target, ast.Name) and loop.target.id == head:
                    elements = loop.iter
                    if isinstance(elements, ast.Name):
                        found = self.project.resolve(file, elements.id)
                        elements = (self.project.value(found) if isinstance(found, Symbol) else None) or elements
                    if isinstance(elements, ast.List | ast.Tuple):
                        yield from (dotted(each) + dot + rest for each in elements.elts if dotted(each))
                        return
        if name:
            yield name

    def reached(self) -> list[Mounted]:
        """The root and every router that it reaches; all routers where an include could not be followed."""
        if self.root is None:
            return self._unrooted()
        found: list[Mounted] = []
        self._visit(self.root, "", (), found, ())
        if self.unresolved:
            known = {each.router.key for each in found}
            for key, router in self.routers.items():
                if key not in known and router.kind == "router" and not any(each.child == key for each in self.links):
                    self._visit(key, "", (), found, ())
        return found

    def _unrooted(self) -> list[Mounted]:
        found: list[Mounted] = []
        children = {each.child for each in self.links}
        for key in self.routers:
            if key not in children:
                self._visit(key, "", (), found, ())
        return found

    def _visit(
        self,
        key: Key,
        prefix: str,
        calls: tuple[tuple[str, ast.Call], ...],
        found: list[Mounted],
        above: tuple[Key, ...],
        *,
        replaced: bool = False,
    ) -> None:
        if key in above or key not in self.routers or len(found) > 2_000:  # noqa: PLR2004 - hostile graphs end here
            return
        router = self.routers[key]
        whole = prefix if replaced else prefix + router.prefix
        chain = (*calls, (router.file, router.call))
        found.append(Mounted(router, whole, chain))
        for link in self.links:
            if link.parent == key:
                self._visit(
                    link.child,
                    whole + link.prefix,
                    (*chain, (link.file, link.call)),
                    found,
                    (*above, key),
                    replaced=link.replaces,
                )


def calls_on(project: Project, file: str, first: int, end: int, name: str) -> list[ast.Call]:
    """The method calls of that name on these lines."""
    return [
        node
        for statement in project.statements(file, first, end)
        for node in ast.walk(statement)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == name
        and first <= node.lineno <= end
    ]
