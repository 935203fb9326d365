"""The stages as one run, on a prototype that is booted for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.errors import BootError
from toughen.pipeline import Run

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = """from flask import Flask
app = Flask(__name__)

@app.route("/")
def home():
    return "hello"
"""


def test_what_fails_once_the_verdict_is_there_is_told_as_it_is(tmp_path: Path) -> None:
    """A boot that fails while mends are tried is no second verdict: the error comes through with its own words."""
    (tmp_path / "main.py").write_text(PLAIN)
    (tmp_path / "requirements.txt").write_text("flask\n")
    run = Run(tmp_path, config.read(tmp_path, only=("security/debug-mode",)))
    with pytest.raises(BootError, match="the prototype did not boot again"):
        _lose(run)


def _lose(run: Run) -> None:
    with run.attack() as (verdict, target):
        assert target is not None, verdict.why
        message = "the prototype did not boot again"
        raise BootError(message, subject="main:app")
