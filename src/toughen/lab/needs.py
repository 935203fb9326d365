"""Owns what a project says that it needs: packages, Python, and the day that unpinned requirements speak of."""

from __future__ import annotations

import ast
import codecs
import json
import re
import subprocess
import sys
import tomllib
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from toughen import syntax
from toughen.lab.distributions import COMPANIONS, distribution_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_PINNED = re.compile(r"^[ \t]*([A-Za-z0-9._-]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Needs:
    """What the project says that it needs."""

    origin: str
    files: tuple[Path, ...] = ()
    """Requirement files, given to uv as they stand."""
    requirements: tuple[str, ...] = ()
    """Requirement lines beside the files."""
    constraints: tuple[str, ...] = ()
    locked: tuple[str, ...] = ()
    """What its lock file says was installed, as constraints: given up where they do not install here."""
    python: str | None = None
    notes: tuple[str, ...] = ()
    as_of: str | None = None
    """Day of the project's last commit (`2025-12-14`): unpinned packages are resolved as they were then."""
    later: tuple[str, ...] = ()
    """Packages that may be of a later day."""


def text_of(file: Path) -> str:
    """The text of a file in whatever Unicode encoding it was saved (a PowerShell redirection writes UTF-16)."""
    raw = file.read_bytes()
    encoding = "utf-16" if raw[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} else "utf-8-sig"
    return raw.decode(encoding, errors="replace")


def needs(root: Path, texts: Mapping[str, str], framework: str, *, home: str = "") -> Needs:
    """Read what the project needs: requirement files, pyproject (PEP 621, poetry, groups), Pipfile, else its imports.

    `home` is the folder of its entry, relative to the root: what lies nearest to it counts.
    """
    folders = folders_above(root, home)
    readers = (_from_requirements, _from_pyproject, _from_pipfile)
    found: Needs | None = next((read for folder in folders for reader in readers if (read := reader(folder, root)) is not None), None)
    imports = _third_party(texts)
    if found is not None and not found.files:
        found = replace(found, locked=_locked((root / found.origin).parent))
    if found is None:
        wanted = sorted({distribution_of(name) for name in imports} | {distribution_of(framework)})
        found = Needs("the imports of its source", requirements=tuple(wanted))
    named = {_PINNED.match(line).group(1).lower() for line in found.requirements if _PINNED.match(line)}  # type: ignore[union-attr]
    listed = named | {
        match.group(1).lower() for file in found.files for match in _PINNED.finditer(text_of(file))
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
        python=found.python or next((said for folder in folders if (said := _wanted_python(folder)) is not None), None),
        as_of=_last_commit(root),
    )


def folders_above(root: Path, home: str) -> list[Path]:
    """The folder of an entry and those above it, up to the project's root."""
    place = Path(home)
    return [root / each for each in (place, *place.parents)] if ".." not in place.parts and not place.is_absolute() else [root]


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
    if pin.is_file() and (match := re.match(r"\s*(3\.\d+)", text_of(pin))):
        return match.group(1)
    docker = root / "Dockerfile"
    if docker.is_file() and (match := re.search(r"^FROM\s+(?:\S*/)?python:(3\.\d+)", text_of(docker), re.MULTILINE | re.IGNORECASE)):
        return match.group(1)
    return None


def _held(found: Needs) -> set[str]:
    """Names that the project pins itself, directly or in a compiled requirements file."""
    text = "\n".join([*found.requirements, *found.locked, *(text_of(file) for file in found.files)])
    return {match.group(1).lower() for match in re.finditer(r"^[ \t]*([A-Za-z0-9._-]+)(?:\[[^\]]*\])?[ \t]*[=<~!>]=?", text, re.MULTILINE)}


def _from_requirements(folder: Path, root: Path) -> Needs | None:
    names = ("requirements.txt", "requirements/base.txt", "requirements/prod.txt", "requirements/production.txt", "requirements.in", "requirement.txt")
    main = next((folder / name for name in names if (folder / name).is_file()), None)
    if main is None:
        return None
    return Needs(main.relative_to(root).as_posix(), files=(main,))


def _from_pyproject(folder: Path, root: Path) -> Needs | None:
    file = folder / "pyproject.toml"
    if not file.is_file():
        return None
    try:
        data = tomllib.loads(text_of(file))
    except tomllib.TOMLDecodeError:
        return None
    project = data.get("project", {})
    lines = [line for line in project.get("dependencies", []) if isinstance(line, str)]
    poetry = data.get("tool", {}).get("poetry", {}).get("dependencies", {})
    for name, value in poetry.items():
        if name.lower() == "python":
            continue
        lines.append(_poetry_line(name, value))
    if not lines:
        return None
    return Needs(file.relative_to(root).as_posix(), requirements=tuple(lines), python=_bounded(f"{project.get('requires-python', '')} {poetry.get('python', '')}"))


def _locked(folder: Path) -> tuple[str, ...]:
    """The releases in the lock file of poetry, uv, pdm or pipenv; of several of one package none."""
    pins: dict[str, set[str]] = {}
    for name in ("poetry.lock", "uv.lock", "pdm.lock", "Pipfile.lock"):
        with suppress(OSError, ValueError, AttributeError):
            if name.startswith("Pipfile"):
                held = json.loads(text_of(folder / name))["default"].items()
                listed = [(package, str(each.get("version", "")).removeprefix("==")) for package, each in held]
            else:
                listed = [(each.get("name"), each.get("version")) for each in tomllib.loads(text_of(folder / name))["package"]]
            for package, version in listed:
                if re.fullmatch(r"[A-Za-z0-9._-]+", str(package)) and re.fullmatch(r"\d[\w.!+-]*", str(version)):
                    pins.setdefault(str(package).lower(), set()).add(str(version))
            break
    return tuple(f"{package}=={versions.pop()}" for package, versions in pins.items() if len(versions) == 1)


def _bounded(said: str) -> str | None:
    """The Python that a range asks for, None where this one lies in it: the day of the last commit knows better than a lower bound."""
    exact = re.search(r"(?:^|[\s\"'=])(?:==|~=?)?\s*(3\.\d+)", said) if not re.search(r"[\^<>]", said) else None
    if exact:
        return exact.group(1)
    lowest = [int(minor) for minor in re.findall(r"(?:\^|>=?)\s*3\.(\d+)", said)]
    above = [int(minor) for minor in re.findall(r"<\s*3\.(\d+)", said)] + [int(minor) + 1 for minor in re.findall(r"<=\s*3\.(\d+)", said)]
    if above and min(above) <= sys.version_info[1]:
        return f"3.{min(above) - 1}"
    return f"3.{max(lowest)}" if lowest and max(lowest) > sys.version_info[1] else None


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


def _from_pipfile(folder: Path, root: Path) -> Needs | None:
    file = folder / "Pipfile"
    if not file.is_file():
        return None
    try:
        packages = tomllib.loads(text_of(file)).get("packages", {})
    except tomllib.TOMLDecodeError:
        return None
    return Needs(file.relative_to(root).as_posix(), requirements=tuple(_poetry_line(name, value) for name, value in packages.items()))


def _third_party(texts: Mapping[str, str]) -> frozenset[str]:
    """Top-level names that the source imports and that are neither its own nor the standard library's."""
    own = {part for file in texts for part in (*Path(file).parts[:-1], Path(file).stem)}
    names: set[str] = set()
    for file, text in texts.items():
        if re.search(r"(^|/)(tests?|docs|examples?)/|(^|/)(test_[^/]*|conftest|setup)\.py$", file):
            continue
        tree = syntax.tree(text)
        if tree is None:
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
