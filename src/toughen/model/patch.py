"""Owns repairs: patches as byte-span edits, what became of each, and briefs where code cannot do it safely."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after."""

    file: str
    """POSIX path relative to the project's root."""
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Patch:
    """One mend of one finding."""

    finding: str
    """Finding id."""
    changes: tuple[FileChange, ...]
    summary: str
    """One line in the imperative: what the change does, for a commit's subject."""
    note: str = ""
    """What a reviewer must know: the database that it was chosen for, tokens that become invalid, ..."""
    rewrites: tuple[str, ...] = ()
    """Columns (`users.password`) whose values this mend changes by intention: a row that differs in nothing else is as before; `keys.*` is any row of a table."""
    demands: tuple[str, ...] = ()
    """Environment variables that the mended code stops without."""
    withholds: tuple[str, ...] = ()
    """Fields that answers no longer show, by intention: `password` in all of them, `GET /users email` in those of one route."""
    packages: tuple[str, ...] = ()
    """Packages that the mended code imports and the project's dependencies did not name."""
    raises: tuple[str, ...] = ()
    """Packages that it wants in another release: the environment is built anew from what the project then says."""


@dataclass(frozen=True, slots=True)
class Unmended:
    """No safe repair by code; the reason opens the brief."""

    reason: str
    brief: str = ""
    """What must hold afterwards, and where to start."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A patch that survived the whole order of trust."""

    patch: Patch


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A patch that was tried and taken back, with the step that failed."""

    patch: Patch
    step: str
    reason: str
    brief: str = ""
    """What stands against it, what must hold afterwards, and where to start."""


@dataclass(frozen=True, slots=True)
class Gone:
    """No patch of its own was needed: one that was kept for another finding ends this break as well."""

    by: str
    """Id of the finding whose patch did it."""


MendOutcome = Kept | RolledBack | Unmended | Gone
