"""Owns the hooks of aiomysql and asyncmy, which are PyMySQL made asynchronous: their classes are changed in place."""

from __future__ import annotations

import inspect
import weakref
from typing import Any, Callable

from . import my_server
from .my_notes import LATE, PATIENT, SIGNALS, Driver, Running, bound_of, heard, many_of, provoking, quiet, text_of
from .recorder import RECORDER

_IN_TRANSACTION = 1
_opened: set[weakref.ref[Any]] = set()
_queries: dict[str, Any] = {}
"""Each package's own way to run a statement."""
_errors: dict[str, Any] = {}


class _Async(Driver):
    """What they do in their own way."""

    def ask(self, connection: Any, statement: str) -> None:
        """Nothing is asked for before it can be waited for."""

    def open(self, connection: Any) -> bool:
        status = int(getattr(connection, "server_status", 0) or 0)
        return bool(not _closed(connection) and status & _IN_TRANSACTION)

    async def run_async(self, connection: Any, running: Running, call: Callable[[], Any]) -> Any:
        """Run a statement that is noted."""
        package = type(connection).__module__.partition(".")[0]
        try:
            if RECORDER.gate is not None and not getattr(connection, "_toughen_waits", False):
                connection._toughen_waits = connection._toughen_patient = True
                await _queries[package](connection, PATIENT)
            if running.fails:
                await self._provoke_async(connection, package, running.fails)
            result = await call()
        except BaseException as error:
            if running.gave_up(error):
                late: BaseException = _errors[package](LATE, SIGNALS[LATE][1])
                running.fail(late)
                raise late from error
            running.fail(error)
            raise
        running.end()
        return result

    async def _provoke_async(self, connection: Any, package: str, code: int) -> None:
        for statement in provoking(code):
            await _queries[package](connection, statement)

    async def ended_async(self, connection: Any, text: str, call: Callable[[], Any]) -> Any:
        """Run what ends a transaction; note it where one is open."""
        connection._toughen_wrote = False
        if not RECORDER.sql or not self.open(connection):
            return await call()
        return await self.run_async(connection, self.begin(connection, text, [], None), call)


DRIVER = _Async()


def hook_connection(module: Any) -> None:
    """Change a package's connection."""
    kind = module.Connection
    package = module.__name__.partition(".")[0]
    _queries[package] = kind.query
    _errors[package] = _error_of(module, package)
    real_init, real_commit, real_rollback, real_select = kind.__init__, kind.commit, kind.rollback, kind.select_db
    real_begin, real_close, real_cursor = kind.begin, kind.close, kind.cursor
    known = set(inspect.signature(real_init).parameters)

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        names = [name for name in inspect.signature(real_init).parameters if name != "self"]
        given = {name: value for name, value in {**dict(zip(names, args)), **keywords}.items() if value is not None}
        to = my_server.server()
        if to is None:
            raise _errors[package](*my_server.refusal(given))
        to.admit(my_server.database_of(given))
        told = my_server.led(given, to)
        if "database" in told and "database" not in known:
            told["db"] = told.pop("database")
        real_init(self, **told)
        _opened.add(weakref.ref(self, _opened.discard))

    async def commit(self: Any) -> Any:
        return await DRIVER.ended_async(self, "COMMIT", lambda: real_commit(self))

    async def rollback(self: Any) -> Any:
        return await DRIVER.ended_async(self, "ROLLBACK", lambda: real_rollback(self))

    async def begin(self: Any) -> Any:
        if not RECORDER.sql:
            return await real_begin(self)
        return await DRIVER.run_async(self, DRIVER.begin(self, "BEGIN", [], None), lambda: real_begin(self))

    async def select_db(self: Any, db: Any) -> Any:
        my_server.chosen("USE " + str(db))
        return await real_select(self, db)

    def close(self: Any) -> Any:
        if RECORDER.sql and DRIVER.open(self):
            # An open transaction is lost when its connection closes.
            DRIVER.begin(self, "ROLLBACK", [], None).end()
        return real_close(self)

    def cursor(self: Any, *cursors: Any) -> Any:
        wanted = [_traced(each) for each in cursors if each is not None] or [_traced(_default(self, module))]
        return real_cursor(self, *wanted)

    if package == "asyncmy":
        # Its cursors are compiled: they can be followed by others, and not be changed.
        kind.cursor = cursor
    for name, made in (("__init__", __init__), ("commit", commit), ("rollback", rollback), ("begin", begin), ("select_db", select_db), ("close", close)):
        setattr(kind, name, made)


def _error_of(module: Any, package: str) -> Any:
    found = getattr(module, "OperationalError", None)
    if found is None:
        from importlib import import_module

        found = import_module("pymysql.err" if package == "aiomysql" else package + ".errors").OperationalError
    return found


def _default(connection: Any, module: Any) -> Any:
    """The class of cursors that a connection was given."""
    return getattr(connection, "_cursor_cls", None) or module.Cursor


_made: dict[Any, Any] = {}


def _traced(kind: Any) -> Any:
    """A class that does what the caller's does, and tells of it."""
    if kind not in _made:
        made = type(kind.__name__, (kind,), {"__module__": kind.__module__})
        _hook_cursor(made)
        _made[kind] = _made[made] = made
    return _made[kind]


def hook_cursors(module: Any) -> None:
    """Change a package's cursors, where they can be changed."""
    if not module.__name__.startswith("asyncmy"):
        _hook_cursor(module.Cursor)


def _hook_cursor(kind: Any) -> None:
    real_execute, real_many = kind.execute, kind.executemany

    async def execute(self: Any, query: Any, args: Any = None) -> Any:
        query = my_server.read(query)
        if not RECORDER.sql or getattr(self, "_toughen_many", False) or quiet(query):
            result = await real_execute(self, query, args)
            heard(self.connection, query)
            return result
        text = text_of(query)
        bound, names = bound_of(text, args)
        return await _noted(self, text, bound, names, 0, lambda: real_execute(self, query, args))

    async def executemany(self: Any, query: Any, args: Any) -> Any:
        query = my_server.read(query)
        if not RECORDER.sql or not args:
            return await real_many(self, query, args)
        text = text_of(query)
        sets, bound = many_of(text, args)

        async def call() -> Any:
            self._toughen_many = True
            try:
                return await real_many(self, query, sets)
            finally:
                self._toughen_many = False

        return await _noted(self, text, bound, None, len(sets), call)

    kind.execute, kind.executemany = execute, executemany


async def _noted(cursor: Any, text: str, bound: list[Any], names: list[str] | None, many: int, call: Callable[[], Any]) -> Any:
    connection = cursor.connection
    if connection is None:
        # The cursor is closed; the driver says so in its own words.
        return await call()
    running = DRIVER.begin(connection, text, bound, names)
    if many:
        running.note["many"] = many
    result = await DRIVER.run_async(connection, running, call)
    heard(connection, text)
    running.fetched(cursor)
    return result


def _closed(connection: Any) -> bool:
    closed = getattr(connection, "closed", None)
    return bool(closed) if closed is not None else not getattr(connection, "connected", getattr(connection, "_connected", True))


def connections() -> list[Any]:
    """Connections that are open now."""
    return [held for held in [each() for each in list(_opened)] if held is not None and not _closed(held)]
