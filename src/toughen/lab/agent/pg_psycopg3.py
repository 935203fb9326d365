"""Owns the hooks of psycopg 3: at its generators, which its synchronous and its asynchronous side share."""

from __future__ import annotations

import inspect
import weakref
from typing import TYPE_CHECKING, Any, Callable

from . import pg_server
from .pg_notes import SAMPLE, Running, bound_of, many_of, text_of
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

_TUPLES = 2
"""PGRES_TUPLES_OK"""
_IDLE = 0
_TOLD = ("COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PREPARE TRANSACTION")
"""Commands of the driver's own that change what is kept; its BEGIN, FETCH, CLOSE and DEALLOCATE do not."""
_driver: Any = None
_later: weakref.WeakKeyDictionary[Any, Running] = weakref.WeakKeyDictionary()
"""Statements by cursors whose rows come after the statement: cursors of the server's, and COPY."""
_opened: set[weakref.ref[Any]] = set()


def hook(module: ModuleType) -> None:
    """Put the hooks in place."""
    global _driver
    _driver = module
    for kind in (_driver.Connection, _driver.AsyncConnection):
        _lead(kind)
        _hook_close(kind)
    _driver.connect = _driver.Connection.connect
    for kind in (_driver.Cursor, _driver.AsyncCursor):
        _hook_many(kind)
    for kind in (_driver.Copy, _driver.AsyncCopy):
        _hook_finish(kind)
    for kind, name, wrap in (
        (_driver.Cursor, "_execute_gen", _statement),
        (_driver.Cursor, "_stream_send_gen", _started),
        (_driver.Cursor, "_stream_fetchone_gen", _streamed),
        (_driver.Cursor, "_start_copy_gen", _started),
        (_driver.ServerCursor, "_declare_gen", _started),
        (_driver.ServerCursor, "_fetch_gen", _fetch),
        (_driver.Connection, "_exec_command", _command),
    ):
        owner: Any = next((each for each in kind.__mro__ if name in vars(each)), None)
        if owner is not None:
            setattr(owner, name, wrap(vars(owner)[name]))


def _lead(kind: Any) -> None:
    """Have `connect` lead to the lab's server."""
    original = vars(kind)["connect"].__func__
    own = set(inspect.signature(original).parameters) - {"cls", "conninfo", "kwargs"}

    def prepared(conninfo: str, keywords: dict[str, Any]) -> tuple[pg_server.Server, dict[str, Any], tuple[str, str]]:
        given = {name: value for name, value in keywords.items() if name not in own}
        given = _driver.conninfo.conninfo_to_dict(conninfo, **given)
        to = pg_server.server()
        if to is None:
            raise _driver.OperationalError("connection failed: " + pg_server.refusal(given).rstrip())
        names = pg_server.names(given)
        to.admit(*names)
        kept = {name: value for name, value in keywords.items() if name in own}
        return to, {**kept, **pg_server.led(given, to)}, names

    def connect(cls: Any, conninfo: str = "", **keywords: Any) -> Any:
        to, led, names = prepared(conninfo, keywords)
        try:
            return _noted(original(cls, "", **led))
        except _driver.OperationalError as error:
            if not to.lost(error, *names):
                raise
            return _noted(original(cls, "", **led))

    async def connect_async(cls: Any, conninfo: str = "", **keywords: Any) -> Any:
        to, led, names = prepared(conninfo, keywords)
        try:
            return _noted(await original(cls, "", **led))
        except _driver.OperationalError as error:
            if not to.lost(error, *names):
                raise
            return _noted(await original(cls, "", **led))

    made: Any = connect_async if inspect.iscoroutinefunction(original) else connect
    made.__name__, made.__doc__ = "connect", original.__doc__
    kind.connect = classmethod(made)


def _noted(connection: Any) -> Any:
    _opened.add(weakref.ref(connection, _opened.discard))
    return connection


def _begin(connection: Any, text: str, bound: list[Any], names: list[str] | None = None) -> Running:
    return Running(text, bound, names, 0 if RECORDER.gate is None else pid_of(connection))


