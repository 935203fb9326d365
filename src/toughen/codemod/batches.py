"""Owns mends of statements that a function of the project's own runs for its callers: conditions on them, and a word of whether a row was hit."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.answers import swallowing
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, argument, before, extend, parameter, receiver, replace
from toughen.codemod.module import Module, Span, dotted, halt, names_in, scope_of
from toughen.codemod.refusals import refused_value
from toughen.codemod.sqltext import Char, read
from toughen.codemod.statements import EXECUTING
from toughen.codemod.transactions import connection_of, copied_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode

_MUST = "must_hit"


@dataclass(frozen=True, slots=True)
class Entrusted:
    """A statement whose text stands here and which a function of the project's own runs."""

    text: ast.Constant
    values: ast.Tuple | ast.List | None
    call: ast.Call
    """The call of that function."""
    number: int | None
    """Which of several statements that it runs in one transaction; None where it is the only one, or where that shows only when it runs."""
    appended: tuple[ast.stmt, ast.stmt] | None = None
    """(the statement that makes the list, the one that appends it there); None where it stands in the list as that is written."""


def entrusted(module: Module, function: FunctionNode, sql: str, runner: str) -> Entrusted:
    """Where the text of a statement stands that `runner` runs for a function: `run(sql, values)`, or `run([(sql, values), ...])`, also by names for the text and the list, and appended to that."""
    wanted = " ".join(sql.split())
    texts = [node for node in scope_of(function) if isinstance(node, ast.Constant) and isinstance(node.value, str) and " ".join(node.value.split()) == wanted]
    if len(texts) != 1:
        halt(f"the text of the statement stands {len(texts)} times in {function.name}")
    (text,) = texts
    calls = [node for node in scope_of(function) if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == runner]
    for call in calls:
        if call.args and call.args[0] is text:
            given = [*call.args[1:2], *(each.value for each in call.keywords if each.arg in {"params", "parameters", "values", "args"})]
            return Entrusted(text, _written(function, given[0]) if given else None, call, None)
    held = _used(module, function, text)
    pair = module.parent(held)
    batch = module.parent(pair) if isinstance(pair, ast.Tuple | ast.List) else None
    if not isinstance(pair, ast.Tuple | ast.List) or pair.elts[0] is not held:
        return halt(f"the statement's text is not handed to {runner} where it stands")
    values = _written(function, pair.elts[1]) if len(pair.elts) > 1 else None
    appends = isinstance(batch, ast.Call) and isinstance(batch.func, ast.Attribute) and batch.func.attr == "append" and batch.args == [pair]
    if not isinstance(batch, ast.Call | ast.List | ast.Tuple) or isinstance(batch, ast.Call) != appends:
        return halt(f"the statement's text is not handed to {runner} where it stands")
    name = receiver(batch) if isinstance(batch, ast.Call) else next((dotted(each.targets[0]) for each in module.ancestors(batch) if isinstance(each, ast.Assign) and each.value is batch), "")
    taking = [call for call in calls if call.args and (call.args[0] is batch or (name and dotted(call.args[0]) == name))]
    if len(taking) != 1 or (name and not _only_grows(module, function, name, taking[0])):
        return halt(f"the list of statements is not handed to one call of {runner} as it is written")
    if not isinstance(batch, ast.Call):
        return Entrusted(text, values, taking[0], next(index for index, each in enumerate(batch.elts) if each is pair))
    made = next((each for each in scope_of(function) if isinstance(each, ast.Assign) and dotted(each.targets[0]) == name), None)
    adding = module.statement_of(batch)
    if made is None or not isinstance(adding, ast.Expr) or adding.value is not batch:
        return halt(f"where the list of statements for {runner} is made is not seen")
    return Entrusted(text, values, taking[0], None, (made, adding))


def _used(module: Module, function: FunctionNode, node: ast.Constant) -> ast.expr:
    """Where a text is used: where it stands, or the one place where the name that it is given is read."""
    match module.parent(node):
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
            named = [each for each in scope_of(function) if isinstance(each, ast.Name) and each.id == name]
            reads = [each for each in named if isinstance(each.ctx, ast.Load)]
            return reads[0] if len(reads) == 1 and len(named) == 2 else halt(f"{name} is bound or used several times")  # noqa: PLR2004 - it is bound, and read
    return node


def _only_grows(module: Module, function: FunctionNode, name: str, taking: ast.Call) -> bool:
    """Whether a list is made once, has pairs of a statement and its values appended, and is handed over."""
    for node in scope_of(function):
        if not isinstance(node, ast.Name) or node.id != name or any(node is each for each in taking.args):
            continue
        above = module.parent(node)
        call = module.parent(above) if isinstance(above, ast.Attribute) else None
        if isinstance(above, ast.Assign) and above.targets == [node] and isinstance(above.value, ast.List | ast.Tuple):
            continue
        match call:
            case ast.Call(func=ast.Attribute(attr="append"), args=[ast.Tuple(elts=[_, *_]) | ast.List(elts=[_, *_])]) if call.lineno < taking.lineno:
                continue
        return False
    return sum(isinstance(node, ast.Assign) and dotted(node.targets[0]) == name for node in scope_of(function)) == 1


