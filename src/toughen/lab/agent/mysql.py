"""Owns the hooks of MySQL's drivers: which are put in place when the prototype imports them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from . import my_server
from .hooks import later
from .my_fork import bound, busy_connections, hang_up, look, reborn, sockets

if TYPE_CHECKING:
    from .hooks import Finder

__all__ = ["bound", "busy_connections", "hang_up", "install", "look", "reborn", "sockets"]


def install(finder: Finder, config: dict[str, Any] | None) -> None:
    """Lead every connection to the server that the lab names; where it names none, nobody answers."""
    my_server.install(config)
    # Its pure classes do the same as those in C, and can be seen into.
    sys.modules.setdefault("_mysql_connector", None)  # type: ignore[arg-type]
    finder.when("pymysql", later(__package__, "my_pymysql", "hook"))
    finder.when("MySQLdb.connections", later(__package__, "my_mysqlclient", "hook_connections"))
    finder.when("MySQLdb.cursors", later(__package__, "my_mysqlclient", "hook_cursors"))
    finder.when("mysql.connector.pooling", later(__package__, "my_connector", "hook_connect"))
    finder.when("mysql.connector", later(__package__, "my_connector", "hook_connect"))
    finder.when("mysql.connector.connection", later(__package__, "my_connector", "hook_connection"))
    finder.when("mysql.connector.cursor", later(__package__, "my_connector", "hook_cursor"))
    finder.when("aiomysql.connection", later(__package__, "my_async", "hook_connection"))
    finder.when("aiomysql.cursors", later(__package__, "my_async", "hook_cursors"))
    finder.when("asyncmy.connection", later(__package__, "my_async", "hook_connection"))
    finder.when("asyncmy.cursors", later(__package__, "my_async", "hook_cursors"))
