"""Owns the routes of ASGI apps: FastAPI and Starlette, nested routers, mounted sub-apps, dependencies and schema."""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import TYPE_CHECKING, Any

from . import boot, rules
from .functions import own_function, spot

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEPTH = 8
_KINDS = {
    "IntegerConvertor": "int",
    "FloatConvertor": "float",
    "PathConvertor": "path",
    "UUIDConvertor": "uuid",
}


def gather(app: Any, prefix: str = "", depth: int = 0) -> list[dict[str, Any]]:
    """ROUTEs of an ASGI app, those of mounted sub-apps with their prefix."""
    found: list[dict[str, Any]] = []
    if depth > _DEPTH:
        return found
    for route in flat(getattr(app, "routes", None) or ()):
        path = prefix + str(getattr(route, "path_format", None) or getattr(route, "path", "") or "")
        inner = getattr(route, "app", None)
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None:
            # A Mount's or Host's own app; its path_format ends with the rest of the path.
            start = prefix + str(getattr(route, "path", "") or "").rstrip("/")
            found += _mounted(inner if inner is not None else getattr(route, "original_router", None), start, depth)
            continue
        methods = getattr(route, "methods", None)
        if methods is None and not _is_plain_http(route):
            continue
        found += _told(route, path or "/", endpoint, methods)
    return found


def endpoints(app: Any, depth: int = 0) -> Iterator[Any]:
    """Yield the endpoint of every route, those of mounted apps too."""
    if depth > _DEPTH:
        return
    for route in flat(getattr(app, "routes", None) or ()):
        endpoint = getattr(route, "endpoint", None)
        if endpoint is not None:
            yield endpoint
            continue
        inner = getattr(route, "app", None)
        router = _router(inner) if inner is not None else None
        flask = boot.find_inside(inner, "flask.app", "Flask") if router is None else None
        if router is not None:
            yield from endpoints(router, depth + 1)
        elif flask is not None:
            yield from flask.view_functions.values()


def _mounted(inner: Any, prefix: str, depth: int) -> list[dict[str, Any]]:
    if inner is None:
        return []
    router = _router(inner)
    if router is not None:
        return gather(router, prefix, depth + 1)
    flask = boot.find_inside(inner, "flask.app", "Flask")
    return rules.gather(flask, prefix) if flask is not None else []


def _router(inner: Any) -> Any:
    """First layer that has a list of routes."""
    for layer in boot.layers(inner):
        if isinstance(getattr(layer, "routes", None), list):
            return layer
    return None


def _is_plain_http(route: Any) -> bool:
    """Starlette routes to a class or a bare ASGI app take every method; WebSocket routes are left out."""
    return type(getattr(route, "original_route", route)).__name__ == "Route"


def flat(routes: Any) -> Iterator[Any]:
    """Yield effective routes: FastAPI 0.165 includes routers lazily, older versions copy their routes."""
    routing = sys.modules.get("fastapi.routing")
    contexts = getattr(routing, "iter_route_contexts", None)
    if contexts is not None:
        try:
            yield from list(contexts(list(routes)))
        except Exception:
            pass
        else:
            return
    for route in routes:
        effective = getattr(route, "effective_route_contexts", None)
        if callable(effective):
            yield from effective()
        else:
            yield route


def _told(route: Any, path: str, endpoint: Any, methods: Any) -> list[dict[str, Any]]:
    common = {
        "path": path,
        "name": str(getattr(route, "name", "") or ""),
        "in_schema": bool(getattr(route, "include_in_schema", True)),
        "converters": {
            name: _KINDS.get(type(convertor).__name__, "string")
            for name, convertor in (getattr(route, "param_convertors", None) or {}).items()
        },
        "dependencies": _dependencies(getattr(route, "dependant", None)),
    }
    if isinstance(endpoint, type):
        # HTTPEndpoint: one method of the class for each HTTP method.
        found = []
        for name in ("get", "post", "put", "patch", "delete"):
            where = spot(getattr(endpoint, name, None))
            if where is not None:
                found.append(dict(common, methods=[name.upper()], file=where[0], line=where[1], function=where[2]))
        return found
    where = spot(endpoint)
    if where is None:
        return []
    named = sorted(set(methods or ("GET",)) - {"HEAD", "OPTIONS"}) or sorted(methods or ())
    return [dict(common, methods=named, file=where[0], line=where[1], function=where[2])]


