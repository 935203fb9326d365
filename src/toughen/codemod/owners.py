"""Owns mends beside the statement: the owner whom a client names compared with the caller, and lists kept to the caller's own rows."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen import sql
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, before
from toughen.codemod.module import Module, dotted, halt, names_in, scope_of
from toughen.codemod.orm import loads
from toughen.codemod.refusals import refuse
from toughen.codemod.sqltext import Hole, SqlText, read
from toughen.codemod.statements import executions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import FunctionNode
    from toughen.codemod.statements import Execution

_PLACE = re.compile(r"%\(\w+\)s|%s|\?|\$\d+|(?<!:):\w+")


@word
def claimed(module: Module, line: int, column: str, caller: str, *, project: Sequence[Module] = ()) -> Draft:
    """Refuse, in front of the statement at `line`, an owner whom the client names and who is not the caller.

    Shapes: `WHERE owner = <value>` in SQL, the value bound by position or put into the text; `.filter_by(owner=value)`,
    `.filter(M.owner == value)`. A value that a path or an annotation makes a number is compared as it is, others as text.
    Refuses: statements that do not compare the column, several of them, values that are the caller already.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the statement stands outside of a function")
    found = [*_compared(module, statement, column, project), *_filtered(module, statement, column)]
    texts = list(dict.fromkeys(module.segment(each) for each in found))
    if len(texts) != 1:
        halt(f"the statement at {module.file}:{line} compares {column} with {len(texts)} values, not one")
    value = texts[0]
    if value == caller or isinstance(found[0], ast.Constant) or names_in(found[0]) & _names(caller):
        halt(f"the statement at {module.file}:{line} asks for the caller's own rows already")
    test = f"{value} != {caller}" if _numeric(module, function, found[0]) else f"str({value}) != str({caller})"
    refusal = refuse(module, function, 403, "Access denied")
    return before(module, statement, f"if {test}:\n{refusal.indented}") + refusal.needs(module)


def _names(text: str) -> set[str]:
    return set(names_in(ast.parse(text, mode="eval").body))


def _compared(module: Module, statement: ast.stmt, column: str, project: Sequence[Module]) -> Iterator[ast.expr]:
    """What a SELECT compares the column with: values of its text, and values bound to it."""
    for found in executions(module, statement, project):
        text, values = marked(read(module, found.text), found)
        if re.match(r"\s*(SELECT|WITH)\b", text, re.IGNORECASE):
            for (_, name, how), value in zip(sql.bindings(text), values, strict=False):
                if name == column.lower() and how == "eq" and value is not None:
                    yield value


def marked(text: SqlText, found: Execution) -> tuple[str, list[ast.expr | None]]:
    """A statement's text with `?` for each place and each value in it, and those values in order; None for what is not seen."""
    given = list(found.parameters.elts) if isinstance(found.parameters, ast.Tuple | ast.List) else []
    values: list[ast.expr | None] = []
    out: list[str] = []
    plain = text.plain(0, len(text.atoms))
    holes = [each for each in text.atoms if isinstance(each, Hole)]
    at = 0
    for match in re.finditer(rf"'\0'|\0|{_PLACE.pattern}", plain):
        out += [plain[at : match.start()], "?"]
        at = match.end()
        if "\0" in match.group():
            values.append(holes.pop(0).expression)
        else:
            values.append(given.pop(0) if given else None)
    return "".join([*out, plain[at:]]), values


def _filtered(module: Module, statement: ast.stmt, column: str) -> Iterator[ast.expr]:
    for load in loads(module, statement):
        for name, call in load.steps:
            if name == "filter_by":
                yield from (each.value for each in call.keywords if each.arg == column)
            for each in call.args if name in {"filter", "where"} else ():
                match each:
                    case ast.Compare(left=ast.Attribute(attr=attr), ops=[ast.Eq()], comparators=[right]) if attr == column:
                        yield right


