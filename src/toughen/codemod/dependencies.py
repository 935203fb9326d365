"""Owns the naming of a package in the prototype's own dependency file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.model.patch import FileChange

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
_LIST = re.compile(r"""^dependencies\s*=\s*\[((?:[^\]"'#]|"[^"\n]*"|'[^'\n]*'|#[^\n]*)*)\]""", re.MULTILINE)
_ITEM = re.compile(r"""\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*""")
_POETRY = re.compile(r"^\[tool\.poetry\.dependencies\]\n(?:(?!\[).*\n?)*", re.MULTILINE)


def declared(companions: Sequence[tuple[str, str]], requirement: str) -> FileChange | None:
    """The first dependency file of the project with one more requirement; None where it names it already, or where a hash stands behind each."""
    for file, text in companions:
        if file.endswith((".txt", ".in")) and "requirement" in file:
            return _listed(file, text, requirement)
        if file == "pyproject.toml" and (after := _in_project(text, requirement)):
            return FileChange(file, text, after) if after != text else None
    return None


def named(text: str, requirement: str) -> bool:
    """Whether a dependency file names the package of a requirement."""
    found = _NAME.match(requirement)
    wanted = re.sub(r"[-_.]+", r"[-_.]+", found.group()) if found else requirement
    return re.search(rf"(?:^|[\"'\s]){wanted}(?![\w-])", text, re.MULTILINE | re.IGNORECASE) is not None


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
