"""Owns the mend of what is told to others beside a commit: it is written down in front of the commit, and sent behind it."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from toughen.codemod.answers import attempts
from toughen.codemod.clients import client_of
from toughen.codemod.draft import Draft, word
from toughen.codemod.mechanics import after, argument, before, decorate, extend, receiver, remove, replace
from toughen.codemod.module import FUNCTIONS, Module, dotted, halt, names_in, own, scope_of
from toughen.codemod.races import calls_of

_FOR_LATER = frozenset({"add_task", "submit", "add_job", "Thread", "create_task", "ensure_future"})
_OWN = frozenset({"url", "json", "data", "headers", "timeout", "params"})


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be written down: the function that tells it, as the handler names it, and what it is given."""

    sender: str
    """"" where a client's own `post` tells it."""
    given: tuple[ast.expr | ast.keyword, ...]
    client: str = ""
    """The library by whose `post` it is told."""


def message(module: Module, statement: ast.stmt, sender: str = "") -> tuple[ast.stmt, Message]:
    """(the statement that goes, what it tells) of a call of `sender`, of work handed on to it, or of a client's `post` whose answer is not used. Raises UnmendableError."""
    calls = [each for each in own(statement) if isinstance(each, ast.Call)]
    if sender:
        direct = next((each for each in calls if dotted(each.func).rpartition(".")[2] == sender.rpartition(".")[2]), None)
        if direct is not None and module.statement_of(direct) is statement and _is_alone(module, statement, direct):
            return _whole(module, statement), Message(dotted(direct.func), (*direct.args, *direct.keywords))
        handed = next((each for each in calls if (each.func.attr if isinstance(each.func, ast.Attribute) else dotted(each.func)) in _FOR_LATER), None)
        if handed is None or not isinstance(statement, ast.Expr):
            return halt(f"what {sender} returns is used")
        return statement, _handed(handed, sender)
    posts = [(each, known) for each in calls if (known := client_of(module, each)) is not None and known.name.rpartition(".")[2] == "post"]
    if len(posts) != 1 or not posts[0][1].name.startswith(("requests.", "httpx.")):
        return halt("it is no post of a client that is known")
    call, known = posts[0]
    if not _is_alone(module, statement, call):
        halt("what the call returns is used")
    if any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg not in _OWN for each in call.keywords):
        halt("it is given more than a text can hold")
    timeless = tuple(each for each in call.keywords if each.arg != "timeout" or isinstance(each.value, ast.Constant))
    return _whole(module, statement), Message("", (*call.args, *timeless), known.name.partition(".")[0])


