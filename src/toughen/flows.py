"""Owns the way of a request's text through a handler and the functions that it calls: also as a part of a longer text, to where it does harm."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen.carried import Carried, handed
from toughen.codemod.module import DEFINITIONS, blocks, dotted, names_in, own
from toughen.handling import called, handlers, sought

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.carried import Sent
    from toughen.codemod.module import Module
    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Suspicion

Parts = frozenset[str]
"""Names of the values of a request that an expression holds, whole or as a part."""
_NONE: Parts = frozenset()
_ROOTS = {"args", "form", "values", "json", "data", "cookies", "files", "stream", "query_params", "path_params", "view_args"}
_READS = {"get_json", "get_data", "json", "form", "body"}
_NUMBERS = {"int", "float", "len", "bool", "Decimal", "isinstance", "hash", "UUID", "round", "abs", "hasattr", "any", "all", "id", "ord"}
_ASKED = {"isalnum", "isdigit", "isalpha", "isidentifier", "isnumeric", "isdecimal", "match", "fullmatch", "startswith", "endswith", "is_relative_to", "relative_to", "index"}
_CHECKS = {"ip_address", "ip_network", "IPv4Address", "strptime", "fromisoformat"}
"""What raises where a value is not of its kind."""
_LEAVES = {"abort", "exit"}
ROW = "a stored row"
"""The part of what holds rows of the database."""
_FETCHES = {"fetchall", "fetchone", "fetchmany", "execute", "all", "first", "one", "one_or_none", "scalar", "scalars", "mappings", "first_or_404", "get_or_404"}
_DEEPEST = 3
_MOST = 60
_LONGEST = 40


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a text of the request does harm."""

    find: Callable[[Flow, ast.AST], Iterator[ast.expr]]
    """The expressions of a node that must not hold such a text."""
    cleans: frozenset[str]
    """Last names of functions whose result may go there."""
    says: str
    """The message, with `{}` where the value's name goes."""
    weak: frozenset[str] = _NONE
    """Questions that say nothing here: an address that starts with `https://` may lead anywhere."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A value of the request at a sink."""

    place: Place
    node: ast.AST
    risky: ast.expr
    parts: Parts
    flow: Flow


