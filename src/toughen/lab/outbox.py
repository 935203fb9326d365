"""Owns what the prototype sent to the world outside: the fault server's notes, joined with the connections that the agent told of."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

_KEPT = 200


@dataclass(slots=True)
class Outbox:
    """A file that the fault server adds a line to for each request that it read."""

    path: Path
    _read: int = 0
    _waiting: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Notes that belong to no connection yet, by the client's port."""

    def fill(self, frame: dict[str, Any]) -> None:
        """Tell the connections of an EXCHANGE what was sent over them: `request` (its first line), `sent` and `key`."""
        told = [each for each in (*(frame.get("outgoing") or ()), *(frame.get("early") or ())) if isinstance(each, dict) and isinstance(each.get("local_port"), int)]
        if not told:
            return
        self._look()
        for each in told:
            note = self._waiting.pop(each["local_port"], None)
            if note is not None and not each.get("request"):
                each.update({name: str(note.get(name) or "") for name in ("request", "sent", "key")})

    def _look(self) -> None:
        with contextlib.suppress(OSError), self.path.open("rb") as file:
            file.seek(self._read)
            data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                with contextlib.suppress(ValueError):
                    note = json.loads(line)
                    if isinstance(note, dict) and isinstance(note.get("port"), int):
                        self._waiting[note["port"]] = note
        for oldest in list(self._waiting)[:-_KEPT]:
            self._waiting.pop(oldest, None)
