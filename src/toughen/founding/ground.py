"""Owns the look at a project before anything is laid: its application, what it needs, its tests, its git and who hosts it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from toughen.errors import ConfigurationError
from toughen.lab.environment import cache_folder, needs
from toughen.survey import entries, read
from toughen.survey.entries import override
from toughen.survey.suite import suite

if TYPE_CHECKING:
    from toughen.model.blueprint import Entry
    from toughen.survey import Sources

HOSTS: Final = ("github", "gitlab", "none")
_MANAGERS: Final = (("uv.lock", "uv"), ("poetry.lock", "poetry"), ("pdm.lock", "pdm"), ("Pipfile.lock", "pipenv"), ("Pipfile", "pipenv"))
_OWN: Final = ("3.11", "3.12", "3.13")
"""Pythons that toughen itself runs on."""
_USUAL: Final = "3.12"
_URL: Final = re.compile(r"^\s*url\s*=\s*(?:\w+://)?(?:[^@/\s]+@)?([\w.-]+)", re.MULTILINE)
_REMOTE: Final = re.compile(r'^\[remote "([^"]+)"\]([^\[]*)', re.MULTILINE)
_LARGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Ground:
    """What was seen."""

    root: Path
    """The prototype's folder."""
    base: Path
    """Where everything is laid: git's root, else the prototype's folder."""
    git: bool
    framework: str
    app: str
    """As settings name it."""
    manager: str
    """uv, poetry, pdm, pipenv, requirements, or none."""
    locks: tuple[str, ...]
    """Files that say what is installed, relative to `base`."""
    python: str
    """What the prototype runs on."""
    tests: int
    host: str | None
    """github, gitlab or none; None where nothing tells."""
    branch: str

    @property
    def folder(self) -> str:
        """The prototype's folder below `base`, with a slash behind it; "" where it is `base` itself."""
        inner = self.root.relative_to(self.base).as_posix()
        return "" if inner == "." else f"{inner}/"

    @property
    def path(self) -> str:
        """What names the prototype's folder to a command that is started in `base`, with a blank before it."""
        inner = self.folder.rstrip("/")
        return f" {inner}" if re.fullmatch(r"[\w./-]*", inner) and inner else f" '{inner}'" if inner else ""

    @property
    def pythons(self) -> tuple[str, ...]:
        """What a machine must have: the prototype's own, and one that toughen runs on as the last."""
        return (self.python,) if self.python in _OWN else (self.python, _USUAL)


def look(root: Path, host: str | None = None) -> Ground:
    """Look at a project; nothing is executed. Raises SurveyError where it holds no application."""
    if host is not None and host not in HOSTS:
        raise ConfigurationError(f"--ci must be {', '.join(HOSTS[:-1])} or {HOSTS[-1]}, not {host!r}", subject=host)
    root = root.resolve()
    sources = read(root, cache=cache_folder() / "survey")
    entry = entries(sources)[0]
    home = PurePosixPath(entry.file).parent.as_posix()
    wanted = needs(root, sources.texts, entry.framework, home=home)
    base = next((folder for folder in (root, *root.parents) if (folder / ".git").exists()), None)
    repository = _repository(base) if base else None
    top = base or root
    locks = _locks(top, root, home)
    return Ground(
        root, top, base is not None, entry.framework, _named(sources, entry), _manager(root, home, locks), locks, wanted.python or _USUAL, suite(sources).tests,
        host or _host(top, repository), _branch(repository),
    )


def _named(sources: Sources, entry: Entry) -> str:
    """The entry as settings name it so that it is found again."""
    names = (entry.target, f"{entry.file}:{entry.target.rpartition(':')[2]}")
    for name in names:
        try:
            again = override(sources, name, [])[0]
        except ConfigurationError:
            continue
        if again.file == entry.file:
            return name
    return names[-1]


def _locks(base: Path, root: Path, home: str) -> tuple[str, ...]:
    """Files that say what is installed, the most telling first; two at most."""
    names = ("uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "requirements.txt", "requirements.lock", "Pipfile", "pyproject.toml")
    found = dict.fromkeys(place for folder in (root / home, root) for name in names if (place := folder / name).is_file())
    return tuple(each.resolve().relative_to(base).as_posix() for each in found if each.resolve().is_relative_to(base))[:2]


def _manager(root: Path, home: str, locks: tuple[str, ...]) -> str:
    folders = (root / home, root)
    for name, manager in _MANAGERS:
        if any((folder / name).is_file() for folder in folders):
            return manager
    for folder in folders:
        try:
            tools = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
        except (OSError, ValueError):
            continue
        for manager in ("poetry", "uv", "pdm"):
            if isinstance(tools, dict) and manager in tools:
                return manager
    return "requirements" if any("requirements" in each for each in locks) else "none"


# -- git, read off its files: nothing is started -------------------------------------------------------------------------


def _repository(base: Path) -> Path:
    """Where git keeps its files; a worktree's lie with those of the first one."""
    place = base / ".git"
    if place.is_file():
        place = (base / _text(place).partition("gitdir:")[2].strip()).resolve()
        common = _text(place / "commondir").strip()
        place = (place / common).resolve() if common else place
    return place


def _text(place: Path) -> str:
    try:
        return place.read_text(encoding="utf-8", errors="replace")[:_LARGEST]
    except OSError:
        return ""


def _host(base: Path, repository: Path | None) -> str | None:
    if repository is not None:
        remotes = {match.group(1): match.group(2) for match in _REMOTE.finditer(_text(repository / "config"))}
        for name in sorted(remotes, key=lambda each: each != "origin"):
            url = _URL.search(remotes[name])
            for host in ("github", "gitlab"):
                if url and host in url.group(1).lower():
                    return host
    there = [host for host, file in (("github", ".github"), ("gitlab", ".gitlab-ci.yml")) if (base / file).exists()]
    return there[0] if len(there) == 1 else None


def _branch(repository: Path | None) -> str:
    """The branch that others are merged into."""
    if repository is None:
        return "main"
    told = _text(repository / "refs" / "remotes" / "origin" / "HEAD")
    if match := re.match(r"ref: refs/remotes/origin/(\S+)", told):
        return match.group(1)
    now = re.match(r"ref: refs/heads/(\S+)", _text(repository / "HEAD"))
    if now and now.group(1) in {"main", "master", "trunk"}:
        return now.group(1)
    return "master" if (repository / "refs" / "heads" / "master").exists() and not (repository / "refs" / "heads" / "main").exists() else "main"
