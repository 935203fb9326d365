"""Owns the finding of gates: a file in this package is a gate, and there is no list to extend."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from toughen.gatekeeping import Gate


@cache
def load() -> tuple[Gate, ...]:
    """Every gate, in the order in which they are told."""
    found: list[Gate] = []
    for file in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{file.name}")
        found += [each() for each in vars(module).values() if isinstance(each, type) and issubclass(each, Gate) and each.__module__ == module.__name__ and hasattr(each, "id")]
    return tuple(sorted(found, key=lambda gate: (gate.order, gate.id)))