def _handed(call: ast.Call, sender: str) -> Message:
    """What `add_task(f, a)`, `Thread(target=f, args=(a,))` and `create_task(f(a))` give to the function."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)
    if name == "Thread":
        given = {each.arg: each.value for each in call.keywords}
        positional = given.get("args")
        if given.get("kwargs") is not None or not (positional is None or isinstance(positional, ast.Tuple | ast.List)):
            halt("its arguments are not written out")
        return Message(dotted(given["target"]) if "target" in given else sender, tuple(positional.elts) if isinstance(positional, ast.Tuple | ast.List) else ())
    if name in {"create_task", "ensure_future"}:
        inner = call.args[0] if call.args and isinstance(call.args[0], ast.Call) else halt("what it is given is not seen")
        return Message(dotted(inner.func), (*inner.args, *inner.keywords))
    return Message(dotted(call.args[0]) if call.args else sender, (*call.args[1:], *(each for each in call.keywords if each.arg != "func")))


def _is_alone(module: Module, statement: ast.stmt, call: ast.Call) -> bool:
    """Whether a statement makes the call and does nothing with what it returns but to look at its status."""
    match statement:
        case ast.Expr(value=value):
            while value is not call:
                match value:
                    case ast.Await(value=inner) | ast.Call(func=ast.Attribute(value=inner, attr="raise_for_status"), args=[]):
                        value = inner
                    case _:
                        return False
            return True
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call or (isinstance(value, ast.Await) and value.value is call):
            function = module.enclosing(statement)
            used = [each for each in scope_of(function) if isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Load)] if function else []
            return all(dotted(module.parent(each) or each) == f"{name}.raise_for_status" for each in used)
    return False


def _whole(module: Module, statement: ast.stmt) -> ast.stmt:
    """The statement with the `with` of its client and the `try` around that hold nothing besides."""
    while True:
        above = module.parent(statement)
        siblings = [each for each in module.block(statement) if each is not statement and "raise_for_status" not in ast.dump(each)]
        if siblings or not isinstance(above, ast.With | ast.AsyncWith | ast.Try):
            return statement
        if isinstance(above, ast.Try) and (above.orelse or above.finalbody or not any(each is statement for each in above.body)):
            return statement
        if isinstance(above, ast.With | ast.AsyncWith) and not all(isinstance(each.context_expr, ast.Call) and client_of(module, each.context_expr) is not None for each in above.items):
            return statement
        statement = above


@word
def written_down(module: Module, line: int, alias: str, *, sender: str = "", mapped: bool = False) -> Draft:
    """Write down what the statement at `line` tells, in front of the last commit of its function, and have it sent behind that.

    Shapes: `sender(values)`, work that is handed on to `sender`, and `requests.post(...)` or `httpx.post(...)` whose answer nobody
    uses, also in a `try` or `with` that holds nothing besides; `x.commit()` as a statement, or a `with` of a connection.
    `mapped` says that a session of SQLAlchemy commits: it is flushed first, so that new rows have their keys. Refuses results that
    are used, values that exist only behind the commit, and functions that commit elsewhere.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the call stands outside of a function")
    gone, told = message(module, statement, sender)
    commit, connection, inside = _commit(module, gone)
    early = gone.lineno < commit.lineno
    first, last = (gone, commit) if early else (commit, gone)
    between = [each for each in scope_of(function) if isinstance(each, ast.stmt) and first.lineno <= each.lineno <= last.lineno and each not in {gone, commit}]
    if any(isinstance(each, ast.Return | ast.Raise) for each in between if early):
        halt("the function may leave before its commit")
    if connection.partition(".")[0] in {name for each in told.given for name in names_in(each)}:
        halt("it is given the connection itself")
    texts = [_given(module, each, [] if early else between, (commit.end_lineno or 0)) for each in told.given]
    lines = f"{connection}.flush()\n" if mapped else ""
    lines += f"{alias}.put({', '.join([connection, told.sender or f'{alias}.post', *texts])})"
    draft = after(module, commit.body[-1], lines) if inside and isinstance(commit, ast.With) else before(module, commit, lines)
    handed = next((each for each in own(gone) if isinstance(each, ast.Call) and isinstance(each.func, ast.Attribute) and each.func.attr == "add_task"), None)
    send = f"{module.segment(handed.func)}({alias}.deliver)" if handed is not None else f"{alias}.send()"
    draft += remove(module, gone) + after(module, commit, send) if early else replace(module, gone, send)
    for each in _looks(module, gone, statement):
        draft += remove(module, each)
    return draft


def _looks(module: Module, gone: ast.stmt, statement: ast.stmt) -> list[ast.stmt]:
    """Statements of the same block that only look at the status of the answer."""
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]) if gone is statement:
            return [each for each in module.block(gone) if isinstance(each, ast.Expr) and module.segment(each) == f"{name}.raise_for_status()"]
    return []


