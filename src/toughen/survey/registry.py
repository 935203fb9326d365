"""Owns the tables of the models that a Django project's source declares."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from toughen.model.blueprint import Column, Json, Table
from toughen.model.source import Location
from toughen.survey import django
from toughen.survey.facts import dotted
from toughen.survey.models import bases
from toughen.survey.project import Project, Symbol, argument, keyword

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: Final = (
    ("Boolean", "boolean"), ("DateTime", "datetime"), ("Date", "date"), ("Time", "datetime"), ("Integer", "integer"), ("Auto", "integer"), ("Decimal", "number"), ("Float", "number"),
    ("Binary", "blob"), ("JSON", "json"), ("Array", "json"),
)  # fmt: skip
_LINKS: Final = frozenset({"ForeignKey", "OneToOneField"})
_KEY: Final = Column("id", "integer", nullable=False, primary_key=True, has_default=True)
_BASE: Final = (Column("password", "string", nullable=False, max_length=128), Column("last_login", "datetime"))
_PERMISSIONS: Final = (Column("is_superuser", "boolean", nullable=False, has_default=True),)
_PERSON: Final = (
    *_PERMISSIONS,
    Column("username", "string", nullable=False, unique=True, max_length=150),
    Column("first_name", "string", nullable=False, max_length=150),
    Column("last_name", "string", nullable=False, max_length=150),
    Column("email", "string", nullable=False, max_length=254),
    Column("is_staff", "boolean", nullable=False, has_default=True),
    Column("is_active", "boolean", nullable=False, has_default=True),
    Column("date_joined", "datetime", nullable=False, has_default=True),
)
"""Columns of Django's own user (AbstractUser)."""
_INHERITED: Final = {"AbstractUser": (*_BASE, *_PERSON), "AbstractBaseUser": _BASE, "PermissionsMixin": _PERMISSIONS}


def models(project: Project) -> tuple[Table, ...]:
    """Tables of the project's models, and that of Django's users where the project has no users of its own."""
    found = [table for file, facts in project.facts.items() for each in facts.definitions if each.kind == "class" and each.bases if (table := _table(project, Symbol(file, each.name)))]
    own = django.text_setting(project, "AUTH_USER_MODEL")
    if own is None and any("django.contrib.auth" in text for text in project.sources.texts.values()):
        found.append(Table("auth_user", (_KEY, *_BASE, *_PERSON), (("username",),), "User"))
    return tuple({each.name: each for each in found}.values())


def is_model(project: Project, symbol: Symbol) -> bool:
    """Whether a class is one of Django's models."""
    return any(isinstance(each, str) and (each == "django.db.models.Model" or each.rpartition(".")[2] in _INHERITED) for each in bases(project, symbol))


def table_of(project: Project, symbol: Symbol) -> str:
    """The name of a model's table: what its Meta says, else its app's and its own."""
    name = project.text(project.value(Symbol(symbol.file, f"{symbol.name}.Meta.db_table")), symbol.file)
    label = project.text(project.value(Symbol(symbol.file, f"{symbol.name}.Meta.app_label")), symbol.file)
    folders = symbol.file.split("/")[:-1]
    while folders and folders[-1] == "models":
        folders.pop()
    return name or f"{label or (folders[-1] if folders else '')}_{symbol.name.rpartition('.')[2]}".lower()


def _table(project: Project, symbol: Symbol) -> Table | None:
    if not is_model(project, symbol) or _meta(project, symbol, "abstract") or _meta(project, symbol, "proxy"):
        return None
    columns: dict[str, Column] = {}
    uniques: list[tuple[str, ...]] = []
    above = list(bases(project, symbol))
    for each in reversed(above):
        if isinstance(each, str):
            columns.update({column.name: column for column in _INHERITED.get(each.rpartition(".")[2], ())})
        elif is_model(project, each) and _meta(project, each, "abstract"):
            _take(columns, _fields(project, each))
    _take(columns, _fields(project, symbol))
    if not any(each.primary_key for each in columns.values()):
        columns = {"id": _KEY, **columns}
    uniques += [tuple(f"{name}_id" if f"{name}_id" in columns else name for name in names) for names in _together(project, symbol)]
    uniques += [(each.name,) for each in columns.values() if each.unique]
    definition = project.definition(symbol)
    line = definition.line if definition else 0
    return Table(table_of(project, symbol), tuple(columns.values()), tuple(sorted(set(uniques))), symbol.name.rpartition(".")[2], Location(symbol.file, line, symbol.name))


def _take(columns: dict[str, Column], fields: dict[str, Column | None]) -> None:
    """Add what a class declares; `username = None` takes away what the class above has."""
    for name, column in fields.items():
        if column is None:
            columns.pop(name, None)
        else:
            columns[column.name] = column


def _meta(project: Project, symbol: Symbol, name: str) -> bool:
    value = project.value(Symbol(symbol.file, f"{symbol.name}.Meta.{name}"))
    return isinstance(value, ast.Constant) and value.value is True


