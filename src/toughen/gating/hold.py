"""Owns the holding of gates: each looks, the baseline and the waivers are held against what it says, and each ends held, fallen, not checked or passed over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from toughen.errors import LabError
from toughen.events import Stage, silent
from toughen.gatekeeping import CouldNot, Untouched
from toughen.gates import load
from toughen.gating import baseline as baselines
from toughen.model.gate import Fault, Gated, State
from toughen.waivers import UNCHECKED, applied, demand_gates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from toughen.events import Listener
    from toughen.gatekeeping import Faults, Gate
    from toughen.gating.baseline import Baseline
    from toughen.gating.yard import Yard
    from toughen.model.finding import Finding, Outcome
    from toughen.model.gate import Waiver
    from toughen.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Held:
    """What a run of the gates ends with."""

    verdict: Verdict
    found: Mapping[str, Sequence[Fault]]
    """Gate -> all that it holds against the project, for a baseline."""
    replayed: Sequence[tuple[Finding, Outcome]] = ()
    """Stored proofs that were executed again."""


@dataclass(slots=True)
class Holding:
    """The gates of one run."""

    yard: Yard
    baseline: Baseline | None
    waivers: Sequence[Waiver]
    before: str = ""
    """The commit whose baseline this one must not exceed."""
    tell: Listener = silent
    today: date = field(default_factory=lambda: datetime.now(UTC).date())
    _found: dict[str, Sequence[Fault]] = field(default_factory=dict)

    def run(self, only: Collection[str] = ()) -> Held:
        """The Verdict with what every gate says, or `only` these."""
        demand_gates(self.waivers, [*(gate.id for gate in load()), "baseline"])
        told = [self._gate(gate) for gate in load() if not only or gate.id in only]
        whole = (*told, *([self._lowered()] if self.baseline is not None and not only else []))
        replayed = self.yard.replayed() if self.yard.booted and (not only or "proofs" in only) else ()
        return Held(replace(self.yard.verdict, gates=whole, waived=tuple(_let_through(told))), self._found, replayed)

    def _gate(self, gate: Gate) -> Gated:
        began = time.monotonic()
        self.tell(Stage("gate", gate.id))
        try:
            said = gate.look(self.yard)
        except LabError as error:
            said = CouldNot(error.message, error.hint)
        seconds = time.monotonic() - began
        match said:
            case Untouched(reason):
                return Gated(gate.id, gate.title, State.PASSED_OVER, reason, seconds=seconds)
            case CouldNot(reason, hint):
                return self._unchecked(gate, reason, hint, seconds)
        return self._judged(gate, said, seconds)

    def _unchecked(self, gate: Gate, reason: str, hint: str, seconds: float) -> Gated:
        left, waived, _ = applied(gate.id, [Fault(UNCHECKED, reason)], self.waivers, self.today)
        return Gated(gate.id, gate.title, State.UNCHECKED if left else State.HELD, reason, hint, waived=tuple(waived), seconds=seconds)

    def _judged(self, gate: Gate, said: Faults, seconds: float) -> Gated:
        self._found[gate.id] = (*said.faults, *said.doubtful)
        new, known, gone = (list(said.faults), [], 0) if self.baseline is None else self.baseline.split(gate.id, said.faults, said.doubtful)
        if self.baseline is None and self.yard.changed is not None:
            # Without a baseline, a change answers for the files that it touches.
            new = [each for each in new if each.location is None or each.location.file in self.yard.changed.files]
        left, waived, over = applied(gate.id, new, self.waivers, self.today)
        hint = "; ".join(f"the waiver for {each.fault!r} of {each.owner} expired on {each.expires}" for each in over)
        state = State.FELL if left else State.HELD
        return Gated(gate.id, gate.title, state, said.why, hint, tuple(left), tuple(known), tuple(waived), gone if self.yard.changed is None else 0, dict(said.measured), seconds)

    def _lowered(self) -> Gated:
        """Whether the baseline let through less before."""
        assert self.baseline is not None
        title = "The baseline only falls"
        risen = baselines.risen(self.yard.root, self.baseline, self.before)
        left, waived, _ = applied("baseline", risen, self.waivers, self.today)
        why = f"held against {self.before[:12]}" if self.before else "there is no earlier one to hold it against"
        return Gated("baseline", title, State.FELL if left else State.HELD, why, faults=tuple(left), waived=tuple(waived))


def _let_through(gates: Sequence[Gated]) -> Iterator[tuple[str, str]]:
    """(finding, why it stops nobody) of findings that the baseline has, or that somebody answers for."""
    for gate in gates:
        yield from ((each.finding, f"known when the gate was taken up ({baselines.FILE})") for each in gate.known if each.finding)
        yield from ((each.finding, f"{waiver.owner}, until {waiver.expires}: {waiver.reason}") for each, waiver in gate.waived if each.finding)
