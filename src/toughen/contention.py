"""Owns the static signs of races: a row that is read, and then written from what was read or checked, with nothing in between that waits."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.module import dotted, names_in, scope_of
from toughen.handling import sought
from toughen.oracle import advisory
from toughen.querysets import readings
from toughen.touches import Touch, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toughen.handling import Handler, Place
    from toughen.model.blueprint import Blueprint, Table
    from toughen.model.finding import Suspicion
    from toughen.querysets import Lookup, Move, Reading
    from toughen.touches import Rows, Write

_WAITS = re.compile(r"with_for_update|select_for_update|BEGIN\s+(IMMEDIATE|EXCLUSIVE)|FOR UPDATE|\bLock\(|\w*lock\w*:|advisory_lock|isolation_level=.SERIALIZABLE", re.IGNORECASE)
"""What makes the second request wait for the first."""


@dataclass(frozen=True, slots=True)
class Step:
    """A change that rests on what was read before."""

    place: Place
    line: int
    text: str
    checked: bool
    """An `if` before it asks the value that was read."""
    computed: bool
    """The new value is computed in Python from the old one, and somebody relies on it: no counter of views, nothing that a GET notes."""


def lost(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Numbers computed in Python from what was read; the first of each route."""
    return _first(break_id, blueprint, sources, lambda step: step.computed, ": of two requests at once, one change may be lost")


