"""Owns which part of the request an expression holds."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from typing import Final, Protocol

from toughen.model.blueprint import Json, Place
from toughen.survey import documents
from toughen.survey.facts import dotted
from toughen.survey.project import Function, Missing, Project, Symbol, argument
from toughen.survey.reading import Origin, Reading, type_of

_FLASK: Final = {
    "json": Place.JSON, "form": Place.FORM, "args": Place.QUERY, "values": Place.FORM, "headers": Place.HEADER,
    "cookies": Place.COOKIE, "files": Place.FILE, "query_params": Place.QUERY,
}  # fmt: skip
_DJANGO: Final = {"GET": Place.QUERY, "POST": Place.FORM, "FILES": Place.FILE, "COOKIES": Place.COOKIE}
_SAME: Final = frozenset(
    {"strip", "lower", "upper", "lstrip", "rstrip", "title", "capitalize", "split", "encode", "replace", "startswith",
     "endswith", "isdigit", "splitlines", "removeprefix", "removesuffix", "casefold"}
)  # fmt: skip
_COPIES: Final = frozenset({"copy", "to_dict", "dict", "get_json", "deepcopy"})
_RAW: Final = Origin(None, ("raw",))
"""The body as it stands."""
_DECODES: Final = re.compile(r"json|event|validate|parse_raw|decode", re.IGNORECASE)
_CASTS: Final = {"int": "integer", "float": "number", "Decimal": "number", "str": "string", "bool": "boolean"}


class Follower(Protocol):
    """Who follows calls from one function into the next."""

    project: Project
    reading: Reading
    method: str

    def function(self, symbol: Symbol, node: Function, known: dict[str, Origin]) -> Origin | None:
        """Read one function with what its arguments hold; the origin of what it returns."""


class Expressions(ABC):
    """The expressions of one function; names hold origins."""

    def __init__(self, reader: Follower, symbol: Symbol, known: dict[str, Origin]) -> None:
        """Take who follows calls, the function that is read, and what its names hold."""
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
        self.absent: dict[str, list[Origin]] = {}
        """Local lists of the literal keys that the request lacks."""
        self.returned: Origin | None = None
        self.optional: set[Origin] = set()
        self.softly = 0

    @abstractmethod
    def loop(self, target: ast.expr, iterable: ast.expr, body: list[ast.stmt]) -> None:
        """Bind the variable of a loop."""

    @abstractmethod
    def condition(self, test: ast.expr, *, stops: bool) -> None:
        """Read a test."""

    @abstractmethod
    def bind(self, target: ast.expr, origin: Origin | None) -> None:
        """Give a name its origin."""

    @abstractmethod
    def keyed(self, left: ast.expr, right: ast.expr) -> list[Origin]:
        """Values that `left in right` asks for."""

    def literal(self, node: ast.expr) -> list[Json] | None:
        """The constants that an expression is made of, None where it is not constant."""
        if isinstance(node, ast.Name) and node.id in self.lists:
            return self.lists[node.id]
        if isinstance(node, ast.Name) and (node.id in self.known or node.id in self.keys):
            return None
        folded = self.project.fold(node, self.file)
        return folded if isinstance(folded, list) else None

    def origin(self, node: ast.expr) -> Origin | None:
        """The origin of an expression, noted or not."""
        return self.value(node)

    def value(self, node: ast.expr | None) -> Origin | None:  # noqa: C901, PLR0912 - one case for each form
        """The origin of an expression; what it reads is noted."""
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
                    # The values of a request without a body are its query.
                    query = attr == "values" and self.reader.method in {"GET", "HEAD"}
                    return self.root(Place.QUERY if query else _FLASK[attr])
                if holder is not None and holder.place is None and not holder.path and attr in _DJANGO:
                    return self.root(_DJANGO[attr])
                if holder is not None and holder == Origin(None) and attr == "data" and self.speaks_rest():
                    return self.root(Place.JSON)
                if attr == "request" and holder is None and isinstance(owner, ast.Name) and owner.id == "self" and self.speaks_rest("django"):
                    return Origin(None)
                if holder is not None and holder.place is None and attr in {"data", "body"}:
                    return self.raw()
                if holder is not None and self.parsed(holder) == "xml":
                    return documents.attribute(holder, attr)
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
                self.compare(node)
                return None
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
        """Whether a name is the request object of the framework."""
        target = self.project.facts[self.file].imports.get(name, "")
        return target in {"flask.request", "quart.request", "connexion.request", "starlette.requests.request"} or (
            name == "flask" and target == "flask"
        )

    def speaks_rest(self, other: str = "rest_framework") -> bool:
        """Whether the file is one of Django REST framework's, whose requests hold what was parsed in `data`."""
        return any(each.startswith(("rest_framework", other)) for each in self.project.facts[self.file].imports.values())

    def raw(self) -> Origin:
        """The body as it stands."""
        self.reading.raw = True
        return _RAW

    def parsed(self, holder: Origin) -> str | None:
        """What a part of a document is part of; None where it is none."""
        return self.reading.document if holder.place is Place.FORM and Place.FORM not in self.reading.roots else None

    def root(self, place: Place) -> Origin:
        """The whole of one place of the request."""
        self.reading.roots.add(place)
        return Origin(place)

    def read(self, origin: Origin, *, required: bool = False, default: Json = None) -> Origin:
        """Note that a value is read."""
        note = self.reading.note(origin)
        if required and not self.softly and origin not in self.optional:
            note.required = True
        if default is not None and note.default is None:
            note.default = default
        return origin

    def item(self, owner: ast.expr, index: ast.expr) -> Origin | None:
        """The origin of `owner[index]`."""
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
        """Read a comparison: literals tell kinds and enumerations."""
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
                    note.type = "number" if isinstance(value, float) else type_of(note.default) or "number"

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Origin | None:
        """The origin of what a comprehension makes."""
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

    def call(self, node: ast.Call) -> Origin | None:
        """The origin of what a call returns."""
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
            if (
                origin is not None
                and origin.path
                and origin.place is not None
                and (last != "str" or self.reading.note(origin).type is None)
            ) and (last in {"int", "float", "Decimal"} or self.reading.note(origin).type is None):
                self.reading.note(origin).type = _CASTS[last]
            return origin
        if last == "loads" and node.args:
            origin = self.value(node.args[0])
            if origin == _RAW:
                return self.root(Place.JSON)
            return None
        if (document := documents.parsed_as(name)) and node.args and self.value(node.args[0]) == _RAW:
            self.reading.document = document
            return documents.ROOT
        if last in documents.WRAPS and node.args and self.value(node.args[0]) == _RAW:
            return _RAW
        if (
            last
            in {
                "dict",
                "list",
                "set",
                "sorted",
                "deepcopy",
                "jsonable_encoder",
                "ImmutableMultiDict",
                "escape",
                "secure_filename",
                "quote",
                "unquote",
                "cast",
                "Markup",
            }
            and node.args
        ):
            origin = self.value(node.args[-1] if last == "cast" else node.args[0])
            for each in node.keywords:
                self.value(each.value)
            return origin
        if last == "isinstance" and len(node.args) > 1:
            origin = self.value(node.args[0])
            kinds = {
                "str": "string",
                "int": "integer",
                "float": "number",
                "bool": "boolean",
                "list": "array",
                "dict": "object",
            }
            kind = node.args[1].elts[0] if isinstance(node.args[1], ast.Tuple) and node.args[1].elts else node.args[1]
            if origin is not None and origin.path and origin.place and (told := kinds.get(dotted(kind))):
                note = self.reading.note(origin)
                note.type = "number" if isinstance(node.args[1], ast.Tuple) and told == "integer" else note.type or told
            return None
        given = [self.value(each) for each in node.args]
        named = {each.arg: self.value(each.value) for each in node.keywords}
        return self.enter(node, given, named)

    def method(self, node: ast.Call, holder: Origin, attr: str) -> object:  # noqa: C901 - one case for each method
        """The origin of what a method returns; NotImplemented where it is no method of a request value."""
        if holder.place is None:
            if holder == _RAW:
                return holder if attr in {"decode", "strip"} else NotImplemented
            if attr in {"get_json", "json"}:
                return self.root(Place.JSON)
            if attr == "form":
                return self.root(Place.FORM)
            return self.raw() if attr in {"get_data", "body"} else NotImplemented
        if (document := self.parsed(holder)) and (found := documents.below(document, holder, attr, self.project.text(argument(node, 0, "path"), self.file))):
            return self.read(found) if found != holder else found
        if attr in {"get", "pop", "getlist", "setdefault", "get_list", "getall"}:
            key = argument(node, 0, "key")
            default = self.project.fold(argument(node, 1, "default"), self.file)
            if len(node.args) > 1 and isinstance(default, Missing):
                self.value(node.args[1])
            plain = None if isinstance(default, Missing) else default
            cast = dotted(argument(node, 2, "type")).rpartition(".")[2]
            if isinstance(key, ast.Name) and key.id in self.keys:
                for known in self.keys[key.id]:
                    self.read(holder.below(known))
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

    def enter(
        self, node: ast.Call, given: list[Origin | None], named: dict[str | None, Origin | None]
    ) -> Origin | None:
        """Follow a call into the project's own function."""
        name = dotted(node.func)
        target = self.project.resolve(self.file, name, self.symbol.name) if name else ""
        if not isinstance(target, Symbol):
            self.reading.decoded |= _RAW in given and _DECODES.search(name) is not None
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
