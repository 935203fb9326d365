"""Owns the words that change templates of pages: a value that is put in with its markup is put in as text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PRINTED = re.compile(r"\{\{-?\+?(?P<text>(?:[^{}'\"]|'[^']*'|\"[^\"]*\")*?)-?\}\}")
_SAFE = re.compile(r"\s*\|\s*safe\b(?!\s*\()")
_OFF = re.compile(r"(\{%-?\s*autoescape\s+)(?:false|False|off)(\s*-?%\})")
_NAMED = re.compile(r"""\{%-?\s*(?:include|extends|import|from)\s+['"]([^'"]+)['"]""")
_PLACED = re.compile(r"\w\[\d+\]")
_LOOPS = re.compile(r"\{%-?\s*for\s+([\w\s,()]+?)\s+in\b")
_WORD = re.compile(r"[A-Za-z_]\w*")


def rendered(names: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """The files of templates that are rendered under these names, with what they include and extend."""
    waiting, found = list(names), []
    while waiting:
        name = waiting.pop(0)
        files = sorted((each for each in texts if each == name or each.endswith(f"/{name}")), key=len)
        if files and files[0] not in found:
            found.append(files[0])
            waiting += _NAMED.findall(texts[files[0]])
    return found


def as_text(template: str, columns: Iterable[str], meant: Iterable[str] = ()) -> str:
    """The template with `|safe` taken from what prints these columns, and autoescape on.

    Where none of them is printed by its name, `|safe` goes from what is taken by its place in a row, and from what a loop
    names. `meant` are names that hold markup on purpose: what prints them stays.
    """
    named = re.compile(r"\b(?:" + "|".join(map(re.escape, columns)) + r")\b")
    kept = set(meant)
    prints = [each for each in _PRINTED.finditer(template) if _SAFE.search(each["text"]) and not kept & set(_WORD.findall(each["text"])[:1])]
    chosen = [each for each in prints if named.search(each["text"])]
    looped = {name for each in _LOOPS.finditer(template) for name in _WORD.findall(each[1])}
    chosen = chosen or [each for each in prints if _PLACED.search(each["text"]) or set(_WORD.findall(_SAFE.sub("", each["text"]))) <= looped]
    for each in reversed(chosen):
        start, end = each.span("text")
        template = template[:start] + _SAFE.sub("", template[start:end]) + template[end:]
    return _OFF.sub(r"\1true\2", template)
