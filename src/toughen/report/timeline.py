"""Owns the picture of a timeline: one column a request, time runs down; as text for terminals and as SVG for pages."""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WIDE, _GAP = 52, 3
_MARKS = {"stop": "· ", "wait": "… ", "kill": "✗ ", "answer": "= "}
_HIGH, _PAD, _CHARACTER = 18, 12, 6.6


def lines(story: Mapping[str, Any], width: int = _WIDE) -> Iterator[str]:
    """The picture in text; each column `width` characters."""
    columns = [str(each) for each in _listed(story, "columns")][:3]
    rows = [each for each in _listed(story, "rows") if isinstance(each, dict)]
    names = "ABC"[: len(columns)]
    if not columns:
        return
    yield _side_by_side([[f"{name}  {title}"[:width]] for name, title in zip(names, columns, strict=True)], width)[0]
    yield _side_by_side([["-" * width] for _ in columns], width)[0]
    for row in rows:
        who, text = str(row.get("who")), _MARKS.get(str(row.get("kind")), "  ") + str(row.get("text"))
        cells = [textwrap.wrap(text, width, subsequent_indent="    ") if name == who else [] for name in names]
        yield from _side_by_side(cells, width)
    for title, key in (("ends with", "ends"), ("one after the other", "in turn")):
        for number, each in enumerate(_listed(story, key)):
            yield f"{title if not number else '':<20} {each}"


def _listed(story: Mapping[str, Any], name: str) -> list[Any]:
    """A part of a story that may come from a file that anybody wrote."""
    part = story.get(name)
    return list(part) if isinstance(part, list | tuple) else []


def _side_by_side(cells: list[list[str]], width: int) -> list[str]:
    deepest = max((len(each) for each in cells), default=0)
    return [(" " * _GAP).join(f"{each[at] if at < len(each) else '':<{width}}" for each in cells).rstrip() for at in range(deepest)]


STYLE = (
    "text{fill:currentColor;white-space:pre}line{stroke:currentColor;opacity:.3}circle{fill:currentColor}circle.stop,circle.wait{fill:none;stroke:currentColor}"
    "circle.kill{fill:#c0392b}.head,.answer{font-weight:bold}.stop,.wait{font-style:italic;opacity:.75}text.kill,.ends{fill:#c0392b}"
)


def svg(story: Mapping[str, Any], width: int = _WIDE, *, styled: bool = True) -> str:
    """The same picture as an SVG that takes its colours from the page around it (`currentColor`); not `styled` leaves the rest to the page's style as well."""
    columns = [str(each) for each in _listed(story, "columns")][:3]
    step = (width + _GAP) * _CHARACTER
    parts: list[str] = []
    y = _PAD + _HIGH
    for at, (name, title) in enumerate(zip("ABC", columns, strict=False)):
        parts.append(_said(_PAD + at * step, y, f"{name}  {title}"[:width], "head"))
    top = y = y + _HIGH
    for row in (each for each in _listed(story, "rows") if isinstance(each, dict)):
        at = "ABC".find(str(row.get("who")))
        kind = str(row.get("kind"))
        x = _PAD + max(at, 0) * step
        for number, each in enumerate(textwrap.wrap(str(row.get("text")), width - 3)):
            if not number:
                parts.append(f'<circle class="{escape(kind)}" cx="{x + 3:.0f}" cy="{y - 4}" r="3.5"/>')
            parts.append(_said(x + 14, y, each, kind))
            y += _HIGH
    for at in range(len(columns)):
        parts.insert(0, f'<line x1="{_PAD + at * step + 3:.0f}" y1="{top - _HIGH + 4}" x2="{_PAD + at * step + 3:.0f}" y2="{y - _HIGH + 2}"/>')
    for title, key in (("ends with", "ends"), ("one after the other", "in turn")):
        for each in _ends(title, [str(one) for one in _listed(story, key)], int(step * max(1, len(columns)) / _CHARACTER)):
            parts.append(_said(_PAD, y + 6, each, key.replace(" ", "-")))
            y += _HIGH
    wide = _PAD * 2 + step * max(1, len(columns))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {y + _PAD}" role="img" aria-label="timeline" font-family="ui-monospace, monospace" font-size="11">'
        f"{f'<style>{STYLE}</style>' if styled else ''}{''.join(parts)}</svg>"
    )


def _ends(title: str, lines: list[str], room: int) -> Iterator[str]:
    """How the rows end, beside the title where there is room, else below it."""
    if all(len(each) + 21 <= room for each in lines):
        yield from (f"{title if not number else '':<20} {each}" for number, each in enumerate(lines))
        return
    yield f"{title}:"
    for each in lines:
        yield from (f"  {line}" for line in textwrap.wrap(each, max(10, room - 2)))


def _said(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{escape(kind)}" x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'
