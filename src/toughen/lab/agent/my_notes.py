"""Owns what is noted of a statement to MySQL, whatever driver runs it, and how one that must fail is made to."""

from __future__ import annotations

import contextlib
from typing import Any, Callable

from . import my_fork
from .my_server import code_of
from .my_watch import WATCH
from .recorder import RECORDER
from .statements import Statement, bound_of, many_of

__all__ = ["Driver", "Running", "bound_of", "many_of", "text_of"]
INTERRUPTED, LATE, VICTIM = 1317, 1205, 1213
"""The statement was ended from outside; it waited too long; its transaction was undone (mariadb.com/kb/en/mariadb-error-codes)."""
SIGNALS = {
    LATE: ("HY000", "Lock wait timeout exceeded; try restarting transaction"),
    VICTIM: ("40001", "Deadlock found when trying to get lock; try restarting transaction"),
    1114: ("HY000", "The table is full"),
}
"""What the server says of these itself: SQLSTATE and words."""
PATIENT = "SET SESSION innodb_lock_wait_timeout = 100, lock_wait_timeout = 100"
"""In a race it is the lab that says how long a statement waits for another's lock."""
_WRITES = ("INS", "UPD", "DEL", "REP")
_ENDS = ("COM", "ROL")


class Driver:
    """What is different from driver to driver; a driver's hooks make one."""

    def pid(self, connection: Any) -> int:
        """The number of the server's session that serves a connection."""
        return int(connection.thread_id())

    def open(self, connection: Any) -> bool:
        """Whether a transaction is open."""
        raise NotImplementedError

    def ask(self, connection: Any, statement: str) -> None:
        """Run a statement that the prototype does not see."""
        raise NotImplementedError

    def error(self, code: int, message: str) -> BaseException:
        """The driver's own exception for an error of the server's."""
        raise NotImplementedError

    def provoke(self, connection: Any, code: int) -> None:
        """Have the server fail, with what the real thing does to the transaction."""
        for statement in provoking(code):
            self.ask(connection, statement)

    def begin(self, connection: Any, text: str, bound: list[Any], names: list[str] | None) -> Running:
        """Note a statement and pass the gate."""
        if RECORDER.gate is not None and not getattr(connection, "_toughen_patient", False):
            connection._toughen_patient = True
            with contextlib.suppress(Exception):
                # A connection that is gone says so at the statement itself, which is noted.
                self.ask(connection, PATIENT)
        return Running(text, bound, names, 0 if RECORDER.gate is None else self.pid(connection))

    def run(self, connection: Any, running: Running, call: Callable[[], Any]) -> Any:
        """Run a statement that is noted."""
        try:
            if running.fails:
                self.provoke(connection, running.fails)
            result = call()
        except BaseException as error:
            if running.gave_up(error):
                late = self.error(LATE, SIGNALS[LATE][1])
                running.fail(late)
                raise late from error
            running.fail(error)
            connection._toughen_failed = code_of(error) != VICTIM
            raise
        running.end()
        return result

    def hook_ends(self, kind: Any) -> None:
        """Change the ways in which a class of connections ends a transaction."""
        real_commit, real_rollback, real_close = kind.commit, kind.rollback, kind.close

        def commit(connection: Any) -> Any:
            return self.ended(connection, "COMMIT", lambda: real_commit(connection))

        def rollback(connection: Any) -> Any:
            return self.ended(connection, "ROLLBACK", lambda: real_rollback(connection))

        def close(connection: Any) -> Any:
            # An open transaction is lost when its connection closes.
            return self.ended(connection, "ROLLBACK", lambda: real_close(connection))

        kind.commit, kind.rollback, kind.close = commit, rollback, close

    def ended(self, connection: Any, text: str, call: Callable[[], Any]) -> Any:
        """Run what ends a transaction; note it where one is open."""
        connection._toughen_wrote = False
        # A statement that failed has begun a transaction as well, which the server does not say with the error.
        failed, connection._toughen_failed = getattr(connection, "_toughen_failed", False), False
        if not RECORDER.sql or not (self.open(connection) or failed):
            return call()
        return self.run(connection, self.begin(connection, text, [], None), call)


class Running(Statement):
    """A statement to MySQL between its start and its end."""

    __slots__ = ("fails",)
    watch = WATCH

    def __init__(self, text: str, bound: list[Any], names: list[str] | None, pid: int) -> None:
        """Note it, and pass the gate. `pid` is the server's session that will run it."""
        super().__init__(text, bound, names, pid)
        self.fails = int(self._told) if self._told.isdigit() else 0
        """The error that the lab wants instead; 0 where the statement may run."""

    def hang_up(self) -> None:
        my_fork.hang_up()

    def gave_up(self, error: BaseException) -> bool:
        """Whether it failed because the lab had it wait no longer: what the server's own time-out does after a minute."""
        return self._watched is not None and bool(self._watched.condemned) and code_of(error) == INTERRUPTED

    def fetched(self, cursor: Any) -> None:
        """Note the rows of a cursor that has them all already."""
        self.rows(int(cursor.rowcount))
        rows = getattr(cursor, "_rows", None)
        if RECORDER.sql > 1 and rows and cursor.description and isinstance(rows, (list, tuple)):
            self.sample([column[0] for column in cursor.description], rows)


def provoking(code: int) -> list[str]:
    """The statements by which the server fails so; the victim of a deadlock has lost its whole transaction."""
    state, words = SIGNALS.get(code, ("HY000", "failed"))
    signal = "SIGNAL SQLSTATE '" + state + "' SET MYSQL_ERRNO = " + str(code) + ", MESSAGE_TEXT = '" + words + "'"
    return ["ROLLBACK", signal] if code == VICTIM else [signal]


def text_of(statement: Any) -> str:
    """The text of a statement."""
    if isinstance(statement, (bytes, bytearray, memoryview)):
        return bytes(statement).decode("utf-8", "replace")
    return str(statement)


def quiet(statement: Any) -> bool:
    """Whether a statement only says how its session writes characters: what stands above a driver sends it with each new one."""
    return text_of(statement[:12] if isinstance(statement, (str, bytes)) else statement).lstrip()[:9].upper() == "SET NAMES"


def heard(connection: Any, statement: Any) -> None:
    """Note what a statement that went well did to its connection: a transaction has written, or is over."""
    word = text_of(statement[:40] if isinstance(statement, (str, bytes)) else statement).lstrip()[:3].upper()
    if word in _WRITES:
        connection._toughen_wrote = True
    elif word in _ENDS:
        connection._toughen_wrote = False
