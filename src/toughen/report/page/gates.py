"""Owns the gates as a section of the page: each with its state in a word, what it was held against, and what it fell for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.report.page.markup import NOTHING, Html, count, el, join, prose, scrolling

if TYPE_CHECKING:
    from toughen.report.stored import Faulty, Held, Report

_SIGNS = {"held": "✓ held", "fell": "✕ fell", "not checked": "! not checked", "passed over": "· passed over"}
_MOST = 200


def gates(report: Report) -> Html:
    """The table, then each gate that is open, with its faults; nothing where no gate was asked."""
    if not report.gates:
        return NOTHING
    title = el("h2", "Gates", id="gates-title")
    held = sum(each.state == "held" for each in report.gates)
    rows = [el("tr", el("th", each.title, el("span", each.gate, class_="under"), scope="row"), el("td", _SIGNS[each.state], class_="state"), el("td", prose(each.why), *_beside(each))) for each in report.gates]
    head = el("thead", el("tr", *(el("th", each, scope="col") for each in ("What must hold", "State", "What was looked at"))))
    return el(
        "section", title, el("p", el("strong", f"{held} of {count(len(report.gates), 'gate')}"), " held.", class_="lead"),
        scrolling("Gates", el("table", el("caption", "A gate that could not be checked is no yes"), head, el("tbody", *rows))), *map(_open, report.gates),
        id="gates", aria_labelledby="gates-title",
    )


def _beside(gate: Held) -> list[Html]:
    told = ([f"{gate.known} known from the baseline"] if gate.known else []) + ([f"{gate.gone} of the baseline are gone"] if gate.gone else [])
    told += [f"waived until {each.expires} by {each.owner}: {each.reason}" for each in gate.waived]
    return [el("span", prose(each), class_="under") for each in told]


def _open(gate: Held) -> Html:
    if gate.state != "fell":
        return NOTHING
    shown = [el("li", _fault(each)) for each in gate.faults[:_MOST]]
    if len(gate.faults) > _MOST:
        shown.append(el("li", f"and {len(gate.faults) - _MOST} more: see the JSON report"))
    return el("details", el("summary", f"{gate.title}: fell for {sum(each.count for each in gate.faults)}"), el("ul", *shown, class_="plain"), class_="more", open=True)


def _fault(fault: Faulty) -> Html:
    where = f"{fault.location.file}:{fault.location.line}" if fault.location is not None and fault.location.file else ""
    return join(el("code", where) if where else "", " " if where else "", prose(fault.message))
