"""Owns where a prototype's source asks for a stored password: comparisons in Python, conditions of a query, and what follows on each."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import sql
from toughen.carried import handed
from toughen.codemod.module import dotted, own, scope_of
from toughen.codemod.orm import Load, loads
from toughen.codemod.statements import Execution, executions, single_assignment
from toughen.handling import Place, called, calls_of
from toughen.keeping import NAME, SENT, Made, is_call_of, made
from toughen.touches import statement_text, values_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import Module
    from toughen.model.blueprint import Table

_KEPT = re.compile(r"hash|stored|saved|digest|^db_|_db$|correct|expected", re.IGNORECASE)
_ONE = {"first", "one_or_none", "scalar_one_or_none", "scalar"}


@dataclass(frozen=True, slots=True)
class Compared:
    """A stored password compared in Python."""

    place: Place
    node: ast.expr
    """The whole comparison."""
    plain: str
    kept: str
    former: str
    """What it was stored as, where a digest was compared."""
    negative: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """A stored password as a condition of a query, whose row a name takes."""

    place: Place
    statement: ast.Assign
    """`row = ...` that takes what the query finds."""
    name: str
    plain: str
    former: str
    load: Load | None = None
    condition: ast.expr | ast.keyword | None = None
    """Of a query of SQLAlchemy's: what goes."""
    execution: Execution | None = None
    index: int = 0
    """Of SQL: which of the bound values goes."""
    many: bool = False
    """Whether the name takes all rows that are found, as a list."""


def comparisons(project: tuple[Module, ...], table: Table, column: str) -> Iterator[Compared]:
    """Every comparison of a stored password with one that was sent, or with its digest."""
    for module in project:
        for node in module.functions:
            place = Place(module, node)
            for each in scope_of(node):
                sides, negative = _sides(each)
                found = next((one for left, right in ((sides, sides[::-1]) if sides else ()) if (one := _compared(place, left, right, table, column, project))), None)
                if found is not None and isinstance(each, ast.expr):
                    password, stored = found
                    segment = module.segment
                    yield Compared(place, each, segment(password.plain), segment(stored), segment(password.node) if password.digest else "", negative)


def _sides(node: ast.AST) -> tuple[tuple[ast.expr, ...], bool]:
    match node:
        case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as op], comparators=[right]):
            return (left, right), isinstance(op, ast.NotEq)
        case ast.Call(func=func, args=[left, right]) if dotted(func).rpartition(".")[2] == "compare_digest":
            return (left, right), False
    return (), False


def _compared(place: Place, sent: ast.expr, stored: ast.expr, table: Table, column: str, project: tuple[Module, ...]) -> tuple[Made, ast.expr] | None:
    """(what was sent, the stored text) where the sides are these."""
    if isinstance(sent, ast.Constant) or isinstance(stored, ast.Constant) or _is_model(sent, table) or _is_model(stored, table):
        return None
    bare = stored.func.value if isinstance(stored, ast.Call) and isinstance(stored.func, ast.Attribute) and stored.func.attr in {"encode", "decode"} else stored
    names = _parameters(place)
    whole = frozenset(names) - {"self"} if len(names - {"self"}) <= 3 and NAME.search(re.sub(r"^(verify|check|validate|compare|match(es)?|is_valid|authenticate|valid)_?|_?(hash|match(es)?|valid)$", "", place.node.name)) else frozenset()  # noqa: PLR2004 - a helper takes little
    password = made(place, sent, project, whole)
    if password is None:
        return None
    if password.digest:
        told = _last(bare)
        return (password, bare) if told == column or NAME.match(told) or _KEPT.search(told) or (isinstance(bare, ast.Name) and bare.id in whole) or _position(place, bare, table) == column else None
    if _stored(place, bare, table, column) and dotted(_base(bare)) != dotted(_base(sent)):
        return password, bare
    # `verify(plain, stored)`: both are the helper's parameters.
    helper = isinstance(bare, ast.Name) and bare.id in whole and _KEPT.search(bare.id) and isinstance(password.plain, ast.Name) and not _KEPT.search(password.plain.id)
    return (password, bare) if helper else None


