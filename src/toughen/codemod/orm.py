"""Owns mends of SQLAlchemy loads: the owner in the query, and the check after a load."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, argument, replace, use
from toughen.codemod.module import Module, dotted, halt, names_in, own, scope_of
from toughen.codemod.refusals import refuse
from toughen.codemod.sql import scope_sql
from toughen.codemod.statements import executions
from toughen.model.patch import Unmended

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode

_FILTERS = {"filter", "where", "filter_by"}
_GETS = {"get": "first", "get_or_404": "first_or_404", "one_or_404": "first_or_404"}
_AGGREGATES = {"distinct", "group_by", "union", "count", "with_entities", "from_statement"}


@dataclass(frozen=True, slots=True)
class Load:
    """One SQLAlchemy query as it is written: who is asked, for which model, through which calls."""

    outer: ast.Call
    """The outermost call of the chain."""
    session: str
    """Text of the session, "" for `Model.query`."""
    model: str
    """Text of the model (`models.Order`), "" where the query names columns or functions only."""
    root: ast.expr
    """`db.query(M)`, `M.query`, `select(M)`, or the call of `get`."""
    steps: tuple[tuple[str, ast.Call], ...]
    """Calls behind the root, in order: (`filter`, ...), (`first`, ...)."""
    kind: str
    """query, model, select or get."""

    def step(self, *names: str) -> ast.Call | None:
        """The first call of one of these names."""
        return next((call for name, call in self.steps if name in names), None)


def loads(module: Module, root: ast.AST) -> list[Load]:
    """The queries that a node holds, each once."""
    found: dict[int, Load] = {}
    for node in own(root):
        if isinstance(node, ast.Call):
            load = _load(module, node)
            if load is not None and not any(load.root is other.root for other in found.values()):
                found[id(node)] = load
    return list(found.values())


def _load(module: Module, outer: ast.Call) -> Load | None:
    steps: list[tuple[str, ast.Call]] = []
    node: ast.expr = outer
    while isinstance(node, ast.Call):
        known = _root(module, node, outer, tuple(reversed(steps)))
        if known is not None:
            return known
        if not isinstance(node.func, ast.Attribute):
            return None
        steps.append((node.func.attr, node))
        node = node.func.value
    match node:
        case ast.Attribute(value=value, attr="query") if dotted(value).rpartition(".")[2][:1].isupper() and steps:
            return Load(outer, "", module.segment(value), node, tuple(reversed(steps)), "model")
        case _:
            return None


def _root(module: Module, node: ast.Call, outer: ast.Call, steps: tuple[tuple[str, ast.Call], ...]) -> Load | None:
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="query"), args=[first, *_]) if dotted(value):
            return Load(outer, module.segment(value), model_of(module, first), node, steps, "query")
        case ast.Call(func=ast.Name(id="select"), args=[first, *_]):
            return Load(outer, "", model_of(module, first), node, steps, "select")
        case ast.Call(func=ast.Attribute(value=value, attr="select"), args=[first, *_]) if dotted(value) in {
            "db",
            "sa",
        }:
            return Load(outer, "", model_of(module, first), node, steps, "select")
        case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[first, _, *_]) if _is_model(first):
            return Load(outer, module.segment(value), module.segment(first), node, steps, "get")
        case ast.Call(func=ast.Attribute(value=value, attr="get_or_404"), args=[first, _, *_]) if _is_model(first):
            return Load(outer, f"{module.segment(value)}.session", module.segment(first), node, steps, "get")
        case _:
            return None


def _is_model(node: ast.expr) -> bool:
    return dotted(node).rpartition(".")[2][:1].isupper()


def model_of(module: Module, node: ast.expr) -> str:
    """The model that a query's first argument names: `models.Order`, or `Order` of `Order.id`; "" for functions."""
    if _is_model(node):
        return module.segment(node)
    if isinstance(node, ast.Attribute) and _is_model(node.value):
        return module.segment(node.value)
    return ""


def only_load(module: Module, line: int) -> Load:
    """The one query of the statement at `line`; refuses none and several."""
    found = loads(module, module.statement(line))
    if len(found) != 1:
        halt(f"{module.file}:{line} holds {len(found)} SQLAlchemy queries, not one")
    return found[0]


@word
def scope_orm(module: Module, line: int, column: str, caller: str, *, key: str = "id") -> Draft:
    """Limit the SQLAlchemy query at `line` to rows whose `column` is the caller.

    Shapes: `db.query(M).filter(...)`, `.filter_by(...)`, `M.query...`, `select(M).where(...)`: one more condition
    in the filter that is there, or a `.filter(...)` behind the root; `session.get(M, x)`, `M.query.get(x)`,
    `get_or_404`: a filtered query on the primary key `key`. The handler's own not-found answer then gives 404.
    Refuses: several queries in one statement, queries for functions only, conditions that name the column already.
    """
    load = only_load(module, line)
    text = module.segment(load.outer)
    if re.search(rf"\b{re.escape(column)}\b\s*(==|=[^=]|\.in_)", text):
        halt(f"the query at {module.file}:{line} already names {column}")
    if not load.model:
        halt(f"the query at {module.file}:{line} names no model")
    if load.kind == "get":
        return _got(module, load, column, caller, key)
    for name, step in load.steps:
        if name in _GETS and load.kind in {"model", "query"}:
            return _got_by_query(module, load, step, (name, column, caller, key))
        if name in _FILTERS:
            condition = f"{column}={caller}" if name == "filter_by" else f"{load.model}.{column} == {caller}"
            return argument(module, step, condition)
    end = module.span(load.root).end
    verb = "where" if load.kind == "select" else "filter"
    return Draft(module, (Edit(end, end, f".{verb}({load.model}.{column} == {caller})"),))


