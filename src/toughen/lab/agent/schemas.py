"""Owns what marshmallow schemas ask a request for: their fields, with kind and requirement."""

from __future__ import annotations

from typing import Any

from .asked import AskedDict, note
from .recorder import RECORDER

_KINDS = (
    ("Integer", "integer"),
    ("Number", "number"),
    ("Boolean", "boolean"),
    ("List", "array"),
    ("Nested", "object"),
    ("Mapping", "object"),
    ("String", "string"),
)
"""Classes of marshmallow's fields, the most special first, and the JSON type that each reads."""


def hook_marshmallow(module: Any) -> None:
    """Note the fields of a schema when it reads what came with a request."""
    original = module.Schema._do_load

    def _do_load(self: Any, data: Any, *args: Any, **keywords: Any) -> Any:
        if RECORDER.demand and type(data) is AskedDict:
            _ask(self, data, bool(keywords.get("partial") or self.partial))
        return original(self, data, *args, **keywords)

    module.Schema._do_load = _do_load


def _ask(schema: Any, data: AskedDict, partial: bool) -> None:
    fields = getattr(schema, "load_fields", None) or getattr(schema, "fields", {})
    for name, field in fields.items():
        key = getattr(field, "data_key", None) or name
        parents = {kind.__name__ for kind in type(field).__mro__}
        kind = next((json for parent, json in _KINDS if parent in parents), None)
        required = bool(getattr(field, "required", False)) and not partial
        note(data.place, (*data.path, key), "subscript" if required else "get", dict.__contains__(data, key), kind=kind)


def register(finder: Any) -> None:
    """Name the modules whose schemas record."""
    finder.when("marshmallow.schema", hook_marshmallow)