def _stored(place: Place, node: ast.expr, table: Table, column: str) -> bool:
    """Whether an expression is the stored password of a row: by its name or its place in the row, directly or through a local name."""
    if isinstance(node, ast.Name):
        found = single_assignment(place.module, node, node.id)
        return found is not None and not isinstance(found[1], ast.Name) and _stored(place, found[1], table, column)
    base = _base(node)
    if not isinstance(base, ast.Name) or SENT.match(base.id) or _annotated(place, base.id, table):
        return False
    return _last(node) == column or _position(place, node, table) == column


def _annotated(place: Place, name: str, table: Table) -> bool:
    """Whether a name is a parameter of some class that is not the table's own: a model of the request."""
    model = (table.model or "").rpartition(".")[2]
    for each in (each for each in ast.walk(place.node.args) if isinstance(each, ast.arg) and each.arg == name and each.annotation is not None):
        kinds = {part.id if isinstance(part, ast.Name) else part.attr for part in ast.walk(each.annotation) if isinstance(part, ast.Name | ast.Attribute)}  # type: ignore[arg-type]
        return model not in kinds
    return False


def _is_model(node: ast.expr, table: Table) -> bool:
    """`User.password == ...` is a condition of a query."""
    return isinstance(node, ast.Attribute) and dotted(node.value).rpartition(".")[2] == (table.model or "").rpartition(".")[2] != ""


def _base(node: ast.expr) -> ast.expr:
    match node:
        case ast.Attribute(value=value) | ast.Subscript(value=value):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="get")):
            return value
    return node


def _last(node: ast.expr) -> str:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.Subscript(slice=ast.Constant(value=str() as name)):
            return name.lower()
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=str() as name), *_]):
            return name.lower()
    return ""


def _parameters(place: Place) -> set[str]:
    return {each.arg for each in ast.walk(place.node.args) if isinstance(each, ast.arg)}


# -- rows that are read by position ------------------------------------------------------------------------------------


def _position(place: Place, node: ast.expr, table: Table) -> str:
    """The column that `row[2]` is, by the statement whose row the name takes; "" for anything else."""
    match node:
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=int() as index)):
            found = origin(place, name, node.lineno)
            names = listed(statement_text(place, found[1].text), table) if found is not None else []
            return names[index] if 0 <= index < len(names) else ""
    return ""


def origin(place: Place, name: str, line: int, project: Sequence[Module] = ()) -> tuple[ast.Assign, Execution] | None:
    """(assignment, execution) of the SQL whose row a name holds at a line: in one statement, or fetched from a cursor behind it."""
    last: Execution | None = None
    found: tuple[ast.Assign, Execution] | None = None
    for node in sorted((each for each in scope_of(place.node) if isinstance(each, ast.stmt) and each.lineno < line), key=lambda each: each.lineno):
        last = next(iter(executions(place.module, node, project)), last)
        if isinstance(node, ast.Assign) and any(dotted(target) == name for target in node.targets) and last is not None:
            found = (node, last)
    return found


def listed(text: str, table: Table) -> list[str]:
    """Columns that a SELECT gives, in order, lower case; of `*` all of the table's."""
    match = re.match(r"\s*SELECT\s+(?:DISTINCT\s+)?(.*?)\s+FROM\b", text, re.IGNORECASE | re.DOTALL)
    if match is None:
        return []
    if re.fullmatch(r"(\w+\.)?\*", match.group(1).strip()):
        return [each.name.lower() for each in table.columns]
    return [re.split(r"\s+AS\s+|\s+", each.strip(), flags=re.IGNORECASE)[-1].rpartition(".")[2].strip('"`').lower() for each in match.group(1).split(",")]


# -- conditions of a query ---------------------------------------------------------------------------------------------


def conditions(project: tuple[Module, ...], table: Table, column: str) -> Iterator[Asked]:
    """Every query that asks for a row by its password, where one name takes the row."""
    model = (table.model or "").rpartition(".")[2]
    for module in project:
        for node in module.functions:
            place = Place(module, node)
            for statement in (each for each in scope_of(node) if isinstance(each, ast.stmt)):
                for load in loads(module, statement):
                    if load.model.rpartition(".")[2] == model != "":
                        yield from _filtered(place, statement, load, column, project)
                for found in executions(module, statement, project):
                    yield from _bound(place, statement, found, (table.name.lower(), column), project)


