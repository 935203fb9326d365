"""Owns the asking: each route's request sent by every kind of user, on a world that is put back after whatever was written.

A route's prerequisites are done once for all who then ask for that object, and once more by each role for an object of its
own; routes with the same prerequisites share them. Refused requests write nothing, and cost one request each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from toughen.effects import Sight
from toughen.errors import AgentLostError
from toughen.lab.child import Record
from toughen.lab.credentials import FORGED, Jar
from toughen.lab.requests import Resolver, UnresolvedError, assemble
from toughen.lab.rows import changes
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Extract, Literal, Stored
from toughen.model.matrix import ANONYMOUS, Whose
from toughen.model.trace import Exchange
from toughen.model.trial import Trial
from toughen.oracle import succeeded
from toughen.ownership import aimed, by, keys, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toughen.audit.subjects import Subjects
    from toughen.lab.child import Child
    from toughen.lab.target import LabTarget
    from toughen.model.identity import Credential, Identity
    from toughen.model.journey import Call, Journey
    from toughen.model.trace import RowChange

_RECORD = Record(sql=2)
_TOO_MANY = 429
_READING = {"GET", "HEAD", "OPTIONS"}
_LEAVES = re.compile(r"log-?out|sign-?out|revoke", re.IGNORECASE)
_TOGETHER = 12
"""Routes of one group, whose requests meet one process."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the matrix, and what became of it."""

    route: str
    who: str
    whose: Whose
    identity: str | None
    sight: Sight | None
    """None where it could not be sent."""
    why: str = ""
    """Why it could not be sent, or what refused its prerequisites."""
    barred: bool = False
    """True where the prototype refused a prerequisite: the user cannot come so far."""


@dataclass(slots=True)
class Group:
    """Routes whose Journeys need the same to be done before."""

    before: tuple[Call, ...]
    journeys: list[Journey]


def groups(journeys: Iterable[Journey]) -> list[Group]:
    """Journeys of one user by their prerequisites, a few of them together: several boots share the work."""
    found: dict[str, list[Group]] = {}
    for each in journeys:
        alike = found.setdefault(repr((each.identity, each.calls[:-1], each.grants)), [])
        if not alike or len(alike[-1].journeys) >= _TOGETHER:
            alike.append(Group(each.calls[:-1], []))
        alike[-1].journeys.append(each)
    return [group for alike in found.values() for group in alike]


def aimed_at(target: LabTarget, journey: Journey) -> Journey:
    """The journey aimed at a row of whoever asks, where its path names one that was there before: a seed's may belong to anybody."""
    maker = next((step.identity for each in journey.call.arguments if isinstance(each.value, Extract) and (step := journey.calls[each.value.step]).identity), journey.identity)
    if maker != journey.identity:
        # Whoever made the object asks for his own.
        calls = (*journey.calls[:-1], journey.call.by(maker))
        return replace(journey, calls=calls) if succeeded(target.run(Trial(calls, journey.grants)).last) else journey
    own = target.identity(journey.identity or "")
    plain = [each for each in journey.call.arguments if each.place is Place.PATH and isinstance(each.value, Literal) and str(each.value.value) not in (keys(own) if own else ())]
    if own is None or not plain or any(isinstance(each.value, Extract | Stored) for each in journey.call.arguments):
        return journey
    if any(not call.route.startswith("GET ") for call in journey.calls[:-1]):
        # What it made before is what it is about.
        return journey
    return aimed(target, journey, own)


def owned(target: LabTarget, journey: Journey) -> bool:
    """Whether a route's request names an object that belongs to who asks: one that he makes before, or a row that names him."""
    own = target.identity(journey.identity or "")
    if own is None:
        return False
    call = journey.call
    names = {str(each) for each in keys(own)}
    for argument in call.arguments:
        if isinstance(argument.value, Extract):
            step = journey.calls[argument.value.step]
            if argument.place in {Place.PATH, Place.QUERY, Place.JSON, Place.FORM} and argument.value.pointer[:1] != ("#field",) and not step.route.startswith("GET "):
                return True
        elif isinstance(argument.value, Stored):
            if _belongs(target, argument.value.table):
                return True
        elif argument.place is Place.PATH and str(argument.value.value if isinstance(argument.value, Literal) else "") in names:
            return True
    return False