def _commit(module: Module, gone: ast.stmt) -> tuple[ast.stmt, str, bool]:
    """(the statement that commits, what it commits, whether that is a `with`): the nearest in front, else the last behind in the same block."""
    inner: ast.AST = gone
    for above in (gone, *module.ancestors(gone)):
        if isinstance(above, FUNCTIONS):
            break
        if not isinstance(above, ast.stmt):
            continue
        block = module.block(above)
        at = block.index(above)
        for each in (*reversed(block[:at]), *reversed(block[at + 1 :] if inner is gone else [])):
            if isinstance(each, ast.Expr) and (found := next(iter(calls_of(each, "commit")), None)) is not None:
                return each, receiver(found) or halt("what commits has no name"), False
            if isinstance(each, ast.With) and each.lineno < gone.lineno and (name := _connected(each)):
                return each, name, True
        inner = above
    return halt("no commit stands beside it")


def _connected(statement: ast.With) -> str:
    """The name of the connection that a `with` commits at its end."""
    for each in statement.items:
        if isinstance(each.optional_vars, ast.Name) and re.search(r"conn|\bdb\b|get_db|connect|engine\.begin", ast.unparse(each.context_expr)):
            return each.optional_vars.id
    return ""


def _given(module: Module, part: ast.expr | ast.keyword, between: list[ast.stmt], end: int) -> str:
    """A value as it is known in front of the commit: names that are bound behind it are written as what they are bound to."""
    value = part.value if isinstance(part, ast.keyword) else part
    head = f"{part.arg}=" if isinstance(part, ast.keyword) and part.arg else ""
    if isinstance(part, ast.keyword) and not part.arg:
        halt("its arguments are not written out")
    bound = {target.id: each.value for each in between if isinstance(each, ast.Assign) and each.lineno > end for target in each.targets if isinstance(target, ast.Name)}
    stored = {name.id for each in between if each.lineno > end for name in ast.walk(each) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)}
    text, start = module.segment(value), module.span(value).start
    for name in sorted((each for each in ast.walk(value) if isinstance(each, ast.Name) and each.id in stored), key=lambda each: -module.span(each).start):
        source = bound.get(name.id)
        if source is None or any(isinstance(each, ast.Call | ast.Await) for each in ast.walk(source)) or names_in(source) & stored:
            return halt(f"{name.id} is known only behind the commit")
        span = module.span(name)
        data = text.encode()
        text = (data[: span.start - start] + module.segment(source).encode() + data[span.end - start :]).decode()
    return head + text.replace("\n" + module.indent(module.statement_of(value)), "\n")


@word
def sends(module: Module, function: str, alias: str, *, line: int = 0) -> Draft:
    """Make a function a sender of messages; its one call outside carries the message's key, where headers can be given to it.

    Refuses functions within something else, or with decorators.
    """
    node = module.function(function, line)
    if not isinstance(module.parent(node), ast.Module):
        halt(f"{node.name} stands inside of something else")
    if node.decorator_list:
        halt(f"{node.name} has decorators already")
    draft = decorate(module, node, f"{alias}.sender")
    outside = [each for each in scope_of(node) if isinstance(each, ast.Call) and (known := client_of(module, each)) is not None and known.speaks]
    if len(outside) != 1:
        halt(f"{node.name} makes {len(outside)} calls outside: one of them may be done and another not")
    (call,) = outside
    known = client_of(module, call)
    if known is None or known.name.partition(".")[0] not in {"requests", "httpx", "aiohttp"}:
        return draft
    key = f'{module.literal("Idempotency-Key")}: {alias}.key()'
    headers = next((each.value for each in call.keywords if each.arg == "headers"), None)
    if headers is None:
        draft += argument(module, call, f"headers={{{key}}}")
    elif isinstance(headers, ast.Dict) and headers.values:
        if any(isinstance(each, ast.Constant) and str(each.value).lower() == "idempotency-key" for each in headers.keys):
            return draft
        draft += extend(module, headers.values[-1], f", {key}")
    passed_over = any(not any(isinstance(each, ast.Raise) for each in ast.walk(handler)) for attempt in attempts(module, call) for handler in attempt.handlers)
    return draft.note(f"{node.name} passes over what it catches: let it raise what shall be tried again.") if passed_over else draft


