"""Owns connections to MySQL that are open when a process forks: each process goes on with a session of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from typing import Any

from .my_server import server

_settings: dict[int, dict[str, Any]] = {}
"""What the sessions that are open are like, by their connections."""


def _hooks(*names: str) -> list[Any]:
    """The hooks of drivers that the prototype has loaded."""
    found = (sys.modules.get((__package__ or "") + "." + name) for name in names)
    return [module for module in found if module is not None]


def _held() -> list[tuple[Any, Any]]:
    """(connection, its driver's hooks)."""
    return [(each, hooks) for hooks in _hooks("my_pymysql", "my_mysqlclient", "my_connector") for each in hooks.connections()]


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
    for hooks in _hooks("my_async"):
        for each in hooks.connections():
            loop = getattr(each, "_loop", None)
            if loop is not None and not loop.is_closed():
                return "a connection of an asynchronous driver is open"
    return ""


def sockets() -> set[str]:
    """Sockets of connections that can go on in a forked process, by what the kernel calls them."""
    found = set()
    for each, hooks in _held():
        try:
            found.add(os.readlink("/proc/self/fd/" + str(hooks.descriptor(each))))
        except Exception:
            continue
    return found


def hang_up() -> None:
    """Break every connection to the server off, as it does when it goes."""
    to = server(gone=True)
    for name in os.listdir("/proc/self/fd") if to is not None else ():
        try:
            end = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue
        with contextlib.suppress(OSError, ValueError), end:
            if to is not None and end.family == socket.AF_UNIX and end.getpeername() == to.path:
                end.shutdown(socket.SHUT_RDWR)


def look() -> None:
    """Remember what the sessions are like: a fork is near. A transaction that has only read is ended: it would keep its tables."""
    _settings.clear()
    for each, hooks in _held():
        try:
            if not getattr(each, "_toughen_wrote", False):
                hooks.DRIVER.ask(each, "ROLLBACK")
                _settings[id(each)] = hooks.settings_of(each)
                hooks.DRIVER.ask(each, "ROLLBACK")
        except Exception:
            continue


def reborn() -> None:
    """Give each connection, in a process that was just forked, a session of its own in the place of the shared one."""
    if server() is None:
        return
    for each, hooks in _held():
        try:
            hooks.renew(each, _settings.get(id(each), {}))
        except Exception:
            # Better a connection that is gone than one that two processes speak on.
            _cut(each, hooks)


def _cut(connection: Any, hooks: Any) -> None:
    try:
        os.close(hooks.descriptor(connection))
    except Exception:
        return
