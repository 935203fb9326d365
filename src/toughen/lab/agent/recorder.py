"""Owns what one request records: one recorder for the process, one request at a time, appends are thread-safe."""

from __future__ import annotations

import threading
from math import isfinite
from typing import TYPE_CHECKING, Any

from . import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from .gate import Gate

STATEMENTS = 5000
"""Statements kept of one request; the rest is counted."""
SIGHTINGS = 200
DEMANDS = 2000
TEXT = 20000
PARAMETER = 2000

_SIMPLE: frozenset[type] = frozenset((int, bool, type(None)))


def plain(value: object) -> Any:
    """Return a bound value or a column as a JSON value: bytes as `hex:`, long text cut."""
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if isinstance(value, str):
        return value[:PARAMETER] if kind is str else str.__str__(value)[:PARAMETER]
    if isinstance(value, float):
        return float(value) if isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return "hex:" + bytes(value[: PARAMETER // 2]).hex()
    if isinstance(value, int):
        return int(value)
    return frames.text_of(value, PARAMETER)


def plain_json(value: object, depth: int = 0) -> Any:
    """Return nested lists and dictionaries as JSON values, bounded in depth and length."""
    if depth < 6:
        if isinstance(value, dict):
            return {frames.text_of(key, 200): plain_json(each, depth + 1) for key, each in list(value.items())[:200]}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [plain_json(each, depth + 1) for each in list(value)[:200]]
    return plain(value)


def _wanted(record: dict[str, Any]) -> tuple[int, bool, bool, tuple[str, ...], dict[str, Any] | None]:
    """What a RECORD asks for: SQL, demands, lines, markers, the fault."""
    markers, fault = record.get("markers"), record.get("fault")
    return (
        int(record.get("sql") or 0),
        bool(record.get("demand")),
        bool(record.get("lines")),
        tuple(each for each in markers if each) if markers else (),
        {
            "kind": str(fault.get("kind")), "host": str(fault.get("host") or "").lower(),
            "at": int(fault.get("at") or 0), "times": int(fault.get("times") or 0),
        }
        if isinstance(fault, dict)
        else None,
    )


_IDLE = _wanted({})


class Recorder:
    """Collects statements, exceptions, demands, sightings and the rest while a request is served."""

    def __init__(self) -> None:
        """Start idle."""
        self.lock = threading.Lock()
        self.active = False
        self.sql = 0
        self.demand = False
        self.lines = False
        self.markers: tuple[str, ...] = ()
        self.fault: dict[str, Any] | None = None
        self.met = 0
        """Connections of this request that the fault could have hit so far."""
        self.gate: Gate | None = None
        self.down = False
        """Whether databases are gone while this request is served."""
        self.databases: dict[tuple[str, str], None] = {}
        """(driver, path) of every database that was opened, in order."""
        self.tasks: Callable[[], list[Any]] | None = None
        """Tasks of the running request, for ASGI."""
        self.dies: Callable[[Any], None] | None = None
        """Ends the process as soon as the client has its answer; what goes on behind it is lost."""
        self.early: list[dict[str, Any]] | None = None
        """Connections to the world outside that the start-up opens, until the first request tells of them; None where none are noted."""
        self.cut = -1
        """Number of the connection to the world outside before which the process ends; -1 for none."""
        self.falls: Callable[[], None] | None = None
        """Ends the process there."""
        self.whole = threading.Event()
        """Set once the client has its answer whole."""
        self.answered_after = -1
        self.patience = 0.0
        """Seconds that what a request leaves running has to come to its end."""
        self._told_databases = 0
        self._record: dict[str, Any] | None = None
        self._wanted = _IDLE
        self._clear()

    def _clear(self) -> None:
        self.statements: list[dict[str, Any]] = []
        self.dropped = 0
        self.failure: BaseException | None = None
        self.passing: BaseException | None = None
        self.demands: dict[tuple[Any, ...], dict[str, Any]] = {}
        self.sightings: list[dict[str, Any]] = []
        self.rejected: dict[str, Any] = {}
        """Fields of the request that a form of the framework's refused, with what it says of each."""
        self.outgoing: list[dict[str, Any]] = []
        self.waiting: dict[int, dict[str, Any]] = {}
        """Connections that are being opened, by socket, until their local port is known."""
        self.written: dict[str, None] = {}
        self.folders: dict[str, None] = {}
        self.met = 0
        self.answered_after = -1
        self.rested = 0.0
        """Seconds of sleep that were left out behind the answer."""
        self.slept = 0.0
        """Seconds that the request was asleep before its answer."""
        self.answer: Any = None
        """The answer, once the client has it whole while something still runs behind it."""

    def begin(self, record: dict[str, Any]) -> None:
        """Start to record a request as the RECORD says."""
        self._clear()
        if record is not self._record:
            # All requests of a frame share one.
            self._record, self._wanted = record, _wanted(record)
        self.sql, self.demand, self.lines, self.markers, self.fault = self._wanted
        self.down = self.fault is not None and self.fault["kind"] == "down"
        if self.gate is not None:
            self.sql = self.sql or 1
            self.gate.begin()
        if self.whole.is_set():
            self.whole.clear()
        self.active = True

    def end(self) -> dict[str, Any]:
        """Stop to record; return the recorded part of the EXCHANGE, without failure, lines and answer."""
        self.active = False
        self.dies, self.patience, self.down, self.cut = None, 0.0, False, -1
        self.sql, self.demand, self.lines, self.markers, self.fault = _IDLE
        found: dict[str, Any] = {}
        if 0 <= self.answered_after < len(self.statements):
            found["answered_after"] = self.answered_after
        if self.statements:
            found["statements"] = self.statements
        if self.demands:
            found["demands"] = list(self.demands.values())
        if self.sightings:
            found["sightings"] = self.sightings
        if self.rejected:
            found["rejected"] = self.rejected
        if self.outgoing:
            found["outgoing"] = self.outgoing
        if self.early:
            found["early"] = self.early
        self.early = None
        if self.written:
            found["written_files"] = list(self.written)
        if self.folders:
            found["folders"] = list(self.folders)
        if self.dropped:
            found["statements_dropped"] = self.dropped
        if len(self.databases) > self._told_databases:
            found["databases"] = self.opened(self._told_databases)
            self._told_databases = len(self.databases)
        return found

    def answered(self, answer: Any) -> None:
        """Note that the client has its answer whole: what is done from now on, it does not wait for."""
        if self.active and self.answered_after < 0:
            self.answered_after = len(self.statements) + self.dropped
            if self.dies is not None:
                self.dies(answer)
                self.whole.set()
            elif self.patience:
                self.whole.set()

    def opened(self, since: int = 0) -> list[dict[str, str]]:
        """Return databases that were opened, as FACTS tells them; all of them, or the newest."""
        return [{"driver": driver, "path": path} for driver, path in list(self.databases)[since:]]

    def tell_databases(self) -> list[dict[str, str]]:
        """All databases so far; the next EXCHANGE tells only newer ones."""
        self._told_databases = len(self.databases)
        return self.opened()

    def gone(self, noted: int = 0) -> bool:
        """Whether databases are gone by now: from that statement of the request on; `noted` says that the one at hand is counted already."""
        return self.down and self.fault is not None and len(self.statements) + self.dropped - noted >= self.fault["at"]

    def behind(self) -> bool:
        """Whether nobody waits for what happens now: the client has its answer, or a thread of the prototype's own is at work."""
        here = threading.current_thread()
        return self.answer is not None or (type(here) is threading.Thread and not here.name.startswith(("ThreadPoolExecutor", "asyncio")))

    def place(self, depth: int) -> frames.Place | None:
        """Place of the project's own code that causes what happens now.

        Asynchronous drivers work in threads and tasks of their own; then it is where the request's coroutine waits.
        """
        found = frames.here(depth)
        if found is None and self.tasks is not None:
            # The loop's thread may not have come as far as waiting.
            found = frames.running(threading.main_thread().ident)
            try:
                for task in [] if found is not None else self.tasks():
                    found = frames.waiting(task) or found
            except Exception:
                return found
        return found

    def statement(self, text: str, parameters: list[Any]) -> tuple[int, dict[str, Any]]:
        """Note a statement that is about to run; return its index and the record to fill in."""
        note: dict[str, Any] = {
            "text": text if len(text) < TEXT else text[:TEXT],
            "parameters": parameters,
            "rows": None,
        }
        if self.sql > 1:
            note["place"] = self.place(4)
        statements = self.statements
        if self.gate is None and len(statements) < STATEMENTS:
            statements.append(note)
            index = len(statements) - 1
        else:
            with self.lock:
                index = len(statements) + self.dropped
                if len(statements) < STATEMENTS:
                    statements.append(note)
                else:
                    self.dropped += 1
        if self.markers:
            self.sight("sql", (text,))
        return index, note

    def sight(self, event: str, texts: tuple[str, ...]) -> None:
        """Note a sighting where one of the texts holds a marker."""
        for text in texts:
            for marker in self.markers:
                if marker in text:
                    if len(self.sightings) < SIGHTINGS:
                        at = max(0, text.find(marker) - PARAMETER // 2)
                        cut = text if len(text) <= PARAMETER else text[at : at + PARAMETER]
                        self.sightings.append({"event": event, "text": cut, "place": self.place(4), "marker": marker})
                    return


RECORDER = Recorder()
"""The one recorder of this process; hooks write to it, the server of requests reads it."""
