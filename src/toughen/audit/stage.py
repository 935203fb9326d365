"""Owns the audit as a stage: sweep every route, prove what looks open, decide every cell, and hold the reviewed policy against it."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from toughen.audit import policy as policies
from toughen.audit.decide import FOREIGN, FUNCTION, NOBODY, OBJECT, TOKEN, Judge
from toughen.audit.subjects import Subjects, subjects
from toughen.audit.sweep import Asked, Sweep, aimed_at, groups, owned
from toughen.events import Stage, Step
from toughen.lab.twin import Probe
from toughen.model.matrix import ANONYMOUS, INVALID, Access, Cell, Matrix, Whose
from toughen.model.trial import Trial
from toughen.ownership import keys
from toughen.privileges import denial
from toughen.twists import literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toughen.audit.policy import Policy
    from toughen.audit.sweep import Group
    from toughen.explore.explore import Explored
    from toughen.lab.crew import Crew
    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Route
    from toughen.model.finding import Finding
    from toughen.prove import Proving

_NOBODIES = 4
"""Anonymous, and credentials that must mean nothing."""
_BY_THE_WAY = 1_000
"""Routes times people up to which a check asks them all: some seconds."""
_FEWEST, _MOSTLY = 4, 0.6
"""A table is written by the way when at least this many, and this share, of the honest requests write it."""


@dataclass(slots=True)
class Auditor:
    """Audits one explored prototype; what it proves is in `proving`."""

    proving: Proving
    policy: Policy | None = None
    """The owner's decisions: what works and is not among them is a finding."""
    _asked: list[Asked] = field(default_factory=list)
    _requests: int = 0
    _limited: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def counted(self, explored: Explored, crew: Crew, variables: dict[str, str]) -> Matrix | None:
        """The matrix by the way, after all was attacked; None where that would take longer than a user notices."""
        routes, people = len(explored.target.blueprint.routes), len(explored.target.identities) + _NOBODIES
        if routes * people > _BY_THE_WAY or time.monotonic() > self.proving.deadline:
            return None
        return self.run(explored, crew, variables, proved=True)

    def run(self, explored: Explored, crew: Crew, variables: dict[str, str], *, proved: bool = False) -> Matrix:
        """The matrix of all routes; `proved` where every route was attacked before. Raises ConfigurationError where the policy names roles that there are not."""
        target, proving = explored.target, self.proving
        began = time.monotonic()
        who = subjects(target.identities, target.texts().values(), variables, target.aged)
        if self.policy is not None:
            policies.known(self.policy, tuple(who.roles))
            proving.meant = Meant(self.policy, target).of
        journeys = [aimed_at(target, journey) for route in target.blueprint.routes if (journey := target.journey(route.id)) is not None]
        proving.tell(Stage("audit", f"{len(target.blueprint.routes)} routes, {len(who.roles)} roles"))
        self._sweep(target, crew, who, groups(journeys))
        seconds = time.monotonic() - began
        by_route: dict[str, list[Asked]] = defaultdict(list)
        for each in self._asked:
            by_route[each.route].append(each)
        judge = Judge(target.blueprint, who, noise=_noise(by_route.values()))
        if not proved:
            proving.run(target, crew, only=_wanted(judge, by_route) | {(OBJECT, route) for route in by_route if _names_sender(target, route)})
        proven = _proven(proving.findings)
        judge = replace(judge, proven=proven, refuted=frozenset((route, rule) for rule, route in proving.settled) - frozenset(proven))
        reasons = {each.route: each.reason for each in explored.unreached}
        cells: list[Cell] = []
        for route in target.blueprint.routes:
            listed = by_route.get(route.id)
            cells += [*judge.route(listed), *_named_by(route.id, listed, proven)] if listed else _untested(route, who, reasons.get(route.id, "no honest request reached it"))
        limited = ("requests are limited (429): where a limit stood in the way, they were sent to a fresh process",) if self._limited else ()
        matrix = Matrix(tuple(who.roles), tuple(cells), self._requests, seconds, (*who.notes, *limited))
        return self._held(target, matrix, by_route) if self.policy is not None else matrix

    def _held(self, target: LabTarget, matrix: Matrix, by_route: dict[str, list[Asked]]) -> Matrix:
        """The matrix as the policy decides it; what it newly denies is proven."""
        assert self.policy is not None
        decided = policies.held(matrix, self.policy)
        before = {(each.route, each.subject): each.access for each in matrix.cells}
        asked = {(each.route, each.who, each.whose): each for listed in by_route.values() for each in listed}
        seen: set[tuple[str, str]] = set()
        for cell in decided.cells:
            journey, sent = target.journey(cell.route), asked.get((cell.route, cell.who, cell.whose))
            new = cell.access is Access.MISSING and before[cell.route, cell.subject] is not Access.MISSING
            if not new or journey is None or sent is None or (cell.route, cell.who) in seen or cell.who in INVALID or cell.whose is Whose.OWN:
                continue
            seen.add((cell.route, cell.who))
            self.proving.one(target, FUNCTION, cell.route, denial(target, journey, sent.identity or "", cell.subject, object_=cell.whose in {Whose.OTHER, Whose.FOREIGN}))
        return decided

    def _sweep(self, target: LabTarget, crew: Crew, who: Subjects, listed: list[Group]) -> None:
        def do(worker: LabTarget, group: Group) -> None:
            self.proving.tell(Step(f"asking for {', '.join(each.route for each in group.journeys)}"))
            sweep = Sweep(worker, who)
            asked = sweep.group(group) if time.monotonic() < self.proving.deadline else _late(worker, group, who)
            with self._lock:
                self._asked += asked
                self._requests += sweep.requests
                self._limited |= sweep.limited

        target.lab.restore()
        snapshot = target.lab.world.take()
        target.snapshot = snapshot.digest
        known = next((each for each in target.journeys() if not each.anonymous), None)
        probe = Probe(Trial(known.calls, known.grants), known.status) if known else None
        # The longest first: nobody waits for it at the end.
        jobs = sorted(listed, key=lambda each: -len(each.journeys) - len(each.before))
        crew.work(target, snapshot, [(each.journeys[0].route, each) for each in jobs], do, probe)


