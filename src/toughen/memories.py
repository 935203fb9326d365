"""Owns what handlers keep in variables of a module: which variables, who writes and who reads them, and how two processes are told apart by them."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted, scope_of
from toughen.handling import Place, called, calls_of, handlers, parsed
from toughen.model.finding import Suspicion
from toughen.model.journey import Grant, Marker
from toughen.model.source import Location
from toughen.model.trial import Experiment, Trial
from toughen.oracle import advisory
from toughen.pairs import shifted
from toughen.singletons import asked, given, giver, later, maker
from toughen.twists import texts as free_texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import FunctionNode, Module
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.journey import Call, Journey
    from toughen.rule import Target

_ADDING = {"append", "add", "insert", "extend", "update", "setdefault", "appendleft"}
_CONTAINERS = {"dict", "list", "set", "defaultdict", "OrderedDict", "deque", "Counter"}
_ELSEWHERE = re.compile(r"\b(execute|commit|cursor|session|Session|redis|Redis|mongo|pymongo|open|json\.dump|pickle|shelve|sqlite3|engine)\b")
"""What a function keeps somewhere else too: a database, a file, another process."""
_ABOUT_REQUESTS = re.compile(r"cache|rate|limit|attempt|metric|stat(s|istics)$|counter$|requests?$|hits|uptime|lock|session|connection|client|pool", re.IGNORECASE)
"""Variables that hold what can be had again, or what is about the process itself."""
_WRITERS = 3


@dataclass
class Store:
    """A variable of a module that handlers add to."""

    name: str
    file: str
    line: int
    counter: bool
    """A number, rather than something that holds others."""
    writers: dict[str, None] = field(default_factory=dict)
    """Routes that add to it (or count it)."""
    readers: dict[str, None] = field(default_factory=dict)


_read: list[tuple[Blueprint, Mapping[str, str], list[Store]]] = []
"""What was read last: every route asks for it."""


def stores(blueprint: Blueprint, sources: Mapping[str, str]) -> list[Store]:
    """Variables that some route adds to, nowhere else keeping what it adds, and that another route reads."""
    for known, texts, found in _read:
        if known is blueprint and texts is sources:
            return found
    found = _stores(blueprint, sources)
    _read[:] = [*_read[-3:], (blueprint, sources, found)]
    return found


def _stores(blueprint: Blueprint, sources: Mapping[str, str]) -> list[Store]:
    known = {(file, each.name): each for file, module in parsed(sources).items() for each in _variables(module, tuple(parsed(sources).values()))}
    for handler in handlers(blueprint, sources):
        reach = _reach(handler)
        elsewhere = handler.route.method != "GET" and any(_ELSEWHERE.search(place.module.segment(place.node)) for place in reach)
        for place in reach:
            for (file, name), writes in _uses(place, known, handler.project):
                store = known.get((file, name))
                if store is None:
                    continue
                if writes and handler.route.method != "GET" and not elsewhere:
                    store.writers[handler.route.id] = None
                # One function may answer for several methods.
                store.readers |= {each.id: None for each in blueprint.routes if each.method == "GET" and each.handler == handler.route.handler}
    return [each for each in known.values() if each.writers and each.readers and not _ABOUT_REQUESTS.search(each.name) and not (each.counter and advisory(each.name))]


def _reach(handler: Handler) -> list[Place]:
    """The functions that a handler calls, and those that it depends on."""
    found = list(handler.reach)
    arguments = handler.home.node.args
    for default in (*arguments.defaults, *arguments.kw_defaults):
        if isinstance(default, ast.Call) and dotted(default.func).rpartition(".")[2] == "Depends" and default.args:
            depends = called(handler.home, ast.Call(func=default.args[0], args=[], keywords=[]), handler.project)
            found += [depends] if depends is not None else []
    return found


def _variables(module: Module, project: tuple[Module, ...]) -> Iterator[Store]:
    for node in module.tree.body:
        match node:
            case ast.FunctionDef(name=name) if (made := maker(node)) is not None and _remembers(module, made, project):
                yield Store(name, module.file, node.lineno, counter=False)
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                value = _made(module, name, value)
                if _holds(value) or _remembers(module, value, project) or (_number(value) and not name.isupper()):
                    yield Store(name, module.file, node.lineno, _number(value))


def _made(module: Module, name: str, value: ast.expr) -> ast.expr:
    """What a variable holds once somebody has asked for it."""
    return later(module, name) or value if isinstance(value, ast.Constant) and value.value is None else value


def _holds(value: ast.expr) -> bool:
    return isinstance(value, ast.Dict | ast.List | ast.Set) or (isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in _CONTAINERS)


def _number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, int) and not isinstance(value.value, bool)


def _remembers(module: Module, value: ast.expr, project: tuple[Module, ...]) -> bool:
    """Whether it is an object of the project's own whose methods add to what it holds, and keep it nowhere else."""
    made = _class_of(module, value, project)
    if made is None:
        return False
    home, node = made
    return not _ELSEWHERE.search(home.segment(node)) and any(_adds(each) for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name != "__init__")


