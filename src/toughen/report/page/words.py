"""Owns the words that pages use for places, severities and outcomes, and the sentence that a founder reads first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.report.page.markup import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.report.stored import Found, Mended, Report

PLACES = {
    "input": ("Input", "what people send"),
    "failure": ("Failure", "when something else fails"),
    "security": ("Security", "who may do what"),
    "race": ("Race", "two requests at once"),
    "suite": ("Suite", "the project's own tests"),
    "operations": ("Operations", "running it"),
}
"""The five places, and operations beside them: title, and what it is about."""
SEVERITIES = ("critical", "high", "medium", "low")


def of_place(findings: Sequence[Found], place: str) -> list[Found]:
    """The findings of one place."""
    return [each for each in findings if each.place == place]


def places(report: Report) -> dict[str, tuple[str, str]]:
    """The known places, and those that only this report knows."""
    return {**PLACES, **{each.place: (each.place, "") for each in report.findings if each.place not in PLACES}}


def severities(findings: Sequence[Found]) -> str:
    """`3 critical, 1 low`."""
    return ", ".join(f"{number} {severity}" for severity in SEVERITIES if (number := sum(each.severity == severity for each in findings)))


def headline(report: Report) -> tuple[str, str]:
    """The verdict as a founder understands it: one sentence, and one more with what to do."""
    proven, ended = report.proven, report.ended
    if report.gates:
        return _gates(report)
    reach = f"{report.coverage.reached} of {count(report.coverage.routes, 'route')} were used as an honest client would"
    if not report.booted:
        return "Nothing was executed, so nothing is known for certain.", report.verdict.why
    left = [each for each in proven if each.id not in report.gone]
    worst = sum(each.severity == "critical" for each in left)
    critical = f", {worst} of them critical" if worst and len(left) > 1 else ""
    mended = bool(proven) and report.written and bool(report.gone)
    if report.run and report.run.only:
        said = f"{count(len(left), 'break')} {'left' if mended else 'proven'}{critical}" if left else f"{_all(len(proven), 'break')} {'is' if len(proven) == 1 else 'are'} mended" if proven else "none was proven"
        return f"Of what this run looked for: {said}.", f"{reach}. A whole run says whether it is ready."
    if not proven:
        return (
            ("Ready: no break was proven." if report.verdict.decision == "ready" else "No break was proven, and too little was reached to call it ready."),
            f"{reach}, and attacked. What was not tested is listed below.",
        )
    if not left:
        return f"Hardened: {_all(len(proven), 'break')} {'is' if len(proven) == 1 else 'are'} mended.", f"Each repair was kept only because its break is gone and everything honest still works. {reach}."
    if mended:
        return (
            f"Not ready yet: {count(len(left), 'break')} of {len(proven)} {'is' if len(left) == 1 else 'are'} left{critical}.",
            f"{len(proven) - len(left)} of {len(proven)} are mended, with their break gone and everything honest still working; what is left waits for a decision. {reach}.",
        )
    offered = f" {len(ended)} of {len(proven)} can be mended: `toughen fix` writes what was tried on a copy and held." if ended else ""
    return f"Not ready: {count(len(proven), 'break')} proven{critical}.", f"Each was executed twice, from a clean copy, after an honest request had passed.{offered} {reach}."


def _gates(report: Report) -> tuple[str, str]:
    """What a run of the gates ends with."""
    fell, unchecked = ([each.gate for each in report.gates if each.state == state] for state in ("fell", "not checked"))
    known = sum(each.known for each in report.gates)
    let = f" {count(known, 'fault')} that {'was' if known == 1 else 'were'} there before {'is' if known == 1 else 'are'} let through." if known else ""
    if not fell and not unchecked:
        return "The gates hold.", f"{count(sum(each.state == 'held' for each in report.gates), 'gate')} looked, and found nothing that is new.{let}"
    parts = [f"{count(len(fell), 'gate')} fell"] * bool(fell) + [f"{len(unchecked)} could not be checked"] * bool(unchecked)
    return f"Not through the gate: {', '.join(parts)}.", f"Open: {', '.join([*fell, *unchecked])}.{let}"


def _all(number: int, word: str) -> str:
    return f"the one {word}" if number == 1 else f"all {number} {word}s"


def outcome(mended: Mended | None, *, written: bool = True) -> tuple[str, str, str]:
    """What became of a finding: a sign, a word and a class."""
    match mended.outcome if mended else "":
        case "kept":
            return "✓", "mended" if written else "mend holds", "good"
        case "gone":
            return "✓", "mended too" if written else "mend holds", "good"
        case "rolled-back":
            return "↩", "rolled back", "open"
        case "unmended":
            return "✎", "by hand", "open"
        case _:
            return "", "", ""
