"""Owns how the prototype is loaded: path, working directory, entry object, and which interface it speaks."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from typing import TYPE_CHECKING, Any

from . import frames

if TYPE_CHECKING:
    from collections.abc import Iterator


class LoadFailedError(Exception):
    """The entry could not be loaded; `stage` is import or entry, `cause` what was raised."""

    def __init__(self, stage: str, cause: BaseException) -> None:
        """Take the stage and what was raised there."""
        super().__init__(stage)
        self.stage = stage
        self.cause = cause


class App:
    """The entry object and what is known about it before it serves."""

    def __init__(self, target: Any, module: str) -> None:
        """Take the object and the name of the module that it came from."""
        self.target = target
        self.module = module
        self.asgi = speaks_asgi(target)
        self.flask = find_inside(target, "flask.app", "Flask")
        self.starlette = find_inside(target, "starlette.applications", "Starlette")
        self.django = find_inside(target, "django.core.handlers.base", "BaseHandler")
        self.framework = self._framework()

    def _framework(self) -> str:
        if type(self.target).__module__.split(".")[0] == "connexion":
            return "connexion"
        if self.flask is not None and self.starlette is None:
            return "flask"
        fastapi = find_inside(self.target, "fastapi.applications", "FastAPI")
        if fastapi is not None:
            return "fastapi"
        if self.starlette is not None:
            return "starlette"
        if self.django is not None:
            return "django"
        return type(self.target).__module__.split(".")[0]


def settle(config: dict[str, Any]) -> None:
    """Give the process the prototype's path and working directory, as if its own server had started it."""
    if sys.path and sys.path[0] in ("", os.getcwd()):
        del sys.path[0]
    front = [os.path.abspath(path) for path in config.get("sys_path") or ()]
    sys.path[:0] = [path for path in front if path not in sys.path[:1]]
    directory = config.get("cwd") or config.get("root")
    if directory:
        os.chdir(directory)
    sys.argv[:] = ["app"]
    # input() at import must fail at once instead of waiting for a person.
    sys.stdin = open(os.devnull, encoding="utf-8")


def load(entry: str | None) -> App | None:
    """Import the entry's module and take its object; raises LoadFailedError with what the prototype raised."""
    if not entry:
        return None
    name, _, path = entry.partition(":")
    try:
        module = _import(name)
    except BaseException as error:
        raise LoadFailedError("import", error) from error
    sys.argv[:] = [getattr(module, "__file__", None) or "app"]
    try:
        return App(_resolve(module, path or "app"), module.__name__)
    except BaseException as error:
        raise LoadFailedError("entry", error) from error


AS_SCRIPT = "__entry__"
"""Name of an entry that only loads as a script does: under another name than the one it is imported by."""


def _import(name: str) -> Any:
    before = set(sys.modules)
    try:
        return importlib.import_module(name)
    except (ImportError, AttributeError) as error:
        # `python app.py` survives a circular `from app import x`: the script itself is called __main__.
        if "partially initialized module" not in str(error):
            raise
        for other in set(sys.modules) - before:
            if frames.relative(str(getattr(sys.modules[other], "__file__", None) or "<none>")) is not None:
                del sys.modules[other]
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None or "." in name:
            raise
        again = importlib.util.spec_from_file_location(AS_SCRIPT, spec.origin)
        if again is None or again.loader is None:
            raise
        module = importlib.util.module_from_spec(again)
        sys.modules[AS_SCRIPT] = module
        again.loader.exec_module(module)
        return module


def _resolve(module: Any, path: str) -> Any:
    called = path.endswith("()")
    target = module
    for part in (path[:-2] if called else path).split("."):
        target = getattr(target, part)
    if called or _is_factory(target):
        target = target()
    if inspect.iscoroutine(target):
        import asyncio

        target = asyncio.run(target)
    return target


def _is_factory(target: Any) -> bool:
    """Tell a function that makes the app from a bare ASGI or WSGI function: it needs no argument."""
    if not inspect.isfunction(target):
        return False
    return not _required(target)


_UNEVALUATED: dict[str, Any] = {}
if sys.version_info >= (3, 14):
    import annotationlib

    # From then on annotations are evaluated when somebody asks, and may name what only a type checker imports.
    _UNEVALUATED["annotation_format"] = annotationlib.Format.STRING


def _required(target: Any) -> tuple[str, ...]:
    try:
        signature = inspect.signature(target, **_UNEVALUATED)
    except (TypeError, ValueError):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(
        name
        for name, each in signature.parameters.items()
        if each.kind in kinds and each.default is inspect.Parameter.empty
    )


def speaks_asgi(target: Any) -> bool:
    """Tell an ASGI app (a coroutine function of scope, receive, send) from a WSGI one."""
    call = target if inspect.isfunction(target) else getattr(type(target), "__call__", target)
    if inspect.iscoroutinefunction(call):
        return True
    names = _required(target)
    return len(names) == 3 or names[:1] == ("scope",)


_INNER = (
    "app",
    "wsgi_app",
    "asgi_app",
    "other_asgi_app",
    "application",
    "wsgi",
    "middleware",
    "other_wsgi_app",
    "_app",
)


def layers(target: Any) -> Iterator[Any]:
    """Yield the object and what it wraps under the usual names, outermost first."""
    seen: set[int] = set()
    queue = [target]
    while queue and len(seen) < 60:
        layer = queue.pop(0)
        if id(layer) in seen or layer is None or isinstance(layer, (str, bytes, int, type)):
            continue
        seen.add(id(layer))
        yield layer
        inner = inspect.getattr_static(layer, "__dict__", None)
        named = vars(layer) if inner is not None and hasattr(layer, "__dict__") else {}
        queue += [named[name] for name in _INNER if name in named]
        owner = getattr(layer, "__self__", None)
        if owner is not None:
            queue.append(owner)


def find_inside(target: Any, module: str, name: str) -> Any:
    """Return the outermost layer that is an instance of a framework's class, None where there is none."""
    kind = getattr(sys.modules.get(module), name, None)
    if not isinstance(kind, type):
        return None
    return next((layer for layer in layers(target) if isinstance(layer, kind)), None)
