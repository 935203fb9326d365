"""Owns mends of lost updates over SQLAlchemy: conditional updates, updates in the database, and locked reads."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.answers import attempts, swallowing
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, argument, before, layout, replace
from toughen.codemod.module import Module, Span, dotted, halt, scope, scope_of
from toughen.codemod.orm import Load, loads, only_load
from toughen.codemod.statements import single_assignment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode

_NEGATED = {
    ast.Lt: ">=", ast.LtE: ">", ast.Gt: "<=", ast.GtE: "<", ast.Eq: "!=", ast.NotEq: "==",
}  # fmt: skip
_PLAIN = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_LONGEST = 120
_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-"}


@dataclass(frozen=True, slots=True)
class Step:
    """`row.column -= amount`, however it is written."""

    statement: ast.stmt
    row: str
    column: str
    sign: str
    amount: ast.expr


def step_at(module: Module, line: int) -> Step:
    """The step of a counter that the statement at `line` is; refuses other statements."""
    statement = module.statement(line)
    match statement:
        case ast.AugAssign(target=ast.Attribute(value=ast.Name(id=row), attr=column), op=operator, value=amount):
            sign = _SIGNS.get(type(operator))
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id=row), attr=column)],
            value=ast.BinOp(left=ast.Attribute(value=ast.Name(id=again), attr=other), op=operator, right=amount),
        ) if (row, column) == (again, other):
            sign = _SIGNS.get(type(operator))
        case _:
            return halt(f"{module.file}:{line} is no `row.column += amount`")
    return (
        Step(statement, row, column, sign, amount) if sign else halt(f"{module.file}:{line} neither adds nor subtracts")
    )


@word
def claim(module: Module, line: int, *, key: str = "id", condition: str = "") -> Draft:
    """Take from a counter and check it in one conditional UPDATE, refused as the check in front of it refuses.

    Shapes: SQLAlchemy `row.c -= n` / `row.c = row.c - n` (or `+`) at `line`, where `row` was loaded by one query of
    this function or is a parameter annotated with its model, and an earlier `if row.c < n: <refusal>` (also one of
    several conditions joined by `or`, or the step inside `if row.c >= n: ... else: <refusal>`). `condition`
    overrides the check's (`{M}.c >= n` with `{M}` for the model). A rollback precedes the refusal where the
    session was written before. Refuses: steps that are not such, rows without a known model or session, no check,
    and refusals that a broad handler around would swallow.
    """
    found = step_at(module, line)
    function = module.enclosing(found.statement) or halt("the step stands outside of a function")
    session, model = origin(module, function, found)
    known = _check(module, function, found, model)
    test, body = known or (halt(f"no check of {found.row}.{found.column} precedes the step"), [])
    refusal = copied(module, body)
    if any(isinstance(item, ast.Raise) for item in body) and swallowing(module, found.statement) is not None:
        halt("a broad handler around the step would swallow the refusal")
    if condition:
        test = condition.replace("{M}", model)
    amount = module.segment(found.amount)
    amount = f"({amount})" if isinstance(found.amount, (ast.BinOp, ast.IfExp, ast.BoolOp)) else amount
    update = f"{{{model}.{found.column}: {model}.{found.column} {found.sign} {amount}}}"
    parts = [f"{session}.query({model})", f".filter({model}.{key} == {found.row}.{key}, {test})", f".update({update})"]
    return hit(module, found.statement, parts, session, refusal).note("The step is one UPDATE now: ORM events, `onupdate` and version columns do not see it.")


def hit(module: Module, statement: ast.stmt, parts: list[str], session: str, refusal: str) -> Draft:
    """In place of a statement an UPDATE of the session's, and the refusal where it hits no row; what was written before is rolled back."""
    lines = f"if not {''.join(parts)}:\n"
    if len(lines) + len(module.indent(statement)) > _LONGEST:
        lines = "if not (\n" + "".join(f"    {part}\n" for part in parts) + "):\n"
    function = module.enclosing(statement)
    undone = f"{session}.rollback()" in refusal or rolls_back(module, statement, session)
    if function is not None and written_before(function, statement, session) and not undone:
        lines += f"    {session}.rollback()\n"
    lines += "\n".join("    " + item if item.strip() else item for item in refusal.split("\n"))
    return replace(module, statement, layout(module, lines, module.indent(statement)).lstrip())


