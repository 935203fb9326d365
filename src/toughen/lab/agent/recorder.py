"""Owns what one request records: one recorder for the process, one request at a time, appends are thread-safe."""

from __future__ import annotations

import threading
from math import isfinite
from typing import TYPE_CHECKING, Any, Dict, FrozenSet, List, Optional, Tuple

from . import frames

if TYPE_CHECKING:
    from .gate import Gate

STATEMENTS = 5000
"""Statements kept of one request; the rest is counted."""
SIGHTINGS = 200
DEMANDS = 2000
TEXT = 20000
PARAMETER = 2000

_SIMPLE: FrozenSet[type] = frozenset((int, bool, type(None)))


def plain(value: object) -> Any:  # noqa: ANN401 - any JSON value
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


def plain_json(value: object, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """Return nested lists and dictionaries as JSON values, bounded in depth and length."""
    if depth < 6:  # noqa: PLR2004
        if isinstance(value, dict):
            return {frames.text_of(key, 200): plain_json(each, depth + 1) for key, each in list(value.items())[:200]}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [plain_json(each, depth + 1) for each in list(value)[:200]]
    return plain(value)


class Recorder:
    """Collects statements, exceptions, demands, sightings and the rest while a request is served."""

    def __init__(self) -> None:
        """Start idle."""
        self.lock = threading.Lock()
        self.active = False
        self.sql = 0
        self.demand = False
        self.lines = False
        self.markers: Tuple[str, ...] = ()
        self.refused: FrozenSet[str] = frozenset()
        self.gate: Optional[Gate] = None
        self.databases: Dict[Tuple[str, str], None] = {}
        """(driver, path) of every database that was opened, in order."""
        self._told_databases = 0
        self._clear()

    def _clear(self) -> None:
        self.statements: List[Dict[str, Any]] = []
        self.dropped = 0
        self.failure: Optional[BaseException] = None
        self.passing: Optional[BaseException] = None
        self.demands: Dict[Tuple[Any, ...], Dict[str, Any]] = {}
        self.sightings: List[Dict[str, Any]] = []
        self.outgoing: List[Dict[str, Any]] = []
        self.waiting: Dict[int, Dict[str, Any]] = {}
        """Connections that are being opened, by socket, until their local port is known."""
        self.written: Dict[str, None] = {}

    def begin(self, record: Dict[str, Any]) -> None:
        """Start to record a request as the RECORD says."""
        self._clear()
        self.markers = tuple(each for each in record.get("markers") or () if each)
        self.refused = frozenset(str(each).lower() for each in record.get("refuse") or ())
        self.demand = bool(record.get("demand"))
        self.lines = bool(record.get("lines"))
        self.sql = int(record.get("sql") or 0)
        if self.gate is not None:
            self.sql = self.sql or 1
            self.gate.begin()
        self.active = True

    def end(self) -> Dict[str, Any]:
        """Stop to record; return the recorded part of the EXCHANGE, without failure, lines and answer."""
        self.active = False
        self.sql = 0
        self.demand = False
        self.lines = False
        self.markers = ()
        self.refused = frozenset()
        found: Dict[str, Any] = {
            "statements": self.statements,
            "demands": list(self.demands.values()),
            "sightings": self.sightings,
            "outgoing": self.outgoing,
            "written_files": list(self.written),
        }
        if self.dropped:
            found["statements_dropped"] = self.dropped
        if len(self.databases) > self._told_databases:
            found["databases"] = self.opened(self._told_databases)
            self._told_databases = len(self.databases)
        return found

    def opened(self, since: int = 0) -> List[Dict[str, str]]:
        """Return databases that were opened, as FACTS tells them; all of them, or the newest."""
        return [{"driver": driver, "path": path} for driver, path in list(self.databases)[since:]]

    def tell_databases(self) -> List[Dict[str, str]]:
        """All databases so far; the next EXCHANGE tells only newer ones."""
        self._told_databases = len(self.databases)
        return self.opened()

    def refuses(self, host: str) -> bool:
        """Tell whether connections to a host are refused during this request (`*` refuses all)."""
        return bool(self.refused) and ("*" in self.refused or host.lower() in self.refused)

    def statement(self, text: str, parameters: List[Any]) -> Tuple[int, Dict[str, Any]]:
        """Note a statement that is about to run; return its index and the record to fill in."""
        note: Dict[str, Any] = {
            "text": text if len(text) < TEXT else text[:TEXT],
            "parameters": parameters,
            "rows": None,
            "sample": [],
            "place": frames.here(3) if self.sql > 1 else None,
            "error": None,
        }
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

    def sight(self, event: str, texts: Tuple[str, ...]) -> None:
        """Note a sighting where one of the texts holds a marker."""
        for text in texts:
            for marker in self.markers:
                if marker in text:
                    if len(self.sightings) < SIGHTINGS:
                        at = max(0, text.find(marker) - PARAMETER // 2)
                        cut = text if len(text) <= PARAMETER else text[at : at + PARAMETER]
                        self.sightings.append({"event": event, "text": cut, "place": frames.here(3), "marker": marker})
                    return


RECORDER = Recorder()
"""The one recorder of this process; hooks write to it, the server of requests reads it."""
