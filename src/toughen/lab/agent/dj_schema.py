"""Owns what views of Django's take, as an OpenAPI document: fields of serializers and of forms."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import dj_urls
from .dj_guards import instance
from .functions import own_function
from .recorder import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FunctionType

Schema = dict[str, Any]

_KINDS: tuple[tuple[str, str, str | None], ...] = (
    ("ManyRelatedField", "array", None), ("PrimaryKeyRelatedField", "pk", None), ("ModelMultipleChoiceField", "array", None), ("MultipleChoiceField", "array", None),
    ("EmailField", "string", "email"), ("URLField", "string", "uri"), ("UUIDField", "string", "uuid"),
    ("FileField", "string", "binary"), ("DateTimeField", "string", "date-time"), ("SplitDateTimeField", "string", "date-time"),
    ("DateField", "string", "date"), ("TimeField", "string", "time"), ("DecimalField", "number", None), ("FloatField", "number", None),
    ("IntegerField", "integer", None), ("NullBooleanField", "boolean", None), ("BooleanField", "boolean", None), ("ListField", "array", None),
    ("DictField", "object", None), ("JSONField", "object", None),
)  # fmt: skip
"""Classes of fields of either library, the most special first: JSON type and format."""
_DEEP = 4
_WRITES = ("POST", "PUT", "PATCH")


def document() -> dict[str, Any] | None:
    """OpenAPI document of the routes whose serializers or forms can be told; None where there is no Django app."""
    paths: dict[str, Any] = {}
    for each in dj_urls.seen():
        for methods, function, names in dj_urls.targets(each.view):
            for method in methods or ["POST"]:
                if method not in _WRITES:
                    continue
                try:
                    body = _body(each.view, function, (method, names[1]))
                except Exception as error:
                    sys.stderr.write("toughen_agent: what " + each.path + " takes is not known: " + repr(error)[:300] + "\n")
                    continue
                if body is not None:
                    paths.setdefault(each.path, {})[method.lower()] = {"requestBody": body}
    return {"openapi": "3.1.0", "info": {"title": "", "version": ""}, "paths": paths, "components": {}} if paths else None


def _body(view: Any, function: Any, names: tuple[str, str]) -> dict[str, Any] | None:
    kind = dj_urls.view_class(view)
    made = instance(view, kind, *names) if kind is not None else None
    for find in (_serializer, _form):
        taken = find(kind, made, function)
        if taken is not None:
            fields, forms = taken
            partial = names[0] == "PATCH"
            schema = _object(fields, partial, 0)
            held = schema["properties"]
            files = any(inner.get("format") == "binary" for inner in held.values())
            media = "multipart/form-data" if files else "application/x-www-form-urlencoded" if forms else "application/json"
            return {"content": {media: {"schema": schema}}, "required": True} if held else None
    return None


def _serializer(kind: type | None, made: Any, function: Any) -> tuple[dict[str, Any], bool] | None:
    base = getattr(sys.modules.get("rest_framework.serializers"), "Serializer", None)
    if base is None or kind is None:
        return None
    found: Any = None
    if made is not None and hasattr(made, "get_serializer_class"):
        try:
            found = made.get_serializer_class()
        except Exception:
            found = getattr(kind, "serializer_class", None)
    own = _named(function, base)
    if own is not None:
        found = own
    if found is None:
        found = getattr(kind, "serializer_class", None)
    if not isinstance(found, type) or not issubclass(found, base):
        return None
    try:
        held = found(context={"request": getattr(made, "request", None), "view": made})
        return dict(held.fields), False
    except Exception:
        # Its `__init__` may want more than there is without a request.
        return dict(getattr(found, "_declared_fields", {})), False


def _form(kind: type | None, made: Any, function: Any) -> tuple[dict[str, Any], bool] | None:
    base = getattr(sys.modules.get("django.forms.forms"), "BaseForm", None)
    if base is None:
        return None
    found: Any = None
    if made is not None and hasattr(made, "get_form_class"):
        try:
            found = made.get_form_class()
        except Exception:
            found = getattr(kind, "form_class", None)
    if found is None:
        found = _named(function, base)
    if not isinstance(found, type) or not issubclass(found, base):
        return None
    return dict(getattr(found, "base_fields", {})), True


def _named(function: Any, base: type) -> Any:
    """The one class of its kind that the source of a function names; None where it names none, or several that take something."""
    own = own_function(function) if function is not None else None
    if own is None:
        return None
    found = [each for each in _globals(own) if isinstance(each, type) and issubclass(each, base) and each is not base]
    unique = list(dict.fromkeys(found))
    if len(unique) == 1:
        return unique[0]
    # A handler that answers with another serializer than it reads.
    reading = [each for each in unique if not _only_read(each)]
    return reading[0] if len(reading) == 1 else None


def _only_read(kind: Any) -> bool:
    try:
        return all(getattr(each, "read_only", False) for each in kind().fields.values())
    except Exception:
        return False


def _globals(function: FunctionType) -> Iterator[Any]:
    """What the global names of a function's source mean; `forms.SignUp` by its last part."""
    names = set(function.__code__.co_names)
    for name in function.__code__.co_names:
        value = function.__globals__.get(name)
        if value is None:
            continue
        yield value
        if type(value).__name__ == "module":
            for inner in names:
                held = vars(value).get(inner)
                if isinstance(held, type):
                    yield held


