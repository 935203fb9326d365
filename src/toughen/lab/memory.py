"""Owns what a boot remembers of the trials from one snapshot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.lab.auditing import Auditor
    from toughen.lab.rehearsing import Rehearsing
    from toughen.model.trace import Trace

_REMEMBERED = 256


@dataclass(slots=True)
class Memory:
    """What trials from one snapshot have shown to one boot."""

    own: dict[str, Trace] = field(default_factory=dict)
    """Traces of trials, each in processes of its own."""
    shared: dict[str, Trace] = field(default_factory=dict)
    """Traces of serial trials, in a process that others had used."""
    shown: list[str] = field(default_factory=list)
    """Keys of what the last shared process showed."""
    honest: dict[str, Trace] = field(default_factory=dict)
    """Traces of the Journeys, by route."""
    habits: frozenset[str] | None = None
    owners: dict[tuple[str, str], str | None] = field(default_factory=dict)
    """(table, people's table) -> the column that names whose of them a row is."""
    refuses: dict[str, bool] = field(default_factory=dict)
    together: bool = False
    """True where some honest requests build on what earlier ones left in the memory of their process."""
    texts: Mapping[str, str] | None = None
    auditor: Auditor | None = None
    """Who is asked about the packages that are installed."""
    rehearsing: Rehearsing | None = None
    """Who runs the prototype's own tests: one for all boots."""
    loaded: dict[str, frozenset[str]] = field(default_factory=dict)
    """Names of the packages that the processes of Journeys had loaded, by route."""

    def known(self, key: str, *, shared: bool) -> Trace | None:
        """The trace of a trial, where it is remembered; what a shared process showed only to who would share one."""
        return self.own.get(key) or (self.shared.get(key) if shared else None)

    def keep(self, key: str, trace: Trace, *, shared: bool) -> None:
        """Remember a trace, for the oldest one there is no more room for; "" is nobody's key."""
        if not key:
            return
        traces = self.shared if shared else self.own
        for oldest in list(traces)[: max(0, len(traces) + 1 - _REMEMBERED)]:
            traces.pop(oldest)
        traces[key] = trace
        if shared:
            self.shown.append(key)

    def doubt(self) -> None:
        """Forget what the last shared process showed."""
        for key in self.shown:
            self.shared.pop(key, None)

    def forget(self) -> None:
        """Forget all traces of trials."""
        self.own.clear()
        self.shared.clear()
