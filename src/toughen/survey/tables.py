"""Owns the tables that the source declares: mapped classes, Table objects, migrations and DDL."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Column, Json, Table
from toughen.model.source import Location
from toughen.survey.ddl import ddl_tables
from toughen.survey.facts import dotted
from toughen.survey.models import bases, enum_values, shape
from toughen.survey.project import MISSING, Missing, Project, Symbol, keyword

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.survey.facts import Definition

_TYPES: Final = {
    "integer": "integer", "biginteger": "integer", "smallinteger": "integer", "int": "integer", "string": "string",
    "text": "string", "unicode": "string", "unicodetext": "string", "varchar": "string", "char": "string",
    "uuid": "string", "guid": "string", "float": "number", "numeric": "number", "decimal": "number", "real": "number",
    "double": "number", "boolean": "boolean", "bool": "boolean", "datetime": "datetime", "timestamp": "datetime",
    "date": "date", "time": "datetime", "largebinary": "blob", "blob": "blob", "binary": "blob", "json": "json",
    "jsonb": "json", "array": "json", "enum": "string", "pickletype": "blob", "emailtype": "string",
}  # fmt: skip
_ANNOTATED: Final = {"date-time": "datetime", "date": "date", "time": "datetime", "binary": "blob"}
_COLUMN_CALLS: Final = frozenset({"Column", "mapped_column"})
_MODEL_BASES: Final = frozenset(
    {"DeclarativeBase", "declarative_base", "Model", "SQLModel", "MappedAsDataclass", "Base"}
)


def tables(project: Project) -> tuple[Table, ...]:
    """Tables of mapped classes first, then Table objects, DDL and migrations, by name without repetition."""
    found: dict[str, Table] = {}
    for table in (*_mapped(project), *_objects(project), *ddl_tables(project), *_migrated(project)):
        key = table.name.lower()
        if key not in found or (found[key].model is None and table.model):
            found[key] = table
    return tuple(found.values())


@dataclass
class _Columns:
    columns: dict[str, Column] = field(default_factory=dict)
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    enums: dict[str, tuple[Json, ...]] = field(default_factory=dict)

    def table(self, name: str, model: str | None, location: Location) -> Table:
        columns = tuple(
            replace(
                each,
                unique=each.unique or (each.name,) in self.uniques,
                enum=each.enum or self.enums.get(each.name, ()),
            )
            for each in self.columns.values()
        )
        singles = [(each.name,) for each in columns if each.unique]
        return Table(name, columns, tuple(sorted({*self.uniques, *singles})), model, location)


# -- mapped classes ------------------------------------------------------------------------------------------


def _mapped(project: Project) -> Iterator[Table]:
    for file, facts in project.facts.items():
        for definition in facts.definitions:
            if definition.kind == "class" and definition.bases:
                symbol = Symbol(file, definition.name)
                table = _class_table(project, symbol, definition)
                if table is not None:
                    yield table


def _class_table(project: Project, symbol: Symbol, definition: Definition) -> Table | None:
    above = list(bases(project, symbol))
    names = {each.rpartition(".")[2] for each in above if isinstance(each, str)}
    roots = {each.name.rpartition(".")[2] for each in above if isinstance(each, Symbol)}
    sqlmodel = "SQLModel" in names
    if not names & _MODEL_BASES and not _declared_base(project, above) and not roots & {"Base"}:
        return None
    if sqlmodel and "table=True" not in definition.bases:
        return None
    node = project.klass(symbol)
    if node is None:
        return None
    table_name = _table_name(project, symbol, node)
    read = _Columns()
    for each in reversed(above):
        inner = project.klass(each) if isinstance(each, Symbol) else None
        if isinstance(each, Symbol) and inner is not None and _table_name(project, each, inner) is None:
            _class_columns(project, each, inner, read, sqlmodel=sqlmodel)
    _class_columns(project, symbol, node, read, sqlmodel=sqlmodel)
    if table_name is None:
        if sqlmodel:
            table_name = definition.name.rpartition(".")[2].lower()
        elif read.columns and any(each.primary_key for each in read.columns.values()) and _names_itself(names, node):
            table_name = _snake(definition.name.rpartition(".")[2])
    if table_name is None or not read.columns:
        return None
    return read.table(
        table_name, definition.name.rpartition(".")[2], Location(symbol.file, definition.line, definition.name)
    )


def _declared_base(project: Project, above: list[Symbol | str]) -> bool:
    """Whether a base is `Base = declarative_base()`, or `db.Model` of the project's own object."""
    for each in above:
        if isinstance(each, Symbol):
            value = project.value(each)
            if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in {
                "declarative_base",
                "automap_base",
            }:
                return True
            if each.name.endswith(".Model"):
                return True
    return False