def _together(project: Project, symbol: Symbol) -> Iterator[tuple[str, ...]]:
    """Unique constraints over several fields: `unique_together`, and `UniqueConstraint` without a condition."""
    value = project.fold(project.value(Symbol(symbol.file, f"{symbol.name}.Meta.unique_together")), symbol.file)
    if isinstance(value, list) and value:
        for each in value if isinstance(value[0], list) else [value]:
            yield tuple(str(name) for name in each) if isinstance(each, list) else ()
    constraints = project.value(Symbol(symbol.file, f"{symbol.name}.Meta.constraints"))
    for node in ast.walk(constraints) if constraints is not None else ():
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] == "UniqueConstraint" and keyword(node, "condition") is None:
            named = project.fold(keyword(node, "fields"), symbol.file)
            if isinstance(named, list):
                yield tuple(str(name) for name in named)


def _fields(project: Project, symbol: Symbol) -> dict[str, Column | None]:
    klass = project.klass(symbol)
    found: dict[str, Column | None] = {}
    for node in klass.body if klass is not None else []:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as call) | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call() as call):
                column = _column(project, symbol, name, call)
                if column is not None:
                    found[column.name] = column
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=None)):
                found[name] = None
    return found


def _column(project: Project, symbol: Symbol, name: str, call: ast.Call) -> Column | None:
    kind = dotted(call.func).rpartition(".")[2]
    if kind in {"ManyToManyField", "GenericRelation"} or not (kind.endswith("Field") or kind in _LINKS):
        return None

    def flag(word: str) -> bool:
        value = keyword(call, word)
        return isinstance(value, ast.Constant) and value.value is True

    given = {each.arg for each in call.keywords}
    length = project.fold(keyword(call, "max_length"), symbol.file)
    column = project.text(keyword(call, "db_column"), symbol.file) or name
    reference: tuple[str, str] | None = None
    told = next((told for part, told in _KINDS if part in kind), "string")
    if kind in _LINKS:
        column = column if column != name else f"{name}_id"
        reference, told = (_target(project, symbol, argument(call, 0, "to")), "id"), "integer"
    return Column(
        column, told, nullable=flag("null"), primary_key=flag("primary_key"), unique=flag("unique") or kind == "OneToOneField", references=reference,
        enum=_choices(project, symbol, keyword(call, "choices")), max_length=length if isinstance(length, int) else None,
        has_default=bool({"default", "auto_now", "auto_now_add"} & given) or "Auto" in kind,
    )  # fmt: skip


def _target(project: Project, symbol: Symbol, node: ast.expr | None) -> str:
    """The table that a foreign key points at."""
    text = project.text(node, symbol.file) if isinstance(node, ast.Constant) else None
    if text is None and (isinstance(node, ast.Attribute | ast.Name | ast.Call)) and "USER" in ast.unparse(node).upper():
        text = django.text_setting(project, "AUTH_USER_MODEL") or "auth.User"
    if text == "self":
        return table_of(project, symbol)
    if text is not None:
        label, _, name = text.rpartition(".")
        near = next((Symbol(file, name) for file, facts in project.facts.items() if facts.definition(name) and is_model(project, Symbol(file, name)) and (not label or f"/{file}".rpartition("/")[0].endswith(label) or f"/{label}/" in f"/{file}")), None)
        return table_of(project, near) if near is not None else f"{label}_{name}".lower().lstrip("_")
    found = project.resolve(symbol.file, dotted(node)) if node is not None and dotted(node) else ""
    if isinstance(found, Symbol) and is_model(project, found):
        return table_of(project, found)
    return "auth_user" if str(found).rpartition(".")[2] == "User" else ""


def _choices(project: Project, symbol: Symbol, node: ast.expr | None) -> tuple[Json, ...]:
    """What a field may hold: pairs of a value and its label, or a class of choices."""
    if node is None:
        return ()
    name = dotted(node).removesuffix(".choices")
    target = project.resolve(symbol.file, name, symbol.name) if name else ""
    if isinstance(target, Symbol) and (klass := project.klass(target)) is not None:
        held = [each.value for each in klass.body if isinstance(each, ast.Assign)]
        values = [each.elts[0] if isinstance(each, ast.Tuple) and each.elts else each for each in held]
        return tuple(each.value for each in values if isinstance(each, ast.Constant) and isinstance(each.value, str | int))
    value = node
    if name:
        found = project.value(target) if isinstance(target, Symbol) else None
        found = found if found is not None else project.value(Symbol(symbol.file, f"{symbol.name}.{name}"))
        value = found if found is not None else node
    pairs = value.elts if isinstance(value, ast.List | ast.Tuple) else []
    firsts = [each.elts[0] for each in pairs if isinstance(each, ast.Tuple | ast.List) and each.elts]
    return tuple(each for node in firsts if isinstance(each := project.fold(node, symbol.file), str | int))
