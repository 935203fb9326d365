"""Owns the watch in a gated child: a statement that waits for another's lock is seen in the server's own words."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .pg_server import server
from .pg_wire import ServerError
from .recorder import RECORDER

if TYPE_CHECKING:
    from .pg_wire import Session

LOOK = 0.004
"""Seconds between two looks."""
AGAIN = 0.05
"""Seconds until a statement that was told to go on waiting is told of again."""
GRACE = 0.3
"""Seconds in which a deadlock ends by itself, with the server's own error, before the statement is cancelled."""
_SEEN = 2
"""Looks in a row: some locks are held for a moment only."""


class _Waiting:
    """One statement that runs now."""

    __slots__ = ("condemned", "index", "next", "pid", "seen")

    def __init__(self, index: int, pid: int) -> None:
        self.index = index
        self.pid = pid
        self.seen = 0
        self.next = 0.0
        self.condemned = 0.0


class Watch:
    """Looks at the statements that run now, from a thread and a session of its own."""

    def __init__(self) -> None:
        """Nobody watches until a gated statement runs."""
        self._lock = threading.Lock()
        self._running: set[_Waiting] = set()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    def enter(self, index: int, pid: int) -> _Waiting | None:
        """A statement is about to run; None where nobody can be blocked, because nobody stops anybody."""
        if RECORDER.gate is None or not pid:
            return None
        statement = _Waiting(index, pid)
        with self._lock:
            self._running.add(statement)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="toughen watch", daemon=True)
                self._thread.start()
        self._some.set()
        return statement

    def leave(self, statement: _Waiting | None) -> None:
        """It has ended. This waits while the lab is being asked about it: there is one wire."""
        if statement is not None:
            with self._lock:
                self._running.discard(statement)
                if not self._running:
                    self._some.clear()

    def _look(self) -> None:
        session: Session | None = None
        while True:
            self._some.wait()
            time.sleep(LOOK)
            running = list(self._running)
            try:
                if session is None:
                    session = self._session()
                blocked = _blocked(session, running)
                for statement in running:
                    statement.seen = statement.seen + 1 if statement.pid in blocked else 0
                    if statement.seen >= _SEEN:
                        self._judge(session, statement)
            except (OSError, ServerError):
                session = None
                time.sleep(0.05)

    def _session(self) -> Session:
        where = server()
        if where is None:
            message = "no server"
            raise OSError(message)
        return where.session()

    def _judge(self, session: Session, statement: _Waiting) -> None:
        now = time.monotonic()
        gate = RECORDER.gate
        with self._lock:
            if statement not in self._running or gate is None or now < statement.next:
                return
            if statement.condemned:
                session.rows("SELECT pg_cancel_backend(" + str(statement.pid) + ")")
            elif not gate.blocked(statement.index, "waits for a lock"):
                statement.condemned = time.monotonic()
            statement.seen = 0
            statement.next = time.monotonic() + (GRACE if statement.condemned else AGAIN)


def _blocked(session: Session, running: list[_Waiting]) -> set[int]:
    pids = ",".join(str(statement.pid) for statement in running)
    if not pids:
        return set()
    told = session.rows(
        "SELECT pid FROM pg_stat_activity WHERE pid IN (" + pids + ") AND wait_event_type = 'Lock'"
        " AND cardinality(pg_blocking_pids(pid)) > 0"
    )
    return {int(row[0]) for row in told if row[0]}


WATCH = Watch()
"""The one watch of this process."""
