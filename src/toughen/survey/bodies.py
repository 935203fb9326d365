"""Owns what an untyped handler reads from its request, followed through local names and the project's own functions."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Place
from toughen.survey import documents
from toughen.survey.checks import Checks
from toughen.survey.facts import dotted
from toughen.survey.reading import Origin, Reading
from toughen.survey.refusals import refuses

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.survey.project import Function, Project, Symbol

_DEEPEST: Final = 5
_MOST: Final = 150


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
    if reading.raw and reading.document is None and not reading.roots & {Place.JSON, Place.FORM, Place.FILE} and not reading.decoded:
        reading.document = "text"
        reading.note(documents.TEXT).required = True
    if method in {"GET", "HEAD"}:
        for place in (Place.FORM, Place.FILE):
            reading.roots.discard(place)
            reading.notes = {origin: note for origin, note in reading.notes.items() if origin.place is not place}
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


class _Scope(Checks):
    """The statements of one function."""

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:  # noqa: C901, PLR0912 - one case for each kind of statement
        match node:
            case ast.Assign(targets=targets, value=value):
                origin = self.value(value)
                folded = (
                    self.project.fold(value, self.file) if isinstance(value, ast.List | ast.Tuple | ast.Set) else None
                )
                for target in targets:
                    self.bind(target, origin)
                    if isinstance(target, ast.Name):
                        self.lists.pop(target.id, None)
                        self.absent.pop(target.id, None)
                        if isinstance(value, ast.ListComp):
                            self.absent[target.id] = self.absentees(value)
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
                taken = self.by_method(test)
                self.condition(test, stops=_stops(body))
                if taken is not False:
                    self.block(body)
                if taken is not True:
                    self.block(orelse)
            case (
                ast.For(target=target, iter=iterable, body=body) | ast.AsyncFor(target=target, iter=iterable, body=body)
            ):
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

    def by_method(self, test: ast.expr) -> bool | None:
        """Whether a test of the request's method holds for this route's, None for other tests."""
        match test:
            case ast.Compare(left=ast.Attribute(attr="method"), ops=[operator], comparators=[right]):
                value = self.project.fold(right, self.file)
                equal = self.reader.method in value if isinstance(value, list) else value == self.reader.method
                if isinstance(operator, ast.Eq | ast.In):
                    return equal
                return not equal if isinstance(operator, ast.NotEq | ast.NotIn) else None
        return None

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
                    case ast.Compare(left=ast.Name(id=left), ops=[ast.In() | ast.NotIn()], comparators=[right]) if (
                        left == name
                    ):
                        return [each for each in self.literal(right) or () if isinstance(each, str)]
        return []

    def pattern(self, origin: Origin | None, pattern: ast.pattern) -> None:
        for node in ast.walk(pattern):
            if isinstance(node, ast.MatchValue) and isinstance(node.value, ast.Constant) and origin and origin.path:
                value = node.value.value
                if isinstance(value, str | int | float | bool):
                    self.reading.note(origin).compared.append(value)


_COMPLAINT: Final = re.compile(r"error|missing|required|invalid|fail|bad request|must |please|empty", re.IGNORECASE)


def _stops(body: list[ast.stmt]) -> bool:
    """Whether a branch refuses: it raises, answers with an error, says so in words, or tells its caller no."""
    if not body:
        return False
    last = body[-1]
    if isinstance(last, ast.Raise) or refuses(last) is not None:
        return True
    match last:
        case (
            ast.Return(value=ast.Constant(value=False))
            | ast.Return(value=ast.Tuple(elts=[ast.Constant(value=False), *_]))
        ):
            return True
        case ast.Return(value=ast.expr() as value):
            words = (
                each.value for each in ast.walk(value) if isinstance(each, ast.Constant) and isinstance(each.value, str)
            )
            return any(_COMPLAINT.search(each) for each in words)
    return False


def _catches_key(handler: ast.ExceptHandler) -> bool:
    names = {dotted(each) for each in ast.walk(handler.type) if isinstance(each, ast.expr)} if handler.type else {""}
    return bool(names & {"KeyError", "Exception", "", "LookupError"})
