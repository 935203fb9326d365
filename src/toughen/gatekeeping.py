"""Owns what the author of a gate sees: the Gate that is subclassed, the Site that it looks at, and what it may say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Outcome
    from toughen.model.gate import Fault
    from toughen.model.mutant import Mutant, SuiteRun
    from toughen.model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Changes:
    """Lines that are there now and were not there at some commit."""

    since: str
    """The commit, as it was named."""
    files: Mapping[str, frozenset[int]]
    """File -> its new lines."""
    gone: frozenset[str] = frozenset()
    """Files that were there."""
    cuts: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """File -> lines behind which something was taken out; 0 is the top."""

    def lines(self, file: str) -> frozenset[int]:
        """The new lines of a file."""
        return self.files.get(file, frozenset())

    def touch(self, *endings: str) -> bool:
        """Whether a file changed whose name ends so."""
        return any(each.endswith(endings) for each in (*self.files, *self.gone))


@dataclass(frozen=True, slots=True)
class Done:
    """A program that ran to its end, or was ended."""

    codes: tuple[int | None, ...]
    """Exit code of each step; None where it was ended for its time, and nothing came behind it."""
    output: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Files that it was asked to leave, and what stands in them."""

    @property
    def code(self) -> int | None:
        """Exit code of the last step that began."""
        return self.codes[-1] if self.codes else None


@dataclass(frozen=True, slots=True)
class Faults:
    """A gate looked, and this is what it holds against the project."""

    faults: Sequence[Fault] = ()
    measured: Mapping[str, str] = field(default_factory=dict)
    why: str = ""
    """What was looked at, in one sentence."""
    doubtful: Sequence[Fault] = ()
    """What there was no time to tell: nobody falls for it, and a baseline that is written lets it through, or the next run that comes further falls for old code."""


@dataclass(frozen=True, slots=True)
class CouldNot:
    """A gate could not look."""

    reason: str
    hint: str = ""


DOWN: Final = CouldNot("the prototype does not boot here", "why it does not is told at the end; `toughen check` boots it in the same way")
"""Nothing of the project can be executed."""


@dataclass(frozen=True, slots=True)
class Untouched:
    """Nothing changed that the gate looks at."""

    reason: str


Looked = Faults | CouldNot | Untouched


class Site(Protocol):
    """The project as a gate may look at it; everything that executes something of it does so in the lab's box, on a copy."""

    @property
    def root(self) -> Path:
        """The project's folder: read only."""

    @property
    def texts(self) -> Mapping[str, str]:
        """Its Python files."""

    @property
    def blueprint(self) -> Blueprint:
        """The facts about it."""

    @property
    def verdict(self) -> Verdict:
        """What this run's attack found."""

    @property
    def booted(self) -> bool:
        """Whether there is a prototype to ask."""

    @property
    def changed(self) -> Changes | None:
        """What the run is narrowed to; None looks at all of it."""

    @property
    def new(self) -> Changes | None:
        """What came since the baseline was written: mended and new lines; None where git does not know."""

    def program(self, name: str) -> Path | None:
        """A program of the project's own environment, else one that is kept beside toughen's environments; None where it cannot be had."""

    def run(self, steps: Sequence[Sequence[str]], *, packages: Sequence[str], seconds: float, leaves: Sequence[str] = (), folder: str = "", brings: Mapping[str, str] = MappingProxyType({})) -> Done | None:
        """`python -m step` of the project's environment with these packages beside it, one step after the other, on a fresh copy in the box that gets these files, in a folder of it; what they say together, their exit codes, and the files that they leave. None where that cannot be had."""

    def tests(self) -> SuiteRun:
        """What the project's own tests say, in two runs."""

    def unjudged(self) -> Sequence[Mutant]:
        """Guards of which this run does not know what the tests say without them."""

    def replayed(self) -> Sequence[tuple[Finding, Outcome]]:
        """Every stored proof that this run's attack did not prove again, executed again."""


class Gate(ABC):
    """A check with a yes or no that CI enforces. A file in `gates/` is a gate."""

    id: ClassVar[str]
    title: ClassVar[str]
    """What holds where it holds, in one sentence."""
    order: ClassVar[int] = 50
    breaks: ClassVar[tuple[str, ...]] = ()
    """How the ids begin of the breaks that it reads from the Verdict: those are attacked for it. "" stands for all."""

    @abstractmethod
    def look(self, site: Site) -> Looked:
        """What it holds against the project now; the baseline and the waivers are held against that by others."""
