"""Owns what was tested and what was not, with the reasons, and what a reader must know of how it was done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.report.page.markup import NOTHING, Html, count, el, prose, scrolling

if TYPE_CHECKING:
    from toughen.report.stored import Report

_STAGES = {"survey_s": "reading the source", "boot_s": "environment and boot", "explore_s": "learning to use it", "first_proof_s": "until the first proof", "audit_s": "who may call what", "total_s": "all together"}


def coverage(report: Report) -> Html:
    """Routes that were reached, those that were not and why, and the users that were used."""
    reach = report.coverage
    title = el("h2", "What was tested, and what was not", id="coverage-title")
    if not report.booted:
        return el("section", title, el("p", "Nothing: ", prose(report.verdict.why), class_="empty"), id="coverage", aria_labelledby="coverage-title")
    parts: list[object] = [
        el("p", el("strong", f"{reach.reached} of {count(reach.routes, 'route')}"), " answered an honest client, and were attacked.", class_="lead"),
        el("progress", f"{reach.reached} of {reach.routes}", max=str(max(1, reach.routes)), value=str(min(reach.reached, reach.routes)), aria_label="Routes reached"),
    ]
    if reach.unreached:
        rows = [el("tr", el("th", el("code", each.id), scope="row"), el("td", prose(each.reason))) for each in reach.unreached]
        parts.append(scrolling("Routes that were not tested", el("table", el("caption", f"{count(len(rows), 'route')} not tested"), el("thead", el("tr", el("th", "Route", scope="col"), el("th", "Why", scope="col"))), el("tbody", *rows))))
    if reach.tested:
        parts.append(el("details", el("summary", f"Routes that were tested ({len(reach.tested)})"), el("ul", *(el("li", el("code", each.id)) for each in reach.tested), class_="columns"), class_="more"))
    if report.identities:
        people = [el("tr", el("th", each.name, scope="row"), el("td", each.role or "—"), el("td", each.how)) for each in report.identities]
        parts.append(scrolling("Users that were used", el("table", el("caption", "Users that were used, in the throw-away copy"), el("thead", el("tr", el("th", "Name", scope="col"), el("th", "Role", scope="col"), el("th", "How it came to be", scope="col"))), el("tbody", *people))))
    return el("section", title, *parts, id="coverage", aria_labelledby="coverage-title")


def notes(report: Report) -> Html:
    """How it was attacked, and how long it took."""
    seconds = [(word, report.timings[key]) for key, word in _STAGES.items() if key in report.timings]
    if not report.notes and not seconds:
        return NOTHING
    return el(
        "section", el("h2", "Notes", id="notes-title"),
        el("ul", *(el("li", prose(each)) for each in report.notes), class_="plain") if report.notes else "",
        el("p", "Seconds: ", "; ".join(f"{word} {each:.1f}" for word, each in seconds), ".", class_="muted") if seconds else "",
        id="notes", aria_labelledby="notes-title",
    )
