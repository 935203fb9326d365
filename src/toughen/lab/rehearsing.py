"""Owns rehearsals: the prototype's own tests, run as often as rules ask for it, in one box and within one budget of time."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import RLock
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
    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint
    from toughen.model.trial import Rehearsal
    from toughen.mutation import Woven

LONGEST, ALL = 60.0, 180.0
"""Seconds that all tests may take once, and that all rehearsals of a run may take together."""
_APART = re.compile(r"(^|/)(migrations?|alembic|tests?|scripts?|docs|examples)(/|$)|(^|/)(conftest|setup|manage|test_\w+|\w+_test)\.py$")
_SETTINGS = re.compile(r"DJANGO_SETTINGS_MODULE['\"]\s*,\s*['\"]([\w.]+)['\"]")


@dataclass
class Rehearsing:
    """One for all boots of a prototype: whoever asks waits for his turn."""

    lab: Lab
    blueprint: Blueprint
    _lock: RLock = field(default_factory=RLock)
    _tests: Tests | None = None
    _until: float = 0.0
    _baseline: SuiteRun | None = None

    @cached_property
    def woven(self) -> Woven:
        """The project's own files behind the switch; without tests, migrations and scripts."""
        modules = []
        for name, text in texts(self.lab.root or self.lab.project).items():
            if not _APART.search(name) and name not in self.blueprint.suite.files:
                try:
                    module = Module(name, text)
                    modules.append((module, guards(module)))
                except (UnmendableError, RecursionError):
                    continue
        return woven(modules)

    def run(self, rehearsal: Rehearsal) -> SuiteRun:
        """What the tests say. Raises LabError where the time for them is used up, or their box is gone."""
        with self._lock:
            if self._baseline is None:
                self._baseline = self._begun()
            if (not rehearsal.off and not rehearsal.answer) or self._tests is None or self._baseline.ended != "done":
                return self._baseline
            left = self._until - time.monotonic()
            if left <= 0:
                raise LabError(f"the time for the prototype's own tests ({ALL:.0f} s) was used up", subject=self.lab.root)
            if rehearsal.answer:
                return self._tests.run(0, sorted(self._baseline.passed), min(LONGEST, left), fresh=False, most=0, answer=rehearsal.answer)
            return self._without(rehearsal.off, left)

    def _without(self, key: str, left: float) -> SuiteRun:
        assert self._tests is not None
        assert self._baseline is not None
        mutant = next((each for each in self.woven.mutants if each.key == key), None)
        if mutant is None:
            return SuiteRun(problem="the guard is no longer there")
        tests, fresh = asking(mutant, self._baseline)
        if not tests:
            return SuiteRun()
        seconds = min(limit_of(tests, self._baseline), left)
        run = self._tests.run(mutant.number, tests, seconds, fresh=fresh)
        # What hangs or dies may do so for another reason: the process that it came from.
        return run if run.ended == "done" else self._tests.run(mutant.number, tests, seconds, fresh=True)

    def _begun(self) -> SuiteRun:
        self._until = time.monotonic() + ALL
        suite = self.blueprint.suite
        if not suite.files:
            return SuiteRun()
        if self.lab.run_script(["-c", "import pytest"], cwd=self.lab.project)[0] != 0:
            extended = environment.beside(self.lab.environment, ["pytest"])
            if extended is None:
                return SuiteRun(problem="pytest is not in the project's environment, and cannot be installed")
            self.lab.environment = extended
        try:
            tests = self.lab.beside.enter_context(suite_of(self.lab, self.lab.root or self.lab.project, suite, self.woven, django=self._settings()))
            if tests.problem:
                return SuiteRun(problem=tests.problem)
            first = steady(tests, LONGEST)
        except AgentLostError as error:
            return SuiteRun(problem=error.message)
        self._tests = tests
        if first.ended != "done":
            return replace(first, problem=f"they do not end within {LONGEST:.0f} s" if first.ended == "hung" else "their process dies")
        return first

    def _settings(self) -> str:
        """Django's settings module, where the project is Django's."""
        if self.blueprint.framework != "django":
            return ""
        named = self.lab.variables.get("DJANGO_SETTINGS_MODULE", "")
        sources = texts(self.lab.root or self.lab.project)
        return named or next((found.group(1) for name, text in sources.items() if name.endswith(("manage.py", "wsgi.py", "asgi.py")) and (found := _SETTINGS.search(text))), "")