class Flow:
    """One function, run once in the order of its source, with what its names hold; functions that it hands values to are followed."""

    def __init__(
        self, handler: Handler, sink: Sink, place: Place | None = None, carried: Carried | None = None, given: Mapping[str, Parts] | None = None, depth: int = 0, *, believes: bool = True,
        stored: Parts = _NONE,
    ) -> None:
        """Run over `place` (the handler itself), whose parameters hold `given`.

        `believes` what is asked of a value on the way; `stored` are the names of a field, and of its columns, that comes out of the database as it went in.
        """
        self.handler, self.sink, self.depth, self.believes, self.stored = handler, sink, depth, believes, stored
        self.place = place or handler.home
        self.module: Module = self.place.module
        self.carried = carried or Carried(handler)
        self.arrivals: list[Arrival] = []
        self.returned: Parts = _NONE
        self._names: dict[str, Parts] = dict(given or {})
        self._calls: dict[int, Parts] = {}
        self._budget = _MOST
        self.silent: Parts = _NONE
        """Values that a test turned away where they were not as it wants them."""
        self._block(self.place.node.body)

    def parts(self, node: ast.AST | None) -> Parts:
        """Names of the request's values that an expression holds."""
        match node:
            case None | ast.Constant() | ast.Compare() | ast.Lambda():
                return _NONE
            case ast.Name(id=name):
                held = self.carried.of(node)
                return self._names.get(name, _NONE) | self._free(held)
            case ast.Call():
                return self._call(node)
            case ast.Attribute(value=value, attr=attr):
                if _is_request(value):
                    return frozenset({attr}) if attr in _ROOTS else _NONE
                if attr in self.stored:
                    return frozenset({attr})
                if attr == "filename":
                    return frozenset({"filename"})
                return self._known(node, self.parts(value)) - {ROW} if attr not in self.sink.cleans else _NONE
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key)):
                return frozenset({key}) if key in self.stored else self._known(node, self.parts(value)) - {ROW}
            case ast.Subscript(value=value):
                return self._known(node, self.parts(value))
            case ast.IfExp(body=body, orelse=orelse):
                return self.parts(body) | self.parts(orelse)
            case ast.NamedExpr(value=value) | ast.Await(value=value) | ast.Starred(value=value) | ast.FormattedValue(value=value):
                return self.parts(value)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                return self._each(node)
            case ast.expr():
                return frozenset(name for each in ast.iter_child_nodes(node) for name in self.parts(each))
        return _NONE

    def _each(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> Parts:
        """What is taken for each item: that of the items themselves, but of stored rows what is read of them."""
        if not self.stored:
            return frozenset(name for each in node.generators for name in self.parts(each.iter))
        for each in node.generators:
            self._put(each.target, self.parts(each.iter))
        return self.parts(node.elt)

    def _known(self, node: ast.expr, around: Parts) -> Parts:
        """The value's own name where it is a value of the request as it stands, else those of what it is taken from."""
        held = self.carried.of(node)
        if held is None:
            if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and around & _ROOTS:
                return frozenset({str(node.slice.value)})
            return around
        return self._free(held)

    def _free(self, held: Sent | None) -> Parts:
        """The value's name where it may be any text: no number, and none of a declared few."""
        if held is None or held.type in {"integer", "number", "boolean"}:
            return _NONE
        few = any(each.enum for each in self.handler.route.parameters if each.place is held.place and each.path == held.path)
        return _NONE if few else frozenset({held.name})

    def _call(self, node: ast.Call) -> Parts:
        name = dotted(node.func).rpartition(".")[2] or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
        if name in _NUMBERS or name in self.sink.cleans:
            return _NONE
        if id(node) in self._calls:
            return self._calls[id(node)]
        if self.stored and name in _FETCHES:
            return frozenset({ROW})
        held = self.carried.of(node)
        if held is not None:
            return self._free(held)
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        if receiver is not None and _is_request(receiver):
            return frozenset({name}) if name in _READS else _NONE
        if name == "get" and receiver is not None:
            # What is looked up in a table of the prototype's own is one of its values, whatever the key is.
            key = node.args[0] if node.args else None
            around = self.parts(receiver)
            named = frozenset({str(key.value)}) if isinstance(key, ast.Constant) and around else around
            return named | (self.parts(node.args[1]) if len(node.args) > 1 else _NONE)
        return self.parts(receiver) | frozenset(part for each in (*node.args, *(word.value for word in node.keywords)) for part in self.parts(each))

    # -- the run -------------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, DEFINITIONS):
                continue
            self._statement(statement)
            if isinstance(statement, ast.If):
                self._if(statement)
                continue
            for block in blocks(statement):
                self._block(block)

    def _statement(self, statement: ast.stmt) -> None:
        for node in own(statement):
            if isinstance(node, ast.Call):
                self._follow(node)
        for node in own(statement):
            for risky in self.sink.find(self, node):
                if found := self.parts(risky) - (self.silent if self.believes else _NONE):
                    self.arrivals.append(Arrival(self.place, node, risky, found, self))
        self._bind(statement)

    def _bind(self, statement: ast.stmt) -> None:
        """What the names of a statement hold behind it."""
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._put(target, self.parts(value))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._put(target, self.parts(value))
            case ast.AugAssign(target=ast.Name(id=name), value=value):
                self._names[name] = self._names.get(name, _NONE) | self.parts(value)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append" | "extend" | "insert"), args=args)):
                self._names[name] = self._names.get(name, _NONE).union(*(self.parts(each) for each in args))
            case ast.For(target=target, iter=iterable) | ast.AsyncFor(target=target, iter=iterable):
                self._put(target, self.parts(iterable))
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for each in items:
                    if each.optional_vars is not None:
                        self._put(each.optional_vars, self.parts(each.context_expr))
            case ast.Return(value=ast.expr() as value):
                self.returned |= self.parts(value)

    def _put(self, target: ast.expr, held: Parts) -> None:
        base = target
        while isinstance(base, ast.Subscript | ast.Attribute):
            base = base.value
        if base is not target:
            if isinstance(base, ast.Name) and held:
                self._names[base.id] = self._names.get(base.id, _NONE) | held
            return
        for each in ast.walk(target):
            if isinstance(each, ast.Name):
                self._names[each.id] = held
                if not held:
                    self._names.pop(each.id)

    def _if(self, statement: ast.If) -> None:
        """What a test asks of a value is believed: behind a refusal, and inside the branch that it opens."""
        asked, silent, names = self._asked(statement.test), self.silent, dict(self._names)
        self.silent = silent | asked
        self._block(statement.body)
        rebound = {each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
        # A value that the test turned away left, or another one took its place.
        gone, first = leaves(statement.body) or bool(asked and rebound & names_in(statement.test)), self._names
        self.silent, self._names = silent | asked if gone else silent, names
        self._block(statement.orelse)
        if not leaves(statement.body):
            # Either branch may have run.
            self._names = {name: first.get(name, _NONE) | self._names.get(name, _NONE) for name in {**first, **self._names}}

    def _asked(self, test: ast.expr) -> Parts:
        found: set[str] = set()
        for node in ast.walk(test):
            match node:
                case ast.Compare(left=left, ops=[ast.In() | ast.NotIn() | ast.Eq() | ast.NotEq(), *_], comparators=[right, *_]):
                    found |= set() if _is_empty(right) else self.parts(left)
                case ast.Call(func=ast.Attribute(value=value, attr=attr), args=args) if attr in _ASKED - self.sink.weak:
                    found |= self.parts(value).union(*(self.parts(each) for each in args))
                case ast.Call(args=args) if args and called(self.place, node, self.handler.project) is not None:
                    found |= set().union(*(self.parts(each) for each in args))
                case ast.Call(args=args, func=ast.Name(id="any" | "all")):
                    found |= {part for each in args for inner in ast.walk(each) for part in self.parts(inner)}
        return frozenset(found)

    def _follow(self, call: ast.Call) -> None:
        if dotted(call.func).rpartition(".")[2] in _CHECKS and call.args:
            self.silent |= self.parts(call.args[0])
        if self.depth >= _DEEPEST or self._budget <= 0:
            return
        inner = called(self.place, call, self.handler.project)
        if inner is None or inner.node is self.place.node or dotted(call.func).rpartition(".")[2] in self.sink.cleans:
            return
        given = {name: held for name, value in handed(inner.node, call) if (held := self.parts(value))}
        if not given and not self.stored and "request" not in names_in(inner.node):
            self._calls[id(call)] = _NONE
            return
        self._budget -= 1
        flow = Flow(self.handler, self.sink, inner, Carried(self.handler, inner, {}, _DEEPEST), given, self.depth + 1, believes=self.believes, stored=self.stored)
        self._calls[id(call)] = flow.returned - (flow.silent if self.believes else _NONE)
        self.silent |= flow.silent
        self.arrivals += flow.arrivals


def leaves(body: list[ast.stmt]) -> bool:
    """Whether a block ends the function: it returns, raises or aborts."""
    last = body[-1]
    aborts = isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and dotted(last.value.func).rpartition(".")[2] in _LEAVES
    return isinstance(last, ast.Return | ast.Raise | ast.Continue) or aborts


def _is_request(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2] in {"request", "req"} and dotted(node) != "urllib.request"


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def arrivals(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], sink: Sink, *, everywhere: bool = False) -> list[Arrival]:
    """Where the value that a proof names arrives in its route's code, whatever was asked of it; where it is not seen by name, all arrivals.

    With `everywhere` also where other routes read it from the columns that it was stored in.
    """
    field = finding.evidence.fact("field") if finding.evidence else ""
    found: list[Arrival] = []
    later = finding.evidence.fact("page") if finding.evidence else ""
    stored = frozenset({field, *((finding.evidence.fact("columns") if finding.evidence else "").split(","))} - {""})
    for handler in handlers(blueprint, sources):
        if handler.route.id == finding.route:
            found += Flow(handler, sink, believes=False).arrivals
        elif handler.route.id == later:
            read = stored | {ROW}
            found += [replace(each, parts=each.parts & read or each.parts) for each in Flow(handler, sink, believes=False, stored=stored).arrivals]
        elif everywhere and later and handler.route.method == "GET":
            found += [replace(each, parts=each.parts & stored) for each in Flow(handler, sink, believes=False, stored=stored).arrivals if each.parts & stored]
    exact = [each for each in found if each.parts & (stored | {ROW}) or (field == "file" and "filename" in each.parts)]
    return exact or found


def suspected(break_id: str, blueprint: Blueprint, sources: Mapping[str, str], sink: Sink) -> Iterator[Suspicion]:
    """Every place at which a value of a request arrives where it does harm, with nothing asked of it on the way."""
    def look(handler: Handler) -> Iterator[Suspicion]:
        seen = set()
        for each in Flow(handler, sink).arrivals:
            line = getattr(each.node, "lineno", 0)
            if (each.place.module.file, line) not in seen:
                seen.add((each.place.module.file, line))
                told = ", ".join(sorted(each.parts))[:_LONGEST]
                yield handler.suspicion(break_id, line, sink.says.format(told), each.place)

    return sought(blueprint, sources, look)
