"""Owns `toughen init`: what a project needs around the gate, laid as a person would have written it; what is there already is extended or left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.errors import ConfigurationError
from toughen.founding import github, gitlab, ground, hooks, ignoring, settings
from toughen.harden import tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.founding.ground import Ground
    from toughen.founding.laid import Laid

__all__ = ["Founding", "found", "lay"]


@dataclass(frozen=True, slots=True)
class Founding:
    """What is to be written, and what was seen."""

    ground: Ground
    laid: tuple[Laid, ...]
    """One for each part, also for those that stay as they are."""

    @property
    def diff(self) -> str:
        """All changes, as `git apply` takes them."""
        return tree.diff(each.change for each in self.laid if each.change is not None)

    def told(self, *, dry: bool) -> str:
        """What was seen, what became of each file, and what comes next."""
        seen = self.ground
        lines = [f"found    {seen.framework}, {seen.app}; packages: {seen.manager}; Python {seen.python}; {seen.tests} tests; CI: {seen.host or 'nothing tells'}"]
        for each in self.laid:
            done = "left" if each.change is None else "would" if dry else "extended" if each.change.before else "wrote"
            lines += [f"{done:<8} {each.file}: {each.said}", *(f"         {line}" for line in each.by_hand.splitlines())]
        written = any(each.change is not None for each in self.laid)
        lines.append("next     toughen gate --write-baseline: what is there now may stay, and nothing may come; commit toughen-baseline.json" if written else "nothing is left to write")
        return "\n".join(lines) + "\n"


def found(root: Path, *, host: str | None = None) -> Founding:
    """Look at a project and say what would be written; `host` (github, gitlab, none) is looked for where it is not said.

    Raises SurveyError where no application is found.
    """
    seen = ground.look(root, host)
    return Founding(seen, tuple(_parts(seen)))


def _parts(seen: Ground) -> Iterator[Laid]:
    yield settings.laid(seen)
    yield from hooks.laid(seen)
    if seen.host in {None, "github"}:
        yield github.laid(seen)
    if seen.host in {None, "gitlab"}:
        yield gitlab.laid(seen)
    yield ignoring.laid(seen)


def lay(founding: Founding) -> None:
    """Write all of it, or nothing. Raises ConfigurationError where a file cannot be written."""
    done = []
    try:
        for each in founding.laid:
            if each.change is not None:
                tree.put(founding.ground.base, [each.change])
                done.append(each.change)
    except OSError as error:
        tree.undo(founding.ground.base, done)
        raise ConfigurationError(f"{error.filename or founding.ground.base} cannot be written: {error.strerror}", subject=error, hint="nothing was changed") from error
