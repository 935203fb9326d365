"""Owns what a patch from outside may touch: the prototype's own source, and never what decides whether it is accepted."""

from __future__ import annotations

import ast
import re
import tomllib
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from toughen.model.patch import FileChange
    from toughen.model.trial import Experiment

MOST_FILES = 40
_SAMPLES = {".env.example", ".env.sample", ".env.template", ".env.dist"}
_FOREIGN = {"venv", "env", "node_modules", "__pycache__", "site-packages"}
_STEERS = {"conftest.py", "pytest.ini", "tox.ini", "setup.cfg", "noxfile.py", "sitecustomize.py", "usercustomize.py"}
_TEST = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test|tests)\.py$|(?:^|/)tests?/")
_PLAIN_NEED = re.compile(r"[A-Za-z0-9][\w.-]*(?:\[[\w,. -]*\])?\s*(?:[<>=~!]=?=?[^;#@/\\]*)?(?:;[^@/\\]*)?(?:#.*)?(?:--hash=\S+\s*)*\\?", re.ASCII)
_HASH = re.compile(r"--hash=\w+:[0-9a-f]+\s*\\?")
_REQUIREMENTS = re.compile(r"(?:^|/)(?:[\w.-]*requirements[\w.-]*\.(?:txt|in)|requirements/[\w.-]+\.(?:txt|in)|constraints[\w.-]*\.txt)$")
_NUMBER = re.compile(r"(?<![\w.,])\d[\d,]*(?![\w.])")
_TELLING, _STATUSES, _WORDS = 6, 600, 10**6
"""Characters of a text that tells where it is from; numbers that are no status and no bound of a machine word."""
_WORD = re.compile(r"toughen", re.IGNORECASE)
_TABLES = ("toughen", "pytest", "coverage", "uv", "pip", "pdm", "tox", "hatch")
"""Tables of pyproject.toml that say how it is judged, or where packages come from."""


def is_test(file: str) -> bool:
    """Whether a file belongs to the prototype's own tests."""
    return _TEST.search(file) is not None