def unexplained(project: tuple[Module, ...], table: Table, column: str) -> str:
    """Where a query asks for a row by what is stored, and not by a password (a cookie that holds the digest); "" where none does."""
    model = (table.model or "").rpartition(".")[2]
    for module in project:
        for node in module.functions:
            place = Place(module, node)
            for statement in (each for each in scope_of(node) if isinstance(each, ast.stmt)):
                values = [value for found in executions(module, statement, project) for value in _asking(place, found, (table.name.lower(), column))]
                for load in (each for each in loads(module, statement) if each.model.rpartition(".")[2] == model != ""):
                    values += [each.value for _, call in load.steps for each in call.keywords if (each.arg or "").lower() == column]
                if any(made(place, each, project) is None for each in values):
                    return f"{module.file}:{statement.lineno} in {place.name}"
    return ""


def _asking(place: Place, found: Execution, wanted: tuple[str, str]) -> Iterator[ast.expr]:
    """What a SELECT compares the column with."""
    text = statement_text(place, found.text)
    if text and sql.read(text).verb == "select":
        for value, (where, name, how) in zip(values_of(found.parameters), sql.bindings(text), strict=False):
            if (where or wanted[0]) == wanted[0] and name == wanted[1] and how == "eq":
                yield value


def _filtered(place: Place, statement: ast.stmt, load: Load, column: str, project: tuple[Module, ...]) -> Iterator[Asked]:
    taker = _taker(place, statement)
    if taker is None:
        return
    for name, call in load.steps:
        parts: list[tuple[ast.expr | ast.keyword, ast.expr]] = []
        if name == "filter_by":
            parts = [(each, each.value) for each in call.keywords if (each.arg or "").lower() == column]
        elif name in {"filter", "where"}:
            for each in call.args:
                match each:
                    case ast.Compare(left=ast.Attribute(attr=attr) as left, ops=[ast.Eq()], comparators=[right]) if attr.lower() == column and dotted(left.value) == load.model:
                        parts.append((each, right))
        for condition, value in parts:
            password = made(place, value, project)
            if password is not None:
                former = place.module.segment(password.node) if password.digest else ""
                yield Asked(place, *taker, place.module.segment(password.plain), former, load=load, condition=condition)


def _taker(place: Place, statement: ast.stmt) -> tuple[ast.Assign, str] | None:
    """The assignment that takes the row: the statement itself, or one that calls `scalars().first()` on what it took."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1 or not isinstance(statement.targets[0], ast.Name):
        return None
    name = statement.targets[0].id
    if _takes_one(statement.value):
        return statement, name
    for each in scope_of(place.node):
        match each:
            case ast.Assign(targets=[ast.Name(id=row)], value=value) if each.lineno > statement.lineno and _takes_one(value) and any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(value)):
                return each, row
    return None


def _takes_one(value: ast.expr) -> bool:
    inner = value.value if isinstance(value, ast.Await) else value
    return isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute) and inner.func.attr in _ONE


def _bound(place: Place, statement: ast.stmt, found: Execution, wanted: tuple[str, str], project: tuple[Module, ...]) -> Iterator[Asked]:
    text = statement_text(place, found.text)
    table, column = wanted
    if not text or sql.read(text).verb != "select":
        return
    values = values_of(found.parameters)
    for index, (where, name, how) in enumerate(sql.bindings(text)):
        if (where or table) != table or name != column or how != "eq" or index >= len(values):
            continue
        password = made(place, values[index], project)
        rows = gathered(place, statement, found, project)
        taker = rows or fetched(place, statement)
        if password is not None and taker is not None:
            former = place.module.segment(password.node) if password.digest else ""
            yield Asked(place, *taker, place.module.segment(password.plain), former, execution=found, index=index, many=rows is not None)


def gathered(place: Place, statement: ast.stmt, found: Execution, project: tuple[Module, ...]) -> tuple[ast.Assign, str] | None:
    """The assignment that takes all rows of a statement: by `fetchall()`, here or in a function of the project's own."""
    helper = called(place, found.call, project)
    inside = helper.module.segment(helper.node) if helper is not None else ""
    for each in sorted((each for each in scope_of(place.node) if isinstance(each, ast.Assign) and each.lineno >= statement.lineno), key=lambda each: each.lineno):
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if each is statement and helper is not None:
                bare = value.value if isinstance(value, ast.Await) else value
                return (each, name) if bare is found.call and "fetchall" in inside and "fetchone" not in inside and "one=True" not in ast.unparse(value) else None
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr="fetchall")) | ast.Await(value=ast.Call(func=ast.Attribute(attr="fetchall")))):
                return each, name
            case ast.Assign(value=value) if "fetchone" in ast.unparse(value) or any(True for _ in executions(place.module, each, project) if each is not statement):
                return None
    return None


