"""Owns a Site without a prototype: what programs, tests and attacks would have said is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from toughen.model.blueprint import Blueprint, Entry, Suite
from toughen.model.mutant import SuiteRun
from toughen.model.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from toughen.gatekeeping import Changes, Done
    from toughen.model.finding import Finding, Outcome
    from toughen.model.mutant import Mutant


@dataclass
class Ground:
    """A Site that is written down."""

    root: Path
    texts: dict[str, str]
    verdict: Verdict
    booted: bool = True
    changed: Changes | None = None
    new: Changes | None = None
    programs: Mapping[str, Path] = field(default_factory=dict)
    done: list[Done | None] = field(default_factory=list)
    """What the next runs of programs end with; the last one stays."""
    suite: SuiteRun = field(default_factory=SuiteRun)
    again: Sequence[tuple[Finding, Outcome]] = ()
    open: Sequence[Mutant] = ()
    asked: list[list[str]] = field(default_factory=list)
    """The steps that were run."""
    brought: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def blueprint(self) -> Blueprint:
        return self.verdict.blueprint

    def program(self, name: str) -> Path | None:
        return self.programs.get(name)

    def run(self, steps: Sequence[Sequence[str]], *, packages: Sequence[str], seconds: float, leaves: Sequence[str] = (), folder: str = "", brings: Mapping[str, str] | None = None) -> Done | None:
        self.asked += [[*each] for each in steps]
        self.brought.append(brings or {})
        return self.done.pop(0) if len(self.done) > 1 else self.done[0]

    def tests(self) -> SuiteRun:
        return self.suite

    def replayed(self) -> Sequence[tuple[Finding, Outcome]]:
        return self.again

    def unjudged(self) -> Sequence[Mutant]:
        return self.open


@pytest.fixture
def ground(tmp_path: Path) -> Callable[..., Ground]:
    """Make a Site of files: those of `suite` are its tests."""

    def made(files: Mapping[str, str], *, suite: Sequence[str] = (), framework: str = "fastapi", findings: Sequence[Any] = (), inconclusive: Sequence[Any] = (), matrix: Any = None, facts: Mapping[str, Any] | None = None, **others: Any) -> Ground:
        root = tmp_path / "project"
        root.mkdir(exist_ok=True)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        blueprint = Blueprint("project", framework, Entry("main:app", "main.py", "", framework), suite=Suite(tuple(suite), len(suite), "pytest"), **(facts or {}))
        verdict = Verdict(blueprint, "harden", "", tuple(findings), tuple(inconclusive), matrix=matrix)
        return Ground(root, {name: text for name, text in files.items() if name.endswith(".py")}, verdict, **others)

    return made
