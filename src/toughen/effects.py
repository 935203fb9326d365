"""Owns the effect of a request: what the honest one did, and whether another's did it too, whatever its status says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.oracle import succeeded
from toughen.twists import key_of

if TYPE_CHECKING:
    from toughen.model.blueprint import Json
    from toughen.model.trace import Exchange, RowChange, Trace

_SHORTEST = 6
"""Characters from which on a value in an answer tells whose it is."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What one request did."""

    exchange: Exchange
    changes: tuple[RowChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """What the honest request did: the rows that it changed, else the values that it showed, else the form of its answer."""

    honest: Sight
    wrote: frozenset[tuple[str, str, str]]
    """(table, kind of change, key of the row; "" of a new one)."""
    tells: frozenset[str]
    """Values in the honest answer that say whose they are."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it changed."""
        return tuple(sorted({table for table, _, _ in self.wrote}))

    def same(self, other: Sight, *, object_: bool) -> bool:
        """Whether another request had this effect; with `object_` on the very same rows, else on rows like them."""
        if self.wrote:
            did = _written(other)
            return bool(self.wrote & did) if object_ else bool({each[:2] for each in self.wrote} & {each[:2] for each in did})
        if self.tells and object_:
            body = other.exchange.response.body if other.exchange.response else ""
            return any(each in body and each not in other.exchange.target and each not in other.exchange.request_body for each in self.tells)
        return succeeded(other.exchange) and _shape(other.exchange) == _shape(self.honest.exchange)


def sight(trace: Trace) -> Sight:
    """What the last request of a trial did."""
    return Sight(trace.last, trace.final_changes)


def effect(honest: Sight, nobody: Sight | None, noise: frozenset[str] = frozenset()) -> Effect:
    """The effect of an honest request; `nobody` is the same request with a credential that means nothing, `noise` are tables that every request writes."""
    return Effect(honest, frozenset(each for each in _written(honest) if each[0].lower() not in noise), _tells(honest.exchange, nobody.exchange if nobody else None))


def _written(sight: Sight) -> frozenset[tuple[str, str, str]]:
    return frozenset((each.table, each.kind, "" if each.kind == "inserted" else repr(key_of(each.before))) for each in sight.changes)


def _tells(honest: Exchange, nobody: Exchange | None) -> frozenset[str]:
    """Texts of rows that the honest answer shows, and the answer to a credential that means nothing does not."""
    body = honest.response.body if honest.response else ""
    other = nobody.response.body if nobody and nobody.response else ""
    values = (value for each in honest.statements for row in each.sample for value in row.values())
    return frozenset(value for value in values if isinstance(value, str) and len(value) >= _SHORTEST and value in body and value not in other)


def _shape(exchange: Exchange) -> tuple[object, ...]:
    """Status and outer form of an answer."""
    response = exchange.response
    if response is None:
        return ()
    place = (response.header("location") or "").partition("?")[0]
    return response.status, place, _outline(response.json) if response.is_json else (response.header("content-type") or "").partition(";")[0]


def _outline(value: Json) -> object:
    return tuple(sorted(value)) if isinstance(value, dict) else type(value).__name__
