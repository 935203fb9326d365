"""Owns a unified diff as markup: a sign and a colour for each line, the file names as headings."""

from __future__ import annotations

from toughen.report.page.markup import Html, count, el, join

_MOST = 1200


def diff(unified: str) -> Html:
    """The diff of a patch, a file after the other."""
    files: list[tuple[str, list[Html], list[int]]] = []
    lines = unified.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at]
        if line.startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ "):
            old, new = line[4:].removeprefix("a/"), lines[at + 1][4:].removeprefix("b/")
            files.append((f"{new} (new)" if old == "/dev/null" else new, [], [0, 0]))
            at += 2
            continue
        if not files:
            files.append(("", [], [0, 0]))
        _, shown, changed = files[-1]
        kind = {"+": "plus", "-": "minus", "@": "at", "\\": "at"}.get(line[:1], "same")
        changed[0] += kind == "plus"
        changed[1] += kind == "minus"
        if len(shown) < _MOST:
            shown.append(el("span", line or " ", class_=kind))
        at += 1
    return join(*(_file(*each) for each in files))


def _file(name: str, shown: list[Html], changed: list[int]) -> Html:
    more = changed[0] + changed[1] > len(shown)
    return el(
        "figure",
        el("figcaption", el("code", name), " ", el("span", f"+{changed[0]} -{changed[1]} lines", class_="muted")),
        el("pre", el("code", *shown), class_="diff"),
        el("p", f"The first {count(len(shown), 'line')} only.", class_="muted") if more else "",
        class_="patch",
    )
