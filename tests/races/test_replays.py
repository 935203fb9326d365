"""A proof of a race in fresh boots, and a race through the whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Proven, Status
from toughen.pipeline import Run
from toughen.rules import named

from .twins import EXPECTED, STACKS, Twin

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.lab.target import LabTarget
    from toughen.model.finding import Outcome
    from toughen.model.trial import Experiment

    from .conftest import Opened

BOOTS = 5


def _confirmed(target: LabTarget, handler: str, experiment: Experiment) -> Outcome:
    rule = named(EXPECTED[handler])
    assert rule is not None
    return rule.confirm(target, f"POST /{handler}", experiment)


def _told(target: LabTarget, experiment: Experiment) -> tuple[object, ...]:
    """What one execution of the race is: who sent which statements, whose turn it was, what was answered and what became of the rows."""
    race = target.anew(experiment.trials["race"])
    return (
        [[(each.text, each.parameters, each.error) for each in one.statements] for one in race.exchanges[-2:]],
        race.turns, race.schedule, [each.status for each in race.exchanges], [(each.table, each.before, each.after) for each in race.changes],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("stack", "handler", "boots"),
    [
        pytest.param("fastapi, sqlite3", "withdraw", 1, id="once"),
        *(
            pytest.param(stack, handler, BOOTS, id=f"{stack}, {handler}", marks=[pytest.mark.long])
            for stack in ("fastapi, sqlite3", "fastapi, sqlalchemy, aiosqlite", "fastapi, sqlalchemy, psycopg2", "fastapi, asyncpg") for handler in ("withdraw", "sign_up")
        ),
    ],
)
def test_a_proof_is_the_same_in_every_fresh_boot(opened: Opened, stack: str, handler: str, boots: int) -> None:
    """Replayed in fresh boots a proof holds with the same message and timeline, statement by statement and turn by turn."""
    made = Twin(next(each for each in STACKS if each.name == stack), {handler: ""})
    rule = named(EXPECTED[handler])
    assert rule is not None
    with opened(made) as make:
        target = make()
        route = target.blueprint.route(f"POST /{handler}")
        assert route is not None
        found = next(each for each in rule.prove(target, route) if isinstance(each, Proven))
        first = _told(target, found.proof.experiment)
    assert first[1], "nobody had a turn"
    for _ in range(boots):
        with opened(made) as make:
            target = make()
            again = _confirmed(target, handler, found.proof.experiment)
            assert isinstance(again, Proven), again
            assert (again.proof.evidence.message, again.proof.evidence.facts) == (found.proof.evidence.message, found.proof.evidence.facts)
            assert _told(target, found.proof.experiment) == first


@pytest.mark.long
@pytest.mark.parametrize("fixed", [False, True], ids=["buggy", "fixed"])
def test_a_race_is_found_by_a_run_that_knows_nothing(tmp_path: Path, fixed: bool) -> None:  # noqa: FBT001
    """From the source alone: the run finds the honest requests, forces the race, stores its proof, and the proof replays."""
    stack = next(each for each in STACKS if each.name == "flask, sqlite3")
    repairs = {"withdraw": "atomic", "sign_up": "unique"} if fixed else {"withdraw": "", "sign_up": ""}
    (tmp_path / "main.py").write_text(Twin(stack, repairs).source)
    (tmp_path / "requirements.txt").write_text("flask\n")
    run = Run(tmp_path, config.read(tmp_path, only=tuple(sorted(set(EXPECTED.values())))))
    verdict = run.check()
    assert {each.route for each in verdict.journeys} >= {"POST /withdraw", "POST /sign_up"}, verdict.unreached
    found = {(each.break_id, each.route) for each in verdict.findings if each.status is Status.PROVEN}
    assert found >= {(EXPECTED[name], f"POST /{name}") for name in repairs} if not fixed else not found, found
    stored = sorted((tmp_path / ".toughen" / "proofs").glob("*.json"))
    assert len(stored) == len(found)
    for file in stored:
        assert isinstance(run.replay(file)[1], Proven), file.name
