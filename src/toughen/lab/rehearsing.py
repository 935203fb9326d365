"""Owns rehearsals: the prototype's own tests, run as often as rules ask for it, in one box and within one budget of time."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import RLock
from types import MappingProxyType
from typing import TYPE_CHECKING

from toughen.codemod.module import Module, UnmendableError
from toughen.errors import AgentLostError, LabError
from toughen.lab import environment
from toughen.lab.copying import texts
from toughen.lab.testing import Tests, suite_of
from toughen.model.mutant import SuiteRun
from toughen.mutation import guards, woven
from toughen.mutation.judge import asking, limit_of, steady

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint
    from toughen.model.trial import Rehearsal
    from toughen.mutation import Woven

LONGEST, ALL = 60.0, 180.0
"""Seconds that all tests may take once, and that all rehearsals of a run may take together."""
_PACKAGES, _SAID = 4, 200
"""Packages that are added for tests alone, and the end of what collecting says that is told."""
_CHUNK = 64
"""Guards that are asked for together for each run that there is room for; the next begins as soon as one ends."""
_APART = re.compile(r"(^|/)(migrations?|alembic|tests?|scripts?|docs|examples)(/|$)|(^|/)(conftest|setup|manage|test_\w+|\w+_test)\.py$")
_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"]([\w.]+)['\"]")


@dataclass
class Rehearsing:
    """One for all boots of a prototype: whoever asks waits for his turn."""

    lab: Lab
    blueprint: Blueprint
    changed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """File -> lines on which comparisons are moved by one, too."""
    longest: float = LONGEST
    """Seconds that all tests may take once."""
    together: float = ALL
    """Seconds that all rehearsals may take together."""
    wanted: Collection[str] | None = None
    """Guards that are looked at, where not all are."""
    _lock: RLock = field(default_factory=RLock)
    _tests: Tests | None = None
    _until: float = 0.0
    _baseline: SuiteRun | None = None
    _width: int = 1
    """Runs at once: one where tests write files or share a server."""
    _without: dict[str, list[SuiteRun]] = field(default_factory=dict)
    """What the tests said without a guard, in as many runs as nobody has asked for yet."""
    _calm: set[str] = field(default_factory=set)
    """Guards without which no test failed, once: whoever looks at one a second time looks at the others, too."""
    _killed: set[str] = field(default_factory=set)
    """Guards without which one failed."""

    @cached_property
    def woven(self) -> Woven:
        """The project's own files behind the switch; without tests, migrations and scripts."""
        return switched(texts(self.lab.root or self.lab.project), self.blueprint.suite.files, self.changed)

    @property
    def protected(self) -> frozenset[str]:
        """Guards without which a test was seen to fail; not those that a test asks which passes now and then."""
        flaky = self._baseline.flaky if self._baseline is not None else frozenset()
        asked = self._baseline.reached if self._baseline is not None else {}
        return frozenset(each.key for each in self.woven.mutants if each.key in self._killed and not flaky & set(asked.get(each.number, ())))

    def run(self, rehearsal: Rehearsal) -> SuiteRun:
        """What the tests say. Raises LabError where the time for them is used up, or their box is gone."""
        with self._lock:
            if self._baseline is None:
                self._baseline = self._begun()
            if (not rehearsal.off and not rehearsal.answer) or self._tests is None or self._baseline.ended != "done":
                return self._baseline
            left = self._until - time.monotonic()
            if left <= 0:
                raise LabError(f"the time for the prototype's own tests ({self.together:.0f} s) was used up", subject=self.lab.root)
            if rehearsal.answer:
                return self._tests.run(0, sorted(self._baseline.passed), min(LONGEST, left), fresh=False, most=0, answer=rehearsal.answer)
            if not self._without.get(rehearsal.off):
                self._judge(rehearsal.off)
            if not self._without.get(rehearsal.off):
                raise LabError(f"the time for the prototype's own tests ({self.together:.0f} s) was used up", subject=self.lab.root)
            return self._without[rehearsal.off].pop(0)

    def _judge(self, key: str) -> None:
        """Run the tests without that guard, and without the next ones where some can run at once; for a second look, without those that are due for one."""
        assert self._baseline is not None
        mutants = {each.key: each for each in self.woven.mutants}
        if key not in mutants:
            self._without[key] = [SuiteRun(problem="the guard is no longer there")]
            return
        again = key in self._calm
        others = (each for each in [*mutants][[*mutants].index(key) + 1 :] if (each in self._calm if again else each not in self._without and (self.wanted is None or each in self.wanted)))
        chosen = [key, *others][: 1 if self._width == 1 else _CHUNK * self._width]
        asked = {each: (mutants[each].number, *asking(mutants[each], self._baseline)) for each in chosen}
        told = {each: SuiteRun() for each, (_, tests, _) in asked.items() if not tests}
        for fresh in (False, True):
            told |= self._told({each: (number, tests, limit_of(tests, self._baseline)) for each, (number, tests, anew) in asked.items() if tests and anew == fresh}, fresh=fresh)
        for each, run in told.items():
            self._without.setdefault(each, []).append(run)
        self._killed |= {each for each, run in told.items() if run.failed}
        self._calm = (self._calm - told.keys()) | ({each for each, run in told.items() if run.ended == "done" and not run.failed} if not again else set())

    def _told(self, runs: dict[str, tuple[int, list[str], float]], *, fresh: bool) -> dict[str, SuiteRun]:
        """(key -> run) of those whose turn came; what hangs or dies may do so for another reason, the process that it came from."""
        assert self._tests is not None
        told = self._several(runs, fresh=fresh, width=self._width)
        if len(runs) > 1 and not self._tests.untouched():
            # Without a guard, a test may write a file that the others find: each by itself, from the files as they were.
            told = {each: run for key in runs for each, run in self._several({key: runs[key]}, fresh=fresh, width=1).items()}
        for key in [each for each, run in told.items() if run.ended != "done"]:
            told |= self._several({key: runs[key]}, fresh=True, width=1)
        return told

    def _several(self, runs: dict[str, tuple[int, list[str], float]], *, fresh: bool, width: int) -> dict[str, SuiteRun]:
        assert self._tests is not None
        left = self._until - time.monotonic()
        if not runs or left <= 0:
            return {}
        told = self._tests.several([(number, tests, min(longest, left)) for number, tests, longest in runs.values()], left, fresh=fresh, width=width)
        return {each: run for each, run in zip(runs, told, strict=True) if run is not None}

    def _begun(self) -> SuiteRun:
        suite = self.blueprint.suite
        if not suite.files:
            return SuiteRun()
        if self.lab.run_script(["-c", "import pytest"], cwd=self.lab.project)[0] != 0:
            extended = environment.beside(self.lab.environment, ["pytest"])
            if extended is None:
                return SuiteRun(problem="pytest is not in the project's environment, and cannot be installed")
            self.lab.environment = extended
        try:
            tests = self._collected()
            if tests.problem:
                return SuiteRun(problem=tests.problem)
            if not tests.names and tests.errors:
                file, said = tests.errors[0]
                return SuiteRun(problem=f"no test can be collected: {file}: {' '.join(said.split())[-_SAID:]}")
            first = steady(tests, self.longest, tests.names)
            # One more than there are cores: a test that waits leaves its own to another.
            self._width = (os.cpu_count() or 1) + 1 if tests.untouched() and self.lab.world.server is None else 1
        except AgentLostError as error:
            return SuiteRun(problem=f"what runs them was lost ({error.message}): one of them may end processes that are not its own")
        finally:
            self._until = time.monotonic() + self.together
        self._tests = tests
        if first.ended != "done":
            what = f"they do not end within {self.longest:.0f} s" if first.ended == "hung" else "their process dies"
            return replace(first, problem=what + (f", in {first.within}" if first.within else ""))
        return first

    def _collected(self) -> Tests:
        """The tests in their box; a package that only they import, and that nothing installs, comes beside the others. Raises AgentLostError."""
        for attempt in range(_PACKAGES + 1):
            opened = suite_of(self.lab, self.lab.root or self.lab.project, self.blueprint.suite, self.woven, django=self._settings())
            tests = opened.__enter__()
            need = next((need for said in (*(said for _, said in tests.errors), tests.problem) if (need := environment.missing(said)) and "<" not in need), None)
            extended = environment.beside(self.lab.environment, [need]) if need is not None and attempt < _PACKAGES else None
            if extended is None:
                self.lab.beside.push(opened)
                break
            opened.__exit__(None, None, None)
            self.lab.environment = extended
        return tests

    def _settings(self) -> str:
        """Django's settings module, where the project is Django's."""
        if self.blueprint.framework != "django":
            return ""
        named = self.lab.variables.get("DJANGO_SETTINGS_MODULE", "")
        sources = texts(self.lab.root or self.lab.project)
        return named or next((found.group(1) for name, text in sources.items() if name.endswith(("manage.py", "wsgi.py", "asgi.py")) and (found := _SETTINGS.search(text))), "")


def switched(sources: Mapping[str, str], tests: Collection[str], changed: Mapping[str, frozenset[int]] = MappingProxyType({})) -> Woven:
    """Files of a project behind the switch, but for its tests, migrations and scripts."""
    modules = []
    for name, text in sources.items():
        if not _APART.search(name) and name not in tests:
            try:
                module = Module(name, text)
                modules.append((module, guards(module, changed.get(name, frozenset()))))
            except (UnmendableError, RecursionError):
                continue
    return woven(modules)
