"""Owns the objects that note which of their keys the prototype asks for, and how."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable

from . import frames
from .recorder import DEMANDS, RECORDER, plain_json

if TYPE_CHECKING:
    from collections.abc import Iterator

Key = tuple[Any, ...]

get_frame = sys._getframe
FRAMEWORKS = frozenset(
    (
        "flask werkzeug starlette fastapi connexion a2wsgi asgiref uvicorn anyio multipart collections _collections_abc"
        " django rest_framework rest_framework_simplejwt corsheaders whitenoise django_filters debug_toolbar"
        " flask_cors flask_compress flask_talisman brotli_asgi secweb"
        " sentry_sdk opentelemetry prometheus_client prometheus_flask_exporter"
    ).split()
)
OWN = __name__.rpartition(".")[0]
_DEEP = 12
_PLAIN = (str, int, float, list, dict, tuple)
_REMEMBERED = 2000
_FOREIGN: dict[str, bool] = {}
"""Modules that ask for the framework, by name."""
_SUBCLASSES: dict[tuple[type, str], Any] = {}
_RECORDING: set[type] = set()


def foreign_ask(depth: int) -> bool:
    """Tell whether the framework itself asks, not the project or a library that guards it."""
    name = get_frame(depth).f_globals.get("__name__") or ""
    foreign = _FOREIGN.get(name)
    if foreign is None:
        foreign = name.partition(".")[0] in FRAMEWORKS or name.startswith(OWN)
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
            if self._place != "json" and foreign_ask(3):
                return
            note(self._place, (*self._path, key), how, dict.__contains__(self, key), default)

    def _walk(self) -> None:
        if RECORDER.demand:
            frame = get_frame(2)
            self._at = (id(frame), frame.f_lasti)
            if frames.relative(frame.f_code.co_filename) is not None:
                note(self._place, self._path, "iterate", present=True)

    def __getitem__(self, key: Any) -> Any:
        """Note the key; it is required unless the whole object is being unpacked."""
        how = "subscript"
        if self._at is not None:
            frame = get_frame(1)
            how = "unpack" if self._at == (id(frame), frame.f_lasti) else how
        self._note(key, how)
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
        made = AskedDict(value, place, path)
        for key, each in value.items():
            if type(each) in (dict, list):
                dict.__setitem__(made, key, asked_json(each, place, (*path, key), depth + 1))
        return made
    if type(value) is list:
        for index, each in enumerate(value):
            if type(each) in (dict, list):
                value[index] = asked_json(each, place, (*path, 0), depth + 1)
    return value


def recording(kind: Any, place: str) -> Any:
    """Return a subclass of a framework's multi-dictionary or headers class that notes what it is asked for."""
    made = _SUBCLASSES.get((kind, place))
    if made is None:
        made = _SUBCLASSES[kind, place] = _recording(kind, place)
        _RECORDING.add(made)
    return made


def _recording(kind: Any, place: str) -> type:
    def ask(self: Any, key: object, how: str, default: object = None, asked: object = None) -> None:
        if foreign_ask(3) or not isinstance(key, str):
            return
        try:
            present = bool(kind.__contains__(self, key))
        except Exception:
            present = False
        if how == "subscript":
            frame = get_frame(2)
            # dict(form) and **form take the keys, then each value, in one instruction.
            how = "unpack" if self.__dict__.get("_asked_at") == (id(frame), frame.f_lasti) else how
        note(place, (key,), how, present, default, asked)

    def walk(self: Any) -> None:
        frame = get_frame(2)
        if frames.relative(frame.f_code.co_filename) is not None:
            self.__dict__["_asked_at"] = (id(frame), frame.f_lasti)
            note(place, (), "iterate", present=True)

    def __getitem__(self: Any, key: Any, *more: Any, **keywords: Any) -> Any:
        if RECORDER.demand:
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
        if RECORDER.demand:
            ask(self, key, "in")
        return bool(kind.__contains__(self, key))

    def getlist(self: Any, key: Any, *args: Any, **keywords: Any) -> Any:
        if RECORDER.demand:
            ask(self, key, "get", None, list)
        return kind.getlist(self, key, *args, **keywords)

    plain = kind.get is Mapping.get

    def walker(name: str) -> Callable[..., Any]:
        original = getattr(kind, name)

        def method(self: Any, *args: Any, **keywords: Any) -> Any:
            if RECORDER.demand:
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
    # Comparisons and copies go by __class__: they see the framework's own class. Flask gives a request's files another one.
    body["__class__"] = property(lambda _self: kind, _CLASS.__set__)
    return type(kind.__name__, (kind,), body)


_CLASS: Any = vars(object)["__class__"]
_WALKS = ("__iter__", "keys", "items", "values", "to_dict", "multi_items", "lists")


def asked_multi(value: Any, place: str) -> Any:
    """Make a framework's own object record, in place: identity, equality and type checks stay."""
    kind = type(value)
    if kind not in _RECORDING and ((kind, place) in _SUBCLASSES or len(_RECORDING) < _REMEMBERED):
        # Flask makes a class anew for the files of every form that is posted in debug mode.
        with suppress(TypeError, AttributeError):
            value.__class__ = recording(kind, place)
    return value


def place_of(value: Any) -> str | None:
    """Where what a recording multi-dictionary holds travelled, None for any other object."""
    kind = type(value)
    return next((place for (_, place), made in _SUBCLASSES.items() if made is kind), None) if kind in _RECORDING else None


class RawText(str):
    """The text of a request's body: what is read from it as JSON notes what it is asked for."""

    __slots__ = ()


class RawBody(bytes):
    """A request's body as it came."""

    __slots__ = ()

    def decode(self, *args: Any, **keywords: Any) -> RawText:
        """The same as text."""
        return RawText(bytes.decode(self, *args, **keywords))
