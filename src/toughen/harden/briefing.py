"""Owns what is said of a mend that was tried and taken back: why, what stands against it, and what must hold for whoever does it by hand."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.model.patch import RolledBack, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.patch import MendOutcome, Patch
    from toughen.rule import Rule

_STEPS = ("parse", "idempotence", "environment", "boot", "proof", "control", "journeys", "tests")
"""The order of trust: what failed later got further."""
_ADVICE = {
    "environment": "The packages that the patch asks for cannot be had together with the others: choose releases that can.",
    "boot": "With the patch in `diff` the application does not start: find what it needs when it is imported.",
    "proof": "The patch in `diff` leaves the break open: follow the request of the proof to the place that this patch does not reach.",
    "control": "The patch in `diff` turns honest clients away as well: the proof's control must pass as before.",
    "journeys": "The patch in `diff` ends the break and changes what honest clients get: keep their answers and rows as the reason names them.",
    "tests": (
        "The patch in `diff` ends the break, and honest clients get what they got: only these tests stand against it. "
        "Where one of them asserts the break itself, change it together with the code; where it does not, keep what it asserts."
    ),
}
_TEST = re.compile(r"(^|/)(tests?/|test_|conftest)")
_REPLACES = re.compile(r"patch|setattr|dependency_overrides|Mock\(|monkeypatch")
_SHOWN = 3
_NEAR = 2


def further(one: MendOutcome, other: RolledBack) -> RolledBack:
    """That of two mends which got further in the order of trust; the later one where both ended at the same step."""
    if isinstance(one, RolledBack) and _STEPS.index(one.step) > _STEPS.index(other.step):
        return one
    return other


def briefed(outcome: MendOutcome, rule: Rule, brief: str, texts: Mapping[str, str]) -> MendOutcome:
    """The outcome with a brief where its patch was taken back: the step's advice, what must hold, and stand-ins that the tests use."""
    if not isinstance(outcome, RolledBack):
        return outcome
    said = [_ADVICE.get(outcome.step, ""), *(_stand_ins(outcome.patch, texts) if outcome.step == "tests" else ()), brief or _instead(rule)]
    return replace(outcome, brief=" ".join(each for each in said if each))


def asked(rule: Rule, finding: Finding, blueprint: Blueprint, texts: Mapping[str, str]) -> Unmended:
    """What somebody must know who mends this finding by hand: why code does not, and what must hold afterwards."""
    offer = next((each for each in rule.mend(finding, blueprint, texts) if isinstance(each, Unmended)), Unmended("no repair is known for this shape of code"))
    return replace(offer, brief=offer.brief or _instead(rule))


def _instead(rule: Rule) -> str:
    """What the rule's page advises."""
    found = re.search(r"Instead: (.+?)(?:\n\s*\n|\Z)", inspect.getdoc(rule) or "", re.DOTALL)
    return f"What must hold: {' '.join(found.group(1).split())}" if found else ""


def _stand_ins(patch: Patch, texts: Mapping[str, str]) -> Iterator[str]:
    """Where tests put something of their own in the place of a function whose call the patch changes."""
    called: set[str] = set()
    for change in patch.changes:
        before = set(change.before.splitlines())
        lines = "\n".join(line for line in change.after.splitlines() if line not in before)
        called |= {name for name in re.findall(r"\b([A-Za-z_]\w*)\(", lines) if len(name) > _SHOWN}
    found: list[str] = []
    for file, text in texts.items():
        if _TEST.search(file):
            found += [f"{file}:{line} puts something of its own in the place of {name}" for name, line in _replaced(text, called)]
    if found:
        yield f"{'; '.join(found[:_SHOWN])}: look at whether that reads values out of what it is given in the old form."


def _replaced(text: str, names: set[str]) -> Iterator[tuple[str, int]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    lines = text.splitlines()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.rpartition(".")[2] in names:
            near = "\n".join(lines[max(node.lineno - 1 - _NEAR, 0) : node.lineno])
            if _REPLACES.search(near):
                yield node.value.rpartition(".")[2], node.lineno