def raced(break_id: str, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
    """Changes behind a check of what was read; the first of each route."""
    return _first(break_id, blueprint, sources, lambda step: step.checked, ", after a check: two requests at once may both pass it")


def _first(break_id: str, blueprint: Blueprint, sources: Mapping[str, str], fits: Callable[[Step], bool], what: str) -> Iterator[Suspicion]:
    def look(handler: Handler) -> Iterator[Suspicion]:
        step = next(filter(fits, _steps(handler)), None)
        if step is not None:
            yield handler.suspicion(break_id, step.line, step.text + what, step.place)

    return sought(blueprint, sources, look)


def _steps(handler: Handler) -> Iterator[Step]:
    if any(_WAITS.search(place.module.segment(place.node)) for place in handler.reach):
        return
    for found in rows(handler):
        yield from _changes(handler, found)
    for reading in readings(handler) if handler.blueprint.framework == "django" else ():
        yield from _by_models(handler, reading)


def _changes(handler: Handler, found: Rows) -> Iterator[Step]:
    for write in found.writes:
        table = handler.blueprint.table(write.table)
        if _moves(found, write, table):
            text = f"{write.column} is computed in Python from what was read"
            kept = handler.route.method != "GET" and not advisory(write.column)
            yield Step(found.place, write.line, text, _checks(found, write.table, write.column, write.line), computed=kept)
    yield from _inserted(handler, found)
    for touch in found.touches:
        if touch.verb == "update" and touch.values and _relative(found.place, touch):
            column = touch.columns[0]
            text = f"{touch.table}.{column} is read and checked first and changed then"
            yield Step(found.place, touch.line, text, _checks(found, touch.table, column, touch.line), computed=False)


def _by_models(handler: Handler, reading: Reading) -> Iterator[Step]:
    """The same of Django's models: `row.stock -= 1` and `row.save()`, a row that is looked for and added then."""
    place = reading.place
    for move in reading.moves:
        checked = _compares(place, reading, move)
        if move.python:
            kept = handler.route.method != "GET" and not advisory(move.column)
            yield Step(place, move.line, f"{move.column} is computed in Python from what was read", checked, computed=kept)
        elif checked:
            yield Step(place, move.line, f"{move.table.name}.{move.column} is read and checked first and changed then", checked=True, computed=False)
    for table, line in reading.added:
        for each in reading.lookups:
            names = {column.name.lower(): column.name.lower().removesuffix("_id") if column.references else column.name.lower() for column in table.columns}
            keys = [{names.get(name.lower(), name.lower()) for name in key} for key in (*table.uniques, *((column.name,) for column in table.columns if column.unique or column.primary_key))]
            by = {name.removesuffix("_id") if f"{name}" in names and names[name] != name else name for name in each.by} - {"pk"}
            if each.table is table and each.line < line and by and not any(key <= by for key in keys) and _decides(place, each, line):
                yield Step(place, line, f"a row of {table.name} is looked for by {', '.join(sorted(by))} and added then", checked=True, computed=False)
                break


def _compares(place: Place, reading: Reading, move: Move) -> bool:
    """Whether an `if` before a line compares the column of a row of the same table."""
    rows = {name for name, table in reading.held.items() if table is move.table}
    for node in scope_of(place.node):
        if isinstance(node, ast.If) and node.lineno < move.line:
            for test in ast.walk(node.test):
                compared = isinstance(test, ast.Compare) and not isinstance(test.ops[0], ast.Is | ast.IsNot)
                sides = [test.left, *test.comparators] if compared and isinstance(test, ast.Compare) else [test.operand] if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else []
                if any(isinstance(each, ast.Attribute) and each.attr.lower() == move.column and dotted(each.value) in rows for side in sides for each in ast.walk(side)):
                    return True
    return False


def _decides(place: Place, lookup: Lookup, line: int) -> bool:
    """Whether a row that was found keeps another one from being added: the function leaves, or adds it in the `else`."""
    if _refused(place, Touch(lookup.table.name, "select", lookup.by, (), lookup.line, place)):
        return True
    for node in scope_of(place.node):
        if isinstance(node, ast.If) and node.test.lineno <= lookup.line <= (node.test.end_lineno or 0):
            added = node.body if _absence(node.test) else node.orelse
            if any(each.lineno <= line <= (each.end_lineno or 0) for each in added):
                return True
    return False


def _moves(found: Rows, write: Write, table: Table | None) -> bool:
    """Whether a write takes its value from a row that was loaded before: `row.stock -= 1`, `SET points = ?` with `row["points"] + 5`."""
    column = table.column(write.column) if table else None
    if (column is not None and column.type not in {"integer", "number", "any"}) or _flushed(found, write.line) or _swapped(found, write, table):
        return False
    if write.how == "moves":
        models = set(found.models)
        made = any(isinstance(each, ast.Attribute) and dotted(each.value).rpartition(".")[2] in models for each in ast.walk(write.value))
        return not made and not any(isinstance(each, ast.Constant) and isinstance(each.value, str) for each in ast.walk(write.value)) and _on_a_row(found, write)
    return bool(_results(found, write.table, write.line) & names_in(write.value)) and any(isinstance(each, ast.BinOp) for each in _computing(found.place, write.value))


def _swapped(found: Rows, write: Write, table: Table | None) -> bool:
    """Whether an UPDATE asks more than which row it is (its version, what it held), and the rows that it hit are counted."""
    keys = {each.name.lower() for each in table.columns if each.primary_key or each.unique or each.references} if table else set()
    asked = {name for each in found.touches if each.verb == "update" and each.line == write.line for name in each.by}
    return bool(asked - keys) and bool(asked & keys) and "rowcount" in found.place.module.segment(found.place.node)


def _on_a_row(found: Rows, write: Write) -> bool:
    """Whether it is an attribute of a row that changes; what stands in a statement's text (`stock - ?`) the database computes."""
    return not any(each.line == write.line and each.values for each in found.touches)


def _computing(place: Place, value: ast.expr) -> Iterator[ast.AST]:
    """An expression and what its names were assigned."""
    yield from ast.walk(value)
    names = names_in(value)
    for node in scope_of(place.node):
        if isinstance(node, ast.Assign) and any(isinstance(each, ast.Name) and each.id in names for target in node.targets for each in ast.walk(target)):
            yield from ast.walk(node.value)


def _results(found: Rows, table: str, before: int) -> set[str]:
    """Names that hold what a SELECT of the table gave, and what was made of them."""
    names: set[str] = set()
    lines = {each.line for each in found.touches if each.table == table and each.verb == "select"}
    for node in scope_of(found.place.node):
        if isinstance(node, ast.Assign) and node.lineno < before:
            own = {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            ran = any(node.lineno <= line <= (node.end_lineno or node.lineno) for line in lines)
            after = any(isinstance(each, ast.Attribute) and each.attr.startswith("fetch") for each in ast.walk(node.value)) and any(line < node.lineno for line in lines)
            if ran or after or names_in(node.value) & names:
                names |= own
    return names


def _flushed(found: Rows, line: int) -> bool:
    """Whether SQLite's write lock is taken before the row is read: by a write that is sent first."""
    if found.blueprint.database not in {None, "sqlite"}:
        return False
    reads = [each.line for each in found.touches if each.verb == "select" and each.line < line]
    sent = [node.lineno for node in scope_of(found.place.node) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "flush"]
    return bool(reads) and any(each < max(reads) for each in sent)


def _checks(found: Rows, table: str, column: str, line: int) -> bool:
    """Whether an `if` before a line compares what the row held: its column, or what was made of the row."""
    results = _results(found, table, line)

    def of_row(node: ast.AST) -> bool:
        match node:
            case ast.Attribute(attr=attr, value=ast.Name(id=name)):
                return attr == column and name in found.held
            case ast.Name(id=name):
                return name in results and name not in found.held
        return False

    for node in scope_of(found.place.node):
        for test in ast.walk(node.test) if isinstance(node, ast.If) and node.lineno < line else ():
            presence = isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Is | ast.IsNot)
            truth = isinstance(test, ast.UnaryOp) and isinstance(test.operand, ast.Attribute)
            if (isinstance(test, ast.Compare) or truth) and not presence and any(map(of_row, ast.walk(test))):
                return True
    return False


def _relative(place: Place, touch: Touch) -> bool:
    """`SET balance = balance - ?` whose WHERE does not ask the column, and whose hit rows nobody counts."""
    for node in scope_of(place.node):
        if isinstance(node, ast.Call) and node.lineno == touch.line:
            text = " ".join(each.value for each in ast.walk(node) if isinstance(each, ast.Constant) and isinstance(each.value, str))
            set_part, _, condition = re.split(r"\bSET\b", text, maxsplit=1, flags=re.IGNORECASE)[-1].upper().partition("WHERE")
            column = touch.columns[0].upper() if touch.columns else ""
            if column and re.search(rf"\b{column}\s*=\s*{column}\s*-", set_part) and not re.search(rf"\b{column}\b", condition):
                return "rowcount" not in place.module.segment(place.node)
    return False


def _inserted(handler: Handler, found: Rows) -> Iterator[Step]:
    """`if a row is there: refuse`, then an INSERT of the same table; nothing where a unique key decides."""
    place = found.place
    for touch in found.touches:
        table = handler.blueprint.table(touch.table)
        if touch.verb != "insert" or table is None:
            continue
        for earlier in found.touches:
            if earlier.table != touch.table or earlier.verb != "select" or earlier.line >= touch.line or not earlier.by or _unique(table, earlier.by):
                continue
            if _refused(place, earlier):
                yield Step(place, touch.line, f"a row of {touch.table} is looked for by {', '.join(earlier.by)} and added then", checked=True, computed=False)
                return


def _unique(table: Table, by: tuple[str, ...]) -> bool:
    keys = [(each.name,) for each in table.columns if each.unique or each.primary_key] + list(table.uniques)
    return any({name.lower() for name in key} <= set(by) for key in keys)


def _refused(place: Place, touch: Touch) -> bool:
    """Whether the function leaves where the query found something: `if row: return ..., 409`."""
    held: set[str] = set()
    for node in scope_of(place.node):
        if isinstance(node, ast.Assign) and node.lineno <= touch.line <= (node.end_lineno or node.lineno):
            held |= {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        if isinstance(node, ast.Assign) and names_in(node.value) & held:
            held |= {each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)}
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return | ast.Raise) and node.lineno >= touch.line:
            inline = node.test.lineno <= touch.line <= (node.test.end_lineno or 0)
            if (inline or names_in(node.test) & held) and not _absence(node.test):
                return True
    return False


def _absence(test: ast.expr) -> bool:
    """`if not row`, `if row is None`: what is refused is that nothing was found."""
    match test:
        case ast.UnaryOp(op=ast.Not()) | ast.Compare(ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]):
            return True
        case ast.BoolOp(values=[first, *_]):
            return _absence(first)
    return False

