"""Owns the workflow of GitHub Actions that is laid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen.founding.laid import Laid, changed, template
from toughen.version import __version__

if TYPE_CHECKING:
    from toughen.founding.ground import Ground

FILE = ".github/workflows/toughen.yml"
_STORED = "      - uses: actions/upload-artifact@"


def laid(ground: Ground) -> Laid:
    """The workflow, where GitHub is the host."""
    if not ground.git:
        return Laid(FILE, "not written: this folder is in no git repository")
    if ground.host is None:
        return Laid(FILE, "not written: nothing tells that GitHub is the host; `--ci github` says so")
    if (ground.base / FILE).exists():
        return Laid(FILE, "is there already")
    other = _other(ground)
    if other:
        return Laid(other, "runs the gate already")
    return changed(FILE, "the gate for each pull request", "", text(ground))


def _other(ground: Ground) -> str:
    """A workflow that its owner wrote himself."""
    for place in sorted((ground.base / ".github" / "workflows").glob("*.y*ml")):
        if place.is_file() and b"toughen gate" in place.read_bytes()[: 1 << 20]:
            return place.relative_to(ground.base).as_posix()
    return ""


def text(ground: Ground) -> str:
    """The workflow's text."""
    pythons = [f'"{each}"' for each in ground.pythons]
    python = pythons[0] if len(pythons) == 1 else "|\n" + "\n".join(f"            {each}" for each in ground.pythons)
    locks = ground.locks or (f"{ground.folder}requirements*.txt", f"{ground.folder}pyproject.toml")
    filled = template(
        "github.yml", version=__version__, branch=_plain(ground.branch), python=python, path=ground.path, folder=ground.folder, locks=", ".join(f"'{each}'" for each in locks)
    )
    if ground.folder:
        # Places in the report are those of the prototype's folder, and alerts want those of the repository.
        filled = filled[: filled.index(_STORED)]
    return filled


def _plain(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and not name.isdigit() else '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