def _dependencies(dependant: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    seen = set()

    def walk(node: Any, depth: int) -> None:
        for each in getattr(node, "dependencies", None) or ():
            call = getattr(each, "call", None)
            if call is not None and id(call) not in seen:
                seen.add(id(call))
                found.append(_dependency(each, call))
            if depth < _DEPTH:
                walk(each, depth + 1)
        for each in getattr(node, "security_requirements", None) or ():
            scheme = getattr(each, "security_scheme", None)
            if scheme is not None and id(scheme) not in seen:
                seen.add(id(scheme))
                found.append(_dependency(each, scheme))

    walk(dependant, 0)
    return found


def _dependency(node: Any, call: Any) -> dict[str, Any]:
    base = getattr(sys.modules.get("fastapi.security.base"), "SecurityBase", None)
    scheme = isinstance(base, type) and isinstance(call, base)
    plain = inspect.isroutine(call) or isinstance(call, type)
    where = spot(call) or (None if plain else spot(type(call)))
    scopes = (
        getattr(node, "security_scopes", None)
        or getattr(node, "own_oauth_scopes", None)
        or getattr(node, "scopes", None)
    )
    return {
        "name": _name(call, scheme=scheme),
        "file": where[0] if where else "",
        "line": where[1] if where else 0,
        "scopes": [str(scope) for scope in scopes or ()] if not isinstance(scopes, str) else [scopes],
        "kind": "scheme" if scheme else "dependency",
        "values": values_of(call),
    }


def _name(call: Any, *, scheme: bool) -> str:
    if scheme:
        return str(getattr(call, "scheme_name", None) or type(call).__name__)
    function = own_function(call)
    name = getattr(call, "__qualname__", None) or (getattr(function, "__qualname__", None) if function else None)
    if name is None or not (inspect.isroutine(call) or isinstance(call, type)):
        name = type(call).__name__ if not isinstance(call, type) else call.__name__
    return str(name)


def values_of(call: Any) -> list[str]:
    """Strings that a dependency was made with: `RoleChecker(["admin"])`, `require_role("admin")`."""
    held: list[Any] = []
    if inspect.isfunction(call):
        for cell in call.__closure__ or ():
            try:
                held.append(cell.cell_contents)
            except ValueError:
                continue
    elif not isinstance(call, type):
        held += list(getattr(call, "__dict__", {}).values())
    found: list[str] = []
    for value in held:
        for each in value if isinstance(value, (list, tuple, set, frozenset)) else [value]:
            text = getattr(each, "value", each)
            if isinstance(text, str) and len(text) < 100:
                found.append(text)
    return found[:20]


def openapi(app: Any) -> dict[str, Any] | None:
    """OpenAPI document over all routes of FastAPI apps, hidden ones too; None where there is no FastAPI app."""
    utils = sys.modules.get("fastapi.openapi.utils")
    kind = getattr(sys.modules.get("fastapi.applications"), "FastAPI", None)
    if utils is None or not isinstance(kind, type):
        return None
    merged: dict[str, Any] = {}
    for prefix, inner in _applications(app, kind):
        document = _document(utils.get_openapi, inner)
        if not merged:
            merged = {
                "openapi": document.get("openapi", "3.1.0"),
                "info": document.get("info", {}),
                "paths": {},
                "components": {},
            }
        for path, item in (document.get("paths") or {}).items():
            merged["paths"].setdefault(prefix + path, item)
        for group, named in (document.get("components") or {}).items():
            for name, each in named.items():
                merged["components"].setdefault(group, {}).setdefault(name, each)
    return merged or None


def _applications(app: Any, kind: type, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if isinstance(app, kind):
        yield prefix, app
    if depth > _DEPTH:
        return
    for route in flat(getattr(app, "routes", None) or ()):
        inner = getattr(route, "app", None)
        if getattr(route, "endpoint", None) is None and inner is not None:
            router = _router(inner)
            if router is not None:
                start = prefix + str(getattr(route, "path", "") or "").rstrip("/")
                yield from _applications(router, kind, start, depth + 1)


def _document(get_openapi: Any, app: Any) -> dict[str, Any]:
    routes = list(flat(app.routes))
    shown = [(each, getattr(each, "_route_context", None) or getattr(each, "original_route", each)) for each in routes]
    changed = []
    for _, holder in shown:
        if getattr(holder, "include_in_schema", True) is False:
            try:
                holder.include_in_schema = True
                changed.append(holder)
            except AttributeError:
                continue
    keywords = {"title": str(app.title), "version": str(app.version)}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = [each for each in routes if getattr(each, "endpoint", None) is not None]
            own = [each for each in own if own_function(each.endpoint) is not None]
            try:
                return dict(get_openapi(routes=own, **keywords))
            except Exception:
                return _piecewise(get_openapi, own, keywords)
    finally:
        for holder in changed:
            holder.include_in_schema = False


def _piecewise(get_openapi: Any, routes: list[Any], keywords: dict[str, str]) -> dict[str, Any]:
    whole: dict[str, Any] = {"paths": {}, "components": {}}
    for route in routes:
        try:
            part = get_openapi(routes=[route], **keywords)
        except Exception:
            continue
        whole.update({key: part[key] for key in ("openapi", "info") if key in part})
        for path, item in (part.get("paths") or {}).items():
            whole["paths"].setdefault(path, {}).update(item)
        for group, named in (part.get("components") or {}).items():
            whole["components"].setdefault(group, {}).update(named)
    return whole
