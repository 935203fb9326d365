"""Owns the HTML report: one page that needs nothing but itself, and that nothing in it can make do anything."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from toughen.report import stored
from toughen.report.page import coverage, findings, gates, history, matrix, overview
from toughen.report.page.markup import Html, el, join
from toughen.report.page.words import headline

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toughen.model.past import Past
    from toughen.model.verdict import Verdict
    from toughen.report.stored import Report


def render(verdict: Verdict, version: str) -> str:
    """The page of a Verdict."""
    return page(stored.of(verdict, version), {each.id: each.title for each in verdict.breaks}, verdict.history)


def page(report: Report, titles: Mapping[str, str] | None = None, runs: Sequence[Past] = ()) -> str:
    """The page of a report; `titles` gives each break a plain name, `runs` is the history, the oldest first."""
    titles = titles or {}
    parts = [
        overview.cards(report), gates.gates(report), findings.gallery(report, titles).render(), findings.suspicions(report, titles), findings.unclear(report, titles),
        matrix.matrix(stored.matrix_of(report)), coverage.coverage(report), coverage.notes(report), history.history(runs),
    ]
    names = {
        "places": "Where it breaks", "gates": "Gates", "proven": "Proven", "suspected": "Suspected", "inconclusive": "Inconclusive", "matrix": "Who may call what", "coverage": "Tested and not",
        "notes": "Notes", "history": "History",
    }
    return document(f"{report.prototype.name}: toughen report", overview.masthead(report, *headline(report)), parts, {name: title for name, title in names.items() if any(f' id="{name}"' in each for each in parts)}, report)


def document(title: str, head: Html, parts: Sequence[Html], contents: Mapping[str, str], report: Report) -> str:
    """A whole page around its parts."""
    style = _style()
    # Nothing is fetched and nothing runs; the one style is known by its hash, so that no text can bring another.
    policy = f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'; img-src data:; base-uri 'none'; form-action 'none'"
    return join(
        Html("<!doctype html>\n"),
        el(
            "html",
            el(
                "head", el("meta", charset="utf-8"), Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
                el("meta", name="viewport", content="width=device-width, initial-scale=1"), el("meta", name="referrer", content="no-referrer"),
                el("meta", name="generator", content=f"toughen {report.toughen}"), el("title", title), el("link", rel="icon", href="data:,"), Html(f"<style>{style}</style>"),
            ),
            "\n",
            el(
                "body", el("a", "Skip to the report", href="#main", class_="skip"), "\n", head, "\n",
                el("nav", el("ul", *(el("li", el("a", word, href=f"#{name}")) for name, word in contents.items())), aria_label="Contents"), "\n",
                el("main", *(join(each, "\n") for each in parts), id="main"),
                el("footer", el("p", f"Made by toughen {report.toughen} from its own JSON report. A break is proven only when it was executed twice, from a clean snapshot, after an honest request had passed.")), "\n",
            ),
            lang="en",
        ),
        "\n",
    )


@cache
def _style() -> str:
    return resources.files("toughen.report.page").joinpath("page.css").read_text(encoding="utf-8")