def _belongs(target: LabTarget, table: str) -> bool:
    return bool(target.owners(table)) or table.lower() in {each.lower() for each in target.people()}


@dataclass(slots=True)
class Sweep:
    """Asks on one boot."""

    target: LabTarget
    subjects: Subjects
    requests: int = 0
    limited: bool = False
    """True once the prototype answered that there were too many requests."""
    _child: Child | None = None
    _aged: Credential | None = None
    """The expired credential of this boot, where each has its own."""
    _base: dict[str, Any] = field(default_factory=dict)

    def group(self, group: Group) -> list[Asked]:
        """All cells of a group's routes."""
        first = group.journeys[0]
        owner = self.target.identity(first.identity or "")
        found: list[Asked] = []
        for identity in self.target.wallet.stale(self.target.wallet.identities):
            self._end()
            self.target.wallet.renew(self.target.lab, identity)
        self._aged = self.target.aged(*self.subjects.aged) if self.subjects.aged is not None else None
        try:
            prepared = self._prepared(group.before, first)
            for journey in group.journeys:
                found += self._others(journey, owner, prepared)
            for role, held in self.subjects.roles.items():
                one = held[0]
                if owner is None or role == self.subjects.role_of(owner.name):
                    continue
                found += self._own(group, owner, role, one)
        except AgentLostError as error:
            known = {(each.route, each.who, each.whose) for each in found}
            found += [each for each in self._lost(group, str(error)) if (each.route, each.who, each.whose) not in known]
        finally:
            self._end()
        return found

    # -- whose object it is --------------------------------------------------------------------------------------------

    def _others(self, journey: Journey, owner: Identity | None, prepared: _Prepared) -> list[Asked]:
        """The owner himself, then everybody else on what is his; where nothing belongs to anybody, everybody for himself."""
        has = owned(self.target, journey)
        mine = self.subjects.role_of(owner.name) if owner else None
        if not prepared.ready:
            return [*self._untold(journey, has, mine, prepared.why)]
        honest = self._ask(journey, journey.identity, prepared)
        if not succeeded(honest.exchange) and self._fast:
            # Perhaps what another request left in the process is in its way.
            self._end()
            prepared = self._prepared(journey.calls[:-1], journey)
            honest = self._ask(journey, journey.identity, prepared) if prepared.ready else honest
        found = [Asked(journey.route, mine or ANONYMOUS, Whose.OWN if has else Whose.NONE, journey.identity, honest)]
        if owner is not None:
            found.append(Asked(journey.route, ANONYMOUS, Whose.NONE, None, self._ask(journey, None, prepared)))
        for kind, each in self.subjects.invalid.items():
            own = self._aged if kind == "expired" and self.subjects.aged is not None else each.credential if each else None
            if own is None and each is not None:
                found.append(Asked(journey.route, kind, Whose.NONE, None, None, "no credential of an earlier day could be made here"))
                continue
            found.append(Asked(journey.route, kind, Whose.NONE, kind, self._ask(journey, kind, prepared, credential=own)))
        for role, held in self.subjects.roles.items():
            if not has:
                if role != mine:
                    found.append(Asked(journey.route, role, Whose.NONE, held[0].name, self._ask(journey, held[0].name, prepared)))
                continue
            other = next((each for each in held if owner is None or each.name != owner.name), None)
            if other is None:
                found.append(Asked(journey.route, role, Whose.OTHER, None, None, f"there is no second {role}"))
            else:
                found.append(Asked(journey.route, role, Whose.OTHER, other.name, self._ask(journey, other.name, prepared)))
            stranger = self.subjects.strangers.get(role)
            if stranger is not None:
                found.append(Asked(journey.route, role, Whose.FOREIGN, stranger.name, self._ask(journey, stranger.name, prepared)))
        return found

    def _own(self, group: Group, owner: Identity, role: str, one: Identity) -> list[Asked]:
        """A role's own object: what the owner did before, it does itself."""
        having = [each for each in group.journeys if owned(self.target, each)]
        if not having:
            return []
        before = tuple(_himself(call, owner, one) for call in whole(group.before, owner.name, one.name))
        prepared = self._prepared(before, having[0])
        found = []
        for journey in having:
            if not prepared.ready:
                found.append(Asked(journey.route, role, Whose.OWN, one.name, None, prepared.why, barred=prepared.refused))
                continue
            moved = _himself(journey.call, owner, one)
            if not before and moved == journey.call:
                found.append(Asked(journey.route, role, Whose.OWN, None, None, f"no object belongs to a {role}"))
                continue
            found.append(Asked(journey.route, role, Whose.OWN, one.name, self._ask(journey, one.name, prepared, call=moved.by(one.name))))
        return found

    def _untold(self, journey: Journey, has: bool, mine: str | None, why: str) -> list[Asked]:  # noqa: FBT001 - whether it has an owner
        places = (Whose.OWN, Whose.OTHER) if has else (Whose.NONE,)
        roles = [mine or ANONYMOUS, *(role for role in self.subjects.roles if role != mine)]
        return [Asked(journey.route, role, place, None, None, why) for role in roles for place in places]

    def _lost(self, group: Group, why: str) -> list[Asked]:
        return [each for journey in group.journeys for each in self._untold(journey, owned(self.target, journey), None, f"the process under attack was lost: {why}")]

    # -- one request ---------------------------------------------------------------------------------------------------

    def _prepared(self, before: Sequence[Call], journey: Journey) -> _Prepared:
        """The snapshot with the grants written and the prerequisites done; nothing is done where they are refused."""
        lab = self.target.lab
        if not self._fast:
            return _Prepared((), Jar(), Resolver(lab.world.rows), {}, tuple(before))
        lab.restore()
        for grant in journey.grants:
            lab.world.write(grant)
        if self._child is None or not self._child.open:
            self._child = lab.child(restored=not journey.grants)
        resolver, jar, exchanges = Resolver(lab.world.rows), Jar(), list[Exchange]()
        for call in before:
            exchange = self._serve(call, resolver, exchanges, jar, self.target.wallet.get(call.identity))
            exchanges.append(exchange)
            if not succeeded(exchange):
                said = exchange.status if exchange.response else exchange.ended
                return _Prepared(tuple(exchanges), jar, resolver, {}, (), f"{call.route} answers it with {said}", refused=exchange.status in {401, 403, 404})
        self._base = lab.world.checkpoint()
        return _Prepared(tuple(exchanges), jar, resolver, {}, ())

    @property
    def _fast(self) -> bool:
        """Whether the state lies in databases alone, so that a world can be put back under a living process."""
        return bool(self.target.lab.world.databases) and not self.target.memory.together

    def _ask(self, journey: Journey, name: str | None, prepared: _Prepared, *, call: Call | None = None, credential: Credential | None = None) -> Sight:
        """The route's own request by somebody, and the rows that it changed; they are put back."""
        calls = by((*prepared.calls(journey), call or journey.call), name, journey.identity)
        steps, last = calls[len(prepared.calls(journey)) :][:-1], calls[-1]
        if not self._fast:
            return self._whole(journey, prepared, calls, name, credential)
        jar = Jar({who: dict(held) for who, held in prepared.jar.held.items()})
        exchanges = list(prepared.exchanges)
        for each in steps:
            exchanges.append(self._serve(each, prepared.resolver, exchanges, jar, self._credential(name, credential)))
        exchange = self._serve(last, prepared.resolver, exchanges, jar, self._credential(name, credential))
        if exchange.status == _TOO_MANY:
            # What counts requests in memory begins anew in another process.
            self.limited = True
            self._end()
            self._child = self.target.lab.child()
            exchange = self._serve(last, prepared.resolver, exchanges, jar, self._credential(name, credential))
        written = {table for each in exchange.statements if each.rows != 0 and not each.error for table in each.writes}
        seen: tuple[RowChange, ...] = ()
        if written or any(each.writes for step in exchanges[len(prepared.exchanges) :] for each in step.statements):
            after = self.target.lab.world.tables()
            seen = changes(prepared.rows(self), after)
            self.target.lab.world.rollback(self._base)
        silent = not seen and succeeded(exchange) and (last.route.partition(" ")[0] not in _READING or _LEAVES.search(last.route))
        if silent or any(each.verb == "ddl" for each in exchange.statements):
            # What it did is in no row, or it made or dropped tables: the process may remember it (a log-out does).
            self._end()
        if self._child is None or not self._child.open:
            self._child = self.target.lab.child()
        return Sight(exchange, seen)

    def _whole(self, journey: Journey, prepared: _Prepared, calls: tuple[Call, ...], name: str | None, credential: Credential | None) -> Sight:
        """The whole journey from the snapshot, where the state lies in the memory of the process."""
        del prepared
        held = self.target.wallet.identities.get(name or "")
        if credential is not None and held is None and name is not None and name != FORGED:
            model = next(each for each in self.subjects.invalid.values() if each is not None and each.name == name)
            self.target.wallet.add(replace(model, credential=credential))
        self.requests += len(calls)
        trace = self.target.run(Trial(calls, journey.grants))
        if held is None and name in self.target.wallet.identities:
            del self.target.wallet.identities[name]
        return Sight(trace.last, trace.final_changes)

    def _credential(self, name: str | None, credential: Credential | None) -> Credential | None:
        return credential if credential is not None else self.target.wallet.get(name)

    def _serve(self, call: Call, resolver: Resolver, exchanges: Sequence[Exchange], jar: Jar, credential: Credential | None) -> Exchange:
        assert self._child is not None
        self.requests += 1
        try:
            request = assemble(call, resolver, exchanges, jar.credential(call.identity, credential))
        except (UnresolvedError, KeyError) as error:
            method, _, path = call.route.partition(" ")
            return Exchange(method, path, "", None, ended=f"not sent: {error}")
        exchange = self._child.serve(request, _RECORD)
        jar.take(call.identity, exchange.response)
        return exchange

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


