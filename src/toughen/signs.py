"""Owns the static signs of wrong input: values of a request that reach a cast, a row or a column of power without a question asked."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.carried import Carried, Sent
from toughen.codemod.module import dotted, names_in, scope_of
from toughen.codemod.orm import loads
from toughen.codemod.refusals import status_of
from toughen.handling import Handler, sought
from toughen.model.blueprint import Place as Where
from toughen.ownership import PRIVILEGED
from toughen.spreads import spreads, written
from toughen.touches import Rows, Write, rows
from toughen.twists import POWER, QUANTITY, SIGNED, users

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.module import Module
    from toughen.handling import Place
    from toughen.model.blueprint import Blueprint, Table
    from toughen.model.finding import Suspicion

_CASTS = {"int", "float", "Decimal", "UUID", "fromisoformat", "strptime", "fromtimestamp", "b64decode"}
_METHODS = {"strip", "lower", "upper", "split", "startswith", "endswith", "encode", "replace", "title", "isdigit"}
_ARITHMETIC = (ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod)
_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_BROAD = {"", "Exception", "BaseException"}
_NOTHING = {"first", "one_or_none", "scalar", "scalar_one_or_none", "get"}
_COUNTS = re.compile(r"\b(COUNT|SUM|MAX|MIN|AVG|EXISTS|COALESCE|TOTAL)\s*\(", re.IGNORECASE)
"""Statements that always give a row."""
_SERVER, _MOST = 500, 3


@dataclass(frozen=True, slots=True)
class Sign:
    """What a wrong value does, and where."""

    line: int
    text: str
    place: Place


# -- crashes -----------------------------------------------------------------------------------------------------------


def crashes(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """One suspicion a route: what wrong values end in an exception that nobody answers."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        signs: dict[str, Sign] = {}
        for carried in () if _answered_everywhere(handler) else Carried(handler).all():
            for each in (*_kinds(carried), *_absent(carried), *_large(carried), *_taken(carried)):
                signs.setdefault(each.text, each)
        if signs:
            first = next(iter(signs.values()))
            told = "; ".join(list(signs)[:_MOST]) + (f"; and {len(signs) - _MOST} more like it" if len(signs) > _MOST else "")
            yield handler.suspicion(break_id, first.line, f"{told}: the exception is answered nowhere", first.place)

    return sought(blueprint, sources, look)


def _kinds(carried: Carried) -> Iterator[Sign]:
    """Values of the wrong kind: casts, keys that are missing, arithmetic, methods of text."""
    place, tested, checked = carried.place, _tested(carried), _checked_from(carried)

    def sign(node: ast.expr, sent: Sent, text: str, *raised: str) -> Iterator[Sign]:
        by_schema = sent.place is Where.JSON and node.lineno > checked
        if (sent.place, sent.path) not in tested and not by_schema and not _answered(place.module, node, {*raised, *_BROAD}):
            yield Sign(node.lineno, text, place)

    for node in scope_of(place.node):
        match node:
            case ast.Call(func=func, args=[value, *_]) if dotted(func).rpartition(".")[2] in _CASTS and (held := carried.of(value)) and held.type in {"any", "string"} and not held.model:
                yield from sign(node, held, f"{dotted(func)}() of {held.name} raises where it is none", "ValueError", "TypeError", "InvalidOperation")
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[_, *_]) if (held := carried.of(value)) and _loose(held) and not held.path:
                yield from sign(node, held, "nothing asks whether the JSON body is an object, and `[1]` is none", "AttributeError", "TypeError")
            case ast.Subscript(value=value, slice=ast.Constant(value=str() as key), ctx=ast.Load()) if (held := carried.of(value)) and held.place is Where.JSON and not held.model:
                if _loose(held) and not held.path:
                    yield from sign(node, held, "nothing asks whether the JSON body is an object, and `[1]` is none", "TypeError", "KeyError")
                child = carried.below(held, key)
                if not _asked_for(carried, key, node) and not (child is not None and child.model and not child.optional):
                    yield from sign(node, Sent(held.place, (*held.path, key)), f"a missing {key} raises KeyError", "KeyError", "LookupError")
            case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in _METHODS and (held := carried.of(value)) and _loose(held) and held.path:
                yield from sign(node, held, f"{held.name}.{attr}() raises where {held.name} is no text", "AttributeError", "TypeError")
            case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ARITHMETIC) and (held := _loosest(carried, left, right)):
                yield from sign(node, held, f"arithmetic with {held.name} raises where it is no number", "TypeError")
            case ast.Compare(left=left, ops=[op, *_], comparators=[right, *_]) if isinstance(op, _ORDER) and (held := _loosest(carried, left, right)):
                yield from sign(node, held, f"comparing {held.name} raises where it is no number", "TypeError")


