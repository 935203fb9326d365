"""Owns the tables of Django's models, as its registry of apps knows them."""

from __future__ import annotations

import os
import sys
from typing import Any

from .functions import class_file, spot
from .recorder import RECORDER, plain

_TYPES = (
    ("Boolean", "boolean"), ("DateTime", "datetime"), ("Date", "date"), ("Time", "datetime"), ("Integer", "integer"), ("Auto", "integer"),
    ("Decimal", "number"), ("Float", "number"), ("Binary", "blob"), ("JSON", "json"), ("Array", "json"),
)  # fmt: skip
"""Parts of the names of kinds of fields, the most special first; all else is text."""


def tables() -> list[dict[str, Any]]:
    """TABLEs of all models, those that join two models and those of libraries too."""
    apps = getattr(sys.modules.get("django.apps"), "apps", None)
    if apps is None or not getattr(apps, "ready", False):
        return []
    found: dict[str, dict[str, Any]] = {}
    for model in apps.get_models(include_auto_created=True):
        meta = model._meta
        if not meta.proxy and not meta.swapped:
            found.setdefault(meta.db_table, _table(model))
    return list(found.values())


def _table(model: Any) -> dict[str, Any]:
    meta = model._meta
    where = spot(model)
    uniques = {tuple(_columns(meta, each)) for each in meta.unique_together}
    for constraint in meta.constraints:
        if type(constraint).__name__ == "UniqueConstraint" and getattr(constraint, "condition", None) is None and constraint.fields:
            uniques.add(tuple(_columns(meta, constraint.fields)))
    columns = [_column(field) for field in meta.local_concrete_fields]
    uniques |= {(each["name"],) for each in columns if each["unique"]}
    return {
        "name": str(meta.db_table),
        "model": model.__name__,
        "file": where[0] if where else class_file(model),
        "line": where[1] if where else 0,
        "columns": columns,
        "uniques": sorted(list(each) for each in uniques if each),
    }


def _columns(meta: Any, names: Any) -> list[str]:
    return [str(meta.get_field(name).column) for name in names]


def kind_of(field: Any) -> str:
    """JSON-like name of what a field holds; a foreign key holds what it points at."""
    for _ in range(5):
        target = getattr(field, "target_field", None) if getattr(field, "remote_field", None) is not None else None
        if target is None or target is field:
            break
        field = target
    names = [base.__name__ for base in type(field).__mro__]
    return next((kind for part, kind in _TYPES if any(part in name for name in names)), "string")


def _column(field: Any) -> dict[str, Any]:
    key, auto = bool(field.primary_key), "Auto" in type(field).__name__
    length = getattr(field, "max_length", None)
    reference = None
    if getattr(field, "remote_field", None) is not None:
        target = field.target_field
        reference = [str(target.model._meta.db_table), str(target.column)]
    return {
        "name": str(field.column),
        "type": kind_of(field),
        "nullable": bool(field.null),
        "primary_key": key,
        "unique": bool(field.unique) and not key,
        "references": reference,
        "enum": _choices(field),
        "max_length": length if isinstance(length, int) else None,
        "has_default": auto or bool(field.has_default()) or bool(getattr(field, "auto_now", False) or getattr(field, "auto_now_add", False)),
    }


def _choices(field: Any) -> list[Any]:
    try:
        return [plain(value) for value, _ in field.flatchoices][:40]
    except Exception:
        return []


def close() -> None:
    """Close what is open, which must not be shared by processes; Django keeps in-memory databases by itself."""
    connections = getattr(sys.modules.get("django.db"), "connections", None)
    if connections is None:
        return
    try:
        connections.close_all()
    except Exception:
        return


def databases() -> None:
    """Note the files of the databases that the settings name: Django opens them when the first request asks."""
    conf = sys.modules.get("django.conf")
    if conf is None or not conf.settings.configured:
        return
    for each in conf.settings.DATABASES.values():
        name = str(each.get("NAME") or "")
        if str(each.get("ENGINE") or "").endswith(("sqlite3", "spatialite")) and name and "memory" not in name:
            RECORDER.databases.setdefault(("sqlite", os.path.abspath(name)))
