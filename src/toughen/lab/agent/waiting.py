"""Owns the watch in a gated child: a statement that waits for another's lock is seen in the server's own words."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any, Callable

from .recorder import RECORDER

LOOK = 0.004
"""Seconds between two looks."""
AGAIN = 0.05
"""Seconds until a statement that was told to go on waiting is told of again."""
GRACE = 0.3
"""Seconds in which a deadlock ends by itself, with the server's own error, before the statement is cancelled."""
_SEEN = 2
"""Looks in a row: some locks are held for a moment only."""


class Waiting:
    """One statement that runs now."""

    __slots__ = ("condemned", "index", "next", "pid", "seen")

    def __init__(self, index: int, pid: int) -> None:
        """Take its number and the server's session that runs it."""
        self.index = index
        self.pid = pid
        self.seen = 0
        self.next = 0.0
        self.condemned = 0.0


class Watch:
    """Looks at the statements that run now, from a thread and a session of its own."""

    def __init__(self, server: Callable[[], Any]) -> None:
        """Take what finds the lab's server; nobody watches until a gated statement runs."""
        self._server = server
        self._lock = threading.Lock()
        self._running: set[Waiting] = set()
        self._some = threading.Event()
        self._thread: threading.Thread | None = None

    def blocked(self, session: Any, running: list[Waiting]) -> set[int]:
        """Those of the sessions whose statement waits for another's lock."""
        raise NotImplementedError

    def cancel(self, session: Any, pid: int) -> None:
        """End a session's statement."""
        raise NotImplementedError

    def enter(self, index: int, pid: int) -> Waiting | None:
        """A statement is about to run; None where nobody can be blocked, because nobody stops anybody."""
        if RECORDER.gate is None or not pid:
            return None
        statement = Waiting(index, pid)
        with self._lock:
            self._running.add(statement)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="toughen watch", daemon=True)
                self._thread.start()
        self._some.set()
        return statement

    def leave(self, statement: Waiting | None) -> None:
        """It has ended. This waits while the lab is being asked about it: there is one wire."""
        if statement is not None:
            with self._lock:
                self._running.discard(statement)
                if not self._running:
                    self._some.clear()

    def _look(self) -> None:
        session: Any = None
        while True:
            self._some.wait()
            time.sleep(LOOK)
            running = list(self._running)
            try:
                if session is None:
                    session = self._server().session()
                blocked = self.blocked(session, running) if running else set()
                for statement in running:
                    statement.seen = statement.seen + 1 if statement.pid in blocked else 0
                    if statement.seen >= _SEEN:
                        self._judge(session, statement)
            except Exception:
                # There is no server, it refused, or it went: another session may be better.
                if session is not None:
                    with contextlib.suppress(OSError):
                        session.close()
                session = None
                time.sleep(0.05)

    def _judge(self, session: Any, statement: Waiting) -> None:
        now = time.monotonic()
        gate = RECORDER.gate
        with self._lock:
            if statement not in self._running or gate is None or now < statement.next:
                return
            if statement.condemned:
                self.cancel(session, statement.pid)
            elif not gate.blocked(statement.index, "waits for a lock"):
                statement.condemned = time.monotonic()
            statement.seen = 0
            statement.next = time.monotonic() + (GRACE if statement.condemned else AGAIN)
