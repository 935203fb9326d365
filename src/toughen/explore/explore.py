"""Owns exploring as a whole: from a booted prototype to Identities, Journeys, and the true reason of what was not reached."""

from __future__ import annotations

import re
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from toughen.errors import AgentLostError
from toughen.explore.configured import introduce
from toughen.explore.fuller import done, fuller, makes, remake
from toughen.explore.identify import Registrar
from toughen.explore.literals import records
from toughen.explore.live import completed
from toughen.explore.outcomes import Depth, depth, explain, wants_identity, wants_token
from toughen.explore.pages import hand_cookies
from toughen.explore.people import plain_role, roles_asked
from toughen.explore.prepare import prepare
from toughen.explore.realms import other_tokens, seen_tokens
from toughen.explore.returning import logged_in_again, woken
from toughen.explore.search import attempt, new_state, users_table
from toughen.explore.session import Entry, RouteState, Session
from toughen.explore.sowing import barren, sow
from toughen.explore.strewing import strew
from toughen.explore.values import Candidate, carries_credential
from toughen.explore.verify import verify
from toughen.lab.credentials import Wallet
from toughen.lab.target import LabTarget
from toughen.lab.twin import Probe
from toughen.model.blueprint import Place
from toughen.model.journey import Journey, Unreached
from toughen.model.trial import Trial
from toughen.twists import powerful

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.lab.boot import Lab
    from toughen.lab.crew import Crew
    from toughen.lab.snapshot import Snapshot
    from toughen.model.blueprint import Blueprint
    from toughen.model.configured import Configured
    from toughen.model.identity import Identity

_ORDER = {"GET": 0, "HEAD": 0, "POST": 1, "PUT": 2, "PATCH": 2, "DELETE": 3}
_ROUNDS = 3
_MANY = 8
"""Identities from which on nobody is sent to look for rows that nobody has made."""


@dataclass(slots=True)
class Explored:
    """What exploring found."""

    target: LabTarget
    journeys: tuple[Journey, ...] = ()
    unreached: tuple[Unreached, ...] = ()
    notes: tuple[str, ...] = ()
    requests: int = 0


