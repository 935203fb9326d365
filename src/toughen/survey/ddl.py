"""Owns tables that SQL declares: CREATE TABLE and CREATE UNIQUE INDEX in source strings and .sql files."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Column, Json, Table
from toughen.model.source import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp

    from toughen.survey.project import Project

_CREATE: Final = re.compile(r"create\s+(?:temp(?:orary)?\s+)?table|create\s+unique\s+index", re.IGNORECASE)
_LARGEST: Final = 200_000
_KINDS: Final = (
    ("int", "integer"), ("serial", "integer"), ("bool", "boolean"), ("char", "string"), ("text", "string"),
    ("clob", "string"), ("uuid", "string"), ("real", "number"), ("floa", "number"), ("doub", "number"),
    ("numeric", "number"), ("decimal", "number"), ("money", "number"), ("timestamp", "datetime"),
    ("datetime", "datetime"), ("date", "date"), ("time", "datetime"), ("blob", "blob"), ("bytea", "blob"),
    ("varbinary", "blob"), ("json", "json"), ("array", "json"), ("enum", "string"),
)  # fmt: skip


def ddl_tables(project: Project) -> Iterator[Table]:
    """Every table that DDL creates, with the unique indexes that follow."""
    found: dict[str, Table] = {}
    uniques: list[tuple[str, tuple[str, ...]]] = []
    for text, where in _texts(project):
        for statement in parse(text):
            _take(statement, where, found, uniques)
    for name, columns in uniques:
        table = found.get(name.lower())
        if table is None or columns in table.uniques:
            continue
        changed = tuple(replace(each, unique=each.unique or columns == (each.name,)) for each in table.columns)
        found[name.lower()] = replace(table, columns=changed, uniques=(*table.uniques, columns))
    yield from found.values()


def _texts(project: Project) -> Iterator[tuple[str, Location]]:
    for file, seen in project.sightings("ddl"):
        yield seen.text, Location(file, seen.line, project.scope(file, seen.line) or None)
    for file, text in project.sources.extras.items():
        if file.lower().endswith(".sql") and _CREATE.search(text):
            yield text[:_LARGEST], Location(file, 0)


def parse(text: str) -> list[exp.Expression]:
    """The CREATE statements of a script, each parsed alone so that one which we cannot read hides no other."""
    import sqlglot
    from sqlglot import exp

    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    found: list[exp.Expression] = []
    for part in _statements(text):
        if not _CREATE.search(part):
            continue
        for dialect in _dialects(part):
            try:
                parsed = sqlglot.parse_one(part, dialect=dialect)
            except (sqlglot.errors.SqlglotError, RecursionError, ValueError):
                continue
            if isinstance(parsed, exp.Create):
                found.append(parsed)
                break
    return found


def _dialects(text: str) -> tuple[str, ...]:
    lowered = text.lower()
    if "auto_increment" in lowered or "`" in text or "engine=" in lowered:
        return ("mysql", "sqlite", "postgres")
    if re.search(r"\b(?:big)?serial\b|timestamptz|jsonb|::|generated\s+(?:always|by default)", lowered):
        return ("postgres", "sqlite", "mysql")
    return ("sqlite", "postgres", "mysql")


def _statements(text: str) -> Iterator[str]:
    """Split at semicolons outside quotes and comments."""
    text = re.sub(r"--[^\n]*", "", text)
    part: list[str] = []
    quote = ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == ";":
            yield "".join(part)
            part = []
            continue
        part.append(char)
    yield "".join(part)


def _take(
    statement: exp.Expression, where: Location, found: dict[str, Table], uniques: list[tuple[str, tuple[str, ...]]]
) -> None:
    from sqlglot import exp

    if not isinstance(statement, exp.Create):
        return
    if statement.kind == "INDEX" and statement.args.get("unique"):
        index = statement.this
        table = index.args.get("table") if isinstance(index, exp.Index) else None
        if table is not None:
            names = tuple(each.name for each in index.find_all(exp.Column))
            uniques.append((table.name, names))
    elif statement.kind == "TABLE" and isinstance(statement.this, exp.Schema):
        table = read_table(statement.this, where)
        if table.columns and re.fullmatch(r"\w+", table.name):
            found.setdefault(table.name.lower(), table)


def read_table(schema: exp.Schema, where: Location) -> Table:
    """One CREATE TABLE."""
    from sqlglot import exp

    columns: dict[str, Column] = {}
    uniques: list[tuple[str, ...]] = []
    keys: set[str] = set()
    for part in schema.expressions:
        if isinstance(part, exp.ColumnDef):
            column = _column(part)
            columns[column.name] = column
            continue
        inner = part.expressions if isinstance(part, exp.Constraint) else [part]
        for each in inner:
            names = tuple(one.name for one in each.find_all(exp.Identifier))
            match each:
                case exp.PrimaryKey():
                    keys.update(names)
                case exp.UniqueColumnConstraint():
                    uniques.append(names)
                case exp.ForeignKey():
                    _foreign(each, columns)
                case exp.CheckColumnConstraint() | exp.Check():
                    _checks(each, columns)
    for name in keys & columns.keys():
        single = len(keys) == 1 and columns[name].type == "integer"
        columns[name] = replace(
            columns[name], primary_key=True, nullable=False, has_default=columns[name].has_default or single
        )
    uniques += [(each.name,) for each in columns.values() if each.unique]
    listed = tuple(replace(each, unique=each.unique or (each.name,) in uniques) for each in columns.values())
    return Table(schema.this.name, listed, tuple(sorted(set(uniques))), None, where)


def _column(node: exp.ColumnDef) -> Column:
    from sqlglot import exp

    declared = node.args.get("kind")
    text = declared.sql(dialect="sqlite").lower() if declared is not None else ""
    raw = declared.sql().lower() if declared is not None else ""
    kind = next((told for word, told in _KINDS if word in raw or word in text), "any")
    if "timestamp" in raw or "datetime" in raw:
        kind = "datetime"
    length = None
    if declared is not None and kind == "string":
        size = next((each.this for each in declared.find_all(exp.DataTypeParam)), None)
        length = int(size.name) if size is not None and size.name.isdigit() else None
    enum: tuple[Json, ...] = ()
    if declared is not None and "enum" in raw:
        enum = tuple(each.name for each in declared.find_all(exp.Literal))
    column = Column(node.name, kind, max_length=length, enum=enum)
    for constraint in node.constraints:
        column = _constrained(column, constraint.kind, raw)
    if "serial" in raw:
        column = replace(column, has_default=True)
    return column


def _constrained(column: Column, kind: object, raw: str) -> Column:
    from sqlglot import exp

    match kind:
        case exp.NotNullColumnConstraint():
            return replace(column, nullable=bool(kind.args.get("allow_null")))
        case exp.PrimaryKeyColumnConstraint():
            generated = column.type == "integer" or "serial" in raw
            return replace(column, primary_key=True, nullable=False, has_default=column.has_default or generated)
        case exp.UniqueColumnConstraint():
            return replace(column, unique=True)
        case (
            exp.AutoIncrementColumnConstraint()
            | exp.DefaultColumnConstraint()
            | exp.GeneratedAsIdentityColumnConstraint()
        ):
            return replace(column, has_default=True)
        case exp.Reference():
            table = kind.find(exp.Table)
            names = [each.name for each in kind.this.expressions] if isinstance(kind.this, exp.Schema) else []
            if table is not None:
                return replace(column, references=(table.name, names[0] if names else "id"))
        case exp.CheckColumnConstraint():
            values = _values(kind)
            if column.name in values:
                return replace(column, enum=values[column.name])
    return column


def _foreign(node: exp.Expression, columns: dict[str, Column]) -> None:
    from sqlglot import exp

    reference = node.args.get("reference")
    table = reference.find(exp.Table) if reference is not None else None
    if reference is None or table is None:
        return
    target = reference.this
    targets = [each.name for each in target.expressions] if isinstance(target, exp.Schema) else []
    for index, each in enumerate(node.expressions):
        if each.name in columns:
            column = targets[index] if index < len(targets) else "id"
            columns[each.name] = replace(columns[each.name], references=(table.name, column))


def _checks(node: exp.Expression, columns: dict[str, Column]) -> None:
    for name, values in _values(node).items():
        if name in columns:
            columns[name] = replace(columns[name], enum=values)


def _values(node: exp.Expression) -> dict[str, tuple[Json, ...]]:
    """`CHECK (role IN ('a', 'b'))`."""
    from sqlglot import exp

    found: dict[str, tuple[Json, ...]] = {}
    for each in node.find_all(exp.In):
        if isinstance(each.this, exp.Column):
            found[each.this.name] = tuple(
                one.name if one.is_string else int(one.name) if one.name.isdigit() else one.name
                for one in each.expressions
                if isinstance(one, exp.Literal)
            )
    return found