@dataclass(slots=True)
class _Prepared:
    """What a route's request finds."""

    exchanges: tuple[Exchange, ...]
    jar: Jar
    resolver: Resolver
    held: dict[str, Any]
    before: tuple[Call, ...]
    """Calls that are still to be made before each request, where the state lies in memory."""
    why: str = ""
    refused: bool = False

    @property
    def ready(self) -> bool:
        """Whether the request may be sent."""
        return not self.why

    def calls(self, journey: Journey) -> tuple[Call, ...]:
        """What counts as done before: steps keep their numbers."""
        return self.before or journey.calls[:-1]

    def rows(self, sweep: Sweep) -> dict[str, Any]:
        """All rows as the request finds them, read when they are first wanted."""
        if not self.held:
            sweep.target.lab.world.rollback(sweep._base)  # noqa: SLF001 - of the same file
            self.held = sweep.target.lab.world.tables()
        return self.held


def _himself(call: Call, owner: Identity, one: Identity) -> Call:
    """The call with what names the owner replaced by what names another."""
    names = {str(value): name for name, value in owner.row.items() if value is not None and str(value) in keys(owner)}
    moved = []
    for argument in call.arguments:
        if isinstance(argument.value, Stored):
            where = tuple((column, one.row.get(names[str(value)], value) if str(value) in names else value) for column, value in argument.value.where)
            moved.append(Argument(argument.place, argument.path, Stored(argument.value.table, argument.value.column, where)))
            continue
        column = names.get(str(argument.value.value)) if isinstance(argument.value, Literal) and argument.place in {Place.PATH, Place.QUERY, Place.JSON, Place.FORM} else None
        value = one.row.get(column) if column else None
        moved.append(Argument(argument.place, argument.path, Literal(value)) if value is not None else argument)
    return type(call)(call.route, tuple(moved), call.identity, call.raw_body, call.raw_type, call.body)