@dataclass(frozen=True, slots=True)
class Meant:
    """What the owner's policy allows of that which a rule proves."""

    policy: Policy
    target: LabTarget

    def of(self, finding: Finding) -> bool:
        """Whether the policy lets the one pass whom the finding names."""
        rights = self.policy.routes.get(finding.route or "")
        if rights is None or finding.evidence is None:
            return False
        who, whose = ANONYMOUS, Whose.NONE
        if finding.evidence.key == "gain":
            # That he may call it does not say that he may make himself somebody else.
            return False
        if finding.break_id == FUNCTION:
            who = finding.evidence.fact("role")
        elif finding.break_id == OBJECT:
            attacker = self.target.identity(str(finding.evidence.facts.get("attacker", "")))
            if attacker is None:
                return False
            home = next((each.tenant for each in self.target.identities), None)
            who, whose = attacker.kind, Whose.OTHER if attacker.tenant in {None, home} else Whose.FOREIGN
        elif finding.break_id != NOBODY:
            return False
        return policies.permits(rights, Cell(finding.route or "", who, whose, Access.MISSING, ""))


def _late(target: LabTarget, group: Group, who: Subjects) -> list[Asked]:
    return [
        Asked(journey.route, role, whose, None, None, "the time budget was used up")
        for journey in group.journeys for role in who.roles for whose in ((Whose.OWN, Whose.OTHER) if owned(target, journey) else (Whose.NONE,))
    ]


def _untested(route: Route, who: Subjects, why: str) -> list[Cell]:
    return [Cell(route.id, each, Whose.NONE, Access.UNTESTED, why) for each in (ANONYMOUS, *who.roles)]


def _noise(routes: Iterable[list[Asked]]) -> frozenset[str]:
    """Tables that most honest requests write."""
    honest = [listed[0].sight for listed in routes if listed[0].sight is not None]
    seen = Counter(table for sight in honest for table in {each.table.lower() for each in sight.changes})
    return frozenset(table for table, count in seen.items() if count >= max(_FEWEST, len(honest) * _MOSTLY))


def _names_sender(target: LabTarget, route: str) -> bool:
    """Whether the honest request names whoever sends it: another name in its place is another's object."""
    journey = target.journey(route)
    who = target.identity(journey.identity or "") if journey is not None else None
    return journey is not None and who is not None and any(str(literal(each)) in keys(who) for each in journey.call.arguments)


def _named_by(route: str, listed: list[Asked], proven: dict[tuple[str, str], str]) -> list[Cell]:
    """The cell of another's object where the request names a user rather than an object, and that was proven to work."""
    asked = any(each.whose in {Whose.OTHER, Whose.FOREIGN} for each in listed)
    told = proven.get((route, OBJECT)) if not asked else None
    return [Cell(route, listed[0].who, Whose.OTHER, Access.MISSING, told, works=True)] if told else []


def _wanted(judge: Judge, by_route: dict[str, list[Asked]]) -> set[tuple[str, str]]:
    """(rule, route) where a request worked that may lack an authorization."""
    wanted: set[tuple[str, str]] = set()
    for route, listed in by_route.items():
        first = listed[0]
        cells = {(each.who, each.whose): each for each in judge.route(listed)}
        if any(each.works for (who, _), each in cells.items() if who == ANONYMOUS or who in INVALID):
            wanted.add((NOBODY, route))
        foreign = any(each.works for (who, _), each in cells.items() if who == FOREIGN) and not any(each.works for (who, _), each in cells.items() if who == ANONYMOUS)
        if foreign:
            wanted.add((TOKEN, route))
        if any(each.works for (who, whose), each in cells.items() if who == first.who and whose in {Whose.OTHER, Whose.FOREIGN}):
            wanted.add((OBJECT, route))
        if any(each.access is Access.UNDECIDED for (_, whose), each in cells.items() if whose in {Whose.NONE, Whose.OWN}):
            wanted.add((FUNCTION, route))
    return wanted


def _proven(findings: Iterable[Finding]) -> dict[tuple[str, str], str]:
    """(route, break) -> what was proven; of a function with the role that it was proven for."""
    found = {}
    for each in findings:
        if each.break_id == TOKEN and (each.evidence is None or each.evidence.fact("kind") != "signature"):
            continue
        role = each.evidence.fact("role") if each.evidence else ""
        found[each.route or "", f"{each.break_id} {role}".strip()] = each.message
    return found


