"""Owns how values of a request travel through a handler's source: where each came from, and what was asked of it on the way."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toughen.codemod.module import FUNCTIONS, blocks, dotted, names_in, own
from toughen.handling import called
from toughen.model.blueprint import Place as Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode
    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Parameter

_ROOTS = {"json": Where.JSON, "form": Where.FORM, "args": Where.QUERY, "values": Where.FORM, "query_params": Where.QUERY, "view_args": Where.PATH}
_CASTS = {"int": "integer", "float": "number", "Decimal": "number", "round": "number", "abs": "number", "str": "string", "bool": "boolean", "len": "integer"}
_TEXT = {"strip", "lower", "upper", "title", "lstrip", "rstrip", "replace", "capitalize", "encode", "decode", "format"}
_DUMPS = {"dict", "model_dump", "copy", "to_dict"}
_VALIDATORS = {"validator", "field_validator", "root_validator", "model_validator"}
_DEEPEST = 2
_SMALL = 1
"""What is compared with a constant of at most this is asked from below: `quantity < 1`."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A value that a client sent, or the whole body (`path` is empty)."""

    place: Where
    path: tuple[str | int, ...] = ()
    type: str = "any"
    """JSON Schema type that something enforces; any where nothing does."""
    low: bool = False
    """A lower bound is declared or tested."""
    high: bool = False
    signed: bool = False
    """Its own default is negative: a sign is meant."""
    optional: bool = False
    """Read by `.get`, or declared with a default."""
    model: bool = False
    """The body, or a part of it, as a typed model declares it."""

    @property
    def name(self) -> str:
        """Its last key, `the body` for the whole."""
        return next((key for key in reversed(self.path) if isinstance(key, str)), "the body" if self.place is Where.JSON else self.place.value)


