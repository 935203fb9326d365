"""Owns what goes wrong outside while a request is served: which connections are hit, and how long the prototype would wait."""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from .fault_server import KINDS
from .recorder import RECORDER

if TYPE_CHECKING:
    from .wire import Wire

REFUSED, UNKNOWN, HANGS = "refused", "unknown-host", "hang"
FILES = {"disk-full": errno.ENOSPC, "unwritable": errno.EACCES}
"""What opening a file for writing fails with."""
INSIDE = ("down", "raise")
"""What goes wrong within: every database is gone, or the handler raises."""
LONGEST = 30.0
"""Seconds that a worker is given by the servers in front of it (gunicorn's default): who waits longer is killed."""
MANY = 20
"""Connections that fail after which a request is taken for one that never gives up."""
_SHORT, _LOOK, _STUCK = 0.15, 0.1, 4
_real_settimeout = socket.socket.settimeout


class Waits:
    """Connections that nobody will ever answer, and how long the prototype is ready to wait for each."""

    def __init__(self) -> None:
        """Nobody waits."""
        self._held: dict[int, float | None] = {}
        """Seconds that a blocking socket waits, by its file's number; None for ever, 0 where a loop waits for it."""
        self._wire: Wire | None = None
        self._watching = False
        self._ahead = 0.0
        """Seconds by which the loop's clock was put forward."""
        self._spent = 0.0
        """Seconds that connections which are closed by now were waited for."""
        self._since = 0.0
        """When it began to wait, on the monotonic clock; 0 where it never did."""
        self._loop: Any = None
        self._lock = threading.Lock()

    def begin(self, wire: Wire) -> None:
        """Talk to the lab over the child's own connection, which is idle while a request runs."""
        self._wire = wire
        self._held.clear()
        self._ahead = self._since = self._spent = 0.0

    def end(self) -> float:
        """Seconds that the request waited in vain, by its own clock."""
        with self._lock:
            self._wire = None
        since = time.monotonic() - self._since if self._ahead else 0.0
        waited = self._ahead + since + self._spent + sum(each for each in self._held.values() if each)
        self._held.clear()
        return waited

    def hold(self, sock: socket.socket) -> None:
        """Somebody begins to wait on this connection."""
        self._since = self._since or time.monotonic()
        self._spent += self._held.pop(sock.fileno(), None) or 0.0
        self._held[sock.fileno()] = self._limit(sock, sock.gettimeout())
        if self._wire is not None and not self._watching:
            self._watching = True
            self._loop = _running()
            threading.Thread(target=self._watch, name="toughen-waits", daemon=True).start()

    def mail(self, seconds: float | None) -> None:
        """A mail client waits for a server that says nothing."""
        if seconds is None:
            self._tell()
            time.sleep(LONGEST)
        self._ahead += seconds or 0.0
        raise TimeoutError("timed out")

    def limit(self, sock: socket.socket, seconds: float | None) -> None:
        """What `settimeout` does to a connection that is waited on: short waits come to their end sooner."""
        if self._held and sock.fileno() in self._held and not _connected(sock):
            # The number of one that was closed is another one's now.
            self._spent += self._held.pop(sock.fileno()) or 0.0
        if self._held and seconds != 0 and sock.fileno() in self._held:
            self._held[sock.fileno()] = self._limit(sock, seconds)
        else:
            _real_settimeout(sock, seconds)

    def _limit(self, sock: socket.socket, seconds: float | None) -> float | None:
        _real_settimeout(sock, _SHORT if seconds and seconds <= LONGEST else seconds)
        # What wraps a socket hands its time-out on: the short one then.
        return self._held.get(sock.fileno(), seconds) if seconds == _SHORT else seconds

    def _watch(self) -> None:
        """Look whether the request waits for what never comes; put a loop's clock forward to its next time-out."""
        still = 0
        while self._held and RECORDER.active:
            time.sleep(_LOOK)
            open_ones = [seconds for number, seconds in list(self._held.items()) if _is_open(number)]
            if any(seconds is None or seconds > LONGEST for seconds in open_ones):
                still += 1
            elif any(seconds == 0 for seconds in open_ones):
                still = still + 1 if not self._forward() and _waits(self._loop) else 0
            else:
                still = 0
            if still >= _STUCK:
                self._tell()
                break
        self._watching = False

    def _forward(self) -> bool:
        """Whether the loop has a time-out that comes soon enough, which it comes to at once."""
        loop = self._loop
        scheduled = getattr(loop, "_scheduled", None)
        if not scheduled:
            return False
        now = loop.time()
        ends = [each.when() for each in list(scheduled) if not each.cancelled()]
        ahead = min(ends, default=now + LONGEST) - now
        if ahead <= 0:
            return True
        if self._ahead + ahead > LONGEST:
            return False
        self._ahead += ahead
        known = loop.time
        loop.time = lambda: known() + ahead
        loop.call_soon_threadsafe(int)
        return True

    def never_ends(self) -> None:
        """A request tries again and again: that is told now, since it may never come to an end."""
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            wire, self._wire = self._wire, None
            if wire is not None:
                try:
                    seen: dict[str, Any] = {"statements": list(RECORDER.statements), "outgoing": list(RECORDER.outgoing)}
                    if RECORDER.answer is not None:
                        RECORDER.answer.tell(seen)
                    wire.send({"stuck": round(self._ahead, 1), **seen})
                except OSError:
                    os._exit(70)


WAITS = Waits()


def install() -> None:
    """Have sockets tell how long they wait."""
    kind: Any = socket.socket
    kind.settimeout = _settimeout


def _settimeout(self: socket.socket, value: float | None) -> None:
    WAITS.limit(self, value)


def met(host: str) -> str:
    """The kind of fault that a connection meets which is being opened now; "" where it meets none."""
    fault = RECORDER.fault
    if not fault or fault["kind"] in FILES or fault["kind"] in INSIDE:
        return ""
    if fault["host"] and fault["host"] != host.lower():
        return ""
    number = RECORDER.met
    RECORDER.met += 1
    first, times = fault["at"], fault["times"]
    if not times and number - first == MANY:
        WAITS.never_ends()
    return fault["kind"] if number >= first and (not times or number < first + times) else ""


def address(kind: str, usual: tuple[str, int]) -> tuple[str, int]:
    """Where the fault server behaves so."""
    return ("127.0.0." + str(KINDS[kind]), usual[1]) if kind in KINDS else usual


def refuse_file(path: str) -> None:
    """Raise what opening a file for writing raises, where that goes wrong now."""
    fault = RECORDER.fault
    if fault and fault["kind"] in FILES:
        # tempfile.gettempdir() tries by writing a file: it cannot be asked here.
        own = fault["kind"] == "unwritable" and path.startswith((os.environ.get("TMPDIR") or "/tmp") + os.sep)  # noqa: S108
        if not own:
            number = FILES[fault["kind"]]
            raise OSError(number, os.strerror(number), path)


def fail_mail(kind: str, timeout: Any) -> None:
    """Raise what a mail client meets; where it would wait for ever, say so and wait."""
    if kind == REFUSED:
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    if kind == UNKNOWN:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    if kind == HANGS:
        WAITS.mail(timeout if isinstance(timeout, (int, float)) else socket.getdefaulttimeout())
    raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


def _waits(loop: Any) -> bool:
    """Whether a loop has nothing left to do but to wait for its connections."""
    frame = sys._current_frames().get(getattr(loop, "_thread_id", None) or 0)
    return frame is not None and frame.f_code.co_filename == selectors.__file__


def _running() -> Any:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None

