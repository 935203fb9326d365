"""Owns which rows a function touches, as its source says: the table, by which columns they are chosen, and what is written where."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import sql
from toughen.codemod.module import UnmendableError, dotted, names_in, own, scope_of
from toughen.codemod.orm import Load, loads
from toughen.codemod.sqltext import builds_text, read
from toughen.codemod.statements import EXECUTING, executions, single_assignment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import FunctionNode, Module
    from toughen.codemod.statements import Execution
    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint, Table


@dataclass(frozen=True, slots=True)
class Touch:
    """One statement on one table."""

    table: str
    verb: str
    """select, insert, update or delete."""
    by: tuple[str, ...]
    """Columns that choose the rows, lower case; empty for all rows."""
    columns: tuple[str, ...]
    """Columns written; of a SELECT its text, where it is written out."""
    line: int
    place: Place
    values: tuple[ast.expr, ...] = ()
    """What is bound to it."""


@dataclass(frozen=True, slots=True)
class Write:
    """One value on its way into a column."""

    table: str
    column: str
    how: str
    """set, or moves (`stock - ?`, `+=`)."""
    value: ast.expr
    line: int


class Rows:
    """One function's queries, the rows that its names hold, and its writes."""

    def __init__(self, handler: Handler, place: Place) -> None:
        """Read once."""
        self.blueprint: Blueprint = handler.blueprint
        self.place = place
        self.project = handler.project
        self.models = {each.model.rpartition(".")[2]: each for each in self.blueprint.tables if each.model}
        self.held = _annotated(place.node, self.models)
        """Names that hold a row (or rows) of a table."""
        self.made: set[str] = set()
        """Those that hold a row which this function makes."""
        self.chosen: dict[str, tuple[str, ...]] = {}
        """By which columns a held row was chosen."""
        self.touches: list[Touch] = []
        self.writes: list[Write] = []
        self.read()

    def read(self) -> None:
        """Read the statements in order; again where more is known of what its names hold."""
        self.touches, self.writes = [], []
        for node in scope_of(self.place.node):
            if isinstance(node, ast.stmt):
                self._queries(node)
                self._statement(node)

    def _touch(self, table: Table | None, verb: str, node: ast.stmt | ast.expr, by: tuple[str, ...] = (), columns: tuple[str, ...] = ()) -> None:
        if table is not None:
            self.touches.append(Touch(table.name.lower(), verb, by, columns, node.lineno, self.place))

    # -- queries -------------------------------------------------------------------------------------------------------

    def _queries(self, node: ast.stmt) -> None:
        module = self.place.module
        for found in executions(module, node, self.project):
            text = statement_text(self.place, found.text)
            joined = _joined(self.place, found) if text and isinstance(found.parameters, ast.Name) else None
            if joined is not None:
                self._raw(joined[0], found.call.lineno, joined[1])
            elif text:
                self._raw(text, found.call.lineno, tuple(values_of(found.parameters)))
        for load in loads(module, node):
            table = self.models.get(load.model.rpartition(".")[2])
            verb = "delete" if load.step("delete") else "update" if load.step("update") else "select"
            self._touch(table, verb, load.outer, self._by(load, table), self._updated(load) if verb == "update" else ())
            if table is not None:
                self._name(node, load, table)

    def _raw(self, text: str, line: int, values: tuple[ast.expr, ...]) -> None:
        reading, bound = sql.read(text), sql.bindings(text)
        by = tuple(dict.fromkeys(column for _, column, how in bound if how in {"eq", "in", "like", "is"} and column))
        if reading.writes:
            table = reading.writes[0]
            self.touches.append(Touch(table, reading.verb, () if reading.verb == "insert" else by, sql.written_columns(text), line, self.place, values))
            for (where, column, how), value in zip(bound, values, strict=False):
                if how in {"set", "insert", "sub", "add"} and column:
                    self.writes.append(Write(where or table, column, "set" if how in {"set", "insert"} else "moves", value, line))
        for table in reading.reads:
            self.touches.append(Touch(table, "select", by, (text,), line, self.place, values))

    def _by(self, load: Load, table: Table | None) -> tuple[str, ...]:
        key = next((each.name.lower() for each in table.columns if each.primary_key), "id") if table else "id"
        if load.kind == "get" or load.step("get", "get_or_404"):
            return (key,)
        found: list[str] = []
        for name, call in load.steps:
            if name == "filter_by":
                found += [each.arg.lower() for each in call.keywords if each.arg]
            if name in {"filter", "where"}:
                found += [each.attr.lower() for arg in call.args for each in ast.walk(arg) if isinstance(each, ast.Attribute) and dotted(each.value) == load.model]
        return tuple(dict.fromkeys(found))

    @staticmethod
    def _updated(load: Load) -> tuple[str, ...]:
        call = load.step("update")
        keys = [key for arg in call.args if isinstance(arg, ast.Dict) for key in arg.keys] if call is not None else []
        return tuple(str(key.value) if isinstance(key, ast.Constant) else key.attr if isinstance(key, ast.Attribute) else "*" for key in keys) or ("*",)

    def _name(self, node: ast.stmt, load: Load, table: Table) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)) | ast.For(target=ast.Name(id=name)):
                self.held[name] = table
                self.chosen[name] = self._by(load, table)
                self.made.discard(name)

    # -- statements ----------------------------------------------------------------------------------------------------

    def _statement(self, node: ast.stmt) -> None:
        for call in (each for each in own(node) if isinstance(each, ast.Call)):
            self._constructed(call)
            self._session(call)
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func)) if (table := self.models.get(dotted(func).rpartition(".")[2])):
                self.held[name] = table
                self.made.add(name)
            case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name), attr=column)], value=value):
                moves = isinstance(value, ast.BinOp) and any(isinstance(each, ast.Attribute) and each.attr == column for each in ast.walk(value))
                self._written(node, name, column, value, "moves" if moves else "set")
            case ast.AugAssign(target=ast.Attribute(value=ast.Name(id=name), attr=column), value=value):
                self._written(node, name, column, value, "moves")

    def _written(self, node: ast.stmt, name: str, column: str, value: ast.expr, how: str) -> None:
        table = self.held.get(name)
        if table is None:
            return
        if name not in self.made:
            self._touch(table, "update", node, self.chosen.get(name, ("?",)), (column,))
        self.writes.append(Write(table.name.lower(), column.lower(), how, value, node.lineno))

    def _constructed(self, call: ast.Call) -> None:
        table = self.models.get(dotted(call.func).rpartition(".")[2])
        if table is not None:
            self._touch(table, "insert", call, (), tuple(each.arg or "*" for each in call.keywords))
            self.writes += [Write(table.name.lower(), each.arg.lower(), "set", each.value, call.lineno) for each in call.keywords if each.arg]

    def _session(self, call: ast.Call) -> None:
        match call:
            case ast.Call(func=ast.Attribute(attr="delete"), args=[ast.Name(id=name)]) if name in self.held:
                self._touch(self.held[name], "delete", call, self.chosen.get(name, ("?",)))
            case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=name), *_]) if name in self.held and name not in self.made:
                self._touch(self.held[name], "update", call, self.chosen.get(name, ("?",)), ("*",))


