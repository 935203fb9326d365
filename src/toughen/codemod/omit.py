"""Owns the words that leave columns out of what is shown: dictionaries, whole rows, dumps, schemas, models of answers."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.codemod.draft import Draft, Edit, word
from toughen.codemod.mechanics import after, argument, remove, replace
from toughen.codemod.module import dotted, halt, scope_of
from toughen.codemod.statements import EXECUTING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from toughen.codemod.module import FunctionNode, Module

_STORES = EXECUTING | {"executemany", "insert", "insert_one", "update", "update_one", "create", "add", "values", "filter_by", "encode", "setdefault"}
_COLUMNS = re.compile(r"__table__|__mapper__|\.columns\b|\.mapper\b|__dict__|\.keys\(\)|\.items\(\)|\.description|_fields|\bvars\(|\bcolumns\b|\bcols\b")
_WHOLE = {"_asdict", "model_dump", "dict"}


@dataclass(frozen=True, slots=True)
class Showing:
    """A place at which a function puts a column, or a whole row, into what it hands out."""

    node: ast.AST
    kind: str
    """entry, keyword, row, comprehension or dump."""
    column: str
    """"" where the whole row is handed out."""


def showings(function: FunctionNode, module: Module, columns: Collection[str], is_row: Callable[[ast.expr], bool]) -> Iterator[Showing]:
    """Where a function shows these columns; `is_row` says of an expression whether it holds a row that has them."""
    inner: set[int] = set()
    for node in scope_of(function):
        if id(node) in inner or (isinstance(node, ast.expr) and _stored(module, node)):
            continue
        match node:
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    column = _read(value, columns, key)
                    if column:
                        yield Showing(node, "entry", column)
            case ast.Call(func=ast.Name(id="dict"), keywords=[_, *_] as keywords, args=[]):
                yield from (Showing(node, "keyword", column) for each in keywords if (column := _read(each.value, columns, None)))
            case ast.DictComp(generators=[*_, last]) if _COLUMNS.search(module.segment(last.iter)) and is_row(last.iter):
                inner |= {id(each) for each in ast.walk(node)}
                if not _filters(node, columns):
                    yield Showing(node, "comprehension", "")
            case ast.Call(func=ast.Name(id="dict"), args=[given], keywords=[]) if is_row(given):
                inner |= {id(each) for each in ast.walk(node)} - {id(node)}
                yield Showing(node, "row", "")
            case ast.Call(func=ast.Name(id="vars"), args=[given]) if is_row(given):
                yield Showing(node, "row", "")
            case ast.Attribute(value=given, attr="__dict__") if is_row(given) and isinstance(node.ctx, ast.Load):
                yield Showing(node, "row", "")
            case ast.Call(func=ast.Attribute(value=given, attr=attr), args=[]) if attr in _WHOLE and is_row(given):
                yield Showing(node, "row" if attr == "_asdict" else "dump", "")


def _read(value: ast.expr, columns: Collection[str], key: ast.expr | None) -> str:
    """The column that an entry's value reads off a row: `user.password`, `row["password"]`, `row[2]` under that key."""
    match value:
        case ast.Attribute(value=ast.Name(id=name), attr=attr) if attr in columns and name not in {"data", "request", "payload", "body", "form"}:
            return attr
        case ast.Attribute(value=ast.Attribute(), attr=attr) if attr in columns:
            return attr
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as column)) if column in columns and name not in {"data", "payload", "body", "form"}:
            return column
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str() as column), *_]) if column in columns and name not in {"data", "payload", "body", "form"}:
            return column
        case ast.Subscript(slice=ast.Constant(value=int())) if isinstance(key, ast.Constant) and key.value in columns:
            return str(key.value)
    return ""


def _filters(node: ast.DictComp, columns: Collection[str]) -> bool:
    """Whether a comprehension leaves these columns out already."""
    texts = {str(each.value) for test in node.generators[-1].ifs for each in ast.walk(test) if isinstance(each, ast.Constant)}
    names = {each.id for test in node.generators[-1].ifs for each in ast.walk(test) if isinstance(each, ast.Name)}
    bound = {each.id for each in ast.walk(node.generators[-1].target) if isinstance(each, ast.Name)}
    return set(columns) <= texts or bool(names - bound - {"isinstance", "str", "callable", "hasattr", "getattr", "datetime"})


def _stored(module: Module, node: ast.expr) -> bool:
    """Whether an expression is handed to what stores or signs it, not shown."""
    for above in module.ancestors(node):
        if isinstance(above, ast.stmt):
            return False
        if isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute | ast.Name):
            name = dotted(above.func).rpartition(".")[2]
            if name in _STORES or (name[:1].isupper() and not name.endswith(("Response", "Out", "Read", "Public", "Schema"))):
                return True
    return False


def listed(module: Module, columns: Sequence[str]) -> str:
    """Columns as a tuple of literals."""
    return f"({', '.join(map(module.literal, columns))}{',' if len(columns) == 1 else ''})"


