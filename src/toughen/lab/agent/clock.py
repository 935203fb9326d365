"""Owns the clock that the prototype reads: in one process, from now on, it shows another time.

Every loaded module that has the names of the standard library's clocks gets other ones; what a function imports only when it
runs goes by the real time. What they make is of the real classes, and the module `datetime` itself stays as it is: drivers,
pickle and whoever else looks at a value's type finds what it knows. The agent itself, timers and time-outs go by the
monotonic clock, and database servers by their own.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
import types
from typing import Any, Callable

_DATETIME, _DATE = dt.datetime, dt.date
_SECONDS = {name: getattr(time, name) for name in ("time", "gmtime", "localtime", "ctime")}
_NANOSECONDS = time.time_ns
_KEPT = {"time", "datetime", "_datetime", "_pydatetime", "_strptime", "toughen_agent", "copyreg", "pickle"}
"""Modules that make and compare the classes themselves, and ourselves."""
_offset = 0.0


def shift(seconds: float) -> None:
    """Put the clock forward, or back where negative."""
    global _offset
    done, _offset = _offset, seconds
    if done:
        return
    for name, function in {"time": _time, "time_ns": _time_ns, **{each: _of_now(each) for each in ("gmtime", "localtime", "ctime")}}.items():
        _stand_in(getattr(time, name), function)
        setattr(time, name, function)
    module = types.ModuleType("datetime")
    module.__dict__.update({**dt.__dict__, "datetime": _Datetime, "date": _Date})
    for known, other in ((_DATETIME, _Datetime), (_DATE, _Date), (dt, module)):
        _stand_in(known, other)


def _stand_in(known: Any, other: Any) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict) or str(names.get("__name__", "")).partition(".")[0] in _KEPT:
            continue
        for key, value in list(names.items()):
            if value is known:
                names[key] = other


def _time() -> float:
    return float(_SECONDS["time"]()) + _offset


def _time_ns() -> int:
    return _NANOSECONDS() + int(_offset * 1_000_000_000)


def _of_now(name: str) -> Callable[..., Any]:
    known = _SECONDS[name]

    def now(seconds: Any = None) -> Any:
        return known(_time() if seconds is None else seconds)

    return now


class _Same(type):
    """Their instances are those of the real classes."""

    def __instancecheck__(cls, value: object) -> bool:
        return isinstance(value, cls.__mro__[1])

    def __subclasscheck__(cls, other: Any) -> bool:
        return issubclass(other, cls.__mro__[1])


class _Datetime(dt.datetime, metaclass=_Same):
    """The class of the library, with another time as now."""

    def __new__(cls, *args: Any, **keywords: Any) -> Any:
        return _DATETIME(*args, **keywords)

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        return _DATETIME.now(tz) + dt.timedelta(seconds=_offset)

    @classmethod
    def utcnow(cls) -> Any:
        return _DATETIME.fromtimestamp(_time(), dt.timezone.utc).replace(tzinfo=None)

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _Date(dt.date, metaclass=_Same):
    """The class of the library, with another day as today."""

    def __new__(cls, *args: Any, **keywords: Any) -> Any:
        return _DATE(*args, **keywords)

    @classmethod
    def today(cls) -> Any:
        return _Datetime.now().date()
