"""Owns the prototype's Python environment: an existing one, or one built by uv from whatever the project says it needs."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

from toughen.errors import EnvironmentFailedError
from toughen.lab.distributions import COMPANIONS, distribution_of, supported

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

INSTALL_SECONDS = 600
"""Longest time that one uv command may take."""
_SHOWN = 1500
_PINNED = re.compile(r"^[ \t]*([A-Za-z0-9._-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter that can import what the prototype imports."""

    python: Path
    version: str
    """`3.11`."""
    origin: str
    """What it was made from, in words."""
    cached: bool
    notes: tuple[str, ...] = ()
    own: bool = True
    """False for the user's own environment, which is never installed into."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What the project says that it needs."""

    origin: str
    files: tuple[Path, ...] = ()
    """Requirement files, given to uv as they stand."""
    requirements: tuple[str, ...] = ()
    """Requirement lines beside the files."""
    constraints: tuple[str, ...] = ()
    python: str | None = None
    notes: tuple[str, ...] = ()
    as_of: str | None = None
    """Day of the project's last commit (`2025-12-14`): unpinned packages are resolved as they were then."""


def cache_folder() -> Path:
    """The folder where built environments are kept between runs (`XDG_CACHE_HOME` is respected)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "toughen"


def existing(root: Path, framework: str) -> Environment | None:
    """The project's own virtual environment, if it can import the framework."""
    for name in (".venv", "venv", "env"):
        python = root / name / "bin" / "python"
        if not (root / name / "pyvenv.cfg").is_file() or not python.exists():
            continue
        probe = f"import sys, {framework}; print('%d.%d' % sys.version_info[:2])"
        try:
            done = subprocess.run(
                [str(python), "-I", "-c", probe], capture_output=True, text=True, timeout=60, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0 and supported(done.stdout.strip()):
            return Environment(python, done.stdout.strip(), f"the project's own {name}", cached=True, own=False)
    return None


def needs(root: Path, texts: Mapping[str, str], framework: str) -> Needs:
    """Read what the project needs: requirement files, pyproject (PEP 621, poetry, groups), Pipfile, else its imports."""
    found = _from_requirements(root) or _from_pyproject(root) or _from_pipfile(root)
    imports = _third_party(texts)
    if found is None:
        wanted = sorted({distribution_of(name) for name in imports} | {distribution_of(framework)})
        found = Needs("the imports of its source", requirements=tuple(wanted))
    named = {_PINNED.match(line).group(1).lower() for line in found.requirements if _PINNED.match(line)}  # type: ignore[union-attr]
    listed = named | {
        match.group(1).lower() for file in found.files for match in _PINNED.finditer(file.read_text(errors="replace"))
    }
    constraints, notes = [], list(found.notes)
    for package, (companion, reason) in COMPANIONS.items():
        held = re.split(r"[<>=!~\[ ]", companion)[0].lower()
        if (package in listed or package in imports) and held not in _held(found):
            constraints.append(companion)
            notes.append(f"held {companion}: {reason}")
    return replace(
        found,
        constraints=tuple(constraints),
        notes=tuple(notes),
        python=found.python or _wanted_python(root),
        as_of=_last_commit(root),
    )


def build(wanted: Needs, *, cache: Path | None = None) -> Environment:
    """Build (or find in the cache) the environment for these needs.

    Raises EnvironmentFailedError with uv's own words when nothing can be installed.
    """
    folder = (cache or cache_folder()) / "environments"
    notes = list(wanted.notes)
    version, note = _choose_python(wanted.python)
    if note:
        notes.append(note)
    digest = hashlib.blake2b(digest_size=12)
    for part in (version, wanted.as_of or "", *wanted.requirements, *wanted.constraints, *(p.read_text(errors="replace") for p in wanted.files)):
        digest.update(part.encode() + b"\0")
    place = folder / digest.hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / f"{digest.hexdigest()}.lock"):
        marker = place / "complete.json"
        python = place / "bin" / "python"
        if marker.is_file() and python.exists():
            return Environment(python, version, wanted.origin, cached=True, notes=(*notes, *json.loads(marker.read_text())["notes"]))
        extra = _install(place, python, version, wanted)
        marker.write_text(json.dumps({"notes": extra}))
    return Environment(python, version, wanted.origin, cached=False, notes=(*notes, *extra))


