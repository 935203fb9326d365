"""Owns the hooks of asyncpg: a subclass in the place of its protocol, and where its connections lead."""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any

from . import pg_server
from .pg_notes import SAMPLE, Running, bound_of, failed, many_of
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

_NO_DATABASE = "3D000"
_COUNT = re.compile(r"(\d+)$")
_ENDS = re.compile(r"\s*(COMMIT|ROLLBACK)\s*;?\s*$")
_BEGINS = re.compile(r"BEGIN\b[^;]*;$")
"""As the driver's own transactions begin; the prototype's own BEGIN has no semicolon, mostly, and is a statement."""
_OWN = (
    "SELECT pg_advisory_unlock_all();",
    "CLOSE ALL;",
    "UNLISTEN *;",
    "RESET ALL;",
)
"""Begins what a pool runs when a connection comes back."""
_JIT = re.compile(r"\s*SELECT\s+(current_setting\('jit'\) AS cur|set_config\('jit')")
_NEUTRAL = {
    "password": "-",
    "passfile": None,
    "ssl": False,
    "direct_tls": False,
    "target_session_attrs": "any",
    "service": None,
    "servicefile": None,
}
"""What has to do with the way to a server; not every release knows all of it."""
_asked: set[str] = set()
"""What the driver asks about types."""
_opened: set[weakref.ref[Any]] = set()
_ask: Any = None
"""The driver's own way of sending a simple query."""


def hook(module: Any) -> None:
    """Put the hooks in place."""
    _asked.update(value for value in vars(module.introspection).values() if isinstance(value, str) and "SELECT" in value)
    _lead(module.connect_utils)
    protocol: ModuleType = module.protocol
    _trace(protocol)


def _lead(utils: Any) -> None:
    real_parse, real_connect = utils._parse_connect_arguments, utils._connect

    def parse(**given: Any) -> Any:
        told = pg_server.parsed(str(given["dsn"])) if given.get("dsn") else {}
        database = given.get("database") or told.get("database") or told.get("dbname")
        meant = {**told, **{name: given.get(name) for name in ("host", "port", "user") if given.get(name)}, "database": database}
        to = pg_server.server()
        if to is None:
            host, port = pg_server.address(meant)
            raise ConnectionRefusedError(111, "Connect call failed " + repr((host, port)))
        names = pg_server.names(meant)
        to.admit(*names)
        given.update(dsn=None, host=to.folder, port=to.port, user=to.user, database=names[0])
        given.update((name, value) for name, value in _NEUTRAL.items() if name in given)
        given["server_settings"] = _settings(told, given.get("server_settings"))
        return real_parse(**given)

    async def connect(*args: Any, **given: Any) -> Any:
        try:
            return _noted(await real_connect(*args, **given))
        except Exception as error:
            to = pg_server.server()
            if to is None or getattr(error, "sqlstate", None) != _NO_DATABASE:
                raise
            to.forget()
            return _noted(await real_connect(*args, **given))

    utils._parse_connect_arguments, utils._connect = parse, connect


def _settings(told: dict[str, Any], given: Any) -> dict[str, str] | None:
    """Settings of the session: those of a URL that have nothing to do with the way there, and the prototype's own."""
    settings = {name: value for name, value in told.items() if not pg_server.of_the_way(name) and name != "dbname"}
    settings.update(given or {})
    if "options" in settings:
        settings["options"] = pg_server.options_of(str(settings["options"]))
        if not settings["options"]:
            del settings["options"]
    return settings or None


def _noted(connection: Any) -> Any:
    _opened.add(weakref.ref(connection, _opened.discard))
    return connection


