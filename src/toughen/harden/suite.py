"""Owns the prototype's own tests: run in the lab's box on a copy, before and after a mend."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toughen.lab import environment
from toughen.lab.copying import copy_project
from toughen.lab.servers import kind_of, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.lab.boot import Lab
    from toughen.lab.sandbox import Box
    from toughen.model.blueprint import Suite

_SHOWS_BREAKS = re.compile(r"(^|[./_])(vulns?|vulnerabilit(y|ies)|exploits?|pocs?)([./_]|$)", re.IGNORECASE)
"""Folders and files of tests that pass because a break is there: whoever mends it wants them to fail."""
SECONDS = 240.0
"""Longest time that the prototype's own tests may take."""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """Which tests passed."""

    passed: frozenset[str]
    failed: frozenset[str] = frozenset()
    problem: str = ""
    """Why they could not be run, in words."""


@dataclass(frozen=True, slots=True)
class Running:
    """Tests that run in a box of their own while others work."""

    box: Box | None
    report: Path

    def result(self) -> SuiteResult:
        """Wait for their end and read what they say."""
        if self.box is None:
            return SuiteResult(frozenset(), problem="there are none")
        code = self.box.finish(SECONDS)
        try:
            cases = list(ET.parse(self.report).getroot().iter("testcase"))  # noqa: S314 - written by pytest in a folder of ours
        except (OSError, ET.ParseError):
            lines = self.box.output().strip().splitlines()
            said = lines[-1][:160] if lines else f"exit code {code}"
            return SuiteResult(frozenset(), problem=f"they do not run: {said}" if code is not None else f"they take longer than {SECONDS:.0f} s")
        passed: set[str] = set()
        failed: set[str] = set()
        for case in cases:
            if _SHOWS_BREAKS.search(str(case.get("classname"))):
                continue
            name = f"{case.get('classname')}::{case.get('name')}"
            bad = any(child.tag in {"failure", "error", "skipped"} for child in case)
            (failed if bad else passed).add(name)
        return SuiteResult(frozenset(passed), frozenset(failed))


@contextmanager
def running(lab: Lab, tree: Path, suite: Suite) -> Iterator[Running]:
    """Start the tests of a tree, on a copy of it; they are ended with the context."""
    if not suite.files:
        yield Running(None, Path())
        return
    place = lab.work / "suite"
    shutil.rmtree(place, ignore_errors=True)
    copy_project(tree, place / tree.name)
    report = place / "report.xml"
    command = ["-m", "pytest", "-q", "--maxfail=500", "-p", "no:cacheprovider", f"--junitxml={report}", *suite.files]
    # Tests clear tables, and what they clear must not be what is verified meanwhile.
    with serve(kind_of(lab.world.server)) as server:
        box = lab.start_script(command, cwd=place / tree.name, server=server, apart=place)
        try:
            yield Running(box, report)
        finally:
            box.close()


def baseline(lab: Lab, tree: Path, suite: Suite) -> SuiteResult:
    """The tests that pass before any mend, twice: one that passes now and then says nothing about a mend.

    Nothing to run is no problem; tests that cannot be run are named.
    """
    # In the lab's own folder: the box sees no other one.
    if suite.files and lab.run_script(["-c", "import pytest"], cwd=lab.project)[0] != 0:
        extended = environment.beside(lab.environment, ["pytest"])
        if extended is None:
            return SuiteResult(frozenset(), problem="pytest is not in the project's environment")
        lab.environment = extended
    first = _once(lab, tree, suite)
    if not first.passed:
        return first
    again = _once(lab, tree, suite)
    return SuiteResult(first.passed & again.passed, first.failed | again.failed, again.problem)


def _once(lab: Lab, tree: Path, suite: Suite) -> SuiteResult:
    with running(lab, tree, suite) as tests:
        return tests.result()
