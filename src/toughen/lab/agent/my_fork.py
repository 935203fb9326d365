"""Owns connections to MySQL that are open when a process forks: each process goes on with a session of its own."""

from __future__ import annotations

from typing import Any

from . import links
from .my_server import server
from .my_wire import literal

_settings: dict[int, dict[str, Any]] = {}
"""What the sessions that are open are like, by their connections."""
_VARIABLES = ("sql_mode", "time_zone", "foreign_key_checks", "unique_checks", "innodb_lock_wait_timeout", "lock_wait_timeout")
"""What a prototype sets in a session and counts on."""


def _held() -> list[tuple[Any, Any]]:
    """(connection, its driver's hooks)."""
    return [(each, hooks) for hooks in links.loaded("my_pymysql", "my_mysqlclient", "my_connector") for each in hooks.connections()]


def busy_connections() -> list[str]:
    """Sessions with a transaction that has written; one that has only read is as good begun anew."""
    return ["mysql" for each, _ in _held() if getattr(each, "_toughen_wrote", False) and not _autocommit(each)]


def _autocommit(connection: Any) -> bool:
    try:
        ask = getattr(connection, "get_autocommit", None)
        return bool(ask() if ask is not None else connection.autocommit)
    except Exception:
        return False


def bound() -> str:
    """Why what is open cannot go on in a forked process; empty where it can."""
    return "a connection of an asynchronous driver is open" if links.looped("my_async") else ""


def sockets() -> set[str]:
    """Sockets of connections that can go on in a forked process, by what the kernel calls them."""
    return links.sockets(number for number in (_descriptor(*each) for each in _held()) if number is not None)


def _descriptor(connection: Any, hooks: Any) -> int | None:
    try:
        return int(hooks.descriptor(connection))
    except Exception:
        return None


def hang_up() -> None:
    """Break every connection to the server off, as it does when it goes."""
    links.break_off(server(gone=True))


def _variables() -> tuple[str, ...]:
    to = server()
    word = "tx_" if to is not None and to.mariadb else "transaction_"
    return (*_VARIABLES, word + "isolation", word + "read_only")


def _session(connection: Any, hooks: Any) -> dict[str, str]:
    """What a session is like, by the names of its variables; its database is among them."""
    names = _variables()
    row = hooks.row(connection, "SELECT DATABASE(), " + ", ".join("@@session." + name for name in names))
    values = [each.decode("utf-8", "replace") if isinstance(each, (bytes, bytearray)) else str(each) for each in row]
    found = dict(zip(("database", *names), values))
    if row[0] is None:
        del found["database"]
    return found


def look() -> None:
    """Remember what the sessions are like: a fork is near. A transaction that has only read is ended: it would keep its tables."""
    _settings.clear()
    for each, hooks in _held():
        try:
            if not getattr(each, "_toughen_wrote", False):
                hooks.DRIVER.ask(each, "ROLLBACK")
                _settings[id(each)] = {**_session(each, hooks), "autocommit": _autocommit(each)}
                hooks.DRIVER.ask(each, "ROLLBACK")
        except Exception:
            continue


def reborn() -> None:
    """Give each connection, in a process that was just forked, a session of its own in the place of the shared one."""
    if server() is None:
        return
    for each, hooks in _held():
        try:
            known = _settings.get(id(each), {})
            hooks.renew(each, known)
            now = _session(each, hooks) if known else {}
            for name in _variables():
                if name in known and known[name] != now.get(name):
                    value = known[name]
                    hooks.DRIVER.ask(each, "SET SESSION " + name + " = " + (value if value.isdigit() else literal(value)))
        except Exception:
            # Better a connection that is gone than one that two processes speak on.
            number = _descriptor(each, hooks)
            if number is not None and number >= 0:
                links.cut(number)