def _names_itself(names: set[str], node: ast.ClassDef) -> bool:
    """Flask-SQLAlchemy and its kin name a table after its class; an abstract class has none."""
    del names
    return not any(isinstance(each, ast.Assign) and dotted(each.targets[0]) == "__abstract__" for each in node.body)


def _table_name(project: Project, symbol: Symbol, node: ast.ClassDef) -> str | None:
    for each in node.body:
        match each:
            case ast.Assign(targets=[ast.Name(id="__tablename__")], value=value):
                return project.text(value, symbol.file)
            case ast.AnnAssign(target=ast.Name(id="__tablename__"), value=ast.expr() as value):
                return project.text(value, symbol.file)
            case ast.Assign(targets=[ast.Name(id="__table__")], value=ast.Call(args=[first, *_])):
                return project.text(first, symbol.file)
    return None


def _snake(name: str) -> str:
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower().lstrip("_")


def _class_columns(project: Project, symbol: Symbol, node: ast.ClassDef, read: _Columns, *, sqlmodel: bool) -> None:
    for each in node.body:
        match each:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                call = _column_call(value)
                if name == "__table_args__":
                    _constraints(project, symbol.file, value, read)
                elif call is not None:
                    column = _column(project, symbol.file, name, call, None)
                    read.columns[name] = column
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=value):
                column_or_none = _annotated(project, symbol.file, name, annotation, value, sqlmodel=sqlmodel)
                if column_or_none is not None:
                    read.columns[name] = column_or_none


def _column_call(value: ast.expr) -> ast.Call | None:
    if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] in _COLUMN_CALLS:
        return value
    if isinstance(value, ast.Call) and dotted(value.func).rpartition(".")[2] == "deferred" and value.args:
        return _column_call(value.args[0])
    return None


def _annotated(
    project: Project, file: str, name: str, annotation: ast.expr, value: ast.expr | None, *, sqlmodel: bool
) -> Column | None:
    """`id: Mapped[int] = mapped_column(...)` and SQLModel's `id: int | None = Field(...)`."""
    call = value if isinstance(value, ast.Call) else None
    called = dotted(call.func).rpartition(".")[2] if call else ""
    if called in {"relationship", "Relationship", "association_proxy", "column_property", "synonym"}:
        return None
    mapped = isinstance(annotation, ast.Subscript) and dotted(annotation.value).rpartition(".")[2] == "Mapped"
    if isinstance(annotation, ast.Subscript) and mapped:
        inner: ast.expr = annotation.slice
    elif sqlmodel or called in _COLUMN_CALLS:
        inner = annotation
    else:
        return None
    kind = shape(project, file, inner)
    if (kind.model is not None and not kind.enum) or kind.type == "none" or name.startswith("__"):
        return None
    if kind.type == "array" and not sqlmodel and call is None:
        return None
    told = _ANNOTATED.get(kind.format or "", "json" if kind.type in {"object", "array"} else kind.type)
    column = Column(name, told, nullable=kind.optional, enum=_names(project, file, inner) or kind.enum)
    if sqlmodel and called not in _COLUMN_CALLS:
        return _sqlmodel(project, file, column, call, value)
    if call is None:
        return column
    return _column(project, file, name, call, column)


