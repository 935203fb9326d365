"""Owns what a project adds to every call of pytest, without what measures, reports, spreads the tests over processes or ends them early: whoever runs them here does that himself."""

from __future__ import annotations

import ast
import configparser
import contextlib
import os
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_FILES = ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
_TABLE = re.compile(r"^\[(?:tool\.pytest(?:\.ini_options)?|pytest)\]\s*$(.*?)(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_VALUE = re.compile(r"^addopts\s*=\s*(\"\"\".*?\"\"\"|'''.*?'''|\[.*?\]|\"(?:[^\"\\]|\\.)*\"|'[^']*')", re.MULTILINE | re.DOTALL)
_LEFT_OUT = re.compile(r"^(-n.*|--(numprocesses|maxprocesses|dist|tx|max-worker-restart|cov|cov-.*|no-cov|no-cov-.*|html|self-contained-html|junit-?xml|reruns|reruns-delay|exitfirst|maxfail|lf|last-failed|ff|failed-first|nf|new-first|sw|stepwise|cache-clear|benchmark-.*|alluredir|random-order.*|randomly-.*)(=.*)?)$")
_SHORT = "x"
"""Ends at the first failure, by itself or among other letters."""


def without(root: str, tests: Sequence[str]) -> list[str]:
    """Arguments for pytest that put the others in the place of what it is configured with; none where it is configured with none of these."""
    folder = os.path.commonpath([os.path.dirname(os.path.join(root, each)) for each in tests]) if tests else root
    while True:
        for name in _FILES:
            said = _said(os.path.join(folder, name))
            if said is not None:
                kept = _kept(said)
                return [] if kept == said else ["-o", "addopts=" + " ".join(map(shlex.quote, kept))]
        if os.path.normpath(folder) == os.path.normpath(root) or not folder.startswith(root):
            return []
        folder = os.path.dirname(folder)


def _said(place: str) -> list[str] | None:
    """What a file says; None where it does not configure pytest."""
    with contextlib.suppress(OSError, ValueError, SyntaxError, configparser.Error):
        with open(place, encoding="utf-8") as file:
            text = file.read()
        if place.endswith(".toml"):
            table = _TABLE.search(text)
            value = _VALUE.search(table.group(1)) if table else None
            told = ast.literal_eval(value.group(1)) if value else ""
            return None if table is None else [str(each) for each in told] if isinstance(told, list) else shlex.split(told)
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(text)
        section = "tool:pytest" if place.endswith("setup.cfg") else "pytest"
        if parser.has_section(section):
            return shlex.split(parser.get(section, "addopts", fallback=""), comments=True)
    return None


def _kept(said: list[str]) -> list[str]:
    kept: list[str] = []
    dropping = False
    for each in said:
        if dropping and not each.startswith("-"):
            dropping = False
            continue
        dropping = False
        if _LEFT_OUT.match(each):
            dropping = "=" not in each and (each == "-n" or each.startswith("--"))
        elif re.match(r"^-[a-z]+$", each) and not each.startswith(("-p", "-m", "-k", "-c", "-o", "-r", "-W")) and _SHORT in each:
            kept += [f"-{each[1:].replace(_SHORT, '')}"] if each != f"-{_SHORT}" else []
        else:
            kept.append(each)
    return kept
