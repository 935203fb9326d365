"""Owns the dossier as a page, as Markdown and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from toughen.report import dossier, html, plain
from toughen.report.page import coverage, matrix, overview
from toughen.report.page.markup import Html, count, el, prose, scrolling
from toughen.report.stored import matrix_of

if TYPE_CHECKING:
    from toughen.report.dossier import Answer, Dossier, Statement
    from toughen.report.stored import Report

_CONTENTS = {"answers": "Five answers", "before-after": "Before and after", "gates": "Gates", "limits": "Not verified", "matrix": "Who may call what", "coverage": "Tested and not", "again": "Check it yourself"}


_NUMBERS = ("Before", "After the repairs")


def page(report: Report, repaired: Report | None, digest: str, gated: Report | None = None) -> str:
    """The dossier as one page; `digest` names the report that it was made of."""
    drawn = dossier.dossier(report, repaired, gated)
    parts = [
        _section("answers", "Five answers", *map(_answer, drawn.answers)), _places(drawn), _gates(drawn),
        _section("limits", "What was not verified", el("ul", *map(_said, drawn.limits), class_="plain")), matrix.matrix(matrix_of(report)), coverage.coverage(report), _again(drawn, digest),
    ]
    return html.document(f"{report.prototype.name}: dossier", overview.masthead(report, drawn.headline, drawn.lead, "Dossier"), parts, _CONTENTS, report)


def _section(name: str, title: str, *inside: object) -> Html:
    return el("section", el("h2", title, id=f"{name}-title"), *inside, id=name, aria_labelledby=f"{name}-title")


def _answer(answer: Answer) -> Html:
    return el("div", el("h3", answer.question), el("div", el("p", answer.short, class_="short"), el("ul", *map(_said, answer.statements))), class_="answer")


def _said(statement: Statement) -> Html:
    return el("li", prose(statement.text), " ", el("span", f"report: {statement.source}", class_="source"))


def _places(drawn: Dossier) -> Html:
    rows = [el("tr", el("th", each.title, scope="row"), el("td", str(each.before), class_="n"), el("td", each.worst or "none"), el("td", "not measured" if each.after is None else str(each.after), class_="n")) for each in drawn.rows]
    head = el("tr", *(el("th", each, scope="col", class_="n" if each in _NUMBERS else None) for each in ("Place", *_NUMBERS[:1], "Of these", *_NUMBERS[1:])))
    return _section("before-after", "The five places, before and after", scrolling("Before and after", el("table", el("caption", "Proven breaks by place"), el("thead", head), el("tbody", *rows))))


def _gates(drawn: Dossier) -> Html:
    rows = [el("tr", el("th", each.name, scope="row"), el("td", each.about), el("td", each.state, class_="state"), el("td", each.evidence or "no evidence in this report")) for each in drawn.gates]
    head = el("tr", *(el("th", each, scope="col") for each in ("Gate", "What it asks", "State", "Evidence on the same matter")))
    return _section("gates", "Gates", scrolling("Gates", el("table", el("caption", "A gate that has not been run proves nothing, whatever stands beside it"), el("thead", head), el("tbody", *rows))))


def _again(drawn: Dossier, digest: str) -> Html:
    proofs = drawn.proofs
    said = [el("p", "Made of the report with SHA-256 ", el("code", digest), ".")]
    if proofs:
        said += [el("p", f"In the project's folder, {count(len(proofs), 'break is', 'breaks are')} executed again by:"), el("pre", el("code", *(f"toughen replay {each}\n" for each in proofs)), class_="command")]
    return _section("again", "Check it yourself", *said)


def markdown(report: Report, repaired: Report | None, digest: str, gated: Report | None = None) -> str:
    """The dossier as Markdown."""
    drawn = dossier.dossier(report, repaired, gated)
    lines = [f"# {plain.prose(report.prototype.name)}: {drawn.headline}", "", plain.prose(drawn.lead, 2000), ""]
    for answer in drawn.answers:
        lines += [f"## {answer.question}", "", f"**{plain.prose(answer.short)}**", "", *map(_line, answer.statements), ""]
    lines += ["## The five places, before and after", "", "| place | before | of these | after the repairs |", "|---|---|---|---|"]
    lines += [f"| {each.title} | {each.before} | {each.worst or 'none'} | {'not measured' if each.after is None else each.after} |" for each in drawn.rows]
    lines += ["", "## Gates", "", "| gate | what it asks | state | evidence on the same matter |", "|---|---|---|---|"]
    lines += [f"| {each.name} | {each.about} | {each.state} | {each.evidence or 'no evidence in this report'} |" for each in drawn.gates]
    lines += ["", "## What was not verified", "", *map(_line, drawn.limits), "", f"Made by toughen {plain.prose(report.toughen)} of the report with SHA-256 `{digest}`."]
    return "\n".join(lines) + "\n"


def _line(statement: Statement) -> str:
    return f"- {plain.prose(statement.text, 2000)} *(report: {plain.prose(statement.source)})*"


def document(report: Report, repaired: Report | None, digest: str, gated: Report | None = None) -> str:
    """The dossier as JSON."""
    return json.dumps({"schema": 1, "toughen": report.toughen, "prototype": report.prototype.name, "report": digest, **dossier.document(dossier.dossier(report, repaired, gated))}, indent=1, ensure_ascii=False) + "\n"
