"""Owns errors that are put into the prototype's own handlers, as a slip in their first line would raise them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import lines

if TYPE_CHECKING:
    from types import CodeType, FunctionType

MESSAGE = "an error that nobody expected"
_COROUTINE, _YIELDS = 0x80, 0x20 | 0x200


def breaks(app: Any) -> None:
    """Have every handler of the app raise as soon as it is called; who calls it sees the same function as before."""
    if getattr(app, "django", None) is not None:
        _views(app.django)
        return
    for function in lines.handlers(app):
        code = _raising(function)
        if code is not None:
            function.__code__ = code


def _views(handler: Any) -> None:
    """Have Django call what raises in place of every view; many are methods of a library's."""

    def raising(*_: Any, **__: Any) -> Any:
        raise RuntimeError(MESSAGE)

    kind = type(handler)
    kind.make_view_atomic = lambda _handler, _view: raising


def _raising(function: FunctionType) -> CodeType | None:
    """Code that raises at the place where the function stands; None for what yields."""
    old = function.__code__
    if old.co_flags & _YIELDS:
        return None
    # A function's code can become another's only where both close over as many names: what is never reached names them.
    held = ["held_" + str(number) for number in range(len(old.co_freevars))]
    made = "async def" if old.co_flags & _COROUTINE else "def"
    raises = "; ".join(["raise RuntimeError(" + repr(MESSAGE) + ")", *held])
    head = "def outer(" + ", ".join(held) + "):\n " if held else ""
    lead = "\n" * max(old.co_firstlineno - (2 if held else 1), 0)
    code = compile(lead + head + made + " inner(*args, **keywords): " + raises, old.co_filename, "exec")
    for _ in range(2 if held else 1):
        code = next(each for each in code.co_consts if hasattr(each, "co_code"))
    names = {each: getattr(old, each) for each in ("co_name", "co_qualname") if hasattr(old, each)}
    named: CodeType = code.replace(**names)
    return named