def _loose(held: Sent) -> bool:
    """Whether nothing enforces the value's kind."""
    return held.place is Where.JSON and held.type == "any" and not held.model


def _loosest(carried: Carried, *sides: ast.expr) -> Sent | None:
    return next((held for side in sides if (held := carried.of(side)) is not None and held.path and _loose(held)), None)


def _tested(carried: Carried) -> set[tuple[Where, tuple[str | int, ...]]]:
    """Values whose kind is asked: by isinstance, type(), .isdigit()."""
    found = set()
    for node in scope_of(carried.place.node):
        value: ast.expr | None = None
        match node:
            case ast.Call(func=ast.Name(id="isinstance" | "type" | "all" | "callable"), args=[first, *_]):
                value = first
            case ast.Call(func=ast.Attribute(value=owner, attr="isdigit" | "isnumeric" | "isdecimal")):
                value = owner
        held = carried.of(value) if value is not None else None
        if held is not None:
            found.add((held.place, held.path))
    return found


def _checked_from(carried: Carried) -> float:
    """The line from which a schema has checked the whole body: `jsonschema.validate(data, ...)`, `Schema().load(data)`."""
    lines = [
        node.lineno for node in scope_of(carried.place.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute) and _last(node.func) in {"validate", "load"}
        and any((held := carried.of(each)) is not None and held.place is Where.JSON and not held.path for each in node.args)
    ]
    return min(lines, default=float("inf"))


def _last(node: ast.Name | ast.Attribute) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr


def _asked_for(carried: Carried, key: str, use: ast.expr) -> bool:
    """Whether an earlier test of the function names the key, or a loop over names that hold it."""
    for node in scope_of(carried.place.node):
        tests = [node.test] if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert) else [node] if isinstance(node, ast.comprehension | ast.For) else []
        for test in tests:
            line = getattr(test, "lineno", use.lineno)
            whole = test.iter if isinstance(test, ast.comprehension | ast.For) else test
            if line <= use.lineno and any(isinstance(each, ast.Constant) and each.value == key for each in ast.walk(whole)):
                return True
    return any(isinstance(node, ast.List | ast.Tuple | ast.Set) and any(isinstance(each, ast.Constant) and each.value == key for each in node.elts) for node in scope_of(carried.place.node))


def _absent(carried: Carried) -> Iterator[Sign]:
    """A row that the request chooses and that may not be there, used before anything asks whether it is."""
    place, found = carried.place, Rows(carried.handler, carried.place)
    held: dict[str, str] = {}
    for node in scope_of(place.node):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                held.pop(name, None)
                table = _may_find_nothing(carried, found, value)
                if table:
                    held[name] = table
            case ast.If() | ast.IfExp() | ast.While() | ast.Assert():
                for name in names_in(node.test) & set(held):
                    del held[name]
            case ast.BoolOp(values=[first, *_]):
                for name in names_in(first) & set(held):
                    del held[name]
            case ast.Attribute(value=ast.Name(id=name)) | ast.Subscript(value=ast.Name(id=name)) if name in held:
                table = held.pop(name)
                if not _answered(place.module, node, {"AttributeError", "TypeError", *_BROAD}):
                    yield Sign(node.lineno, f"{name} is None where no row of {table} is found", place)


