"""Owns survey: the prototype's source, and what it says of itself when it runs, become the Blueprint."""

from __future__ import annotations

from toughen.survey.blueprint import join, survey
from toughen.survey.entries import entries
from toughen.survey.sources import Sources, read

__all__ = ["Sources", "entries", "join", "read", "survey"]
