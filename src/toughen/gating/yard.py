"""Owns what gates look at: the project, this run's Verdict, what changed, programs beside the project's environment, and stored proofs that are executed again."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from toughen.errors import EnvironmentFailedError
from toughen.gatekeeping import Changes, Done
from toughen.lab import environment
from toughen.lab.caching import cache_folder
from toughen.lab.copying import copy_project
from toughen.lab.needs import Needs
from toughen.model.mutant import Mutant, SuiteRun
from toughen.model.trial import Rehearsal, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from toughen.lab.target import LabTarget
    from toughen.model.blueprint import Blueprint
    from toughen.model.finding import Finding, Outcome
    from toughen.model.verdict import Verdict

_LARGEST: Final = 32 << 20


@dataclass(slots=True)
class Yard:
    """The Site of one run."""

    root: Path
    texts: Mapping[str, str]
    verdict: Verdict
    target: LabTarget | None
    changed: Changes | None
    new: Changes | None
    replaying: Callable[[], Sequence[tuple[Finding, Outcome]]]
    _replayed: Sequence[tuple[Finding, Outcome]] | None = None
    _environments: dict[tuple[str, ...], Path | None] = field(default_factory=dict)

    @property
    def blueprint(self) -> Blueprint:
        """The facts about the project."""
        return self.verdict.blueprint

    @property
    def booted(self) -> bool:
        """Whether there is a prototype to ask."""
        return self.target is not None

    def replayed(self) -> Sequence[tuple[Finding, Outcome]]:
        """Stored proofs, executed again; once."""
        if self._replayed is None:
            self._replayed = self.replaying()
        return self._replayed

    def tests(self) -> SuiteRun:
        """What the project's own tests say."""
        if self.target is None:
            return SuiteRun(problem="the prototype does not boot here")
        return self.target.run(Trial((), rehearsal=Rehearsal())).suite or SuiteRun(problem="nobody ran them")

    def unjudged(self) -> Sequence[Mutant]:
        """Guards of which this run does not know what the tests say without them."""
        rehearsing = self.target.memory.rehearsing if self.target is not None else None
        return [each for each in rehearsing.woven.mutants if each.key not in rehearsing.protected] if rehearsing is not None else ()

    def program(self, name: str) -> Path | None:
        """A program of the project's own environment, else one from an environment of its own in the cache."""
        if self.target is not None and (own := self.target.lab.environment.python.parent / name).is_file():
            return own
        made = self._apart((name,), f"{sys.version_info.major}.{sys.version_info.minor}")
        return made.parent / name if made is not None and (made.parent / name).is_file() else None

    def run(self, steps: Sequence[Sequence[str]], *, packages: Sequence[str], seconds: float, leaves: Sequence[str] = (), folder: str = "", brings: Mapping[str, str] = MappingProxyType({})) -> Done | None:
        """Steps on a fresh copy in the box, in the project's environment with these packages beside it."""
        if self.target is None:
            return None
        lab, usual = self.target.lab, self.target.lab.environment
        wanted = [each for each in packages if not _has(usual.python, each)]
        made = usual
        if wanted:
            beside = environment.beside(usual, wanted)
            if beside is None:
                return None
            made = beside
        place = lab.work / "gate"
        shutil.rmtree(place, ignore_errors=True)
        copy_project(self.root, place / self.root.name)
        home = place / self.root.name / folder
        for name, content in brings.items():
            (home / name).write_text(content, encoding="utf-8")
        said: list[str] = []
        codes: list[int | None] = []
        lab.environment = made
        try:
            for step in steps:
                code, output = lab.run_script(["-m", *step], cwd=home, timeout=seconds)
                said.append(output)
                codes.append(code)
                if code is None:
                    break
        finally:
            lab.environment = usual
            found = {name: text for name in leaves if (text := _left(home / name)) is not None}
            shutil.rmtree(place, ignore_errors=True)
        return Done(tuple(codes), "\n".join(said), found)

    def _apart(self, packages: tuple[str, ...], version: str) -> Path | None:
        if packages not in self._environments:
            self._environments[packages] = None
            with contextlib.suppress(EnvironmentFailedError):
                self._environments[packages] = environment.build(Needs("toughen's own tools", requirements=packages, python=f"=={version}.*"), cache=cache_folder()).python
        return self._environments[packages]


def _has(python: Path, package: str) -> bool:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run([str(python), "-I", "-c", f"import {package}"], capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL).returncode == 0
    return False


def _left(file: Path) -> str | None:
    with contextlib.suppress(OSError):
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= _LARGEST:
            return file.read_text(encoding="utf-8", errors="replace")
    return None

