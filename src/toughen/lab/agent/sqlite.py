"""Owns the hooks of sqlite3: every statement, commit, rollback and fetched row of every connection."""

from __future__ import annotations

import os
import re
import sqlite3
import weakref
from typing import Any, Callable

from . import places
from .recorder import RECORDER, plain

_real_connect = sqlite3.connect
_Connection = sqlite3.Connection
_Cursor = sqlite3.Cursor
_execute = _Cursor.execute
_executemany = _Cursor.executemany
_executescript = _Cursor.executescript
_fetchone = _Cursor.fetchone
_fetchmany = _Cursor.fetchmany
_fetchall = _Cursor.fetchall
_next = _Cursor.__next__

SAMPLE = 3
"""Rows kept of each statement while frames are recorded."""
MANY = 20
"""Parameter sets kept of an executemany."""
GONE, FULL = "unable to open database file", "database or disk is full"  # sqlite.org/rescode.html#cantopen, #full
ROWS = 5000
"""Rows of one table of an in-memory database that are told."""
_FACTORY = 4
"""Index of `factory` among the positional arguments of connect, after the database."""
_TIMEOUT = 0
_URI = 6

_NAMED = re.compile(r"[:@$](\w+)")
_BUSY_TIMEOUT = re.compile(r"\s*pragma\s+busy_timeout\s*[=(]\s*(\d+)", re.IGNORECASE)
_simple = frozenset((int, bool, type(None)))
_opened: set[weakref.ref[Any]] = set()
"""What a WeakSet does, at a third of its cost for every connection."""
_classes: dict[tuple[type, type], type] = {}
_names: dict[str, list[str]] = {}
_seen: set[Any] = set()
"""Names of databases that are noted already, and the directories that they were opened from."""


def _bound(text: str, parameters: Any) -> tuple[list[Any], list[str] | None]:
    """Return bound values as JSON values; named ones in order of appearance, with their names."""
    if isinstance(parameters, dict):
        order = _names.get(text)
        if order is None:
            order = list(dict.fromkeys(_NAMED.findall(text)))
            if len(_names) < 2000:
                _names[text] = order
        names = [name for name in order if name in parameters]
        names += sorted(str(name) for name in parameters if name not in order)
        return [plain(parameters.get(name)) for name in names], names
    try:
        return [each if type(each) in _simple else plain(each) for each in parameters], None
    except TypeError:
        return [], None


def _run(
    text: Any, bound: list[Any], names: list[str] | None, call: Callable[..., Any], *arguments: Any
) -> tuple[Any, dict[str, Any]]:
    """Record one statement, pass the gate, run it; where it is locked out, let the lab decide."""
    index, note = RECORDER.statement(text if isinstance(text, str) else str(text), bound)
    if names is not None:
        note["names"] = names
    gate = RECORDER.gate
    fails = gate.wait(index, note) if gate is not None else ""
    while True:
        try:
            if fails:
                raise sqlite3.OperationalError(FULL)
            if RECORDER.down and RECORDER.gone(1) and text != "ROLLBACK" and _file_of(getattr(arguments[0], "connection", arguments[0])) != "":
                raise sqlite3.OperationalError(GONE)
            return call(*arguments), note
        except sqlite3.OperationalError as error:
            if gate is not None and "is locked" in str(error) and gate.blocked(index, str(error), commits=str(text).lstrip().upper().startswith(("COMMIT", "END"))):
                continue
            note["error"] = "sqlite3.OperationalError: " + str(error)
            raise
        except BaseException as error:
            note["error"] = type(error).__module__ + "." + type(error).__name__ + ": " + str(error)[:500]
            raise