def _object(fields: dict[str, Any], partial: bool, depth: int) -> Schema:
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, field in fields.items():
        if getattr(field, "read_only", False) or getattr(field, "disabled", False) or type(field).__name__ == "HiddenField":
            continue
        properties[name] = _schema(field, partial, depth)
        if bool(getattr(field, "required", False)) and not partial:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _schema(field: Any, partial: bool, depth: int) -> Schema:
    inner = getattr(field, "child", None)
    nested: Any = getattr(field, "fields", None)
    if inner is not None and depth < _DEEP:
        return {"type": "array", "items": _schema(inner, partial, depth + 1)}
    if hasattr(nested, "items") and depth < _DEEP:
        return _object(dict(nested.items()), partial, depth + 1)
    names = [base.__name__ for base in type(field).__mro__]
    kind, form = next(((kind, form) for name, kind, form in _KINDS if name in names), ("string", None))
    told: Schema = {"type": kind}
    if kind == "pk":
        told["type"] = _key_type(field)
    elif kind == "array":
        related = getattr(field, "child_relation", None)
        told["items"] = {"type": _key_type(related) if related is not None else "string"}
    if form:
        told["format"] = form
    for ours, theirs in (("minLength", "min_length"), ("maxLength", "max_length"), ("minimum", "min_value"), ("maximum", "max_value")):
        value = getattr(field, theirs, None)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            told[ours] = value
    if type(field).__name__ == "DecimalField" and isinstance(getattr(field, "max_digits", None), int):
        whole = field.max_digits - (field.decimal_places or 0)
        told.setdefault("maximum", 10**whole - 1)
    choices = _choices(field)
    if choices:
        told["enum"] = choices
    if _secret(field):
        told["format"] = "password"
    if getattr(field, "allow_null", False):
        told["nullable"] = True
    return told


def _choices(field: Any) -> list[Any]:
    """The fixed choices of a field; those that are rows are not asked for."""
    if hasattr(field, "queryset") or getattr(field, "queryset", None) is not None:
        return []
    choices = getattr(field, "choices", None)
    if choices is None:
        return []
    found: list[Any] = []
    pairs = choices.items() if isinstance(choices, dict) else choices
    for value, label in pairs:
        if isinstance(label, (list, tuple)):
            found += [plain(one) for one, _ in label]
        else:
            found.append(plain(value))
    return [each for each in found if each != ""][:40]


def _secret(field: Any) -> bool:
    widget = type(getattr(field, "widget", None)).__name__
    style = getattr(field, "style", None)
    return widget == "PasswordInput" or (isinstance(style, dict) and style.get("input_type") == "password")


def _key_type(field: Any) -> str:
    try:
        return "integer" if "Auto" in type(field.queryset.model._meta.pk).__name__ else "string"
    except Exception:
        return "integer"
