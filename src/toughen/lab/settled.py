"""Owns the process that has been through the prototype's start-up: what is forked from it need not go through it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.errors import AgentLostError, BootError

if TYPE_CHECKING:
    from collections.abc import Callable

    from toughen.lab.snapshot import World
    from toughen.lab.wire import Connection


@dataclass(slots=True)
class Settled:
    """One such process for the snapshot that its start-up saw; none where a start-up changes the databases or cannot be shared."""

    world: World
    start: Callable[[], tuple[Connection, str]]
    """Starts such a process, and says "safe", or why it must not be forked. Raises AgentLostError, BootError, TimeoutError."""
    reason: str = "not tried"
    """Why there is none; empty where there is one."""
    _snapshot: int = 0
    _looked: int = 0
    _alone: frozenset[str] = frozenset()
    _connection: Connection | None = None

    def connection(self) -> Connection | None:
        """The way to the process, made where it is missing; only while the databases are as the snapshot has them."""
        if self._snapshot != self.world.taken:
            self.drop("not tried")
            self._snapshot = self.world.taken
            self.reason = self._start()
        return self._connection

    def alone(self, look: Callable[[], frozenset[str]]) -> frozenset[str]:
        """Tables that a start-up changes by itself; `look` finds them, once for each snapshot."""
        if self._looked != self.world.taken:
            self._looked, self._alone = self.world.taken, frozenset()
            self._alone = look()
        return self._alone

    def drop(self, reason: str) -> None:
        """End it; there will be none before the next snapshot."""
        self.reason = reason
        if self._connection is not None:
            self._connection.kill()
            self._connection = None

    def forget(self) -> None:
        """End it, because the server that it came from ends."""
        self.drop("not tried")
        self._snapshot = 0

    def _start(self) -> str:
        """Start it; why not, where it cannot be."""
        try:
            self._connection, reason = self.start()
        except (AgentLostError, BootError, TimeoutError) as error:
            return str(error)
        if reason == "safe" and self.world.tables() == self.world.start:
            return ""
        self.drop("its start-up changes the databases" if reason == "safe" else reason)
        self.world.restore()
        return self.reason