def _trace(protocol: Any) -> None:
    global _ask
    theirs = protocol.Protocol
    _ask = theirs.query

    class Protocol(theirs):  # type: ignore[misc, valid-type]
        """Records what it sends."""

        _toughen_portals: dict[str, Running] | None = None

        def prepare(self, stmt_name: Any, query: Any, *args: Any, **keywords: Any) -> Any:
            call = super().prepare(stmt_name, query, *args, **keywords)
            return _prepared(query, call) if RECORDER.sql and not _by_the_driver(query) else call

        def query(self, query: Any, *args: Any, **keywords: Any) -> Any:
            call = super().query(query, *args, **keywords)
            if not RECORDER.sql or _by_the_driver(query):
                return call
            found = _ENDS.match(query)
            if found and not self.is_in_transaction():
                return call
            return _noted_call(self, found.group(1) if found else query, [], call)

        def bind_execute(self, state: Any, args: Any, portal_name: Any, *rest: Any, **keywords: Any) -> Any:
            call = super().bind_execute(state, args, portal_name, *rest, **keywords)
            if not RECORDER.sql or _by_the_driver(state.query):
                return call
            return _noted_call(self, state.query, bound_of("", args)[0], call, portal=portal_name)

        def bind_execute_many(self, state: Any, args: Any, *rest: Any, **keywords: Any) -> Any:
            if not RECORDER.sql:
                return super().bind_execute_many(state, args, *rest, **keywords)
            sets, bound = many_of("", args)
            call = super().bind_execute_many(state, sets, *rest, **keywords)
            return _noted_call(self, state.query, bound, call, many=len(sets))

        def bind(self, state: Any, args: Any, portal_name: Any, *rest: Any, **keywords: Any) -> Any:
            call = super().bind(state, args, portal_name, *rest, **keywords)
            if not RECORDER.sql:
                return call
            return _noted_call(self, state.query, bound_of("", args)[0], call, portal=portal_name)

        def execute(self, state: Any, portal_name: Any, *rest: Any, **keywords: Any) -> Any:
            call = super().execute(state, portal_name, *rest, **keywords)
            running = (self._toughen_portals or {}).get(portal_name)
            return call if running is None else _more(running, call)

        def copy_in(self, copy_stmt: Any, *args: Any, **keywords: Any) -> Any:
            call = super().copy_in(copy_stmt, *args, **keywords)
            return _noted_call(self, copy_stmt, [], call) if RECORDER.sql else call

        def copy_out(self, copy_stmt: Any, *args: Any, **keywords: Any) -> Any:
            call = super().copy_out(copy_stmt, *args, **keywords)
            return _noted_call(self, copy_stmt, [], call) if RECORDER.sql else call

        def close(self, *args: Any, **keywords: Any) -> Any:
            call = super().close(*args, **keywords)
            # An open transaction is lost when its connection closes.
            return _noted_call(self, "ROLLBACK", [], call) if RECORDER.sql and self.is_in_transaction() else call

        def abort(self) -> Any:
            if RECORDER.sql and self.is_in_transaction():
                _begin(self, "ROLLBACK", []).end()
            return super().abort()

    Protocol.__qualname__, Protocol.__module__ = "Protocol", theirs.__module__
    protocol.Protocol = Protocol


def _by_the_driver(query: str) -> bool:
    return query in _asked or query.startswith(_OWN) or bool(_BEGINS.match(query) or _JIT.match(query))


def _begin(protocol: Any, text: str, bound: list[Any]) -> Running:
    return Running(text, bound, None, 0 if RECORDER.gate is None else int(protocol.get_server_pid()))


async def _prepared(text: str, call: Any) -> Any:
    """A statement that the server does not understand never runs, but it was sent."""
    try:
        return await call
    except Exception as error:
        failed(text, error)
        raise


async def _noted_call(
    protocol: Any, text: str, bound: list[Any], call: Any, *, portal: str = "", many: int | None = None
) -> Any:
    """Record one statement, pass the gate, run it."""
    try:
        running = _begin(protocol, text, bound)
    except BaseException:
        call.close()
        raise
    if many is not None:
        running.note["many"] = many
    if running.fails:
        call.close()
        call = _query(protocol, running.fails)
    try:
        result = await call
    except BaseException as error:
        running.fail(error)
        raise
    rows, status = _parts(result)
    running.end(_rows(rows, status, many))
    if portal:
        portals = protocol._toughen_portals = protocol._toughen_portals or {}
        portals[portal] = running
        running.note["rows"] = len(rows) if rows is not None else 0
    _sample(running, rows)
    return result


def _query(protocol: Any, text: str) -> Any:
    return _ask(protocol, text, None) if _ask is not None else None


async def _more(running: Running, call: Any) -> Any:
    result = await call
    rows, _ = _parts(result)
    if rows:
        running.note["rows"] += len(rows)
        if "sample" not in running.note:
            _sample(running, rows)
    return result


def _parts(result: Any) -> tuple[list[Any] | None, str | None]:
    """(rows, status of the command) of what the protocol gives back."""
    if isinstance(result, str):
        return None, result
    if isinstance(result, tuple) and len(result) > 1:
        rows, status = result[0], result[1]
        return rows, status.decode() if isinstance(status, bytes) else status
    return (result, None) if isinstance(result, list) else (None, None)


def _rows(rows: list[Any] | None, status: str | None, many: int | None) -> int | None:
    if rows:
        return len(rows)
    count = _COUNT.search(status) if status else None
    if count:
        return int(count.group(1))
    return 0 if rows is not None and many is None else None


def _sample(running: Running, rows: Iterable[Any] | None) -> None:
    if RECORDER.sql > 1 and rows:
        first = list(rows)[:SAMPLE] if not isinstance(rows, list) else rows[:SAMPLE]
        try:
            running.sample(first[0].keys(), [row.values() for row in first])
        except Exception:
            return


def connections() -> list[Any]:
    """Connections that are open now."""
    return [held for held in [each() for each in list(_opened)] if held is not None and not held.is_closed()]