def _got(module: Module, load: Load, column: str, caller: str, key: str) -> Draft:
    call = load.root
    if not isinstance(call, ast.Call) or len(call.args) != 2 or call.keywords:  # noqa: PLR2004
        return halt("the load by key has options of its own")
    value = module.segment(call.args[1])
    conditions = f"{key}={value}, {column}={caller}"
    waited = module.parent(call)
    if isinstance(waited, ast.Await):
        query = f"(await {load.session}.execute(select({load.model}).filter_by({conditions}))).scalar_one_or_none()"
        return replace(module, waited, query) + use(module, "from sqlalchemy import select")
    if isinstance(call.func, ast.Attribute) and call.func.attr == "get_or_404":
        return replace(module, call, f"{load.model}.query.filter_by({conditions}).first_or_404()")
    return replace(module, call, f"{load.session}.query({load.model}).filter_by({conditions}).first()")


def _got_by_query(module: Module, load: Load, step: ast.Call, how: tuple[str, str, str, str]) -> Draft:
    name, column, caller, key = how
    if len(step.args) != 1 or step.keywords:
        halt("the load by key has options of its own")
    value = module.segment(step.args[0])
    start = module.span(step.func.value).end if isinstance(step.func, ast.Attribute) else halt("no call by name")
    text = f".filter_by({key}={value}, {column}={caller}).{_GETS[name]}()"
    del load
    return Draft(module, (Edit(start, module.span(step).end, text),))


def scope_query(
    module: Module,
    line: int,
    column: str,
    caller: str,
    *,
    key: str = "id",
    style: str = "",
    through: str = "",
    project: Sequence[Module] = (),
) -> Draft | Unmended:
    """`scope_sql` where the statement at `line` executes SQL text, `scope_orm` where it asks SQLAlchemy."""
    raw = list(executions(module, module.statement(line), project))
    if raw:
        return scope_sql(module, line, column, caller, style=style, through=through, project=project)
    if through:
        return Unmended("the owner is two tables away from what SQLAlchemy is asked for")
    return scope_orm(module, line, column, caller, key=key)


@word
def owned(module: Module, line: int, column: str, caller: str, *, status: int = 404) -> Draft:
    """Compare the owner after the load at `line`: the fallback where the query cannot carry the condition.

    Shapes: `row = <load>` followed by `if not row:` / `if row is None:` with a refusal: the test gets
    `or row.column != caller`, and the answer is the handler's own. Without such a test, two lines follow the load,
    with the refusal `status` in the file's style. Rows read by key in the function (`row["x"]`) are compared by key.
    Refuses: loads that are not assigned to one name, lists, tuples read by position, and owners compared already.
    """
    statement = module.statement(line)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            if not isinstance(statement.value, (ast.Call, ast.Await)):
                halt(f"nothing is loaded at {module.file}:{line}")
        case _:
            return halt(f"the load at {module.file}:{line} is not assigned to one name")
    function = module.enclosing(statement) or halt("the load stands outside of a function")
    if _iterated(function, name):
        halt(f"`{name}` holds several rows")
    owner = f"{name}.{column}" if not _keyed(function, name) else f"{name}[{module.literal(column)}]"
    wanted = ast.dump(syntax.expression(owner))
    if any(isinstance(item, ast.Compare) and wanted in ast.dump(item) for item in scope_of(function)):
        halt(f"{function.name} already compares {owner}")
    block = module.block(statement)
    for item in block[block.index(statement) + 1 :]:
        if (
            isinstance(item, ast.If)
            and _is_missing(item.test, name)
            and isinstance(item.body[-1], (ast.Return, ast.Raise))
        ):
            return replace(module, item.test, f"{_or(module, item.test)} or {owner} != {caller}")
        if name in names_in(item) and not isinstance(item, ast.If):
            break
    refusal = refuse(module, function, status, "Not found")
    lines = f"if {name} is not None and {owner} != {caller}:\n" + "\n".join(
        "    " + text for text in refusal.text.split("\n")
    )
    return after(module, statement, lines) + refusal.needs(module)


def _iterated(function: FunctionNode, name: str) -> bool:
    """Whether a function goes through what a name holds row by row, and takes no key of it."""
    loops = [item for item in scope_of(function) if isinstance(item, ast.For | ast.comprehension)]
    return any(isinstance(item.iter, ast.Name) and item.iter.id == name for item in loops)


def _or(module: Module, test: ast.expr) -> str:
    text = module.segment(test)
    return f"({text})" if isinstance(test, (ast.IfExp, ast.Lambda, ast.NamedExpr)) else text


def _is_missing(test: ast.expr, name: str) -> bool:
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=found)):
            return found == name
        case ast.Compare(left=ast.Name(id=found), ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]):
            return found == name
        case ast.BoolOp(op=ast.Or(), values=[first, *_]):
            return _is_missing(first, name)
        case _:
            return False


def _keyed(function: FunctionNode, name: str) -> bool:
    keys = [
        item.slice
        for item in scope_of(function)
        if isinstance(item, ast.Subscript) and isinstance(item.value, ast.Name) and item.value.id == name
    ]
    if any(isinstance(key, ast.Constant) and isinstance(key.value, int) for key in keys):
        halt(f"`{name}` is read by position: the owner's place in it is unknown")
    return bool(keys) or any(
        isinstance(item, ast.Call) and dotted(item.func) == "dict" and name in names_in(item)
        for item in scope_of(function)
    )
