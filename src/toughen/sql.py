"""Owns the reading of SQL: which tables a statement reads and writes, and what kind it is."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp

logging.getLogger("sqlglot").setLevel(logging.ERROR)
_VERBS = {
    "select": "select", "with": "select", "values": "select", "insert": "insert", "replace": "insert", "update": "update",
    "delete": "delete", "begin": "begin", "start": "begin", "commit": "commit", "end": "commit", "rollback": "rollback",
    "savepoint": "other", "release": "other", "create": "ddl", "alter": "ddl", "drop": "ddl",
}
_NAME = r"[\"`\[]?([A-Za-z_][\w$]*)[\"`\]]?"
_LONGEST = 20_000
_MOST_MARKS = 65_535
"""What the protocol of PostgreSQL allows, the most of all."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a statement does, by table (lower case)."""

    verb: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def _parsed(text: str) -> exp.Expr | None:
    """The statement's tree; None where the parser gives up. The parser is imported here: half a second that a boot covers."""
    import sqlglot

    # What only one of the two understands is tried first where its words stand.
    dialects = ("postgres", "sqlite") if _SERVED.search(text) else ("sqlite", "postgres")
    for dialect in dialects:
        try:
            return sqlglot.parse_one(text, dialect=dialect)
        except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
            continue
    return None


@lru_cache(maxsize=8192)
def read(text: str) -> Reading:
    """Classify one statement; where the parser gives up, names after FROM, JOIN, INTO and UPDATE are taken."""
    word = re.match(r"\s*(?:--[^\n]*\n\s*)*([A-Za-z]+)", text)
    verb = _VERBS.get(word.group(1).lower(), "other") if word else "other"
    if verb in {"begin", "commit", "rollback", "other"} or len(text) > _LONGEST:
        return Reading(verb)
    from sqlglot import exp

    tree = _parsed(_numbered(text)[0])
    if tree is None or isinstance(tree, exp.Command) or not isinstance(tree, exp.Query | exp.Insert | exp.Update | exp.Delete):
        return _guess(verb, text)
    named = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    writes: tuple[str, ...] = ()
    if isinstance(tree, exp.Insert | exp.Update | exp.Delete):
        verb = {"Insert": "insert", "Update": "update", "Delete": "delete"}[type(tree).__name__]
        target = tree.this.find(exp.Table) if tree.this else None
        writes = (target.name.lower(),) if target else ()
    tables = dict.fromkeys(table.name.lower() for table in tree.find_all(exp.Table) if table.name)
    reads = tuple(name for name in tables if name not in named and name not in writes)
    return Reading(verb, reads, writes)


def _guess(verb: str, text: str) -> Reading:
    writes = tuple(
        dict.fromkeys(match.group(1).lower() for match in re.finditer(rf"\b(?:INTO|UPDATE|DELETE\s+FROM)\s+{_NAME}", text, re.IGNORECASE))
    ) if verb in {"insert", "update", "delete"} else ()
    reads = tuple(
        dict.fromkeys(match.group(1).lower() for match in re.finditer(rf"\b(?:FROM|JOIN)\s+{_NAME}", text, re.IGNORECASE))
    )
    return Reading(verb, tuple(name for name in reads if name not in writes), writes)


@lru_cache(maxsize=8192)
def written_columns(text: str) -> tuple[str, ...]:
    """Columns that an INSERT or UPDATE names, lower case; empty where the statement does not name them."""
    from sqlglot import exp

    match _parsed(_numbered(text)[0]):
        case exp.Update() as tree:
            return tuple(each.this.name.lower() for each in tree.expressions if isinstance(each, exp.EQ))
        case exp.Insert(this=exp.Schema() as schema):
            return tuple(each.name.lower() for each in schema.expressions)
    return ()


