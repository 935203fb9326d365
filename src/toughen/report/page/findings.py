"""Owns the findings on the page: by place, by break, each with its evidence, its picture, its replay and its repair."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toughen.report import timeline
from toughen.report.page.diff import diff
from toughen.report.page.markup import NOTHING, Html, count, cut, el, join, prose, scrolling, visible
from toughen.report.page.words import SEVERITIES, of_place, outcome, places, severities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.report.stored import Found, Mended, Report

_FIRST = ("request", "requests", "answer", "answers", "rows", "exception")
_LAST = ("traceback",)
_LONG, _NARROW, _WIDE = 4000, 20, 52
_FEW, _FIT = 2, 4


@dataclass(frozen=True, slots=True)
class Gallery:
    """The findings of one report."""

    report: Report
    titles: Mapping[str, str]
    mends: dict[str, Mended] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    """Which finding of the report it is: names anchors, whatever the ids are."""

    def render(self) -> Html:
        """Every place that has something proven."""
        shown = [part for place in places(self.report) if (part := self._place(place))]
        return el(
            "section", el("h2", "What was proven", id="proven-title"),
            *(shown or [el("p", "Nothing was proven." if self.report.booted else "Nothing was executed, so nothing is proven.", class_="empty")]),
            id="proven", aria_labelledby="proven-title",
        )

    def _place(self, place: str) -> Html:
        found = of_place(self.report.proven, place)
        if not found:
            return NOTHING
        groups: dict[str, list[Found]] = {}
        for each in found:
            groups.setdefault(each.break_id, []).append(each)
        title, about = places(self.report)[place]
        return el(
            "section", el("h3", title, " ", el("span", about, class_="about")), *(self._group(break_id, each) for break_id, each in groups.items()),
            id=f"place-{place}" if place.isalpha() else None, class_="place",
        )

    def _group(self, break_id: str, found: list[Found]) -> Html:
        title = self.titles.get(break_id, break_id)
        return join(
            el("h4", title, " ", el("code", break_id, class_="muted"), " ", el("span", severities(found) if len(found) > 1 else "", class_="muted")),
            *(self._alike(each) for each in by_cause(found)),
        )

    def _alike(self, found: list[Found]) -> Html:
        """Findings of one cause: the first, the others behind it."""
        first, *others = map(self._finding, found)
        if len(others) < _FEW:
            return join(first, *others)
        return join(first, el("details", el("summary", f"The same in {len(others)} more: {', '.join(_names(found[1:]))}"), *others, class_="alike"))

    def _finding(self, found: Found) -> Html:
        mended = self.mends.get(found.id)
        sign, word, kind = outcome(mended, written=self.report.written)
        where = found.route.id if found.route else found.location.file
        return el(
            "details",
            el(
                "summary",
                el("span", found.severity, class_=f"badge {found.severity}"),
                el("span", el("code", where, class_="route"), " ", el("span", found.message, class_="said"), class_="what"),
                el("span", el("span", sign, aria_hidden="true"), f" {word}", class_=f"chip {kind}") if word else "",
            ),
            el("div", self._where(found), *evidence(found.evidence), self._replay(found), self._repair(found, mended), class_="body"),
            id=f"finding-{self.numbers[found.id]}", class_="finding",
        )

    def _where(self, found: Found) -> Html:
        spot = found.location
        place = f"{spot.file}:{spot.line}" + (f" in {spot.function}" if spot.function else "") if spot.file else "a library's own code"
        return el(
            "p", "At ", el("code", place), *(f" · CWE-{number}" for number in found.cwe),
            class_="where",
        )

    @staticmethod
    def _replay(found: Found) -> Html:
        if not found.proof:
            return NOTHING
        return join(el("h5", "See it again"), el("pre", el("code", f"toughen replay {found.proof}"), class_="command"))

    def _repair(self, found: Found, mended: Mended | None) -> Html:
        if mended is None:
            offer = {"automatic": "`toughen fix` has a repair to try; it is kept only if it holds.", "brief": "No repair by code is safe here: `toughen fix` writes a brief.", "none": "No repair by code is known."}
            return join(el("h5", "Repair"), el("p", prose(offer[found.mend])))
        parts: list[object] = [el("h5", "Repair")]
        match mended.outcome:
            case "kept":
                parts += [el("p", prose(mended.summary)), el("p", prose(mended.note), class_="muted") if mended.note else "", diff(mended.diff) if mended.diff else el("p", "In ", el("code", ", ".join(mended.files)), ".")]
            case "gone":
                number = self.numbers.get(mended.by)
                parts.append(el("p", "The repair of ", el("a", mended.by, href=f"#finding-{number}") if number is not None else el("code", mended.by), " ends it as well."))
            case "rolled-back":
                parts += [el("p", prose(f"Tried and taken back at the step “{mended.step}”: {mended.reason}")), el("p", prose(mended.brief)) if mended.brief else "", el("p", "What was tried:", class_="muted") if mended.diff else "", diff(mended.diff)]
            case "unmended":
                parts += [el("p", prose(mended.reason)), el("p", prose(mended.brief)) if mended.brief else ""]
        return join(*parts)


def gallery(report: Report, titles: Mapping[str, str]) -> Gallery:
    """The findings of a report, ready to be drawn."""
    return Gallery(report, titles, {each.finding: each for each in report.mends}, {each.id: number for number, each in enumerate(report.findings, 1)})


def by_cause(findings: Sequence[Found]) -> list[list[Found]]:
    """Findings that end in the same exception, or say the same of several routes, together."""
    groups: dict[str, list[Found]] = {}
    for each in findings:
        groups.setdefault(str(each.evidence.get("exception") or each.message), []).append(each)
    return list(groups.values())


def _names(findings: Sequence[Found]) -> list[str]:
    names = list(dict.fromkeys(each.route.id if each.route else each.location.file for each in findings))
    return names if len(names) <= _FIT else [*names[:_FIT], "…"]


def evidence(facts: Mapping[str, Any]) -> list[Html]:
    """What was sent, answered and changed, and the picture of it."""
    story = facts.get("timeline")
    drawn = isinstance(story, dict) and bool(story.get("rows"))
    names = [*(each for each in _FIRST if each in facts), *(each for each in facts if each not in {*_FIRST, *_LAST, "timeline"} and not (drawn and each == "schedule"))]
    rows = [join(el("dt", name), el("dd", el("pre", cut(_spoken(facts[name]), _LONG)))) for name in names if facts[name] not in (None, "", [], {})]
    parts = [el("h5", "Evidence"), el("dl", *rows, class_="facts")] if rows else []
    if drawn:
        parts.append(_picture(story))
    parts += [
        el("details", el("summary", name.capitalize()), el("pre", cut(_spoken(facts[name]), _LONG), class_="long"), class_="more") for name in _LAST if facts.get(name)
    ]
    return parts


def _picture(story: Any) -> Html:  # noqa: ANN401 - whatever stands in the report
    try:
        story = _seen(story)
        wide, narrow = (Html(timeline.svg(story, width, styled=False)) for width in (_WIDE, _NARROW))
        told = "\n".join(timeline.lines(story, 40))
    except (ValueError, TypeError, KeyError, AttributeError):
        return el("pre", cut(_spoken(story), _LONG))
    return el(
        "figure",
        el("figcaption", "How it went, from top to bottom"),
        el("div", wide, class_="wide"), el("div", narrow, class_="narrow"),
        el("details", el("summary", "The same as text"), scrolling("Timeline as text", el("pre", told)), class_="more twice"),
        class_="timeline",
    )


def _seen(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _seen(each) for key, each in value.items()}
    return list(map(_seen, value)) if isinstance(value, list) else visible(value) if isinstance(value, str) else value


def _spoken(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(map(_spoken, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, indent=1)
    return "yes" if value is True else "no" if value is False else str(value)


def suspicions(report: Report, titles: Mapping[str, str]) -> Html:
    """What the source only looks like; apart, and never a reason to fail."""
    found = sorted(report.suspected, key=lambda each: (SEVERITIES.index(each.severity), each.break_id))
    if not found:
        return NOTHING
    return el(
        "section", el("h2", "Only suspected", id="suspected-title"),
        el("p", "Read off the source and not shown by any request. None of it counts against the verdict.", class_="lead"),
        el("ul", *(el("li", el("strong", titles.get(each.break_id, each.break_id)), " ", el("code", each.route.id if each.route else ""), el("br"), each.message, " ", el("code", f"{each.location.file}:{each.location.line}", class_="muted")) for each in found), class_="plain"),
        id="suspected", aria_labelledby="suspected-title",
    )


def unclear(report: Report, titles: Mapping[str, str]) -> Html:
    """What could not be decided, and why, alike reasons together."""
    if not report.inconclusive:
        return NOTHING
    groups: dict[tuple[str, str], list[str]] = {}
    for each in report.inconclusive:
        groups.setdefault((each.break_id, each.reason), []).append(each.route.id)
    return el(
        "section", el("h2", "Inconclusive", id="unclear-title"),
        el("p", f"{count(len(report.inconclusive), 'attempt')} said neither yes nor no. Nothing is skipped silently.", class_="lead"),
        el("ul", *(el("li", el("strong", titles.get(break_id, break_id)), ": ", prose(reason), " ", el("span", *_few(routes), class_="muted")) for (break_id, reason), routes in groups.items()), class_="plain"),
        id="inconclusive", aria_labelledby="unclear-title",
    )


def _few(routes: list[str]) -> list[object]:
    shown: list[object] = [join(el("code", each), " ") for each in routes[:6]]
    return [*shown, f"and {len(routes) - 6} more" if len(routes) > 6 else ""]  # noqa: PLR2004 - a line's width