def rows(handler: Handler) -> list[Rows]:
    """What the handler and the functions that it calls touch; a row that a helper loads is known by the name that takes it."""
    found = [Rows(handler, place) for place in handler.reach]
    helpers = {each.place.node.name: each for each in found[1:]}
    home = found[0]
    again = False
    for node in scope_of(home.place.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=func) | ast.Await(value=ast.Call(func=func))):
                helper = helpers.get(dotted(func).rpartition(".")[2])
                reads = [each for each in helper.touches if each.verb == "select"] if helper else []
                table = home.blueprint.table(reads[0].table) if len({each.table for each in reads}) == 1 else None
                if table is not None and name not in home.held:
                    home.held[name], home.chosen[name], again = table, reads[-1].by, True
    if again:
        home.read()
    return found


def statement_text(place: Place, node: ast.expr) -> str:
    """A statement's text with a placeholder for each hole, "" where it cannot be read."""
    try:
        text = read(place.module, node)
    except (UnmendableError, RecursionError):
        return ""
    return text.plain(0, len(text.atoms)).replace("\0", "?")


def _joined(place: Place, found: Execution) -> tuple[str, tuple[ast.expr, ...]] | None:
    """An INSERT whose columns are joined from a list, with the columns and values that both lists begin with; None for any other."""
    module, text = place.module, statement_text(place, found.text)
    into = re.match(r"\s*INSERT\s+INTO\s+([\w.\"`]+)\s*\(\s*\?\s*\)\s*VALUES\b", text, re.IGNORECASE)
    lists = [_begun(module, found.call, each) for each in ast.walk(found.text) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "join"]
    columns = [each.value for each in next(iter(lists), []) if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    values = _list_of(module, found.call, found.parameters)
    if into is None or not columns or len(columns) != len(values):
        return None
    return f"INSERT INTO {into.group(1)} ({', '.join(columns)}) VALUES ({', '.join('?' for _ in values)})", tuple(values)  # noqa: S608 - read, never executed


def _begun(module: Module, use: ast.Call, join: ast.Call) -> list[ast.expr]:
    return _list_of(module, use, join.args[0]) if len(join.args) == 1 else []


def _list_of(module: Module, use: ast.Call, node: ast.expr | None) -> list[ast.expr]:
    """What a local list holds where it is made."""
    made = single_assignment(module, use, node.id) if isinstance(node, ast.Name) else None
    return list(made[1].elts) if made is not None and isinstance(made[1], ast.List) else []


def built(place: Place) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Executing calls whose text is put together, with what builds it; through one local name."""
    named: dict[str, ast.expr] = {}
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if builds_text(value) and not isinstance(value, ast.Constant):
                named[name] = value
            case ast.Call(func=ast.Attribute(attr=attr), args=[first, *_]) if attr in EXECUTING:
                inner = first.args[0] if isinstance(first, ast.Call) and dotted(first.func).endswith("text") and first.args else first
                text = named.get(inner.id) if isinstance(inner, ast.Name) else inner if builds_text(inner) and not isinstance(inner, ast.Constant) else None
                if text is not None:
                    yield node, text


def values_of(node: ast.expr | None) -> list[ast.expr]:
    """The values of a tuple, list or dictionary of bound values."""
    match node:
        case ast.Tuple(elts=values) | ast.List(elts=values) | ast.Dict(values=values):
            return list(values)
    return []


def _annotated(node: FunctionNode, models: Mapping[str, Table]) -> dict[str, Table]:
    """Arguments whose annotation names a mapped class: a row that a caller loaded."""
    found = {}
    for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        for name in names_in(each.annotation) | {dotted(each.annotation)} if each.annotation is not None else ():
            if name.rpartition(".")[2] in models:
                found[each.arg] = models[name.rpartition(".")[2]]
    return found
