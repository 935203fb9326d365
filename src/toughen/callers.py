"""Owns who is asking, in source code: the expression by which a project itself names the caller, carried to where it is needed."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen import sql
from toughen.codemod.module import FUNCTIONS, Module, UnmendableError, dotted, names_in, scope_of
from toughen.codemod.refusals import is_route, path_of
from toughen.codemod.sqltext import read
from toughen.codemod.statements import executions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.codemod.module import FunctionNode

_SENT = re.compile(r"get_json|request\.(json|args|form|values|view_args|data|query_params|path_params|files)|\.(model_dump|dict)\(\)")
"""What a client may write as it likes: never the caller."""
_GENERIC = re.compile(
    r"^(?:(?:\w*_)?user|me|caller|principal|g\.\w*user|request\.user|request\.current_user)(?:\.(?:id|username|user_id)|\[['\"](?:id|user_id|username|sub)['\"]\])$"
    r"|^session\[['\"]\w*(?:id|user|username)['\"]\]$|^session\.get\(['\"]\w*(?:id|user|username)['\"]\)$|^get_jwt_identity\(\)$|^g\.(?:user_id|uid)$"
    r"|^(?:payload|claims|token|token_data|decoded)(?:\[['\"](?:sub|user_id|id|username)['\"]\]|\.(?:sub|user_id|id|username))$"
)
_OWNERS = ("user_id", "owner_id", "author_id", "customer_id", "created_by", "account_id", "member_id")
_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller as an expression, and what a function needs before it can say so."""

    text: str
    setup: tuple[str, ...] = ()
    """Statements in front: `user = User.query.filter_by(username=claims["sub"]).first()`."""
    parameter: str = ""
    """A parameter with its dependency: `user: User = Depends(get_current_user)`."""


def callers(module: Module, function: FunctionNode, line: int, column: str, project: list[Module], person: tuple[str, str] = ("", "")) -> list[Caller]:
    """Expressions that name the caller for that column and can be written at a line of a function, the best first.

    What the project compares the owner column with comes first, that of this function before the most frequent of the
    file; then what other owner columns are compared with; then expressions that are known to mean the caller; then the
    function's own parameter that is a `person`: (model of the users, the attribute that the column means).
    """
    ranked: list[Caller] = []
    own = [column] if column.lower() not in _OWNERS else [column, *(each for each in _OWNERS if each != column.lower())]
    for names in ({column.lower()}, {each.lower() for each in own}):
        found = [(home, where, node) for home in (module, *(each for each in project if each.file != module.file)) for where, node in _compared(home, names, project)]
        ranked += _carried(found, module, function, line)
    generic = [(module, where, node) for where, node in _generic(module, column)]
    ranked += _carried(generic, module, function, line)
    ranked += _persons(module, function, *person)
    return list(dict.fromkeys(ranked))[:3]


def _persons(module: Module, function: FunctionNode, model: str, attribute: str) -> Iterator[Caller]:
    """Parameters that FastAPI fills with the one who is logged in: `user: User = Depends(...)`, `user: Annotated[User, Depends(...)]`."""
    arguments = function.args
    for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        given = _parameter(function, each.arg)
        kind = each.annotation
        if isinstance(kind, ast.Subscript) and dotted(kind.value).rpartition(".")[2] == "Annotated" and isinstance(kind.slice, ast.Tuple):
            kind = kind.slice.elts[0]
        if model and given is not None and _dependency(given) and kind is not None and module.segment(kind).strip("'\"").rpartition(".")[2] == model:
            yield Caller(f"{each.arg}.{attribute}")


def _carried(found: list[tuple[Module, FunctionNode | None, ast.expr]], module: Module, function: FunctionNode, line: int) -> list[Caller]:
    counts: Counter[Caller] = Counter()
    for home, where, node in found:
        if isinstance(node, ast.Constant) or where is None or not _trusted(home, where, node, _DEPTH):
            continue
        caller = _carry(home, where, node, module, function, line)
        if caller is not None:
            near = 1000 if where is function else 10 if home is module else 1
            counts[caller] += near - (2 if caller.setup or caller.parameter else 0)
    return [caller for caller, _ in counts.most_common()]