class Carried:
    """One function with what its names hold where they are read; functions that it hands values to are followed."""

    def __init__(self, handler: Handler, place: Place | None = None, given: dict[str, Sent] | None = None, depth: int = 0) -> None:
        """Run once over `place` (the handler itself), whose parameters hold `given`."""
        self.handler = handler
        self.place = place or handler.home
        self.module = self.place.module
        self.inner: list[Carried] = []
        self.returned: Sent | None = None
        self._depth = depth
        self._names = dict(given) if given is not None else _arguments(handler)
        self._at: dict[int, Sent] = {}
        self._calls: dict[int, Carried] = {}
        self.low: set[tuple[Where, tuple[str | int, ...]]] = set()
        """Values that are compared with a constant from below; `high`, from above."""
        self.high: set[tuple[Where, tuple[str | int, ...]]] = set()
        self._block(self.place.node.body)

    def all(self) -> Iterator[Carried]:
        """This function, then those that values were handed to."""
        yield self
        for each in self.inner:
            yield from each.all()

    def floored(self, sent: Sent) -> bool:
        """Whether the value has a lower bound: declared, or tested in any of these functions."""
        return sent.low or any((sent.place, sent.path) in each.low for each in self.all())

    def capped(self, sent: Sent) -> bool:
        """Whether the value has an upper bound."""
        return sent.high or any((sent.place, sent.path) in each.high for each in self.all())

    def of(self, node: ast.AST | None) -> Sent | None:
        """What the client sent that an expression holds; None for everything else."""
        match node:
            case ast.Name():
                return self._at.get(id(node))
            case ast.NamedExpr(value=value) | ast.Await(value=value) | ast.BoolOp(op=ast.Or(), values=[value, *_]) | ast.Starred(value=value):
                return self.of(value)
            case ast.IfExp(body=body, orelse=orelse):
                return self.of(body) or self.of(orelse)
            case ast.Attribute(value=value, attr=attr):
                if _is_request(value):
                    return Sent(_ROOTS[attr], (), "object" if attr == "json" and self._specified else "any") if attr in _ROOTS else None
                holder = self.of(value)
                return self.below(holder, attr) if holder is not None and holder.model else None
            case ast.Subscript(value=value, slice=ast.Constant(value=str() | int() as key)):
                holder = self.of(value)
                return self.below(holder, key) if holder is not None else None
            case ast.Call():
                return self._call(node)
        return None

    def _call(self, node: ast.Call) -> Sent | None:
        match node:
            case ast.Call(func=ast.Attribute(value=value, attr="get_json" | "json" | "form" as attr)) if _is_request(value):
                return Sent(Where.FORM) if attr == "form" else Sent(Where.JSON, (), "object" if self._specified else "any")
            case ast.Call(func=ast.Attribute(value=value, attr="get" | "pop" | "getlist"), args=[ast.Constant(value=str() as key), *rest]):
                holder = self.of(value)
                if holder is None or holder.type not in {"any", "object"}:
                    return None
                found = self.below(holder, key)
                kinds = [_CASTS.get(dotted(each.value), "any") for each in node.keywords if each.arg == "type"]
                return replace(found, optional=True, type=kinds[0] if kinds else found.type, signed=bool(rest) and _is_negative(rest[0])) if found else None
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _DUMPS and not node.args:
                return self.of(value)
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _TEXT:
                held = self.of(value)
                return replace(held, type="string") if held is not None and held.path else None
            case ast.Call(func=ast.Name(id="dict"), args=[value]):
                return self.of(value)
            case ast.Call(func=func, args=[value, *_]) if (kind := _CASTS.get(dotted(func).rpartition(".")[2])):
                held = self.of(value)
                return replace(held, type=kind, low=held.low or dotted(func) == "abs") if held is not None and held.path else None
        inner = self._calls.get(id(node))
        return inner.returned if inner is not None else None

    def below(self, holder: Sent, key: str | int) -> Sent | None:
        """The value under a key; of a typed model None where it declares no such field."""
        path = (*holder.path, 0 if isinstance(key, int) else key)
        if holder.model:
            parameters = [each for each in self.handler.route.parameters if each.place is holder.place and each.path[: len(path)] == path]
            exact = next((each for each in parameters if each.path == path), None)
            if exact is not None:
                return _declared(exact, low=self._validated(str(key)))
            return Sent(holder.place, path, "object", model=True) if parameters else None
        known = next((each for each in self.handler.route.parameters if self._specified and each.place is holder.place and each.path == path), None)
        return _declared(known, low=False) if known is not None else Sent(holder.place, path, "any" if holder.place is Where.JSON else "string")

    @property
    def _specified(self) -> bool:
        """Whether a specification checks the body before the handler runs: connexion refuses what its OpenAPI file does not describe."""
        return self.handler.blueprint.framework == "connexion" and any(each.declared and each.place is Where.JSON for each in self.handler.route.parameters)

    def _validated(self, key: str) -> bool:
        """Whether a validator of the body's model looks at the field: what it demands is its own affair."""
        name = self.handler.route.body_model
        for node in (each for module in self.handler.project for each in module.classes() if each.name == name):
            for item in (each for each in node.body if isinstance(each, FUNCTIONS)):
                for call in (each for each in item.decorator_list if isinstance(each, ast.Call)):
                    last = dotted(call.func).rpartition(".")[2]
                    if last in _VALIDATORS and (last.startswith(("root", "model")) or any(isinstance(arg, ast.Constant) and arg.value == key for arg in call.args)):
                        return True
        return False

    # -- the run -------------------------------------------------------------------------------------------------------

    def _block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                continue
            for node in own(statement):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in self._names:
                    self._at[id(node)] = self._names[node.id]
            for node in own(statement):
                if isinstance(node, ast.Call):
                    self._follow(node)
                elif isinstance(node, ast.Compare):
                    self._compare(node)
            self._bind(statement)
            for block in blocks(statement):
                self._block(block)

    def _bind(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._put(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self._put(target, value)
            case ast.For(target=ast.Tuple(elts=[_, ast.Name(id=name)]), iter=ast.Call(func=ast.Attribute(value=value, attr="items"))):
                held = self.of(value)
                self._set(name, replace(held, path=(*held.path, "*"), type="any", model=False) if held is not None else None)
            case ast.For(target=ast.Name(id=name), iter=iterable):
                held = self.of(iterable)
                self._set(name, self.below(held, 0) if held is not None and held.path else None)
            case ast.Return(value=ast.expr() as value):
                self.returned = self.returned or self.of(value)

    def _put(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Name(id=name), _:
                self._set(name, self.of(value))
            case ast.Tuple(elts=names), ast.Tuple(elts=values):
                for inner, each in zip(names, values, strict=False):
                    self._put(inner, each)

    def _set(self, name: str, held: Sent | None) -> None:
        if held is None:
            self._names.pop(name, None)
        else:
            self._names[name] = held

    def _compare(self, node: ast.Compare) -> None:
        """`0 < x`, `x <= LIMIT`, `x not in (1, 2)`: constants; what stands in a row is no bound of its own."""
        sides = [node.left, *node.comparators]
        values = {(held.place, held.path) for side in sides if (held := self.of(side)) is not None}
        if not values or not any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE | ast.In | ast.NotIn) for op in node.ops):
            return
        for side in (each for each in sides if self.of(each) is None):
            low, high = self._bounds(side)
            self.low |= values if low else set()
            self.high |= values if high else set()

    def _bounds(self, node: ast.expr) -> tuple[bool, bool]:
        """(a lower bound, an upper one) that the other side of a comparison can be: what stands in a row only says how many there are."""
        match node:
            case ast.Constant(value=int() | float() as value):
                return value <= _SMALL, value > _SMALL
            case ast.UnaryOp(operand=ast.Constant()):
                return True, False
            case ast.Tuple() | ast.List() | ast.Set():
                return True, True
            case ast.Name(id=name) if name not in self._names and name in self.module.globals:
                return True, True
            case ast.Call(func=func) if dotted(func).rpartition(".")[2] in {"Decimal", "range"}:
                return True, True
        return False, True

    def _follow(self, call: ast.Call) -> None:
        if self._depth >= _DEEPEST:
            return
        inner = called(self.place, call, self.handler.project)
        if inner is None or inner.node is self.place.node:
            return
        given = {name: held for name, value in handed(inner.node, call) if (held := self.of(value)) is not None}
        if given or (not call.args and not call.keywords and "request" in inner.module.segment(inner.node)):
            carried = Carried(self.handler, inner, given, self._depth + 1)
            self._calls[id(call)] = carried
            if given:
                self.inner.append(carried)


def handed(node: FunctionNode, call: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    """(parameter, what a call hands to it), by position and by name."""
    names = [each.arg for each in (*node.args.posonlyargs, *node.args.args) if each.arg not in {"self", "cls"}]
    yield from zip(names, call.args, strict=False)
    yield from ((each.arg, each.value) for each in call.keywords if each.arg)


def _arguments(handler: Handler) -> dict[str, Sent]:
    """What a handler's arguments hold: declared parameters, the typed body, an untyped `data: dict`."""
    route, found = handler.route, {}
    arguments = handler.home.node.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        known = next((one for one in route.parameters if one.declared and one.path == (each.arg,) and one.place is not Where.JSON), None)
        alone = next((one for one in route.parameters if one.declared and one.path == (each.arg,) and one.place is Where.JSON), None)
        kinds = {name.rpartition(".")[2] for name in ({*names_in(each.annotation), dotted(each.annotation)} if each.annotation is not None else ())}
        if known is not None:
            found[each.arg] = _declared(known, low=known.minimum is not None)
        elif route.body_model and route.body_model in kinds:
            found[each.arg] = Sent(Where.JSON, (), "object", model=True)
        elif kinds & {"dict", "Dict"} and handler.blueprint.framework in {"fastapi", "starlette"}:
            found[each.arg] = Sent(Where.JSON, (), "object")
        elif alone is not None:
            found[each.arg] = _declared(alone, low=alone.minimum is not None)
    return found


def _declared(parameter: Parameter, *, low: bool) -> Sent:
    return Sent(
        parameter.place, parameter.path, parameter.type, low or parameter.minimum is not None or bool(parameter.enum),
        parameter.maximum is not None or bool(parameter.enum), isinstance(parameter.default, int | float) and parameter.default < 0,
        not parameter.required, model=parameter.place is Where.JSON,
    )


def _is_request(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2] in {"request", "req"} and dotted(node) != "urllib.request"


def _is_negative(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
