"""Owns mends of unique keys: a violated key answered as the check answers, and keys declared in the source."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from toughen.codemod.answers import attempts, caught_names, put_handler, swallowing
from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, argument, receiver, use, wrap
from toughen.codemod.module import Module, dotted, halt
from toughen.codemod.races import calls_of
from toughen.codemod.refusals import Refusal, one_line, refusals, refuse
from toughen.codemod.sqltext import Char, read
from toughen.codemod.transactions import CONFLICT, connection_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.codemod.module import FunctionNode


@word
def taken(module: Module, line: int, *, text: str = "Already exists", mention: str = "") -> Draft:
    """Answer a violated unique key of the write at `line` as the check in front of it answers, after a rollback.

    Shapes: `session.commit()`/`flush()` of SQLAlchemy; a raw INSERT of sqlite3 or psycopg2 with the commit behind it in
    the same block. A `try` around that has a broad handler gets one more handler; else the statements are wrapped.
    `mention` is a word of the check's test (default: the nearest earlier refusal with 400 or 409); without a check, 409
    with `text` in the file's style. Refuses handled violations, unknown drivers and refusals that would be swallowed.
    """
    statement = module.statement(line)
    function = module.enclosing(statement) or halt("the write stands outside of a function")
    if hasattr(statement, "body"):
        halt(f"{module.file}:{line} is a compound statement, not the write")
    calls = [*calls_of(statement, "commit", "flush", "execute", "executemany")]
    if not calls:
        halt(f"{module.file}:{line} neither executes nor commits")
    for attempt in attempts(module, statement):
        if any(
            "IntegrityError" in name or "UniqueViolation" in name
            for item in attempt.handlers
            for name in caught_names(item)
        ):
            halt("a violated key is handled here already")
    owner = connection_of(function, receiver(calls[-1]))
    error, imports = _violation(module)
    refusal = _existing(module, function, statement, (text, mention))
    awaited = "await " if isinstance(module.parent(calls[-1]), ast.Await) else ""
    lines = f"except {error}:\n    {awaited}{owner}.rollback()\n{refusal.indented}"
    draft = refusal.needs(module)
    if imports:
        draft += use(module, imports)
    around = next(attempts(module, statement), None)
    if around is not None and around.handlers and {"Exception", "BaseException"} & caught_names(around.handlers[0]):
        return draft + put_handler(module, around.handlers[0], lines)
    if refusal.raises and swallowing(module, statement) is not None:
        halt("a broad handler around the write would swallow the refusal")
    block = module.block(statement)
    index = last = block.index(statement)
    if calls[-1].func.attr.startswith("execute"):  # type: ignore[attr-defined]
        ends = [
            at
            for at in range(index, len(block))
            if any(dotted(c.func) == f"{owner}.commit" for c in calls_of(block[at], "commit"))
        ]
        last = ends[0] if ends else index
    return draft + wrap(module, block[index : last + 1], "try:", lines)


def _violation(module: Module) -> tuple[str, str]:
    roots = {origin.partition(".")[0] for origin in module.imports.values()}
    if "IntegrityError" in module.imports:
        return "IntegrityError", ""
    for driver in ("sqlite3", "psycopg2", "psycopg", "pymysql"):
        if module.imports.get(driver) == driver:
            return f"{driver}.IntegrityError", ""
    known = {"sqlalchemy", "flask_sqlalchemy", "sqlmodel"}
    if roots & known or re.search(r"\b(db|session)\.(add|commit|query)\b", module.text):
        return "IntegrityError", "from sqlalchemy.exc import IntegrityError"
    return halt(f"the driver's exception for a violated key is unknown in {module.file}")


def _existing(module: Module, function: FunctionNode, statement: ast.stmt, wanted: tuple[str, str]) -> Refusal:
    text, mention = wanted
    candidates = [item for item in refusals(module, function) if item.statement.lineno < statement.lineno]
    chosen = [
        item for item in candidates if item.status in {400, CONFLICT} and _guarded(module, item.statement, mention)
    ]
    if chosen:
        indent = module.indent(chosen[-1].statement)
        source = module.segment(chosen[-1].statement).replace("\r\n", "\n")
        copied = one_line(
            "\n".join(line.removeprefix(indent).replace(module.unit, "    ") for line in source.split("\n"))
        )
        return Refusal(copied, (), not isinstance(chosen[-1].statement, ast.Return))
    return refuse(module, function, CONFLICT, text)


def _guarded(module: Module, statement: ast.stmt, mention: str) -> bool:
    """True when the refusal stands under a test that something was found (`if existing:`, `is not None`)."""
    above = module.parent(statement)
    if not isinstance(above, ast.If) or statement not in above.body:
        return False
    if mention:
        return bool(re.search(rf"\b{re.escape(mention)}\b", module.segment(above)))
    match above.test:
        case ast.Name() | ast.Call() | ast.Attribute():
            return True
        case ast.Compare(ops=[ast.IsNot() | ast.Gt()]):
            return True
        case _:
            return False


@word
def unique(module: Module, model: str, columns: Sequence[str]) -> Draft:
    """Declare a unique key: of a SQLAlchemy class (`model`), or of a `CREATE TABLE` (`model` is the table).

    Shapes: one column of `Column(...)`/`mapped_column(...)` gets `unique=True`; several get a UniqueConstraint in
    `__table_args__`; DDL gets `UNIQUE (a, b)` behind its last column. Refuses keys that are there, and unknown columns.
    Rows that exist already are not changed: a migration must follow.
    """
    classes = [item for item in module.classes() if item.name == model.rpartition(".")[2]]
    draft = _unique_class(module, classes[0], columns) if len(classes) == 1 else _unique_ddl(module, model, columns)
    return draft.note("Tables that exist already need a migration, and rows that break the key must go first.")


def _unique_class(module: Module, node: ast.ClassDef, columns: Sequence[str]) -> Draft:
    fields: dict[str, ast.Call] = {}
    for item in node.body:
        match item:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call):
                fields[name] = call
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call):
                fields[name] = call
    missing = [name for name in columns if name not in fields]
    if missing:
        halt(f"{node.name} has no column {missing[0]}")
    if len(columns) == 1:
        return argument(module, fields[columns[0]], "unique=True")
    if "__table_args__" in {
        name for item in node.body if isinstance(item, ast.Assign) for name in map(dotted, item.targets)
    }:
        halt(f"{node.name} has table arguments already")
    prefix = "db." if dotted(fields[columns[0]].func).startswith("db.") else ""
    names = ", ".join(module.literal(name) for name in columns)
    lines = f"__table_args__ = ({prefix}UniqueConstraint({names}),)"
    needs = Draft(module) if prefix else use(module, "from sqlalchemy import UniqueConstraint")
    last = max((module.statement_of(fields[name]) for name in fields), key=lambda item: item.lineno)
    return after(module, last, "\n" + lines) + needs


def _unique_ddl(module: Module, table: str, columns: Sequence[str]) -> Draft:
    pattern = re.compile(
        rf"\s*CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?[\"'`]?{re.escape(table)}[\"'`]?\s*\(", re.IGNORECASE
    )
    found = [node for node in ast.walk(module.tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    texts = [
        node for node in found if pattern.match(str(node.value)) and str(node.value).upper().count("CREATE TABLE") == 1
    ]
    if len(texts) != 1:
        halt(f"{module.file} holds {len(texts)} definitions of {table}")
    text = read(module, texts[0])
    flat = text.plain(0, len(text.atoms))
    listed = r"\s*,\s*".join(map(re.escape, columns))
    if re.search(rf"UNIQUE\s*\(\s*{listed}\s*\)", flat, re.IGNORECASE):
        halt(f"{table} has that key already")
    end = len(flat[: flat.rindex(")")].rstrip())
    last = text.atoms[end - 1]
    if not isinstance(last, Char):
        halt("the definition is put together")
    line_indent = re.findall(r"\n([ \t]*)\S[^\n]*$", flat[:end])
    gap = "," + module.newline + line_indent[-1] if line_indent else ", "
    return Draft(module, (Edit(last.end, last.end, f"{gap}UNIQUE ({', '.join(columns)})"),))
