"""Owns the routes of Flask apps: the rules of the URL map, as templates in braces."""

from __future__ import annotations

import re
from typing import Any

from .functions import own_function, spot

_PART = re.compile(r"<(?:([a-zA-Z_]\w*)(?:\((?:[^()]|\([^()]*\))*\))?:)?([a-zA-Z_]\w*)>")
_KINDS = {"int": "int", "float": "float", "path": "path", "uuid": "uuid"}
_SPEC = re.compile(r"(openapi|swagger|apispec)[^/<]*\.json$", re.IGNORECASE)
_HTTP = ("GET", "POST", "PUT", "PATCH", "DELETE")


def template(rule: str) -> tuple[str, dict[str, str]]:
    """Return `/notes/<int:id>` as `/notes/{id}` and its converters."""
    kinds = {name: _KINDS.get(kind, "string") for kind, name in _PART.findall(rule)}
    return _PART.sub(r"{\2}", rule), kinds


def gather(app: Any, prefix: str = "") -> list[dict[str, Any]]:
    """ROUTEs of a Flask app whose code lies in the project."""
    found: list[dict[str, Any]] = []
    for rule in app.url_map.iter_rules():
        if rule.endpoint == "static" or rule.endpoint.endswith(".static"):
            continue
        if getattr(rule, "websocket", False):
            continue
        view = app.view_functions.get(rule.endpoint)
        path, converters = template(prefix + rule.rule)
        methods = [name for name in sorted(rule.methods or ("GET",)) if name in _HTTP]
        common = {"path": path, "name": rule.endpoint, "in_schema": True, "converters": converters, "dependencies": []}
        kind = _view_class(view)
        for names, target in _targets(kind, methods) if kind is not None else [(methods, view)]:
            where = spot(target) if own_function(target) is not None else None
            if where is not None and names:
                found.append(dict(common, methods=names, file=where[0], line=where[1], function=where[2]))
    return found


def specs(app: Any) -> list[str]:
    """Paths at which a library serves the app's own OpenAPI document."""
    found = [str(rule.rule) for rule in app.url_map.iter_rules() if _SPEC.search(rule.rule) and not rule.arguments]
    return sorted(found, key=len)[:4]


def _view_class(view: Any) -> Any:
    """Class behind a view function (MethodView, Resource), through decorators."""
    for _ in range(20):
        kind = getattr(view, "view_class", None)
        if isinstance(kind, type):
            return kind
        view = getattr(view, "__wrapped__", None)
        if view is None:
            return None
    return None


def _targets(kind: type, methods: list[str]) -> list[tuple[list[str], Any]]:
    """Methods of a class-based view, each with its own function; a plain View dispatches all of them itself."""
    each = [([name], getattr(kind, name.lower())) for name in methods if hasattr(kind, name.lower())]
    return each or [(methods, getattr(kind, "dispatch_request", None))]
