"""Owns what a change can have touched: the routes whose handlers run a changed line, or all where it lies beneath them all."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from toughen.handling import handlers, within

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from toughen.gatekeeping import Changes
    from toughen.model.blueprint import Blueprint

_APART: Final = re.compile(r"(^|/)(\.[^/]+/|(docs|tests?|node_modules)/|toughen(-baseline\.json|-policy\.toml|\.toml)$|\.(?!env)[^/]*$)")
"""What the application does not read: folders and files of tools, documents, what belongs to tests."""
_SPEAKS: Final = (".html", ".jinja", ".jinja2", ".j2", ".sql", ".toml", ".cfg", ".ini", ".env", ".yml", ".yaml", ".json", "requirements.txt", "Pipfile", ".lock")
"""What an application is made of beside its source."""


def affected(blueprint: Blueprint, sources: Mapping[str, str], changes: Changes) -> frozenset[str]:
    """Ids of the routes that a change may have touched."""
    everything = frozenset(each.id for each in blueprint.routes)
    tests = set(blueprint.suite.files)
    gone = {each for each in changes.gone if each not in tests}
    if any(each.endswith((".py", *_SPEAKS)) and not _APART.search(each) for each in gone) or any(each.endswith(_SPEAKS) and not _APART.search(each) for each in changes.files):
        return everything
    own = _named(within(blueprint.entry, sources), sources)
    found: set[str] = set()
    told: dict[str, set[int]] = {}
    cut: dict[str, set[int]] = {}
    for handler in handlers(blueprint, sources):
        for place in handler.reach:
            first = min([place.node.lineno, *(each.lineno for each in place.node.decorator_list)])
            last, file = place.node.end_lineno or first, place.module.file
            lines = changes.lines(file) & frozenset(range(first, last + 1))
            inner = {each for each in changes.cuts.get(file, ()) if first <= each < last}
            if lines or inner:
                found.add(handler.route.id)
                told.setdefault(file, set()).update(lines)
                cut.setdefault(file, set()).update(inner)
    beneath = [
        file for file, lines in changes.files.items()
        if file in own and file not in tests and not _APART.search(file) and (lines - told.get(file, set()) - _blank(sources.get(file, "")) or changes.cuts.get(file, frozenset()) - cut.get(file, set()))
    ]
    return everything if beneath else frozenset(found)


def _named(files: Collection[str], sources: Mapping[str, str]) -> set[str]:
    """These files, and those that one of them names somewhere: in an import within a function, or in a text by which a framework loads it; and so on."""
    found, waiting = set(files), list(files)
    stems = {each: each.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2] for each in sources}
    while waiting:
        words = set(re.findall(r"\w+", sources.get(waiting.pop(), "")))
        near = [each for each, stem in stems.items() if each not in found and stem in words and not _APART.search(each)]
        found.update(near)
        waiting += near
    return found


def _blank(text: str) -> set[int]:
    """Lines that say nothing: empty ones and comments."""
    return {number for number, line in enumerate(text.splitlines(), 1) if not line.strip() or line.lstrip().startswith("#")}
