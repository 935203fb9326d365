"""Owns what an untyped handler reads from its request, followed through local names and the project's own functions."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Json, Parameter, Place
from toughen.survey.facts import dotted
from toughen.survey.project import Function, Missing, Project, Symbol, argument
from toughen.survey.refusals import refuses

if TYPE_CHECKING:
    from collections.abc import Iterable

_FLASK: Final = {
    "json": Place.JSON, "form": Place.FORM, "args": Place.QUERY, "values": Place.FORM, "headers": Place.HEADER,
    "cookies": Place.COOKIE, "files": Place.FILE, "query_params": Place.QUERY,
}  # fmt: skip
_SAME: Final = frozenset(
    {"strip", "lower", "upper", "lstrip", "rstrip", "title", "capitalize", "split", "encode", "replace", "startswith",
     "endswith", "isdigit", "splitlines", "removeprefix", "removesuffix", "casefold"}
)  # fmt: skip
_COPIES: Final = frozenset({"copy", "to_dict", "dict", "get_json", "deepcopy"})
_CASTS: Final = {"int": "integer", "float": "number", "Decimal": "number", "str": "string", "bool": "boolean"}
_DEEPEST: Final = 5
_MOST: Final = 150


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in the request a value came from."""

    place: Place | None
    """None for the request object itself."""
    path: tuple[str | int, ...] = ()

    def below(self, key: str | int) -> Origin:
        """The value under a key."""
        return Origin(self.place, (*self.path, key))


@dataclass
class _Note:
    required: bool = False
    type: str | None = None
    default: Json = None
    enum: tuple[Json, ...] = ()
    compared: list[Json] = field(default_factory=list)


@dataclass
class Reading:
    """What was read: parameters by place and path."""

    notes: dict[Origin, _Note] = field(default_factory=dict)
    roots: set[Place] = field(default_factory=set)

    def note(self, origin: Origin) -> _Note:
        """The note of a value, made when it is first met."""
        return self.notes.setdefault(origin, _Note())

    @property
    def body(self) -> str | None:
        """Kind of body that is read."""
        if Place.JSON in self.roots:
            return "json"
        if Place.FILE in self.roots:
            return "multipart"
        return "form" if Place.FORM in self.roots else None

    def parameters(self) -> list[Parameter]:
        """Leaves, as undeclared Parameters; a container whose content is read is no leaf."""
        inner = {
            Origin(origin.place, origin.path[:count]) for origin in self.notes for count in range(1, len(origin.path))
        }
        found: list[Parameter] = []
        for origin, note in self.notes.items():
            if origin.place is None or not origin.path or origin in inner:
                continue
            path = origin.path
            if origin.place is not Place.JSON:
                path = (next((key for key in path if isinstance(key, str)), ""),)
            values = note.enum or (tuple(dict.fromkeys(note.compared)) if len(set(map(repr, note.compared))) > 1 else ())
            kind = note.type or (_type_of(note.default) if note.default is not None else None)
            kind = kind or (_type_of(values[0]) if values else None) or _usual(origin.place)
            parameter = Parameter(
                origin.place, path, kind, required=note.required, enum=values, default=note.default, declared=False,
                format="binary" if origin.place is Place.FILE else None,
            )  # fmt: skip
            if path[0] != "" and all((each.place, each.path) != (origin.place, path) for each in found):
                found.append(parameter)
        return found


def _usual(place: Place) -> str:
    return "any" if place is Place.JSON else "string"


def _type_of(value: object) -> str | None:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return None


def read_body(
    project: Project,
    symbol: Symbol,
    *,
    objects: Iterable[str] = (),
    method: str = "POST",
    wrappers: Iterable[Symbol] = (),
) -> Reading:
    """Follow the request through a handler; `objects` names the arguments that hold an untyped JSON body."""
    reading = Reading()
    reader = _Reader(project, reading, method)
    node = project.function(symbol)
    if node is None:
        return reading
    known: dict[str, Origin] = {name: Origin(Place.JSON) for name in objects}
    if known:
        reading.roots.add(Place.JSON)
    for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
        if dotted(each.annotation).rpartition(".")[2] == "Request" or (
            each.arg in {"request", "req"} and each.annotation is None
        ):
            known[each.arg] = Origin(None)
    reader.function(symbol, node, known)
    for wrapper in wrappers:
        if (inner := project.function(wrapper)) is not None:
            reader.function(wrapper, inner, {})
    if method in {"GET", "HEAD"} and Place.FORM in reading.roots:
        # `request.values` of a request without a body is its query.
        moved = {replace(o, place=Place.QUERY) if o.place is Place.FORM else o: n for o, n in reading.notes.items()}
        reading.notes = moved
        reading.roots.discard(Place.FORM)
    return reading