class TracedCursor(_Cursor):
    """Records what it executes and how many rows are fetched from it."""

    _toughen: dict[str, Any] | None = None

    def execute(self, sql: Any, *parameters: Any) -> Any:
        if not RECORDER.sql:
            self._toughen = None
            return _execute(self, sql if RECORDER.gate is None else _obeyed(sql), *parameters)
        bound, names = _bound(sql, parameters[0]) if parameters else ([], None)
        obeyed = sql if RECORDER.gate is None else _obeyed(sql)
        result, note = _run(sql, bound, names, _execute, self, obeyed, *parameters)
        self._settle(note)
        return result

    def executemany(self, sql: Any, seq_of_parameters: Any) -> Any:
        if not RECORDER.sql:
            self._toughen = None
            return _executemany(self, sql, seq_of_parameters)
        rows = list(seq_of_parameters)
        bound = [_bound(sql, row)[0] for row in rows[:MANY]]
        result, note = _run(sql, bound, None, _executemany, self, sql, rows)
        note["many"] = len(rows)
        self._settle(note)
        return result

    def executescript(self, sql_script: Any) -> Any:
        if not RECORDER.sql:
            return _executescript(self, sql_script)
        connection = self.connection
        if connection.in_transaction and getattr(connection, "autocommit", -1) == -1:
            # What the C code does first, made visible.
            connection.commit()
        result, _ = _run(sql_script, [], None, _executescript, self, sql_script)
        self._toughen = None
        return result

    def _settle(self, note: dict[str, Any]) -> None:
        if self.description is None:
            count = self.rowcount
            note["rows"] = count if count >= 0 else None
            self._toughen = None
        else:
            note["rows"] = 0
            self._toughen = note

    def _fetched(self, rows: list[Any]) -> None:
        note = self._toughen
        if note is not None and rows:
            note["rows"] += len(rows)
            if RECORDER.sql > 1:
                sample = note.setdefault("sample", [])
                for row in rows[: SAMPLE - len(sample)]:
                    shown = _row(row, self.description)
                    if shown is not None:
                        sample.append(shown)

    def fetchone(self) -> Any:
        row = _fetchone(self)
        if row is not None and self._toughen is not None:
            self._fetched([row])
        return row

    def fetchmany(self, *args: Any, **keywords: Any) -> Any:
        rows = _fetchmany(self, *args, **keywords)
        if self._toughen is not None:
            self._fetched(rows)
        return rows

    def fetchall(self) -> Any:
        rows = _fetchall(self)
        if self._toughen is not None:
            self._fetched(rows)
        return rows

    def __next__(self) -> Any:
        """Return the next row, counted."""
        row = _next(self)
        if self._toughen is not None:
            self._fetched([row])
        return row


def _or_closed(cursor: Any, call: Callable[..., Any], *arguments: Any) -> Any:
    """Run statements on a cursor that nobody else holds, as `execute` does without a further call.

    An exception keeps our frames, and they would keep the cursor, whose statement keeps the database locked though the
    connection is closed; the C code lets go of its own.
    """
    try:
        return call(*arguments)
    except BaseException:
        cursor.close()
        raise


class TracedConnection(_Connection):
    """Gives traced cursors and records what ends a transaction."""

    def cursor(self, factory: Any = None) -> Any:
        if factory is None or factory is _Cursor:
            return _Connection.cursor(self, TracedCursor)
        if isinstance(factory, type):
            return _Connection.cursor(self, _traced(factory, TracedCursor))
        return _Connection.cursor(self, factory)

    def execute(self, sql: Any, *parameters: Any) -> Any:
        cursor = _Connection.cursor(self, TracedCursor) if type(self) is TracedConnection else self.cursor()
        try:
            return cursor.execute(sql, *parameters)
        except BaseException:
            cursor.close()
            raise

    def executemany(self, sql: Any, seq_of_parameters: Any) -> Any:
        cursor = self.cursor()
        return _or_closed(cursor, cursor.executemany, sql, seq_of_parameters)

    def executescript(self, sql_script: Any) -> Any:
        cursor = self.cursor()
        return _or_closed(cursor, cursor.executescript, sql_script)

    def commit(self) -> None:
        if RECORDER.sql and self.in_transaction:
            _run("COMMIT", [], None, _Connection.commit, self)
        else:
            _Connection.commit(self)

    def rollback(self) -> None:
        if RECORDER.sql and self.in_transaction:
            _run("ROLLBACK", [], None, _Connection.rollback, self)
        else:
            _Connection.rollback(self)

    def close(self) -> None:
        try:
            pending = bool(RECORDER.sql) and self.in_transaction and getattr(self, "autocommit", -1) == -1
        except sqlite3.Error:
            pending = False
        if pending:
            # An open transaction is lost when its connection closes.
            _run("ROLLBACK", [], None, _Connection.close, self)
        else:
            _Connection.close(self)

    def __exit__(self, kind: Any, value: Any, trace: Any) -> Any:
        """Commit or roll back as the C code does, through the methods that are traced."""
        if kind is None and value is None and trace is None:
            try:
                self.commit()
            except BaseException:
                if self.in_transaction:
                    self.rollback()
                raise
        else:
            self.rollback()
        return False


def _traced(theirs: type, ours: type) -> type:
    """Return the caller's class with ours behind it, so that its own overrides run first and call ours by super()."""
    if issubclass(theirs, ours):
        return theirs
    made = _classes.get((theirs, ours))
    if made is None:
        try:
            made = type(theirs.__name__, (theirs, ours), {"__module__": theirs.__module__})
        except TypeError:
            made = theirs
        _classes[(theirs, ours)] = made
    return made