def name_fault(root: Path, name: str) -> str:
    """Why a patch may not touch a file of this name; "" where it may."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or not name.isprintable():
        return f"{name!r} lies outside the project"
    base = path.name
    hidden = next((each for each in path.parts if each.startswith(".")), None)
    if hidden is not None and not (hidden == base and base in _SAMPLES):
        return f"{name} is hidden: settings, secrets and records ({hidden}) are not a patch's to write"
    foreign = next((each for each in path.parts[:-1] if each in _FOREIGN), None)
    if foreign is not None:
        return f"{name} is not the project's own source"
    if base.lower().startswith("toughen"):
        return f"{name} is a setting of toughen's: what decides about a patch is not the patch's to change"
    if base in _STEERS or base.endswith(".pth"):
        return f"{name} decides how the project or its tests are run: that is not a patch's to change"
    place = root
    for part in path.parts:
        place /= part
        if place.is_symlink():
            return f"{place.relative_to(root).as_posix()} is a link"
    if place.exists() and not place.is_file():
        return f"{name} is not a file"
    if not place.resolve().is_relative_to(root.resolve()):
        return f"{name!r} lies outside the project"
    return ""


def content_fault(changes: Sequence[FileChange]) -> str:
    """Why a patch may not change what it changes; "" where it may."""
    if not changes:
        return "it changes nothing"
    if len(changes) > MOST_FILES:
        return f"it touches {len(changes)} files: a mend of one finding is small"
    return next(filter(None, map(_fault, changes)), "")


def _fault(change: FileChange) -> str:
    file, before, after = change.file, change.before, change.after
    if before and not after.strip():
        return f"it empties {file}: a mend deletes no file"
    if any(_WORD.search(line) for line in added(change)):
        return f"it speaks of toughen in {file}: mended code does not know who tests it"
    if PurePosixPath(file).name == "pyproject.toml":
        return _settings_fault(file, before, after)
    if _REQUIREMENTS.search(file):
        strange = next((line for line in added(change) if not plain_need(line)), None)
        return f"it has packages taken from elsewhere ({file}: {strange.strip()[:80]!r})" if strange is not None else ""
    if is_test(file) and before:
        lost = _lost(before, after) if file.endswith(".py") else "what they read"
        return f"it changes the project's own tests ({file}: {lost}): tests may be added; one that asserts the break itself is yours to change first" if lost else ""
    return ""


def added(change: FileChange) -> Iterator[str]:
    """The lines that a change brings in."""
    known = set(change.before.splitlines())
    return (line for line in change.after.splitlines() if line not in known)


def plain_need(line: str) -> bool:
    """Whether a line of a requirements file names a package by its name, and says nothing else."""
    text = line.strip()
    return not text or text.startswith("#") or _PLAIN_NEED.fullmatch(text) is not None or _HASH.fullmatch(text) is not None


def _settings_fault(file: str, before: str, after: str) -> str:
    try:
        old, new = (tomllib.loads(each) for each in (before, after))
    except tomllib.TOMLDecodeError as error:
        return f"{file} can no longer be read: {error}"
    changed = next((each for each in _TABLES if _tool(old).get(each) != _tool(new).get(each)), None)
    if changed is not None:
        return f"it changes [tool.{changed}] of {file}: what decides about a patch is not the patch's to change"
    if old.get("build-system") != new.get("build-system"):
        return f"it changes [build-system] of {file}, which runs when the project is installed"
    known = set(needs(old))
    strange = next((each for each in needs(new) if each not in known and not plain_need(each)), None)
    return f"it has packages taken from elsewhere ({file}: {strange[:80]!r})" if strange is not None else ""


def _tool(document: dict[str, Any]) -> dict[str, Any]:
    found = document.get("tool")
    return found if isinstance(found, dict) else {}


def needs(document: dict[str, Any]) -> Iterator[str]:
    """Requirements that a pyproject.toml names, in the standard's words and poetry's."""
    project = document.get("project")
    named = project.get("dependencies") if isinstance(project, dict) else None
    yield from map(str, named if isinstance(named, list) else ())
    poetry = _tool(document).get("poetry")
    table = poetry.get("dependencies") if isinstance(poetry, dict) else None
    for name, wanted in table.items() if isinstance(table, dict) else ():
        # A table may hold an address: as text it is no plain need.
        yield str(name) if isinstance(wanted, str) else f"{name} @ {wanted}"


def names(changes: Iterable[FileChange]) -> tuple[str, ...]:
    """Packages that changed files of requirements name, or name otherwise than before."""
    found: dict[str, None] = {}
    for change in changes:
        if _REQUIREMENTS.search(change.file):
            lines = [each.strip() for each in added(change) if each.strip() and not each.strip().startswith(("#", "-"))]
        elif PurePosixPath(change.file).name == "pyproject.toml":
            known = set(needs(tomllib.loads(change.before)))
            lines = [each for each in needs(tomllib.loads(change.after)) if each not in known]
        else:
            continue
        found |= {match.group().lower(): None for line in lines if (match := re.match(r"[A-Za-z0-9][\w.-]*", line)) and match.group() != "python"}
    return tuple(found)


def _lost(before: str, after: str) -> str:
    """What a file of tests no longer has as it was, or has twice so that the later one counts; "" where it was only added to."""
    try:
        old, new = ast.parse(before), ast.parse(after)
    except (SyntaxError, ValueError):
        return "it cannot be read"
    return _less(old.body, new.body)


def _less(old: Sequence[ast.stmt], new: Sequence[ast.stmt]) -> str:
    imported = {each for node in new for each in _imports(node)}
    rest = iter([node for node in new if not _imports(node)])
    for node in old:
        names_of = _imports(node)
        if names_of:
            if not set(names_of) <= imported:
                return f"line {node.lineno}"
            continue
        wanted = ast.dump(node)
        for found in rest:
            if ast.dump(found) == wanted:
                break
            if isinstance(node, ast.ClassDef) and isinstance(found, ast.ClassDef) and _head(node) == _head(found):
                inner = _less(node.body, found.body)
                if inner:
                    return inner
                break
        else:
            return str(getattr(node, "name", f"line {node.lineno}"))
    twice = [each for each in _defined(new) if _defined(new).count(each) > max(1, _defined(old).count(each))]
    return f"{twice[0]} is there twice" if twice else ""


def _imports(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Import):
        return [f"{each.name} {each.asname}" for each in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.level} {node.module} {each.name} {each.asname}" for each in node.names]
    return []


def _head(node: ast.ClassDef) -> list[str]:
    return [node.name, *(ast.dump(each) for each in (*node.bases, *node.keywords, *node.decorator_list))]


def _defined(body: Sequence[ast.stmt]) -> list[str]:
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)]


def echoed(changes: Iterable[FileChange], experiment: Experiment, message: str, sources: str) -> str:
    """A value that the attack alone sends or shows, in code that a patch brings: such code knows the one request that it is tried by. "" where there is none.

    Statuses and bounds of machine words are nobody's alone, and neither is what the project's `sources` held before.
    """
    hostile: set[str | int] = set()
    for name, trial in experiment.trials.items():
        if name != "control":
            hostile |= set(_values(asdict(trial)))
    hostile |= {int(each.replace(",", "")) for each in _NUMBER.findall(message)}
    hostile -= set(_values(asdict(experiment.trials["control"])))
    words = {each for each in hostile if isinstance(each, str) and len(each) >= _TELLING and each not in sources}
    numbers = {each + by for each in hostile if isinstance(each, int) and _STATUSES <= each <= _WORDS for by in (-1, 0, 1)}
    for change in changes:
        if change.file.endswith(".py"):
            before = {each for each, _ in _constants(change.before)}
            for value, line in _constants(change.after):
                if value not in before and (value in words or (value in numbers and str(value) not in sources)):
                    return f"it holds {value!r} ({change.file}:{line}), which belongs to the one attack that it is tried by: a mend holds for every value"
    return ""


def _values(value: object) -> Iterator[str | int]:
    match value:
        case dict():
            for each in value.values():
                yield from _values(each)
        case list() | tuple():
            for each in value:
                yield from _values(each)
        case str() | int() if not isinstance(value, bool):
            yield value


def _constants(text: str) -> Iterator[tuple[str | int, int]]:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str | int) and not isinstance(node.value, bool):
            yield node.value, node.lineno
