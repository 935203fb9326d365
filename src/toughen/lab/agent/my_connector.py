"""Owns the hooks of mysql-connector-python: its pure classes are changed in place, and stand for those in C."""

from __future__ import annotations

import os
import weakref
from typing import Any, Callable

from . import my_server
from .my_notes import Driver, Running, bound_of, heard, many_of, quiet, text_of
from .recorder import RECORDER

_COLLATION = "utf8mb4_unicode_ci"
_opened: set[weakref.ref[Any]] = set()
_errors: Any = None
_kind: Any = None
_query: Any = None


class _Connector(Driver):
    """What mysql-connector-python does in its own way."""

    def pid(self, connection: Any) -> int:
        return int(connection.connection_id or 0)

    def open(self, connection: Any) -> bool:
        return bool(getattr(connection, "_socket", None) and connection.in_transaction)

    def ask(self, connection: Any, statement: str) -> None:
        _query(connection, statement)

    def error(self, code: int, message: str) -> BaseException:
        made: BaseException = _errors.get_mysql_exception(code, message, "HY000")
        return made


DRIVER = _Connector()


def hook_connect(module: Any) -> None:
    """Give its pure connections to those, too, who ask for the ones in C."""
    real = getattr(module, "connect", None)
    if real is None or getattr(real, "_toughen_pure", False):
        return

    def connect(*args: Any, **keywords: Any) -> Any:
        keywords.pop("use_pure", None)
        return real(*args, **keywords)

    connect._toughen_pure = True  # type: ignore[attr-defined]
    module.connect = connect


def hook_connection(module: Any) -> None:
    """Change its connection."""
    global _errors, _kind, _query
    from mysql.connector import errors  # type: ignore[import-not-found, unused-ignore]

    _errors, _kind = errors, module.MySQLConnection
    _query = _kind._execute_query
    real_config, real_open, real_rows = _kind.config, _kind._open_connection, _kind.get_rows
    real_init_db, real_info, real_reset = _kind.cmd_init_db, _kind.info_query, _kind.cmd_reset_connection

    def config(self: Any, **given: Any) -> None:
        to = my_server.server()
        if to is None:
            raise _errors.DatabaseError(errno=my_server.REFUSED, msg=my_server.refusal(given)[1])
        told = my_server.led(given, to)
        told.update({name: given[name] for name in ("conn_attrs",) if name in given})
        if to.mariadb and "collation" not in told:
            # Its own default is one that only MySQL 8 knows.
            told["collation"] = _COLLATION
        real_config(self, **told)

    def _open_connection(self: Any) -> None:
        to = my_server.server()
        if to is None:
            raise _errors.DatabaseError(errno=my_server.REFUSED, msg=my_server.refusal({})[1])
        if not self._unix_socket:
            # Nobody configured it: `MySQLConnection()` and then `connect()`.
            config(self)
        database = str(self._database or "")
        to.admit(database)
        try:
            real_open(self)
        except _errors.Error as error:
            if not to.lost(error, database):
                raise
            real_open(self)
        _opened.add(weakref.ref(self, _opened.discard))

    def cmd_init_db(self: Any, database: str) -> Any:
        my_server.chosen("USE " + str(database))
        return real_init_db(self, database)

    def get_rows(self: Any, *args: Any, **keywords: Any) -> Any:
        found = real_rows(self, *args, **keywords)
        running = getattr(self, "_toughen_fetched", None)
        if running is not None and not getattr(self, "_toughen_asking", False):
            running.rows((running.note["rows"] or 0) + len(found[0]))
        return found

    def info_query(self: Any, query: Any) -> Any:
        # What the driver asks for itself, in the middle of a statement too.
        before, self._toughen_asking = getattr(self, "_toughen_asking", False), True
        try:
            return real_info(self, query)
        finally:
            self._toughen_asking = before

    def cmd_reset_connection(self: Any) -> Any:
        # What a pool does with a connection that comes back; its session is as new.
        told = DRIVER.ended(self, "ROLLBACK", lambda: real_reset(self))
        self._toughen_patient = False
        return told

    DRIVER.hook_ends(_kind)
    _kind.disconnect = _kind.close
    _kind.info_query, _kind.cmd_reset_connection = info_query, cmd_reset_connection
    _kind.config, _kind._open_connection = config, _open_connection
    _kind.get_rows, _kind.cmd_init_db = get_rows, cmd_init_db