def _row(row: Any, description: Any) -> dict[str, Any] | None:
    if isinstance(row, dict):
        return {str(key): plain(value) for key, value in row.items()}
    try:
        if isinstance(row, (tuple, list, sqlite3.Row)):
            return {column[0]: plain(value) for column, value in zip(description, tuple(row))}
    except Exception:
        return None
    return None


def _obeyed(sql: Any) -> Any:
    """Return the statement that really runs: in a gated child nobody waits for a lock but the lab."""
    if isinstance(sql, str):
        asked = _BUSY_TIMEOUT.match(sql)
        if asked:
            return "SELECT " + asked.group(1) + " AS timeout"
    return sql


def connect(database: Any, *args: Any, **keywords: Any) -> Any:
    """Open a connection of a traced class; everything else is as the caller wants it."""
    positional = list(args)
    uri = bool(positional[_URI] if len(positional) > _URI else keywords.get("uri"))
    if len(positional) > _FACTORY:
        positional[_FACTORY] = _traced_connection(positional[_FACTORY])
    else:
        keywords["factory"] = _traced_connection(keywords.get("factory"))
    if RECORDER.gate is not None:
        if positional:
            positional[_TIMEOUT] = 0
        else:
            keywords["timeout"] = 0
    if RECORDER.gone() and places.path_of(database, uri) not in ("", ":memory:"):
        raise sqlite3.OperationalError(GONE)
    try:
        connection = _real_connect(database, *positional, **keywords)
    except sqlite3.OperationalError:
        path = places.path_of(database, uri)
        if not places.made_room(path) and (uri or not (database := places.nearest(path))):
            raise
        connection = _real_connect(database, *positional, **keywords)
    _opened.add(weakref.ref(connection, _opened.discard))
    try:
        # A relative name means another file in another directory.
        known = (database, uri, "" if str(database)[:1] == "/" else os.getcwd())
        if known not in _seen:
            RECORDER.databases.setdefault(("sqlite", places.path_of(database, uri)))
            if len(_seen) < 1000:
                _seen.add(known)
    except (OSError, TypeError, ValueError):
        return connection
    return connection


def _traced_connection(factory: Any) -> Any:
    if factory is None or factory is _Connection:
        return TracedConnection
    if isinstance(factory, type) and issubclass(factory, _Connection):
        return _traced(factory, TracedConnection)
    return factory


def install() -> None:
    """Put the hooks in place; before the prototype is imported."""
    from sqlite3 import dbapi2

    sqlite3.connect = connect
    dbapi2.connect = connect


def _connections() -> list[Any]:
    """Connections that are there still."""
    return [held for held in [each() for each in list(_opened)] if held is not None]


def busy_connections() -> list[str]:
    """Files of connections that are in a transaction now."""
    busy = []
    for connection in _connections():
        try:
            if connection.in_transaction and getattr(connection, "autocommit", -1) in (-1, True):
                busy.append(_file_of(connection) or ":memory:")
        except sqlite3.Error:
            continue
    return busy


def held() -> str:
    """Say that a connection to a file is open; empty where none is."""
    return "a connection to a database is open" if any(_file_of(each) for each in _connections()) else ""


def never_wait() -> None:
    """Make connections that exist already give up at once instead of waiting for a lock."""
    for connection in _connections():
        try:
            _Connection.execute(connection, "PRAGMA busy_timeout=0")
        except sqlite3.Error:
            continue


def memory_tables() -> dict[str, list[dict[str, Any]]] | None:
    """Rows of in-memory databases by table, None where none is open or readable from this thread."""
    tables: dict[str, list[dict[str, Any]]] | None = None
    for connection in _connections():
        if _file_of(connection) != "":
            continue
        try:
            names = [row[0] for row in _raw(connection, "SELECT name FROM sqlite_master WHERE type='table'")[0]]
            tables = {} if tables is None else tables
            for name in names:
                if name.startswith("sqlite_"):
                    continue
                quoted = '"' + name.replace('"', '""') + '"'
                rows, columns = _raw(connection, "SELECT * FROM " + quoted + " LIMIT " + str(ROWS))
                told = [dict(zip(columns, (plain(value) for value in row))) for row in rows]
                if told or name not in tables:
                    tables[name] = told
        except sqlite3.Error:
            continue
    return tables


def _file_of(connection: Any) -> str | None:
    """File of a connection's main database, "" in memory, None when it is closed or another thread's."""
    try:
        return str(_raw(connection, "PRAGMA database_list")[0][0][2] or "")
    except (sqlite3.Error, IndexError):
        return None


def _raw(connection: Any, sql: str) -> tuple[list[Any], list[str]]:
    cursor = _Connection.cursor(connection, _Cursor)
    cursor.row_factory = None
    _execute(cursor, sql)
    return _fetchall(cursor), [column[0] for column in cursor.description or ()]
