"""Owns what a function does to rows by Django's models, as its source says: which names hold a row, what it looks for, adds, and computes from what it read."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted, names_in, scope_of
from toughen.handling import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode, Module
    from toughen.handling import Handler
    from toughen.model.blueprint import Table

_GIVES = frozenset({"get", "first", "last", "latest", "earliest", "get_or_create", "update_or_create"})
"""Ends of a queryset that give one row."""
_ASKS = frozenset({"exists", "first", "last", "count", "get"})
_MADE = frozenset({"create", "acreate"})
_GENERIC = frozenset({"get_object"})


@dataclass(frozen=True, slots=True)
class Lookup:
    """A query for rows of a table by the values of some columns."""

    table: Table
    by: tuple[str, ...]
    """Fields, lower case; a foreign key by its name."""
    line: int


@dataclass(frozen=True, slots=True)
class Move:
    """A number of a row that is brought to what was computed from it."""

    table: Table
    column: str
    row: str
    """The name that holds the row."""
    line: int
    python: bool
    """The new value is computed in Python, rather than by the database (`F("stock") - 1`)."""


@dataclass(slots=True)
class Reading:
    """One function, read."""

    place: Place
    held: dict[str, Table] = field(default_factory=dict)
    lookups: list[Lookup] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    added: list[tuple[Table, int]] = field(default_factory=list)
    """(table, line) of the rows that it adds."""


def readings(handler: Handler) -> list[Reading]:
    """What the handler, the functions that it calls, and the methods of the rows that they hold do."""
    models = {(each.model or "").rpartition(".")[2]: each for each in handler.blueprint.tables if each.model}
    found: dict[int, Reading] = {}
    waiting: list[tuple[Place, dict[str, Table]]] = [(place, {}) for place in handler.reach]
    while waiting and len(found) < _MOST:
        place, held = waiting.pop(0)
        if id(place.node) in found:
            continue
        reading = found[id(place.node)] = _read(place, held, models, handler.project)
        waiting += list(_methods(reading, models, handler.project))
    return list(found.values())


_MOST = 60


def _methods(reading: Reading, models: dict[str, Table], project: tuple[Module, ...]) -> Iterator[tuple[Place, dict[str, Table]]]:
    """Methods that are called of held rows (`wallet.pay(amount)`), and of what is made of the project's classes (`form = TransferForm(...)`, `form.save()`)."""
    made = {name: dotted(value.func).rpartition(".")[2] for name, value in _assigned(reading.place.node) if isinstance(value, ast.Call)}
    for node in scope_of(reading.place.node):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if name in reading.held or made.get(name, "")[:1].isupper():
                table = reading.held.get(name)
                kind = (table.model or "").rpartition(".")[2] if table is not None else made[name]
                for module in project:
                    for each in module.functions if table is None or table.location is None or module.file == table.location.file else ():
                        if module.qualified(each) == f"{kind}.{method}":
                            yield Place(module, each), ({"self": table} if table is not None else _kept(module, each, models))


def _assigned(node: FunctionNode) -> list[tuple[str, ast.expr]]:
    """(dotted name, value) of each assignment, in the order of the source."""
    found = [each for each in scope_of(node) if isinstance(each, ast.Assign) and len(each.targets) == 1 and dotted(each.targets[0])]
    return [(dotted(each.targets[0]), each.value) for each in sorted(found, key=lambda each: each.lineno)]


def _kept(module: Module, method: FunctionNode, models: dict[str, Table]) -> dict[str, Table]:
    """The rows that the methods of a class keep in `self`."""
    above = module.parent(method)
    kept: dict[str, Table] = {}
    for each in (one for one in above.body if isinstance(one, ast.FunctionDef)) if isinstance(above, ast.ClassDef) else ():
        held: dict[str, Table] = {}
        for name, value in _assigned(each):
            table = held.get(dotted(value)) or _held(Place(module, each), value, models, held)
            if table is not None:
                held[name] = table
        kept |= {name: table for name, table in held.items() if name.startswith("self.")}
    return kept


