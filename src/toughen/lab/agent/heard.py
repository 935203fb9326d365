"""Owns what the prototype asks of the answers of the world outside, so that the lab can give it answers of the shape that it reads.

The fault server ends its answers with white space that names them; what `json.loads` makes of such a text notes, while
demands are recorded, which keys it is asked for, and what is done with values that nobody knows the kind of yet.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .asked import AskedDict, RawBody, RawText, asked_json, foreign_ask, note
from .fault_server import named
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .hooks import Finder

    Key = tuple[Any, ...]

PLACE = "outside"
"""Where a demand stands that an answer of the world outside meets; behind a colon, what the value should have been."""
INSIDE = "$json"
"""Stands in a path for the text in front of it being JSON itself."""
_DEEP = 12
_NUMBER = 2.0
_BAD = re.compile(r"err|fail|fault|exception|warning|problem|invalid|denied|^detail$", re.IGNORECASE)
"""Keys, and words, of an answer that tells of something wrong."""
_WRONG = 400
_real_loads = json.loads


def register(finder: Finder) -> None:
    """Hook the standard library's reader of JSON, and the one that some clients prefer where it is installed."""
    json.loads = loads
    finder.when("simplejson", _hook_simplejson)


def _hook_simplejson(module: Any) -> None:
    real = module.loads

    def other(s: Any, *args: Any, **keywords: Any) -> Any:
        return _heard(real(s, *args, **keywords), s)

    module.loads = other


def loads(s: Any, *args: Any, **keywords: Any) -> Any:
    """Read JSON; an answer of the lab's notes what it is asked for while demands are recorded."""
    return _heard(_said(s) if RECORDER.demand and type(s) is Unsaid else _real_loads(s, *args, **keywords), s)


def _said(text: Unsaid) -> Any:
    """What is read from a text that nobody knew to be JSON."""
    text.is_kind("json")
    try:
        return _real_loads(str(text))
    except ValueError:
        return {}


def _heard(value: Any, text: Any) -> Any:
    if not RECORDER.demand or foreign_ask(3):
        return value
    if type(text) in (RawBody, RawText):
        return asked_json(value)
    try:
        if type(text) is Unsaid:
            return _wrapped(value, (*text.path, INSIDE))
        number = named(text)
        return value if number is None else _wrapped(value, (number,))
    except Exception:
        return value


def _wrapped(value: Any, path: Key, depth: int = 0) -> Any:
    if depth > _DEEP:
        return value
    if type(value) is dict:
        return Heard({key: _wrapped(each, (*path, key), depth + 1) for key, each in value.items()}, PLACE, path)
    if type(value) is list:
        return [_wrapped(each, (*path, 0), depth + 1) for each in value] if value else Unsaid.at(path)
    return Unsaid.at(path, value) if type(value) is str else value


class Heard(AskedDict):
    """An object of an answer; a key that it lacks is there, though nobody knows yet what it holds."""

    __slots__ = ()

    def __missing__(self, key: Any) -> Any:
        """Make the value up."""
        if not RECORDER.demand or not isinstance(key, (str, int)):
            raise KeyError(key)
        return Unsaid.at((*self.path, key))

    def get(self, key: Any, default: Any = None) -> Any:
        """Note the key; an empty object that stands for a missing one notes what it is asked for, too."""
        present = dict.__contains__(self, key)
        if RECORDER.demand and isinstance(key, (str, int)):
            note(PLACE, (*self.path, key), "get", present)
            if not present and type(default) is dict and not default:
                note(PLACE + ":object", (*self.path, key), "kind", present=False)
                return Heard({}, PLACE, (*self.path, key))
        return dict.get(self, key, default)


