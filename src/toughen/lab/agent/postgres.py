"""Owns the hooks of PostgreSQL's drivers: which are put in place when the prototype imports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import pg_server
from .hooks import later
from .pg_fork import bound, busy_connections, hang_up, look, reborn, sockets

if TYPE_CHECKING:
    from .hooks import Finder

__all__ = ["bound", "busy_connections", "hang_up", "install", "look", "reborn", "sockets"]


def install(finder: Finder, config: dict[str, Any] | None) -> None:
    """Lead every connection to the server that the lab names; where it names none, nobody answers."""
    pg_server.install(config)
    finder.when("psycopg2", later(__package__, "pg_psycopg2", "hook"))
    finder.when("psycopg2.extras", later(__package__, "pg_psycopg2", "hook_extras"))
    finder.when("psycopg", later(__package__, "pg_psycopg3", "hook"))
    finder.when("asyncpg", later(__package__, "pg_asyncpg", "hook"))
