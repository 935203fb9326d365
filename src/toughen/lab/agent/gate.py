"""Owns the gate: each statement of a gated child asks the lab before it runs, from whatever thread runs it."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from .wire import Message, Wire


_ALL = 1 << 30


class Gate:
    """Stops a request at the statements that the lab named."""

    def __init__(self, wire: Wire, outgoing: Callable[[], list[Any]]) -> None:
        """Talk to the lab over the child's own connection, which is idle while a request runs."""
        self._wire = wire
        self._outgoing = outgoing
        self._lock = threading.RLock()
        self._stop: int | None = 0
        self._fails, self._left = "", 0

    def begin(self) -> None:
        """Stop at the first statement of the request that begins."""
        self._stop = 0
        self._fails, self._left = "", 0

    def wait(self, index: int, statement: dict[str, Any]) -> str:
        """Ask the lab and wait, where this statement is one to stop at. What it then must fail with (an SQLSTATE), "" where it may run."""
        with self._lock:
            if self._stop is None or index < self._stop:
                return self._failing(statement)
            answer = self._ask({"at": index, "statement": statement, "outgoing": self._outgoing()})
            go = answer.get("go")
            if go is None:
                self._stop = index + 1
            elif go < 0:
                self._stop = None
            else:
                self._stop = max(int(go), index + 1)
            if "fail" in answer:
                self._fails, self._left = str(answer["fail"]), int(answer.get("times") or 0) or _ALL
            return self._failing(statement)

    def _failing(self, statement: dict[str, Any]) -> str:
        """What this statement must fail with; a transaction that failed can always be rolled back."""
        if not self._left or str(statement.get("text", "")).lstrip()[:8].upper() == "ROLLBACK":
            return ""
        self._left -= 1
        return self._fails

    def blocked(self, index: int, error: str, *, commits: bool = False) -> bool:
        """Say that a statement (or a COMMIT) waits for another's lock; True means: try it again."""
        with self._lock:
            return bool(self._ask({"blocked": index, "error": error, **({"commits": True} if commits else {})}).get("retry"))

    def _ask(self, message: Message) -> Message:
        try:
            self._wire.send(message)
            answer = self._wire.receive()
        except OSError:
            answer = None
        if answer is None:
            # The lab is gone: nothing may run that it did not see.
            os._exit(70)
        return answer
