"""Owns the hooks of mysqlclient (MySQLdb): its Python classes are changed in place."""

from __future__ import annotations

import weakref
from typing import Any

from . import my_server
from .my_notes import Driver, bound_of, heard, many_of, quiet, text_of
from .recorder import RECORDER

_POSITIONS = ("host", "user", "password", "database", "port", "unix_socket")
_opened: set[weakref.ref[Any]] = set()
_base: Any = None
_kind: Any = None
_real_init: Any = None


class _Mysqlclient(Driver):
    """What mysqlclient does in its own way: it does not tell whether a transaction is open, so that is remembered."""

    def open(self, connection: Any) -> bool:
        if not getattr(connection, "_toughen_begun", False):
            return False
        connection._toughen_begun = False
        return True

    def ask(self, connection: Any, statement: str) -> None:
        _base.query(connection, statement.encode())
        result = connection.store_result()
        del result

    def error(self, code: int, message: str) -> BaseException:
        made: BaseException = _kind.OperationalError(code, message)
        return made


DRIVER = _Mysqlclient()


def hook_connections(module: Any) -> None:
    """Change its connection."""
    global _base, _kind, _real_init
    _kind = module.Connection
    _base = module._mysql.connection
    _real_init = _kind.__init__
    real_close = _kind.close

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        given = {**dict(zip(_POSITIONS, args)), **keywords}
        to = my_server.server()
        if to is None:
            raise _kind.OperationalError(*my_server.refusal(given))
        database = my_server.database_of(given)
        to.admit(database)
        told = my_server.led(given, to)
        try:
            _real_init(self, **told)
        except _kind.OperationalError as error:
            if not to.lost(error, database):
                raise
            _real_init(self, **told)
        self._toughen_told = told
        _opened.add(weakref.ref(self, _opened.discard))

    def commit(self: Any) -> Any:
        return DRIVER.ended(self, "COMMIT", lambda: _base.commit(self))

    def rollback(self: Any) -> Any:
        return DRIVER.ended(self, "ROLLBACK", lambda: _base.rollback(self))

    def close(self: Any) -> Any:
        # An open transaction is lost when its connection closes.
        return DRIVER.ended(self, "ROLLBACK", lambda: real_close(self))

    def begin(self: Any) -> Any:
        self.cursor().execute("BEGIN")

    def select_db(self: Any, db: Any) -> Any:
        my_server.chosen("USE " + str(db))
        return _base.select_db(self, db)

    _kind.__init__, _kind.commit, _kind.rollback, _kind.close = __init__, commit, rollback, close
    _kind.begin, _kind.select_db = begin, select_db


def hook_cursors(module: Any) -> None:
    """Change its cursors."""
    kind = module.BaseCursor
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
        text = "CALL " + text_of(procname) + "(" + ",".join("%s" for _ in args) + ")"
        return _noted(self, text, bound_of(text, args)[0], None, 0, lambda: real_call(self, procname, args))

    kind.execute, kind.executemany, kind.callproc = execute, executemany, callproc


def _noted(cursor: Any, text: str, bound: list[Any], names: list[str] | None, many: int, call: Any) -> Any:
    connection = cursor.connection
    running = DRIVER.begin(connection, text, bound, names)
    if many:
        running.note["many"] = many
    result = DRIVER.run(connection, running, call)
    heard(connection, text)
    word = text.lstrip()[:3].upper()
    if word in ("COM", "ROL"):
        connection._toughen_begun = False
    elif word in ("BEG", "STA") or not connection.get_autocommit():
        connection._toughen_begun = True
    running.rows(int(cursor.rowcount))
    rows = getattr(cursor, "_rows", None)
    if RECORDER.sql > 1 and rows and cursor.description and isinstance(rows, (list, tuple)):
        running.sample([column[0] for column in cursor.description], rows)
    return result


def connections() -> list[Any]:
    """Connections that are open now."""
    held = [each() for each in list(_opened)]
    return [each for each in held if each is not None and getattr(each, "open", True)]


def descriptor(connection: Any) -> int:
    """The number of its socket."""
    return int(connection.fileno())


def settings_of(connection: Any) -> dict[str, Any]:
    """What its session is like."""
    _base.query(connection, b"SELECT DATABASE()")
    rows = connection.store_result().fetch_row()
    name = rows[0][0] if rows else None
    return {"database": name.decode() if isinstance(name, bytes) else name, "autocommit": bool(connection.get_autocommit())}


def renew(connection: Any, settings: dict[str, Any]) -> None:
    """Give it a session of this process's own."""
    told = dict(connection._toughen_told)
    if settings.get("database"):
        told["database"] = settings["database"]
    # It begins anew in the same object; the shared socket is left alone, and nobody speaks on it.
    _real_init(connection, **told)
    if "autocommit" in settings and bool(connection.get_autocommit()) != settings["autocommit"]:
        connection.autocommit(settings["autocommit"])