def _compared(module: Module, columns: set[str], project: list[Module]) -> Iterator[tuple[FunctionNode | None, ast.expr]]:
    """What is compared with, or stored in, a column of one of these names; with the function around it."""
    def names_it(node: ast.expr) -> bool:
        match node:
            case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
                return name.lower() in columns
        return False

    for item in ast.walk(module.tree):
        match item:
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[right]):
                if names_it(left):
                    yield module.enclosing(item), right
                elif names_it(right):
                    yield module.enclosing(item), left
            case ast.Call(keywords=words):
                for word in words:
                    if word.arg and word.arg.lower() in columns:
                        yield module.enclosing(item), word.value
                yield from _bound(module, item, columns, project)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and str(key.value).lower() in columns:
                        yield module.enclosing(item), value


def _bound(module: Module, call: ast.Call, columns: set[str], project: list[Module]) -> Iterator[tuple[FunctionNode | None, ast.expr]]:
    """Values bound to placeholders that stand for the column in a statement."""
    for found in executions(module, call, project):
        if found.call is not call or not isinstance(found.parameters, ast.Tuple | ast.List):
            continue
        try:
            text = read(module, found.text)
        except UnmendableError:
            continue
        bound = sql.bindings(text.plain(0, len(text.atoms)))
        for (_, name, how), value in zip(bound, found.parameters.elts, strict=False):
            if name in columns and how in {"eq", "insert"}:
                yield module.enclosing(call), value


def _generic(module: Module, column: str) -> Iterator[tuple[FunctionNode | None, ast.expr]]:
    """Expressions that mean the caller wherever they stand: an id for an id, a name for a name."""
    by_name = not re.search(r"id$|_by$", column, re.IGNORECASE)
    for item in ast.walk(module.tree):
        if isinstance(item, ast.Attribute | ast.Subscript | ast.Call) and isinstance(getattr(item, "ctx", ast.Load()), ast.Load):
            text = module.segment(item)
            if _GENERIC.match(text) and ("username" in text or "sub" in text if by_name else "username" not in text):
                yield module.enclosing(item), item


# -- trust -------------------------------------------------------------------------------------------------------------


def _trusted(module: Module, function: FunctionNode, node: ast.expr, depth: int) -> bool:
    """Whether an expression comes from the credential and not from what the client wrote."""
    if _SENT.search(module.segment(node)) or depth == 0:
        return False
    for name in names_in(node):
        if name in {"session", "g", "current_user"} and name in module.imports:
            continue
        given = _parameter(function, name)
        if given is not None:
            if not _dependency(given) and not _handed(function, given[0]):
                return False
            continue
        value = _assigned(function, name)
        if value is not None and not _trusted(module, function, value, depth - 1):
            return False
        if value is None and _stored(function, name):
            return False
    return bool(names_in(node))


def _parameter(function: FunctionNode, name: str) -> tuple[ast.arg, ast.expr | None] | None:
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*([None] * (len(plain) - len(arguments.defaults))), *arguments.defaults]
    return next((each for each in (*zip(plain, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)) if each[0].arg == name), None)


def _dependency(given: tuple[ast.arg, ast.expr | None]) -> str:
    """Text of what a FastAPI parameter depends on, "" where it depends on nothing."""
    for place in (given[1], given[0].annotation):
        for item in ast.walk(place) if place is not None else ():
            if isinstance(item, ast.Call) and dotted(item.func).rpartition(".")[2] in {"Depends", "Security"} and item.args:
                return ast.dump(item.args[0])
    return dotted(given[0].annotation) if given[0].annotation is not None and re.search(r"Current\w*User|UserDep|CurrentUser", dotted(given[0].annotation)) else ""


def _handed(function: FunctionNode, argument: ast.arg) -> bool:
    """Whether a decorator hands a parameter over: the first one, which no path names, of a decorated Flask route."""
    arguments = [each for each in (*function.args.posonlyargs, *function.args.args) if each.arg not in {"self", "cls"}]
    path = "".join(path_of(function).split())
    named = re.search(rf"[<{{:]{re.escape(argument.arg)}[>}}:]", path)
    return bool(arguments) and arguments[0] is argument and not named and is_route(function) and len(function.decorator_list) > 1


