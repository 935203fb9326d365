"""Owns `[[tool.toughen.waivers]]`: faults that somebody answers for until a day; every fault of theirs is told with its place and with what may have been meant."""

from __future__ import annotations

import difflib
import re
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from toughen.errors import ConfigurationError
from toughen.model.gate import Waiver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toughen.model.gate import Fault

_KEYS: Final = ("gate", "fault", "reason", "owner", "expires")
_LONGEST: Final = 366
"""Days that a waiver may still have before it: what nobody looks at for longer is forgotten."""
UNCHECKED: Final = "not checked"
"""The fault of a gate that could not look."""


def waivers(listed: object, faults: list[str], today: date) -> tuple[Waiver, ...]:
    """The waivers of a project; what is wrong with them goes to `faults`."""
    if not isinstance(listed, list):
        faults.append("waivers must be an array of tables: [[tool.toughen.waivers]]")
        return ()
    found = []
    for number, each in enumerate(listed, 1):
        before = len(faults)
        if not isinstance(each, dict):
            faults.append(f"waiver {number} must be a table with {', '.join(_KEYS)}")
            continue
        _checked(f"waiver {number}", each, faults, today)
        if len(faults) == before:
            found.append(Waiver(*(str(each[key]) for key in _KEYS)))
    return tuple(found)


def _checked(here: str, table: dict[str, Any], faults: list[str], today: date) -> None:
    for key in table:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            faults.append(f"{here} has no key {key!r}" + (f": did you mean {near[0]!r}?" if near else f" (there are: {', '.join(_KEYS)})"))
    faults += [f"{here} says not {'who answers for it (owner)' if key == 'owner' else f'its {key}'}" for key in _KEYS if not str(table.get(key, "")).strip()]
    told = table.get("expires")
    if told and (day := _day(told)) is None:
        faults.append(f"{here}: expires = {told!r} is no day: write it as 2026-12-31")
    elif told and day is not None and (day - today).days > _LONGEST:
        faults.append(f"{here}: expires = {day}: a waiver holds for a year at most")


def demand_gates(known: Sequence[Waiver], gates: Sequence[str]) -> None:
    """Raises ConfigurationError where a waiver names a gate that there is not."""
    for number, each in enumerate(known, 1):
        if each.gate not in gates:
            near = difflib.get_close_matches(each.gate, gates, n=1)
            raise ConfigurationError(f"waiver {number}: there is no gate {each.gate!r}" + (f": did you mean {near[0]!r}?" if near else f" (there are: {', '.join(gates)})"), subject=each)


def _day(told: object) -> date | None:
    if isinstance(told, date):
        return told
    try:
        return date.fromisoformat(str(told))
    except ValueError:
        return None


def applied(gate: str, faults: Sequence[Fault], known: Sequence[Waiver], today: date) -> tuple[list[Fault], list[tuple[Fault, Waiver]], list[Waiver]]:
    """(what nobody answers for, what somebody does, waivers that have expired and would have covered something)."""
    left: list[Fault] = []
    covered: list[tuple[Fault, Waiver]] = []
    over: dict[Waiver, None] = {}
    own = [each for each in known if each.gate == gate]
    for fault in faults:
        matching = [each for each in own if _matches(each.fault, fault.key)]
        valid = next((each for each in matching if date.fromisoformat(each.expires) >= today), None)
        if valid is not None:
            covered.append((fault, valid))
        else:
            left.append(fault)
            over |= dict.fromkeys(matching)
    return left, covered, list(over)


def _matches(pattern: str, key: str) -> bool:
    """`*` stands for any text, everything else for itself."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), key, re.DOTALL) is not None
