"""Owns where SQL meets a driver: the executing call, its text, its parameters, and the driver's style of places."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.module import FUNCTIONS, Module, UnmendableError, dotted, halt, own, scope_of
from toughen.codemod.sqltext import Hole, builds_text, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from toughen.codemod.module import FunctionNode

EXECUTING = {
    "execute", "exec_driver_sql", "fetch", "fetchrow", "fetchval", "fetch_all", "fetch_one", "scalar", "scalars",
    "execute_fetchall", "read_sql", "read_sql_query",
}  # fmt: skip
_STYLES = {
    "sqlite3": "?", "aiosqlite": "?", "psycopg2": "%s", "psycopg": "%s", "pymysql": "%s", "MySQLdb": "%s",
    "mysql": "%s", "flask_mysqldb": "%s", "asyncpg": "$",
}  # fmt: skip
_TEST = re.compile(r"(^|/)(tests?/|test_|conftest)")
_VERB = re.compile(r"\s*(?:--[^\n]*\n\s*)*(SELECT|INSERT|UPDATE|DELETE|WITH|REPLACE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Execution:
    """One statement's way to the driver."""

    call: ast.Call
    """The executing call, or the call of a project function that forwards (text, parameters)."""
    text: ast.expr
    """The expression that builds the statement's text."""
    parameters: ast.expr | None
    keyword: str
    """Name of the parameter that carries the values where the call must name it."""
    wrapper: ast.Call | None
    """`text(...)` of SQLAlchemy around the statement's text."""
    assigned: ast.stmt | None
    """The one assignment of the local variable that carries the text; None where it stands in the call."""


def execution(module: Module, line: int, project: Sequence[Module] = ()) -> Execution:
    """The execution that the statement at `line` holds. Refuses none, several, and text that arrives from elsewhere."""
    statement = module.statement(line)
    found = list(executions(module, statement, project))
    built = [item for item in found if not isinstance(item.text, ast.Constant)]
    match built if len(found) > 1 and built else found:
        case [only]:
            return only
        case []:
            return _unfound(module, statement, line)
        case _:
            return halt(f"{module.file}:{line} executes several statements")


def _unfound(module: Module, statement: ast.stmt, line: int) -> Execution:
    function = module.enclosing(statement)
    for call in (item for item in own(statement) if isinstance(item, ast.Call)):
        if function and _is_executing(call) and call.args and isinstance(call.args[0], ast.Name):
            name = call.args[0].id
            if name in {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}:
                halt(f"the statement's text is the parameter `{name}` of {function.name}: it is built by a caller")
            halt(f"`{name}` is not built by one assignment in {function.name}")
    return halt(f"no SQL statement is executed at {module.file}:{line}")


def executions(module: Module, root: ast.AST, project: Sequence[Module] = ()) -> Iterator[Execution]:
    """Executions inside a node whose text is built in its own function."""
    for call in (item for item in own(root) if isinstance(item, ast.Call)):
        found = _execution(module, call, project)
        if found is not None:
            yield found


def dynamic(module: Module, project: Sequence[Module] = ()) -> Iterator[tuple[int, Execution]]:
    """Line and execution of each statement of a file whose text is put together from values: suspects, not proofs."""
    for call in (item for item in ast.walk(module.tree) if isinstance(item, ast.Call)):
        found = _execution(module, call, project)
        if found is None:
            continue
        try:
            text = read(module, found.text)
        except UnmendableError:
            continue
        if any(isinstance(item, Hole) for item in text.atoms):
            yield call.lineno, found


