"""Owns mends of transactions: one locked transaction, conditional raw updates, taken keys, one commit, unique keys."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod.answers import attempts, caught_names
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, before, extend, receiver, remove, replace, wrap
from toughen.codemod.module import Module, Span, dotted, halt, names_in, scope_of
from toughen.codemod.races import calls_of
from toughen.codemod.refusals import refuse, refused_value
from toughen.codemod.sqltext import Char, read
from toughen.codemod.statements import execution, style_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode

_OUTSIDE = {"requests", "httpx", "urllib", "smtplib", "subprocess", "aiohttp", "socket", "stripe", "boto3", "openai"}
_BEGIN = 'execute("BEGIN IMMEDIATE")'
_COUNTS_CHANGED = re.compile(r"\b(pymysql|MySQLdb|mysql\.connector|flask_mysqldb|flaskext\.mysql)\b")
"""Drivers of MySQL; SQLAlchemy has them count rows that were hit."""
CONFLICT = 409


@word
def serial(module: Module, function: str, *, line: int = 0) -> Draft:
    """Let a function's reads and writes over one raw sqlite3 connection run in one write transaction.

    `conn.execute("BEGIN IMMEDIATE")` goes in front of the first statement that uses the opened connection, and what
    follows is wrapped in `try: ... finally: conn.close()` unless every path closes it already: an exception in an open
    transaction would otherwise keep the lock and take the app down.
    Shapes: `conn = sqlite3.connect(...)` or `conn = <project function that connects>()`; `with sqlite3.connect(...) as
    conn`; connections kept in `flask.g` where a teardown closes them.
    Refuses: several connections, a commit before the last statement, BEGIN or isolation_level in use, calls that leave
    the process inside, and project functions called inside that open a connection of their own.
    """
    node = module.function(function, line)
    opened, name = _connection(module, node)
    text = module.segment(node)
    if re.search(r"\bBEGIN\b", text):
        halt(f"{node.name} begins its transaction itself already")
    if "isolation_level" in module.text:
        halt(f"{module.file} sets isolation_level: its transactions are not sqlite3's own")
    executed = list(calls_of(node, "execute", "executemany"))
    commits = [call for call in calls_of(node, "commit") if receiver(call) == name]
    if commits and any(call.lineno > min(item.lineno for item in commits) for call in executed):
        halt(f"{node.name} commits before its last statement")
    if not re.search(r"\b(INSERT|UPDATE|DELETE|REPLACE)\b", text, re.IGNORECASE):
        halt(f"{node.name} writes nothing: there is no transaction to lock")
    _undisturbed(module, node, opened)
    draft = _begun(module, node, opened, name)
    return draft.note("The transaction takes SQLite's write lock before its first read.")


def _connection(module: Module, node: FunctionNode) -> tuple[ast.stmt, str]:
    found: list[tuple[ast.stmt, str]] = []
    for item in scope_of(node):
        match item:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) if connects(module, call):
                found.append((item, name))
            case ast.With(items=[ast.withitem(context_expr=ast.Call() as call, optional_vars=ast.Name(id=name))]) if (
                connects(module, call)
            ):
                found.append((item, name))
    return found[0] if len(found) == 1 else halt(f"{node.name} opens {len(found)} connections, not one")


def connects(module: Module, call: ast.Call) -> bool:
    """True for `sqlite3.connect(...)` and for project functions of this file that return such a connection."""
    if module.resolve(call.func) == "sqlite3.connect":
        return True
    name = dotted(call.func)
    named = [item for item in module.functions if item.name == name]
    if named:
        return any(
            "connect" in dotted(found.func) for item in named for found in ast.walk(item) if isinstance(found, ast.Call)
        )
    return (
        bool(name)
        and name in module.imports
        and bool(re.search(r"(^|\.|_)(get_|connect|open_)?(db|conn|connection)", name))
    )


def _undisturbed(module: Module, node: FunctionNode, opened: ast.stmt) -> None:
    for call in (item for item in scope_of(node) if isinstance(item, ast.Call)):
        if call.lineno <= opened.lineno:
            continue
        origin = module.resolve(call.func)
        if origin.partition(".")[0] in _OUTSIDE:
            halt(f"{origin} would be called while the database is locked")
        own = [item for item in module.functions if item.name == dotted(call.func) and item is not node]
        if any(connects(module, inner) for item in own for inner in ast.walk(item) if isinstance(inner, ast.Call)):
            halt(f"{dotted(call.func)} opens a connection of its own and would wait for the lock")


def _begun(module: Module, node: FunctionNode, opened: ast.stmt, name: str) -> Draft:
    if isinstance(opened, ast.With):
        return before(module, opened.body[0], f"{name}.{_BEGIN}")
    block = module.block(opened)
    rest = block[block.index(opened) + 1 :]
    while rest and not any(name in dotted(call.func).split(".") for call in calls_of(rest[0], "execute", "cursor")):
        rest = (
            rest[1:] if _is_setup(rest[0], name) else halt("the connection's first statement does not stand beside it")
        )
    if not rest:
        halt("the connection is not used where it is opened")
    if _closed(module, node, opened, name) or _torn_down(module, opened):
        return before(module, rest[0], f"{name}.{_BEGIN}")
    handles = {name} | {
        target.id
        for item in scope_of(node)
        if isinstance(item, ast.Assign) and isinstance(item.value, ast.Call) and receiver(item.value) == name
        for target in item.targets
        if isinstance(target, ast.Name)
    }
    held = [index for index, item in enumerate(rest) if names_in(item) & handles]
    rest = rest[: held[-1] + 1]
    handlers = [handler for attempt in attempts(module, opened) for handler in attempt.handlers]
    if any(receiver(call) == name for handler in handlers for call in calls_of(handler, "rollback")):
        halt("a handler around rolls the connection back, which would be closed by then")
    closing = Draft(module)
    if len(rest) > 1 and module.segment(rest[-1]) == f"{name}.close()":
        closing = remove(module, rest.pop())
    wrapped = wrap(module, rest, f"try:\n    {name}.{_BEGIN}", f"finally:\n    {name}.close()")
    return (wrapped + closing).note("The connection is closed on every path now.")


def _is_setup(statement: ast.stmt, name: str) -> bool:
    """Statements that may stand in front of BEGIN: they neither read nor write the database, nor leave."""
    if isinstance(statement, (ast.Return, ast.Raise, ast.Try, ast.With, ast.For, ast.While)):
        return False
    return isinstance(statement, (ast.Assign, ast.AnnAssign, ast.If, ast.Expr)) or name not in ast.dump(statement)


def _closed(module: Module, node: FunctionNode, opened: ast.stmt, name: str) -> bool:
    """True when a handler or `finally` around closes the connection, and every return inside is preceded by a close."""
    closes = f"{name}.close"
    for attempt in attempts(module, opened):
        final = any(dotted(call.func) == closes for item in attempt.finalbody for call in calls_of(item, "close"))
        if final:
            return True
        broad = [
            item
            for item in attempt.handlers
            if {n.rpartition(".")[2] for n in caught_names(item)} & {"Exception", "BaseException"}
        ]
        if any(dotted(call.func) == closes for item in broad for call in calls_of(item, "close")):
            return all(
                any(dotted(call.func) == closes for item in module.block(found) for call in calls_of(item, "close"))
                for found in scope_of(node)
                if isinstance(found, ast.Return) and opened.lineno < found.lineno < attempt.handlers[0].lineno
            )
    block = module.block(opened)
    follower = block[block.index(opened) + 1 :]
    return any(
        isinstance(item, ast.Try)
        and any(dotted(call.func) == closes for part in item.finalbody for call in calls_of(part, "close"))
        for item in follower[:1]
    )


def _torn_down(module: Module, opened: ast.stmt) -> bool:
    value = opened.value if isinstance(opened, ast.Assign) else None
    name = dotted(value.func) if isinstance(value, ast.Call) else ""
    helper = next((item for item in module.functions if item.name == name), None)
    if helper is None or not re.search(r"\bg\b", module.segment(helper)):
        return False
    return "teardown_appcontext" in module.text or halt(f"{name} keeps the connection in `g` and nothing closes it")


@word
def claim_sql(module: Module, line: int, condition: str, values: Sequence[str] = (), *, style: str = "") -> Draft:
    """Add `AND condition` (`balance >= ?` with its values) to the raw UPDATE at `line`, and test that a row was hit.

    Shapes: `cursor.execute(...)`, `conn.execute(...)` as a statement or assigned to one name, values written out. The
    refusal is the copy of the check's: the nearest earlier `if` of the function that refuses and mentions the column
    (first word of the condition); without one, 409 in the file's style. Refuses other statements, UPDATEs that hold the
    condition already, and text that is put together. Drivers of MySQL count rows that changed: an amount of 0 is let pass.
    """
    found = execution(module, line)
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the statement stands outside of a function")
    text = read(module, found.text)
    flat = text.plain(0, len(text.atoms))
    if not re.match(r"\s*UPDATE\b", flat, re.IGNORECASE) or not re.search(r"\bWHERE\b", flat, re.IGNORECASE):
        halt(f"{module.file}:{line} is no UPDATE with a WHERE")
    if isinstance(module.parent(found.call), ast.Await):
        halt("the driver is asynchronous")
    column = re.split(r"\W", condition, maxsplit=1)[0]
    if re.search(rf"\bWHERE\b.*\b{re.escape(column)}\s*[<>]", flat, re.IGNORECASE | re.DOTALL):
        halt(f"the UPDATE already tests {column}")
    place = style_of(module, found, (), style)
    if place not in {"?", "%s"} or not isinstance(found.parameters, (ast.Tuple, ast.List)):
        halt("the UPDATE's values are not written out in order")
    end = len(flat.rstrip().removesuffix(";").rstrip())
    last = text.atoms[end - 1]
    if not isinstance(last, Char) or "RETURNING" in flat.upper():
        halt("the UPDATE's text does not end with its WHERE")
    behind = module.cut(Span(last.start, last.end)) + " AND " + condition.replace("?", place)
    draft = Draft(module, (Edit(last.start, last.end, behind),))
    if values:
        draft += extend(module, found.parameters.elts[-1], ", " + ", ".join(values))
    owner = receiver(found.call)
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            result = name
        case ast.Expr() if owner in _cursors(function):
            result = owner
        case ast.Expr():
            result = "claimed"
            span = module.span(statement)
            draft += Draft(module, (Edit(span.start, span.start, "claimed = "),))
        case _:
            return halt(f"{module.file}:{line} is not a statement of its own")
    refusal, imports = copied_refusal(module, function, statement, column)
    undo = (
        "" if "close()" in refusal or "rollback()" in refusal else f"    {connection_of(function, owner)}.rollback()\n"
    )
    # MySQL counts the rows that it changed: none where nothing is taken, though one was hit.
    nothing = f" and {values[0]} != 0" if values and condition.endswith(">= ?") and _COUNTS_CHANGED.search(module.text) else ""
    lines = f"if {result}.rowcount == 0{nothing}:\n{undo}" + "\n".join(
        "    " + item if item.strip() else item for item in refusal.split("\n")
    )
    return draft + after(module, statement, lines) + imports


def _cursors(function: FunctionNode) -> dict[str, str]:
    """The cursors that a function makes, by name, with their connections: `cur = conn.cursor()`, `with conn.cursor() as cur`."""
    made: list[tuple[ast.expr | None, ast.expr]] = []
    for item in scope_of(function):
        match item:
            case ast.Assign(targets=[target], value=value):
                made.append((target, value))
            case ast.With(items=items):
                made += [(each.optional_vars, each.context_expr) for each in items]
    return {
        dotted(target): dotted(value.func.value) for target, value in made
        if target is not None and isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "cursor"
    }  # fmt: skip


def connection_of(function: FunctionNode, name: str) -> str:
    """The connection that a cursor of that name was made from; the name itself where it is none."""
    return _cursors(function).get(name) or name


def copied_refusal(module: Module, function: FunctionNode, statement: ast.stmt, mention: str) -> tuple[str, Draft]:
    """Text of the refusal of the nearest earlier `if` that mentions a word, else 409 in the file's style."""
    earlier = [
        item
        for item in scope_of(function)
        if isinstance(item, ast.If) and item.lineno < statement.lineno and item.body[-1].lineno < statement.lineno
        and isinstance(item.body[-1], (ast.Return, ast.Raise)) and refused_value(item.body[-1]) is not None
    ]  # fmt: skip
    for item in reversed(earlier):
        if mention and re.search(rf"\b{re.escape(mention)}\b", module.segment(item.test)):
            indent = module.indent(item.body[0])
            lines = [text for part in item.body for text in module.segment(part).replace("\r\n", "\n").split("\n")]
            return "\n".join(text.removeprefix(indent).replace(module.unit, "    ") for text in lines), Draft(module)
    refusal = refuse(module, function, CONFLICT, "Conflict")
    return refusal.text, refusal.needs(module)


