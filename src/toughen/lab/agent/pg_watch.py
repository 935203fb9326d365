"""Owns how PostgreSQL says that a statement waits for another's lock."""

from __future__ import annotations

from typing import Any

from .pg_server import server
from .waiting import Waiting, Watch


class _Watch(Watch):
    """The watch over PostgreSQL's sessions."""

    def blocked(self, session: Any, running: list[Waiting]) -> set[int]:
        pids = ",".join(str(statement.pid) for statement in running)
        told = session.rows(
            "SELECT pid FROM pg_stat_activity WHERE pid IN (" + pids + ") AND wait_event_type = 'Lock'"
            " AND cardinality(pg_blocking_pids(pid)) > 0"
        )
        return {int(row[0]) for row in told if row[0]}

    def cancel(self, session: Any, pid: int) -> None:
        session.rows("SELECT pg_cancel_backend(" + str(pid) + ")")


WATCH = _Watch(server)
"""The one watch of this process."""