def _statement(original: Any) -> Any:
    def noted(self: Any, query: Any, params: Any, args: Any, keywords: Any) -> Generator[Any, Any, Any]:
        text, given = text_of(query, self, params)
        running = _begin(self._conn, text, *bound_of(text, given))
        try:
            if running.fails:
                query, params = running.fails, None
            result = yield from original(self, query, params, *args, **keywords)
        except BaseException as error:
            running.fail(error)
            raise
        _settle(self, running)
        return result

    def _execute_gen(self: Any, query: Any, params: Any = None, *args: Any, **keywords: Any) -> Any:
        if not RECORDER.sql:
            return original(self, query, params, *args, **keywords)
        return noted(self, query, params, args, keywords)

    return _execute_gen


def _settle(cursor: Any, running: Running) -> None:
    """Note the rows that came, which are all there already."""
    result = cursor.pgresult
    if result is None:
        running.end()
        return
    running.end(cursor.rowcount)
    if RECORDER.sql > 1 and result.status == _TUPLES and result.ntuples:
        _sample(cursor, result, running)


def _sample(cursor: Any, result: Any, running: Running) -> None:
    try:
        columns = [result.fname(number).decode() for number in range(result.nfields)]
        load = cursor._tx.load_row
        running.sample(columns, [load(number, tuple) for number in range(min(SAMPLE, result.ntuples))])
    except Exception:
        return


def _started(original: Any) -> Any:
    """A statement whose rows come later: COPY, a stream, a cursor of the server's."""

    def noted(self: Any, query: Any, params: Any, args: Any, keywords: Any) -> Generator[Any, Any, Any]:
        text, given = text_of(query, self, params)
        running = _begin(self._conn, text, *bound_of(text, given))
        try:
            result = yield from original(self, query, params, *args, **keywords)
        except BaseException as error:
            running.fail(error)
            raise
        running.end(0)
        _later[self] = running
        return result

    def started(self: Any, query: Any, params: Any = None, *args: Any, **keywords: Any) -> Any:
        _later.pop(self, None)
        if not RECORDER.sql:
            return original(self, query, params, *args, **keywords)
        return noted(self, query, params, args, keywords)

    return started


def _streamed(original: Any) -> Any:
    def _stream_fetchone_gen(self: Any, *args: Any, **keywords: Any) -> Generator[Any, Any, Any]:
        result = yield from original(self, *args, **keywords)
        _more(self, result)
        return result

    return _stream_fetchone_gen


