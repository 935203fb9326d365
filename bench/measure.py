"""Owns what a measurement is: a figure, its bound, the line that tells both, and how two things are timed fairly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and what it should be."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    beside: str = ""
    """What else was seen, in words; it decides nothing."""

    @property
    def kept(self) -> bool:
        """Whether the bound holds; a figure without one always does."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def line(self) -> str:
        """`ok    serving, Flask + sqlite3    1.32 x    at most 1.4 x    (...)`."""
        bound = ""
        if self.at_most is not None:
            bound = f"at most {_told(self.at_most)} {self.unit}"
        elif self.at_least is not None:
            bound = f"at least {_told(self.at_least)} {self.unit}"
        verdict = ("ok" if self.kept else "MISSED") if bound else ""
        beside = f"  ({self.beside})" if self.beside else ""
        return f"{verdict:7}{self.name:46}{_told(self.value):>10} {self.unit:15}{bound:27}{beside}".rstrip()


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"  # noqa: PLR2004


def fastest(rounds: int, *ways: Callable[[], float]) -> list[float]:
    """The least that each way cost, in turns: what else the machine does then hits all of them alike.

    The minimum is taken because other processes only ever add (Chen and Revels, arXiv:1608.04295).
    """
    costs = [[way() for way in ways] for _ in range(rounds + 1)]
    # The first round warms up.
    return [min(column) for column in zip(*costs[1:], strict=True)]
