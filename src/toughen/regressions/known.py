"""Owns what regression tests are written from, and what is written: breaks with their trials before and after, drafts, and why one is not written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toughen.model.blueprint import Blueprint, Json
    from toughen.model.finding import Finding
    from toughen.model.identity import Identity
    from toughen.model.journey import Journey
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment


@dataclass(frozen=True, slots=True)
class Shown:
    """A break that was mended: its experiment, and what its trials did before and after."""

    finding: Finding
    experiment: Experiment
    """As the mended prototype takes it: its control passes there."""
    before: Mapping[str, Trace]
    after: Mapping[str, Trace]


@dataclass(frozen=True, slots=True)
class Known:
    """What was learned of the prototype while it was explored."""

    blueprint: Blueprint
    sources: Mapping[str, str]
    """Files of the mended project, by path."""
    identities: tuple[Identity, ...] = ()
    journeys: Mapping[str, Journey] = field(default_factory=dict)
    honest: Mapping[str, Trace] = field(default_factory=dict)
    """What a route's Journey did, by route."""
    rows: Mapping[str, tuple[dict[str, Json], ...]] = field(default_factory=dict)
    """Rows that the trials start from, by table in lower case."""
    steps: tuple[str, ...] = ()
    """How its tables came to be, where importing it does not make them."""
    demands: tuple[str, ...] = ()
    """Environment variables that it stops without."""

    def identity(self, name: str | None) -> Identity | None:
        """The identity of that name."""
        return next((each for each in self.identities if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Draft:
    """One test function, ready to be put into a file."""

    name: str
    text: str
    """The function as it stands in a file of pytest's; its first argument is the client."""
    finding: str
    uses: frozenset[str] = frozenset()
    """Helpers that it calls: `person`, `database`, `assert_refused`, ..."""
    imports: frozenset[str] = frozenset()
    """Lines of imports that it needs beside those."""
    people: frozenset[str] = frozenset()
    """Names of the identities in it."""


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A break that is not written as a test, and why."""

    finding: str
    reason: str


class UnwritableError(ValueError):
    """Something that a plain test cannot do; the message says what."""