class Unsaid(str):  # noqa: SLOT000 - subclasses of str cannot have slots that are not empty
    """A text that notes what is done with it: where it is taken for something else, that is what it should have been."""

    path: Key

    @classmethod
    def at(cls, path: Key, text: str = "outside") -> Unsaid:
        """The value at a path of an answer."""
        made = str.__new__(cls, text)
        made.path = path
        return made

    def is_kind(self, kind: str) -> None:
        """Note what it should have been."""
        if RECORDER.demand:
            note(PLACE + ":" + kind, self.path, "kind", present=False)

    def _child(self, key: Any, how: str = "subscript") -> Unsaid:
        path = (*self.path, key)
        note(PLACE, path, how, present=False)
        return Unsaid.at(path)

    def __getitem__(self, key: Any) -> Any:
        """A key, or the first element."""
        if isinstance(key, slice):
            return Unsaid.at(self.path, str.__getitem__(self, key))
        if not RECORDER.demand:
            return str.__getitem__(self, key)
        if isinstance(key, str):
            self.is_kind("object")
            return self._child(str(key))
        self.is_kind("array")
        return self._child(0)

    def get(self, key: Any, default: Any = None) -> Any:
        """A key of an object; none that names an error."""
        self.is_kind("object")
        return default if _BAD.search(str(key)) else self._child(key, "get")

    def __contains__(self, key: Any) -> bool:
        """A key, or a piece of the text."""
        if RECORDER.demand and not _BAD.search(str(key)):
            self._child(str(key), "in")
            return True
        return str.__contains__(self, key)

    def __iter__(self) -> Iterator[Any]:
        """One element."""
        if not RECORDER.demand:
            return str.__iter__(self)
        self.is_kind("array")
        return iter([self._child(0, "element")])

    def __len__(self) -> int:
        return str.__len__(self)

    def keys(self) -> Any:
        return [pair[0] for pair in self.items()]

    def values(self) -> Any:
        return [pair[1] for pair in self.items()]

    def items(self) -> Any:
        self.is_kind("object")
        return [("EUR", self._child("EUR", "element"))]

    def append(self, value: Any) -> None:
        self.is_kind("array")

    def _number(self, kind: str = "number") -> float:
        self.is_kind(kind)
        return _NUMBER

    def __float__(self) -> float:
        return self._number()

    def __int__(self) -> int:
        return int(self._number("integer"))

    __index__ = __int__

    def __round__(self, digits: Any = None) -> Any:
        return round(self._number(), digits)

    def __add__(self, other: Any) -> Any:
        return str(self) + other if isinstance(other, str) else self._number() + other

    def __radd__(self, other: Any) -> Any:
        return other + str(self) if isinstance(other, str) else other + self._number()

    def __sub__(self, other: Any) -> Any:
        return self._number() - _plain(other)

    def __rsub__(self, other: Any) -> Any:
        return other - self._number()

    def __mul__(self, other: Any) -> Any:
        return self._number() * _plain(other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._number() / _plain(other)

    def __rtruediv__(self, other: Any) -> Any:
        return other / self._number()

    def __lt__(self, other: Any) -> bool:
        return str.__lt__(self, other) if isinstance(other, str) else bool(self._number() < other)

    def __gt__(self, other: Any) -> bool:
        return str.__gt__(self, other) if isinstance(other, str) else bool(self._number() > other)

    def __le__(self, other: Any) -> bool:
        return str.__le__(self, other) if isinstance(other, str) else bool(self._number() <= other)

    def __ge__(self, other: Any) -> bool:
        return str.__ge__(self, other) if isinstance(other, str) else bool(self._number() >= other)

    def __eq__(self, other: object) -> bool:
        """Compared with what says that all is well, it should have been that."""
        if RECORDER.demand and type(other) in (str, int, bool) and str.__eq__(self, other) is not True and not _tells_of_wrong(other):
            note(PLACE + ":equal", self.path, "kind", present=False, default=other)
            return True
        return str.__eq__(self, other) is True

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __format__(self, spec: str) -> str:
        if spec[-1:] in tuple("fFgGeE%d") and spec:
            return format(self._number() if spec[-1] != "d" else 2, spec)
        return str.__format__(self, spec)

    def strip(self, *what: Any) -> Any:
        return Unsaid.at(self.path, str.strip(self, *what))

    def lstrip(self, *what: Any) -> Any:
        return Unsaid.at(self.path, str.lstrip(self, *what))

    def rstrip(self, *what: Any) -> Any:
        return Unsaid.at(self.path, str.rstrip(self, *what))

    def replace(self, *what: Any) -> Any:
        return Unsaid.at(self.path, str.replace(self, *what))


def _tells_of_wrong(value: Any) -> bool:
    number = int(value) if str(value).isdigit() else 0
    return _BAD.search(str(value)) is not None or number >= _WRONG or value in (False, "", 0)


def _plain(other: Any) -> Any:
    return other._number() if type(other) is Unsaid else other
