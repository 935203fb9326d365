"""Owns the history of runs on the page: a small picture of how many breaks were left, and the last runs as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.report.page.markup import Html, el, join, scrolling
from toughen.report.page.words import PLACES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.model.past import Past

_ROWS, _POINTS, _HIGH, _STEP, _PAD = 10, 30, 64, 22, 8


def history(runs: Sequence[Past]) -> Html:
    """The last runs, the newest first."""
    title = el("h2", "History of runs", id="history-title")
    if not runs:
        return el("section", title, el("p", "No run is remembered yet.", class_="empty"), id="history", aria_labelledby="history-title")
    numbers = ("Proven", "Left", *(title for title, _ in PLACES.values()), "Routes", "Seconds")
    head = el("tr", *(el("th", each, scope="col", class_="n" if each in numbers else None) for each in ("When (UTC)", "Run", *numbers, "Same breaks")))
    shown = list(runs)[-_ROWS:]
    rows = [_row(each, before) for each, before in zip(shown, [runs[-len(shown) - 1] if len(runs) > len(shown) else None, *shown], strict=False)]
    return el(
        "section", title, _trend(runs),
        scrolling("History of runs", el("table", el("caption", f"The last {len(rows)} of {len(runs)} runs that are remembered, the newest first" if len(runs) > 1 else "The first run"), el("thead", head), el("tbody", *reversed(rows)), class_="dense")),
        id="history", aria_labelledby="history-title",
    )


def _row(past: Past, before: Past | None) -> Html:
    verb = past.verb + (f" --only {','.join(past.only)}" if past.only else "")
    same = "—" if before is None or not past.booted or before.only != past.only else "yes" if before.findings == past.findings else "no"
    places = [el("td", str(sum(past.proven.get(place, {}).values())), class_="n") for place in PLACES]
    numbers = [str(past.breaks), str(past.left)] if past.booted else ["not executed", "—"]
    return el(
        "tr", el("th", past.at.replace("T", " ").removesuffix("Z"), scope="row"), el("td", el("code", verb)), *(el("td", each, class_="n") for each in numbers), *places,
        el("td", f"{past.reached}/{past.routes}", class_="n"), el("td", f"{past.seconds:.0f}", class_="n"), el("td", same),
    )


def _trend(runs: Sequence[Past]) -> Html:
    """Breaks that each whole run left, from left to right."""
    whole = [each for each in runs if each.booted and not each.only and each.verb != "audit"][-_POINTS:]
    if len(whole) < 2:  # noqa: PLR2004 - one point is no line
        return Html("")
    values = [each.left for each in whole]
    top = max(*values, 1)
    points = [(_PAD + number * _STEP, _PAD + (_HIGH - 2 * _PAD) * (1 - value / top)) for number, value in enumerate(values)]
    wide = 2 * _PAD + _STEP * (len(points) - 1) + 40
    said = f"Breaks left after the last {len(values)} whole runs: {', '.join(map(str, values))}"
    line = " ".join(f"{x},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x}" cy="{y:.1f}" r="3"/>' for x, y in points)
    x, y = points[-1]
    drawn = Html(f'<svg viewBox="0 0 {wide} {_HIGH}" width="{wide}" height="{_HIGH}" role="img" aria-label="{said}"><polyline points="{line}" fill="none"/>{dots}<text x="{x + 8}" y="{y + 4:.1f}">{values[-1]}</text></svg>')
    return el("figure", drawn, el("figcaption", join(f"{said}.")), class_="trend")
