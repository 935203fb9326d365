"""Owns one part of what is laid: a change with its reason, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from toughen.model.patch import FileChange

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Laid:
    """One file."""

    file: str
    """Relative to the place where everything is laid."""
    said: str
    """What it gets, or why it stays as it is, in a few words."""
    change: FileChange | None = None
    by_hand: str = ""
    """What its owner must write himself, where it could not be done safely."""


def text_of(base: Path, file: str) -> str | None:
    """A file's text with its line ends as they are; "" where there is none, None where it is no file, or no UTF-8."""
    place = base / file
    if not place.exists() and not place.is_symlink():
        return ""
    try:
        return place.read_bytes().decode("utf-8") if place.resolve().is_relative_to(base.resolve()) else None
    except (OSError, UnicodeDecodeError):
        return None


def changed(file: str, said: str, before: str, after: str) -> Laid:
    """A part that is written."""
    return Laid(file, said, FileChange(file, before, after))


def template(name: str, **values: str) -> str:
    """A template with its `@NAME@` filled in."""
    text = resources.files("toughen.templates").joinpath("founding", name).read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key.upper()}@", value)
    return text


def appended(before: str, more: str) -> str:
    """A text with more behind it, in the line ends that it has, with one empty line between."""
    end = "\r\n" if "\r\n" in before else "\n"
    gap = "" if not before else end if before.endswith("\n") else end + end
    return before + gap + more.replace("\n", end)
