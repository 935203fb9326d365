"""Gates held: the baseline and the waivers against what each says."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from toughen.errors import LabError
from toughen.gatekeeping import Changes, CouldNot, Faults, Gate, Looked, Site, Untouched
from toughen.gating import hold
from toughen.gating.baseline import Baseline
from toughen.gating.hold import Holding
from toughen.gating.yard import Yard
from toughen.model.blueprint import Blueprint
from toughen.model.gate import Fault, State, Waiver
from toughen.model.source import Location
from toughen.model.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

TODAY = date(2026, 1, 15)


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Holding]:
    """One gate, `types`, that says what it is told to."""

    def make(said: Looked | LabError, *, baseline: Baseline | None = None, waivers: tuple[Waiver, ...] = (), changed: Changes | None = None) -> Holding:
        class Told(Gate):
            id = "types"
            title = "Types hold"

            def look(self, site: Site) -> Looked:
                if isinstance(said, LabError):
                    raise said
                return said

        monkeypatch.setattr(hold, "load", lambda: (Told(),))
        yard = Yard(Path("/nowhere"), {}, Verdict(Blueprint("shop", "flask", None, ()), "ready", ""), None, changed, None, list)
        return Holding(yard, baseline, waivers, today=TODAY)

    return make


FAULT = Fault("main.py x", "bad", Location("main.py", 3), finding="input/crash@GET /")


def only(held: Any) -> Any:
    return held.verdict.gates[0]


def test_states(holding: Callable[..., Holding]) -> None:
    """Held without a fault, fallen with one, not checked where it cannot look or the lab is lost, passed over where nothing changed."""
    assert only(holding(Faults()).run()).state is State.HELD
    assert only(holding(Faults([FAULT])).run()).state is State.FELL
    assert only(holding(CouldNot("no mypy", "install it")).run()).hint == "install it"
    lost = only(holding(LabError("the lab is gone", hint="again")).run())
    assert (lost.state, lost.why, lost.open) == (State.UNCHECKED, "the lab is gone", True)
    passed = only(holding(Untouched("nothing changed")).run())
    assert (passed.state, passed.open) == (State.PASSED_OVER, False)


def test_baseline(holding: Callable[..., Holding]) -> None:
    """What the baseline has is known, and its findings stop nobody; a gate `baseline` stands behind the others."""
    held = holding(Faults([FAULT, replace(FAULT, key="new", finding="")]), baseline=Baseline("", {"types": {"main.py x": 1, "gone": 2}})).run()
    told = only(held)
    assert ([each.key for each in told.faults], [each.key for each in told.known], told.gone) == (["new"], ["main.py x"], 2)
    assert held.verdict.waived == (("input/crash@GET /", "known when the gate was taken up (toughen-baseline.json)"),)
    assert [each.gate for each in held.verdict.gates] == ["types", "baseline"]
    assert held.verdict.gates[1].state is State.HELD
    assert [each.gate for each in holding(Faults(), baseline=Baseline()).run(("types",)).verdict.gates] == ["types"]


def test_waivers(holding: Callable[..., Holding]) -> None:
    """Who answers for a fault holds the gate until the last day, and is told by name afterwards; also for a gate that cannot look."""
    valid = Waiver("types", "main.py *", "old client", "ada", "2026-01-15")
    held = holding(Faults([FAULT]), waivers=(valid,)).run()
    assert only(held).state is State.HELD
    assert held.verdict.waived == (("input/crash@GET /", "ada, until 2026-01-15: old client"),)
    over = only(holding(Faults([FAULT]), waivers=(replace(valid, expires="2026-01-14"),)).run())
    assert (over.state, over.hint) == (State.FELL, "the waiver for 'main.py *' of ada expired on 2026-01-14")
    assert only(holding(CouldNot("no network"), waivers=(replace(valid, fault="not checked"),)).run()).state is State.HELD


def test_changed(holding: Callable[..., Holding]) -> None:
    """Without a baseline a change answers for its own files; what is gone is no matter of a change."""
    changed = Changes("HEAD", {"other.py": frozenset({1})})
    assert only(holding(Faults([FAULT]), changed=changed).run()).state is State.HELD
    assert only(holding(Faults([replace(FAULT, location=None)]), changed=changed).run()).state is State.FELL
    assert only(holding(Faults(), baseline=Baseline("", {"types": {"gone": 2}}), changed=changed).run()).gone == 0
