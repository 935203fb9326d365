"""Owns the head of the page: the verdict in a sentence, the facts about the prototype, and a card for each place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.report.page.markup import Html, count, el, join, prose
from toughen.report.page.words import of_place, places, severities

if TYPE_CHECKING:
    from toughen.report.stored import Report


def masthead(report: Report, title: str, lead: str, kind: str = "Report") -> Html:
    """Who, what, when; the sentence is the page's heading."""
    prototype, run = report.prototype, report.run
    when = f" · {run.at.replace('T', ' ').removesuffix('Z')} UTC" if run else ""
    facts = [
        prototype.framework, prototype.entry or "no entry", prototype.database or "no database", count(prototype.routes, "route"),
        *([count(prototype.lines, "line") + " of Python"] if prototype.lines else []),
        *([f"took {report.timings['total_s']:.0f} s"] if "total_s" in report.timings else []),
    ]
    narrow = el("p", "This run looked only for ", el("code", ", ".join(run.only)), ": of everything else it says nothing.", class_="warning") if run and run.only else ""
    unwritten = el("p", "The repairs were tried and not written (", el("code", "--dry-run"), ").", class_="warning") if report.mends and not report.written else ""
    return el(
        "header",
        el("p", el("strong", prototype.name), f" · {kind} by toughen {report.toughen}{when}", class_="eyebrow"),
        el("h1", title), el("p", prose(lead), class_="lead"),
        el("ul", *(el("li", each) for each in facts), class_="tags", aria_label="The prototype"), narrow, unwritten,
    )


def cards(report: Report) -> Html:
    """The five places, and operations beside them."""
    return el(
        "section", el("h2", "Where it breaks", id="places-title"), el("ul", *(_card(report, place) for place in places(report)), class_="cards"),
        id="places", aria_labelledby="places-title",
    )


def _card(report: Report, place: str) -> Html:
    title, about = places(report)[place]
    proven = of_place(report.proven, place)
    left = [each for each in proven if each.id not in report.gone]
    ended = sum(each.id in report.ended for each in proven)
    suspected = len(of_place(report.suspected, place))
    below: list[str] = [severities(left)] if left else []
    if ended:
        below.append(f"✓ {ended} of {len(proven)} {'mended' if report.written else 'can be mended'}")
    if suspected:
        below.append(f"{suspected} suspected")
    # The prototype's own tests are judged where that is asked for.
    unasked = place == "suite" and not proven and not any(each.partition("/")[0] == "suite" for each in (report.run.only if report.run else ()))
    number = el("span", str(len(left)) if report.booted and not unasked else "—", class_="number")
    word = "not executed" if not report.booted else "not run" if unasked else ("left" if report.written and proven else "proven")
    inside = join(
        el("span", title, class_="title"), el("span", about, class_="about"), el("span", number, f" {word}", class_="figure"),
        *(el("span", each, class_="below") for each in below),
    )
    worst = next((each for each in ("critical", "high", "medium", "low") if any(one.severity == each for one in left)), "done" if proven else "none")
    linked = el("a", inside, href=f"#place-{place}") if proven and place.isalpha() else el("div", inside)
    return el("li", linked, class_=f"card {worst}")
