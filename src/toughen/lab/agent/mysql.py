"""Owns the hooks of MySQL's drivers: which are put in place when the prototype imports them."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import my_server
from .my_fork import bound, busy_connections, hang_up, look, reborn, sockets

if TYPE_CHECKING:
    from .hooks import Finder, Patch

__all__ = ["bound", "busy_connections", "hang_up", "install", "look", "reborn", "sockets"]


def install(finder: Finder, config: dict[str, Any] | None) -> None:
    """Lead every connection to the server that the lab names; where it names none, nobody answers."""
    my_server.install(config)
    # Its pure classes do the same as those in C, and can be seen into.
    sys.modules.setdefault("_mysql_connector", None)  # type: ignore[arg-type]
    finder.when("pymysql", _by("my_pymysql", "hook"))
    finder.when("MySQLdb.connections", _by("my_mysqlclient", "hook_connections"))
    finder.when("MySQLdb.cursors", _by("my_mysqlclient", "hook_cursors"))
    finder.when("mysql.connector.pooling", _by("my_connector", "hook_connect"))
    finder.when("mysql.connector", _by("my_connector", "hook_connect"))
    finder.when("mysql.connector.connection", _by("my_connector", "hook_connection"))
    finder.when("mysql.connector.cursor", _by("my_connector", "hook_cursor"))
    finder.when("aiomysql.connection", _by("my_async", "hook_connection"))
    finder.when("aiomysql.cursors", _by("my_async", "hook_cursors"))
    finder.when("asyncmy.connection", _by("my_async", "hook_connection"))
    finder.when("asyncmy.cursors", _by("my_async", "hook_cursors"))


def _by(module: str, function: str) -> Patch:
    """A patch of a module of ours that is loaded when it is wanted: most prototypes have none of these drivers."""

    def patch(driver: Any) -> None:
        getattr(import_module("." + module, __package__), function)(driver)

    return patch
