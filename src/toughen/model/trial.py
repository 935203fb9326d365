"""Owns experiments: trials from a snapshot, and the schedules forced on two requests."""

from __future__ import annotations

from dataclasses import dataclass

from toughen.model.journey import Call, Grant, Marker


@dataclass(frozen=True, slots=True)
class Schedule:
    """Two calls at once, or three: the first is stopped at one of its statements, the second runs whole, the first goes on; to another one, for a third."""

    first: Call
    second: Call
    stop_before: int
    """Index of the first call's statement before which it is stopped."""
    third: Call | None = None
    """Runs whole where the first is stopped once more."""
    again_before: int = 0
    """Index of the statement before which the first is stopped once more, counted with the second in between."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """Who takes part."""
        return (self.first, self.second, *((self.third,) if self.third is not None else ()))


@dataclass(frozen=True, slots=True)
class Together:
    """Two calls at once in one process: the first stands still at a line or an await of the project's while the second runs whole."""

    first: Call
    second: Call
    then: Call
    """Sent to the same process when both are done."""
    file: str = ""
    """Path below the project's root."""
    line: int = 0
    """Before which the first stands still, where a thread serves it."""
    awaits: int = 0
    """After how many awaits in the project's code the first stands still, where a task serves it; 0 where a line says it."""

    @property
    def calls(self) -> tuple[Call, ...]:
        """Who is at once."""
        return self.first, self.second


@dataclass(frozen=True, slots=True)
class Planted:
    """A file that lies in the lab's own folder, outside of everything that is the prototype's, while a trial runs."""

    name: Marker
    """Its name, without a folder."""
    text: Marker
    """What it holds."""
    folder: Marker | None = None
    """Where the file lies in the prototype's copy instead: the name of a folder that is made for it and goes after the trial, `beside` an own one."""
    beside: str = ""
    """A folder of the prototype, relative to its root."""


@dataclass(frozen=True, slots=True)
class Sown:
    """Rows that the lab writes in front of the last call: copies of the newest ones in turn, each with a key of its own."""

    table: str
    rows: int


EVERY = -2


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong around one call: with the world outside, with the database, or with files."""

    kind: str
    """Outside: refused, unknown-host, hang, reset, error (500), busy (429 with Retry-After), malformed (a page where JSON was
    meant), truncated, slow. Database: locked (SQLite, for whoever writes); full (no room is left), lost (every connection), serialization, deadlock (PostgreSQL, MySQL), timeout (MySQL: a lock that is not had in time), down (every one that lies in a file or
    is a server is gone, from that statement on). Files: disk-full, unwritable. The handler itself: raise (an error in its first line)."""
    at: int = 0
    """Number of the connection (of this host) that is hit first, or of the statement at which the database fails."""
    times: int = 0
    """How many are hit one after the other; 0 is all from there on."""
    host: str = ""
    """Only this host; "" is any."""
    call: int = -1
    """Index of the trial's call that meets it; -1 is the last, -2 (EVERY) each of them."""

    def meets(self, index: int, calls: int) -> bool:
        """Whether it is the call of that index, of so many, that meets it."""
        return self.call == EVERY or index == (self.call if self.call >= 0 else calls - 1)


ANSWERED = -2


@dataclass(frozen=True, slots=True)
class Kill:
    """The process that serves a call is killed; the next call finds a new one that went through its start-up."""

    call: int
    """Index of the trial's call."""
    before: int = -1
    """Number of its statement before which it dies; -1 once all is done and before the client hears of it; -2 (ANSWERED) as soon as the client has its answer."""
    outside: int = -1
    """Number of its connection to the world outside before which it dies instead, also behind its answer; -1 where a statement says it."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The prototype's own tests, on a copy of it, in the place of requests."""

    off: str = ""
    """Key of the guard that is switched off (see Mutant); then those tests run that ask it, until one fails. "" runs all, twice."""
    answer: int = 0
    """Every request of the tests is answered with this status and an empty object, and nothing is done; 0 is as the prototype answers."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One experiment from the snapshot; grants are written first, then the calls run in order."""

    calls: tuple[Call, ...]
    grants: tuple[Grant, ...] = ()
    schedule: Schedule | None = None
    """Runs after the calls; its exchanges are the last of the Trace (first, second, and a third)."""
    together: Together | None = None
    """Runs after the calls, in the process that served them; its three exchanges are the last of the Trace (first, second, then)."""
    isolated: bool = False
    """True gives each call a process of its own, as separate workers would."""
    apart: float = 0.0
    """Seconds of pause between calls, for prototypes that make keys of the clock."""
    traced: bool = False
    """True records the lines that run, and the exceptions that the prototype handles itself; it costs many times as much."""
    planted: tuple[Planted, ...] = ()
    sown: tuple[Sown, ...] = ()
    weighed: bool = False
    """True measures by how many bytes the last call makes the databases and files grow."""
    measured: bool = False
    """True has the last call's body arrive in pieces, as a server in front hands it on, and tells by how much its process grew meanwhile."""
    started: str = ""
    """Serve what the prototype's own start serves: the path of the script that starts it, or `flask` for `flask run --debug`; "" serves the application itself."""
    fault: Fault | None = None
    kills: tuple[Kill, ...] = ()
    loads: bool = False
    """True tells which packages the process of the last call has loaded."""
    patient: bool = False
    """True gives what a request leaves running behind its answer some seconds to come to its end."""
    heard: bool = False
    """True tells what the process writes out while it serves: standard output and error, log records, log files."""
    rehearsal: Rehearsal | None = None
    """Runs in the place of the calls; its Trace has no exchanges."""
    workers: str = ""
    """one: all calls are served by one process; each: every call by another, though the prototype keeps its state in memory; "" is as `isolated` says."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a rule wants executed: the honest control and the hostile trials, each under a name."""

    trials: dict[str, Trial]
    """`control` is always there and comes first."""
    about: str = ""
    """What this experiment tries, in words: `quantity = -1`."""
    detail: tuple[tuple[str, str], ...] = ()
    """Facts that judge and mend need again at replay: (`field`, `json:quantity`)."""

    def fact(self, name: str) -> str:
        """The detail of that name, "" where it is missing."""
        return next((value for key, value in self.detail if key == name), "")
