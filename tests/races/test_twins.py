"""Twins that differ in a repair alone: the buggy one is flagged and the fixed one is not, in every run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen.model.finding import Proven, Refuted
from toughen.rules import named

from .twins import EXPECTED, STACKS, Twin, twin

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from toughen.lab.target import LabTarget
    from toughen.model.finding import Outcome, Proof

    from .conftest import Opened
    from .dialects import Stack

RUNS = 20
_FIRST = {
    "fastapi, sqlite3": ("withdraw", "charge"),
    "flask, flask-sqlalchemy, sqlite3": ("buy",),
    "fastapi, asyncpg": ("withdraw", "sign_up"),
    "flask, pymysql": ("withdraw", "charge"),
    "fastapi, sqlalchemy, pymysql": ("buy",),
    "django, sqlite3": ("withdraw",),
}
"""Stacks and handlers that every run of the tests races, once."""


def _cells() -> list[ParameterSet]:
    named_so = {each.name: each for each in STACKS}
    cells = [(named_so[name], handlers, 1) for name, handlers in _FIRST.items()] + [(each, tuple(EXPECTED), RUNS) for each in STACKS]
    return [
        pytest.param(stack, handlers, runs, fixed, id=f"{stack.name}, {'fixed' if fixed else 'buggy'}, {runs}", marks=[pytest.mark.long] if runs > 1 else [])
        for stack, handlers, runs in cells for fixed in (False, True)
    ]


def said(target: LabTarget, break_id: str, handler: str) -> list[Outcome]:
    """What a rule says of a handler, as a run asks it."""
    rule, route = named(break_id), target.blueprint.route(f"POST /{handler}")
    assert rule is not None
    assert route is not None
    with target.sharing():
        return list(rule.prove(target, route))


def proofs(outcomes: list[Outcome]) -> list[Proof]:
    return [each.proof for each in outcomes if isinstance(each, Proven)]


@pytest.mark.parametrize(("stack", "handlers", "runs", "fixed"), _cells())
def test_the_buggy_twin_is_flagged_and_the_fixed_one_is_not(opened: Opened, stack: Stack, handlers: tuple[str, ...], runs: int, fixed: bool) -> None:  # noqa: FBT001
    """The buggy handler breaks as expected in each of the runs; of the fixed one every race is turned away, and the expected one was raced."""
    made = twin(stack, fixed=fixed)
    with opened(Twin(made.stack, {each: made.repairs[each] for each in handlers})) as make:
        for run in range(runs):
            target = make()
            for handler in handlers:
                expected = EXPECTED[handler]
                found = {each: said(target, each, handler) for each in (sorted(set(EXPECTED.values())) if fixed else [expected])}
                shown = [(run, handler, made.repairs[handler], each.break_id, each.evidence.message) for outcomes in found.values() for each in proofs(outcomes)]
                assert bool(shown) != fixed, (run, handler, shown or found)
                assert not fixed or any(isinstance(each, Refuted) for each in found[expected]), (run, handler, found)


def test_over_the_stacks_every_repair_has_its_turn() -> None:
    """A repair that no fixed twin has would be judged by nobody."""
    there = {(name, repair) for each in STACKS for name, repair in twin(each, fixed=True).repairs.items()}
    assert {repair for _, repair in there} == {"atomic", "immediate", "swapped", "locked", "serializable", "ordered", "unique", "unless", "below", "parent"}
    assert len(STACKS) >= 12
    assert all(sum(handler == name for name, _ in there) > 1 for handler in EXPECTED)
