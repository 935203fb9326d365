"""Owns one run of a file of tests: on a copy of a tree, in the lab's box, in the project's own environment."""

from __future__ import annotations

import re
import shutil
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toughen.harden.tree import put
from toughen.lab import environment as environments
from toughen.lab.copying import copy_project
from toughen.lab.servers import kind_of, serve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Entry
    from toughen.model.patch import FileChange

_OFFERS: Mapping[str, tuple[tuple[str, ...], ...]] = {"starlette": (("pytest", "httpx"), ("pytest", "httpx<0.28")), "flask": (("pytest",),), "django": ((),)}
"""Packages that tests need, by whose client they use; TestClient of an older Starlette hands httpx the application, which later ones do not take."""
_PROBES = {"starlette": "import pytest; from starlette.testclient import TestClient; TestClient(lambda scope: None)", "flask": "import pytest"}
_SECONDS = 240.0
_SHOWN = 160
_TOLD = re.compile(r"^(test_\w+) \([^)\n]*\)(?:\n[^\n]*?)? \.\.\. (ok|FAIL|ERROR|skipped)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run told."""

    passed: frozenset[str] = frozenset()
    said: Mapping[str, str] = field(default_factory=dict)
    """What those say that did not pass, by name."""
    touched: tuple[str, ...] = ()
    """Files of the project that the run changed or made."""
    problem: str = ""


def provided(lab: Lab, client: str) -> tuple[str, ...] | None:
    """What tests with that client need, put beside the project's environment where it lacks them; None where that is not possible."""
    own = lab.environment
    for needs in _OFFERS[client]:
        if not needs or lab.run_script(["-c", _PROBES[client]], cwd=lab.project)[0] == 0:
            return needs
        extended = environments.beside(own, needs)
        if extended is None:
            break
        lab.environment = extended
        if lab.run_script(["-c", _PROBES[client]], cwd=lab.project)[0] == 0:
            return needs
    lab.environment = own
    return None


def run_file(lab: Lab, tree: Path, entry: Entry | None, file: FileChange, needs: Sequence[str]) -> Ran:
    """Run one file of tests, which is put into the copy; by Django's own runner where nothing beside is needed."""
    place = lab.work / "regressions"
    shutil.rmtree(place, ignore_errors=True)
    copy, report = place / tree.name, place / "report.xml"
    copy_project(tree, copy)
    put(copy, [file])
    seen = _files(copy)
    root = copy / (entry.import_root if entry is not None else ".")
    module = ".".join(PurePosixPath(file.file).with_suffix("").relative_to(entry.import_root if entry is not None else ".").parts) if not needs else ""
    command = ["manage.py", "test", module, "-v", "2"] if not needs else ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:toughen", f"--junitxml={report}", file.file]
    with serve(kind_of(lab.world.server)) as server:
        box = lab.start_script(command, cwd=copy if needs else root, server=server, apart=place)
        try:
            box.finish(_SECONDS)
            output = box.output()
        finally:
            box.close()
    touched = tuple(sorted(name for name, status in _files(copy).items() if seen.get(name) != status))
    passed, bad = _by_pytest(report) if needs else _by_django(output)
    if not passed and not bad:
        lines = output.strip().splitlines()
        return Ran(problem=f"they do not run: {lines[-1][:_SHOWN] if lines else 'they take too long'}")
    return Ran(passed, bad, touched)


def _by_pytest(report: Path) -> tuple[frozenset[str], dict[str, str]]:
    try:
        cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - written by pytest in a folder of ours
    except (OSError, ET.ParseError):
        return frozenset(), {}
    bad = {str(case.get("name")): _reason(case) for case in cases if any(child.tag in {"failure", "error", "skipped"} for child in case)}
    return frozenset(str(case.get("name")) for case in cases) - bad.keys(), bad


def _reason(case: ET.Element) -> str:
    child = next(each for each in case if each.tag in {"failure", "error", "skipped"})
    return " ".join(str(child.get("message") or child.text or child.tag).split())[:_SHOWN]


def _by_django(output: str) -> tuple[frozenset[str], dict[str, str]]:
    told = dict(_TOLD.findall(output))
    passed = frozenset(name for name, word in told.items() if word == "ok")
    return passed, {name: _said(output, name) for name in told.keys() - passed}


def _said(output: str, name: str) -> str:
    """The last line of a traceback."""
    block = re.search(rf"^(?:FAIL|ERROR): {re.escape(name)} .*?^(\w[\w.]*(?:Error|Exception|Exist)\b[^\n]*)", output, re.MULTILINE | re.DOTALL)
    return block.group(1)[:_SHOWN] if block else "it fails"


def _files(root: Path) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for place in root.rglob("*"):
        if "__pycache__" in place.parts or not place.is_file():
            continue
        status = place.stat()
        found[place.relative_to(root).as_posix()] = status.st_mtime_ns, status.st_size
    return found
