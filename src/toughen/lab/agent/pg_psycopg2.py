"""Owns the hooks of psycopg2: its classes give way to subclasses that lead to the lab's server and record."""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any, Callable

from . import pg_server
from .pg_notes import NAMED, SAMPLE, Running, bound_of, many_of, text_of
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_IDLE = 0
_opened: set[weakref.ref[Any]] = set()
_mogrified: dict[bytes, tuple[str, Any]] = {}
"""What values were written into by the driver itself, and the text and values that it was made from."""
_REMEMBERED = 2000
_driver: Any = None
_base: Any = None
_connection: Any = None
"""The driver's own classes."""
_PAGE = 100


class Cursor:
    """What our cursors do; the driver's own class stands behind it."""

    _toughen_fetched: Running | None = None
    """A statement whose rows stay with the server until they are fetched."""
    _toughen_page: tuple[str, list[Any], int] | None = None
    """Text, values and number of the parameter sets that the driver's `extras` write into one statement."""

    def execute(self: Any, query: Any, vars: Any = None) -> Any:
        if not RECORDER.sql:
            return super().execute(query, vars)  # type: ignore[misc]
        many = self._toughen_page
        if many is None:
            text, given = _told(query, self, vars)
            bound, names = bound_of(text, given)
        else:
            (text, bound, count), names = many, None
        running = _begin(self.connection, text, bound, names)
        if many is not None:
            running.note["many"] = count
        return _statement(self, running, super().execute, query, vars)  # type: ignore[misc]

    def executemany(self: Any, query: Any, vars_list: Any) -> Any:
        if not RECORDER.sql:
            return super().executemany(query, vars_list)  # type: ignore[misc]
        text, _ = text_of(query, self, None)
        rows, bound = many_of(text, vars_list)
        running = _begin(self.connection, text, bound, None)
        running.note["many"] = len(rows)
        return _statement(self, running, super().executemany, query, rows)  # type: ignore[misc]

    def callproc(self: Any, procname: Any, *parameters: Any) -> Any:
        if not RECORDER.sql:
            return super().callproc(procname, *parameters)  # type: ignore[misc]
        given = parameters[0] if parameters and parameters[0] is not None else ()
        text = "SELECT * FROM " + str(procname) + "(" + ",".join("%s" for _ in given) + ")"
        bound = bound_of(text, list(given.values()) if hasattr(given, "values") else given)[0]
        running = _begin(self.connection, text, bound, None)
        return _statement(self, running, super().callproc, procname, *parameters)  # type: ignore[misc]

    def copy_expert(self: Any, sql: Any, *args: Any, **keywords: Any) -> Any:
        return _copied(self, text_of(sql, self, None)[0], super().copy_expert, sql, *args, **keywords)  # type: ignore[misc]

    def copy_from(self: Any, file: Any, table: Any, *args: Any, **keywords: Any) -> Any:
        columns = keywords.get("columns")
        text = "COPY " + str(table) + (" (" + ", ".join(columns) + ")" if columns else "") + " FROM STDIN"
        return _copied(self, text, super().copy_from, file, table, *args, **keywords)  # type: ignore[misc]

    def copy_to(self: Any, file: Any, table: Any, *args: Any, **keywords: Any) -> Any:
        text = "COPY " + str(table) + " TO STDOUT"
        return _copied(self, text, super().copy_to, file, table, *args, **keywords)  # type: ignore[misc]

    def mogrify(self: Any, query: Any, vars: Any = None) -> Any:
        made = super().mogrify(query, vars)  # type: ignore[misc]
        if RECORDER.sql and vars is not None and b"'" in made:
            if len(_mogrified) >= _REMEMBERED:
                _mogrified.clear()
            _mogrified[made] = text_of(query, self, vars)
        return made

    def fetchone(self: Any) -> Any:
        row = super().fetchone()  # type: ignore[misc]
        if self._toughen_fetched is not None and row is not None:
            _fetched(self, [row])
        return row

    def fetchmany(self: Any, *args: Any, **keywords: Any) -> Any:
        rows = super().fetchmany(*args, **keywords)  # type: ignore[misc]
        if self._toughen_fetched is not None:
            _fetched(self, rows)
        return rows

    def fetchall(self: Any) -> Any:
        rows = super().fetchall()  # type: ignore[misc]
        if self._toughen_fetched is not None:
            _fetched(self, rows)
        return rows

    def __next__(self: Any) -> Any:
        """Return the next row, counted."""
        row = super().__next__()  # type: ignore[misc]
        if self._toughen_fetched is not None:
            _fetched(self, [row])
        return row