def _names(project: Project, file: str, node: ast.expr) -> tuple[Json, ...]:
    """SQLAlchemy stores the names of an Enum's members."""
    found = project.resolve(file, dotted(node)) if dotted(node) else ""
    return _members(project, found) if isinstance(found, Symbol) else ()


def _members(project: Project, symbol: Symbol) -> tuple[Json, ...]:
    node = project.klass(symbol)
    if node is None or not enum_values(project, symbol):
        return ()
    return tuple(
        each.targets[0].id
        for each in node.body
        if isinstance(each, ast.Assign)
        and isinstance(each.targets[0], ast.Name)
        and not each.targets[0].id.startswith("_")
    )


def _sqlmodel(project: Project, file: str, column: Column, call: ast.Call | None, value: ast.expr | None) -> Column:
    def flag(name: str) -> bool:
        given = keyword(call, name) if call else None
        return isinstance(given, ast.Constant) and given.value is True

    if call is not None and (inner := keyword(call, "sa_column")) is not None and isinstance(inner, ast.Call):
        return _column(project, file, column.name, inner, column)
    given = (call.args[0] if call.args else keyword(call, "default", "default_factory")) if call else value
    reference = project.text(keyword(call, "foreign_key") if call else None, file)
    length = project.fold(keyword(call, "max_length") if call else None, file)
    key = flag("primary_key")
    supplied = given is not None and not (isinstance(given, ast.Constant) and given.value in {None, Ellipsis})
    return replace(
        column,
        primary_key=key,
        nullable=column.nullable and not key,
        unique=flag("unique"),
        references=_target(reference),
        max_length=length if isinstance(length, int) else None,
        has_default=supplied or (key and column.type == "integer" and reference is None),
    )


def _target(reference: str | None) -> tuple[str, str] | None:
    if not reference or "." not in reference:
        return None
    table, _, column = reference.rpartition(".")
    return table.rpartition(".")[2], column


def _column(project: Project, file: str, name: str, call: ast.Call, known: Column | None) -> Column:
    """One `Column(...)` or `mapped_column(...)`."""
    arguments = list(call.args)
    if arguments and (named := project.text(arguments[0], file)) is not None:
        name = named
        arguments = arguments[1:]
    told: tuple[str, int | None, tuple[Json, ...]] | None = None
    references: tuple[str, str] | None = None
    identity = False
    for each in [*arguments, *([typed] if (typed := keyword(call, "type_")) is not None else [])]:
        last = dotted(each.func if isinstance(each, ast.Call) else each).rpartition(".")[2]
        if last in {"ForeignKey", "ForeignKeyConstraint"} and isinstance(each, ast.Call):
            references = _foreign(project, file, each)
        elif last in {"Identity", "Sequence"}:
            identity = True
        elif told is None and last not in {"CheckConstraint", "Computed"}:
            told = _column_type(project, file, each)

    def flag(word: str) -> bool | None:
        given = keyword(call, word)
        return given.value if isinstance(given, ast.Constant) and isinstance(given.value, bool) else None

    key = flag("primary_key") is True
    nullable = flag("nullable")
    base = known or Column(name)
    kind = told[0] if told else base.type
    if told is None and references is not None and kind == "any":
        kind = "integer"
    supplied = any(
        each.arg in {"default", "server_default", "default_factory", "insert_default"} for each in call.keywords
    )
    return replace(
        base,
        name=name,
        type=kind,
        nullable=nullable if nullable is not None else (base.nullable and not key),
        primary_key=key,
        unique=flag("unique") is True,
        references=references,
        enum=(told[2] if told else ()) or base.enum,
        max_length=told[1] if told else None,
        has_default=supplied or identity or (key and kind == "integer" and references is None),
    )


