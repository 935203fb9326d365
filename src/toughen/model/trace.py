"""Owns what was observed: statements, exceptions, sightings of canaries, row changes, exchanges."""

from __future__ import annotations

from dataclasses import dataclass, field

from toughen.model.blueprint import Json
from toughen.model.mutant import SuiteRun
from toughen.model.source import Location


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement as the driver saw it."""

    text: str
    parameters: tuple[Json, ...] = ()
    """Bound values in order (named ones by name order of appearance); bytes as hex, long text cut."""
    verb: str = "other"
    """select, insert, update, delete, begin, commit, rollback, ddl, other."""
    reads: tuple[str, ...] = ()
    """Tables read, lower case."""
    writes: tuple[str, ...] = ()
    """Tables written, lower case."""
    rows: int | None = None
    """Rows fetched (select) or touched (write), None where unknown."""
    sample: tuple[dict[str, Json], ...] = ()
    """First rows fetched, by column name."""
    location: Location | None = None
    """The innermost frame of the project's own code."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception that no code of the prototype handled."""

    type: str
    """Qualified name: `sqlite3.OperationalError`."""
    message: str
    location: Location | None
    """The innermost frame of the project's own code."""
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A canary that surfaced where it should be data only."""

    event: str
    """sql, open, subprocess.Popen, os.system, socket.getaddrinfo, exec, compile, pickle.find_class, import, ..."""
    text: str
    """The statement, path, command, ... that holds it (cut)."""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """A key that the handler asked the request for."""

    place: str
    """json, form, query, header, cookie, file; outside: an answer of the world outside (`outside:number`: what its value should be)."""
    key: tuple[str | int, ...]
    present: bool
    required: bool
    """Asked by subscription rather than by `.get` or `in`."""
    default: Json = None
    type: str = "any"
    """JSON type that the asker wants, where it says so (`request.args.get("page", type=int)`, a schema's field)."""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; long bodies are cut."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    """Decoded as UTF-8 with replacement; cut at the lab's limit."""
    size: int = 0
    """Bytes of the whole body."""
    json: Json = None
    """The parsed body where it is JSON and not cut."""
    is_json: bool = False

    def header(self, name: str) -> str | None:
        """First header of that name, case-insensitively."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A connection that the prototype opened to the world outside, answered by the fault server."""

    host: str
    port: int
    request: str = ""
    """First line of what it sent (`POST /v1/charges HTTP/1.1`), empty where it is not HTTP."""
    location: Location | None = None
    after: int = 0
    """How many statements the request had sent before."""
    sent: str = ""
    """The body that it sent, cut; of a mail its text."""
    key: str = ""
    """The idempotency key that it sent, "" where it sent none."""
    behind: bool = False
    """Whether it was opened behind the answer, or in a thread that the request does not wait for."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One record of Python's logging."""

    level: int
    """30 is a warning, 40 an error."""
    logger: str
    message: str
    own: bool
    """Whether the project's own code wrote it, rather than a library."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a request made its process write out."""

    lines: tuple[str, ...] = ()
    """On standard output and error, and in log files that are open."""
    logged: tuple[Logged, ...] = ()
    """What went to logging, whether a handler wrote it or not."""
    raised: bool = False
    """Whether an exception came out of the application: the server in front of it writes the traceback."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request, its answer and all that happened inside while it was served."""

    method: str
    target: str
    """Path and query as sent."""
    request_body: str
    """The body as sent, cut."""
    response: Response | None
    """None when the request never ended or the process died."""
    ended: str = "answered"
    """answered, timeout, died; hung (it waits for ever, or longer than a worker may), killed (by the lab), missed (its fault never came about)."""
    answered_after: int = -1
    """How many of its statements the client waited for; the others came when it had its answer. -1: all."""
    statements: tuple[Statement, ...] = ()
    failure: Failure | None = None
    handled: tuple[Failure, ...] = ()
    """Exceptions raised inside the project's code and handled there; only while lines are recorded."""
    demands: tuple[Demand, ...] = ()
    asked: tuple[Demand, ...] = ()
    """What the prototype asked of the answers of the world outside; the key begins with the number of the answer."""
    sightings: tuple[Sighting, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()
    """(field, what is said of it) of a form of the framework's that refused what was sent."""
    lines: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """(file, executed lines in order of first execution); only while lines are recorded."""
    last_line: Location | None = None
    """The last executed line of the route's handler, or of the guard that ended it; only while lines are recorded."""
    outgoing: tuple[Outgoing, ...] = ()
    early: tuple[Outgoing, ...] = ()
    """What the start-up of its process opened before it; the first request of a process tells it."""
    written_files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    """Folders of the project in which files were opened, or which were listed; relative to its root."""
    told: Told | None = None
    """What it made the process write out; only where the trial hears it."""
    grown: int | None = None
    """Bytes of memory by which the process was larger at its largest than before; only where the trial is measured and the system tells it."""
    milliseconds: float = 0.0
    slept: float = 0.0
    """Seconds that it slept by its own will before it answered."""
    waited: float = 0.0
    """Seconds that it waited for answers which never came, by the prototype's own clock; what it hung for is not among them."""

    @property
    def status(self) -> int | None:
        """Status of the answer, None when there is none."""
        return self.response.status if self.response else None


@dataclass(frozen=True, slots=True)
class Turn:
    """How far one of two requests at once came before something else happened."""

    who: str
    """A or B."""
    upto: int
    """Number of the statement that it had not run yet."""
    then: str
    """stops (it is made to stand still), waits (for the other's lock), answers, fails (its process died or never came to an end)."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row that a trial changed."""

    table: str
    kind: str
    """inserted, updated, deleted."""
    before: dict[str, Json] = field(default_factory=dict)
    after: dict[str, Json] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns whose value differs."""
        keys = dict.fromkeys([*self.before, *self.after])
        return tuple(key for key in keys if self.before.get(key) != self.after.get(key))


@dataclass(frozen=True, slots=True)
class Trace:
    """All that happened in a trial."""

    exchanges: tuple[Exchange, ...]
    """One for each call, in the trial's order of calls."""
    changes: tuple[RowChange, ...] = ()
    """Rows that differ from the snapshot (after grants) when the trial ended."""
    final_changes: tuple[RowChange, ...] = ()
    """Rows that the last call alone changed."""
    markers: dict[str, str] = field(default_factory=dict)
    """Name of each Marker -> the canary that was sent."""
    schedule: tuple[str, ...] = ()
    """What the scheduler did, in order, for the evidence of a race."""
    turns: tuple[Turn, ...] = ()
    """The same as who came how far, in the order of time."""
    outside: tuple[tuple[str, str], ...] = ()
    """(name, beginning of its text) of what lay in the lab's own folder, outside of the prototype, when the trial ended."""
    folder: str = ""
    """Where that folder lies, as the prototype sees it; only where something was planted there."""
    packages: tuple[tuple[str, str], ...] = ()
    """(name, version) of the installed packages that the process of the last call has loaded; only where the trial asks for them."""
    sown: int = 0
    """Rows that the tables took of those that the trial wanted sown."""
    weight: int = 0
    """Bytes by which the last call made the databases grow, and that the files hold which it wrote; only where the trial is weighed."""
    suite: SuiteRun | None = None
    """What the prototype's own tests said, where the trial runs them."""

    @property
    def last(self) -> Exchange:
        """The exchange of the last call."""
        return self.exchanges[-1]
