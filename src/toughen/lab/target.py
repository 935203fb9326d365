"""Owns the running of trials: from the snapshot, with grants, identities, canaries and schedules, to a Trace."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.lab import faults, meeting, startup
from toughen.lab.belonging import Belonging
from toughen.lab.child import Record
from toughen.lab.copying import texts
from toughen.lab.credentials import FORGED, Jar, Wallet, renewed
from toughen.lab.memory import Memory
from toughen.lab.outside import Outside, uses_outside
from toughen.lab.packages import Installed, installed
from toughen.lab.rehearsing import Rehearsing
from toughen.lab.requests import Resolver, UnresolvedError, assemble
from toughen.lab.rows import changes, keyed
from toughen.model.journey import Tampered
from toughen.model.trace import Exchange, Trace, Turn
from toughen.model.trial import Trial
from toughen.oracle import succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.lab.boot import Lab
    from toughen.lab.child import Child
    from toughen.lab.rows import Table as Rows
    from toughen.model.advisory import Audit
    from toughen.model.blueprint import Blueprint, Json
    from toughen.model.identity import Credential, Identity
    from toughen.model.journey import Call, Journey
    from toughen.model.mutant import Mutant

_PATIENCE = 6.0
"""Seconds that a patient trial gives what goes on behind an answer: less than one request may take."""
_SAMPLE = 60
_FEWEST, _MOSTLY = 4, 0.6
"""A statement is a habit when at least this many, and this share, of the routes that need a log-in run it."""


@dataclass(slots=True)
class LabTarget:
    """The Target that rules see: one booted prototype, its identities and its journeys."""

    lab: Lab
    blueprint: Blueprint
    wallet: Wallet
    snapshot: str = ""
    learned: dict[str, Journey] = field(default_factory=dict)
    trials: int = 0
    memory: Memory = field(default_factory=Memory)
    keeping: bool = False
    """True has serial trials share a process, as long as their state lies in databases, and all be remembered: what is only looked for may be found so, and is shown anew."""
    recalling: bool = False
    """True has what is run in processes of its own be remembered, too: a rule asks for it once more."""
    _kept: Child | None = None
    _served: int = 0
    """Trials that the shared process served."""
    _installed: Installed | None = None
    _aged: dict[str, Credential | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The prototype's own tests are run by one for all boots."""
        if self.memory.rehearsing is None:
            self.memory.rehearsing = Rehearsing(self.lab, self.blueprint)

    @property
    def identities(self) -> tuple[Identity, ...]:
        """Minted users."""
        return tuple(self.wallet.identities.values())

    @property
    def forged_identity(self) -> str:
        """Name of the identity whose credential is garbage of the right form."""
        return FORGED

    def journey(self, route_id: str) -> Journey | None:
        """The verified Journey to that route."""
        return self.learned.get(route_id)

    def journeys(self) -> tuple[Journey, ...]:
        """All verified Journeys."""
        return tuple(self.learned.values())

    def identity(self, name: str) -> Identity | None:
        """The identity of that name."""
        return self.wallet.known(name)

    def spares(self, name: str) -> tuple[Identity, ...]:
        """Further users of the same role and tenant, of whom nothing is asked otherwise."""
        return tuple(each for each in self.wallet.spares.values() if self._alike(each, name))

    def _alike(self, other: Identity, name: str) -> bool:
        own = self.wallet.known(name)
        return own is not None and other.name != name and (other.role, other.tenant) == (own.role, own.tenant)

    def peer(self, name: str) -> Identity | None:
        """Another identity of the same role and tenant."""
        return next((each for each in self.identities if self._alike(each, name)), None)

    def stranger(self, name: str) -> Identity | None:
        """An identity of the same role in another tenant."""
        own = self.wallet.identities.get(name)
        return next((each for each in self.identities if own is not None and own.tenant is not None and each.role == own.role and each.tenant not in {None, own.tenant}), None)

    def honest(self, route_id: str) -> Trace | None:
        """The Trace of the route's Journey, remembered."""
        journey = self.learned.get(route_id)
        if journey is None:
            return None
        if route_id not in self.memory.honest:
            self.memory.honest[route_id] = self.run(Trial(journey.calls, journey.grants, isolated=True))
        return self.memory.honest[route_id]

    def habits(self) -> frozenset[str]:
        """Statements that nearly every request runs: they say nothing about what a route does."""
        if self.memory.habits is None:
            known = [journey for journey in self.journeys() if not journey.anonymous]
            # Of many routes some say what all do.
            traces = [trace for journey in known[:: len(known) // _SAMPLE + 1] if (trace := self.honest(journey.route)) is not None]
            seen = Counter(text for trace in traces for text in {each.text for each in trace.last.statements})
            enough = max(_FEWEST, len(traces) * _MOSTLY)
            self.memory.habits = frozenset(text for text, count in seen.items() if count >= enough)
        return self.memory.habits

    def people(self) -> tuple[str, ...]:
        """Tables that identities have their rows in, the users' first."""
        return tuple(dict.fromkeys(each.table for each in self.identities if each.table))

    def owner(self, table: str, of: str | None = None) -> str | None:
        """The column of a table that names the user whom its rows belong to; `of` says whose kind is meant, where there are several."""
        return self._belonging().owner(table, of)

    def owners(self, table: str, of: str | None = None) -> tuple[tuple[tuple[str, str, str], ...], ...]:
        """Ways from a table to its users (or those `of` a kind): its own column, else every column that refers to a table with such a column."""
        return self._belonging().owners(table, of)

    def _belonging(self) -> Belonging:
        return Belonging(self.blueprint, self.people(), self.memory.owners)

    def refuses(self, route_id: str) -> bool:
        """Whether the route's own request is refused to a stranger, its prerequisites done as in the Journey."""
        if route_id not in self.memory.refuses:
            journey = self.learned.get(route_id)
            refused = False
            if journey is not None and not journey.anonymous:
                trace = self.run(Trial((*journey.calls[:-1], journey.call.by(None)), journey.grants))
                refused = not succeeded(trace.last)
            self.memory.refuses[route_id] = refused
        return self.memory.refuses[route_id]

    def rows(self, table: str) -> tuple[dict[str, Json], ...]:
        """The table's rows as the snapshot holds them."""
        start = self.lab.world.start
        return tuple(next((tuple(held.values()) for name, held in start.items() if name.lower() == table.lower()), ()))

    def texts(self) -> Mapping[str, str]:
        """The project's own Python files as they were booted."""
        if self.memory.texts is None:
            self.memory.texts = texts(self.lab.project)
        return self.memory.texts

    def installed(self) -> Installed:
        """What its environment holds."""
        if self._installed is None:
            self._installed = installed(self.lab.environment)
        return self._installed

    def audit(self) -> Audit | None:
        """What a database of vulnerabilities says of the installed packages."""
        return self.memory.auditor.audit(self.installed().packages) if self.memory.auditor is not None else None

    def mutants(self) -> tuple[Mutant, ...]:
        """The guards of its source, each of which a rehearsal may switch off."""
        assert self.memory.rehearsing is not None
        return self.memory.rehearsing.woven.mutants

    def loaded(self, route_id: str) -> frozenset[str]:
        """Names of the packages that the process has loaded which served the route's Journey."""
        journey = self.learned.get(route_id)
        if journey is not None and route_id not in self.memory.loaded:
            trace = self.run(Trial(journey.calls, journey.grants, loads=True))
            self.memory.loaded[route_id] = frozenset(name for name, _ in trace.packages)
        return self.memory.loaded.get(route_id, frozenset())

    def aged(self, name: str, seconds: float) -> Credential | None:
        """The credential that an identity would be left with from a log-in so long ago: by the prototype's own clock, put back; None where none is made.

        The databases are those of the snapshot afterwards: whatever was prepared in them is gone.
        """
        identity = self.wallet.identities.get(name)
        if identity is not None and name not in self._aged:
            self.lab.restore()
            child = self.lab.child()
            try:
                child.clock(-seconds)
                self._aged[name] = renewed(child, identity, self.lab.world.rows)
            except AgentLostError:
                self._aged[name] = None
            finally:
                child.close()
                self.lab.restore()
        return self._aged.get(name)

    def run(self, trial: Trial) -> Trace:
        """Run one trial from the snapshot, as far as that is not remembered; where processes are shared, a serial one in the shared process."""
        shared = self.keeping and not trial.isolated and self._shareable(trial)
        key = repr(trial) if self.recalling or not (trial.isolated or trial.schedule) else ""
        known = self.memory.known(key, shared=shared)
        if known is None:
            known = self._executed(trial, kept=self.keeping)
            # A process may die of what another one did before.
            self.memory.keep("" if any(each.ended == "died" for each in known.exchanges) else key, known, shared=shared)
        return known

    def anew(self, trial: Trial) -> Trace:
        """Run one trial from the snapshot in processes of its own, whatever is remembered of it."""
        return self._executed(trial, kept=False)

    def forget(self) -> None:
        """Forget the traces of trials: each is run again."""
        self.memory.forget()

    def spoiled(self, route_id: str) -> bool:
        """Whether the shared process no longer answers the route's honest request as a fresh one does: what was found in it says nothing."""
        journey = self.learned.get(route_id)
        if journey is None or self._kept is None or self._served < 2:  # noqa: PLR2004 - nothing went before a single one
            return False
        honest = self.honest(route_id)
        trace = self._executed(Trial(journey.calls, journey.grants), kept=True) if self._kept.open else None
        return trace is None or honest is None or _outline(trace) != _outline(honest)

    def _executed(self, trial: Trial, *, kept: bool) -> Trace:
        self.trials += 1
        if trial.rehearsal is not None:
            assert self.memory.rehearsing is not None
            return Trace((), suite=self.memory.rehearsing.run(trial.rehearsal))
        at_once = trial.schedule or trial.together
        calls = [*trial.calls, *(at_once.calls if at_once else ())]
        borrowed = [each.value.identity for call in calls for each in call.arguments if isinstance(each.value, Tampered)]
        for identity in self.wallet.stale([*(call.identity for call in calls), *borrowed]):
            self.wallet.renew(self.lab, identity)
            self.forget()
        self.lab.restore()
        restored = not self._granted(trial, 0)
        base = self.lab.world.start if restored else self.lab.world.tables()
        try:
            return self._run(trial, base, restored=restored, kept=kept)
        except AgentLostError as error:
            lost = Exchange("", "", "", None, ended="died")
            return Trace((lost,) * max(1, len(calls)), schedule=(str(error),))

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Have serial trials share a process meanwhile."""
        before = self.keeping, self.recalling
        self.keeping = self.recalling = True
        self.memory.shown.clear()
        try:
            yield
        finally:
            self.keeping, self.recalling = before
            if self._kept is not None:
                self._kept.close()
                self._kept, self._served = None, 0

    @contextmanager
    def doubting(self) -> Iterator[None]:
        """Take nothing for granted meanwhile that a shared process showed; what the last one showed is forgotten."""
        self.memory.doubt()
        before, self.recalling = self.recalling, True
        try:
            yield
        finally:
            self.recalling = before

    def _granted(self, trial: Trial, done: int) -> bool:
        """Write the grants that come after so many calls; whether there are any."""
        due = [grant for grant in trial.grants if grant.after == done]
        for grant in due:
            self.lab.world.write(grant)
        return bool(due)

    def _run(self, trial: Trial, base: dict[str, Rows], *, restored: bool, kept: bool) -> Trace:
        outside = Outside(self.lab.work / "outside", self.lab.project)
        resolver = Resolver(self.lab.world.rows, outside=str(outside.folder), credential=self.wallet.get)
        wanted = uses_outside(trial)
        if wanted:
            outside.plant(trial.planted, resolver)
        jar = Jar()
        exchanges: list[Exchange] = []
        # A prototype that keeps its state in memory is one process wherever it runs.
        isolated = trial.workers == "each" if trial.workers else trial.isolated and not self.memory.together and bool(self.lab.world.databases)
        before_last, sown, weight = base, 0, 0
        log: tuple[str, ...] = ()
        kept = kept and not isolated and self._shareable(trial)
        child: Child | None = self._kept if kept and self._kept is not None and self._kept.open else None
        try:
            for index, call in enumerate(trial.calls):
                if child is None or isolated or not child.open or faults.gated(trial, index):
                    if child is not None:
                        child.close()
                    child = self.lab.child(restored=restored and not index, started=trial.started, lines=trial.traced, gate=faults.gated(trial, index))
                    if not index and (inside := self._inside(child)):
                        base = before_last = {**base, **inside}
                if index and trial.apart:
                    time.sleep(trial.apart)
                if index:
                    self._granted(trial, index)
                if index == len(trial.calls) - 1 and trial.schedule is None:
                    before_last, sown, weight = self._before_last(trial, child, before_last)
                exchanges.append(self._send(child, call, resolver, exchanges, jar, trial))
            if trial.together is not None:
                child = child or self.lab.child(restored=restored)
                log = self._together(child, trial, resolver, exchanges, jar)
            if trial.weighed:
                weight += self.lab.world.weight(exchanges[-1].written_files)
            inside = self._inside(child) if child is not None else {}
            packages = self.installed().loaded(child.loaded()) if trial.loads and child is not None and child.open else ()
        finally:
            if kept:
                self._kept, self._served = child, self._served + 1
            elif child is not None:
                child.close()
            left = outside.found(exchanges[-1] if exchanges else None) if wanted else ()
            outside.clear()
        turns: tuple[Turn, ...] = ()
        if trial.schedule is not None:
            if trial.calls:
                self._granted(trial, len(trial.calls))
            before_last = self.lab.world.tables()
            log, turns = self._race(trial, resolver, exchanges, jar)
        after = {**self.lab.world.tables(), **inside}
        own = startup.without(self.lab, self.memory.honest, trial, exchanges)
        changed = own(changes(base, after))
        final = changed if before_last is base else own(changes(before_last, after))
        return Trace(tuple(exchanges), changed, final, dict(resolver.markers), log, turns, left, str(outside.folder) if wanted else "", packages, sown, weight)

    def _before_last(self, trial: Trial, child: Child, base: dict[str, Rows]) -> tuple[dict[str, Rows], int, int]:
        """(rows that the last call finds, how many of them were sown for it, minus their weight where that is asked for)."""
        sown = sum(self.lab.world.multiply(each.table, each.rows) for each in trial.sown)
        rows = {**self.lab.world.tables(), **self._inside(child)} if len(trial.calls) > 1 or sown else base
        return rows, sown, -self.lab.world.weight() if trial.weighed else 0

    def _shareable(self, trial: Trial) -> bool:
        """Whether a trial may run in a process that others have used: its state lies in databases, and nothing is asked of the process itself."""
        of_its_own = bool(trial.schedule or trial.together or trial.started or trial.traced or trial.loads or trial.fault or trial.kills or trial.measured or trial.workers or trial.patient or trial.heard)
        return not of_its_own and not self.memory.together and bool(self.lab.world.databases)

    def _inside(self, child: Child) -> dict[str, Rows]:
        """Rows of databases in the memory of a process; asked for where no database lies in a file."""
        return keyed(child.tables(), self.blueprint) if child.open and self.lab.opened and not self.lab.world.databases else {}

    def _race(self, trial: Trial, resolver: Resolver, exchanges: list[Exchange], jar: Jar) -> tuple[tuple[str, ...], tuple[Turn, ...]]:
        assert trial.schedule is not None
        return meeting.scheduled(self.lab, trial.schedule, meeting.Parties(resolver, exchanges, jar, self.wallet), trial.apart)

    def _together(self, child: Child, trial: Trial, resolver: Resolver, exchanges: list[Exchange], jar: Jar) -> tuple[str, ...]:
        """Have two calls served at once by one process, and the one that looks afterwards."""
        assert trial.together is not None
        met = meeting.together(child, trial.together, meeting.Parties(resolver, exchanges, jar, self.wallet))
        exchanges.append(self._send(child, trial.together.then, resolver, exchanges, jar, trial))
        return met

    def _send(self, child: Child, call: Call, resolver: Resolver, exchanges: list[Exchange], jar: Jar, trial: Trial) -> Exchange:
        """Have the trial's next call served, and what is to befall it happen."""
        try:
            request: dict[str, Any] = assemble(call, resolver, exchanges, jar.credential(call.identity, self.wallet.get(call.identity)))
        except (UnresolvedError, KeyError) as error:
            method, _, path = call.route.partition(" ")
            return Exchange(method, path, "", None, ended=f"not sent: {error}")
        index = len(exchanges)
        fault = trial.fault if trial.fault is not None and trial.fault.meets(index, len(trial.calls)) else None
        kill = next((each for each in trial.kills if each.call == index), None)
        if kill is not None and kill.outside >= 0:
            exchange = faults.silenced(child, request, kill.outside, _PATIENCE)
        elif kill is not None:
            exchange = faults.killed(child, request, kill.before)
        elif fault is not None and fault.kind in faults.DATABASE:
            exchange = faults.failing(child, request, fault, self.lab.world)
        else:
            measured = trial.measured and index == len(trial.calls) - 1
            exchange = child.serve(request, Record(sql=2, lines=trial.traced, markers=tuple(resolver.markers.values()), fault=fault, memory=measured, patience=_PATIENCE if trial.patient else 0.0, told=trial.heard))
        jar.take(call.identity, exchange.response)
        sender = self.wallet.known(call.identity)
        if sender is not None and sender.login is not None and sender.login.route == call.route:
            jar.renew(sender, exchange)
        return exchange


def _outline(trace: Trace) -> tuple[list[int | None], Counter[tuple[str, str]]]:
    """What is the same whenever an honest request does the same: how it was answered, and the kinds of rows that it changed."""
    return [each.status for each in trace.exchanges], Counter((each.table, each.kind) for each in trace.changes)
