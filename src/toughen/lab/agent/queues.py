"""Owns tasks that the prototype hands to workers of its own (Celery): no broker is there, and whoever waits for a task's result has it done at once.

A broker counts as a service of the world outside. As long as it is well, a task that is handed over counts as handed over: it is
written as it would be sent, and nobody works on it. Where a trial has the broker fail, Celery itself meets that.
"""

from __future__ import annotations

import importlib
import uuid
from typing import TYPE_CHECKING, Any, Callable
from urllib.parse import urlsplit

from . import faults
from .recorder import RECORDER

if TYPE_CHECKING:
    from types import ModuleType

    from .hooks import Finder

KEPT = 1000
"""Tasks that are remembered for whoever asks for their results."""
_INSIDE = ("memory", "filesystem", "sqla", "sqlalchemy", "pyamqp+memory")
"""Transports that need nobody outside."""
_PORTS = {"redis": 6379, "rediss": 6379, "sentinel": 26379, "sqs": 443}
_FAILS = (faults.REFUSED, faults.UNKNOWN, faults.HANGS, "reset")
"""What befalls a connection whatever is spoken on it; the rest is said in HTTP."""
_BACKENDS = {"celery.backends.redis": ("RedisBackend",), "celery.backends.rpc": ("RPCBackend",)}
"""Keepers of results that are servers."""
_PENDING: dict[str, Any] = {"status": "PENDING", "result": None, "traceback": None, "children": []}
_given: dict[str, tuple[Any, str, Any, Any]] = {}
_done: dict[str, dict[str, Any]] = {}


def register(finder: Finder) -> None:
    """Name the modules that are hooked when the prototype imports them."""
    finder.when("celery.app.base", take)
    finder.when("celery.app.control", take_control)
    for name, kinds in _BACKENDS.items():
        finder.when(name, _keeper(kinds))


def take(module: ModuleType) -> None:
    """Whatever Celery sends counts as sent; a task that is done at once by the project's own settings never comes here."""
    app: Any = vars(module)["Celery"]
    original = app.send_task

    def send_task(self: Any, name: str, args: Any = None, kwargs: Any = None, *rest: Any, **keywords: Any) -> Any:
        kind = _fails(self, "TASK " + name)
        if kind == _INSIDE[0]:
            return original(self, name, args, kwargs, *rest, **keywords)
        if kind and not _tries_again(self, "TASK " + name):
            return _met(kind, original, self, name, args, kwargs, *rest, **keywords)
        _written(self, args, kwargs, keywords.get("serializer"))
        number = str(keywords.get("task_id") or uuid.uuid4())
        if len(_given) < KEPT:
            _given[number] = (self, name, args, kwargs)
        return (keywords.get("result_cls") or self.AsyncResult)(number)

    app.send_task = send_task


def take_control(module: ModuleType) -> None:
    """Of workers that are told or asked something none answers: nobody works."""
    control: Any = vars(module)["Control"]
    original = control.broadcast

    def broadcast(self: Any, command: str, *args: Any, **keywords: Any) -> Any:
        kind = _fails(self.app, "CONTROL " + command)
        if kind == _INSIDE[0]:
            return original(self, command, *args, **keywords)
        if kind:
            return _met(kind, original, self, command, *args, **keywords)
        return [] if keywords.get("reply") else None

    control.broadcast = broadcast


def _fails(app: Any, what: str) -> str:
    """What befalls the connection to the broker that is opened now, which is noted; "" where it is well, `memory` where there is none."""
    scheme, host, port = broker(app)
    if scheme in _INSIDE:
        return _INSIDE[0]
    kind = faults.met(host) if RECORDER.active else ""
    if not kind or kind in _FAILS:
        _note(host, port, what)
    return kind if kind in _FAILS else ""


def broker(app: Any) -> tuple[str, str, int]:
    """(scheme, host, port) of the broker that the project names, as kombu reads it."""
    url = getattr(app.conf, "broker_write_url", None) or getattr(app.conf, "broker_url", None) or "amqp://"
    parts = urlsplit((url[0] if isinstance(url, (list, tuple)) else str(url)).partition(";")[0])
    scheme = parts.scheme.partition("+")[0]
    try:
        port = parts.port
    except ValueError:
        port = None
    return scheme, (parts.hostname or "localhost").lower(), port or _PORTS.get(scheme, 5672)


def _note(host: str, port: int, what: str) -> None:
    if RECORDER.active:
        told = {"host": host, "port": port, "request": what, "place": RECORDER.place(4), "after": len(RECORDER.statements), "behind": RECORDER.behind()}
        RECORDER.outgoing.append(told)


def _tries_again(app: Any, what: str) -> bool:
    """Whether the broker is well again before Celery gives up trying by itself."""
    times = (RECORDER.fault or {}).get("times") or 0
    policy = getattr(app.conf, "task_publish_retry_policy", None) or {}
    most = policy.get("max_retries", 3)
    if not times or not getattr(app.conf, "task_publish_retry", True) or (most is not None and times > most):
        return False
    _, host, port = broker(app)
    for _ in range(times):
        faults.met(host)
        _note(host, port, what)
    return True


def _met(kind: str, original: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Have Celery send it by itself, to a broker that fails so, by whatever address."""
    before, RECORDER.fault = RECORDER.fault, {"kind": kind, "host": "", "at": 0, "times": 0, "call": -1}
    try:
        return original(*args, **keywords)
    finally:
        RECORDER.fault = before


def _written(app: Any, args: Any, kwargs: Any, serializer: Any) -> None:
    """Write the task as it would be sent: what cannot be written (a row, an open file) fails here as there."""
    importlib.import_module("kombu").serialization.dumps((args or (), kwargs or {}, {}), serializer or app.conf.task_serializer)


def _keeper(kinds: tuple[str, ...]) -> Callable[[ModuleType], None]:
    def take_results(module: ModuleType) -> None:
        """Nobody has begun a task; whoever waits for one has it done."""
        for name in kinds:
            backend: Any = vars(module)[name]
            backend.get_task_meta = _meta
            backend.add_pending_result = backend.remove_pending_result = _as_it_is
            backend.wait_for_pending = _waited_for
            backend.on_task_call = _unless_failing(backend.on_task_call)

    return take_results


def _meta(self: Any, task_id: str, *_args: Any, **_keywords: Any) -> dict[str, Any]:
    del self
    return dict(_done.get(task_id) or {**_PENDING, "task_id": task_id})


def _as_it_is(self: Any, result: Any, *_args: Any, **_keywords: Any) -> Any:
    del self
    return result


def _unless_failing(original: Callable[..., Any]) -> Callable[..., Any]:
    def on_task_call(self: Any, producer: Any, task_id: str) -> Any:
        return original(self, producer, task_id) if RECORDER.fault else None

    return on_task_call


def _waited_for(self: Any, result: Any, timeout: Any = None, propagate: bool = True, callback: Any = None, **_keywords: Any) -> Any:
    """Do the task that is waited for, as its worker would have done; one that nobody gave is waited for in vain."""
    del self
    app, name, args, kwargs = _given.get(result.id) or (None, "", None, None)
    task = app.tasks.get(name) if app is not None else None
    if task is None:
        raise importlib.import_module("celery.exceptions").TimeoutError("The operation timed out.")
    made = task.apply(args, kwargs, task_id=result.id)
    result._cache = _done[result.id] = {**_PENDING, "task_id": result.id, "status": made.state, "result": made.result, "traceback": made.traceback}
    return result.maybe_throw(propagate=propagate, callback=callback)