def _foreign(project: Project, file: str, call: ast.Call) -> tuple[str, str] | None:
    first = call.args[0] if call.args else keyword(call, "column")
    text = project.text(first, file)
    if text is not None:
        return _target(text)
    owner, _, column = dotted(first).rpartition(".")
    found = project.resolve(file, owner) if owner else ""
    if isinstance(found, Symbol) and (node := project.klass(found)) is not None:
        table = _table_name(project, found, node) or _snake(found.name.rpartition(".")[2])
        return table, column
    return None


def _column_type(project: Project, file: str, node: ast.expr) -> tuple[str, int | None, tuple[Json, ...]] | None:
    call = node if isinstance(node, ast.Call) else None
    name = dotted(call.func if call else node)
    last = name.rpartition(".")[2]
    kind = _TYPES.get(last.lower())
    if kind is None:
        return ("any", None, ()) if last else None
    length: int | None = None
    enum: tuple[Json, ...] = ()
    if call is not None:
        if last.lower() == "enum":
            enum = _enum(project, file, call)
        else:
            folded = project.fold(call.args[0] if call.args else keyword(call, "length"), file)
            length = folded if isinstance(folded, int) and kind == "string" else None
    return kind, length, enum


def _enum(project: Project, file: str, call: ast.Call) -> tuple[Json, ...]:
    if call.args and (name := dotted(call.args[0])):
        found = project.resolve(file, name)
        if isinstance(found, Symbol):
            stored_by_value = keyword(call, "values_callable") is not None
            names = enum_values(project, found) if stored_by_value else _members(project, found)
            if names:
                return names
    values = [project.fold(each.value if isinstance(each, ast.Starred) else each, file) for each in call.args]
    flat: list[Json] = []
    for each in values:
        if isinstance(each, list):
            flat += each
        elif not isinstance(each, Missing):
            flat.append(each)
    return tuple(flat)


def _constraints(project: Project, file: str, value: ast.expr, read: _Columns) -> None:
    for node in ast.walk(value):
        if not isinstance(node, ast.Call):
            continue
        last = dotted(node.func).rpartition(".")[2]
        texts = [text for each in node.args if (text := project.text(each, file)) is not None]
        if last == "UniqueConstraint":
            read.uniques.append(tuple(texts))
        elif last == "Index" and project.fold(keyword(node, "unique"), file) is True:
            read.uniques.append(tuple(texts[1:]))
        elif last == "CheckConstraint" and texts:
            read.enums.update(_checked(texts[0]))


def _checked(text: str) -> dict[str, tuple[Json, ...]]:
    """`role IN ('a', 'b')`."""
    found = re.match(r"\s*\(?\s*[\"`]?(\w+)[\"`]?\s+in\s*\(([^()]*)\)", text, re.IGNORECASE)
    return {found[1]: tuple(re.findall(r"'([^']*)'", found[2]))} if found else {}


# -- Table objects and migrations ----------------------------------------------------------------------------


def _objects(project: Project) -> Iterator[Table]:
    for file, seen in project.sightings("table"):
        for statement in project.statements(file, seen.line, seen.end):
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "Table":
                    yield from _from_call(project, file, node)


def _migrated(project: Project) -> Iterator[Table]:
    for file, seen in project.sightings("migration"):
        for statement in project.statements(file, seen.line, seen.end):
            for node in ast.walk(statement):
                if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "create_table":
                    yield from _from_call(project, file, node)


def _from_call(project: Project, file: str, call: ast.Call) -> Iterator[Table]:
    name = project.text(call.args[0], file) if call.args else None
    read = _Columns()
    for each in call.args[1:]:
        if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] == "Column" and each.args:
            column = _column(project, file, project.text(each.args[0], file) or "", each, None)
            read.columns[column.name] = column
        else:
            _constraints(project, file, each, read)
            if isinstance(each, ast.Call) and dotted(each.func).rpartition(".")[2] == "PrimaryKeyConstraint":
                for key in each.args:
                    named = project.text(key, file)
                    if named in read.columns:
                        read.columns[named] = replace(read.columns[named], primary_key=True, nullable=False)
    if name and read.columns:
        yield read.table(name, None, Location(file, call.lineno))


__all__ = ["MISSING", "tables"]
