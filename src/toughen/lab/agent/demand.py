"""Owns demand recording: which keys the prototype asks the request for, and how."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Callable

from . import frames
from .recorder import DEMANDS, RECORDER, plain_json

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[Any, ...]

_get_frame = sys._getframe
_FRAMEWORKS = frozenset(
    (
        "flask werkzeug starlette fastapi connexion a2wsgi asgiref uvicorn anyio multipart collections _collections_abc"
        " flask_cors flask_compress flask_talisman brotli_asgi secweb"
        " sentry_sdk opentelemetry prometheus_client prometheus_flask_exporter"
    ).split()
)
_OWN = __name__.rpartition(".")[0]
_DEEP = 12
_PLAIN = (str, int, float, list, dict, tuple)
_REMEMBERED = 2000
_FOREIGN: dict[str, bool] = {}
"""Modules that ask for the framework, by name."""
_SUBCLASSES: dict[type, type] = {}
_RECORDING: set[type] = set()


def _foreign_ask(depth: int) -> bool:
    """Tell whether the framework itself asks, not the project or a library that guards it."""
    name = _get_frame(depth).f_globals.get("__name__") or ""
    foreign = _FOREIGN.get(name)
    if foreign is None:
        foreign = name.partition(".")[0] in _FRAMEWORKS or name.startswith(_OWN)
        if len(_FOREIGN) < _REMEMBERED:
            _FOREIGN[name] = foreign
    return foreign


def note(place: str, key: Key, how: str, present: bool, default: object = None, kind: object = None) -> None:
    """Note one ask; the same key asked twice is one demand, required if it was required once."""
    if not RECORDER.demand:
        return
    known = RECORDER.demands.get((place, key))
    required = how == "subscript"
    if known is None:
        if len(RECORDER.demands) >= DEMANDS:
            return
        told = {"place": place, "key": list(key), "present": present, "required": required, "default": None, "how": how}
        known = RECORDER.demands.setdefault((place, key), told)
    elif required and not known["required"]:
        known["required"] = True
        known["how"] = how
    elif known["how"] in ("iterate", "unpack") and how not in ("iterate", "unpack"):
        known["how"] = how
    if isinstance(default, _PLAIN) and known["default"] is None:
        # A sentinel that a library asks with is nobody's default.
        known["default"] = plain_json(default)
    if kind is not None and "type" not in known:
        known["type"] = getattr(kind, "__name__", None) or str(kind)


class AskedDict(dict):  # type: ignore[type-arg]
    """A parsed JSON object that notes what it is asked for; in everything else a dictionary."""

    __slots__ = ("_at", "_path", "_place")

    def __init__(self, value: Any = (), place: str = "json", path: Key = ()) -> None:
        """Take the object, where it travelled, and the keys that lead to it."""
        dict.__init__(self, value)
        self._place = place
        self._path = path
        self._at: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        """Where it travelled."""
        return self._place

    @property
    def path(self) -> Key:
        """Keys that lead to it."""
        return self._path

    def _note(self, key: object, how: str, default: object = None) -> None:
        if RECORDER.demand and isinstance(key, (str, int)):
            if self._place != "json" and _foreign_ask(3):
                return
            note(self._place, (*self._path, key), how, dict.__contains__(self, key), default)

    def _walk(self) -> None:
        if RECORDER.demand:
            frame = _get_frame(2)
            self._at = (id(frame), frame.f_lasti)
            if frames.relative(frame.f_code.co_filename) is not None:
                note(self._place, self._path, "iterate", present=True)

    def __getitem__(self, key: Any) -> Any:
        """Note the key; it is required unless the whole object is being unpacked."""
        frame = _get_frame(1)
        unpacked = self._at is not None and self._at == (id(frame), frame.f_lasti)
        self._note(key, "unpack" if unpacked else "subscript")
        return dict.__getitem__(self, key)

    def get(self, key: Any, default: Any = None) -> Any:
        self._note(key, "get", default)
        return dict.get(self, key, default)

    def __contains__(self, key: Any) -> bool:
        """Note the key."""
        self._note(key, "in")
        return dict.__contains__(self, key)

    def pop(self, key: Any, *default: Any) -> Any:
        self._note(key, "get" if default else "subscript", default[0] if default else None)
        return dict.pop(self, key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self._note(key, "get", default)
        return dict.setdefault(self, key, default)

    def __iter__(self) -> Iterator[Any]:
        """Note that all keys are taken."""
        self._walk()
        return dict.__iter__(self)

    def keys(self) -> Any:
        self._walk()
        return dict.keys(self)

    def items(self) -> Any:
        self._walk()
        return dict.items(self)

    def values(self) -> Any:
        self._walk()
        return dict.values(self)

    def copy(self) -> AskedDict:
        made = AskedDict((), self._place, self._path)
        dict.update(made, dict.items(self))
        return made

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """Leave the process as a plain dictionary."""
        return dict, (dict(dict.items(self)),)


def asked_json(value: Any, place: str = "json", path: Key = (), depth: int = 0) -> Any:
    """Return parsed JSON with its objects, nested ones too, as recording dictionaries; index 0 stands for all."""
    if depth > _DEEP:
        return value
    if type(value) is dict:
        made = AskedDict((), place, path)
        for key, each in value.items():
            dict.__setitem__(made, key, asked_json(each, place, (*path, key), depth + 1))
        return made
    if type(value) is list:
        for index, each in enumerate(value):
            if type(each) in (dict, list):
                value[index] = asked_json(each, place, (*path, 0), depth + 1)
    return value


def _recording(kind: Any) -> type:
    """Return a subclass of a framework's multi-dictionary or headers class that notes what it is asked for."""

    def ask(self: Any, key: object, how: str, default: object = None, asked: object = None) -> None:
        if not RECORDER.demand or _foreign_ask(3):
            return
        place = self.__dict__.get("_asked_place")
        if place is None or not isinstance(key, str):
            return
        try:
            present = bool(kind.__contains__(self, key))
        except Exception:
            present = False
        if how == "subscript":
            frame = _get_frame(2)
            # dict(form) and **form take the keys, then each value, in one instruction.
            how = "unpack" if self.__dict__.get("_asked_at") == (id(frame), frame.f_lasti) else how
        note(place, (key,), how, present, default, asked)

    def walk(self: Any) -> None:
        place = self.__dict__.get("_asked_place")
        frame = _get_frame(2)
        if place is not None and RECORDER.demand and frames.relative(frame.f_code.co_filename) is not None:
            self.__dict__["_asked_at"] = (id(frame), frame.f_lasti)
            note(place, (), "iterate", present=True)

    def __getitem__(self: Any, key: Any, *more: Any, **keywords: Any) -> Any:
        ask(self, key, "subscript")
        return kind.__getitem__(self, key, *more, **keywords)

    def get(self: Any, key: Any, default: Any = None, *args: Any, **keywords: Any) -> Any:
        if RECORDER.demand:
            ask(self, key, "get", default, args[0] if args else keywords.get("type"))
        if plain:
            # What Mapping.get does, without asking anew by self[key].
            try:
                return kind.__getitem__(self, key)
            except KeyError:
                return default
        return kind.get(self, key, default, *args, **keywords)

    def __contains__(self: Any, key: Any) -> bool:
        ask(self, key, "in")
        return bool(kind.__contains__(self, key))

    def getlist(self: Any, key: Any, *args: Any, **keywords: Any) -> Any:
        ask(self, key, "get", None, list)
        return kind.getlist(self, key, *args, **keywords)

    plain = kind.get is Mapping.get

    def walker(name: str) -> Callable[..., Any]:
        original = getattr(kind, name)

        def method(self: Any, *args: Any, **keywords: Any) -> Any:
            walk(self)
            return original(self, *args, **keywords)

        method.__name__ = name
        return method

    # No slots and one base: only then may an object change into it.
    body: dict[str, Any] = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__slots__": ()}
    body.update({"__getitem__": __getitem__, "get": get, "__contains__": __contains__})
    if hasattr(kind, "getlist"):
        body["getlist"] = getlist
    body.update({name: walker(name) for name in _WALKS if hasattr(kind, name)})
    # Comparisons and copies go by __class__: they see the framework's own class.
    body["__class__"] = property(lambda _self: kind)
    return type(kind.__name__, (kind,), body)


