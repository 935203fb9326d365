"""Owns the formats: what each name on the command line renders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.report import gates, html, json, junit, markdown, matrix, sarif, text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toughen.model.verdict import Verdict

    Renderer = Callable[[Verdict, str], str]


def _text(verdict: Verdict, version: str) -> str:
    return text.render(verdict, version, _titles(verdict), matrix.counted(verdict.matrix) if verdict.matrix is not None else "")


def _audit(verdict: Verdict, version: str) -> str:
    """The matrix whole behind the breaks."""
    return text.render(verdict, version, _titles(verdict)) + ("\n" + matrix.render(verdict.matrix) if verdict.matrix is not None else "")


def _titles(verdict: Verdict) -> dict[str, str]:
    return {each.id: each.title for each in verdict.breaks}


FORMATS: Mapping[str, Renderer] = {"text": _text, "json": json.render, "sarif": sarif.render, "junit": junit.render, "markdown": markdown.render, "html": html.render}
"""name -> (verdict, version of toughen) -> text with a final newline."""
AUDITS: Mapping[str, Renderer] = {**FORMATS, "text": _audit}
"""The same for a run whose subject is the matrix."""

GATES: Mapping[str, Renderer] = {**FORMATS, "text": gates.render}
"""The same for a run of the gates."""


def listed() -> str:
    """`text, json or ...`, for help and refusals."""
    *others, last = FORMATS
    return f"{', '.join(others)} or {last}"
