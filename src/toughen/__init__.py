"""Owns the public verbs of toughen: check, fix, replay."""

from __future__ import annotations

__version__ = "0.1.0"
