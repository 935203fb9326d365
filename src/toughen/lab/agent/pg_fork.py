"""Owns connections that are open when a process forks: each process goes on with a session of its own."""

from __future__ import annotations

import os
from typing import Any

from . import links
from .pg_server import server
from .pg_wire import literal

_IDLE = 0
_settings: dict[int, dict[str, str]] = {}
"""What the prototype has set in the sessions that are open, by the descriptors of their connections."""
_SET = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND context IN ('user', 'superuser')"


def _held() -> list[tuple[Any, Any, int]]:
    """(connection, its driver's hooks, its descriptor) of all that speak libpq, which keeps nothing but a descriptor."""
    found = []
    for hooks in links.loaded("pg_psycopg2", "pg_psycopg3"):
        for connection in hooks.connections():
            try:
                found.append((connection, hooks, int(connection.fileno())))
            except Exception:
                continue
    return found


def busy_connections() -> list[str]:
    """Databases of connections that are in a transaction now."""
    return [hooks.database_of(each) for each, hooks, _ in _held() if hooks.status_of(each) != _IDLE]


def bound() -> str:
    """Why what is open cannot go on in a forked process; empty where it can."""
    return "a connection of asyncpg is open" if links.looped("pg_asyncpg") else ""


def sockets() -> set[str]:
    """Sockets of connections that can go on in a forked process, by what the kernel calls them."""
    return links.sockets(number for _, _, number in _held())


def hang_up() -> None:
    """Break every connection to the server off, as it does when it goes."""
    links.break_off(server(gone=True))


def look() -> None:
    """Remember what the prototype has set in its sessions: a fork is near."""
    _settings.clear()
    for each, hooks, descriptor in _held():
        try:
            if hooks.status_of(each) == _IDLE:
                _settings[descriptor] = dict(hooks.ask(each, _SET))
        except Exception:
            continue


def reborn() -> None:
    """Give each connection, in a process that was just forked, a session of its own in the place of the shared one."""
    to = server()
    if to is None:
        return
    for each, hooks, descriptor in _held():
        try:
            session = to.session(hooks.database_of(each), hooks.settings_of(each))
            for name, value in _settings.get(descriptor, {}).items():
                session.rows("SELECT set_config(" + literal(name) + ", " + literal(value) + ", false)")
            os.dup2(session.fileno(), descriptor)
            session.close()
            hooks.renewed(each, session.pid)
        except Exception:
            # Better a connection that is gone than one that two processes speak on.
            links.cut(descriptor)