def _is_executing(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in EXECUTING


def _execution(module: Module, call: ast.Call, project: Sequence[Module]) -> Execution | None:
    if _is_executing(call) and call.args:
        place = (0, "params" if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("read_sql") else "")
    else:
        helper = _helper(module, call, project)
        if helper is None:
            return None
        place = helper
    if any(isinstance(item, ast.Starred) for item in call.args[:2]):
        return None
    index, keyword = place
    parameters = next((word.value for word in call.keywords if word.arg in {keyword or "parameters", "params"}), None)
    if parameters is None and len(call.args) > 1:
        parameters = call.args[1]
    if index >= len(call.args):
        return None
    return _traced(module, call, call.args[index], (parameters, keyword))


def _traced(module: Module, call: ast.Call, node: ast.expr, carried: tuple[ast.expr | None, str]) -> Execution | None:
    wrapper: ast.Call | None = None
    assigned: ast.stmt | None = None
    for _ in range(4):
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "text" and node.args:
            wrapper, node = node, node.args[0]
        elif isinstance(node, ast.Name):
            found = single_assignment(module, call, node.id)
            if found is None:
                return None
            assigned, node = found
        elif builds_text(node) and _is_sql(module, node):
            return Execution(call, node, carried[0], carried[1], wrapper, assigned)
        else:
            return None
    return None


def _is_sql(module: Module, node: ast.expr) -> bool:
    try:
        text = read(module, node)
    except UnmendableError:
        return True
    return _VERB.match(text.plain(0, len(text.atoms))) is not None or not isinstance(node, ast.Constant)


def single_assignment(module: Module, use: ast.AST, name: str) -> tuple[ast.stmt, ast.expr] | None:
    """The one statement that binds a local name, and its value; None where it is bound otherwise or twice."""
    function = module.enclosing(use)
    if function is None or name in {item.arg for item in ast.walk(function.args) if isinstance(item, ast.arg)}:
        return None
    stores = [item for item in scope_of(function) if isinstance(item, ast.Name) and item.id == name]
    stores = [item for item in stores if isinstance(item.ctx, ast.Store)]
    if len(stores) != 1:
        return None
    statement = module.statement_of(stores[0])
    match statement:
        case ast.Assign(targets=[ast.Name()], value=value) if statement.lineno < use.lineno:  # type: ignore[attr-defined]
            return statement, value
        case ast.AnnAssign(value=ast.expr() as value) if statement.lineno < use.lineno:  # type: ignore[attr-defined]
            return statement, value
        case _:
            return None


def _helper(module: Module, call: ast.Call, project: Sequence[Module]) -> tuple[int, str] | None:
    """For a project function that forwards two parameters as (text, values): the text's index, the values' name."""
    name = dotted(call.func).rpartition(".")[2]
    # A fake of the same name in the prototype's own tests is not what the prototype calls.
    homes = [module, *(other for other in project if not _TEST.search(other.file))]
    found = [node for other in homes for node in other.functions if node.name == name] if name else []
    if len({id(node) for node in found}) != 1:
        return None
    return _forwards(found[0])


def _forwards(function: FunctionNode) -> tuple[int, str] | None:
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    own = [item for item in names if item not in {"self", "cls"}]
    for call in (item for item in ast.walk(function) if isinstance(item, ast.Call)):
        match call:
            case ast.Call(args=[ast.Name(id=text), ast.Name(id=values), *_]) if _is_executing(call):
                if text in own and values in own:
                    return own.index(text), values
            case ast.Call(args=[ast.Name(id=text), ast.BoolOp(values=[ast.Name(id=values), *_]), *_]) if _is_executing(
                call
            ):
                if text in own and values in own:
                    return own.index(text), values
    return None


def style_of(module: Module, found: Execution, project: Sequence[Module] = (), known: str = "") -> str:
    """`:` (SQLAlchemy `text`), `?`, `%s` or `$` (asyncpg): by the call, the imports, or other statements."""
    if found.wrapper is not None:
        return ":"
    if known:
        return known
    homes = [module, *project] if not _is_executing(found.call) else [module]
    for group in (homes, [module, *project]):
        styles = {style for home in group for style in _imported_styles(home)}
        if len(styles) == 1:
            return styles.pop()
        used = {style for home in group for style in _used_styles(home)}
        if len(used) == 1:
            return used.pop()
    return halt("the driver's style of parameters is unknown here")


def _imported_styles(module: Module) -> Iterator[str]:
    for origin in module.imports.values():
        style = _STYLES.get(origin.partition(".")[0])
        if style:
            yield style


def _used_styles(module: Module) -> Iterator[str]:
    for call in (item for item in ast.walk(module.tree) if isinstance(item, ast.Call)):
        match call:
            case ast.Call(args=[ast.Constant(value=str(text)), _, *_]) if _is_executing(call):
                if "%s" in text:
                    yield "%s"
                elif "?" in text:
                    yield "?"
                elif "$1" in text:
                    yield "$"


def functions_named(modules: Sequence[Module], name: str) -> list[tuple[Module, FunctionNode]]:
    """Functions of that name in several modules."""
    return [
        (home, node) for home in modules for node in home.functions if node.name == name and isinstance(node, FUNCTIONS)
    ]
