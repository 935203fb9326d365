"""Owns the executed lines of the project's own files, and exceptions that were caught there."""

from __future__ import annotations

import inspect
import sys
import threading
from typing import TYPE_CHECKING, Any, Callable

from . import frames
from .functions import own_function
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType, FunctionType

HANDLED = 3
LINES = 20000
"""Different lines kept of one request."""
_RAISED = 500

_GENERATOR = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


class _Run:
    """What one request executed."""

    def __init__(self) -> None:
        self.lines: dict[str, dict[int, None]] = {}
        self.count = 0
        self.handler: tuple[CodeType, int] | None = None
        """Last line of the route's handler, once it was entered."""
        self.guard: tuple[CodeType, int] | None = None
        """Last line outside the handler, and not in what tidies up afterwards."""
        self.refusal: tuple[CodeType, int] | None = None
        """Line at which the first exception left a function of the project before the handler was entered."""
        self.raised: dict[int, tuple[BaseException, frames.Place]] = {}


_run = _Run()
_handlers: set[CodeType] = set()
_aside: set[CodeType] = set()
"""Code that runs after or around every request: error handlers, after_request, teardown."""
_tracer: Callable[..., Any] | None = None


def install(app: Any) -> None:
    """Trace this thread and those that start from now on; once for a process."""
    global _tracer
    if _tracer is not None:
        return
    _know(app)
    monitoring = getattr(sys, "monitoring", None)
    if monitoring is not None:
        _tracer = _monitor(monitoring)
    else:
        _tracer = _trace
        threading.settrace(_trace)
        sys.settrace(_trace)


def begin() -> None:
    """Start a request."""
    global _run
    _run = _Run()


def end(error: BaseException | None) -> dict[str, Any]:
    """Tell the request's lines, its last line, and the exceptions that were caught in the project's code."""
    run = _run
    last = run.handler or run.refusal or run.guard
    escaped = set()
    while error is not None and id(error) not in escaped:
        escaped.add(id(error))
        error = error.__cause__ or error.__context__
    handled = [frames.failure(each, place) for key, (each, place) in run.raised.items() if key not in escaped]
    run.raised = {}
    place = None
    if last is not None:
        place = [frames.relative(last[0].co_filename), last[1], frames.name_of(last[0])]
    return {
        "lines": [[frames.relative(file), list(numbers)] for file, numbers in run.lines.items()],
        "last_line": place,
        "handled": handled[-HANDLED:],
    }


def handlers(app: Any) -> list[FunctionType]:
    """Return the functions of the project that answer its routes."""
    from . import facts

    targets: list[Any] = facts.endpoints(app)
    if app.flask is not None:
        targets += list(app.flask.view_functions.values())
    return list(_functions(targets))


def _know(app: Any) -> None:
    _handlers.update(function.__code__ for function in handlers(app))
    aside: list[Any] = []
    if app.starlette is not None:
        aside += list((getattr(app.starlette, "exception_handlers", None) or {}).values())
    flask = app.flask
    if flask is not None:
        for name in ("after_request_funcs", "teardown_request_funcs"):
            aside += [each for held in (getattr(flask, name, None) or {}).values() for each in held]
        aside += list(getattr(flask, "teardown_appcontext_funcs", None) or ())
        for codes in (getattr(flask, "error_handler_spec", None) or {}).values():
            aside += [each for kinds in codes.values() for each in kinds.values()]
    _aside.update(function.__code__ for function in _functions(aside))


def _functions(targets: list[Any]) -> Iterator[FunctionType]:
    for target in targets:
        kind = getattr(target, "view_class", None) or (target if isinstance(target, type) else None)
        methods = [getattr(kind, name, None) for name in ("get", "post", "put", "patch", "delete", "dispatch_request")]
        for each in methods if kind is not None else [target]:
            function = own_function(each) if each is not None else None
            if function is not None:
                yield function


def _line(code: CodeType, number: int) -> None:
    run = _run
    file = code.co_filename
    numbers = run.lines.get(file)
    if numbers is None:
        numbers = run.lines.setdefault(file, {})
    if number not in numbers and run.count < LINES:
        numbers[number] = None
        run.count += 1
    if code in _handlers:
        run.handler = (code, number)
    elif run.handler is None and not code.co_flags & _GENERATOR and code not in _aside:
        run.guard = (code, number)


def _raise(code: CodeType, number: int, error: BaseException) -> None:
    if isinstance(error, (StopIteration, StopAsyncIteration, GeneratorExit)):
        return
    run = _run
    if run.handler is None and run.refusal is None and not code.co_flags & _GENERATOR and code not in _aside:
        run.refusal = (code, number)
    if any(kind.__name__ == "HTTPException" for kind in type(error).__mro__):
        # An answer to the client, not an error that was swallowed.
        return
    if isinstance(error, Exception) and id(error) not in run.raised and len(run.raised) < _RAISED:
        run.raised[id(error)] = (error, [frames.relative(code.co_filename), number, frames.name_of(code)])


def _trace(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any] | None:
    """Trace function for every call; only frames of the project are traced line by line."""
    if event == "call" and frames.relative(frame.f_code.co_filename) is not None:
        return _local
    return None


def _local(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
    if RECORDER.lines:
        if event == "line":
            _line(frame.f_code, frame.f_lineno)
        elif event == "exception":
            _raise(frame.f_code, frame.f_lineno, argument[1])
    return _local


def _monitor(monitoring: Any) -> Callable[..., Any]:
    """Use sys.monitoring (3.12 and later): code of others costs nothing after its first call."""
    tool = next((each for each in (4, 3, 1, 0) if monitoring.get_tool(each) is None), None)
    if tool is None:
        threading.settrace(_trace)
        sys.settrace(_trace)
        return _trace
    events = monitoring.events
    monitoring.use_tool_id(tool, "toughen")

    def start(code: CodeType, _offset: int) -> Any:
        if frames.relative(code.co_filename) is not None:
            monitoring.set_local_events(tool, code, events.LINE)
        return monitoring.DISABLE

    def line(code: CodeType, number: int) -> Any:
        if RECORDER.lines:
            _line(code, number)

    def raised(code: CodeType, _offset: int, error: BaseException) -> Any:
        if RECORDER.lines and frames.relative(code.co_filename) is not None:
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code is not code:
                trace = trace.tb_next
            _raise(code, trace.tb_lineno if trace is not None else code.co_firstlineno, error)

    monitoring.register_callback(tool, events.PY_START, start)
    monitoring.register_callback(tool, events.LINE, line)
    monitoring.register_callback(tool, events.RAISE, raised)
    monitoring.set_events(tool, events.PY_START | events.RAISE)
    return start
