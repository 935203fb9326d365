"""Owns the Python interpreters on this machine: which there are, and which one a project of some day was written for."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from toughen.lab.distributions import supported

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"
_RELEASED = {
    "3.9": "2020-10-05", "3.10": "2021-10-04", "3.11": "2022-10-24", "3.12": "2023-10-02", "3.13": "2024-10-07", "3.14": "2025-10-07",
}
"""Day of the first release (peps.python.org, release schedules)."""
_MANAGERS = (("PYENV_ROOT", "~/.pyenv", "versions"), ("ASDF_DATA_DIR", "~/.asdf", "installs/python"), ("MISE_DATA_DIR", "~/.local/share/mise", "installs/python"))
"""Version managers: the variable that names their folder, its usual place, and where in it the interpreters lie."""


@cache
def find(version: str) -> str | None:
    """What to give uv as `--python` for that version (`3.9`): its number, or the path of one that only a manager knows."""
    if version == OWN:
        return version
    for variable, usual, inside in _MANAGERS:
        base = Path(os.environ.get(variable) or Path(usual).expanduser()) / inside
        for folder in sorted(base.glob(f"{version}.*"), reverse=True):
            if _runs(folder / "bin" / "python", version):
                return str(folder / "bin" / "python")
    for place in os.environ.get("PATH", "").split(os.pathsep):
        if place and _runs(Path(place) / f"python{version}", version):
            return str(Path(place) / f"python{version}")
    return None


def _runs(python: Path, version: str) -> bool:
    """Whether that file is an interpreter of the version; a manager's stand-in may answer that it has none."""
    if not python.exists():
        return False
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True, text=True, timeout=20, check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def choose(wanted: str | None, as_of: str | None) -> tuple[str, str | None]:
    """The version to build with, and a note: the one that the project names, else the newest one of its last commit's day."""
    if wanted is not None and wanted != OWN:
        if supported(wanted) and find(wanted):
            return wanted, None
        return OWN, f"Python {wanted} is what the project names; it is not on this machine, so {OWN} is used"
    if wanted is None and as_of is not None and as_of < _RELEASED.get(OWN, ""):
        known = [version for version, day in _RELEASED.items() if day <= as_of] or ["3.9"]
        found = next((version for version in reversed(known) if supported(version) and find(version)), None)
        if found is not None:
            return found, f"Python {found}: {OWN} was not out on {as_of}, the day of the last commit"
    return OWN, None


def older(than: str) -> str | None:
    """The oldest interpreter on this machine that the agent runs under and that is older than this one."""
    minor = int(than.partition(".")[2])
    return next((version for version in _RELEASED if int(version.partition(".")[2]) < minor and find(version)), None)
