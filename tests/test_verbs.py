"""The verbs for programs: what the command line does, without its terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import toughen
from toughen.errors import ConfigurationError, ProofError
from toughen.model.finding import Proven, Status
from toughen.model.gate import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

DOUBLE = """
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    @app.post("/double")
    def double():
        return jsonify(result=int(request.get_json()["n"]) * 2)
    """


def test_verbs(prototype: Write) -> None:
    """A program checks, replays what was proven, asks a gate, and mends without writing; the project's files stay as they are."""
    root = prototype({"main.py": DOUBLE}).root
    before = (root / "main.py").read_text()
    verdict = toughen.check(root, only=("input/crash",))
    found = [each for each in verdict.findings if each.status is Status.PROVEN]
    assert found
    _, outcome = toughen.replay(next((root / ".toughen" / "proofs").glob("*.json")))
    assert isinstance(outcome, Proven)
    assert [each.state for each in toughen.gate(root, only=("lint",)).gates] == [State.HELD]
    assert toughen.fix(str(root), only=("input/crash",), tests=False).mends
    assert (root / "main.py").read_text() == before


def test_faults(tmp_path: Path) -> None:
    """What makes no sense is raised, as the command line tells it."""
    with pytest.raises(ConfigurationError, match="there is no break 'nonsense'"):
        toughen.check(tmp_path, only=("nonsense",))
    with pytest.raises(ProofError, match="there is no proof"):
        toughen.replay(tmp_path / "a" / "b" / "c.json")
