"""Owns one gated request on its way: it stops at statements and at locks, and goes on when it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.lab import observe
from toughen.lab.child import Record
from toughen.model.trace import Turn

if TYPE_CHECKING:
    from toughen.lab.child import Child
    from toughen.model.trace import Exchange

RECORD = Record(sql=2)
TO_THE_END = -1


@dataclass(slots=True)
class Runner:
    """One gated request on its way."""

    name: str
    child: Child
    request: dict[str, Any]
    answer: dict[str, Any] | None = None
    ended: str = "answered"
    waiting: dict[str, Any] | None = None
    """The frame at which it stands: `at` a statement, or `blocked` by a lock."""
    retries: int = 0
    begun: bool = False
    turns: list[Turn] = field(default_factory=list)
    """How far whoever shares this list came, in the order of time."""

    def start(self) -> None:
        """Send it; it stops at its first statement."""
        self.begun = True
        self.child.connection.send({"do": "serve", "requests": [self.request], "record": RECORD.frame()})

    @property
    def done(self) -> bool:
        """Whether it was answered, or will never be."""
        return self.answer is not None or self.ended != "answered"

    @property
    def blocked(self) -> bool:
        """Whether it waits for a lock."""
        return self.waiting is not None and "blocked" in self.waiting

    def go(self, until: int | None) -> None:
        """Let it run until that statement, None the next one, -1 to its end."""
        self.waiting = None
        self.child.connection.send({"go": until})

    def fail(self, state: str, times: int) -> None:
        """Have its statement fail with that SQLSTATE, and so many after it (`times` in all, 0 for every one); it goes on to its end."""
        self.waiting = None
        self.child.connection.send({"go": TO_THE_END, "fail": state, "times": times})

    def retry(self, *, again: bool) -> None:
        """Have the statement that waits for a lock tried again, or fail with the driver's own error."""
        self.waiting = None
        self.child.connection.send({"retry": again})

    def read(self, timeout: float) -> None:
        """Wait for the next word: a stop, a lock, or the answer."""
        try:
            frame = self.child.connection.receive(timeout)
        except (TimeoutError, AgentLostError) as error:
            self.ended = "timeout" if isinstance(error, TimeoutError) else "died"
            self.child.kill()
            self.turns.append(Turn(self.name, -1, "fails"))
            return
        if "at" in frame or "blocked" in frame:
            self.waiting = frame
            name = "at" if "at" in frame else "blocked"
            self.turns.append(Turn(self.name, int(frame[name]), "stops" if name == "at" else "waits"))
        else:
            self.answer = frame
            self.child.note(frame)
            self.turns.append(Turn(self.name, len(frame.get("statements") or ()), "answers"))

    def exchange(self) -> Exchange:
        """What came of it."""
        return observe.exchange(self.answer or {}, self.request, ended=self.ended if self.answer is None else "answered")

    def reach(self, statement: int, timeout: float) -> bool:
        """Let it run until that statement, from its beginning or from the statement at which it stands; whether it came there."""
        if not self.begun:
            self.start()
            self.read(timeout)
        if self.waiting is not None and self.waiting.get("at", statement) != statement:
            self.go(statement)
            self.read(timeout)
        return self.waiting is not None and self.waiting.get("at") == statement
