"""Owns the hooks of mysqlclient (MySQLdb): its Python classes are changed in place."""

from __future__ import annotations

from typing import Any

from .my_cursors import Alike

_POSITIONS = ("host", "user", "password", "database", "port", "unix_socket")
_base: Any = None
_kind: Any = None
_real_init: Any = None


class _Mysqlclient(Alike):
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

    def after(self, connection: Any, text: str) -> None:
        super().after(connection, text)
        word = text.lstrip()[:3].upper()
        if word in ("COM", "ROL"):
            connection._toughen_begun = False
        elif word in ("BEG", "STA") or not connection.get_autocommit():
            connection._toughen_begun = True

    def error(self, code: int, message: str) -> BaseException:
        made: BaseException = _kind.OperationalError(code, message)
        return made


DRIVER = _Mysqlclient()


def hook_connections(module: Any) -> None:
    """Change its connection."""
    global _base, _kind, _real_init
    _kind, _base = module.Connection, module._mysql.connection
    _real_init = _kind.__init__

    def __init__(self: Any, *args: Any, **keywords: Any) -> None:
        self._toughen_told = DRIVER.connect(self, {**dict(zip(_POSITIONS, args)), **keywords}, _real_init)

    _kind.__init__ = __init__
    DRIVER.hook_connection(_kind, None)


def hook_cursors(module: Any) -> None:
    """Change its cursors."""
    DRIVER.hook_cursor(module.BaseCursor)


def connections() -> list[Any]:
    """Connections that are open now."""
    return DRIVER.connections()


def descriptor(connection: Any) -> int:
    """The number of its socket."""
    return int(connection.fileno())


def row(connection: Any, statement: str) -> Any:
    """The one row that a statement has."""
    _base.query(connection, statement.encode())
    return connection.store_result().fetch_row()[0]


def renew(connection: Any, settings: dict[str, Any]) -> None:
    """Give it a session of this process's own."""
    told = dict(connection._toughen_told)
    if settings.get("database"):
        told["database"] = settings["database"]
    # It begins anew in the same object; the shared socket is left alone, and nobody speaks on it.
    _real_init(connection, **told)
    if "autocommit" in settings and bool(connection.get_autocommit()) != settings["autocommit"]:
        connection.autocommit(settings["autocommit"])
