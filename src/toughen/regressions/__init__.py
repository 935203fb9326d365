"""Owns regression tests: what was proven and mended, written as test functions of the project's own suite; pure, model in and text out."""

from toughen.regressions.drafts import drafted
from toughen.regressions.file import EMPTY, assembled, taken
from toughen.regressions.fixtures import Ground
from toughen.regressions.known import Draft, Known, Shown, Unwritten
from toughen.regressions.places import grounds, place_of

__all__ = ["EMPTY", "Draft", "Ground", "Known", "Shown", "Unwritten", "assembled", "drafted", "grounds", "place_of", "taken"]
