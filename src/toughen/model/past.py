"""Owns what is remembered of a run when it is over: one line of the history."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Past:
    """A run of the past, in numbers."""

    at: str
    """When it ended, UTC: `2026-01-31T12:00:00Z`."""
    toughen: str
    verb: str
    """check, fix, fix --dry-run or audit."""
    decision: str
    only: tuple[str, ...] = ()
    """What it was narrowed to; runs of different widths are not compared."""
    proven: dict[str, dict[str, int]] = field(default_factory=dict)
    """How many breaks were proven, by place and severity."""
    mended: int = 0
    """How many of them the run itself ended, in the user's files."""
    routes: int = 0
    reached: int = 0
    seconds: float = 0.0
    booted: bool = True
    findings: str = ""
    """Hash of the ids of what is proven and not mended: two runs with the same one left the same breaks."""

    @property
    def breaks(self) -> int:
        """How many were proven."""
        return sum(sum(each.values()) for each in self.proven.values())

    @property
    def left(self) -> int:
        """How many are left when it is over."""
        return max(0, self.breaks - self.mended)
