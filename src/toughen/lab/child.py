"""Owns one process that serves requests: what it is asked to record, and how it ends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.lab import observe
from toughen.lab.requests import packed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toughen.lab import sandbox
    from toughen.lab.wire import Connection
    from toughen.model.trace import Exchange
    from toughen.model.trial import Fault, Together

REQUEST_SECONDS = 10.0
"""Longest time that one request may take before its process is killed."""


@dataclass(frozen=True, slots=True)
class Record:
    """What the agent notes while it serves."""

    sql: int = 2
    demand: bool = False
    lines: bool = False
    markers: tuple[str, ...] = ()
    fault: Fault | None = None
    memory: bool = False
    """Whether the body comes in pieces and never lies in the process as a whole, so that what it grows by is the prototype's."""

    patience: float = 0.0
    """Seconds that what the request leaves running has to come to its end."""
    told: bool = False
    """Whether to tell what it writes out."""
    dies: bool = False
    """Whether the process ends as soon as the client has its answer."""
    cut: int = -1
    """Number of the connection to the world outside before which the process ends; -1 for none."""

    def frame(self) -> dict[str, Any]:
        """The RECORD frame."""
        told: dict[str, Any] = {"sql": self.sql, "demand": self.demand, "lines": self.lines, "markers": list(self.markers), **({"memory": True} if self.memory else {}), **({"patience": self.patience} if self.patience else {}), **({"dies": True} if self.dies else {}), **({"told": True} if self.told else {}), **({"cut": self.cut} if self.cut >= 0 else {})}
        return told if self.fault is None else {**told, "fault": asdict(self.fault)}


@dataclass(slots=True)
class Child:
    """One process that serves requests; it keeps the memory that they change, and dies when closed."""

    connection: Connection
    note: Callable[[dict[str, Any]], None]
    """Is told of every answer."""
    lines: bool = False
    open: bool = True

    def serve(self, request: dict[str, Any], record: Record, timeout: float = REQUEST_SECONDS) -> Exchange:
        """Serve one request; a process that hangs is killed, and that it did is the Exchange's `ended`."""
        if not self.open:
            return observe.exchange({}, request, ended="died")
        try:
            self.connection.send({"do": "serve", "requests": [packed(request) if record.memory else request], "record": record.frame()})
            frame = self.connection.receive(timeout)
        except TimeoutError:
            self.kill()
            return observe.exchange({}, request, ended="timeout")
        except AgentLostError:
            self.kill()
            return observe.exchange({}, request, ended="died")
        self.note(frame)
        if frame.get("fallen"):
            self.kill()
            return observe.exchange(frame, request, ended="killed")
        if "stuck" in frame:
            self.kill()
            # What only hangs behind its answer keeps no client waiting.
            return observe.exchange(frame, request, ended="answered" if isinstance(frame.get("status"), int) else "hung")
        return observe.exchange(frame, request)

    def pair(self, requests: Sequence[dict[str, Any]], plan: Together, timeout: float = 2 * REQUEST_SECONDS) -> tuple[list[Exchange], list[str]]:
        """Serve two requests at once, and tell in words how they met; a process that hangs is killed."""
        stop = {"awaits": plan.awaits} if plan.awaits else {"file": plan.file, "line": plan.line}
        try:
            self.connection.send({"do": "pair", "requests": list(requests), "stop": stop})
            frame = self.connection.receive(timeout)
        except (TimeoutError, AgentLostError):
            self.kill()
            return [observe.exchange({}, each, ended="died") for each in requests], []
        told = frame.get("pair")
        frames = [each if isinstance(each, dict) else {} for each in told] if isinstance(told, list) else []
        where = f"await {plan.awaits}" if plan.awaits else f"{plan.file}:{plan.line}"
        met = [f"A stands still at {where}", "B waits for A" if frame.get("waited") else "B runs to its end"] if frame.get("stood") else []
        exchanges = [observe.exchange(each, request, ended="answered" if isinstance(each.get("status"), int) else "timeout") for each, request in zip([*frames, {}, {}], requests, strict=False)]
        return exchanges, met

    def call(self, function: str, arguments: Sequence[Any], timeout: float = REQUEST_SECONDS) -> Any:  # noqa: ANN401
        """Call a function of the prototype's; its JSON-safe result. Raises AgentLostError, or LookupError where it raised."""
        self.connection.send({"do": "call", "function": function, "arguments": list(arguments), "keywords": {}})
        try:
            frame = self.connection.receive(timeout)
        except (TimeoutError, AgentLostError):
            self.kill()
            raise AgentLostError("the process under attack did not come back", subject=function) from None
        if "returned" not in frame:
            raise LookupError(str(frame.get("failed")))
        return frame["returned"]

    def clock(self, seconds: float, timeout: float = REQUEST_SECONDS) -> None:
        """Put its clock forward, or back where negative. Raises AgentLostError."""
        self.connection.send({"do": "clock", "seconds": seconds})
        try:
            self.connection.receive(timeout)
        except (TimeoutError, AgentLostError):
            self.kill()
            raise AgentLostError("the process under attack did not come back", subject="clock") from None

    def tables(self, timeout: float = REQUEST_SECONDS) -> dict[str, list[dict[str, Any]]]:
        """Rows of the databases in its memory, by table; nothing where there are none or it does not answer."""
        try:
            self.connection.send({"do": "rows"})
            found = self.connection.receive(timeout).get("tables")
        except (TimeoutError, AgentLostError):
            self.kill()
            return {}
        return {str(name): [row for row in rows if isinstance(row, dict)] for name, rows in found.items() if isinstance(rows, list)} if isinstance(found, dict) else {}

    def loaded(self, timeout: float = REQUEST_SECONDS) -> list[str]:
        """Files of installed packages that it has loaded, below site-packages; nothing where it does not answer."""
        try:
            self.connection.send({"do": "loaded"})
            found = self.connection.receive(timeout).get("files")
        except (TimeoutError, AgentLostError):
            self.kill()
            return []
        return [str(each) for each in found] if isinstance(found, list) else []

    def kill(self) -> None:
        """End the process at once."""
        if self.open:
            self.open = False
            self.connection.kill()

    close = kill


@dataclass(slots=True)
class WholeChild(Child):
    """A child that is a box of its own, where forking is unsafe."""

    box: sandbox.Box | None = None

    def kill(self) -> None:
        """End the process and its box."""
        if self.open:
            self.open = False
            self.connection.kill()
            if self.box:
                self.box.close()

    close = kill
