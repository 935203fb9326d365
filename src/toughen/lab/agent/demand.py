"""Owns demand recording: which objects of the frameworks' requests note what they are asked for."""

from __future__ import annotations

from typing import Any, Callable

from .asked import FRAMEWORKS, OWN, AskedDict, asked_json, asked_multi, foreign_ask, get_frame, note, recording
from .recorder import RECORDER

# --- werkzeug and Flask -------------------------------------------------------------------------------------


def hook_werkzeug(module: Any) -> None:
    """Make werkzeug's request hand out recording objects while demands are recorded."""
    request = module.Request
    for name, place in (
        ("args", "query"),
        ("form", "form"),
        ("values", "values"),
        ("cookies", "cookie"),
        ("files", "file"),
    ):
        _hook_cached(request, name, place)
    if hasattr(request, "get_json"):
        _hook_get_json(request)
    _hook_headers(module)


def hook_older_json(module: Any) -> None:
    """Werkzeug before 2.0, and Flask before it, kept JSON in a class of its own, which Flask mixed in."""
    mixin = getattr(module, "JSONMixin", None)
    if mixin is not None and "get_json" in vars(mixin):
        _hook_get_json(mixin)


def hook_older_werkzeug(module: Any) -> None:
    """Werkzeug before 1.0 was one file."""
    if not hasattr(module, "__path__"):
        hook_werkzeug(module)


def _hook_cached(request: Any, name: str, place: str) -> None:
    original = _static(request, name)
    base = type(original)

    class Recording(base):  # type: ignore[misc, valid-type]
        def __get__(self, obj: Any, owner: Any = None) -> Any:
            value = base.__get__(self, obj, owner)
            if obj is None or not RECORDER.demand:
                return value
            where = place
            if place == "values":
                where = "form" if obj.method in ("POST", "PUT", "PATCH") else "query"
            return asked_multi(value, where)

    setattr(request, name, Recording(original.fget or original.func, name=name, doc=original.__doc__))


def _static(owner: Any, name: str) -> Any:
    return next(vars(kind)[name] for kind in owner.__mro__ if name in vars(kind))


def _hook_get_json(request: Any) -> None:
    original = request.get_json

    def get_json(self: Any, *args: Any, **keywords: Any) -> Any:
        value = original(self, *args, **keywords)
        if not RECORDER.demand or type(value) not in (dict, list):
            return value
        made = asked_json(value)
        cached = getattr(self, "_cached_json", None)
        if isinstance(cached, tuple) and made is not value:
            self._cached_json = tuple(made if each is value else each for each in cached)
        return made

    request.get_json = get_json


def _hook_headers(module: Any) -> None:
    request = module.Request
    if hasattr(module, "EnvironHeaders"):
        # Its requests are made with headers of this class.
        module.EnvironHeaders = recording(module.EnvironHeaders, "header")
    else:
        start = request.__init__

        def __init__(self: Any, *args: Any, **keywords: Any) -> None:
            start(self, *args, **keywords)
            if RECORDER.demand:
                asked_multi(self.headers, "header")

        request.__init__ = __init__
    original = _static(request, "authorization")

    def authorization(self: Any) -> Any:
        if RECORDER.demand and not foreign_ask(2):
            present = "HTTP_AUTHORIZATION" in getattr(self, "environ", {})
            note("header", ("Authorization",), "get", present)
        return original.__get__(self, type(self))

    request.authorization = property(authorization)


# --- Starlette and FastAPI ----------------------------------------------------------------------------------


def hook_starlette(module: Any) -> None:
    """Make Starlette's request hand out recording objects while demands are recorded."""
    connection = module.HTTPConnection
    _hook_property(connection, "headers", "header")
    _hook_property(connection, "query_params", "query")
    _hook_cookies(connection)
    request = module.Request
    original_json = request.json
    original_form = request._get_form

    async def json(self: Any) -> Any:
        foreign = not RECORDER.demand or foreign_ask(2)
        value = await original_json(self)
        if foreign or type(value) not in (dict, list):
            return value
        self._json = asked_json(value)
        return self._json

    async def _get_form(self: Any, **keywords: Any) -> Any:
        foreign = not RECORDER.demand or _framework_waits()
        value = await original_form(self, **keywords)
        return value if foreign else asked_multi(value, "form")

    request.json = json
    request._get_form = _get_form


def _framework_waits() -> bool:
    """Tell whether FastAPI itself awaits the form: the first frame outside Starlette decides."""
    frame = get_frame(2)
    for _ in range(8):
        name = (frame.f_globals.get("__name__") or "").partition(".")[0]
        if name != "starlette" and not (frame.f_globals.get("__name__") or "").startswith(OWN):
            return name in FRAMEWORKS
        if frame.f_back is None:
            return True
        frame = frame.f_back
    return True


def _hook_property(owner: Any, name: str, place: str) -> None:
    original: Callable[[Any], Any] = vars(owner)[name].fget

    def value(self: Any) -> Any:
        made = original(self)
        return asked_multi(made, place) if RECORDER.demand else made

    setattr(owner, name, property(value, doc=original.__doc__))


def _hook_cookies(owner: Any) -> None:
    original = vars(owner)["cookies"].fget

    def cookies(self: Any) -> Any:
        made = original(self)
        if RECORDER.demand and type(made) is dict:
            made = self._cookies = AskedDict(made, "cookie")
        return made

    owner.cookies = property(cookies)


def hook_fastapi(module: Any) -> None:
    """Make bodies that are declared as bare dictionaries record when the handler gets them."""
    original = module.run_endpoint_function

    async def run_endpoint_function(*args: Any, **keywords: Any) -> Any:
        if RECORDER.demand:
            _ask_bodies(keywords.get("dependant"), keywords.get("values"))
        return await original(*args, **keywords)

    module.run_endpoint_function = run_endpoint_function


def _ask_bodies(dependant: Any, values: Any) -> None:
    fields = list(getattr(dependant, "body_params", None) or ())
    if not isinstance(values, dict):
        return
    for field in fields:
        name = getattr(field, "name", None)
        if name in values and type(values[name]) in (dict, list):
            embedded = len(fields) > 1 or bool(getattr(getattr(field, "field_info", None), "embed", None))
            alias = getattr(field, "alias", None) or name
            values[name] = asked_json(values[name], "json", (alias,) if embedded else ())


def register(finder: Any) -> None:
    """Name the modules whose requests record."""
    finder.when("werkzeug.wrappers.request", hook_werkzeug)
    finder.when("werkzeug.wrappers", hook_older_werkzeug)
    finder.when("werkzeug.wrappers.json", hook_older_json)
    finder.when("flask.wrappers", hook_older_json)
    finder.when("starlette.requests", hook_starlette)
    finder.when("fastapi.routing", hook_fastapi)