def fetched(place: Place, statement: ast.stmt) -> tuple[ast.Assign, str] | None:
    """The assignment that takes the row of a statement that executes SQL: itself, or the next `fetchone()`."""
    for each in sorted((each for each in scope_of(place.node) if isinstance(each, ast.Assign) and each.lineno >= statement.lineno), key=lambda each: each.lineno):
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                text = ast.unparse(value)
                if ".fetchone()" in text or re.search(r"\bfetchrow\(|fetch_one\(|one=True", text):
                    return each, name
    return None


# -- what follows ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Passed:
    """Where a comparison has let somebody in: the block's first statement, or the one that it follows."""

    place: Place
    statement: ast.stmt
    row: str
    plain: str
    kept: str
    former: str = ""
    behind: bool = False
    """Behind that statement, rather than in front of it."""


def passed(each: Compared, project: tuple[Module, ...], table: Table, column: str) -> Iterator[Passed]:
    """Where the right password has just been given, with the row at hand: after the comparison itself, or after the call of the helper that makes it."""
    base = each.kept.rpartition(".")[0] if "." in each.kept and not each.kept.endswith("]") else each.kept.partition("[")[0] if "[" in each.kept else ""
    model = (table.model or "").rpartition(".")[2]
    if base and base != "self":
        yield from _after(each.place, each.node, (base, each.plain, each.kept, each.former), refuses=each.negative)
        return
    for module in project:
        for node in module.functions:
            caller = Place(module, node)
            for call in calls_of(node):
                if not is_call_of(caller, call, each.place, project, model):
                    continue
                if base == "self" and isinstance(call.func, ast.Attribute) and call.args:
                    row = module.segment(call.func.value)
                    yield from _after(caller, call, (row, module.segment(call.args[0]), f"{row}.{column}", ""))
                elif not base:
                    given = dict(handed(each.place.node, call))
                    kept, sent = given.get(each.kept), given.get(each.plain)
                    if kept is not None and sent is not None and _last(kept) == column and isinstance(_base(kept), ast.Name):
                        yield from _after(caller, call, (module.segment(_base(kept)), module.segment(sent), module.segment(kept), ""))


def _after(place: Place, node: ast.expr, told: tuple[str, str, str, str], *, refuses: bool = False) -> Iterator[Passed]:
    """Behind the `if` that turns a wrong password away, or first in the one that a right one opens."""
    module = place.module
    statement = module.statement_of(node)
    if not isinstance(statement, ast.If) or not any(node is each for each in own(statement)):
        return
    above = module.parent(node)
    while above is not None and above is not statement:
        if isinstance(above, ast.UnaryOp) and isinstance(above.op, ast.Not):
            refuses = not refuses
        elif isinstance(above, ast.BoolOp) and isinstance(above.op, ast.And) == refuses:
            # `user and wrong` is not true of somebody who is not there, either.
            return
        above = module.parent(above)
    last = statement.body[-1]
    leaves = isinstance(last, ast.Return | ast.Raise | ast.Continue) or (isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and dotted(last.value.func).endswith("abort"))
    if not refuses:
        yield Passed(place, statement.body[0], *told)
    elif statement.orelse and not module.segment(statement.orelse[0]).startswith("elif"):
        yield Passed(place, statement.orelse[0], *told)
    elif leaves and not statement.orelse:
        yield Passed(place, statement, *told, behind=True)
