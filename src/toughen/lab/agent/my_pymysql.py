"""Owns the hooks of PyMySQL: its classes are changed in place, so that subclasses and those who hold them see ours."""

from __future__ import annotations

import inspect
import os
import weakref
from typing import TYPE_CHECKING, Any

from . import my_server
from .my_notes import Driver, bound_of, heard, many_of, quiet, text_of
from .recorder import RECORDER

if TYPE_CHECKING:
    from types import ModuleType

_IN_TRANSACTION = 1
_opened: set[weakref.ref[Any]] = set()
_driver: Any = None
_query: Any = None


class _PyMySQL(Driver):
    """What PyMySQL does in its own way."""

    def open(self, connection: Any) -> bool:
        return bool(connection.open and connection.server_status & _IN_TRANSACTION)

    def ask(self, connection: Any, statement: str) -> None:
        _query(connection, statement)

    def error(self, code: int, message: str) -> BaseException:
        made: BaseException = _driver.err.OperationalError(code, message)
        return made


DRIVER = _PyMySQL()


def hook(module: ModuleType) -> None:
    """Change PyMySQL's classes."""
    global _driver, _query
    _driver = module
    connections, cursors = _driver.connections, _driver.cursors
    _query = connections.Connection.query
    _hook_connection(connections.Connection)
    _hook_cursor(cursors.Cursor)


def _hook_connection(kind: Any) -> None:
    real_init, real_commit, real_rollback, real_close = kind.__init__, kind.commit, kind.rollback, kind.close
    real_select = kind.select_db
    signature = inspect.signature(real_init)

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        given = _given(signature, self, args, keywords)
        to = my_server.server()
        if to is None:
            raise _driver.err.OperationalError(*my_server.refusal(given))
        database = my_server.database_of(given)
        to.admit(database)
        told = my_server.led(given, to)
        try:
            real_init(self, **told)
        except _driver.err.OperationalError as error:
            if not to.lost(error, database):
                raise
            real_init(self, **told)
        _opened.add(weakref.ref(self, _opened.discard))

    def commit(self: Any) -> Any:
        return DRIVER.ended(self, "COMMIT", lambda: real_commit(self))

    def rollback(self: Any) -> Any:
        return DRIVER.ended(self, "ROLLBACK", lambda: real_rollback(self))

    def close(self: Any) -> Any:
        # An open transaction is lost when its connection closes.
        return DRIVER.ended(self, "ROLLBACK", lambda: real_close(self))

    def begin(self: Any) -> Any:
        return self.cursor(_driver.cursors.Cursor).execute("BEGIN") and None

    def select_db(self: Any, db: Any) -> Any:
        my_server.chosen("USE " + str(db))
        return real_select(self, db)

    kind.__init__, kind.commit, kind.rollback, kind.close = __init__, commit, rollback, close
    kind.begin, kind.select_db = begin, select_db


def _given(signature: inspect.Signature, self: Any, args: Any, keywords: Any) -> dict[str, Any]:
    """The keywords of a connection, whether they were named or not."""
    if not args:
        return dict(keywords)
    given = dict(signature.bind_partial(self, *args, **keywords).arguments)
    given.pop("self", None)
    return {**given.pop("kwargs", {}), **given}


def _hook_cursor(kind: Any) -> None:
    real_execute, real_many, real_call = kind.execute, kind.executemany, kind.callproc

    def execute(self: Any, query: Any, args: Any = None) -> Any:
        query = my_server.read(query)
        if not RECORDER.sql or getattr(self, "_toughen_many", False) or quiet(query):
            result = real_execute(self, query, args)
            heard(self.connection, query)
            return result
        text = text_of(query)
        bound, names = bound_of(text, args)
        return _noted(self, text, bound, names, 0, lambda: real_execute(self, query, args))

    def executemany(self: Any, query: Any, args: Any) -> Any:
        query = my_server.read(query)
        if not RECORDER.sql or not args:
            return real_many(self, query, args)
        text = text_of(query)
        sets, bound = many_of(text, args)

        def call() -> Any:
            self._toughen_many = True
            try:
                return real_many(self, query, sets)
            finally:
                self._toughen_many = False

        return _noted(self, text, bound, None, len(sets), call)

    def callproc(self: Any, procname: Any, args: Any = ()) -> Any:
        if not RECORDER.sql:
            return real_call(self, procname, args)
        text = "CALL " + str(procname) + "(" + ",".join("%s" for _ in args) + ")"
        return _noted(self, text, bound_of(text, args)[0], None, 0, lambda: real_call(self, procname, args))

    kind.execute, kind.executemany, kind.callproc = execute, executemany, callproc


def _noted(cursor: Any, text: str, bound: list[Any], names: list[str] | None, many: int, call: Any) -> Any:
    connection = cursor.connection
    running = DRIVER.begin(connection, text, bound, names)
    if many:
        running.note["many"] = many
    result = DRIVER.run(connection, running, call)
    heard(connection, text)
    running.rows(int(cursor.rowcount))
    rows = getattr(cursor, "_rows", None)
    if RECORDER.sql > 1 and rows and cursor.description and isinstance(rows, (list, tuple)):
        running.sample([column[0] for column in cursor.description], rows)
    return result


def connections() -> list[Any]:
    """Connections that are open now."""
    return [held for held in [each() for each in list(_opened)] if held is not None and held.open]


def descriptor(connection: Any) -> int:
    """The number of its socket."""
    return int(connection._sock.fileno())


def settings_of(connection: Any) -> dict[str, Any]:
    """What its session is like."""
    _query(connection, "SELECT DATABASE()")
    rows = connection._result.rows
    return {"database": rows[0][0] if rows else None, "autocommit": bool(connection.get_autocommit())}


def renew(connection: Any, settings: dict[str, Any]) -> None:
    """Give it a session of this process's own."""
    held, connection._sock, connection._rfile = connection._sock, None, None
    os.close(held.detach())
    connection.connect()
    if settings.get("database"):
        _driver.connections.Connection.select_db(connection, settings["database"])
    if "autocommit" in settings and connection.get_autocommit() != settings["autocommit"]:
        connection.autocommit(settings["autocommit"])