def _class_of(module: Module, value: ast.expr, project: tuple[Module, ...]) -> tuple[Module, ast.ClassDef] | None:
    if not isinstance(value, ast.Call):
        return None
    origin = module.resolve(value.func)
    name = origin.rpartition(".")[2]
    for home in (module, *project):
        if home is module or _stem(home) == origin.rpartition(".")[0].rpartition(".")[2]:
            found = next((node for node in home.tree.body if isinstance(node, ast.ClassDef) and node.name == name), None)
            if found is not None and not any("Model" in dotted(base) or "Base" in dotted(base) for base in found.bases):
                return home, found
    return None


def _adds(method: FunctionNode) -> bool:
    """Whether a method adds to an attribute of its object."""
    return any(writes and root.startswith("self.") for root, writes in _touched(method))


def _touched(function: FunctionNode) -> Iterator[tuple[str, bool]]:
    """Dotted names whose value a function uses, and whether it adds to it."""
    outer = {name for node in scope_of(function) if isinstance(node, ast.Global) for name in node.names}
    for node in scope_of(function):
        match node:
            case ast.Assign(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Subscript) or (isinstance(target, ast.Name) and target.id in outer):
                        yield _root(target), True
            case ast.AugAssign(target=target) if not isinstance(target, ast.Name) or target.id in outer:
                yield _root(target), True
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _ADDING:
                yield _root(value), True
            case ast.Name(id=name, ctx=ast.Load()):
                yield name, False
            case ast.Attribute(ctx=ast.Load()):
                yield dotted(node), False


def _root(node: ast.expr) -> str:
    """What a chain of keys and items begins with: `todos` of `todos[user]["open"]`."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return dotted(node)


def _uses(place: Place, known: Mapping[tuple[str, str], Store], project: tuple[Module, ...]) -> Iterator[tuple[tuple[str, str], bool]]:
    module = place.module
    arguments = place.node.args
    own = {each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    outer = {name for node in scope_of(place.node) if isinstance(node, ast.Global) for name in node.names}
    own |= {each.id for node in scope_of(place.node) if isinstance(node, ast.Assign) for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)} - outer
    named = aliases(place, known, project)
    for root, writes in _touched(place.node):
        head = root.partition(".")[0]
        if head in named:
            yield named[head], writes
        elif head not in own:
            yield from ((key, writes) for key in _meant(module, root, known))
    for call in calls_of(place.node):
        if isinstance(call.func, ast.Attribute) and (root := dotted(call.func.value)):
            found = [named[root]] if root in named else _meant(module, root, known) if root.partition(".")[0] not in own else ()
            for key in found:
                yield key, _method_adds(known[key], call.func.attr, project)


def aliases(place: Place, known: Mapping[tuple[str, str], Store], project: tuple[Module, ...]) -> dict[str, tuple[str, str]]:
    """Local names for a variable that is handed out, or for something that one holds: `item = items[item_id]`, `item = items.get(item_id)`, `for item in items`."""
    found: dict[str, tuple[str, str]] = {}
    for name, function in asked(place):
        source = giver(place, function, project)
        if source is not None:
            own = (source.module.file, source.node.name)
            keys = [own] if own in known else [key for each in given(source.node) for key in _meant(source.module, each, known)]
            found.update((name, key) for key in keys[:1])
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.For(target=ast.Name(id=name), iter=value):
                taken = _held(value)
                key = next(_meant(place.module, _root(taken), known), None) if taken is not None else None
                if key is not None:
                    found[name] = key
    return found


def _held(value: ast.expr) -> ast.expr | None:
    """The variable of which an expression takes something out; None where it makes something new of it."""
    match value:
        case ast.Subscript() | ast.Name() | ast.Attribute():
            return value
        case ast.Call(func=ast.Attribute(value=inner, attr="get" | "values" | "setdefault")):
            return inner
        case ast.Call(func=ast.Name(id="next"), args=[ast.GeneratorExp(elt=ast.Name(id=name), generators=[ast.comprehension(target=ast.Name(id=same), iter=inner), *_]), *_]) if name == same:
            return _held(inner)
    return None


def written_at(handler: Handler, store: Store) -> list[tuple[str, int]]:
    """(file, line) of each statement of a handler's, and of what it calls, that changes what a variable holds."""
    known = {(store.file, store.name): store}
    found: dict[tuple[str, int], None] = {}
    for place in handler.reach:
        named = aliases(place, known, handler.project)
        for node in scope_of(place.node):
            root = _changed(node, place.node)
            if root and (root.partition(".")[0] in named or next(_meant(place.module, root, known), None) is not None):
                found[place.module.file, place.module.statement_of(node).lineno] = None
    return list(found)