_WALKS = ("__iter__", "keys", "items", "values", "to_dict", "multi_items", "lists")


def asked_multi(value: Any, place: str) -> Any:
    """Make a framework's own object record, in place: identity, equality and type checks stay."""
    kind = type(value)
    if kind in _RECORDING:
        return value
    made = _SUBCLASSES.get(kind)
    if made is None:
        made = _SUBCLASSES[kind] = _recording(kind)
        _RECORDING.add(made)
    try:
        value.__class__ = made
        value.__dict__["_asked_place"] = place
    except (TypeError, AttributeError):
        return value
    return value


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
    _hook_headers(request)


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
            value = super().__get__(obj, owner)
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


def _hook_headers(request: Any) -> None:
    start = request.__init__

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        start(self, *args, **keywords)
        if RECORDER.demand:
            asked_multi(self.headers, "header")

    request.__init__ = __init__
    original = _static(request, "authorization")

    def authorization(self: Any) -> Any:
        if RECORDER.demand and not _foreign_ask(2):
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
        foreign = not RECORDER.demand or _foreign_ask(2)
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
    frame = _get_frame(2)
    for _ in range(8):
        name = (frame.f_globals.get("__name__") or "").partition(".")[0]
        if name != "starlette" and not (frame.f_globals.get("__name__") or "").startswith(_OWN):
            return name in _FRAMEWORKS
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