def missing(said: str) -> str | None:
    """The package that an import error asks for: what it says to install, else the module that it did not find."""
    if match := re.search(r"pip install ['\"]?(?:-\S+ )*([A-Za-z0-9][\w.\-]*(?:\[[\w,.\-]+\])?)", said):
        return match.group(1)
    if match := re.search(r"\b([a-z][\w.\-]*) (?:must be|is not|needs to be) installed", said):
        return distribution_of(match.group(1))
    if match := re.search(r"No module named ['\"]([A-Za-z_]\w*)", said):
        return distribution_of(match.group(1))
    return None


def extend(environment: Environment, package: str) -> Environment | None:
    """Add one package that the prototype turned out to need; None where that is not possible."""
    if not environment.own or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._,-]+\])?", package):
        return None
    place = environment.python.parent.parent
    note = f"added {package}, which the source needs and its requirements do not name"
    with _locked(place.with_suffix(".lock")):
        marker = place / "complete.json"
        kept = json.loads(marker.read_text())["notes"]
        if note in kept:
            return None
        if _uv("pip", "install", "--python", str(environment.python), package) is not None:
            return None
        marker.write_text(json.dumps({"notes": [*kept, note]}))
    return replace(environment, notes=(*environment.notes, note))


def _install(place: Path, python: Path, version: str, wanted: Needs) -> list[str]:
    """Install the needs as pinned, else without the pins of what fails; returns what had to be given up."""
    notes: list[str] = []
    shutil.rmtree(place, ignore_errors=True)
    failed = _uv("venv", "--python", version, str(place))
    if failed is not None:
        message = f"no Python {version} to build the environment with"
        raise EnvironmentFailedError(message, subject=version, hint=failed[-_SHOWN:])
    limits = place / "constraints.txt"
    limits.write_text("\n".join(wanted.constraints))
    lines = list(wanted.requirements)
    dated = ["--exclude-newer", wanted.as_of] if wanted.as_of else []
    files = [part for file in wanted.files for part in ("-r", str(file))]
    for _ in range(12):
        listed = place / "requirements.txt"
        listed.write_text("\n".join(lines))
        failed = _uv("pip", "install", "--python", str(python), *files, "-r", str(listed), "-c", str(limits), *dated)
        if failed is None:
            return [*notes, f"packages as of {wanted.as_of}, the day of the last commit"] if dated else notes
        if dated:
            dated = []
            notes.append(f"packages as of {wanted.as_of}, the day of the last commit, do not install on Python {version}: took current ones")
            continue
        lost = re.search(r"Because ([A-Za-z0-9._-]+) was not found|`?([A-Za-z0-9._-]+)`? was not found in the package registry", failed)
        name = (lost.group(1) or lost.group(2)) if lost else None
        kept = [line for line in lines if name is None or re.split(r"[<>=!~\[ ]", line)[0].lower() != name.lower()]
        if files and name is None:
            # Pins from another year may not build here: the same packages, without their pins.
            lines = [m.group(0).strip() for file in wanted.files for m in re.finditer(r"^[ \t]*[A-Za-z0-9._-]+(\[[^\]]*\])?", file.read_text(errors="replace"), re.MULTILINE)]
            files = []
            notes.append(f"the pinned versions do not install on Python {version}; took current ones ({_reason(failed)})")
            continue
        if len(kept) == len(lines):
            break
        lines = kept
        notes.append(f"left out {name}: no such package")
    shutil.rmtree(place, ignore_errors=True)
    message = f"its packages could not be installed (from {wanted.origin})"
    raise EnvironmentFailedError(message, subject=wanted, hint=(failed or "")[-_SHOWN:])


def _reason(text: str) -> str:
    lines = [line.strip(" ╰─▶\N{MULTIPLICATION SIGN}") for line in text.splitlines() if line.strip()]
    return (lines[-1] if lines else "no reason given")[:160]


def _uv(*arguments: str) -> str | None:
    """Run uv; None when it succeeded, else what it said."""
    environment = {key: value for key, value in os.environ.items() if key not in {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}}
    environment["UV_PYTHON_DOWNLOADS"] = "never"
    try:
        done = subprocess.run(
            [find_uv_bin(), "--no-progress", "--no-config", *arguments],
            capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False, env=environment,
        )
    except subprocess.TimeoutExpired:
        return f"uv {arguments[0]} took longer than {INSTALL_SECONDS} s"
    return None if done.returncode == 0 else done.stderr


def _choose_python(wanted: str | None) -> tuple[str, str | None]:
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if wanted is None or wanted == own:
        return own, None
    if supported(wanted) and _uv("python", "find", "--no-project", wanted) is None:
        return wanted, None
    return own, f"Python {wanted} is what the project names; it is not on this machine, so {own} is used"


