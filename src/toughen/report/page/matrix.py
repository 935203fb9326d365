"""Owns the matrix of roles and endpoints as a table: a sign and a word in each cell, so that no colour is needed to read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.model.matrix import ANONYMOUS, INVALID, Access
from toughen.report.matrix import word
from toughen.report.page.markup import NOTHING, Html, count, el, join, scrolling

if TYPE_CHECKING:
    from toughen.model.matrix import Cell, Matrix

_SPOKEN = {"yes": "works", "own": "own only", "all": "all", "every": "all tenants", "-": "refused", "n/a": "untested", "": "not asked"}
_SIGNS = {"works": "✓", "own only": "✓", "all": "✓✓", "all tenants": "✓✓✓", "refused": "✕", "untested": "·", "not asked": ""}
_MOST = 400


def matrix(drawn: Matrix | None) -> Html:
    """The table, then what is missing and what waits for a decision, with reasons."""
    title = el("h2", "Who may call what", id="matrix-title")
    if drawn is None or not drawn.cells:
        return el("section", title, el("p", "Not measured in this run: ", el("code", "toughen audit"), " asks every route in the name of every kind of user.", class_="empty"), id="matrix", aria_labelledby="matrix-title")
    routes = sorted(dict.fromkeys(each.route for each in drawn.cells), key=lambda each: (each.partition(" ")[2], each))
    columns = [ANONYMOUS, *(["invalid"] if any(each.who in INVALID for each in drawn.cells) else []), *drawn.roles]
    by_route: dict[str, list[Cell]] = {}
    for each in drawn.cells:
        by_route.setdefault(each.route, []).append(each)
    head = el("thead", el("tr", el("th", "Route", scope="col"), *(el("th", _column(each), scope="col") for each in columns)))
    body = el("tbody", *(el("tr", el("th", el("code", route), scope="row"), *(_cell(tuple(by_route[route]), each) for each in columns)) for route in routes))
    counts = ", ".join(f"{drawn.count(access)} {access.value}" for access in Access)
    return el(
        "section", title,
        el("p", f"{count(len(drawn.cells), 'question')} asked: {counts}.", class_="lead"),
        scrolling("Matrix of roles and endpoints", el("table", el("caption", "What each kind of user can do with each route. ", _LEGEND), head, body, class_="matrix"), class_="scroll tall"),
        *(_open(drawn, access, said) for access, said in ((Access.MISSING, "Works and must not"), (Access.UNDECIDED, "Waiting for your yes or no"), (Access.UNTESTED, "Untested"))),
        id="matrix", aria_labelledby="matrix-title",
    )


_LEGEND = "✓ works (own only: his own objects); ✓✓ on objects of others too; ✓✓✓ on those of other tenants too; ✕ refused; ! works and must not; ? nobody has decided."


def _column(name: str) -> Html:
    return join("nobody", el("span", "no credential", class_="under")) if name == ANONYMOUS else join("a fake", el("span", "bad credential", class_="under")) if name == "invalid" else el("span", name)


def _cell(cells: tuple[Cell, ...], column: str) -> Html:
    said = word(cells, column)
    base = _SPOKEN.get(said.rstrip("!?"), said)
    sign = _SIGNS.get(base, "")
    if "!" in said:
        return el("td", el("span", "! ", aria_hidden="true"), el("strong", base), el("span", " must not", class_="under"), class_="missing")
    if "?" in said:
        return el("td", el("span", "? ", aria_hidden="true"), base, el("span", " undecided", class_="under"), class_="undecided")
    return el("td", el("span", f"{sign} " if sign else "", aria_hidden="true"), base, class_={"refused": "refused", "untested": "untested", "not asked": "untested"}.get(base, "works"))


def _open(drawn: Matrix, access: Access, title: str) -> Html:
    groups: dict[tuple[str, str], list[str]] = {}
    for each in drawn.cells:
        if each.access is access:
            groups.setdefault((each.route, each.reason), []).append(each.subject)
    if not groups:
        return NOTHING
    shown = [el("li", el("code", route), f" by {', '.join(who)}: {reason}") for (route, reason), who in list(groups.items())[:_MOST]]
    if len(groups) > _MOST:
        shown.append(el("li", f"and {len(groups) - _MOST} more: see the JSON report"))
    return el("details", el("summary", f"{title} ({sum(map(len, groups.values()))})"), el("ul", *shown, class_="plain"), class_="more", open=access is Access.MISSING)