def rolls_back(module: Module, statement: ast.stmt, session: str) -> bool:
    """True when a handler around the statement, which the refusal would reach, rolls the session back."""
    handlers = [item for attempt in attempts(module, statement) for item in attempt.handlers]
    return any(dotted(call.func) == f"{session}.rollback" for item in handlers for call in calls_of(item, "rollback"))


@word
def step(module: Module, line: int) -> Draft:
    """Let the database compute a step: `row.c += n` becomes `row.c = Model.c + n`; nothing is checked.

    Shapes and refusals as in `claim`, without a check.
    """
    found = step_at(module, line)
    function = module.enclosing(found.statement) or halt("the step stands outside of a function")
    _, model = origin(module, function, found)
    amount = module.segment(found.amount)
    amount = f"({amount})" if isinstance(found.amount, (ast.BinOp, ast.IfExp, ast.BoolOp)) else amount
    text = f"{found.row}.{found.column} = {model}.{found.column} {found.sign} {amount}"
    return replace(module, found.statement, text)


def origin(module: Module, function: FunctionNode, found: Step) -> tuple[str, str]:
    """Session and model of a row: from its one load, or its annotated parameter and the function's session."""
    load = _loaded(module, found.statement, found.row)
    if load is not None and load.model:
        committed = _session(module, function)
        return load.session or committed, load.model
    for item in (*function.args.args, *function.args.kwonlyargs):
        if item.arg == found.row and item.annotation is not None:
            model = module.segment(item.annotation)
            if isinstance(item.annotation, (ast.Name, ast.Attribute)) and model.rpartition(".")[2][:1].isupper():
                return _session(module, function), model
    loop = next((item for item in module.ancestors(found.statement) if isinstance(item, ast.For)), None)
    if loop is not None and isinstance(loop.target, ast.Name) and loop.target.id == found.row:
        inside = loads(module, loop.iter)
        if len(inside) == 1 and inside[0].model:
            return inside[0].session or _session(module, function), inside[0].model
    return halt(f"the model of `{found.row}` is unknown here")


def _loaded(module: Module, use: ast.AST, name: str) -> Load | None:
    assigned = single_assignment(module, use, name)
    found = loads(module, assigned[0]) if assigned else _loaded_or_none(module, use, name)
    return found[0] if len(found) == 1 else None


def _loaded_or_none(module: Module, use: ast.AST, name: str) -> list[Load]:
    """The loads that a name is assigned which is otherwise None alone."""
    function = module.enclosing(use)
    stores = [item for item in scope_of(function) if isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Store)] if function else []
    found: list[Load] = []
    for store in stores:
        statement = module.statement_of(store)
        value = statement.value if isinstance(statement, (ast.Assign, ast.AnnAssign)) else None
        if value is None or module.parent(store) is not statement:
            return []
        if not (isinstance(value, ast.Constant) and value.value is None):
            found += loads(module, statement)
    return found


def _session(module: Module, function: FunctionNode) -> str:
    """Text of the session that a function commits; refuses an asynchronous one."""
    if any(isinstance(module.parent(call), ast.Await) for item in function.body for call in calls_of(item, "commit")):
        halt("the session is asynchronous: it has no query")
    found = {
        module.segment(item.func.value)
        for item in scope_of(function)
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in {"commit", "flush"}
    }
    return found.pop() if len(found) == 1 else halt(f"{function.name} commits {len(found)} sessions, not one")


