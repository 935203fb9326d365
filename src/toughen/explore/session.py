"""Owns one exploring session: a child that keeps its state, what was sent and answered, and what was learned from it."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.explore.outside import Outside
from toughen.explore.values import Candidate, Maker, Pool
from toughen.lab.child import Record
from toughen.lab.credentials import Jar, Wallet
from toughen.lab.requests import Resolver, UnresolvedError, assemble
from toughen.model.blueprint import Parameter, Place, Route
from toughen.model.journey import Argument, Call, Grant, Literal
from toughen.model.trace import Exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.lab.boot import Lab
    from toughen.lab.child import Child
    from toughen.model.blueprint import Blueprint, Json

_TOO_MANY = 429
_WAIT, _MOST_WAITS = 1.1, 30
"""Seconds to wait where requests are counted, and how often."""
_REMEMBERED = 12
"""Requests that a process which traces lines does first, so that its memory is like the session's."""

Key = tuple[Place, tuple[str | int, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """A request in the making: a candidate for each place, and the rows it wants granted."""

    values: tuple[tuple[Key, Candidate], ...] = ()
    grants: tuple[Grant, ...] = ()
    why: str = "first"
    inside: bool = False
    """Sent from the machine itself."""

    def get(self, key: Key) -> Candidate | None:
        """The candidate at a place."""
        return next((candidate for each, candidate in self.values if each == key), None)

    def put(self, changes: Mapping[Key, Candidate], why: str) -> Plan:
        """This plan with some places changed or added."""
        kept = tuple((key, changes.get(key, candidate)) for key, candidate in self.values)
        known = {key for key, _ in self.values}
        added = tuple((key, candidate) for key, candidate in changes.items() if key not in known)
        return replace(self, values=(*kept, *added), why=why)

    def drop(self, keys: set[Key], why: str) -> Plan:
        """This plan without some places."""
        return replace(self, values=tuple(item for item in self.values if item[0] not in keys), why=why)

    def grant(self, grant: Grant, why: str) -> Plan:
        """This plan with one more row written beforehand."""
        kept = tuple(each for each in self.grants if (each.table, each.where, each.column) != (grant.table, grant.where, grant.column))
        return replace(self, grants=(*kept, grant), why=why)

    def call(self, route: Route, identity: str | None, body: str | None) -> Call:
        """The Call that it stands for."""
        arguments = tuple(Argument(place, path, Literal(candidate.value)) for (place, path), candidate in self.values)
        return Call(route.id, arguments, identity, body=body, inside=self.inside)

    @property
    def signature(self) -> str:
        """Equal for plans that would send the same request."""
        return repr(sorted(((place, path, repr(candidate.value)) for (place, path), candidate in self.values), key=repr)) + repr(self.grants) + ("inside" if self.inside else "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One success in the session's history."""

    route: str
    call: Call
    exchange: Exchange
    plan: Plan
    kept: bool
    """False when the database was put back afterwards: later entries cannot depend on it."""


@dataclass(slots=True)
class RouteState:
    """What is known about reaching one route."""

    route: Route
    parameters: dict[Key, Parameter]
    body: str | None
    reached: Entry | None = None
    fuller: tuple[Entry, ...] = ()
    """Successes that did more than the one that reached it, the fullest first."""
    shallow: bool = False
    deepest: Exchange | None = None
    deepest_by: str | None = None
    tried: dict[str | None, Exchange] = field(default_factory=dict)
    bound: dict[Key, tuple[str, str]] = field(default_factory=dict)
    """Places whose value was seen bound to a column: (table, column)."""
    roles: set[str] = field(default_factory=set)
    """Roles that its refusals named."""

    @property
    def resource(self) -> str:
        """The word in its path that names what it handles: `notes` for `/api/notes/{id}`."""
        parts = [part for part in self.route.path.split("/") if part and not part.startswith("{")]
        return parts[-1] if parts else ""


@dataclass(slots=True)
class Session:
    """An exploring session over one booted prototype."""

    lab: Lab
    blueprint: Blueprint
    sources: Mapping[str, str]
    wallet: Wallet
    pool: Pool = field(default_factory=Pool)
    maker: Maker = field(default_factory=Maker)
    history: list[Entry] = field(default_factory=list)
    baked: set[int] = field(default_factory=set)
    """Entries of the history that are in the snapshot already: nothing replays them."""
    requests: int = 0
    asked_headers: dict[str, None] = field(default_factory=dict)
    """Credential-like headers that handlers asked for."""
    outbox: list[str] = field(default_factory=list)
    missing_tables: set[str] = field(default_factory=set)
    """Tables that statements looked for in vain."""
    missing_files: set[str] = field(default_factory=set)
    """Files that were opened in vain."""
    crashing: bool = False
    """Whether every page that was looked at crashed."""
    hung: dict[str, Exchange] = field(default_factory=dict)
    """Routes that never ended or took their process with them: they are not tried again."""
    current: str | None = None
    """The identity that is trying."""
    own_only: bool = False
    """Whether somebody else's row may not become the asker's yet: first everybody has his turn with what is his own."""
    withheld: bool = False
    """Whether that kept a plan back."""
    founders: dict[str, Call] = field(default_factory=dict)
    """Sign-ups of identities that live in memory: every new process needs them again."""
    founded: dict[str, int] = field(default_factory=dict)
    """Where in the history they were signed up last."""
    written: list[tuple[str, dict[str, Json]]] = field(default_factory=list)
    """Records that the source itself holds, with the name of their collection."""
    jar: Jar = field(default_factory=Jar)
    spoiled: bool = False
    """Whether something may have logged people out since the processes began: it took a cookie away, or changed what lies in memory."""
    outside: Outside = field(init=False)
    """How the world outside answers, as far as it was learned."""
    _child: Child | None = None
    _lines: Child | None = None
    _since: int = 0
    """Where in the history the memory of the present process begins."""
    _waits: int = 0
    _served: str | None = None
    """The route that the session's process served last."""
    _before: str | None = None
    """The route that was served last in any process."""

    def __post_init__(self) -> None:
        """Nothing is known of the world outside."""
        self.outside = Outside(self.lab)

    def send(self, call: Call, *, lines: bool = False) -> Exchange:
        """Send one call in the session's process (or, to see the lines that it runs, in one that traces)."""
        self.requests += 1
        try:
            credential = self.jar.credential(call.identity, self.wallet.get(call.identity))
            request = assemble(call, Resolver(self.lab.world.rows), (), credential)
        except (UnresolvedError, KeyError) as error:
            method, _, path = call.route.partition(" ")
            return Exchange(method, path, "", None, ended=f"not sent: {error}")
        exchange = self._serve(call.route, request, lines=lines)
        self._note(exchange)
        if exchange.ended in {"timeout", "died"}:
            self.hung[call.route] = exchange
        if not lines and (call.identity is None or self.wallet.known(call.identity) is not None):
            self.jar.take(call.identity, exchange.response)
        return exchange

    def _serve(self, route: str, request: dict[str, Any], *, lines: bool) -> Exchange:
        """Serve it; where the process died under it, ask again in a fresh one: the request before may have killed its parent."""
        record = Record(sql=2, demand=True, lines=lines)
        # Whoever kills the server ends every process, one that has only just begun and one that traces too.
        process = self._tracer if lines else self._server
        before, self._before = self._before, route
        child = process()
        used, self._served = self._served, route
        exchange = child.serve(request, record)
        if exchange.status == _TOO_MANY and used is not None and not lines:
            return self._later(child, route, request, record) or exchange
        if exchange.ended == "died" and before not in {None, route}:
            again = process().serve(request, record)
            if again.ended != "died":
                assert before is not None
                self.hung[before] = exchange
            return again
        return exchange

    def _later(self, child: Child, route: str, request: dict[str, Any], record: Record) -> Exchange | None:
        """The same request once more: whoever counts requests in memory begins anew in a new process, or after a second where the state is there too."""
        if self.lab.world.databases:
            child.close()
            fresh = self._server()
            self._served = route
            return fresh.serve(request, record)
        if self._waits >= _MOST_WAITS:
            return None
        self._waits += 1
        time.sleep(_WAIT)
        return child.serve(request, record)

    def _server(self) -> Child:
        if self._child is None or not self._child.open:
            self._child = self.lab.child()
            self._served = None
            done: dict[Call, int] = {}
            for name, call in self.founders.items():
                if call in done:
                    self.founded[name] = done[call]
                    continue
                answer = self._child.serve(assemble(call, Resolver(self.lab.world.rows), (), None), Record(sql=2))
                self.history.append(Entry(call.route, call, answer, Plan(_values(call), why="sign up"), kept=True))
                self.founded[name] = done[call] = len(self.history) - 1
        return self._child

    def _tracer(self) -> Child:
        if self._lines is None or not self._lines.open:
            self._lines = self.lab.child(lines=True)
            if not self.lab.world.databases:
                self._remember_into(self._lines)
        return self._lines

    def _remember_into(self, child: Child) -> None:
        """Have a process do what was done before, where the state lies in memory."""
        made = [entry.call for entry in self.history[self._since :] if entry.kept and not entry.route.startswith("GET ")]
        for call in made[-_REMEMBERED:]:
            with contextlib.suppress(UnresolvedError, KeyError):
                child.serve(assemble(call, Resolver(self.lab.world.rows), (), self.wallet.get(call.identity)), Record(sql=0))

    def _note(self, exchange: Exchange) -> None:
        for each in exchange.outgoing:
            if each.request.startswith("MAIL"):
                self.outbox.append(each.request)
        for demand in exchange.demands:
            if not demand.key:
                continue
            name = str(demand.key[-1])
            if demand.place == "header" and re.search(r"auth|token|api.?key|session|secret", name, re.IGNORECASE):
                self.asked_headers[name] = None
        for failure in (*((exchange.failure,) if exchange.failure else ()), *exchange.handled):
            if match := re.search(r"No such file or directory: '([^']+)'", failure.message):
                self.missing_files.add(match.group(1))
        said = [statement.error for statement in exchange.statements if statement.error]
        for text in (*said, exchange.failure.message if exchange.failure else ""):
            if match := re.search(r"no such (?:table: ([\w.\"]+)|column: ([\w.\"]+))|has no column named (\w+)|relation (\S+) does not exist|Table '([^']+)' doesn't exist|Unknown column '([^']+)' in", text):
                named = next(each for each in match.groups() if each).strip('"')
                # A column that we named ourselves was text in the statement.
                if "column" not in match.group(0) or (named not in exchange.target and named not in exchange.request_body):
                    self.missing_tables.add(named)

    def known(self, name: str | None, exchange: Exchange) -> bool:
        """Whether an identity can have been known to the route: not where the route asks for a cookie, and it has none."""
        credential = self.wallet.get(name)
        if credential is None:
            return False
        return bool(credential.cookies) or not any(each.place == "cookie" and not each.present for each in exchange.demands)

    def forget(self) -> None:
        """Anonymous is somebody new: what answers gave it to keep is thrown away."""
        self.jar.held.pop(None, None)

    def reset(self) -> None:
        """End the session's processes; the next request starts with fresh memory."""
        for child in (self._child, self._lines):
            if child is not None:
                child.close()
        self._child = self._lines = None
        self._since = len(self.history)
        self.jar = Jar()
        self.spoiled = False

    def call_function(self, function: str, arguments: list[object]) -> object:
        """Call a function of the prototype's. Raises LookupError where it raised or is not there."""
        try:
            return self._server().call(function, arguments)
        except AgentLostError as error:
            raise LookupError(str(error)) from error

    def rows(self, table: str) -> list[dict[str, object]]:
        """Rows of a table as they are now."""
        return self.lab.world.rows(table)  # type: ignore[return-value]


def _values(call: Call) -> tuple[tuple[Key, Candidate], ...]:
    return tuple(((each.place, each.path), Candidate(each.value.value, "fresh")) for each in call.arguments if isinstance(each.value, Literal))