class Connection:
    """What our connections do; the driver's own class stands behind it."""

    _toughen_pid = 0
    """The server's process, where it is another one than the driver knows."""

    def __init__(self: Any, dsn: Any, *args: Any, **keywords: Any) -> None:
        """Open it: to the lab's server, whatever the prototype says."""
        given = _driver.extensions.parse_dsn(dsn)
        to = pg_server.server()
        if to is None:
            raise _driver.OperationalError(pg_server.refusal(given))
        names = pg_server.names(given)
        to.admit(*names)
        led = _driver.extensions.make_dsn(**pg_server.led(given, to))
        try:
            super().__init__(led, *args, **keywords)  # type: ignore[call-arg]
        except _driver.OperationalError as error:
            if not to.lost(error, *names):
                raise
            super().__init__(led, *args, **keywords)  # type: ignore[call-arg]
        _opened.add(weakref.ref(self, _opened.discard))

    def cursor(self: Any, name: Any = None, cursor_factory: Any = None, *args: Any, **keywords: Any) -> Any:
        factory = _traced(cursor_factory or self.cursor_factory or Cursor, Cursor)
        return super().cursor(name, factory, *args, **keywords)  # type: ignore[misc]

    def commit(self: Any) -> Any:
        return _ended(self, "COMMIT", super().commit)  # type: ignore[misc]

    def rollback(self: Any) -> Any:
        return _ended(self, "ROLLBACK", super().rollback)  # type: ignore[misc]

    def close(self: Any) -> Any:
        # An open transaction is lost when its connection closes.
        return _ended(self, "ROLLBACK", super().close)  # type: ignore[misc]


_ours: dict[type, type] = {}
"""Our classes by what they do."""
_made: dict[tuple[type, type], Any] = {}


def _traced(theirs: Any, does: type) -> Any:
    """The caller's class with ours behind it, so that its own overrides run first and reach ours by super()."""
    ours = _ours[does]
    if theirs is does or theirs is ours.__bases__[1]:
        return ours
    if not isinstance(theirs, type) or issubclass(theirs, ours):
        return theirs
    made = _made.get((theirs, ours))
    if made is None:
        try:
            made = type(theirs.__name__, (theirs, ours), {"__module__": theirs.__module__})
        except TypeError:
            made = theirs
        _made[(theirs, ours)] = made
    return made


def _told(query: Any, cursor: Any, given: Any) -> tuple[str, Any]:
    """Text and values; what the driver itself wrote into the text before is told as values."""
    if not _mogrified or given is not None:
        return text_of(query, cursor, given)
    whole = query if isinstance(query, bytes) else text_of(query, cursor, None)[0].encode()
    known = sorted((each for each in _mogrified if each in whole), key=len, reverse=True)
    if not known:
        return text_of(query, cursor, None)
    values: list[Any] = []

    def undone(found: re.Match[bytes]) -> bytes:
        text, bound = _mogrified[found.group()]
        if hasattr(bound, "keys"):
            values.extend(bound[name] for name in NAMED.findall(text))
            return NAMED.sub("%s", text).encode()
        values.extend(bound)
        return text.encode()

    told = re.sub(b"|".join(re.escape(each) for each in known), undone, whole)
    return told.decode("utf-8", "replace"), values


def _begin(connection: Any, text: str, bound: list[Any], names: list[str] | None) -> Running:
    return Running(text, bound, names, 0 if RECORDER.gate is None else pid_of(connection))