@word
def once(module: Module, function: str, *, line: int = 0) -> Draft:
    """Let a function commit once, at its end: earlier `session.commit()` become `flush()`, earlier `conn.commit()` go.

    Shapes: one session or connection; the last commit at the function's own level or in the same `try`, or at the end of an `if`
    there, behind which it goes then.
    Refuses: one commit only, several sessions, a return between the commits, calls that leave the process or start
    background work between them, and project functions of this file, called between them, that commit themselves.
    """
    node = module.function(function, line)
    commits = sorted(calls_of(node, "commit"), key=lambda item: item.lineno)
    found = {receiver(call) for call in commits}
    if len(commits) < 2 or len(found) != 1:  # noqa: PLR2004
        halt(f"{node.name} holds {len(commits)} commits of {len(found)} sessions: nothing to join")
    *earlier, last = commits
    place = module.parent(module.statement_of(last))
    moved = _behind(module, place, last) if isinstance(place, ast.If) else None
    place = module.parent(place) if moved is not None and place is not None else place
    if place is not node and not (isinstance(place, ast.Try) and module.parent(place) is node):
        halt("the last commit is conditional")
    if module.enclosing(last) is not node:
        halt("a function inside commits")
    for item in scope_of(node):
        between = earlier[0].lineno < getattr(item, "lineno", 0) < last.lineno
        if between and isinstance(item, ast.Return):
            halt("a return stands between the commits")
        if between and isinstance(item, ast.Call):
            _stays(module, node, item, found)
    raw = bool(list(calls_of(node, "execute"))) and not list(
        calls_of(node, "add", "flush", "refresh", "query", "scalars")
    )
    draft = moved or Draft(module)
    for call in earlier:
        statement = module.statement_of(call)
        draft += remove(module, statement) if raw else replace(module, call.func, f"{receiver(call)}.flush")
    return draft


