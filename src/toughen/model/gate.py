"""Owns what a gate says: faults, what is taken from the baseline, what is waived, and whether it held."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from toughen.model.source import Location


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that a gate holds against the project."""

    key: str
    """What stays the same when lines move: `main.py arg-type: total = price * count`."""
    message: str
    location: Location | None = None
    count: int = 1
    """How many of that key there are."""
    strict: bool = False
    """True for what is new or mended: no baseline takes it."""
    finding: str = ""
    """Id of the finding that it is, where it is one."""
    alike: tuple[str, ...] = ()
    """Keys by which a baseline knows it that was written before there was time to tell."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """Faults that somebody answers for until a day."""

    gate: str
    fault: str
    """A key, with `*` for any text in it."""
    reason: str
    owner: str
    expires: str
    """The last day on which it holds: `2026-03-31`."""


class State(StrEnum):
    """What became of a gate."""

    HELD = "held"
    FELL = "fell"
    UNCHECKED = "not checked"
    """It could not look: that is no yes."""
    PASSED_OVER = "passed over"
    """Nothing that it looks at has changed, or it was not asked for."""


@dataclass(frozen=True, slots=True)
class Gated:
    """What one gate says."""

    gate: str
    title: str
    state: State
    why: str
    """One sentence: what was looked at, or why it fell, or could not look."""
    hint: str = ""
    """What to do next, where it did not hold."""
    faults: tuple[Fault, ...] = ()
    """What it fell for."""
    known: tuple[Fault, ...] = ()
    """What the baseline has."""
    waived: tuple[tuple[Fault, Waiver], ...] = ()
    gone: int = 0
    """How many faults of the baseline are no longer there."""
    measured: dict[str, str] = field(default_factory=dict)
    """Evidence in numbers and releases: `tests: 14 passed`, `mypy: 1.18.2`."""
    seconds: float = 0.0

    @property
    def open(self) -> bool:
        """Whether CI must stop here."""
        return self.state in {State.FELL, State.UNCHECKED}
