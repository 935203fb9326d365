"""Waivers: somebody answers for a fault, with a reason, until a day."""

from __future__ import annotations

from datetime import date

import pytest

from toughen.errors import ConfigurationError
from toughen.model.gate import Fault, Waiver
from toughen.waivers import applied, demand_gates, waivers

TODAY = date(2026, 1, 15)
GOOD = {"gate": "lint", "fault": "main.py *", "reason": "goes with the old client", "owner": "ada@example.org", "expires": "2026-03-31"}


def told(*listed: object) -> list[str]:
    faults: list[str] = []
    waivers(list(listed), faults, TODAY)
    return faults


def test_read() -> None:
    """A waiver has a gate, a fault, a reason, an owner and a last day, which may be TOML's own date."""
    faults: list[str] = []
    found = waivers([GOOD, {**GOOD, "expires": date(2026, 2, 1)}], faults, TODAY)
    assert not faults
    assert [each.expires for each in found] == ["2026-03-31", "2026-02-01"]


@pytest.mark.parametrize(("change", "said"), [
    ({"reason": ""}, "waiver 1 says not its reason"),
    ({"owner": " "}, r"waiver 1 says not who answers for it \(owner\)"),
    ({"expires": "soon"}, "expires = 'soon' is no day: write it as 2026-12-31"),
    ({"expires": "2028-01-01"}, "a waiver holds for a year at most"),
    ({"reasn": "x"}, "no key 'reasn': did you mean 'reason'"),
])
def test_faults(change: dict[str, str], said: str) -> None:
    """What is missing, misspelt or without end is told, all of it at once."""
    import re

    assert any(re.search(said, each) for each in told({**GOOD, **change})), told({**GOOD, **change})


def test_shapes() -> None:
    """What is no list of tables is told."""
    faults: list[str] = []
    assert waivers({"gate": "lint"}, faults, TODAY) == ()
    assert faults == ["waivers must be an array of tables: [[tool.toughen.waivers]]"]
    assert told("x") == ["waiver 1 must be a table with gate, fault, reason, owner, expires"]


def test_gates() -> None:
    """A gate that there is not is told, with what was meant."""
    with pytest.raises(ConfigurationError, match="there is no gate 'lnt': did you mean 'lint'"):
        demand_gates([Waiver("lnt", "*", "r", "o", "2026-03-31")], ["lint", "types"])
    with pytest.raises(ConfigurationError, match="there are: lint, types"):
        demand_gates([Waiver("qqq", "*", "r", "o", "2026-03-31")], ["lint", "types"])
    demand_gates([Waiver("lint", "*", "r", "o", "2026-03-31")], ["lint", "types"])


def test_applied() -> None:
    """It covers what its pattern matches, of its gate, up to its last day; afterwards the fault is back, and whose it was is told."""
    faults = [Fault("main.py B: [a-z]", ""), Fault("other.py B: x", "")]
    valid, expired, others = Waiver("lint", "main.py *", "r", "o", "2026-01-15"), Waiver("lint", "main.py *", "r", "o", "2026-01-14"), Waiver("types", "*", "r", "o", "2027-01-01")
    left, covered, over = applied("lint", faults, [expired, valid, others], TODAY)
    assert left == faults[1:]
    assert covered == [(faults[0], valid)]
    assert over == []
    left, covered, over = applied("lint", faults, [expired], TODAY)
    assert left == faults
    assert not covered
    assert over == [expired]
    assert applied("lint", [Fault("a.c", "")], [Waiver("lint", "abc", "r", "o", "2027-01-01")], TODAY)[0], "a dot stands for itself"