def hook_cursor(module: Any) -> None:
    """Change its cursors, all that have a way of their own."""
    for kind in list(vars(module).values()):
        if isinstance(kind, type) and kind.__module__ == module.__name__ and kind.__name__.startswith("MySQLCursor"):
            for name, make in _MADE.items():
                if name in vars(kind):
                    setattr(kind, name, make(vars(kind)[name]))


def _execute(real: Callable[..., Any]) -> Callable[..., Any]:
    def execute(self: Any, operation: Any, params: Any = None, *args: Any, **keywords: Any) -> Any:
        operation = my_server.read(operation)
        given = () if params is None else params
        if not RECORDER.sql or getattr(self, "_toughen_many", False) or quiet(operation) or _asking(self):
            result = real(self, operation, given, *args, **keywords)
            if not _asking(self):
                heard(self._connection, operation)
            return result
        text = text_of(operation)
        bound, names = bound_of(text, given)
        return _noted(self, text, bound, names, 0, lambda: real(self, operation, given, *args, **keywords))

    return execute


def _asking(cursor: Any) -> bool:
    """Whether the driver asks for itself, or has nobody to ask: a cursor does not keep its connection, and a closed one has none."""
    try:
        return cursor._connection is None or bool(getattr(cursor._connection, "_toughen_asking", False))
    except ReferenceError:
        return True


def _executemany(real: Callable[..., Any]) -> Callable[..., Any]:
    def executemany(self: Any, operation: Any, seq_params: Any) -> Any:
        operation = my_server.read(operation)
        if not RECORDER.sql or not seq_params or getattr(self, "_toughen_many", False) or _asking(self):
            return real(self, operation, seq_params)
        text = text_of(operation)
        sets, bound = many_of(text, seq_params)
        return _noted(self, text, bound, None, len(sets), lambda: real(self, operation, sets))

    return executemany


def _callproc(real: Callable[..., Any]) -> Callable[..., Any]:
    def callproc(self: Any, procname: Any, args: Any = ()) -> Any:
        if not RECORDER.sql or _asking(self):
            return real(self, procname, args)
        text = "CALL " + str(procname) + "(" + ",".join("%s" for _ in args) + ")"
        return _noted(self, text, bound_of(text, args)[0], None, 0, lambda: real(self, procname, args))

    return callproc


def _fetch(real: Callable[..., Any]) -> Callable[..., Any]:
    def fetch(self: Any, *args: Any, **keywords: Any) -> Any:
        found = real(self, *args, **keywords)
        running = getattr(self, "_toughen_running", None)
        if running is not None and RECORDER.sql > 1 and found and "sample" not in running.note and self.description:
            rows = found if isinstance(found, list) else [found]
            running.sample([column[0] for column in self.description], rows)
        return found

    return fetch


_MADE = {"execute": _execute, "executemany": _executemany, "callproc": _callproc, "fetchone": _fetch, "fetchmany": _fetch, "fetchall": _fetch}


def _noted(cursor: Any, text: str, bound: list[Any], names: list[str] | None, many: int, call: Callable[[], Any]) -> Any:
    connection = cursor._connection
    running: Running = DRIVER.begin(connection, text, bound, names)
    if many:
        running.note["many"] = many
    connection._toughen_fetched = running

    def nested() -> Any:
        # What it does by its own `execute` is one statement of the prototype's.
        cursor._toughen_many = True
        try:
            return call()
        finally:
            cursor._toughen_many = False

    result = DRIVER.run(connection, running, nested)
    heard(connection, text)
    cursor._toughen_running = running
    if running.note["rows"] is None:
        running.rows(0 if cursor.description else int(cursor.rowcount))
    return result


def connections() -> list[Any]:
    """Connections that are open now."""
    held = [each() for each in list(_opened)]
    return [each for each in held if each is not None and getattr(each, "_socket", None) and each._socket.sock is not None]


def descriptor(connection: Any) -> int:
    """The number of its socket."""
    return int(connection._socket.sock.fileno())


def row(connection: Any, statement: str) -> Any:
    """The one row that a statement has."""
    if connection.unread_result:
        connection.get_rows()
    return connection.info_query(statement)


def renew(connection: Any, settings: dict[str, Any]) -> None:
    """Give it a session of this process's own."""
    os.close(connection._socket.sock.detach())
    if settings.get("database"):
        connection._database = settings["database"]
    connection._open_connection()
    connection._post_connection()
    if "autocommit" in settings:
        connection.autocommit = settings["autocommit"]
