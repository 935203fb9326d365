"""Owns FACTS: what the loaded prototype says about itself."""

from __future__ import annotations

import sys
import threading
from typing import Any, Callable

from . import dj_models, dj_schema, dj_urls, frames, routes, rules, tables
from .boot import App, layers
from .recorder import RECORDER


def facts(app: App | None) -> dict[str, Any]:
    """Routes, schema, tables, databases, threads and modules; a part that fails is told, not fatal."""
    failed: list[str] = []

    def part(name: str, read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except Exception as error:
            failed.append(name + ": " + type(error).__name__ + ": " + str(error)[:300])
            return otherwise

    part("settings", dj_models.databases, None)
    return {
        "framework": app.framework if app is not None else None,
        "routes": part("routes", lambda: _routes(app), []),
        "openapi": part("openapi", lambda: _openapi(app), None),
        "specs": part("specs", lambda: rules.specs(app.flask) if app and app.flask is not None else [], []),
        "tables": part("tables", tables.tables, []) + part("models", dj_models.tables, []),
        "databases": RECORDER.tell_databases(),
        "threads": [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()],
        "modules": part("modules", _modules, []),
        "failed": failed,
    }


def _openapi(app: App | None) -> dict[str, Any] | None:
    if app is not None and app.starlette is not None:
        return routes.openapi(app.starlette)
    return dj_schema.document() if app is not None and app.django is not None else None


def _routes(app: App | None) -> list[dict[str, Any]]:
    if app is None:
        return []
    found: list[dict[str, Any]] = []
    if app.starlette is not None:
        found += routes.gather(app.starlette)
    if app.flask is not None:
        found += rules.gather(app.flask)
    if app.django is not None:
        found += dj_urls.routes()
    for layer in layers(app.target):
        mounts = getattr(layer, "mounts", None)
        if isinstance(mounts, dict):
            # werkzeug's DispatcherMiddleware
            for prefix, inner in mounts.items():
                if hasattr(inner, "url_map"):
                    found += rules.gather(inner, str(prefix))
    unique: dict[Any, dict[str, Any]] = {}
    for route in found:
        unique.setdefault((tuple(route["methods"]), route["path"]), route)
    return list(unique.values())


def endpoints(app: App) -> list[Any]:
    """Endpoint objects of every ASGI route, those of mounted apps too."""
    return list(routes.endpoints(app.starlette)) if app.starlette is not None else []


def _modules() -> list[str]:
    """Modules of the project that are loaded."""
    found = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and frames.relative(file) is not None:
            found.append(name)
    return found