def _may_find_nothing(carried: Carried, found: Rows, value: ast.expr) -> str:
    """The table that an expression asks for one row by what the client sent, "" for anything else."""
    value = value.value if isinstance(value, ast.Await) else value
    chosen = any(carried.of(each) is not None for each in ast.walk(value))
    for load in loads(carried.module, value):
        last = load.steps[-1][0] if load.steps else load.kind
        if load.outer is value and chosen and last in _NOTHING and load.model.rpartition(".")[2] in found.models:
            return found.models[load.model.rpartition(".")[2]].name
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "fetchone":
        reads = [each for each in found.touches if each.verb == "select" and each.line <= value.lineno]
        last_read = max(reads, key=lambda each: each.line, default=None)
        if last_read is not None and any(carried.of(each) is not None for each in last_read.values) and not _COUNTS.search(last_read.columns[0]):
            return last_read.table
    return ""


def _large(carried: Carried) -> Iterator[Sign]:
    """Whole numbers without an upper bound on their way into a column: 10**30 fits into no INTEGER."""
    if carried.handler.blueprint.database in {None, "memory"}:
        return
    found = Rows(carried.handler, carried.place)
    for held, write in written(carried, found):
        if held.type == "integer" and not carried.capped(held) and not _answered(found.place.module, write.value, {"OverflowError", *_BROAD}):
            yield Sign(write.line, f"{held.name} has no upper bound, and 10**30 fits into no INTEGER column", found.place)


def _taken(carried: Carried) -> Iterator[Sign]:
    """A value of the request in a unique column, where neither a look beforehand nor an answer to the violation is written."""
    handler = carried.handler
    found = Rows(handler, carried.place)
    looked = {(each.table, column) for one in rows(handler) for each in one.touches if each.verb == "select" for column in each.by}
    for held, write in written(carried, found):
        table = handler.blueprint.table(write.table)
        column = table.column(write.column) if table else None
        if column is None or table is None or write.how != "set" or column.primary_key:
            continue
        if not column.unique and (column.name,) not in table.uniques:
            continue
        caught = any(_answered_in(place.module, place.node, {"IntegrityError", "UniqueViolation", *_BROAD}) for place in handler.reach)
        if (write.table, write.column) not in looked and not caught and not _ignores(found, write):
            yield Sign(write.line, f"{table.name}.{column.name} is unique, and a second {held.name} of that value violates it", found.place)


def _ignores(found: Rows, write: Write) -> bool:
    line = found.place.module.segment(found.place.module.statement(write.line)).upper()
    return "OR IGNORE" in line or "ON CONFLICT" in line or "OR REPLACE" in line


def _answered(module: Module, node: ast.AST, names: set[str]) -> bool:
    """Whether a handler around a node takes one of these exceptions and answers no 5xx."""
    child: ast.AST = node
    for above in module.ancestors(node):
        if isinstance(above, ast.Try) and any(child is each for each in above.body) and _takes(above, names):
            return True
        child = above
    return False


def _answered_in(module: Module, node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(each, ast.Try) and _takes(each, names) for each in ast.walk(node)) and bool(module.functions)


def _takes(node: ast.Try, names: set[str]) -> bool:
    return any(names & _classes(each.type) and not _fails(each.body) for each in node.handlers)


def _classes(node: ast.expr | None) -> set[str]:
    if node is None:
        return {""}
    return {dotted(each).rpartition(".")[2] for each in (node.elts if isinstance(node, ast.Tuple) else [node])}


def _fails(body: list[ast.stmt]) -> bool:
    """Whether a handler answers 5xx or lets the exception go on."""
    for node in (each for statement in body for each in ast.walk(statement)):
        if isinstance(node, ast.Raise) and node.exc is None:
            return True
        if isinstance(node, ast.expr) and (status_of(node) or 0) >= _SERVER:
            return True
    return False


def _answered_everywhere(handler: Handler) -> bool:
    """Whether the application turns every exception into an answer of its own below 500."""
    for module in handler.project:
        for node in module.functions:
            for call in (each for each in node.decorator_list if isinstance(each, ast.Call)):
                if dotted(call.func).rpartition(".")[2] in {"errorhandler", "exception_handler", "app_errorhandler"} and any(dotted(arg) == "Exception" for arg in call.args):
                    return not _fails(node.body)
    return False


