"""Owns what a change can have touched: the routes whose handlers run a changed line, or all where it lies beneath them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toughen.handling import handlers, within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.gatekeeping import Changes
    from toughen.model.blueprint import Blueprint

_SPEAKS: Final = (".html", ".jinja", ".jinja2", ".j2", ".sql", ".toml", ".cfg", ".ini", ".env", ".yml", ".yaml", ".json", "requirements.txt", "Pipfile", ".lock")
"""What an application is made of beside its source."""


def affected(blueprint: Blueprint, sources: Mapping[str, str], changes: Changes) -> frozenset[str]:
    """Ids of the routes that a change may have touched."""
    everything = frozenset(each.id for each in blueprint.routes)
    tests = set(blueprint.suite.files)
    gone = {each for each in changes.gone if each not in tests}
    if any(each.endswith((".py", *_SPEAKS)) for each in gone) or any(each.endswith(_SPEAKS) and not each.endswith(("toughen-baseline.json", "toughen-policy.toml")) for each in changes.files):
        return everything
    own = within(blueprint.entry, sources)
    found: set[str] = set()
    told: dict[str, set[int]] = {}
    for handler in handlers(blueprint, sources):
        for place in handler.reach:
            first = min([place.node.lineno, *(each.lineno for each in place.node.decorator_list)])
            lines = changes.lines(place.module.file) & frozenset(range(first, (place.node.end_lineno or first) + 1))
            if lines:
                found.add(handler.route.id)
                told.setdefault(place.module.file, set()).update(lines)
    beneath = [file for file, lines in changes.files.items() if file in own and file not in tests and (not lines or lines - told.get(file, set()) - _blank(sources.get(file, "")))]
    return everything if beneath else frozenset(found)


def _blank(text: str) -> set[int]:
    """Lines that say nothing: empty ones and comments."""
    return {number for number, line in enumerate(text.splitlines(), 1) if not line.strip() or line.lstrip().startswith("#")}