def _changed(node: ast.AST, function: FunctionNode) -> str:
    """What a chain that a statement changes begins with, "" where it changes nothing that outlives the function."""
    outer = {name for each in scope_of(function) if isinstance(each, ast.Global) for name in each.names}
    match node:
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute() as target]) | ast.AugAssign(target=ast.Subscript() | ast.Attribute() as target):
            return _root(target)
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AugAssign(target=ast.Name(id=name)) if name in outer:
            return name
        case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _ADDING:
            return _root(value)
    return ""


def _meant(module: Module, name: str, known: Mapping[tuple[str, str], Store]) -> Iterator[tuple[str, str]]:
    """The variable that a dotted name means: of this file, imported, or of an imported module."""
    if not name:
        return
    head = name.partition(".")[0]
    if (module.file, head) in known and head not in module.imports:
        yield module.file, head
        return
    origin = module.imports.get(head, "")
    parts = (origin + name[len(head) :]).split(".") if origin else []
    for end in range(2, len(parts) + 1):
        stem, variable = parts[end - 2], parts[end - 1]
        yield from ((file, each) for file, each in known if each == variable and file.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2] == stem)


def _method_adds(store: Store, method: str, project: tuple[Module, ...]) -> bool:
    home = next((each for each in project if each.file == store.file), None)
    node = next((each for each in home.tree.body if isinstance(each, ast.Assign | ast.AnnAssign | ast.FunctionDef) and each.lineno == store.line), None) if home else None
    value = None if home is None or node is None else maker(node) if isinstance(node, ast.FunctionDef) else node.value and _made(home, store.name, node.value)
    made = _class_of(home, value, project) if home is not None and value is not None else None
    return made is not None and any(_adds(each) for each in made[1].body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef) and each.name == method)


def _stem(module: Module) -> str:
    return module.file.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Each variable once, on the first route that reads it."""
    for store in stores(blueprint, sources):
        reader = next(iter(store.readers))
        yield Suspicion(break_id, reader, Location(store.file, store.line), f"{store.name} keeps what {next(iter(store.writers))} adds in the memory of one process")


def experiments(target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
    """For each variable whose first reader this route is: what a writing request added is looked for in the same process, and in another one."""
    for store in stores(target.blueprint, target.texts()):
        readers = [each for each in store.readers if target.journey(each) is not None]
        if readers[:1] != [route.id]:
            continue
        detail = (("store", store.name), ("file", store.file), ("line", str(store.line)), ("writers", ", ".join(store.writers)), ("readers", ", ".join(store.readers)))
        if any(call.route in store.writers for call in journey.calls[:-1]):
            yield _pair(journey.calls, journey.grants, (*detail, ("how", "built on")))
            continue
        for writer in [each for each in store.writers if target.journey(each) is not None][:_WRITERS]:
            writing = target.journey(writer)
            if writing is not None:
                yield from _read_after(writing, journey, detail)


def _read_after(writing: Journey, reading: Journey, detail: tuple[tuple[str, str], ...]) -> Iterator[Experiment]:
    steps = len(writing.calls)
    after = tuple(shifted(call, steps) for call in reading.calls)
    grants = (*writing.grants, *(Grant(each.table, each.where, each.column, each.value, each.after + steps if each.after else 0) for each in reading.grants))
    for text in free_texts(writing.call):
        marked = writing.call.with_argument(text.place, text.path, Marker("kept"))
        yield _pair((*writing.calls[:-1], marked, *after), grants, (*detail, ("how", "marked"), ("at", str(steps - 1))))
    yield _pair((*writing.calls, *after), grants, (*detail, ("how", "other"), ("at", str(steps - 1))), Trial(reading.calls, reading.grants, workers="one"))


def _pair(calls: tuple[Call, ...], grants: tuple[Grant, ...], detail: tuple[tuple[str, str], ...], alone: Trial | None = None) -> Experiment:
    trials = {"control": Trial(calls, grants, workers="one"), "apart": Trial(calls, grants, workers="each")}
    if alone is not None:
        trials |= {"alone": alone, "again": Trial(alone.calls, alone.grants, workers="each")}
    return Experiment(trials, "one process, and another one for each request", detail)