@lru_cache(maxsize=8192)
def bindings(text: str) -> tuple[tuple[str, str, str], ...]:
    """(table, column, operator) for each positional placeholder, in order; blanks where it compares nothing.

    What an UPDATE assigns has the operator `set`, what an INSERT gives `insert`.
    `SELECT ... FROM cards WHERE id = ? AND user_id = ?` gives `(("cards", "id", "eq"), ("cards", "user_id", "eq"))`.
    """
    numbered, count = _numbered(text)
    if not count:
        return ()
    from sqlglot import exp

    tree = _parsed(numbered)
    if tree is None:
        return ()
    tables = [table for table in tree.find_all(exp.Table) if table.name]
    aliases = {table.alias_or_name.lower(): table.name.lower() for table in tables}
    alone = tables[0].name.lower() if len({table.name.lower() for table in tables}) == 1 else ""
    columns = (
        [each.name.lower() for each in tree.this.expressions]
        if isinstance(tree, exp.Insert) and isinstance(tree.this, exp.Schema)
        else []
    )
    found = [("", "", "")] * count
    for mark in tree.find_all(exp.Placeholder, exp.Parameter):
        match = re.fullmatch(r"_mark(\d+)", mark.name)
        if match is None or int(match.group(1)) >= count or found[int(match.group(1))][1]:
            continue
        parent: exp.Expr | None = mark.parent
        child: exp.Expr = mark
        while isinstance(parent, exp.Paren | exp.Cast | exp.Lower | exp.Upper | exp.Neg):
            child = parent
            parent = parent.parent
        other = None
        if isinstance(parent, exp.Binary):
            other = parent.left if parent.right is child else parent.right
        elif isinstance(parent, exp.In):
            other = parent.this
        column = other.find(exp.Column) if isinstance(other, exp.Expression) else None
        if column is not None:
            table = aliases.get(column.table.lower(), alone) if column.table else alone
            assigns = isinstance(parent, exp.EQ) and isinstance(parent.parent, exp.Update) and parent.arg_key == "expressions"
            found[int(match.group(1))] = (table, column.name.lower(), "set" if assigns else type(parent).__name__.lower())
        elif isinstance(parent, exp.Tuple) and columns:
            place = next((index for index, each in enumerate(parent.expressions) if each is child), len(columns))
            if place < len(columns):
                found[int(match.group(1))] = (tables[0].name.lower(), columns[place], "insert")
    return tuple(found)


@lru_cache(maxsize=1024)
def sought(text: str, table: str) -> tuple[tuple[str, ...], ...] | None:
    """Keys by which a SELECT asks whether a row of the table is there, lower case; None where it asks anything else.

    `WHERE room = ? AND day = ?` gives `(("room", "day"),)`, `WHERE name = ? OR email = ?` gives `(("name",), ("email",))`. A literal
    (`status = 'open'`), a range and a second table are something else: several rows with that key may be meant.
    """
    from sqlglot import exp

    tree = _parsed(_numbered(text)[0])
    where = tree.args.get("where") if isinstance(tree, exp.Select) else None
    names = {each.name.lower() for each in tree.find_all(exp.Table)} if isinstance(tree, exp.Select) else set()
    if where is None or names != {table.lower()} or tree is None or tree.find(exp.AggFunc) is not None:
        return None
    asked = where.this.unnest()
    joined = exp.Or if isinstance(asked, exp.Or) else exp.And
    columns: list[str] = []
    for each in asked.flatten() if isinstance(asked, joined) else [asked]:
        one = each.unnest()
        value = one.expression.unnest() if isinstance(one, exp.EQ) else None
        while isinstance(value, exp.Cast):
            value = value.this
        if not isinstance(one, exp.EQ) or not isinstance(one.this, exp.Column) or not isinstance(value, exp.Placeholder | exp.Parameter):
            return None
        columns.append(one.this.name.lower())
    unique = tuple(dict.fromkeys(columns))
    return tuple((each,) for each in unique) if joined is exp.Or else (unique,)


def page_size(text: str) -> int | str | None:
    """Which bound value says how many rows a statement gives at most (its index), or the number where it is written out; None where nothing does."""
    found = _PAGE.search(_numbered(text)[0])
    if found is None:
        return None
    marked = found.group("mark") or found.group("first")
    return int(marked) if marked is not None else found.group("number")


_PAGE = re.compile(
    r"\b(?:LIMIT|TOP|FETCH\s+(?:FIRST|NEXT))\s+(?:CAST\s*)?\(?\s*(?:(?::_mark\d+|\d+)\s*,\s*:_mark(?P<mark>\d+)|:_mark(?P<first>\d+)|(?P<number>-?\d+))", re.IGNORECASE
)
_TOKEN = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\?\d*|%[sbt]|%\(\w+\)[sbt]|\$\d+|(?<![:\w]):[A-Za-z_]\w*|[^'\"?%:$\-/]+|.", re.DOTALL
)
_SERVED = re.compile(r"::|\bILIKE\b|\bRETURNING\b|\bFOR (?:NO KEY )?(?:UPDATE|SHARE)\b|\bDISTINCT ON\b|->>|@>", re.IGNORECASE)


def _numbered(text: str) -> tuple[str, int]:
    """The statement with its placeholders numbered, since the parser does not keep their order; a name that comes again keeps its number."""
    named: dict[str, int] = {}
    count = 0
    parts: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match.group(0)
        if token[0] not in "?%$:" or (len(token) == 1 and token != "?"):
            parts.append(token)
            continue
        if token[1:].isdigit():
            number = min(max(int(token[1:]) - 1, 0), _MOST_MARKS)
        elif token.startswith((":", "%(")):
            number = named.setdefault(token, count)
        else:
            number = count
        count = max(count, number + 1)
        parts.append(f":_mark{number}")
    return "".join(parts), count