def _assigned(function: FunctionNode, name: str) -> ast.expr | None:
    """The value of the one assignment of a name, None where there is none or several."""
    found = [item for item in scope_of(function) if isinstance(item, ast.Assign | ast.AnnAssign) and _target(item) == name]
    return found[0].value if len(found) == 1 and len(_stored(function, name)) == 1 else None


def _target(item: ast.Assign | ast.AnnAssign) -> str:
    target = item.targets[0] if isinstance(item, ast.Assign) else item.target
    return target.id if isinstance(target, ast.Name) else ""


def _stored(function: FunctionNode, name: str) -> list[ast.Name]:
    return [item for item in scope_of(function) if isinstance(item, ast.Name) and item.id == name and isinstance(item.ctx, ast.Store)]


# -- from one function to another --------------------------------------------------------------------------------------


def _carry(home: Module, where: FunctionNode, node: ast.expr, module: Module, function: FunctionNode, line: int) -> Caller | None:  # noqa: C901 - a case for each way to bind a name
    """The expression as it can be written in another function; None where its names mean something else there."""
    text, setup, parameter = home.segment(node), [], ""
    for name in sorted(names_in(node)):
        if where is function and home is module:
            if _known_before(function, name, line) or module.is_known(name):
                continue
            return None
        given = _parameter(where, name)
        if given is not None:
            there = _same_parameter(function, given, where)
            if there is None and _dependency(given) and home is module and is_route(function) and _parameter(function, name) is None and not _stored(function, name):
                parameter = home.segment(given[0]) + (f" = {home.segment(given[1])}" if given[1] is not None else "")
                there = name
            if there is None:
                return None
            text = re.sub(rf"\b{re.escape(name)}\b", there, text)
            continue
        value = _assigned(where, name)
        if value is None and not _stored(where, name):
            known = home is module or (name in module.imports and module.imports[name] == home.imports.get(name))
            if known and _parameter(function, name) is None and not _stored(function, name):
                continue
            return None
        if value is None:
            return None
        before_line = _assigned_before(function, name, line)
        if before_line is not None:
            if ast.dump(before_line) == ast.dump(value):
                continue
            return None
        if _parameter(function, name) is not None or home is not module:
            return None
        inner = _carry(home, where, value, module, function, line)
        if inner is None or inner.parameter:
            return None
        if _plain(value) and not inner.setup:
            text = re.sub(rf"\b{re.escape(name)}\b", inner.text.replace("\\", "\\\\"), text)
        else:
            setup += [*inner.setup, f"{name} = {inner.text}"]
    if any(isinstance(item, FUNCTIONS) for item in ast.walk(node)):
        return None
    return Caller(text, tuple(setup), parameter)


def _plain(node: ast.expr) -> bool:
    """Whether a value is short enough to stand where its name stood: `session["user_id"]`, `get_jwt_identity()`."""
    match node:
        case ast.Subscript(value=value, slice=ast.Constant()) | ast.Attribute(value=value):
            return isinstance(value, ast.Name) or _plain(value)
        case ast.Call(func=ast.Name(), args=[], keywords=[]):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Name(id="session" | "g")), args=[ast.Constant()]):
            return True
    return False


def _same_parameter(function: FunctionNode, given: tuple[ast.arg, ast.expr | None], where: FunctionNode) -> str | None:
    """The parameter of another function that is filled as this one is: by the same dependency, or the same decorator."""
    wanted = _dependency(given)
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        other = _parameter(function, argument.arg)
        if wanted and other is not None and _dependency(other) == wanted:
            return argument.arg
    if not wanted and _handed(where, given[0]):
        first = next(iter((*arguments.posonlyargs, *arguments.args)), None)
        mine = {ast.dump(each) for each in function.decorator_list}
        if first is not None and _handed(function, first) and any(ast.dump(each) in mine for each in where.decorator_list):
            return first.arg
    return None


def _known_before(function: FunctionNode, name: str, line: int) -> bool:
    return _parameter(function, name) is not None or any(each.lineno < line for each in _stored(function, name))


def _assigned_before(function: FunctionNode, name: str, line: int) -> ast.expr | None:
    found = [item for item in scope_of(function) if isinstance(item, ast.Assign | ast.AnnAssign) and _target(item) == name and item.lineno < line]
    return found[-1].value if found else None
