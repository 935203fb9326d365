"""Owns the hooks of PyMySQL: its classes are changed in place, so that subclasses and those who hold them see ours."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from .my_cursors import Alike

if TYPE_CHECKING:
    from types import ModuleType

_IN_TRANSACTION = 1
_driver: Any = None
_query: Any = None


class _PyMySQL(Alike):
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
    kind, cursor = _driver.connections.Connection, _driver.cursors.Cursor
    _query, real_init = kind.query, kind.__init__
    signature = inspect.signature(real_init)

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        DRIVER.connect(self, _given(signature, self, args, keywords), real_init)

    kind.__init__ = __init__
    DRIVER.hook_connection(kind, cursor)
    DRIVER.hook_cursor(cursor)


def _given(signature: inspect.Signature, self: Any, args: Any, keywords: Any) -> dict[str, Any]:
    """The keywords of a connection, whether they were named or not."""
    if not args:
        return dict(keywords)
    given = dict(signature.bind_partial(self, *args, **keywords).arguments)
    given.pop("self", None)
    return {**given.pop("kwargs", {}), **given}


def connections() -> list[Any]:
    """Connections that are open now."""
    return DRIVER.connections()


def descriptor(connection: Any) -> int:
    """The number of its socket."""
    return int(connection._sock.fileno())


def row(connection: Any, statement: str) -> Any:
    """The one row that a statement has."""
    _query(connection, statement)
    return connection._result.rows[0]


def renew(connection: Any, settings: dict[str, Any]) -> None:
    """Give it a session of this process's own."""
    held, connection._sock, connection._rfile = connection._sock, None, None
    os.close(held.detach())
    connection.connect()
    if settings.get("database"):
        _driver.connections.Connection.select_db(connection, settings["database"])
    if "autocommit" in settings and connection.get_autocommit() != settings["autocommit"]:
        connection.autocommit(settings["autocommit"])
