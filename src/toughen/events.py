"""Owns what a run tells its listeners while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from toughen.model.finding import Finding  # noqa: TC001 - listeners may ask for the hints of these classes


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage began."""

    name: str
    """survey, environment, boot, explore, prove, mend."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """Something happened within a stage."""

    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A break was proven."""

    finding: Finding
    seconds: float
    """Since the run began."""


Event = Stage | Step | Found
Listener = Callable[[Event], None]


def silent(_: Event) -> None:
    """A listener that says nothing."""