def _numeric(module: Module, function: FunctionNode, value: ast.expr) -> bool:
    """Whether a value is a number: a parameter of the path that is converted, an annotated one, or a cast."""
    if isinstance(value, ast.Call) and dotted(value.func) == "int":
        return True
    if not isinstance(value, ast.Name):
        return False
    given = next((each for each in ast.walk(function.args) if isinstance(each, ast.arg) and each.arg == value.id), None)
    if given is None:
        return False
    routes = "".join(module.segment(each) for each in function.decorator_list)
    return f"<int:{value.id}>" in routes or (given.annotation is not None and module.segment(given.annotation) == "int")


@word
def own_rows(module: Module, line: int, column: str, caller: str, *, project: Sequence[Module] = ()) -> Draft:
    """Keep, of the list that the statement at `line` loads, the rows whose `column` is the caller's.

    Shapes: `rows = <load>` whose rows are read in a loop, in a comprehension or by `rows[0]`: by key, by attribute, or by
    position where the statement writes out its columns.
    Refuses: what is no list, loads that are not assigned to one name, columns that the statement does not load.
    """
    statement = module.statement(line)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            pass
        case _:
            return halt(f"the load at {module.file}:{line} is not assigned to one name")
    function = module.enclosing(statement) or halt("the load stands outside of a function")
    if not is_list(function, name, statement):
        halt(f"`{name}` is no list")
    one = next((each for each in ("row", "each", "item") if each != name), "row")
    texts = [text for found in executions(module, statement, project) for text, _ in [marked(read(module, found.text), found)]]
    owner = _read(module, function, (name, one, column), texts)
    return after(module, statement, f"{name} = [{one} for {one} in {name} if {owner} == {caller}]")


def is_list(function: FunctionNode, name: str, statement: ast.stmt) -> bool:
    """Whether a name holds several rows: it is made a list, or read as one."""
    if isinstance(statement, ast.Assign) and re.search(r"\.(all|fetchall|fetch_all|to_list|mappings\(\)\.all)\(\)$", ast.unparse(statement.value)):
        return True
    for item in scope_of(function):
        match item:
            case ast.For(iter=ast.Name(id=read_)) | ast.comprehension(iter=ast.Name(id=read_)) if read_ == name:
                return True
    return False


def _read(module: Module, function: FunctionNode, names: tuple[str, str, str], texts: list[str]) -> str:
    """A row's owner as the function reads its rows."""
    name, one, column = names
    rows = {f"{name}[0]"}
    for item in scope_of(function):
        match item:
            case ast.For(target=ast.Name(id=row), iter=ast.Name(id=read_)) | ast.comprehension(target=ast.Name(id=row), iter=ast.Name(id=read_)) if read_ == name:
                rows.add(row)
    used = [item for item in scope_of(function) if isinstance(item, ast.Subscript | ast.Attribute) and ast.unparse(item.value) in rows]
    keys = [item.slice.value for item in used if isinstance(item, ast.Subscript) and isinstance(item.slice, ast.Constant)]
    if any(isinstance(each, int) for each in keys):
        given = re.match(r"\s*SELECT\s+(?:DISTINCT\s+)?(.*?)\s+FROM\b", texts[0] if texts else "", re.IGNORECASE | re.DOTALL)
        columns = [re.split(r"\s+", each.strip())[-1].rpartition(".")[2].strip('"`').lower() for each in given.group(1).split(",")] if given else []
        if column.lower() not in columns:
            halt(f"rows are read by position, and the place of {column} in them is unknown")
        return f"{one}[{columns.index(column.lower())}]"
    if keys or any(isinstance(item, ast.Call) and dotted(item.func) == "dict" and names_in(item) & rows for item in scope_of(function)):
        return f"{one}[{module.literal(column)}]"
    if any(isinstance(item, ast.Attribute) for item in used) or not texts:
        return f"{one}.{column}"
    return halt(f"how a row of `{name}` is read is not seen")
