"""Owns the dossier for whoever buys the software: plain answers to five questions, each sentence with the number that it rests on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toughen.report.page.markup import count
from toughen.report.page.words import PLACES, of_place, severities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.report.stored import Found, Held, Report

BAR_LINES, BAR_BREAKS, BAR_REACH = 70, 50, 50
"""Percent: of lines that survive the repairs, of breaks that end by them, and of routes that were reached. Below one of the first two a rewrite is the cheaper answer; below the last nothing is said."""
GATES = {
    "types": "type checker over what was mended", "lint": "linter with a curated set", "tests": "the project's own tests", "coverage": "mended lines are covered", "guards": "each guard has a test that fails without it",
    "secrets": "none in files or history", "dependencies": "none is known to be vulnerable", "authorization": "who may call what is decided, and holds", "proofs": "every stored proof replays as gone", "operations": "a failure is seen", "baseline": "what was let through only becomes less",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """One sentence and where in the report its numbers stand."""

    text: str
    source: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, answered."""

    question: str
    short: str
    """A word or two; `Not measured` where there is no evidence."""
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """A place before and after the repairs; None is not measured."""

    place: str
    title: str
    before: int
    worst: str
    after: int | None


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate and what stands in the report for it."""

    name: str
    about: str
    state: str
    evidence: str
    """What this report holds on the same matter; "" where it holds nothing."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """What a buyer reads."""

    headline: str
    lead: str
    answers: tuple[Answer, ...]
    rows: tuple[Row, ...]
    gates: tuple[Gate, ...]
    limits: tuple[Statement, ...]
    """What was not verified."""
    proofs: tuple[str, ...]


def dossier(report: Report, repaired: Report | None = None, gated: Report | None = None) -> Dossier:
    """The dossier of a report; `repaired` is that of the last run that wrote repairs, where this one tried none, and `gated` that of the last run of all gates."""
    narrow = report.run is not None and bool(report.run.only)
    return _Reading(report, report if report.mends else None if narrow else repaired, report.gates or (gated.gates if gated is not None and not narrow else ())).dossier()


@dataclass(frozen=True, slots=True)
class _Reading:
    report: Report
    repaired: Report | None
    gates: tuple[Held, ...] = ()

    def dossier(self) -> Dossier:
        decision, why = self._decision()
        return Dossier(
            {"keep": "Keep it: it is hardened, as far as it was tested." if self._done else "Keep it and harden it.", "rewrite": "A rewrite is the cheaper answer.", "sound": "Nothing was found that speaks against it.", "open": "This report does not carry a decision yet."}[decision], why,
            (self._hardened(), self._breaks(), self._rewrite(decision, why), self._verified(), self._designed()), tuple(self._rows()), tuple(self._gates()), tuple(self._limits()), self.proofs,
        )

    # What the numbers are.

    @property
    def _before(self) -> tuple[Found, ...]:
        return self.repaired.proven if self.repaired else self.report.proven

    @property
    def _again(self) -> bool:
        """Whether it was checked anew after it had been repaired."""
        return self.repaired is not None and self.repaired is not self.report

    @property
    def _done(self) -> bool:
        """Whether repairs that stand in the project's files end everything that was proven."""
        return self.repaired is not None and self.repaired.written and not (self.report.proven if self._again else self._left(self._before))

    def _left(self, found: tuple[Found, ...]) -> list[Found]:
        return [each for each in found if self.repaired is not None and each.id not in self.repaired.ended]

    @property
    def _counts(self) -> Counter[str]:
        return Counter(each.outcome for each in self.repaired.mends) if self.repaired else Counter()

    @property
    def _reach(self) -> int:
        return _percent(self.report.coverage.reached, self.report.coverage.routes)

    def _decision(self) -> tuple[str, str]:
        report, before = self.report, self._before
        reach = f"{report.coverage.reached} of {count(report.coverage.routes, 'route')} reached"
        if not report.booted:
            return "open", "The prototype was not executed in this run (booted: no), so there are 0 measurements."
        if report.run and report.run.only:
            return "open", f"The run looked only for {', '.join(report.run.only)}; {count(len(before), 'break')} proven there say nothing of the rest."
        if self._reach < BAR_REACH:
            return "open", f"Only {reach} ({self._reach} %); below {BAR_REACH} % nothing is concluded."
        if not before:
            return "sound", f"0 breaks proven with {reach}."
        if self.repaired is None or self.repaired.change is None:
            return "open", f"{count(len(before), 'break')} proven with {reach}, and 0 repairs were tried: `toughen fix` measures what a repair costs."
        ended, change = len(before) - len(self._left(before)), self.repaired.change
        kept, share = _percent(change.kept, change.lines), _percent(ended, len(before))
        facts = f"{ended} of {count(len(before), 'break')} ({share} %) end by repairs that keep {change.kept:,} of {change.lines:,} lines ({kept} %)"
        if kept < BAR_LINES or share < BAR_BREAKS:
            return "rewrite", f"{facts}; the bar is {BAR_LINES} % of the lines and {BAR_BREAKS} % of the breaks."
        return "keep", f"{facts}; {count(len(before) - ended, 'break waits', 'breaks wait')} for a decision by a person."

    @property
    def proofs(self) -> tuple[str, ...]:
        """The files that `toughen replay` executes: of what was proven before the repairs, where there were some."""
        return tuple(each.proof for each in self._before if each.proof)

    # The five questions.

    def _hardened(self) -> Answer:
        question = "Can it be hardened, rather than just built fast?"
        before = self._before
        if not before:
            return Answer(question, "Nothing to harden" if self.report.booted and not (self.report.run and self.report.run.only) else "Not measured", (Statement(f"0 breaks were proven on {self.report.coverage.reached} of {count(self.report.coverage.routes, 'route')}.", "findings, coverage"),))
        if self.repaired is None:
            return Answer(question, "Not measured", (Statement(f"{count(len(before), 'break')} proven; 0 repairs were tried in this report.", "findings, mends"),))
        counts, left = self._counts, len(self._left(before))
        said = [
            Statement(f"{count(len(before) - left, 'break')} of {len(before)} end by repairs: {counts['kept']} by one of their own, {counts['gone']} by another's.", "mends[].outcome"),
            Statement(f"{counts['rolled-back']} were tried and taken back, {counts['unmended']} need a decision of design.", "mends[].outcome"),
        ]
        if self.repaired.change:
            change = self.repaired.change
            said.append(Statement(f"The kept repairs change {count(change.files, 'file')}: {change.removed:,} of {change.lines:,} lines go, {change.added:,} come.", "change"))
        if not self.repaired.written:
            said.append(Statement("The repairs were tried on a copy: 0 lines of the project itself were changed.", "run.verb"))
        if self._again:
            when = f" (repaired {self.repaired.run.at[:10]})" if self.repaired.run else ""
            said.append(Statement(f"Checked again afterwards: {count(len(self.report.proven), 'break')} proven, where there were {len(before)}{when}.", "findings"))
        return Answer(question, "Yes" if not left else "In part" if left < len(before) else "Not by code alone", tuple(said))

    def _breaks(self) -> Answer:
        question = "Where does it break?"
        report, found = self.report, self.report.proven
        if not self.report.booted:
            return Answer(question, "Not measured", (Statement("0 routes were executed.", "booted"),))
        if not found:
            return Answer(question, "Nowhere that was reached", (Statement(f"0 breaks on {self.report.coverage.reached} of {count(self.report.coverage.routes, 'route')}.", "findings, coverage"),))
        places = [(title, of_place(found, place)) for place, (title, _) in PLACES.items()]
        worst = max(places, key=lambda each: len(each[1]))
        routes = Counter(each.route.id for each in found if each.route)
        files = Counter(each.location.file for each in found if each.location.file)
        first = "Before the repairs: " if report.mends and report.written else ""
        said = [Statement(first + "; ".join(f"{title} {len(each)}" + (f" ({severities(each)})" if each else "") for title, each in places) + ".", "findings[].place, .severity")]
        if first:
            left = [each for each in found if each.id not in report.ended]
            said.append(Statement(f"After them {count(len(left), 'break is', 'breaks are')} left" + (f": {', '.join(sorted({each.break_id for each in left}))}." if left else "."), "mends[].outcome"))
        if routes:
            most = ", ".join(f"{route} ({number})" for route, number in routes.most_common(3))
            said.append(Statement(f"{len(routes)} of {count(self.report.coverage.routes, 'route')} {'has' if len(routes) == 1 else 'have'} at least one; the most: {most}.", "findings[].route"))
        if files:
            said.append(Statement(f"The places to mend lie in {count(len(files), 'file')}: {', '.join(f'{file} ({number})' for file, number in files.most_common(4))}.", "findings[].location"))
        return Answer(question, f"{worst[0]} most, {len(worst[1])} of {len(found)}", tuple(said))

    def _rewrite(self, decision: str, why: str) -> Answer:
        short = {"keep": "Keep", "rewrite": "Rewrite", "sound": "Keep", "open": "Not measured"}[decision]
        said = [Statement(why, "change, mends, coverage")]
        if decision in {"keep", "rewrite"}:
            said.append(Statement(f"The bar: a rewrite is advised below {BAR_LINES} % of lines kept, or below {BAR_BREAKS} % of breaks ended by repairs.", "fixed by toughen, not by this report"))
        return Answer("Rewrite or keep?", short, tuple(said))

    def _verified(self) -> Answer:
        report = self.report
        tests, proofs = report.prototype.tests, len(self.proofs)
        suite = of_place(report.proven, "suite")
        said = [
            Statement("The number of the project's own tests is not in this report." if tests is None else f"The project has {count(tests, 'test')} of its own" + (f"; {count(len(self._before), 'break')} {'was' if len(self._before) == 1 else 'were'} proven beside them." if report.booted else "."), "prototype.tests, findings"),
            *([Statement(f"{count(len(suite), 'break')} proven in the tests themselves: {', '.join(sorted({each.break_id for each in suite}))}.", "findings[place=suite]")] if suite else []),
            Statement(f"{count(proofs, 'proof is', 'proofs are')} stored, each to be executed again by anybody: `toughen replay`.", "findings[].proof"),
        ]
        held = sum(each.state == "held" for each in self.gates)
        if not self.gates:
            said.append(Statement(f"0 of {len(GATES)} gates have been run.", "no gate stands in this report"))
            return Answer("What verifies the AI's output mechanically?", "No gate yet" + ("" if not tests else f"; {count(tests, 'test')}"), tuple(said))
        said.append(Statement(f"{held} of {count(len(self.gates), 'gate')} held when they were asked last" + (f"; open: {', '.join(each.gate for each in self.gates if each.state != 'held')}." if held < len(self.gates) else "."), "gates"))
        known, waived = sum(each.known for each in self.gates), sum(len(each.waived) for each in self.gates)
        if known or waived:
            said.append(Statement(f"They let {count(known, 'fault')} through that {'was' if known == 1 else 'were'} there before, and {waived} that somebody answers for until a day.", "gates[].known, gates[].waived"))
        return Answer("What verifies the AI's output mechanically?", f"{held} of {count(len(self.gates), 'gate')}" + ("" if not tests else f"; {count(tests, 'test')}"), tuple(said))

    def _designed(self) -> Answer:
        question = "Is security designed in, or bolted on?"
        report, cells = self.report, self.report.coverage.authorization
        security = of_place(report.proven, "security")
        if not report.booted or (cells is None and not security):
            return Answer(question, "Not measured", (Statement(f"The matrix of roles and endpoints was not asked: 0 cells; {count(len(security), 'break')} of security proven.", "coverage.authorization, findings"),))
        routes = len({each.route.id for each in security if each.route})
        said = [Statement(f"{count(len(security), 'break')} of security proven, on {routes} of {count(report.coverage.routes, 'route')}.", "findings[place=security]")]
        short = "Not measured" if cells is None else ""
        if cells is not None:
            called = cells.refused + cells.missing
            said += [
                Statement(f"Of {count(called, 'refusal')} that are called for, the project makes {cells.refused} itself and lacks {cells.missing}.", "coverage.authorization"),
                Statement(f"Of {count(cells.cells, 'combination')} of user and route {cells.undecided} are open (nothing in the code says whether they are meant), and {cells.untested} were not tested.", "coverage.authorization"),
            ]
            short = "Not there" if not cells.refused else "Designed in, as far as tested" if not cells.missing and not security else "There, with holes"
        before = of_place(self.repaired.proven, "security") if self.repaired is not None else []
        ended = sum(each.id in self.repaired.ended for each in before) if self.repaired is not None else 0
        if ended:
            said.append(Statement(f"{ended} of {count(len(before), 'break')} of security {'ends' if ended == 1 else 'end'} by repairs made afterwards.", "mends"))
            holds = self._again and cells is not None and not cells.missing and not security
            short = "Bolted on, and it holds as far as tested" if holds else "Bolted on, in part" if ended < len(before) or (security and self._again) else "Bolted on"
        return Answer(question, short, tuple(said))

    # The tables.

    def _rows(self) -> Iterator[Row]:
        for place, (title, _) in PLACES.items():
            before = of_place(self._before, place)
            after: int | None = None
            if self._again:
                after = len(of_place(self.report.proven, place))
            elif self.repaired is not None:
                after = len([each for each in before if each.id not in self.repaired.ended])
            yield Row(place, title, len(before), severities(before), after)

    def _gates(self) -> Iterator[Gate]:
        report, cells = self.report, self.report.coverage.authorization
        secrets = sum(each.break_id == "security/hardcoded-secret" for each in report.proven)
        packages = sum(each.break_id == "security/vulnerable-dependency" for each in report.proven)
        held = {
            "tests": f"{count(report.prototype.tests, 'test')} found" if report.prototype.tests is not None else "",
            "secrets": f"{count(secrets, 'break')} proven" if report.booted and secrets else "",
            "dependencies": f"{count(packages, 'break')} proven" if report.booted and packages else "",
            "authorization": f"{cells.cells} cells: {cells.refused} refused, {cells.missing} missing, {cells.undecided} undecided" if cells else "",
            "proofs": f"{count(len(self.proofs), 'proof')} stored" if self.proofs else "",
        }
        asked = {each.gate: each for each in self.gates}
        for name, about in GATES.items():
            known = asked.get(name)
            yield Gate(name, about, known.state, _told(known)) if known is not None else Gate(name, about, "not run", held.get(name, ""))

    def _limits(self) -> Iterator[Statement]:
        report = self.report
        yield Statement(f"{report.coverage.reached} of {count(report.coverage.routes, 'route')} were reached by an honest client ({self._reach} %); the others were not attacked.", "coverage")
        for each in report.coverage.unreached[:20]:
            yield Statement(f"{each.id}: {each.reason}", "coverage.unreached")
        if len(report.coverage.unreached) > 20:  # noqa: PLR2004 - a page's length
            yield Statement(f"and {len(report.coverage.unreached) - 20} more.", "coverage.unreached")
        yield Statement(f"{count(len(report.inconclusive), 'attempt')} said neither yes nor no; {count(len(report.suspected), 'suspicion')} of the source {'was' if len(report.suspected) == 1 else 'were'} not shown.", "inconclusive, findings[status=suspected]")
        for note in report.notes:
            yield Statement(note, "notes")


def _told(held: Held) -> str:
    """What a gate looked at, and what it let through."""
    parts = [held.why] if held.why else []
    parts += [f"fell for {sum(each.count for each in held.faults)}"] if held.faults else []
    parts += [f"{held.known} known from the baseline"] if held.known else []
    parts += [f"{len(held.waived)} waived"] if held.waived else []
    return "; ".join(parts)


def _percent(part: int, whole: int) -> int:
    return 100 * part // whole if whole else 0


def document(drawn: Dossier) -> dict[str, Any]:
    """The dossier as a dictionary, for programs."""
    return {
        "headline": drawn.headline, "lead": drawn.lead,
        "answers": [{"question": each.question, "answer": each.short, "statements": [{"text": one.text, "source": one.source} for one in each.statements]} for each in drawn.answers],
        "places": [{"place": each.place, "before": each.before, "after": each.after} for each in drawn.rows],
        "gates": [{"gate": each.name, "state": each.state, "evidence": each.evidence or None} for each in drawn.gates],
        "not verified": [{"text": each.text, "source": each.source} for each in drawn.limits],
    }
