"""Owns the packages of an environment: which are installed, by whose choice, and which of them a process has loaded."""

from __future__ import annotations

import json
import re
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from toughen.lab.needs import text_of
from toughen.model.advisory import Package

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from toughen.lab.environment import Environment

_FRESH = 86_400
"""Seconds for which an environment that was built here holds what a new one would."""
_LIST = """
import importlib.metadata as m, json, re
found = []
for each in m.distributions():
    files = [re.split(r"(?:site|dist)-packages/", str(each.locate_file(file)))[-1] for file in each.files or () if str(file).endswith((".py", ".so"))]
    found.append([each.metadata["Name"], each.version, files, each.read_text("direct_url.json")])
print(json.dumps(found))
"""
_PIN = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*===?\s*([^\s;#,]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Installed:
    """What an environment holds."""

    packages: tuple[Package, ...]
    owners: Mapping[str, str]
    """File below site-packages -> name of the package that brought it."""

    def loaded(self, files: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """(name, version) of the packages that these loaded files belong to."""
        names = {self.owners[each] for each in files if each in self.owners}
        return tuple((each.name, each.version) for each in self.packages if each.name in names)


def installed(environment: Environment) -> Installed:
    """What its interpreter finds; folders that were installed in place are the project's own and no packages."""
    try:
        done = subprocess.run([str(environment.python), "-I", "-c", _LIST], capture_output=True, text=True, timeout=60, check=False)
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        found = []
    packages: dict[str, Package] = {}
    owners: dict[str, str] = {}
    pins = _pins(environment)
    chosen = _chosen(environment)
    for raw, version, files, origin in found:
        name = canonicalize_name(str(raw or ""))
        if not name or name in packages or "dir_info" in str(origin or ""):
            continue
        packages[name] = Package(name, str(version), stated=not chosen or pins.get(name) == str(version))
        owners.update({str(each): name for each in files})
    return Installed(tuple(sorted(packages.values(), key=lambda each: each.name)), owners)


def _chosen(environment: Environment) -> bool:
    """Whether the lab had a say in which releases are there: a fresh installation may bring others."""
    wanted = environment.wanted
    if not environment.own or wanted is None:
        return False
    try:
        old = time.time() - (environment.python.parent.parent / "complete.json").stat().st_mtime > _FRESH
    except OSError:
        old = False
    return bool(old or wanted.as_of or wanted.constraints or any(not each.startswith("Python ") for each in environment.notes))


def _pins(environment: Environment) -> dict[str, str]:
    """Releases that the project itself names."""
    wanted = environment.wanted
    if wanted is None:
        return {}
    listed = [*wanted.requirements, *wanted.locked, *(text_of(file) for file in wanted.files if file.is_file())]
    return {canonicalize_name(name): version for name, version in _PIN.findall("\n".join(listed))}