def _read(place: Place, held: dict[str, Table], models: dict[str, Table], project: tuple[Module, ...]) -> Reading:
    reading = Reading(place, held)
    made: dict[str, Table] = {}
    computed: dict[str, set[str]] = {}
    for node in sorted((each for each in scope_of(place.node) if isinstance(each, ast.stmt)), key=lambda each: each.lineno):
        for call in _own(node):
            _called(reading, call, models, made, project)
        match node:
            case ast.Assign(targets=[ast.Name(id=name)] | [ast.Tuple(elts=[ast.Name(id=name), *_])], value=value):
                table = _held(place, value, models, reading.held)
                if table is not None:
                    reading.held[name] = table
                    made.pop(name, None)
                elif isinstance(value, ast.Call) and (new := models.get(dotted(value.func).rpartition(".")[2])) is not None:
                    made[name] = new
                elif isinstance(value, ast.Call) and (saved := _saved_by(value, models, project)) is not None:
                    made[name] = saved
                else:
                    computed[name] = {dotted(each) for each in ast.walk(value) if isinstance(each, ast.Attribute)} if any(isinstance(each, ast.BinOp) for each in ast.walk(value)) else set()
            case ast.For(target=ast.Name(id=name), iter=value) if (table := _held(place, value, models, reading.held, many=True)) is not None:
                reading.held[name] = table
            case ast.AugAssign(target=ast.Attribute(value=owner, attr=column), value=value, op=ast.Add() | ast.Sub()) if (row := dotted(owner)) in reading.held:
                _moved(reading, row, column, node, value)
            case ast.Assign(targets=[ast.Attribute(value=owner, attr=column)], value=value) if (row := dotted(owner)) in reading.held:
                sources = {dotted(each) for each in ast.walk(value) if isinstance(each, ast.Attribute)}.union(*(computed.get(name, set()) for name in names_in(value)))
                reckoned = any(isinstance(each, ast.BinOp) for each in ast.walk(value)) or names_in(value) & set(computed)
                if _by_database(value) or (f"{row}.{column}" in sources and reckoned):
                    _moved(reading, row, column, node, value)
    saves = [(dotted(each.func.value), each.lineno) for each in scope_of(place.node) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr in {"save", "asave", "bulk_update"}]
    reading.moves = [each for each in reading.moves if not each.row or any(line >= each.line and (name == each.row or name.endswith("objects")) for name, line in saves)]
    return reading


def _own(node: ast.stmt) -> Iterator[ast.Call]:
    """Calls of a statement's own, not those of its block."""
    inner = [each for name in ("body", "orelse", "finalbody", "handlers") for each in getattr(node, name, [])]
    below = {id(each) for part in inner for each in ast.walk(part)}
    yield from (each for each in ast.walk(node) if isinstance(each, ast.Call) and id(each) not in below)


def _moved(reading: Reading, row: str, column: str, node: ast.stmt, value: ast.expr) -> None:
    table = reading.held[row]
    kind = next((each.type for each in table.columns if each.name.lower() == column.lower()), None)
    if kind in {"integer", "number"}:
        reading.moves.append(Move(table, column.lower(), row, node.lineno, python=not _by_database(value)))


def _by_database(value: ast.expr) -> bool:
    """`F("stock") - 1`."""
    return any(isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] == "F" for each in ast.walk(value))


def _chain(node: ast.expr) -> tuple[str, list[ast.Call]]:
    """(the model's name, the calls behind its manager) of `M.objects.filter(...).first()`; ("", []) for anything else."""
    calls: list[ast.Call] = []
    while True:
        match node:
            case ast.Await(value=inner) | ast.Subscript(value=inner):
                node = inner
            case ast.Call(func=ast.Attribute(value=inner)):
                calls.append(node)
                node = inner
            case ast.Attribute(value=inner, attr="objects" | "_default_manager"):
                return dotted(inner).rpartition(".")[2], calls[::-1]
            case _:
                return "", []