# -- numbers -----------------------------------------------------------------------------------------------------------


def numbers(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Numbers of the request that reach a quantity or an amount, or are added to a column, with no bound on the way."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        if handler.route.method == "GET" or SIGNED.search(handler.route.path):
            return
        whole = Carried(handler)
        told: set[str] = set()
        for carried in whole.all():
            for sent, write in _numbers(carried):
                if sent.name in told or whole.floored(sent) or SIGNED.search(sent.name) or SIGNED.search(write.column):
                    continue
                told.add(sent.name)
                what = f"is added to or taken from {write.table}.{write.column}" if write.how == "moves" else f"is stored in {write.table}.{write.column}"
                yield handler.suspicion(break_id, write.line, f"{sent.name} {what}, and nothing asks whether it is below zero", carried.place)

    return sought(blueprint, sources, look)


def _numbers(carried: Carried) -> Iterator[tuple[Sent, Write]]:
    for sent, write in written(carried, Rows(carried.handler, carried.place)):
        table = carried.handler.blueprint.table(write.table)
        column = table.column(write.column) if table else None
        if column is not None and (column.primary_key or column.references or column.type not in {"integer", "number", "any"}):
            continue
        counted = write.how == "moves" or QUANTITY.search(write.column) is not None
        if sent.type in {"integer", "number", "any"} and not sent.signed and counted:
            yield sent, write


# -- fields of power ---------------------------------------------------------------------------------------------------


def assigned(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Columns of power that a request may reach: all its keys are spread into a row, or the field itself is taken."""

    def look(handler: Handler) -> Iterator[Suspicion]:
        route = handler.route
        if route.method in {"GET", "DELETE"} or any(guard.roles or PRIVILEGED.search(guard.name) for guard in route.guards):
            return
        found = next((each for carried in Carried(handler).all() for each in (*_whole(carried), *_single(carried))), None)
        if found is not None:
            yield handler.suspicion(break_id, found.line, found.text, found.place)

    return sought(blueprint, sources, look)


def _whole(carried: Carried) -> Iterator[Sign]:
    found = Rows(carried.handler, carried.place)
    for node, held, table in spreads(carried, found):
        powers = _powers(carried, held, table)
        if powers:
            what = f"every key of {held.name}" if not held.model else f"every field of {carried.handler.route.body_model}"
            yield Sign(node.lineno, f"{what} is written to {table.name if table else 'a row'}, {', '.join(powers)} among them", carried.place)


def _powers(carried: Carried, held: Sent, table: Table | None) -> list[str]:
    """Columns of power within reach: of the table, or of any table where it is not known; of a typed body only what it declares."""
    tables = [table] if table is not None else list(carried.handler.blueprint.tables)
    columns = [each.name for one in tables for each in one.columns if POWER.search(each.name)]
    if held.model:
        declared = {each.name for each in carried.handler.route.parameters if each.place is held.place and not each.required}
        columns = [each for each in columns if each in declared]
    return list(dict.fromkeys(columns))[:_MOST]


def _single(carried: Carried) -> Iterator[Sign]:
    """One field of power that a client may add: read from the body, written to its column."""
    for write in Rows(carried.handler, carried.place).writes:
        held = carried.of(write.value)
        if held is None or not held.path or held.place not in {Where.JSON, Where.FORM} or not POWER.search(write.column) or write.how != "set":
            continue
        table = users(carried.handler.blueprint)
        joins = table is not None and table.name.lower() == write.table and not carried.handler.route.guards
        if not held.optional and not joins and not _may_miss(carried, held.name):
            # What every honest client must send is the route's purpose, but for somebody who signs up.
            continue
        yield Sign(write.line, f"{write.table}.{write.column} is taken from the request's {held.name}", carried.place)


def _may_miss(carried: Carried, key: str) -> bool:
    """`if "role" in data:` says that an honest client need not send it."""
    for node in scope_of(carried.place.node):
        match node:
            case ast.Compare(left=ast.Constant(value=found), ops=[ast.In()]) if found == key:
                return True
    return False
