"""Owns a route's handler as source: its function, and the project's own functions that it calls."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from toughen.codemod.module import Module, UnmendableError, dotted, scope_of
from toughen.codemod.refusals import is_route
from toughen.model.finding import Suspicion
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from toughen.codemod.module import FunctionNode
    from toughen.model.blueprint import Blueprint, Entry, Route

_DEEPEST, _MOST = 3, 40
"""How far calls are followed, and into how many functions: what lies further away says little of the route."""


@dataclass(frozen=True)
class Place:
    """A function of the project."""

    module: Module
    node: FunctionNode

    @property
    def name(self) -> str:
        """Its qualified name."""
        return self.module.qualified(self.node)


@dataclass(frozen=True)
class Handler:
    """One route with the function that answers it."""

    route: Route
    blueprint: Blueprint
    home: Place
    project: tuple[Module, ...]

    @cached_property
    def reach(self) -> tuple[Place, ...]:
        """The handler, then the project's functions that it calls, those they call, and so on; never another handler."""
        found: dict[int, Place] = {id(self.home.node): self.home}
        level = [self.home]
        for _ in range(_DEEPEST):
            below = [inner for place in level for call in calls_of(place.node) if (inner := called(place, call, self.project)) is not None]
            level = [each for each in {id(one.node): one for one in below}.values() if id(each.node) not in found and not is_route(each.node)]
            found |= {id(each.node): each for each in level[: _MOST - len(found)]}
        return tuple(found.values())

    def suspicion(self, break_id: str, line: int, message: str, place: Place | None = None) -> Suspicion:
        """A suspicion of this route, at a line of the handler or of a function that it calls."""
        where = place or self.home
        return Suspicion(break_id, self.route.id, Location(where.module.file, line, where.name), message)


def handlers(blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Handler]:
    """The handlers that lie in the project's own source; files that do not parse are passed over (the survey reports them)."""
    modules = parsed(sources)
    project = tuple(modules.values())
    for route in blueprint.routes:
        module = modules.get(route.handler.file)
        if module is None or not route.handler.function:
            continue
        try:
            node = module.function(route.handler.function, route.handler.line)
        except UnmendableError:
            continue
        others = {each.method for each in blueprint.routes if each.handler == route.handler}
        if route.method == "GET" and len(others) > 1 and "request.method" in module.segment(node):
            # What such a handler writes, it writes for its other methods.
            continue
        yield Handler(route, blueprint, Place(module, node), project)


def within(entry: Entry | None, sources: Mapping[str, str]) -> frozenset[str]:
    """Files that the entry is made of: its own, what it imports, and so on; what lies beside may be another application.

    Django is told of its apps by names in its settings: all that lies where its imports start.
    """
    modules = parsed(sources)
    if entry is not None and entry.framework == "django":
        return frozenset(each for each in modules if entry.import_root == "." or each.startswith(f"{entry.import_root}/"))
    if entry is None or entry.file not in modules:
        return frozenset(modules)
    found, waiting = {entry.file}, [entry.file]
    while waiting:
        origins = {part for origin in modules[waiting.pop()].imports.values() for part in origin.split(".")}
        near = [each for each in modules if each not in found and each.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2] in origins]
        found.update(near)
        waiting += near
    return frozenset(found)


def sought(blueprint: Blueprint, sources: Mapping[str, str], look: Callable[[Handler], Iterable[Suspicion]]) -> Iterator[Suspicion]:
    """What `look` sees in each handler; one that nests beyond reason is passed over."""
    for handler in handlers(blueprint, sources):
        try:
            yield from list(look(handler))
        except (RecursionError, UnmendableError):
            continue


def parsed(sources: Mapping[str, str]) -> dict[str, Module]:
    """Every file that parses, by its path; the same text is parsed once."""
    found = {file: _parsed(file, text) for file, text in sources.items()}
    return {file: module for file, module in found.items() if module is not None}


@lru_cache(maxsize=512)
def _parsed(file: str, text: str) -> Module | None:
    try:
        return Module(file, text)
    except UnmendableError:
        return None


def calls_of(node: FunctionNode) -> list[ast.Call]:
    """The calls of a function's own body, in the order of the source."""
    return [each for each in scope_of(node) if isinstance(each, ast.Call)]


def called(place: Place, call: ast.Call, project: tuple[Module, ...]) -> Place | None:
    """The project's function that a call means: of this file, imported by name, of an imported module, or a method of `self`."""
    name = dotted(call.func)
    head, _, last = name.rpartition(".")
    if not name:
        return None
    module = place.module
    if not head:
        origin = module.imports.get(last, "")
        own = [Place(module, each) for each in module.functions if each.name == last and not _is_method(module, each)]
        return own[-1] if own and not origin else _imported(origin.rpartition(".")[0], origin.rpartition(".")[2], project) if origin else None
    if head in {"self", "cls"}:
        above = place.name.rpartition(".")[0]
        return next((Place(module, each) for each in module.functions if each.name == last and module.qualified(each) == f"{above}.{last}"), None)
    origin = module.imports.get(head.partition(".")[0], "")
    kind = head.rpartition(".")[2]
    for home in (module, *project):
        for each in home.functions:
            if each.name == last and home.qualified(each) == f"{kind}.{last}" and (home is module or origin):
                return Place(home, each)
    return _imported(origin, last, project) if origin else None


def _imported(origin: str, name: str, project: tuple[Module, ...]) -> Place | None:
    """The function of that name in the file that an import names (`.crud`, `app.services.crud`), or in a package that hands it on."""
    stem = origin.rpartition(".")[2]
    found = [Place(home, each) for home in project for each in home.functions if each.name == name and not _is_method(home, each)]
    near = [each for each in found if stem in each.module.file.removesuffix(".py").split("/")]
    return near[0] if len(near) == 1 else next((each for each in near if each.module.file.endswith((f"/{stem}.py", f"{stem}.py"))), None)


def _is_method(module: Module, node: FunctionNode) -> bool:
    return isinstance(module.parent(node), ast.ClassDef)
