"""Owns the hooks of PostgreSQL's drivers: which are put in place when the prototype imports them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import pg_server
from .pg_fork import bound, busy_connections, hang_up, look, reborn, sockets

if TYPE_CHECKING:
    from .hooks import Finder, Patch

__all__ = ["bound", "busy_connections", "hang_up", "install", "look", "reborn", "sockets"]


def install(finder: Finder, config: dict[str, Any] | None) -> None:
    """Lead every connection to the server that the lab names; where it names none, nobody answers."""
    pg_server.install(config)
    finder.when("psycopg2", _by("pg_psycopg2", "hook"))
    finder.when("psycopg2.extras", _by("pg_psycopg2", "hook_extras"))
    finder.when("psycopg", _by("pg_psycopg3", "hook"))
    finder.when("asyncpg", _by("pg_asyncpg", "hook"))


def _by(module: str, function: str) -> Patch:
    """A patch of a module of ours that is loaded when it is wanted: most prototypes have none of these drivers."""

    def patch(driver: Any) -> None:
        getattr(import_module("." + module, __package__), function)(driver)

    return patch