def _written(function: FunctionNode, values: ast.expr) -> ast.Tuple | ast.List:
    if isinstance(values, ast.Name):
        named = [each for each in scope_of(function) if isinstance(each, ast.Name) and each.id == values.id]
        bound = [each.value for each in scope_of(function) if isinstance(each, ast.Assign) and dotted(each.targets[0]) == values.id]
        if len(named) == 2 and len(bound) == 1 and isinstance(bound[0], ast.Tuple | ast.List):  # noqa: PLR2004 - it is bound, and read
            return bound[0]
    return values if isinstance(values, ast.Tuple | ast.List) else halt("the statement's values are not written out in order")


@word
def claim_entrusted(module: Module, function: str, sql: str, runner: str, condition: str, values: Sequence[str] = (), *, line: int = 0) -> Draft:
    """Add `AND condition` to an UPDATE that `runner` runs for `function`, and refuse where it hit no row.

    Shapes: `run("UPDATE ...", (values))` and `run([("UPDATE ...", (values)), ...])` as a statement of its own, also with a list to which
    `statements.append(("UPDATE ...", (values)))` adds in branches: which one must hit a row is noted there. `runner` is given
    `must_hit` then, as `must_hit` teaches it. The refusal is the copy of the nearest check's that mentions the column,
    before or around the call, else 409 in the file's style. Refuses texts that are put together or stand elsewhere, a call whose
    result is used, and refusals that a broad handler around would swallow.
    """
    node = module.function(function, line)
    found = entrusted(module, node, sql, runner)
    text = read(module, found.text)
    flat = text.plain(0, len(text.atoms))
    if not re.match(r"\s*UPDATE\b", flat, re.IGNORECASE) or not re.search(r"\bWHERE\b", flat, re.IGNORECASE):
        halt("the statement is no UPDATE with a WHERE")
    last = text.atoms[len(flat.rstrip().removesuffix(";").rstrip()) - 1]
    if not isinstance(last, Char) or "RETURNING" in flat.upper():
        halt("the UPDATE's text does not end with its WHERE")
    place = "%s" if "%s" in flat else "?" if "?" in flat else halt("the places of the statement's values are unknown")
    draft = Draft(module, (Edit(last.start, last.end, module.cut(Span(last.start, last.end)) + " AND " + condition.replace("?", place)),))
    if values:
        behind = found.values.elts[-1] if found.values is not None and found.values.elts else halt("the statement has no values to extend")
        draft += extend(module, behind, ", " + ", ".join(values))
    statement = module.statement_of(found.call)
    if not isinstance(statement, ast.Expr) or statement.value is not found.call:
        halt(f"what {runner} returns is used already")
    column = re.split(r"\W", condition, maxsplit=1)[0]
    refusal, imports = _refusal(module, node, statement, column, values)
    if refusal.lstrip().startswith("raise") and swallowing(module, statement) is not None:
        halt("a broad handler around the call would swallow the refusal")
    number = "True" if found.number is None else f"({found.number},)"
    if found.appended is not None:
        made, adding = found.appended
        number = next((each for each in (_MUST, "needed", "must_be_hit") if each not in names_in(node)), "") or halt("no name is free for the statements that must hit a row")
        batch = dotted(found.call.args[0])
        draft += after(module, made, f"{number} = []") + before(module, adding, f"{number}.append(len({batch}))")
    inner = draft + argument(module, found.call, f"{_MUST}={number}")
    span = module.span(statement)
    within = [each for each in inner.edits if span.start <= each.start and each.end <= span.end]
    outside = [each for each in inner.edits if each not in within]
    body = "".join(f"{module.newline}{module.indent(statement)}{module.unit}{each}" if each.strip() else module.newline for each in refusal.replace("    ", module.unit).split("\n"))
    whole = Edit(span.start, span.end, f"if {_edited(module, span, within)} is False:{body}")
    return Draft(module, (*outside, whole)) + imports


def _edited(module: Module, span: Span, edits: Sequence[Edit]) -> str:
    """The text of a span after edits within it."""
    data = module.data[span.start : span.end]
    for each in sorted(edits, key=lambda one: -one.start):
        data = data[: each.start - span.start] + each.text.encode() + data[each.end - span.start :]
    return data.decode()