def _last_commit(root: Path) -> str | None:
    """Day after the last commit, so that unpinned requirements mean what they meant when they were written."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "log", "-1", "--format=%cs", "--", "."],  # noqa: S607
            capture_output=True, text=True, timeout=20, check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if re.fullmatch(r"20\d\d-\d\d-\d\d", done.stdout.strip()) else None


def _wanted_python(root: Path) -> str | None:
    pin = root / ".python-version"
    if pin.is_file() and (match := re.match(r"\s*(3\.\d+)", pin.read_text(errors="replace"))):
        return match.group(1)
    docker = root / "Dockerfile"
    if docker.is_file() and (match := re.search(r"^FROM\s+(?:\S*/)?python:(3\.\d+)", docker.read_text(errors="replace"), re.MULTILINE | re.IGNORECASE)):
        return match.group(1)
    return None


def _held(found: Needs) -> set[str]:
    """Names that the project pins itself, directly or in a compiled requirements file."""
    text = "\n".join([*found.requirements, *(file.read_text(errors="replace") for file in found.files)])
    return {match.group(1).lower() for match in re.finditer(r"^[ \t]*([A-Za-z0-9._-]+)(?:\[[^\]]*\])?[ \t]*[=<~!>]=?", text, re.MULTILINE)}


def _from_requirements(root: Path) -> Needs | None:
    names = ("requirements.txt", "requirements/base.txt", "requirements/prod.txt", "requirements/production.txt", "requirements.in")
    main = next((root / name for name in names if (root / name).is_file()), None)
    if main is None:
        return None
    return Needs(main.relative_to(root).as_posix(), files=(main,))


def _from_pyproject(root: Path) -> Needs | None:
    file = root / "pyproject.toml"
    if not file.is_file():
        return None
    try:
        data = tomllib.loads(file.read_text(errors="replace"))
    except tomllib.TOMLDecodeError:
        return None
    project = data.get("project", {})
    lines = [line for line in project.get("dependencies", []) if isinstance(line, str)]
    wanted = re.search(r"(3\.\d+)", str(project.get("requires-python", "")))
    poetry = data.get("tool", {}).get("poetry", {}).get("dependencies", {})
    for name, value in poetry.items():
        if name.lower() == "python":
            wanted = wanted or re.search(r"(3\.\d+)", str(value))
            continue
        lines.append(_poetry_line(name, value))
    if not lines:
        return None
    minimum = wanted.group(1) if wanted else None
    own = f"3.{sys.version_info[1]}"
    exact = minimum if minimum and int(minimum.split(".")[1]) > sys.version_info[1] else own
    return Needs("pyproject.toml", requirements=tuple(lines), python=exact if minimum else None)


def _poetry_line(name: str, value: object) -> str:
    extras = ""
    if isinstance(value, dict):
        extras = f"[{','.join(value['extras'])}]" if isinstance(value.get("extras"), list) else ""
        value = value.get("version", "*")
    text = str(value).strip()
    if text in {"*", ""}:
        return name + extras
    if match := re.fullmatch(r"\^(\d+)((?:\.\d+)*)", text):
        major = int(match.group(1))
        rest = match.group(2)
        upper = f"{major + 1}" if major else f"0.{int(rest.split('.')[1]) + 1}" if rest else "1"
        return f"{name}{extras}>={match.group(1)}{rest},<{upper}"
    if text[0] == "~" and text[1:2] != "=":
        return f"{name}{extras}~={text[1:]}" if "." in text else f"{name}{extras}=={text[1:]}.*"
    return f"{name}{extras}{text}" if text[0] in "<>=!~" else f"{name}{extras}=={text}"


def _from_pipfile(root: Path) -> Needs | None:
    file = root / "Pipfile"
    if not file.is_file():
        return None
    try:
        packages = tomllib.loads(file.read_text(errors="replace")).get("packages", {})
    except tomllib.TOMLDecodeError:
        return None
    return Needs("Pipfile", requirements=tuple(_poetry_line(name, value) for name, value in packages.items()))


def _third_party(texts: Mapping[str, str]) -> frozenset[str]:
    """Top-level names that the source imports and that are neither its own nor the standard library's."""
    own = {part for file in texts for part in (*Path(file).parts[:-1], Path(file).stem)}
    names: set[str] = set()
    for file, text in texts.items():
        if re.search(r"(^|/)(tests?|docs|examples?)/|(^|/)(test_[^/]*|conftest|setup)\.py$", file):
            continue
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
        names.update(_imported(tree.body))
        names.update(_imported(node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)))
    return frozenset(names - own - set(sys.stdlib_module_names) - {"__future__"})


def _imported(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
