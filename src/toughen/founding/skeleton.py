"""Owns `toughen new-rule`: the file that a new rule begins with, in a checkout of toughen."""

from __future__ import annotations

import difflib
import keyword
import re
import tomllib
from pathlib import Path
from typing import Final

from toughen import rules
from toughen.errors import ConfigurationError
from toughen.founding.laid import template
from toughen.store import write

_ID: Final = re.compile(r"[a-z]+/[a-z][a-z0-9]*(-[a-z0-9]+)*")


def begun(break_id: str, folder: Path | None = None) -> Path:
    """Write the file of a new rule; where it lies. Its examples fail until it is filled.

    Raises ConfigurationError where the name is none, is taken, or this is no checkout: rules are loaded from toughen's own package only.
    """
    folder = folder or Path(rules.__file__).parent
    _demand_checkout(folder)
    if not _ID.fullmatch(break_id):
        raise ConfigurationError(f"{break_id!r} is not of the form place/name", subject=break_id, hint="lower case, words joined by hyphens, named for the defect: race/lost-update")
    place, _, name = break_id.partition("/")
    places = sorted(each.parent.name for each in folder.glob("*/__init__.py"))
    if place not in places:
        near = difflib.get_close_matches(place, places, n=1)
        raise ConfigurationError(f"there is no place {place!r}" + (f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(places)})"), subject=place)
    module = name.replace("-", "_")
    if keyword.iskeyword(module):
        raise ConfigurationError(f"{name!r} is a word of Python's", subject=break_id)
    file = folder / place / f"{module}.py"
    if file.exists():
        raise ConfigurationError(f"there is {file.relative_to(folder.parent)} already", subject=file, hint=f"`toughen explain {break_id}` says what it finds")
    write(file, template("rule.txt", id=break_id, **{"class": "".join(word.capitalize() for word in name.split("-"))}).encode())
    return file


def _demand_checkout(folder: Path) -> None:
    project = folder.parents[2] / "pyproject.toml"
    try:
        found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["name"] == "toughen"
    except (OSError, ValueError, KeyError, TypeError):
        found = False
    if not found or not (folder.parents[2] / "tests" / "test_rules.py").is_file():
        raise ConfigurationError(
            "a rule is begun in a checkout of toughen, and this is an installed one", subject=folder,
            hint="rules are loaded from toughen's own package only, because a rule counts with its generated test; clone toughen, run `make lint` there and use its .venv/bin/toughen",
        )
