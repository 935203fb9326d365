"""Owns the hook that is laid: an entry of .pre-commit-config.yaml; what its owner wrote stays byte for byte."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.founding.laid import Laid, changed, template, text_of
from toughen.survey.yaml import YamlError, parse
from toughen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.founding.ground import Ground
    from toughen.model.blueprint import Json

FILE, OTHER = ".pre-commit-config.yaml", ".pre-commit-config.yml"
STAGE = "pre-push"
_HEAD = f"# `pre-commit install` sets both of these up.\ndefault_install_hook_types: [pre-commit, {STAGE}]\n"
_MARK = re.compile(r"toughen[ -]gate\b")


def laid(ground: Ground) -> Iterator[Laid]:
    """The hook, in a repository of git's; elsewhere nothing could call it."""
    if not ground.git:
        yield Laid(FILE, "not written: this folder is in no git repository, and nothing else calls a hook")
        return
    before = text_of(ground.base, FILE)
    ours = template("pre-commit.yaml", version=__version__, path=ground.path)
    if (ground.base / OTHER).exists() and not before:
        yield Laid(OTHER, f"pre-commit reads {FILE} only", by_hand=ours)
    elif before is None:
        yield Laid(FILE, "it is no file of UTF-8", by_hand=ours)
    elif _MARK.search(before):
        yield Laid(FILE, "has the hook already")
    elif not before.strip():
        yield changed(FILE, "the hook, before a push; `pre-commit install` sets it up", before, f"{_HEAD}repos:\n{_indented(ours, '  ')}")
    else:
        after = extended(before, ours)
        if after is None:
            yield Laid(FILE, "its list of repos is not understood", by_hand=ours)
        else:
            yield changed(FILE, f"the hook, before a push; `pre-commit install --hook-type {STAGE}` sets it up", before, after)


def extended(before: str, ours: str) -> str | None:
    """The configuration with one more entry at the end of its repos; None unless exactly that is what a reader of it then sees."""
    end = "\r\n" if "\r\n" in before else "\n"
    lines = before.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if re.match(r"repos:\s*(\[\s*\]\s*)?(#.*)?$", line)), None)
    if start is None:
        return None
    opened = lines[start].rstrip("\r\n")
    last, indent = start, "  "
    if "[" in opened.partition("#")[0]:
        lines[start] = re.sub(r"\s*\[\s*\]", "", lines[start], count=1)
    else:
        for number, line in enumerate(lines[start + 1 :], start + 1):
            if re.match(r"(?![ \t#-])\S|---|\.\.\.", line):
                break
            if line.strip() and not line.lstrip().startswith("#"):
                if last == start:
                    indent = line[: len(line) - len(line.lstrip(" "))]
                last = number
    lines[last] = lines[last].rstrip("\r\n") + end
    after = "".join([*lines[: last + 1], _indented(ours, indent).replace("\n", end), *lines[last + 1 :]])
    return after if _holds(before, after, ours) else None


def _holds(before: str, after: str, ours: str) -> bool:
    """Whether the one text reads as the other with the entry added."""
    try:
        old, new, entry = (parse(each.replace("\r\n", "\n")) for each in (before, after, ours))
    except (YamlError, RecursionError):
        return False
    if not isinstance(old, dict) or not isinstance(entry, list):
        return False
    repos: Json = old.get("repos")
    return new == {**old, "repos": [*(repos if isinstance(repos, list) else []), *entry]}


def _indented(text: str, indent: str) -> str:
    return "".join(indent + line for line in text.splitlines(keepends=True))