@word
def omit(module: Module, found: Sequence[Showing], columns: Sequence[str]) -> Draft:
    """Leave columns out at these places, all of one module.

    Entries of dictionaries and keywords of `dict(...)` go; a whole row is filtered by its keys; a comprehension over
    columns gets the test; a dump the `exclude`.
    """
    draft, done = Draft(module), set()
    for each in found:
        if id(each.node) in done:
            continue
        done.add(id(each.node))
        match each.node:
            case ast.Dict() as node:
                draft += _entries(module, node, columns)
            case ast.Call(keywords=[_, *_]) as node if each.kind == "keyword":
                for index, given in reversed(list(enumerate(node.keywords))):
                    if _read(given.value, columns, None):
                        parts = [module.span(part) for part in node.keywords]
                        start, end = (parts[index].start, parts[index + 1].start) if index + 1 < len(parts) else (parts[index - 1].end if index else parts[index].start, parts[index].end)
                        draft += Draft(module, (Edit(start, end, ""),))
            case ast.DictComp() as node:
                end = module.span(node).end - 1
                kept = len(module.data[:end].rstrip())
                draft += Draft(module, (Edit(kept, kept, f" if {module.segment(node.key)} not in {listed(module, columns)}"),))
            case ast.Call() as node if each.kind == "dump":
                draft += argument(module, node, f"exclude={{{', '.join(map(module.literal, columns))}}}")
            case ast.expr() as node:
                draft += replace(module, node, filtered(module, module.segment(node), columns))
    return draft


def filtered(module: Module, text: str, columns: Sequence[str]) -> str:
    """A mapping without these keys, as an expression."""
    return f"{{key: value for key, value in {text}.items() if key not in {listed(module, columns)}}}"


def _entries(module: Module, node: ast.Dict, columns: Sequence[str]) -> Draft:
    starts = [module.span(key).start if key is not None else module.data.rindex(b"**", 0, module.span(value).start) for key, value in zip(node.keys, node.values, strict=True)]
    gone = [index for index, (key, value) in enumerate(zip(node.keys, node.values, strict=True)) if _read(value, columns, key)]
    kept = [index for index in range(len(starts)) if index not in gone]
    close = module.span(node).end - 1
    edits = []
    for index in gone:
        if index + 1 < len(starts):
            edits.append(Edit(starts[index], starts[index + 1], ""))
        else:
            # What is last goes with the comma in front of it; a comma behind it stays.
            before = module.data.rindex(b",", 0, starts[index]) if kept else starts[index]
            rest = module.data[starts[index] : close]
            comma = rest.rstrip().endswith(b",")
            edits.append(Edit(before, starts[index] + len(rest.rstrip()) - comma, ""))
    return Draft(module, tuple(edits))


@word
def unfielded(module: Module, name: str, columns: Sequence[str]) -> Draft:
    """Take the declarations of these fields out of a class (a model of answers)."""
    node = module.class_named(name)
    found = [each for each in node.body if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id in columns]
    draft = Draft(module)
    for each in found:
        draft += remove(module, each)
    return draft if found else halt(f"{name} declares none of {', '.join(columns)}")


@word
def unloaded(module: Module, name: str, columns: Sequence[str]) -> Draft:
    """Let a marshmallow schema read these fields and never show them.

    Shapes: `fields = (...)` of its Meta loses them; a declared field gets `load_only=True`; a schema made of a mapped class
    gets `load_only` in its Meta.
    """
    node = module.class_named(name)
    meta = next((each for each in node.body if isinstance(each, ast.ClassDef) and each.name == "Meta"), None)
    draft = Draft(module)
    for each in node.body:
        match each:
            case ast.Assign(targets=[ast.Name(id=field)], value=ast.Call() as call) if field in columns and not any(one.arg == "load_only" for one in call.keywords):
                draft += argument(module, call, "load_only=True")
    for each in meta.body if meta is not None and not draft.edits else ():
        match each:
            case ast.Assign(targets=[ast.Name(id="fields")], value=ast.Tuple(elts=parts) | ast.List(elts=parts)):
                kept = [module.segment(part) for part in parts if not (isinstance(part, ast.Constant) and part.value in columns)]
                if len(kept) < len(parts):
                    opening, closing = ("(", ",)" if len(kept) == 1 else ")") if isinstance(each.value, ast.Tuple) else ("[", "]")
                    draft += replace(module, each.value, opening + ", ".join(kept) + closing)
    if not draft.edits and meta is not None and not any(isinstance(each, ast.Assign) and dotted(each.targets[0]) in {"fields", "exclude", "load_only"} for each in meta.body):
        draft += after(module, meta.body[-1], f"load_only = {listed(module, columns)}")
    return draft if draft.edits else halt(f"how {name} chooses its fields is not seen")


@word
def unselected(module: Module, text: ast.Constant, columns: Sequence[str], every: Sequence[str]) -> Draft:
    """Name what a SELECT reads without these columns; `every` are all columns of its table, in order."""
    source = module.segment(text)
    kept = [each for each in every if each not in columns]
    done = re.sub(r"(?i)(\bselect\s+(?:distinct\s+)?)\*(\s+from\b)", lambda match: f"{match.group(1)}{', '.join(kept)}{match.group(2)}", source, count=1)
    if done == source:
        for column in columns:
            one = rf"(?:\w+\.)?{re.escape(column)}"
            done = re.sub(rf"(?i)(\bselect\s[^;]*?),\s*{one}\b(?=[^;]*?\bfrom\b)", r"\1", done, count=1)
            done = re.sub(rf"(?i)(\bselect\s+){one}\s*,\s*(?=[^;]*?\bfrom\b)", r"\1", done, count=1)
    return replace(module, text, done) if done != source else halt("the statement's list of columns is not seen")


@word
def exchanged(module: Module, node: ast.expr, text: str) -> Draft:
    """Another expression in the place of one."""
    return replace(module, node, text)


@word
def keyword(module: Module, call: ast.Call, text: str) -> Draft:
    """One more keyword of a call. Refuses one that is there."""
    return argument(module, call, text)
