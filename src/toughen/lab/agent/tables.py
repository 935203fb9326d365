"""Owns the tables of SQLAlchemy: found by the garbage collector, so that no name of the project need be known."""

from __future__ import annotations

import gc
import sys
from typing import Any

from .functions import class_file, spot
from .recorder import plain

_TYPES: tuple[tuple[str, str], ...] = (
    ("Boolean", "boolean"),
    ("Enum", "string"),
    ("DateTime", "datetime"),
    ("Date", "date"),
    ("Integer", "integer"),
    ("Numeric", "number"),
    ("Float", "number"),
    ("LargeBinary", "blob"),
    ("JSON", "json"),
    ("ARRAY", "json"),
    ("Uuid", "string"),
    ("String", "string"),
)


def objects(module: str, name: str) -> list[Any]:
    """All live instances of a class of a loaded module."""
    kind = getattr(sys.modules.get(module), name, None)
    if not isinstance(kind, type):
        return []
    # Frozen objects are hidden from gc.get_objects().
    gc.unfreeze()
    # type(), not isinstance(): proxies answer __class__ by running code of the prototype.
    return [each for each in gc.get_objects() if issubclass(type(each), kind)]


def tables() -> list[dict[str, Any]]:
    """TABLEs of every MetaData, with the classes that map them."""
    found: dict[str, dict[str, Any]] = {}
    classes = _classes()
    for metadata in metadatas():
        for table in list(metadata.tables.values()):
            told = _table(table, classes.get(table))
            known = found.get(told["name"])
            if known is None or (known["model"] is None and told["model"] is not None):
                found[told["name"]] = told
    return list(found.values())


def metadatas() -> list[Any]:
    """Every MetaData of the prototype; those in which SQLAlchemy keeps the catalogues of servers are left out."""
    foreign: set[int] = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("sqlalchemy."):
            foreign.update(id(value) for value in list(vars(module).values()))
    return [each for each in objects("sqlalchemy.sql.schema", "MetaData") if each.tables and id(each) not in foreign]


def _classes() -> dict[Any, type]:
    found: dict[Any, type] = {}
    for mapper in objects("sqlalchemy.orm.mapper", "Mapper"):
        try:
            if mapper.inherits is None or mapper.local_table is not mapper.inherits.local_table:
                found[mapper.local_table] = mapper.class_
        except Exception:
            continue
    return found


def _table(table: Any, model: type | None) -> dict[str, Any]:
    uniques = _uniques(table)
    where = spot(model) if model is not None else None
    return {
        "name": str(table.name),
        "model": model.__name__ if model is not None else None,
        "file": where[0] if where else (class_file(model) if model is not None else None),
        "line": where[1] if where else 0,
        "columns": [_column(column, uniques) for column in table.columns],
        "uniques": uniques,
    }


def _uniques(table: Any) -> list[list[str]]:
    found = []
    for constraint in table.constraints:
        if type(constraint).__name__ == "UniqueConstraint":
            found.append([str(column.name) for column in constraint.columns])
    found += [[str(column.name) for column in index.columns] for index in table.indexes if index.unique]
    return sorted(each for each in found if each)


def _column(column: Any, uniques: list[list[str]]) -> dict[str, Any]:
    kind = column.type
    depth = 0
    while hasattr(kind, "impl") and type(kind).__module__.split(".")[0] != "sqlalchemy" and depth < 5:
        kind, depth = getattr(kind, "impl_instance", None) or kind.impl, depth + 1
    key = bool(column.primary_key)
    generated = key and type_of(kind) == "integer" and not column.foreign_keys
    length = getattr(kind, "length", None)
    return {
        "name": str(column.name),
        "type": type_of(kind),
        "nullable": bool(column.nullable),
        "primary_key": key,
        "unique": bool(column.unique) or [str(column.name)] in uniques,
        "references": _references(column),
        "enum": [plain(each) for each in getattr(kind, "enums", None) or ()],
        "max_length": length if isinstance(length, int) else None,
        "has_default": column.default is not None or column.server_default is not None or generated,
    }


def type_of(kind: Any) -> str:
    """JSON-like name of a column type."""
    names = {base.__name__ for base in (kind if isinstance(kind, type) else type(kind)).__mro__}
    return next((told for name, told in _TYPES if name in names), "any")


def _references(column: Any) -> list[str] | None:
    for key in column.foreign_keys:
        try:
            table, _, name = str(key.target_fullname).rpartition(".")
        except Exception:
            continue
        return [table.rpartition(".")[2], name]
    return None