def _behind(module: Module, choice: ast.If, commit: ast.Call) -> Draft | None:
    """The commit that ends an `if` moved behind it; None where it does not end it."""
    statement = module.statement_of(commit)
    if choice.orelse or len(choice.body) < 2 or choice.body[-1] is not statement:  # noqa: PLR2004
        return None
    span = module.span(statement)
    return replace(module, Span(module.line_start(span.start), span.end), module.indent(choice) + module.segment(statement))


def _stays(module: Module, node: FunctionNode, call: ast.Call, sessions: set[str]) -> None:
    if receiver(call) in sessions:
        return
    origin = module.resolve(call.func)
    if origin.partition(".")[0] in _OUTSIDE or origin.endswith(
        (".add_task", ".delay", ".apply_async", ".send_message")
    ):
        halt(f"{dotted(call.func)} between the commits cannot be taken back")
    name = dotted(call.func).rpartition(".")[2]
    if any(list(calls_of(item, "commit")) for item in module.functions if item.name == name and item is not node):
        halt(f"{name} commits itself")


@word
def lock_sql(module: Module, line: int) -> Draft:
    """Lock the rows that the raw SELECT at `line` reads until the transaction ends: ` FOR UPDATE` ends its text.

    For drivers of Postgres and MySQL (places `%s`, `$`, or `text()`). Refuses other statements, DISTINCT, GROUP BY and
    aggregates, locks that are there, text that ends with a value, and a commit between the read and a later statement.
    """
    found = execution(module, line)
    function = module.enclosing(found.call) or halt("the statement stands outside of a function")
    if style_of(module, found) == "?":
        halt("SQLite knows no FOR UPDATE: serial takes its write lock")
    text = read(module, found.text)
    flat = text.plain(0, len(text.atoms))
    if not re.match(r"\s*SELECT\b", flat, re.IGNORECASE) or re.search(r"\bFOR\s+(UPDATE|SHARE)\b", flat, re.IGNORECASE):
        halt(f"{module.file}:{line} is no SELECT that could be locked, or is locked already")
    if re.search(r"\b(DISTINCT|GROUP\s+BY|UNION|COUNT|SUM|MAX|MIN|AVG)\b", flat, re.IGNORECASE):
        halt("a SELECT with DISTINCT, GROUP BY or an aggregate cannot lock its rows")
    commits = [call.lineno for call in calls_of(function, "commit") if call.lineno > line]
    if commits and any(call.lineno > commits[0] for call in calls_of(function, "execute", "executemany")):
        halt("a commit between the read and a later statement would drop the lock")
    last = text.atoms[len(flat.rstrip().removesuffix(";").rstrip()) - 1]
    if not isinstance(last, Char):
        halt("the statement's text ends with a value")
    return Draft(module, (Edit(last.start, last.end, module.cut(Span(last.start, last.end)) + " FOR UPDATE"),))
