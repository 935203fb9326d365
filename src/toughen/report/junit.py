"""Owns the JUnit report: a suite for each place, a case for each (break, route) that was executed, as CI servers read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree.ElementTree import Element, SubElement, tostring

from toughen.model.finding import Status
from toughen.model.gate import State
from toughen.model.patch import Gone, Kept
from toughen.report import plain
from toughen.report.text import told

if TYPE_CHECKING:
    from toughen.model.finding import Finding
    from toughen.model.verdict import Verdict

_LONG, _LONGEST = 300, 20_000
_BOOT = "boot"


@dataclass(slots=True)
class _Case:
    """What is known of one (break, route)."""

    proven: list[Finding]
    reasons: list[str]
    suspected: list[Finding]
    refuted: bool = False
    seconds: float = 0.0

    @property
    def kind(self) -> str:
        """failure, skipped, or passed."""
        return "failure" if self.proven else "passed" if self.refuted else "skipped"


def render(verdict: Verdict, version: str) -> str:
    """The report as XML 1.0 text with a final newline."""
    root = Element("testsuites", name=_said(f"toughen {version}: {verdict.blueprint.name}"))
    for place, cases in _places(verdict).items():
        _suite(root, place, cases)
    if verdict.gates:
        _gates(root, verdict)
    if not verdict.booted:
        _nothing(root, verdict)
    # The plug-ins of Jenkins that check a file against their schema know no `skipped` here.
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(each.get(name, "0")) for each in root)))
    root.set("time", f"{sum(float(each.get('time', '0')) for each in root):.3f}")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _places(verdict: Verdict) -> dict[str, dict[tuple[str, str], _Case]]:
    """Cases by place, then by (break, route). What mends of this run ended is told as it was found, and counts as passed."""
    ended = {finding for finding, outcome in verdict.mends if isinstance(outcome, Kept | Gone)} | {finding for finding, _ in verdict.waived}
    cases: dict[tuple[str, str], _Case] = {}

    def of(break_id: str, route: str | None) -> _Case:
        return cases.setdefault((break_id, route or ""), _Case([], [], []))

    for each in verdict.tried:
        if each.refuted:
            of(each.break_id, each.route).refuted = True
    for finding in verdict.findings:
        case = of(finding.break_id, finding.route)
        if finding.status is Status.SUSPECTED:
            case.suspected.append(finding)
        elif finding.id in ended:
            case.refuted = True
        else:
            case.proven.append(finding)
    for one in verdict.inconclusive:
        of(one.break_id, one.route).reasons.append(one.reason)
    for each in verdict.tried:
        if (each.break_id, each.route) in cases:
            cases[each.break_id, each.route].seconds += each.seconds
    places: dict[str, dict[tuple[str, str], _Case]] = {}
    for pair, case in sorted(cases.items()):
        places.setdefault(pair[0].partition("/")[0], {})[pair] = case
    return places


def _suite(root: Element, place: str, cases: dict[tuple[str, str], _Case]) -> None:
    kinds = [each.kind for each in cases.values()]
    suite = SubElement(root, "testsuite", name=f"toughen.{place}", tests=str(len(cases)), failures=str(kinds.count("failure")), errors="0", skipped=str(kinds.count("skipped")))
    suite.set("time", f"{sum(round(each.seconds, 3) for each in cases.values()):.3f}")
    for (break_id, route), case in cases.items():
        one = SubElement(suite, "testcase", classname=f"toughen.{break_id.replace('/', '.')}", name=_said(route or break_id), time=f"{case.seconds:.3f}")
        if case.proven:
            worst, others = case.proven[0], len(case.proven) - 1
            failure = SubElement(one, "failure", type=break_id, message=_said(worst.message + (f" (and {others} more)" if others else "")))
            failure.text = _long("\n\n".join(_account(each) for each in case.proven))
        elif case.kind == "skipped":
            reasons = case.reasons or ["suspected, and not shown by execution"]
            SubElement(one, "skipped", message=_said("; ".join(dict.fromkeys(reasons))))
        if case.suspected:
            SubElement(one, "system-out").text = _long("\n".join(f"suspected, not proven: {each.location}: {each.message}" for each in case.suspected))


def _gates(root: Element, verdict: Verdict) -> None:
    """A case for each gate: what could not be checked is an error."""
    states = [each.state for each in verdict.gates]
    counts = {"tests": len(states), "failures": states.count(State.FELL), "errors": states.count(State.UNCHECKED), "skipped": states.count(State.PASSED_OVER)}
    suite = SubElement(root, "testsuite", {name: str(number) for name, number in counts.items()}, name="toughen.gates", time=f"{sum(each.seconds for each in verdict.gates):.3f}")
    for each in verdict.gates:
        one = SubElement(suite, "testcase", classname="toughen.gates", name=each.gate, time=f"{each.seconds:.3f}")
        if each.state is State.PASSED_OVER:
            SubElement(one, "skipped", message=_said(each.why))
        elif each.open:
            mark = SubElement(one, "failure" if each.state is State.FELL else "error", message=_said(f"fell for {sum(fault.count for fault in each.faults)}" if each.faults else each.why), type=f"gate/{each.gate}")
            mark.text = _long("\n".join([*(f"{f'{fault.location}: ' if fault.location and fault.location.file else ''}{fault.message}" for fault in each.faults), each.hint]).strip())


def _nothing(root: Element, verdict: Verdict) -> None:
    """A run that executed nothing is no green run: an error, or skipped where that was asked for."""
    static = "static survey only" in verdict.notes
    suite = SubElement(root, "testsuite", name="toughen.run", tests="1", failures="0", errors=str(int(not static)), skipped=str(int(static)), time="0.000")
    one = SubElement(suite, "testcase", classname="toughen.run", name=_BOOT, time="0.000")
    mark = SubElement(one, "skipped" if static else "error", message=_said(f"Nothing was executed: {verdict.why}"))
    if not static:
        mark.set("type", "toughen/not-executed")
        mark.text = _long(verdict.why)


def _account(finding: Finding) -> str:
    """What a reader of a build's log needs: what, where, the evidence, and how to see it again."""
    return "\n".join([
        f"{finding.severity.value}: {finding.id}", finding.message, f"at {finding.location}" if finding.location.file else "in a library's own code",
        *told(finding.evidence.facts if finding.evidence else {}), f"proof: {plain.proof(finding)}", f"replay: {plain.replay(finding)}",
    ])


def _said(text: str) -> str:
    return plain.line(text, _LONG)


def _long(text: str) -> str:
    """Text of an element: XML 1.0 (2.2) has no way to write most control characters; `]]>` is escaped like all markup."""
    return plain.shortened(plain.printable(text), _LONGEST)