@dataclass(slots=True)
class Explorer:
    """Explores one booted prototype within a budget of seconds."""

    lab: Lab
    blueprint: Blueprint
    sources: Mapping[str, str]
    budget: float = 120.0
    tell: Callable[[str], None] = lambda _: None
    notes: list[str] = field(default_factory=list)
    seed: int = 0
    """Where the numbering of made-up values begins."""
    configured: tuple[Configured, ...] = ()
    """Whom the settings introduce."""
    crew: Crew | None = None
    """Further boots that share the verifying."""
    _deadline: float = 0.0
    _everybody: bool = False
    """True where nobody is passed over any more because a guard names other roles."""
    _passed_over: bool = False
    _sought: set[str] = field(default_factory=set)
    """Tables that the database was prepared for already."""

    def run(self) -> Explored:
        """Prepare, mint identities, reach every route, and verify each Journey from the snapshot."""
        self._deadline = time.monotonic() + self.budget
        session = Session(self.lab, self.blueprint, self.sources, Wallet())
        session.maker.counter = self.seed
        session.written = records(self.sources)
        states = {route.id: new_state(route) for route in self.blueprint.routes if route.method in _ORDER}
        for route in self.blueprint.routes:
            session.asked_headers.update(dict.fromkeys(each.name for each in route.parameters if each.place is Place.HEADER and carries_credential(each)))
        done = prepare(session)
        if done:
            self.notes.append("prepared the database: " + "; ".join(done))
        self.blueprint = session.blueprint = completed(self.blueprint, self.lab.world)
        prepared = self.lab.world.checkpoint()
        if not self.lab.world.databases:
            # Its state may lie in files of its own.
            self.lab.world.take()
        empty = not any(self.lab.world.tables().values())
        self.tell("looking around")
        session.own_only = True
        self._round(session, states, [None])
        if self._prepared_again(session, states):
            prepared = self.lab.world.checkpoint()
            self._round(session, states, [None])
        self._back_to(session, prepared)
        if empty:
            self._seeded_by_route(session, states)
        seen = len(session.history)
        self.tell("minting users")
        self._mint(session, states)
        if self._prepared_again(session, states):
            # Behind the log-in lay tables that no page before it had asked for.
            self._mint(session, states)
        if self.configured:
            self.notes += introduce(session, states, self.configured)
        if cookie := hand_cookies(session, states):
            self.notes.append(f"pages take the token in the cookie {cookie}")
        session.reset()
        snapshot = self.lab.world.take()
        # Nothing that was tried while looking around is in the snapshot; what minting needed is.
        session.baked = set(range(seen, len(session.history))) if self.lab.world.databases else set()
        for state in states.values():
            # Mail went to somebody who is forgotten: it is wanted again, for a user who is in the snapshot.
            if state.reached is not None and any(each.request.startswith("MAIL") for each in state.reached.exchange.outgoing):
                state.reached = None
        target = LabTarget(self.lab, self.blueprint, session.wallet, snapshot.digest)
        minted = session.wallet.everybody()
        forgotten = self._once_more(session, states)
        self._rounds(session, states)
        for route_id, entry in forgotten.items():
            states[route_id].reached = states[route_id].reached or entry
        sown = self._sown(session, states)
        if sown:
            self.notes.append(sown)
            reached = sum(state.reached is not None for state in states.values())
            bare, snapshot = snapshot, self.lab.world.take()
            self._rounds(session, states)
            if sum(state.reached is not None for state in states.values()) == reached:
                # The rows helped nobody, and may be in somebody's way.
                session.reset()
                self.notes.remove(sown)
                self.lab.world.load(bare)
                snapshot = bare
            target.snapshot = snapshot.digest
        self._fuller(session, states)
        session.reset()
        for identity in minted:
            # Credentials that were renewed on the way have their rows in the session's database, not in the snapshot.
            session.wallet.add(identity)
        return self._verified(session, states, target, snapshot)

    def _prepared_again(self, session: Session, states: dict[str, RouteState]) -> bool:
        """Prepare once more where only now a request met a table that is not there; True where that did something."""
        wanted = {each.lower().rpartition(".")[2] for each in session.missing_tables}
        if not wanted - self._sought:
            return False
        self._sought |= wanted
        done = prepare(session, missing=True)
        self.notes.extend(f"prepared the database: {each}" for each in done)
        self.blueprint = session.blueprint = completed(self.blueprint, self.lab.world)
        for state in states.values():
            if state.reached is None:
                state.tried.clear()
        return bool(done)

    def _sown(self, session: Session, states: dict[str, RouteState]) -> str:
        """Where routes look for rows that no route makes: some, written into the snapshot; what was done, in words."""
        late = time.monotonic() >= self._deadline
        tables = barren(session, states) if self.lab.world.databases and not late else []
        folders, told = strew(session, states) if not late else ([], [])
        if tables:
            session.reset()
            self.lab.restore()
        sown = sow(session, tables)
        for route, state in states.items():
            if state.reached is None and (sown or route in told):
                state.tried.clear()
        rows = [f"wrote rows of {', '.join(sown)}, which no route that works makes"] if sown else []
        files = f"put files into {', '.join(folders)}, where routes look for some" if folders else "asked for files that lie in the project" if told else ""
        return "; ".join([*rows, *([files] if files else [])])

    def _back_to(self, session: Session, prepared: dict[str, Any]) -> None:
        """Forget what looking around did: a snapshot in which the last ticket is sold lets nobody buy one."""
        session.reset()
        session.outbox.clear()
        self.lab.world.restore_files(self.lab.written)
        self.lab.world.rollback(prepared)

    def _once_more(self, session: Session, states: dict[str, RouteState]) -> dict[str, Entry]:
        """What was made while looking around is gone, and later routes look for it: it is made again, and stays.

        What cannot be (it was asked for somebody who is forgotten) counts as not reached; the old entries of those, by route.
        """
        people, forgotten = users_table(session), dict[str, Entry]()
        for state in states.values():
            old = state.reached
            if old is None or state.route.method not in {"POST", "PUT"} or not makes(old, people):
                continue
            exchange = session.send(old.call)
            if depth(exchange) is not Depth.SUCCESS:
                forgotten[state.route.id], state.reached = old, None
                state.tried.clear()
                continue
            state.reached = Entry(state.route.id, old.call, exchange, old.plan, kept=True)
            session.history.append(state.reached)
            if exchange.response is not None:
                session.pool.learn(exchange.response.json, len(session.history) - 1, state.resource)
        return forgotten

    def _seeded_by_route(self, session: Session, states: dict[str, RouteState]) -> None:
        """Where the database is empty and a route makes and fills its tables, that is how the project itself prepares it."""
        for state in states.values():
            if state.reached is None or state.reached.plan.values:
                continue
            statements = state.reached.exchange.statements
            if any(each.verb == "ddl" for each in statements) and any(each.verb == "insert" for each in statements):
                session.send(state.reached.call)
                self.notes.append(f"prepared the database: called {state.route.id}")
                return

    def _mint(self, session: Session, states: dict[str, RouteState]) -> None:
        try:
            Registrar(session, states).mint()
        except AgentLostError as error:
            self.notes.append(f"minting users stopped: {error}")

    def _rounds(self, session: Session, states: dict[str, RouteState]) -> None:
        for number in range(_ROUNDS):
            progress = 0
            session.own_only, session.withheld = number == 0, False
            for name in [*self._names(session), None]:
                progress += self._round(session, states, [name], keep=number > 0)
            progress += self._read_mail(session)
            progress += self._second_realm(session, states)
            if not (progress or session.withheld) or time.monotonic() > self._deadline:
                break
        session.own_only = False
        if self._passed_over and any(state.reached is None for state in states.values()):
            self._everybody = True
            for name in self._names(session):
                self._round(session, states, [name], keep=True)

    def _fuller(self, session: Session, states: dict[str, RouteState]) -> None:
        """Ask what was reached for more, once everything that could be made is there; first what did nothing at all."""
        remake(session, states.values(), users_table(session))
        for state in sorted(states.values(), key=lambda each: each.reached is not None and bool(done(each.reached.exchange))):
            if time.monotonic() > self._deadline:
                return
            try:
                state.fuller = fuller(session, state)
            except AgentLostError as error:
                self.notes.append(f"{state.route.id}: {error}")
                session.reset()

    def _names(self, session: Session) -> list[str]:
        """Identities, the least powerful first; the first of each role, then the second."""
        home = next((each.tenant for each in session.wallet.identities.values()), None)
        # Who lives in another tenant's house attacks; nothing honest needs him.
        names = [name for name, each in session.wallet.identities.items() if each.tenant == home or each.tenant is None]
        strong = {name for name, each in session.wallet.identities.items() if powerful(each)}
        return sorted(names, key=lambda name: (not name.startswith("user"), name in strong, not name.endswith("1"), names.index(name)))

    def _round(self, session: Session, states: dict[str, RouteState], names: list[str | None], *, keep: bool = False) -> int:
        reached = 0
        for state in self._ordered(states):
            for name in names:
                if state.reached is not None or time.monotonic() > self._deadline:
                    break
                if name is not None and not self._worth(session, state, name):
                    continue
                try:
                    found = attempt(session, state, name, keep=keep)
                    for again in (woken, logged_in_again):
                        if not found and name is not None and again(session, state, name):
                            found = attempt(session, state, name, keep=keep)
                except AgentLostError as error:
                    self.notes.append(f"{state.route.id}: {error}")
                    session.reset()
                    continue
                if found:
                    reached += 1
                    self.tell(f"reached {state.route.id}" + (f" as {name}" if name else ""))
        return reached

    def _worth(self, session: Session, state: RouteState, name: str) -> bool:
        """Whether another identity can change the outcome: it was refused, or was never tried."""
        identities = session.wallet.identities
        role = identities[name].role
        asked = roles_asked(state.route)
        if asked and not self._everybody and plain_role(role) not in asked and any(plain_role(each.role) in asked for each in identities.values()):
            # Its guard names others. Should it mean something else, everybody gets a turn at the end.
            self._passed_over = True
            return False
        if not state.tried:
            return True
        like = [state.tried[each] for each in state.tried if each in identities and each != name and identities[each].role == role]
        if role is not None and any(depth(each) is Depth.REFUSED and not wants_identity(each) for each in like):
            return False
        first = name.endswith("1")
        best = max((depth(exchange) for exchange in state.tried.values()), default=Depth.DEAD)
        if best is Depth.MISSING and state.bound and len(identities) > _MANY and not any(session.rows(table) for table, _ in state.bound.values()):
            return False
        return first or best <= Depth.REFUSED or best in {Depth.MISSING, Depth.INVALID, Depth.CONFLICT}

    def _ordered(self, states: dict[str, RouteState]) -> list[RouteState]:
        return sorted(
            (state for state in states.values() if state.reached is None),
            key=lambda state: (
                bool(re.search(r"log-?out|sign-?out|revoke|delete", state.route.path, re.IGNORECASE)),
                _ORDER[state.route.method], state.route.path.count("{"), len(state.route.path),
            ),
        )

    def _read_mail(self, session: Session) -> int:
        """Tokens and codes of e-mails that the prototype sent; how many."""
        found = 0
        for text in session.outbox:
            for name in ("token", "code", "reset_token"):
                for value in re.findall(r"(?:token|code|key)[=:/ ]+([\w\-.]{4,2000})", text, re.IGNORECASE):
                    session.pool.values.setdefault(name, deque(maxlen=12)).appendleft(Candidate(value, "mail"))
                    found += 1
        session.outbox.clear()
        return found

    def _second_realm(self, session: Session, states: dict[str, RouteState]) -> int:
        """Routes that still want a credential: log-in's other tokens, then every token-like value seen, under the header that the refusal names."""
        reached = 0
        for state in self._ordered(states):
            refused = state.deepest
            if refused is None or not wants_token(refused) or refused.response is None or time.monotonic() > self._deadline:
                continue
            headers = re.findall(r"\b(X-[A-Za-z\-]+|[A-Za-z]+-(?:Key|Token))\b", refused.response.body) or list(session.asked_headers)
            known = next((each.header for each in session.wallet.identities.values() if each.header), None)
            carriers = [*((name, "") for name in headers[:3] if name.lower() != "authorization"), *([known] if known else [])]
            if any(self._admitted(session, state, each) for each in (*other_tokens(session), *seen_tokens(session, carriers))):
                reached += 1
        return reached

    def _admitted(self, session: Session, state: RouteState, identity: Identity) -> bool:
        """Whether the route lets this one in; who is let in nowhere is forgotten."""
        session.wallet.add(identity)
        if attempt(session, state, identity.name, budget=12):
            return True
        if identity.name not in {entry.call.identity for entry in session.history}:
            session.wallet.identities.pop(identity.name, None)
        return False

    def _verified(self, session: Session, states: dict[str, RouteState], target: LabTarget, snapshot: Snapshot) -> Explored:
        verified: dict[str, Journey | Unreached] = {}

        def check(worker: LabTarget, state: RouteState) -> None:
            self.tell(f"verifying {state.route.id}")
            whole = (verify(session, worker, replace(state, reached=each, shallow=False)) for each in state.fuller)
            verified[state.route.id] = next((each for each in whole if isinstance(each, Journey)), None) or verify(session, worker, state)

        reached = [state for state in states.values() if state.reached is not None]
        if self.crew is not None:
            self.crew.work(target, snapshot, [(state.route.id, state) for state in reached], check, _probe(reached))
        for state in reached:
            if not isinstance(verified.get(state.route.id), Journey):
                # What a further boot could not repeat may be its own fault, and is not to be remembered.
                target.forget()
                check(target, state)
        found = {state.route.id: verified.get(state.route.id) or self._reason(session, state) for state in states.values()}
        journeys = {route: each for route, each in found.items() if isinstance(each, Journey)}
        target.learned.update(journeys)
        target.memory.together = any(each.together for each in journeys.values())
        unreached = tuple(each for each in found.values() if isinstance(each, Unreached))
        return Explored(target, tuple(journeys.values()), unreached, tuple(self.notes), session.requests + target.trials)

    def _reason(self, session: Session, state: RouteState) -> Unreached:
        """The deepest attempt of the least refused identity."""
        if state.route.id in session.hung:
            return Unreached(state.route.id, explain(session.hung[state.route.id]))
        if state.deepest is None:
            return Unreached(state.route.id, "not tried: the time budget was used up")
        return Unreached(state.route.id, f"{explain(state.deepest)} (as {state.deepest_by or 'anonymous'})", state.deepest.status)


def _probe(reached: list[RouteState]) -> Probe | None:
    """A success that needed a credential and nothing before it, where there is one: a page that takes nothing before one that does, and before what writes."""
    entries = [state.reached for state in reached if state.reached is not None and state.reached.call.identity is not None]
    alone = [each for each in entries if not any(candidate.origin or candidate.stored for _, candidate in each.plan.values)]
    alone.sort(key=lambda each: (not each.route.startswith("GET "), bool(each.plan.values), each.route.startswith("DELETE ")))
    return Probe(Trial((alone[0].call,), alone[0].plan.grants), alone[0].exchange.status) if alone else None