class _Reader:
    """One abstract run over each function: names hold origins."""

    def __init__(self, project: Project, reading: Reading, method: str) -> None:
        self.project = project
        self.reading = reading
        self.method = method
        self.entered: set[tuple[Symbol, tuple[tuple[str, Origin], ...]]] = set()
        self.depth = 0

    def function(self, symbol: Symbol, node: Function, known: dict[str, Origin]) -> Origin | None:
        """Read one function with what its arguments hold; the origin of what it returns."""
        mark = (symbol, tuple(sorted(known.items(), key=lambda each: each[0])))
        if mark in self.entered or self.depth > _DEEPEST or len(self.entered) > _MOST:
            return None
        self.entered.add(mark)
        self.depth += 1
        scope = _Scope(self, symbol, dict(known))
        scope.block(node.body)
        self.depth -= 1
        return scope.returned


class _Scope:
    def __init__(self, reader: _Reader, symbol: Symbol, known: dict[str, Origin]) -> None:
        self.reader = reader
        self.project = reader.project
        self.reading = reader.reading
        self.symbol = symbol
        self.file = symbol.file
        self.known = known
        self.keys: dict[str, list[str]] = {}
        """Loop variables that run over literal keys."""
        self.lists: dict[str, list[Json]] = {}
        """Local names bound to literal lists."""
        self.returned: Origin | None = None
        self.optional: set[Origin] = set()
        self.softly = 0

    # -- statements ----------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912 - one case for each kind of statement
        match node:
            case ast.Assign(targets=targets, value=value):
                origin = self.value(value)
                folded = self.project.fold(value, self.file) if isinstance(value, ast.List | ast.Tuple | ast.Set) else None
                for target in targets:
                    self.bind(target, origin)
                    if isinstance(target, ast.Name):
                        self.lists.pop(target.id, None)
                        if isinstance(folded, list):
                            self.lists[target.id] = folded
                    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                        for each, inner in zip(target.elts, value.elts, strict=False):
                            self.bind(each, self.value(inner))
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                origin = self.value(value)
                self.bind(target, origin)
            case ast.AugAssign(value=value) | ast.Expr(value=value):
                self.value(value)
            case ast.Return(value=ast.expr() as value):
                origin = self.value(value.elts[0] if isinstance(value, ast.Tuple) and value.elts else value)
                if isinstance(value, ast.Tuple):
                    for each in value.elts[1:]:
                        self.value(each)
                self.returned = self.returned or origin
            case ast.If(test=test, body=body, orelse=orelse):
                self.condition(test, stops=_stops(body))
                self.block(body)
                self.block(orelse)
            case ast.For(target=target, iter=iterable, body=body) | ast.AsyncFor(target=target, iter=iterable, body=body):
                self.loop(target, iterable, body)
                self.block(body)
                self.block(node.orelse)
            case ast.While(test=test, body=body):
                self.value(test)
                self.block(body)
            case ast.With(items=items, body=body) | ast.AsyncWith(items=items, body=body):
                for item in items:
                    origin = self.value(item.context_expr)
                    if item.optional_vars is not None:
                        self.bind(item.optional_vars, origin)
                self.block(body)
            case ast.Try(body=body, handlers=handlers, orelse=orelse, finalbody=finalbody):
                softly = any(_catches_key(each) and not _stops(each.body) for each in handlers)
                self.softly += softly
                self.block(body)
                self.softly -= softly
                for handler in handlers:
                    self.block(handler.body)
                self.block(orelse)
                self.block(finalbody)
            case ast.Match(subject=subject, cases=cases):
                origin = self.value(subject)
                for case in cases:
                    self.pattern(origin, case.pattern)
                    self.block(case.body)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                # The inner function of a decorator, or a helper; it sees the same names.
                self.block(node.body)
            case ast.Raise(exc=ast.expr() as value) | ast.Assert(test=value):
                self.value(value)

    def bind(self, target: ast.expr, origin: Origin | None) -> None:
        match target:
            case ast.Name(id=name):
                self.keys.pop(name, None)
                if origin is None:
                    self.known.pop(name, None)
                else:
                    self.known[name] = origin
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                for each in elements:
                    self.bind(each, None)
            case ast.Subscript() | ast.Attribute():
                self.value(target.value)

    def loop(self, target: ast.expr, iterable: ast.expr, body: list[ast.stmt]) -> None:
        keys = self.literal(iterable)
        origin = self.value(iterable)
        self.bind(target, None)
        if isinstance(target, ast.Name) and origin is not None and origin.path == ():
            keys = None
        if keys is not None and isinstance(target, ast.Name):
            self.keys[target.id] = [each for each in keys if isinstance(each, str)]
            return
        match iterable, target:
            case ast.Call(func=ast.Attribute(attr="items", value=owner)), ast.Tuple(elts=[ast.Name(id=name), value]):
                if (holder := self.value(owner)) is not None and holder.place is not None:
                    allowed = self.allowed(body, name)
                    for key in allowed:
                        self.reading.note(holder.below(key))
                    self.keys[name] = allowed
                    self.bind(value, None)
            case ast.Call(func=ast.Name(id="enumerate"), args=[inner, *_]), ast.Tuple(elts=[_, element]):
                if (holder := self.value(inner)) is not None and holder.place is not None:
                    self.bind(element, holder.below(0))
            case _ if origin is not None and origin.place is not None:
                if isinstance(target, ast.Name) and (allowed := self.allowed(body, target.id)):
                    for key in allowed:
                        self.reading.note(origin.below(key))
                    self.keys[target.id] = allowed
                elif origin.path or self.element(target, body):
                    self.bind(target, origin.below(0))

    def element(self, target: ast.expr, body: list[ast.stmt]) -> bool:
        """Whether the loop's variable is used as an object: then the root is an array, and not a mapping."""
        name = dotted(target)
        for statement in body:
            for node in ast.walk(statement):
                match node:
                    case ast.Subscript(value=ast.Name(id=used), slice=ast.Constant(value=str())) if used == name:
                        return True
                    case ast.Call(func=ast.Attribute(attr="get", value=ast.Name(id=used))) if used == name:
                        return True
        return False

    def allowed(self, body: list[ast.stmt], name: str) -> list[str]:
        """Literal keys that a loop over all keys lets through: `if key in ALLOWED`."""
        for statement in body:
            for node in ast.walk(statement):
                match node:
                    case ast.Compare(left=ast.Name(id=left), ops=[ast.In() | ast.NotIn()], comparators=[right]) if left == name:
                        return [each for each in self.literal(right) or () if isinstance(each, str)]
        return []

    def literal(self, node: ast.expr) -> list[Json] | None:
        if isinstance(node, ast.Name) and node.id in self.lists:
            return self.lists[node.id]
        if isinstance(node, ast.Name) and (node.id in self.known or node.id in self.keys):
            return None
        folded = self.project.fold(node, self.file)
        return folded if isinstance(folded, list) else None

    def pattern(self, origin: Origin | None, pattern: ast.pattern) -> None:
        for node in ast.walk(pattern):
            if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and origin and origin.path:
                value = node.value.value
                if isinstance(value, str | int | float | bool):
                    self.reading.note(origin).compared.append(value)

    # -- conditions ----------------------------------------------------------------------------------------

    def condition(self, test: ast.expr, *, stops: bool) -> None:
        """Read a test; where the branch refuses, what it asks for is required."""
        if not stops:
            # `if "x" in data:` makes what follows optional.
            for each in ast.walk(test):
                match each:
                    case ast.Compare(left=left, ops=[ast.In()], comparators=[right]):
                        self.optional.update(self.keyed(left, right))
        self.value(test)
        if stops:
            for origin in self.demanded(test):
                self.reading.note(origin).required = True

    def demanded(self, test: ast.expr) -> list[Origin]:  # noqa: C901 - one case for each form of check
        """Values whose absence makes a test true."""
        match test:
            case ast.BoolOp(op=ast.Or(), values=values):
                return [origin for each in values for origin in self.demanded(each)]
            case ast.UnaryOp(op=ast.Not(), operand=ast.BoolOp(op=ast.And(), values=values)):
                return [origin for each in values if (origin := self.origin(each)) and origin.path]
            case ast.UnaryOp(op=ast.Not(), operand=ast.Call(func=ast.Name(id="all"), args=[inner])):
                return self.listed(inner)
            case ast.Call(func=ast.Name(id="any"), args=[inner]):
                return self.listed(inner)
            case ast.UnaryOp(op=ast.Not(), operand=ast.Compare(left=left, ops=[ast.In()], comparators=[right])):
                return self.keyed(left, right)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                origin = self.origin(operand)
                return [origin] if origin and origin.path else []
            case ast.Compare(left=left, ops=[ast.NotIn()], comparators=[right]):
                return self.keyed(left, right)
            case ast.Compare(left=left, ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None | "")]):
                origin = self.origin(left)
                return [origin] if origin and origin.path else []
        return []

    def keyed(self, left: ast.expr, right: ast.expr) -> list[Origin]:
        holder = self.origin(right)
        if holder is None or holder.place is None:
            return []
        match left:
            case ast.Constant(value=str() as key):
                return [holder.below(key)]
            case ast.Name(id=name) if name in self.keys:
                return [holder.below(key) for key in self.keys[name]]
        return []

    def listed(self, node: ast.expr) -> list[Origin]:
        match node:
            case ast.GeneratorExp(elt=element, generators=[generator]) | ast.ListComp(elt=element, generators=[generator]):
                keys = self.literal(generator.iter)
                if keys is not None and isinstance(generator.target, ast.Name):
                    self.keys[generator.target.id] = [each for each in keys if isinstance(each, str)]
                    found = self.demanded(element)
                    if isinstance(element, ast.Compare) and isinstance(element.ops[0], ast.In):
                        found += self.keyed(element.left, element.comparators[0])
                    found += self.looked_up(element)
                    return found
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                return [origin for each in elements if (origin := self.origin(each)) and origin.path]
        return []

    def looked_up(self, node: ast.expr) -> list[Origin]:
        """`data.get(field)` where the field runs over literal keys."""
        operand = node.operand if isinstance(node, ast.UnaryOp) else node
        match operand:
            case ast.Call(func=ast.Attribute(attr="get", value=owner), args=[ast.Name(id=name), *_]) if name in self.keys:
                holder = self.origin(owner)
                return [holder.below(key) for key in self.keys[name]] if holder and holder.place else []
            case ast.Subscript(value=owner, slice=ast.Name(id=name)) if name in self.keys:
                holder = self.origin(owner)
                return [holder.below(key) for key in self.keys[name]] if holder and holder.place else []
        return []

    # -- expressions ---------------------------------------------------------------------------------------

    def origin(self, node: ast.expr) -> Origin | None:
        """The origin of an expression, noted or not."""
        return self.value(node)

    def value(self, node: ast.expr | None) -> Origin | None:  # noqa: C901, PLR0911, PLR0912 - one case for each form
        match node:
            case None | ast.Constant():
                return None
            case ast.Name(id=name):
                if name in self.known:
                    return self.known[name]
                return Origin(None) if self.is_request(name) else None
            case ast.Await(value=inner) | ast.NamedExpr(value=inner) | ast.Starred(value=inner):
                origin = self.value(inner)
                if isinstance(node, ast.NamedExpr):
                    self.bind(node.target, origin)
                return origin
            case ast.Attribute(value=owner, attr=attr):
                holder = self.value(owner)
                if holder is not None and holder.place is None and not holder.path and attr in _FLASK:
                    return self.root(_FLASK[attr])
                if holder is not None and holder.place is None and attr in {"data", "body"}:
                    return Origin(None, ("raw",))
                if holder is not None and holder.place is Place.HEADER and attr == "authorization":
                    return self.read(holder.below("Authorization"))
                if holder is not None and holder.place is Place.FORM and attr in {"filename", "file", "stream"}:
                    return holder
                return None
            case ast.Subscript(value=owner, slice=index):
                return self.item(owner, index)
            case ast.Call():
                return self.call(node)
            case ast.BoolOp(values=values):
                return next((each for each in [self.value(each) for each in values] if each), None)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                self.condition(test, stops=False)
                return self.value(body) or self.value(orelse)
            case ast.Compare():
                return self.compare(node)
            case ast.UnaryOp(operand=inner):
                self.value(inner)
                return None
            case ast.BinOp(left=left, right=right):
                self.value(left)
                self.value(right)
                return None
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                return self.comprehension(node)
            case ast.Lambda():
                return None
            case _:
                for inner_node in ast.iter_child_nodes(node):
                    if isinstance(inner_node, ast.expr):
                        self.value(inner_node)
                return None

    def is_request(self, name: str) -> bool:
        target = self.project.facts[self.file].imports.get(name, "")
        return target in {"flask.request", "quart.request", "connexion.request", "starlette.requests.request"} or (
            name == "flask" and target == "flask"
        )

    def root(self, place: Place) -> Origin:
        self.reading.roots.add(place)
        return Origin(place)

    def read(self, origin: Origin, *, required: bool = False, default: Json = None) -> Origin:
        note = self.reading.note(origin)
        if required and not self.softly and origin not in self.optional:
            note.required = True
        if default is not None and note.default is None:
            note.default = default
        return origin

    def item(self, owner: ast.expr, index: ast.expr) -> Origin | None:
        holder = self.value(owner)
        if holder is None or holder.place is None:
            self.value(index)
            return None
        match index:
            case ast.Constant(value=str() as key):
                return self.read(holder.below(key), required=True)
            case ast.Constant(value=int()):
                # `header.split(" ")[1]` is a part of a string, not an element of an array.
                text = holder.place is not Place.JSON or isinstance(owner, ast.Call)
                return holder if text else holder.below(0)
            case ast.Name(id=name) if name in self.keys:
                for key in self.keys[name]:
                    self.read(holder.below(key), required=True)
            case _:
                self.value(index)
        return None

    def compare(self, node: ast.Compare) -> None:
        left = self.value(node.left)
        for operator, right in zip(node.ops, node.comparators, strict=True):
            origin = self.value(right)
            if isinstance(operator, ast.In | ast.NotIn):
                if origin is not None and origin.place is not None:
                    for each in self.keyed(node.left, right):
                        self.reading.note(each)
                elif left is not None and left.path and (values := self.literal(right)):
                    self.reading.note(left).enum = tuple(values)
                continue
            for one, other in ((left, right), (origin, node.left)):
                if one is None or not one.path or one.place is None:
                    continue
                value = self.project.fold(other, self.file)
                if isinstance(value, Missing) or value is None:
                    continue
                note = self.reading.note(one)
                if isinstance(operator, ast.Eq | ast.NotEq):
                    if value != "":
                        note.compared.append(value)
                elif isinstance(value, int | float) and note.type is None and one.place is Place.JSON:
                    note.type = "number" if isinstance(value, float) else _type_of(note.default) or "number"

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Origin | None:
        saved, keys = dict(self.known), dict(self.keys)
        result: Origin | None = None
        for generator in node.generators:
            body: list[ast.stmt] = [ast.Expr(each) for each in generator.ifs]
            elements = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            self.loop(generator.target, generator.iter, [*body, *(ast.Expr(each) for each in elements)])
            for each in generator.ifs:
                self.condition(each, stops=False)
        for each in [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]:
            self.value(each)
        if isinstance(node, ast.DictComp):
            # {k: data[k] for k in allowed} and {k: v for k, v in data.items() if k in allowed} are still that body.
            owners = [inner for inner in ast.walk(node) if isinstance(inner, ast.Subscript | ast.Call)]
            for inner in owners:
                owner = inner.value if isinstance(inner, ast.Subscript) else inner.func
                owner = owner.value if isinstance(owner, ast.Attribute) and isinstance(inner, ast.Call) else owner
                found = self.value(owner) if isinstance(owner, ast.Name) else None
                if found is not None and found.place is Place.JSON and not found.path:
                    result = found
        self.known, self.keys = saved, keys
        return result

    def call(self, node: ast.Call) -> Origin | None:  # noqa: C901, PLR0911, PLR0912 - one case for each form of call
        func = node.func
        if isinstance(func, ast.Attribute):
            holder = self.value(func.value)
            if holder is not None:
                found = self.method(node, holder, func.attr)
                if found is not NotImplemented:
                    return found  # type: ignore[return-value]
        name = dotted(func)
        last = name.rpartition(".")[2]
        if last in _CASTS and len(node.args) == 1:
            origin = self.value(node.args[0])
            if origin is not None and origin.path and origin.place is not None and (
                last != "str" or self.reading.note(origin).type is None
            ):
                if last in {"int", "float", "Decimal"} or self.reading.note(origin).type is None:
                    self.reading.note(origin).type = _CASTS[last]
            return origin
        if last == "loads" and node.args:
            origin = self.value(node.args[0])
            if origin is not None and origin.path == ("raw",):
                return self.root(Place.JSON)
            return None
        if last in {"dict", "list", "set", "sorted", "deepcopy", "jsonable_encoder", "ImmutableMultiDict", "escape",
                    "secure_filename", "quote", "unquote", "cast", "Markup"} and node.args:
            origin = self.value(node.args[-1] if last == "cast" else node.args[0])
            for each in node.keywords:
                self.value(each.value)
            return origin
        if last == "isinstance" and len(node.args) > 1:
            origin = self.value(node.args[0])
            kinds = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "list": "array", "dict": "object"}
            kind = node.args[1].elts[0] if isinstance(node.args[1], ast.Tuple) and node.args[1].elts else node.args[1]
            if origin is not None and origin.path and origin.place and (told := kinds.get(dotted(kind))):
                note = self.reading.note(origin)
                note.type = "number" if isinstance(node.args[1], ast.Tuple) and told == "integer" else note.type or told
            return None
        given = [self.value(each) for each in node.args]
        named = {each.arg: self.value(each.value) for each in node.keywords}
        return self.enter(node, given, named)

    def method(self, node: ast.Call, holder: Origin, attr: str) -> object:  # noqa: C901, PLR0911 - one case for each method
        if holder.place is None:
            if holder.path == ("raw",):
                return holder if attr in {"decode", "strip"} else NotImplemented
            if attr in {"get_json", "json"}:
                return self.root(Place.JSON)
            if attr == "form":
                return self.root(Place.FORM)
            return Origin(None, ("raw",)) if attr in {"get_data", "body"} else NotImplemented
        if attr in {"get", "pop", "getlist", "setdefault", "get_list", "getall"}:
            key = argument(node, 0, "key")
            default = self.project.fold(argument(node, 1, "default"), self.file)
            if len(node.args) > 1 and isinstance(default, Missing):
                self.value(node.args[1])
            plain = None if isinstance(default, Missing) else default
            cast = dotted(argument(node, 2, "type")).rpartition(".")[2]
            if isinstance(key, ast.Name) and key.id in self.keys:
                for each in self.keys[key.id]:
                    self.read(holder.below(each))
                return None
            text = self.project.text(key, self.file)
            if text is None:
                return None
            origin = self.read(holder.below(text), default=None if plain in ([], {}) else plain)
            if cast in _CASTS:
                self.reading.note(origin).type = _CASTS[cast]
            if attr == "getlist" or plain == []:
                self.reading.note(origin).type = "array"
            return origin
        if attr in _SAME:
            if holder.path:
                note = self.reading.note(holder)
                note.type = note.type or "string"
            for each in node.args:
                self.value(each)
            return holder
        if attr in _COPIES:
            return holder
        if attr in {"items", "keys", "values"}:
            return holder if attr == "keys" else None
        return NotImplemented

    def enter(self, node: ast.Call, given: list[Origin | None], named: dict[str | None, Origin | None]) -> Origin | None:
        """Follow a call into the project's own function."""
        name = dotted(node.func)
        target = self.project.resolve(self.file, name, self.symbol.name) if name else ""
        if not isinstance(target, Symbol):
            return None
        definition = self.project.definition(target)
        if definition is None and "." in target.name:
            klass = self.project.instance(Symbol(target.file, target.name.rpartition(".")[0]))
            if klass is not None:
                target = Symbol(klass.file, f"{klass.name}.{target.name.rpartition('.')[2]}")
        function = self.project.function(target)
        if function is None:
            return None
        names = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if names and names[0] in {"self", "cls"}:
            names = names[1:]
        known = {name: origin for name, origin in zip(names, given, strict=False) if origin is not None}
        known.update({name: origin for name, origin in named.items() if name and origin is not None})
        return self.reader.function(target, function, known)


_COMPLAINT: Final = re.compile(r"error|missing|required|invalid|fail|bad request|must |please|empty", re.IGNORECASE)


def _stops(body: list[ast.stmt]) -> bool:
    """Whether a branch refuses: it raises, answers with an error, says so in words, or tells its caller no."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Raise) or refuses(last) is not None:
        return True
    match last:
        case ast.Return(value=ast.Constant(value=False)) | ast.Return(value=ast.Tuple(elts=[ast.Constant(value=False), *_])):
            return True
        case ast.Return(value=ast.expr() as value):
            words = (each.value for each in ast.walk(value) if isinstance(each, ast.Constant) and isinstance(each.value, str))
            return any(_COMPLAINT.search(each) for each in words)
    return False


def _catches_key(handler: ast.ExceptHandler) -> bool:
    names = {dotted(each) for each in ast.walk(handler.type) if isinstance(each, ast.expr)} if handler.type else {""}
    return bool(names & {"KeyError", "Exception", "", "LookupError"})
