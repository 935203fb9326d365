"""Owns the naming of a package in the prototype's own dependency files, and of the release that is wanted of it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from toughen.model.patch import FileChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_LIST = re.compile(r"""^dependencies\s*=\s*\[((?:[^\]"'#]|"[^"\n]*"|'[^'\n]*'|#[^\n]*)*)\]""", re.MULTILINE)
_ITEM = re.compile(r"""\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*""")
_REQUIREMENT = r"[ \t]*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[ \t]*(?:\[[^\]\n]*\])?[ \t]*(?P<wanted>[^;#@\n]*?)(?=[ \t]*(?:;|[ \t]#|$))"
_LINE = re.compile("^" + _REQUIREMENT, re.MULTILINE)
_QUOTED = re.compile(_REQUIREMENT)
_SETTING = re.compile(r"""^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)[ \t]*=[ \t]*(?:\{[^}\n]*version[ \t]*=[ \t]*)?["'](?P<wanted>[^"'\n]*)["']""", re.MULTILINE)
_POETRY = re.compile(r"^\[tool\.poetry\.dependencies\]\n(?:(?!\[).*\n?)*", re.MULTILINE)


def declared(companions: Sequence[tuple[str, str]], requirement: str) -> FileChange | None:
    """The first dependency file of the project with one more requirement; None where it names it already, or where a hash stands behind each."""
    for file, text in companions:
        if file.endswith((".txt", ".in")) and "requirement" in file:
            return _listed(file, text, requirement)
        if _is_project(file) and (after := _in_project(text, requirement)):
            return FileChange(file, text, after) if after != text else None
    return None


def _is_project(file: str) -> bool:
    return PurePosixPath(file).name == "pyproject.toml"


def named(text: str, requirement: str) -> bool:
    """Whether a dependency file names the package of a requirement."""
    found = _NAME.match(requirement)
    wanted = re.sub(r"[-_.]+", r"[-_.]+", found.group()) if found else requirement
    return re.search(rf"(?:^|[\"'\s]){wanted}(?![\w-])", text, re.MULTILINE | re.IGNORECASE) is not None


def raised(companions: Sequence[tuple[str, str]], package: str, version: str) -> tuple[FileChange, ...]:
    """The dependency files with a package wanted from that release on, one more line where none names it; nothing where that cannot be written.

    Who pins one release pins another; bounds above that admit it stay.
    """
    changes = []
    for file, text in companions:
        found = list(_written(file, text, package))
        if found and "--hash=" in text:
            return ()
        after = text
        for start, end in reversed(found):
            wanted = _wanted(text[start:end], version)
            if wanted is None:
                return ()
            after = after[:start] + wanted + after[end:]
        if after != text:
            changes.append(FileChange(file, text, after))
        elif found:
            return ()
    if changes:
        return tuple(changes)
    further = declared(companions, f"{package}>={version}")
    return (further,) if further is not None else ()


def places(companions: Sequence[tuple[str, str]], package: str) -> Iterator[tuple[str, int]]:
    """(file, line) of where the dependency files name a package."""
    for file, text in companions:
        yield from ((file, text.count("\n", 0, start) + 1) for start, _ in _written(file, text, package))


def _written(file: str, text: str, package: str) -> Iterator[tuple[int, int]]:
    """Where a dependency file says which releases of a package are wanted: behind its name and extras."""
    if file.endswith((".txt", ".in")) and "requirement" in file:
        yield from (match.span("wanted") for match in _LINE.finditer(text) if canonicalize_name(match["name"]) == package)
    elif _is_project(file):
        if match := _LIST.search(text):
            for item in _ITEM.finditer(text, match.start(1), match.end(1)):
                if (line := _QUOTED.match(text, item.start() + 1, item.end() - 1)) and not item.group().startswith("#") and canonicalize_name(line["name"]) == package:
                    yield line.span("wanted")
        if match := _POETRY.search(text):
            yield from (line.span("wanted") for line in _SETTING.finditer(text, match.start(), match.end()) if canonicalize_name(line["name"]) == package)


def _wanted(before: str, version: str) -> str | None:
    """What stands for the wanted releases once they begin with that one; None where it is in no known form."""
    text = before.strip()
    if match := re.fullmatch(r"([\^~]?)\d[\w.]*", text):
        # Poetry's own forms.
        return match.group(1) + version
    try:
        parts = [str(each) for each in SpecifierSet(text if text != "*" else "")]
    except InvalidSpecifier:
        return None
    if any(each.startswith("===") for each in parts):
        return None
    if any(each.startswith("==") and not each.endswith("*") for each in parts):
        return f"=={version}"
    return ",".join([f">={version}", *sorted(each for each in parts if each[0] in "<!" and SpecifierSet(each).contains(version, prereleases=True))])


def _listed(file: str, text: str, requirement: str) -> FileChange | None:
    if "--hash=" in text or named(text, requirement):
        return None
    return FileChange(file, text, text + ("" if text.endswith("\n") or not text else "\n") + requirement + "\n")


def _in_project(text: str, requirement: str) -> str:
    """The text of a pyproject.toml with the requirement, "" where it lists none."""
    if match := _LIST.search(text):
        if named(match.group(1), requirement):
            return text
        return text[: match.start(1)] + _joined(match.group(1), f'"{requirement}"') + text[match.end(1) :]
    if match := _POETRY.search(text):
        if named(match.group(0), requirement):
            return text
        found = _NAME.match(requirement)
        assert found is not None
        at = match.start() + len(match.group(0).rstrip())
        return text[:at] + f'\n{found.group()} = "{requirement[found.end():] or "*"}"' + text[at:]
    return ""


def _joined(inside: str, item: str) -> str:
    """What stands in a list's brackets with one item more, on a line of its own where the others have theirs."""
    last = next((each for each in reversed(list(_ITEM.finditer(inside))) if not each.group().startswith("#")), None)
    if last is None:
        return item + inside
    before, behind = inside[: last.end()], inside[last.end() :]
    comma = "" if behind.lstrip().startswith(",") else ","
    indent = re.search(r"\n([ \t]+)\S", inside)
    if indent is None:
        return f"{before}{comma} {item}{behind}" if comma else f"{before}, {item}{behind}"
    line, end, rest = behind.partition("\n")
    return f"{before}{comma}{line}\n{indent.group(1)}{item},{end}{rest}"
