"""Owns which kinds of database server the lab starts, and what differs between them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, assert_never

from toughen.lab import mysql, postgres
from toughen.lab.mydata import MysqlDatabase
from toughen.lab.pgdata import PostgresDatabase

if TYPE_CHECKING:
    from toughen.lab.databases import Database

Server = postgres.Server | mysql.Server
POSTGRES, MYSQL = "postgresql", "mysql"
_STATES = {
    POSTGRES: {"serialization": "40001", "deadlock": "40P01", "full": "53100"},
    # Who loses against another is always the victim of a deadlock here.
    MYSQL: {"serialization": "1213", "deadlock": "1213", "timeout": "1205", "full": "1114"},
}
"""What each answers: PostgreSQL by SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html), MySQL by number
(dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html)."""


def serve(kind: str) -> AbstractContextManager[Server | None]:
    """A fresh server of that kind, none for "". Raises LabError where none can be had."""
    match kind:
        case "postgresql":
            return postgres.serve()
        case "mysql":
            return mysql.serve()
    return nullcontext()


def kind_of(server: Server | None) -> str:
    """`postgresql`, `mysql`, or "" for none."""
    match server:
        case postgres.Server():
            return POSTGRES
        case mysql.Server():
            return MYSQL
        case None:
            return ""
    assert_never(server)


def opened(server: Server, name: str) -> Database:
    """One of its databases."""
    match server:
        case postgres.Server():
            return PostgresDatabase(server, name)
        case mysql.Server():
            return MysqlDatabase(server, name)
    assert_never(server)


def told(server: Server | None) -> dict[str, object]:
    """The agent's configuration of both kinds."""
    kind = kind_of(server)
    return {"postgres": server.told if server and kind == POSTGRES else None, "mysql": server.told if server and kind == MYSQL else None}


def state(server: Server | None, fault: str) -> str:
    """What the server answers where that goes wrong; "" where it cannot."""
    return _STATES.get(kind_of(server), {}).get(fault, "")


FAULTS = frozenset(fault for each in _STATES.values() for fault in each)
"""What servers answer when it goes wrong."""
