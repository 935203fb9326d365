"""Owns what is told of a way to break, whoever tells it: its names, its numbers and its page."""

from __future__ import annotations

from dataclasses import dataclass

from toughen.model.finding import Severity


@dataclass(frozen=True, slots=True)
class Break:
    """One way to break, as its rule describes it."""

    id: str
    """`race/lost-update`."""
    title: str
    """The defect in a few plain words, for a founder."""
    severity: Severity
    cwe: tuple[int, ...] = ()
    owasp: str = ""
    """OWASP API Top 10 2023 entry (`API1:2023`)."""
    asvs: str = ""
    """ASVS 5.0 requirement."""
    page: str = ""
    """What breaks, who pays, an example, what to do instead; paragraphs without indentation."""

    @property
    def place(self) -> str:
        """`race`."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Tried:
    """One Break that was looked for on one route by execution."""

    break_id: str
    route: str
    refuted: bool
    """True where an honest request passed and every hostile one was turned away."""
    seconds: float = 0.0
