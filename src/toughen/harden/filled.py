"""Owns honest sequences that show more than a Journey alone: what a route answers once there is something to answer."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toughen.harden.sameness import Behaviour, behaviour
from toughen.model.blueprint import Place
from toughen.model.journey import Call, Journey, stepped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.target import LabTarget

_EMPTY = "[]"
_MOST = 4
"""Writers that are tried in front of one reader."""


def filled(target: LabTarget) -> dict[str, tuple[Journey, Behaviour]]:
    """Sequences, by their names, of a writing Journey and a reading one whose answer holds an empty list alone, and what they do; those that answer alike twice."""
    found: dict[str, tuple[Journey, Behaviour]] = {}
    journeys = target.journeys()
    for reader in journeys:
        alone = behaviour(target, reader) if reader.route.startswith("GET ") else None
        if alone is None or _EMPTY not in alone.shape:
            continue
        for both, name in _sequences(reader, journeys):
            seen = behaviour(target, both)
            if seen.statuses[-1] == reader.status and seen.shape.count(_EMPTY) < alone.shape.count(_EMPTY) and behaviour(target, both) == seen:
                found[name] = both, seen
                break
    return found


def _sequences(reader: Journey, journeys: tuple[Journey, ...]) -> Iterator[tuple[Journey, str]]:
    """The reader behind each writer of the same person, as it is asked, and without what narrows it."""
    writers = [each for each in journeys if not each.route.startswith("GET ") and each.identity == reader.identity and not each.grants and not each.shallow]
    for writer in writers[:_MOST]:
        for call in dict.fromkeys([reader.call, _open(reader.call)]):
            yield _behind(writer, replace(reader, calls=(*reader.calls[:-1], call))), f"{reader.route} after {writer.route}"


def _open(call: Call) -> Call:
    return replace(call, arguments=tuple(each for each in call.arguments if each.place is not Place.QUERY))


def _behind(writer: Journey, reader: Journey) -> Journey:
    by = len(writer.calls)
    calls = tuple(replace(call, arguments=tuple(replace(each, value=stepped(each.value, by)) for each in call.arguments)) for call in reader.calls)
    return replace(reader, calls=(*writer.calls, *calls), grants=tuple(replace(each, after=each.after + by) for each in reader.grants))
