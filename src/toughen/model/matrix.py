"""Owns the matrix of roles and endpoints: who asked for what, on whose object, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

ANONYMOUS = "anonymous"
"""Who sends no credential."""
INVALID = ("garbage", "expired", "foreign-signed")
"""Who sends a credential that must mean nothing: of the right form only; one that has ended; one signed with another key."""


class Whose(Enum):
    """Whose object a request names."""

    OWN = "own"
    OTHER = "other's"
    """Of another user, in the same tenant where there are tenants."""
    FOREIGN = "other tenant's"
    NONE = "-"
    """The route names no object that belongs to somebody."""


def spoken(who: str, whose: Whose) -> str:
    """Who asks for what, in the words of the policy."""
    return who if whose in {Whose.NONE, Whose.OTHER} else f"{who} on {whose.value}"


class Access(Enum):
    """What a cell of the matrix says."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    MISSING = "missing"
    """It works, and it must not: an authorization is missing."""
    UNDECIDED = "undecided"
    """It works, and nothing in the prototype says whether it should."""
    UNTESTED = "untested"


@dataclass(frozen=True, slots=True)
class Cell:
    """One route, asked by one kind of user for one kind of object."""

    route: str
    who: str
    """A role, `anonymous`, or one of INVALID."""
    whose: Whose
    access: Access
    reason: str
    """What was seen, or why nothing was: for the reader of the policy."""
    works: bool | None = None
    """Whether the request had its effect, whatever its status; None where it was not sent."""

    @property
    def subject(self) -> str:
        """Who asks, in the words of the policy: `user`, `user on own`, `user on other tenant's`."""
        return spoken(self.who, self.whose)


@dataclass(frozen=True, slots=True)
class Matrix:
    """Every route against every kind of user."""

    roles: tuple[str, ...]
    cells: tuple[Cell, ...]
    requests: int = 0
    """Requests that it took, prerequisites included."""
    seconds: float = 0.0
    """Seconds from the first to the last of them."""
    notes: tuple[str, ...] = field(default=())
    """What the reader must know: limits that were raised, columns of credentials that do not exist here."""

    def count(self, access: Access) -> int:
        """How many cells say so."""
        return sum(each.access is access for each in self.cells)

    def of(self, route: str) -> tuple[Cell, ...]:
        """The cells of one route."""
        return tuple(each for each in self.cells if each.route == route)

