"""Owns the tests' own option, running the command on small prototypes, and looking for what it leaves behind."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# No test asks the world's database of vulnerabilities: pip-audit finds a closed port, at once.
os.environ["PIP_AUDIT_VULNERABILITY_SERVICE"] = "osv"
os.environ["PIP_AUDIT_OSV_URL"] = "http://127.0.0.1:9/v1/query"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of tests/lab/agent here: pytest asks no conftest for options that lies deeper than the tests' root."""
    parser.addoption("--agent-python", metavar="PATH", default=sys.executable, help="interpreter that runs the agent in tests/lab/agent")


@dataclass(frozen=True)
class Prototype:
    """A project of a user's, with an environment that imports what the tests import."""

    root: Path

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "toughen", arguments[0], *arguments[1:]]

    def toughen(self, *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run `toughen ARGUMENTS` in the folder above the project."""
        return subprocess.run(
            self.command(*arguments), cwd=self.root.parent, capture_output=True, text=True, timeout=seconds, check=False
        )

    def digest(self) -> dict[str, str]:
        """Every file of the project but `.toughen/`, with its mode and content."""
        return {
            str(path.relative_to(self.root)): f"{path.lstat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and path.relative_to(self.root).parts[0] not in {".toughen", ".venv"}
        }

    def left_behind(self) -> list[str]:
        """Processes and throw-away folders of this project that are still there."""
        found = []
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and int(process.name) != os.getpid():
                try:
                    place = str((process / "cwd").readlink())
                except OSError:
                    continue
                if self.root.name in place or place == str(self.root.parent):
                    found.append(f"process {process.name} in {place}")
        for folder in (Path("/dev/shm"), Path("/tmp"), Path(os.environ.get("TMPDIR", "/tmp"))):
            found += [str(each) for each in folder.glob(f"toughen-*/world/{self.root.name}")]
        return found


@pytest.fixture
def prototype(tmp_path: Path) -> Callable[[Mapping[str, str]], Prototype]:
    """Write a project. Its `.venv` is this interpreter's environment, so that nothing has to be installed."""

    def write(files: Mapping[str, str]) -> Prototype:
        root = tmp_path / f"prototype_{os.urandom(4).hex()}"
        root.mkdir()
        for name, text in files.items():
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        (root / ".venv").symlink_to(sys.prefix)
        return Prototype(root)

    return write