def _check(module: Module, function: FunctionNode, found: Step, model: str) -> tuple[str, list[ast.stmt]] | None:
    """The condition that must hold (over the model), and the refusal's statements."""
    for item in reversed([node for node in scope_of(function) if isinstance(node, ast.If)]):
        inside = any(node is found.statement for part in item.body for node in ast.walk(part))
        if inside and item.orelse and ends(item.orelse):
            for test in alternatives(item.test, ast.And):
                text = _condition(module, test, found, model, negate=False)
                if text:
                    return text, item.orelse
        elif not inside and item.lineno < found.statement.lineno and ends(item.body):
            for test in alternatives(item.test, ast.Or):
                text = _condition(module, test, found, model, negate=True)
                if text:
                    return text, item.body
    return None


def alternatives(test: ast.expr, operator: type[ast.boolop]) -> list[ast.expr]:
    """The conditions that are joined by an operator, or the only one."""
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, operator) else [test]


def ends(body: list[ast.stmt]) -> bool:
    """True when a block leaves its function."""
    return isinstance(body[-1], (ast.Return, ast.Raise))


def _condition(module: Module, test: ast.expr, found: Step, model: str, *, negate: bool) -> str:
    match test:
        case ast.Compare(left=left, ops=[operator], comparators=[right]):
            signs = _NEGATED if negate else _PLAIN
            sign = signs.get(type(operator), "")
        case ast.UnaryOp(op=ast.Not(), operand=operand) if negate and dotted(operand) == f"{found.row}.{found.column}":
            return f"{model}.{found.column} > 0" if found.sign == "-" else ""
        case _:
            return ""
    mentioned = [node for node in ast.walk(test) if dotted(node) == f"{found.row}.{found.column}"]
    if not sign or not mentioned:
        return ""
    sides: list[str] = []
    for side in (left, right):
        text, base = module.segment(side), module.span(side).start
        data = text.encode()
        nodes = [node for node in ast.walk(side) if isinstance(node, ast.Attribute) and dotted(node.value) == found.row]
        for node in sorted(nodes, key=lambda item: -module.span(item).start):
            span = module.span(node)
            data = data[: span.start - base] + f"{model}.{node.attr}".encode() + data[span.end - base :]
        sides.append(data.decode())
    return f"{sides[0]} {sign} {sides[1]}"


def copied(module: Module, body: list[ast.stmt]) -> str:
    """The text of a block, to be put elsewhere."""
    indent = module.indent(body[0])
    lines = [line for item in body for line in module.segment(item).replace("\r\n", "\n").split("\n")]
    return "\n".join(line.removeprefix(indent).replace(module.unit, "    ") for line in lines)


def written_before(function: FunctionNode, statement: ast.stmt, session: str) -> bool:
    """True when an earlier statement wrote through the session: something was added, flushed, or a column set."""
    for item in scope_of(function):
        if getattr(item, "lineno", statement.lineno) >= statement.lineno:
            continue
        if isinstance(item, ast.Call) and dotted(item.func) in {
            f"{session}.{verb}" for verb in ("add", "add_all", "delete", "flush")
        }:
            return True
        if (
            isinstance(item, ast.Call)
            and isinstance(item.func, ast.Attribute)
            and item.func.attr in {"update", "delete"}
        ):
            return True
        if isinstance(item, (ast.Attribute, ast.Subscript)) and isinstance(item.ctx, ast.Store):
            return True
    return False


@word
def lock(module: Module, line: int, database: str) -> Draft:
    """Lock the row that the query at `line` reads until the transaction ends.

    `database` is `postgresql` or `mysql` (`.with_for_update().populate_existing()`; `get(...,
    with_for_update=True)`) or `sqlite`, where FOR UPDATE is silently nothing: there an UPDATE that changes nothing
    comes first and takes the write lock. Shapes: `db.query(M).filter(...).first()`, `M.query.filter_by(...)`,
    `select(M).where(...)`, `session.get(M, x)`; on SQLite only queries with a filter and a statement of their own.
    Refuses: DISTINCT, GROUP BY and counts; locks that are there; a commit between the read and a later write.
    """
    load = only_load(module, line)
    function = module.enclosing(load.outer) or halt("the read stands outside of a function")
    names = {name for name, _ in load.steps}
    if names & {"distinct", "group_by", "count", "union", "with_entities"} or not load.model:
        halt("a query with DISTINCT, GROUP BY or a count cannot lock its rows")
    if "with_for_update" in module.segment(load.outer) or _touched(module, load):
        halt("the read is locked already")
    _uncommitted(function, line)
    if database == "sqlite":
        return _touch(module, load)
    if load.kind == "get" and isinstance(load.root, ast.Call):
        return argument(module, load.root, "with_for_update=True, populate_existing=True").note(
            _CHOSEN.format(database)
        )
    spot = next((call for name, call in load.steps if name in _TERMINAL), None)
    verb = ".with_for_update()"
    verb += ".execution_options(populate_existing=True)" if load.kind == "select" else ".populate_existing()"
    if spot is not None and isinstance(spot.func, ast.Attribute):
        if spot.func.attr == "get":
            return replace(module, Span(module.span(spot.func.value).end, module.span(spot.func).end), f"{verb}.get")
        end = module.span(spot.func.value).end
    else:
        end = module.span(load.outer).end
    return Draft(module, (Edit(end, end, verb),)).note(_CHOSEN.format(database))


