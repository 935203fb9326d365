"""Every example of every rule, booted and attacked for real; never edited for a new rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Status
from toughen.model.patch import Gone, Kept, Unmended
from toughen.pipeline import Run
from toughen.rules import load
from toughen.survey import read, survey

if TYPE_CHECKING:
    from pathlib import Path

    from _pytest.mark import ParameterSet

    from toughen.model.finding import Suspicion
    from toughen.rule import Broken, Rule, Sound

_BROKEN, _SOUND = 1, 1
"""Examples of each rule that every run of the tests attacks; the others are among the long ones. A mended one takes several times as long as a sound one."""


def _examples(kind: str, first: int) -> list[ParameterSet]:
    return [
        pytest.param(rule, example, id=f"{rule.id}-{number}", marks=[pytest.mark.long] if number >= first else [])
        for rule in load() for number, example in enumerate(getattr(rule, kind))
    ]


BROKEN, SOUND = _examples("BROKEN", _BROKEN), _examples("SOUND", _SOUND)


def project(folder: Path, example: Broken | Sound) -> Path:
    """Write an example as a project that nobody prepared."""
    (folder / "main.py").write_text(example.source)
    (folder / "requirements.txt").write_text("\n".join(example.requirements) + "\n")
    for name, text in example.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def suspected(rule: Rule, root: Path) -> list[Suspicion]:
    """What the rule suspects from the source alone: nothing is booted."""
    sources = read(root)
    return list(rule.suspect(survey(sources), sources.texts))


@pytest.mark.parametrize(("rule", "example"), BROKEN)
def test_broken(rule: Rule, example: Broken, tmp_path: Path) -> None:
    """The break is suspected and proven where it is, and its mend ends in Refuted with the honest journeys unchanged."""
    root = project(tmp_path, example)
    shapes = suspected(rule, root)
    assert bool(example.unseen) != any(each.route == example.route for each in shapes), (example.unseen, shapes)
    assert all(each.break_id == rule.id and each.message and each.location.line for each in shapes), shapes
    verdict = Run(root, config.read(root, only=(rule.id,))).fix(write=True, commit=False)
    proven = [each for each in verdict.findings if each.status is Status.PROVEN and each.route == example.route]
    assert proven, (verdict.why, verdict.unreached, verdict.inconclusive)
    assert not [each for each in verdict.findings if each.status is Status.SUSPECTED and each.route == example.route], "proven, and still listed as suspected"
    outcomes = dict(verdict.mends)
    for finding in proven:
        outcome = outcomes[finding.id]
        if example.unmended:
            assert isinstance(outcome, Unmended), outcome
            assert example.unmended in outcome.reason
        else:
            assert isinstance(outcome, Kept | Gone), outcome
    if not example.unmended:
        again = Run(root, config.read(root, only=(rule.id,))).check()
        assert not [each for each in again.findings if each.status is Status.PROVEN], again.findings


@pytest.mark.parametrize(("rule", "example"), SOUND)
def test_sound(rule: Rule, example: Sound, tmp_path: Path) -> None:
    """What looks alike and is right is never proven, though its honest routes were reached; nor suspected where the source tells."""
    root = project(tmp_path, example)
    assert example.alike or not suspected(rule, root)
    verdict = Run(root, config.read(root, only=(rule.id,))).check()
    assert verdict.booted, verdict.why
    assert verdict.journeys, verdict.unreached
    proven = [each for each in verdict.findings if each.status is Status.PROVEN]
    assert not proven, [(each.id, each.message) for each in proven]


def test_every_rule_has_examples() -> None:
    """A rule without a broken and a sound example has no proof of its own."""
    assert load()
    for rule in load():
        assert rule.BROKEN, rule.id
        assert rule.SOUND, rule.id
        assert rule.__doc__, rule.id
        assert rule.title, rule.id