def _hook_finish(kind: Any) -> None:
    """What a COPY moved is known when it is finished."""
    original: Callable[..., Any] = vars(kind)["finish"]

    def told(self: Any, error: BaseException | None) -> None:
        running = _later.pop(self.cursor, None)
        if running is None:
            return
        if error is not None:
            running.fail(error)
            return
        count, results = self.cursor.rowcount, self.cursor._results
        running.end(results[0].command_tuples if count < 0 and results else count)

    def finish(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            result = original(self, *args, **keywords)
        except BaseException as error:
            told(self, error)
            raise
        told(self, None)
        return result

    async def finish_async(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            result = await original(self, *args, **keywords)
        except BaseException as error:
            told(self, error)
            raise
        told(self, None)
        return result

    kind.finish = finish_async if inspect.iscoroutinefunction(original) else finish


def _fetch(original: Any) -> Any:
    def _fetch_gen(self: Any, *args: Any, **keywords: Any) -> Generator[Any, Any, Any]:
        rows = yield from original(self, *args, **keywords)
        _more(self, self.pgresult)
        return rows

    return _fetch_gen


def _more(cursor: Any, result: Any) -> None:
    """More rows of a statement came."""
    running = _later.get(cursor)
    count = getattr(result, "ntuples", 0)
    if running is not None and count:
        running.note["rows"] += count
        if RECORDER.sql > 1 and "sample" not in running.note:
            _sample(cursor, result, running)


def _command(original: Any) -> Any:
    def noted(self: Any, text: str, command: Any, args: Any, keywords: Any) -> Generator[Any, Any, Any]:
        running = _begin(self, text, [])
        try:
            result = yield from original(self, running.fails.encode() or command, *args, **keywords)
        except BaseException as error:
            running.fail(error)
            raise
        running.end()
        return result

    def _exec_command(self: Any, command: Any, *args: Any, **keywords: Any) -> Any:
        if RECORDER.sql:
            text = text_of(command, self, None)[0]
            if text.startswith(_TOLD):
                return noted(self, text, command, args, keywords)
        return original(self, command, *args, **keywords)

    return _exec_command


def _hook_many(kind: Any) -> None:
    """Rows and errors of many parameter sets come when the pipeline that they travel in ends."""
    original: Callable[..., Any] = vars(kind)["executemany"]

    def begun(self: Any, query: Any, params_seq: Any) -> tuple[Running, list[Any]]:
        text, _ = text_of(query, self, None)
        rows, bound = many_of(text, params_seq)
        running = _begin(self._conn, text, bound)
        running.note["many"] = len(rows)
        return running, rows

    def executemany(self: Any, query: Any, params_seq: Any, **keywords: Any) -> Any:
        if not RECORDER.sql:
            return original(self, query, params_seq, **keywords)
        running, rows = begun(self, query, params_seq)
        try:
            result = original(self, query, rows, **keywords)
        except BaseException as error:
            running.fail(error)
            raise
        running.end(self.rowcount)
        return result

    async def executemany_async(self: Any, query: Any, params_seq: Any, **keywords: Any) -> Any:
        if not RECORDER.sql:
            return await original(self, query, params_seq, **keywords)
        running, rows = begun(self, query, params_seq)
        try:
            result = await original(self, query, rows, **keywords)
        except BaseException as error:
            running.fail(error)
            raise
        running.end(self.rowcount)
        return result

    kind.executemany = executemany_async if inspect.iscoroutinefunction(original) else executemany


def _hook_close(kind: Any) -> None:
    """An open transaction is lost when its connection closes."""
    original: Callable[..., Any] = vars(kind)["close"]

    def begun(self: Any) -> Running | None:
        if not RECORDER.sql or self.closed or getattr(self, "_pool", None) is not None:
            return None
        return _begin(self, "ROLLBACK", []) if self.pgconn.transaction_status != _IDLE else None

    def close(self: Any) -> Any:
        running = begun(self)
        result = original(self)
        if running is not None:
            running.end()
        return result

    async def close_async(self: Any) -> Any:
        running = begun(self)
        result = await original(self)
        if running is not None:
            running.end()
        return result

    kind.close = close_async if inspect.iscoroutinefunction(original) else close


def pid_of(connection: Any) -> int:
    """The server's process that serves a connection."""
    return int(getattr(connection, "_toughen_pid", 0) or connection.pgconn.backend_pid)


def connections() -> list[Any]:
    """Connections that are open now."""
    return [held for held in [each() for each in list(_opened)] if held is not None and not held.closed]


def status_of(connection: Any) -> int:
    """The state of its transaction, as libpq counts."""
    return int(connection.pgconn.transaction_status)


def database_of(connection: Any) -> str:
    """The database that it is open to."""
    return str(connection.info.dbname)


def settings_of(connection: Any) -> dict[str, str]:
    """What its session began with."""
    return pg_server.session_of(connection.info.get_parameters(), connection.info.parameter_status("client_encoding"))


def ask(connection: Any, statement: str) -> list[Any]:
    """Rows of a statement that the prototype does not see."""
    result = connection.pgconn.exec_(statement.encode())
    return [[(result.get_value(row, column) or b"").decode() for column in range(2)] for row in range(result.ntuples)]


def renewed(connection: Any, pid: int) -> None:
    """It goes on with another process of the server's, which knows no prepared statement."""
    connection._toughen_pid = pid
    connection._prepared.clear()
