"""Owns the finding of rules: a file in a folder of this package is a rule, and there is no list to extend."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from typing import TYPE_CHECKING

from toughen.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Collection


@cache
def load() -> tuple[Rule, ...]:
    """Every rule, in the order in which they attack: cheap and safe ones first, races last."""
    found: list[Rule] = []
    for place in pkgutil.iter_modules(__path__):
        if not place.ispkg:
            continue
        package = importlib.import_module(f"{__name__}.{place.name}")
        for file in pkgutil.iter_modules(package.__path__):
            module = importlib.import_module(f"{package.__name__}.{file.name}")
            found += [
                each() for each in vars(module).values()
                if isinstance(each, type) and issubclass(each, Rule) and each.__module__ == module.__name__ and hasattr(each, "id")
            ]
    return tuple(sorted(found, key=lambda rule: (rule.id.startswith("race/"), rule.id)))


def chosen(only: Collection[str], among: Collection[str] = ()) -> tuple[Rule, ...]:
    """The rules of these breaks or places; where none is named all that attack, and none that takes as long as the prototype's own tests do. `among` leaves out every other one."""
    asked = (rule for rule in load() if not among or rule.id in among)
    return tuple(rule for rule in asked if (not only and not rule.rehearses) or rule.id in only or rule.id.partition("/")[0] in only)


def named(break_id: str) -> Rule | None:
    """The rule that finds that Break."""
    return next((rule for rule in load() if rule.id == break_id), None)
