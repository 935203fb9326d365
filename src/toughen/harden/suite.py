"""Owns the prototype's own tests: run in the lab's box on a copy, before and after a mend."""

from __future__ import annotations

import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toughen.lab import environment
from toughen.lab.boot import copy_project

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Suite

SECONDS = 240.0
"""Longest time that the prototype's own tests may take."""


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """Which tests passed."""

    passed: frozenset[str]
    failed: frozenset[str] = frozenset()
    problem: str = ""
    """Why they could not be run, in words."""


def run_suite(lab: Lab, tree: Path, suite: Suite) -> SuiteResult:
    """Run the tests of a tree on a copy of it. Nothing to run is no problem; a run that cannot start is named."""
    if not suite.files:
        return SuiteResult(frozenset(), problem="there are none")
    place = lab.work / "suite"
    shutil.rmtree(place, ignore_errors=True)
    copy_project(tree, place / tree.name)
    report = place / "report.xml"
    arguments = ["-m", "pytest", "-q", "--maxfail=500", "-p", "no:cacheprovider", f"--junitxml={report}", *suite.files]
    code, output = lab.run_script(["-c", "import pytest"], cwd=place / tree.name)
    if code != 0:
        extended = environment.extend(lab.environment, "pytest")
        if extended is None:
            return SuiteResult(frozenset(), problem="pytest is not in the project's environment")
        lab.environment = extended
    code, output = lab.run_script(arguments, cwd=place / tree.name, timeout=SECONDS)
    try:
        cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - written by pytest in a folder of ours
    except (OSError, ET.ParseError):
        lines = output.strip().splitlines()
        return SuiteResult(frozenset(), problem=f"they do not run: {lines[-1][:160] if lines else f'exit code {code}'}")
    passed: set[str] = set()
    failed: set[str] = set()
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        bad = any(child.tag in {"failure", "error", "skipped"} for child in case)
        (failed if bad else passed).add(name)
    return SuiteResult(frozenset(passed), frozenset(failed))