_TERMINAL = {"first", "one", "one_or_none", "all", "scalar", "get", "first_or_404", "get_or_404", "one_or_404"}
_CHOSEN = "The lock was chosen for {}: SQLite ignores FOR UPDATE."


def _uncommitted(function: FunctionNode, line: int) -> None:
    commits = [
        item
        for item in scope_of(function)
        if isinstance(item, ast.Call)
        and isinstance(item.func, ast.Attribute)
        and item.func.attr == "commit"
        and item.lineno > line
    ]
    if len(commits) > 1:
        halt("a commit between the read and the last write would drop the lock: one commit first")


def _touched(module: Module, load: Load) -> bool:
    statement = module.statement_of(load.outer)
    block = module.block(statement)
    index = block.index(statement)
    return index > 0 and "synchronize_session=False" in module.segment(block[index - 1])


def _touch(module: Module, load: Load) -> Draft:
    filters = [call for name, call in load.steps if name in {"filter", "filter_by"}]
    other = {name for name, _ in load.steps} - {"filter", "filter_by", *_TERMINAL, "order_by", "options"}
    if load.kind == "get" or not filters or other:
        halt("only a query with a plain filter can be preceded by an UPDATE that takes SQLite's write lock")
    query = module.cut(Span(module.span(load.root).start, module.span(filters[-1]).end))
    text = f"{query}.update({{{load.model}.id: {load.model}.id}}, synchronize_session=False)"
    draft = before(module, module.statement_of(load.outer), text)
    return draft.note("The UPDATE changes nothing: it takes SQLite's write lock before the row is read.")


@word
def hold(module: Module, function: str, row: str, database: str, *, line: int = 0, key: str = "id") -> Draft:
    """Lock and read again a row that arrives as a parameter (`user: User = Depends(...)`), first of all.

    Shapes: functions that commit one session. On SQLite an UPDATE that changes nothing takes the write lock first.
    Refuses: rows without an annotation that names a model, and functions that do so already.
    """
    node = module.function(function, line)
    for item in node.body[:4]:
        if any(dotted(call.args[0]) == row for call in calls_of(item, "refresh") if call.args):
            halt(f"`{row}` is read again already")
    marker = Step(node.body[0], row, key, "+", ast.Constant(0))
    session, model = origin(module, node, marker)
    if database == "sqlite":
        query = f"{session}.query({model}).filter({model}.{key} == {row}.{key})"
        lines = f"{query}.update({{{model}.{key}: {model}.{key}}}, synchronize_session=False)\n{session}.refresh({row})"
    else:
        lines = f"{session}.refresh({row}, with_for_update=True)"
    return _at_top(module, node, lines)


def _at_top(module: Module, node: FunctionNode, lines: str) -> Draft:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if documented and len(node.body) == 1:
        return after(module, first, lines)
    return before(module, node.body[1] if documented else first, lines)


def calls_of(root: ast.AST, *names: str) -> Iterator[ast.Call]:
    """Method calls of these names inside a node, not entering functions in it."""
    for item in scope(root):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Attribute) and item.func.attr in names:
            yield item
