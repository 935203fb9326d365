"""Owns what is noted of a statement to MySQL, whatever driver runs it, and how one that must fail is made to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from .my_server import code_of
from .my_watch import WATCH
from .pg_notes import SAMPLE, bound_of, many_of, value_of
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Iterable

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

    def ended(self, connection: Any, text: str, call: Callable[[], Any]) -> Any:
        """Run what ends a transaction; note it where one is open."""
        connection._toughen_wrote = False
        # A statement that failed has begun a transaction as well, which the server does not say with the error.
        failed, connection._toughen_failed = getattr(connection, "_toughen_failed", False), False
        if not RECORDER.sql or not (self.open(connection) or failed):
            return call()
        return self.run(connection, self.begin(connection, text, [], None), call)


class Running:
    """A statement between its start and its end."""

    __slots__ = ("_watched", "fails", "note")

    def __init__(self, text: str, bound: list[Any], names: list[str] | None, pid: int) -> None:
        """Note it, and pass the gate. `pid` is the server's session that will run it."""
        index, note = RECORDER.statement(text, bound)
        if names:
            note["names"] = names
        self.note = note
        self.fails = 0
        """The error that the lab wants instead; 0 where the statement may run."""
        self._watched = None
        gate = RECORDER.gate
        if gate is not None:
            told = gate.wait(index, note)
            self.fails = int(told) if told.isdigit() else 0
            self._watched = WATCH.enter(index, pid)

    def gave_up(self, error: BaseException) -> bool:
        """Whether it failed because the lab had it wait no longer: what the server's own time-out does after a minute."""
        return self._watched is not None and bool(self._watched.condemned) and code_of(error) == INTERRUPTED

    def end(self, rows: int | None = None) -> None:
        """It went well."""
        self._leave()
        if rows is not None:
            self.rows(rows)

    def rows(self, count: int) -> None:
        """How many rows it read or hit; what a driver says where it does not know is left out."""
        if 0 <= count < 1 << 62:
            self.note["rows"] = count

    def fail(self, error: BaseException) -> None:
        """It did not."""
        self._leave()
        kind = type(error)
        self.note["error"] = kind.__module__ + "." + kind.__name__ + ": " + str(error)[:500]

    def _leave(self) -> None:
        if self._watched is not None:
            WATCH.leave(self._watched)
            self._watched = None

    def sample(self, columns: Iterable[Any], rows: Iterable[Any]) -> None:
        """Keep the first rows by column."""
        names = [str(each) for each in columns]
        first = [row.values() if hasattr(row, "values") else row for row in list(rows)[:SAMPLE]]
        self.note["sample"] = [dict(zip(names, [value_of(value) for value in row])) for row in first]


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