def _refusal(module: Module, function: FunctionNode, statement: ast.stmt, column: str, values: Sequence[str]) -> tuple[str, Draft]:
    """The refusal of the `else` of an `if` around, of one that mentions the column first; of an earlier one that compares the value, and speaks of the column; else as `copied_refusal` finds it."""
    around = [above for above in module.ancestors(statement) if isinstance(above, ast.If) and _refuses(above.orelse) and _within(statement, above.body)]
    around.sort(key=lambda above: re.search(rf"\b{re.escape(column)}\b", module.segment(above.test)) is None)
    for above in around:
        return _copied(module, above.orelse), Draft(module)
    for item in reversed([each for each in scope_of(function) if isinstance(each, ast.If) and each.lineno < statement.lineno and _refuses(each.body)]):
        compared = isinstance(item.test, ast.Compare) and any(each in values for each in map(module.segment, (item.test.left, *item.test.comparators)))
        if compared and not _mentions(module, item.test, column) and _mentions(module, item, column):
            return _copied(module, item.body), Draft(module)
    return copied_refusal(module, function, statement, column)


def _copied(module: Module, body: list[ast.stmt]) -> str:
    indent = module.indent(body[0])
    lines = [text for part in body for text in module.segment(part).replace("\r\n", "\n").split("\n")]
    return "\n".join(text.removeprefix(indent).replace(module.unit, "    ") for text in lines)


def _mentions(module: Module, node: ast.AST, word: str) -> bool:
    return re.search(rf"\b{re.escape(word)}\b", module.segment(node)) is not None


def _refuses(body: list[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise) and refused_value(body[-1]) is not None


def _within(statement: ast.stmt, body: list[ast.stmt]) -> bool:
    return any(statement is node for part in body for node in ast.walk(part))


@word
def must_hit(module: Module, function: str, *, line: int = 0) -> Draft:
    """Teach a function that runs statements for its callers to roll back and return False where one hits no row that must.

    Shapes: `cursor.execute(sql, values)` of two parameters, or of what a `for` takes out of one, followed by the function's commit.
    Its other callers see no difference. Refuses functions that execute in several places, never commit, or return False themselves.
    """
    node = module.function(function, line)
    names = {item.arg for item in ast.walk(node.args) if isinstance(item, ast.arg)}
    if _MUST in names:
        return Draft(module)
    runs = [call for call in scope_of(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr in EXECUTING and call.args]
    if len(runs) != 1:
        halt(f"{node.name} executes in {len(runs)} places, not one")
    (run,) = runs
    statement = module.statement_of(run)
    if not isinstance(statement, ast.Expr) or statement.value is not run:
        halt(f"{node.name} executes within another statement")
    committed = any(isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "commit" for call in scope_of(node))
    if not committed or any(isinstance(item, ast.Return) and isinstance(item.value, ast.Constant) and item.value.value is False for item in scope_of(node)):
        halt(f"{node.name} never commits, or says False itself")
    cursor = receiver(run)
    connection = connection_of(node, cursor) if connection_of(node, cursor) != cursor else _connection(module, node, cursor)
    undo, named = f"{connection}.rollback()", Draft(module)
    if connection == cursor and "connect" in "".join(module.segment(each.value) for each in scope_of(node) if isinstance(each, ast.Assign) and dotted(each.targets[0]) == cursor):
        # A connection executes by itself, and how many rows were hit says the cursor that it returns.
        cursor = next((each for each in ("done", "executed") if each not in names_in(node)), "") or halt("no name is free for what is executed")
        named = replace(module, statement, f"{cursor} = {module.segment(statement)}")
    loop = module.parent(statement)
    match loop:
        case ast.For(target=ast.Tuple() | ast.Name() as target, iter=ast.Name(id=taken) as source) if taken in names:
            if isinstance(target, ast.Tuple) and not module.segment(target).startswith("("):
                held = f"({module.segment(target)})"
            else:
                held = module.segment(target)
            draft = replace(module, target, f"number, {held}") + replace(module, source, f"enumerate({taken})")
            test, given = f"number in {_MUST}", f"{_MUST}=()"
        case _ if isinstance(run.args[0], ast.Name) and run.args[0].id in names:
            draft, test, given = Draft(module), _MUST, f"{_MUST}=False"
        case _:
            halt(f"{node.name} does not execute what it is given")
    lines = f"if {test} and {cursor}.rowcount == 0:\n    {undo}\n    return False"
    return draft + named + parameter(module, node, given) + after(module, statement, lines)


def _connection(module: Module, node: FunctionNode, cursor: str) -> str:
    """The connection that a `with conn.cursor() as cursor` makes the cursor of; the cursor itself where it is one."""
    for item in scope_of(node):
        for each in item.items if isinstance(item, ast.With | ast.AsyncWith) else ():
            match each:
                case ast.withitem(context_expr=ast.Call(func=ast.Attribute(value=value, attr="cursor")), optional_vars=ast.Name(id=name)) if name == cursor:
                    return module.segment(value)
    return cursor
