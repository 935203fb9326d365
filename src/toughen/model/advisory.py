"""Owns what a database of vulnerabilities says of the packages that a prototype has installed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Package:
    """A distribution that is installed in the prototype's environment."""

    name: str
    """Normalised (PEP 503): `python-multipart`."""
    version: str
    stated: bool = True
    """False where the lab chose this release itself (as of the day of the last commit, or because the pinned one does not build here)."""


@dataclass(frozen=True, slots=True)
class Advisory:
    """One known vulnerability of one package."""

    id: str
    aliases: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    """Releases from which on it is gone, the lowest first; several where several lines are maintained."""


@dataclass(frozen=True, slots=True)
class Affected:
    """A package that is installed in a release that advisories speak of."""

    package: Package
    advisories: tuple[Advisory, ...]
    safe: str = ""
    """The nearest later release that the same database knows nothing against; "" where there is none."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a database said, once, of all that is installed."""

    affected: tuple[Affected, ...] = ()
    asked: int = 0
    """Packages that were asked about."""
    source: str = ""
    """Who was asked, in words."""
    unanswered: tuple[str, ...] = ()
    """What could not be asked, or is not known there, why, and what to do about it."""
