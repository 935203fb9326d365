"""Owns the search for the project's own function behind an endpoint: decorators, partials, views, resolvers."""

from __future__ import annotations

import functools
import inspect
import linecache
import re
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from . import frames

if TYPE_CHECKING:
    from collections.abc import Iterator

Spot = tuple[str, int, str]
"""(absolute file, line of the `def` or `class`, qualified name)."""

_WRAPPED = ("__wrapped__", "__func__", "func", "_fn", "fn", "function", "view_func")
_DECORATED = (
    "f",
    "fn",
    "func",
    "function",
    "view",
    "view_func",
    "handler",
    "wrapped",
    "method",
    "callback",
    "endpoint",
)
_DEPTH = 25


def own_function(target: Any) -> FunctionType | None:
    """Return the innermost function of the project behind an endpoint, None where all of it is a library's."""
    found: FunctionType | None = None
    for function in _chain(target):
        if frames.relative(function.__code__.co_filename) is not None:
            found = function
    return found


def _chain(target: Any) -> Iterator[FunctionType]:
    """Yield the function and what it decorates, outermost first."""
    seen = set()
    current: Any = target
    for _ in range(_DEPTH):
        if current is None or id(current) in seen:
            return
        seen.add(id(current))
        if isinstance(current, functools.partial):
            current = current.func
            continue
        if isinstance(current, FunctionType):
            yield current
            current = getattr(current, "__wrapped__", None) or _decorated(current)
            continue
        current = _held(current)


def _held(thing: Any) -> Any:
    for name in _WRAPPED:
        inner = inspect.getattr_static(thing, name, None)
        if inner is not None:
            value = getattr(thing, name, None)
            if callable(value):
                return value
    call = inspect.getattr_static(type(thing), "__call__", None)
    return call if isinstance(call, FunctionType) else None


def _decorated(function: FunctionType) -> Any | None:
    """Return the function that a decorator without functools.wraps hides in its closure."""
    code = function.__code__
    takes_all = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    foreign = frames.relative(code.co_filename) is None
    if not function.__closure__ or not (takes_all or foreign):
        return None
    held: list[tuple[str, Any]] = []
    for name, cell in zip(code.co_freevars, function.__closure__):
        try:
            value = cell.cell_contents
        except ValueError:
            continue
        if isinstance(value, (FunctionType, functools.partial)) or inspect.ismethod(value):
            held.append((name, value))
    named = [value for name, value in held if name in _DECORATED]
    if named:
        return named[0]
    return held[0][1] if len(held) == 1 else None


def spot(target: Any) -> Spot | None:
    """Place of a function's `def` or a class's `class` line in the project, None outside it."""
    if isinstance(target, type):
        return _class_spot(target)
    function = own_function(target)
    if function is None:
        return None
    return code_spot(function.__code__, getattr(function, "__qualname__", function.__name__))


def code_spot(code: CodeType, name: str) -> Spot:
    """Place of the `def` line: the code object itself begins at its first decorator."""
    wanted = re.compile(r"\s*(async\s+)?def\s+" + re.escape(code.co_name) + r"\b")
    first = code.co_firstlineno
    for line in range(first, first + 80):
        if wanted.match(linecache.getline(code.co_filename, line)):
            return code.co_filename, line, name
    return code.co_filename, first, name


def _class_spot(kind: type) -> Spot | None:
    file = class_file(kind)
    if file is None or frames.relative(file) is None:
        return None
    wanted = re.compile(r"\s*class\s+" + re.escape(kind.__name__) + r"\b")
    for number, line in enumerate(linecache.getlines(file), 1):
        if wanted.match(line):
            return file, number, kind.__qualname__
    return file, 1, kind.__qualname__


def class_file(kind: type) -> str | None:
    """File of the module that defines a class."""
    import sys

    module = sys.modules.get(getattr(kind, "__module__", "") or "")
    file = getattr(module, "__file__", None)
    return str(file) if file else None
