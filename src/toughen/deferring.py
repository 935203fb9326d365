"""Owns the repair of what is told to others too early: in the handler, or where the handler calls what tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.codemod import defer
from toughen.handling import called, calls_of, handlers
from toughen.model.patch import FileChange, Patch, Unmended

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding
    from toughen.model.source import Location

_DEEPEST = 3


def mends(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], brief: str) -> Iterator[Patch | Unmended]:
    """The statement that tells it goes behind the commit; else why it cannot."""
    place = finding.evidence.location if finding.evidence else None
    handler = next((each for each in handlers(blueprint, sources) if each.route.id == finding.route), None)
    line = _line(handler, place) if handler is not None and place is not None else 0
    if handler is None or not line:
        yield Unmended("the statement of the handler that tells it is not seen", brief)
        return
    module = handler.home.module
    draft = defer(module, line)
    if isinstance(draft, Unmended):
        yield Unmended(draft.reason, brief)
        return
    yield Patch(finding.id, (FileChange(module.file, module.text, draft.done()),), "Tell it once what it is about is committed", " ".join(draft.notes))


def _line(handler: Handler, place: Location) -> int:
    """Line of the handler's own statement that tells it: at that place, or the call of a function that comes there; 0 where there is none."""
    home = handler.home
    if home.module.file == place.file and place.line in range(home.node.lineno, (home.node.end_lineno or 0) + 1):
        return place.line
    for call in calls_of(home.node):
        level = [home] if (first := called(home, call, handler.project)) is None else [first]
        for _ in range(_DEEPEST):
            if any(each is not home and each.module.file == place.file and place.line in range(each.node.lineno, (each.node.end_lineno or 0) + 1) for each in level):
                return call.lineno
            level = [inner for each in level if each is not home for one in calls_of(each.node) if (inner := called(each, one, handler.project)) is not None]
    return 0