def _statement(cursor: Any, running: Running, call: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Run a statement that is noted; note its rows."""
    cursor._toughen_fetched = None
    try:
        if running.fails:
            _provoke(cursor.connection, running.fails)
        result = call(*args, **keywords)
    except BaseException as error:
        running.fail(error)
        raise
    if cursor.name is not None:
        running.end(0)
        cursor._toughen_fetched = running
        return result
    running.end(cursor.rowcount)
    if RECORDER.sql > 1 and cursor.description and cursor.rowcount > 0:
        _sample(cursor, running)
    return result


def _fetched(cursor: Any, rows: list[Any]) -> None:
    """More rows of a cursor of the server's came."""
    running = cursor._toughen_fetched
    if rows:
        running.note["rows"] += len(rows)
        if RECORDER.sql > 1 and "sample" not in running.note:
            running.sample([column[0] for column in cursor.description], rows)


def _sample(cursor: Any, running: Running) -> None:
    """Look at the first rows, which are there already, and go back to before them."""
    factory = cursor.row_factory
    try:
        cursor.row_factory = None
        rows = _base.fetchmany(cursor, SAMPLE)
        cursor.scroll(0, "absolute")
        running.sample([column[0] for column in cursor.description], rows)
    except Exception:
        return
    finally:
        cursor.row_factory = factory


def _copied(cursor: Any, text: str, call: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    if not RECORDER.sql:
        return call(*args, **keywords)
    return _statement(cursor, _begin(cursor.connection, text, [], None), call, *args, **keywords)


def _ended(connection: Any, text: str, call: Callable[[], Any]) -> Any:
    """Run what ends a transaction; note it where one is open."""
    if not RECORDER.sql or connection.closed or connection.get_transaction_status() == _IDLE:
        return call()
    running = _begin(connection, text, [], None)
    try:
        if running.fails:
            _provoke(connection, running.fails)
        result = call()
    except BaseException as error:
        running.fail(error)
        raise
    running.end()
    return result


def _provoke(connection: Any, text: str) -> None:
    """Have the server fail, within the connection's own transaction."""
    with _connection.cursor(connection, cursor_factory=_base) as cursor:
        _base.execute(cursor, text)


def pid_of(connection: Any) -> int:
    """The server's process that serves a connection."""
    return int(connection._toughen_pid or connection.get_backend_pid())


def hook(module: ModuleType) -> None:
    """Put our classes in the place of psycopg2's."""
    global _base, _connection, _driver
    _driver = module
    _base, _connection = _driver.extensions.cursor, _driver.extensions.connection
    inner, extensions = _driver._psycopg, _driver.extensions
    for name, does in (("cursor", Cursor), ("connection", Connection)):
        theirs = getattr(extensions, name)
        _ours[does] = type(name, (does, theirs), {"__module__": "psycopg2.extensions"})
        for place in (inner, extensions):
            setattr(place, name, _ours[does])
    real_connect = _driver._connect

    def _connect(dsn: Any, connection_factory: Any = None, *args: Any, **keywords: Any) -> Any:
        factory = _traced(connection_factory or Connection, Connection)
        return real_connect(dsn, factory, *args, **keywords)

    _driver._connect = inner._connect = _connect


def hook_extras(module: Any) -> None:
    """Have the helpers that write many parameter sets into one statement say so."""
    real_values, real_batch = module.execute_values, module.execute_batch

    def execute_values(
        cur: Any, sql: Any, argslist: Any, template: Any = None, page_size: int = _PAGE, fetch: bool = False
    ) -> Any:
        if not RECORDER.sql:
            return real_values(cur, sql, argslist, template, page_size, fetch)
        found: list[Any] = []
        text = text_of(sql, cur, None)[0]
        for page in _pages(argslist, page_size):
            row = text_of(template, cur, None)[0] if template else "(" + ", ".join("%s" for _ in page[0]) + ")"
            cur._toughen_page = _page(text.replace("%s", row, 1), page)
            try:
                found += real_values(cur, sql, page, template, page_size, fetch) or ()
            finally:
                cur._toughen_page = None
        return found if fetch else None

    def execute_batch(cur: Any, sql: Any, argslist: Any, page_size: int = _PAGE) -> Any:
        if not RECORDER.sql:
            return real_batch(cur, sql, argslist, page_size)
        text = text_of(sql, cur, None)[0]
        for page in _pages(argslist, page_size):
            cur._toughen_page = _page(text, page)
            try:
                real_batch(cur, sql, page, page_size)
            finally:
                cur._toughen_page = None
        return None

    module.execute_values, module.execute_batch = execute_values, execute_batch


def _page(text: str, page: list[Any]) -> tuple[str, list[Any], int]:
    return text, many_of(text, page)[1], len(page)


def _pages(sets: Any, size: int) -> Iterator[list[Any]]:
    page: list[Any] = []
    for each in sets:
        page.append(each)
        if len(page) >= size:
            yield page
            page = []
    if page:
        yield page


def connections() -> list[Any]:
    """Connections that are open now."""
    return [held for held in [each() for each in list(_opened)] if held is not None and not held.closed]


def status_of(connection: Any) -> int:
    """The state of its transaction, as libpq counts."""
    return int(connection.get_transaction_status())


def database_of(connection: Any) -> str:
    """The database that it is open to."""
    return str(connection.get_dsn_parameters()["dbname"])


def settings_of(connection: Any) -> dict[str, str]:
    """What its session began with."""
    return pg_server.session_of(connection.get_dsn_parameters(), str(connection.get_parameter_status("client_encoding")))


def ask(connection: Any, statement: str) -> list[Any]:
    """Rows of a statement that the prototype does not see."""
    cursor = _base(connection)
    try:
        cursor.execute(statement)
        return list(cursor.fetchall())
    finally:
        _connection.rollback(connection)


def renewed(connection: Any, pid: int) -> None:
    """It goes on with another process of the server's."""
    connection._toughen_pid = pid
