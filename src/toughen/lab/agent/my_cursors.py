"""Owns the hooks of drivers of MySQL that are alike: those of PyMySQL and mysqlclient, whose connections and cursors have the same methods."""

from __future__ import annotations

import weakref
from typing import Any, Callable

from . import my_server
from .my_notes import Driver, bound_of, heard, many_of, quiet, text_of
from .recorder import RECORDER


class Alike(Driver):
    """What is the same in both, beside what is each one's own way."""

    def __init__(self) -> None:
        """No connection is open yet."""
        self._opened: set[weakref.ref[Any]] = set()

    def after(self, connection: Any, text: str) -> None:
        """A statement went well."""
        heard(connection, text)

    def connections(self) -> list[Any]:
        """Connections that are open now."""
        held = [each() for each in list(self._opened)]
        return [each for each in held if each is not None and getattr(each, "open", True)]

    def connect(self, connection: Any, given: dict[str, Any], real: Callable[..., Any]) -> dict[str, Any]:
        """Open a connection, to the lab's server; the keywords that led there."""
        to = my_server.server()
        if to is None:
            raise self.error(*my_server.refusal(given))
        database = my_server.database_of(given)
        to.admit(database)
        told = my_server.led(given, to)
        try:
            real(connection, **told)
        except Exception as error:
            if not to.lost(error, database):
                raise
            real(connection, **told)
        self._opened.add(weakref.ref(connection, self._opened.discard))
        return told

    def hook_connection(self, kind: Any, plain: Any) -> None:
        """Change a class of connections; `plain` is the class of cursors for a `BEGIN`."""
        real_select = kind.select_db

        def begin(connection: Any) -> None:
            connection.cursor(plain).execute("BEGIN")

        def select_db(connection: Any, db: Any) -> Any:
            my_server.chosen("USE " + str(db))
            return real_select(connection, db)

        self.hook_ends(kind)
        kind.begin, kind.select_db = begin, select_db

    def hook_cursor(self, kind: Any) -> None:
        """Change a class of cursors."""
        real_execute, real_many, real_call = kind.execute, kind.executemany, kind.callproc

        def execute(cursor: Any, query: Any, args: Any = None) -> Any:
            query = my_server.read(query)
            if not RECORDER.sql or getattr(cursor, "_toughen_many", False) or quiet(query):
                result = real_execute(cursor, query, args)
                heard(cursor.connection, query)
                return result
            text = text_of(query)
            bound, names = bound_of(text, args)
            return self._noted(cursor, text, bound, names, 0, lambda: real_execute(cursor, query, args))

        def executemany(cursor: Any, query: Any, args: Any) -> Any:
            query = my_server.read(query)
            if not RECORDER.sql or not args:
                return real_many(cursor, query, args)
            text = text_of(query)
            sets, bound = many_of(text, args)

            def call() -> Any:
                cursor._toughen_many = True
                try:
                    return real_many(cursor, query, sets)
                finally:
                    cursor._toughen_many = False

            return self._noted(cursor, text, bound, None, len(sets), call)

        def callproc(cursor: Any, procname: Any, args: Any = ()) -> Any:
            if not RECORDER.sql:
                return real_call(cursor, procname, args)
            text = "CALL " + text_of(procname) + "(" + ",".join("%s" for _ in args) + ")"
            return self._noted(cursor, text, bound_of(text, args)[0], None, 0, lambda: real_call(cursor, procname, args))

        kind.execute, kind.executemany, kind.callproc = execute, executemany, callproc

    def _noted(self, cursor: Any, text: str, bound: list[Any], names: list[str] | None, many: int, call: Callable[[], Any]) -> Any:
        connection = cursor.connection
        if connection is None:
            # The cursor is closed; the driver says so in its own words.
            return call()
        running = self.begin(connection, text, bound, names)
        if many:
            running.note["many"] = many
        result = self.run(connection, running, call)
        self.after(connection, text)
        running.fetched(cursor)
        return result