def _called(reading: Reading, call: ast.Call, models: dict[str, Table], made: dict[str, Table], project: tuple[Module, ...]) -> None:
    """What a call looks for, adds, or moves in the database."""
    model, calls = _chain(call)
    table = models.get(model)
    if table is not None:
        last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        by = tuple(dict.fromkeys(name for each in calls if isinstance(each.func, ast.Attribute) and each.func.attr in {"filter", "get"} for name in _keys(each)))
        if last in _ASKS and by:
            reading.lookups.append(Lookup(table, by, call.lineno))
        elif last in _MADE:
            reading.added.append((table, call.lineno))
        elif last == "update":
            asked = {name.partition("__")[0] for each in calls[:-1] for name in (one.arg or "" for one in each.keywords) if "__" in name}
            columns = [each.arg for each in call.keywords if each.arg and _by_database(each.value) and each.arg not in asked]
            reading.moves += [Move(table, column.lower(), "", call.lineno, python=False) for column in columns]
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="save")) if name in made and not any(each.arg == "commit" for each in call.keywords):
            reading.added.append((made[name], call.lineno))
        case ast.Call(func=ast.Attribute(value=ast.Call(func=func), attr="save")) if (new := models.get(dotted(func).rpartition(".")[2])) is not None:
            reading.added.append((new, call.lineno))
        case ast.Call(func=ast.Attribute(attr="save", value=ast.Name(id=name))) if "serializer" in name.lower() and name in {each.arg for each in reading.place.node.args.args}:
            above = reading.place.module.parent(reading.place.node)
            inner = [node for node in ast.walk(above) if isinstance(node, ast.Assign) and any(dotted(each) == "serializer_class" for each in node.targets)] if isinstance(above, ast.ClassDef) else []
            table = _of_class(dotted(inner[0].value), models, project) if inner else None
            if table is not None:
                reading.added.append((table, call.lineno))


def _keys(call: ast.Call) -> Iterator[str]:
    """The fields whose values a filter asks for; a comparison of another kind asks for several rows."""
    for each in call.keywords:
        name, _, how = (each.arg or "").lower().partition("__")
        if name and how in {"", "id", "pk", "exact", "iexact"}:
            yield name


def _held(place: Place, value: ast.expr, models: dict[str, Table], held: dict[str, Table], *, many: bool = False) -> Table | None:
    """The table of the row (or of the rows) that an expression gives."""
    match value:
        case ast.Call(func=func, args=[first, *_]) if dotted(func).rpartition(".")[2] in {"get_object_or_404", "aget_object_or_404"}:
            return models.get(dotted(first).rpartition(".")[2]) or models.get(_chain(first)[0])
        case ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=attr)) if attr in _GENERIC:
            return _of_view(place, models)
        case ast.Attribute(value=ast.Name() | ast.Attribute(), attr=attr):
            # What hangs on another row: `request.user.wallet`, `order.product`.
            on_a_row = dotted(value.value) in {"request.user", "self.request.user"} or dotted(value.value) in held
            return next((table for name, table in models.items() if name.lower() == attr.lower()), None) if on_a_row else None
    model, calls = _chain(value)
    last = calls[-1].func.attr if calls and isinstance(calls[-1].func, ast.Attribute) else ""
    return models.get(model) if model and (many or last in _GIVES) else None


def _of_view(place: Place, models: dict[str, Table]) -> Table | None:
    """The model of a class of views: `queryset = M.objects.all()`, `model = M`."""
    above = place.module.parent(place.node)
    for node in above.body if isinstance(above, ast.ClassDef) else ():
        match node:
            case ast.Assign(targets=[ast.Name(id="queryset")], value=value):
                return models.get(_chain(value)[0])
            case ast.Assign(targets=[ast.Name(id="model")], value=value):
                return models.get(dotted(value).rpartition(".")[2])
    return None


def _saved_by(call: ast.Call, models: dict[str, Table], project: tuple[Module, ...]) -> Table | None:
    """The table that a form or serializer adds to when it is saved; None where it is given a row to change."""
    if any(each.arg == "instance" for each in call.keywords):
        return None
    return _of_class(dotted(call.func), models, project)


def _of_class(name: str, models: dict[str, Table], project: tuple[Module, ...]) -> Table | None:
    """The table of the model that a class of forms or serializers names in its Meta."""
    last = name.rpartition(".")[2]
    for module in project if last[:1].isupper() else ():
        for node in module.classes():
            if node.name == last:
                named = [each.value for inner in node.body if isinstance(inner, ast.ClassDef) and inner.name == "Meta" for each in inner.body if isinstance(each, ast.Assign) and "model" in map(dotted, each.targets)]
                return models.get(dotted(named[0]).rpartition(".")[2]) if named else None
    return None
