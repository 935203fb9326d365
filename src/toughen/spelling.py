"""Owns how a fault in a TOML file is told: its line and column, and what was probably meant."""

from __future__ import annotations

import difflib
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_STRING: Final = re.compile(r'"""[\s\S]*?"""|\'\'\'[\s\S]*?\'\'\'|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'')
_HEADER: Final = re.compile(r"""^[ \t]*\[\[?((?:[^\]"'\n]|"[^"\n]*"|'[^'\n]*')*)\]\]?[ \t]*\r?$""", re.MULTILINE)
_COMMENT: Final = re.compile(r"#[^\n]*")
_KEY: Final = re.compile(r"""^[ \t]*((?:[\w-]+|"[^"\n]*"|'[^'\n]*')(?:[ \t]*\.[ \t]*(?:[\w-]+|"[^"\n]*"|'[^'\n]*'))*)[ \t]*=""", re.MULTILINE)
_AT: Final = re.compile(r"\(at (?:line (\d+), column (\d+)|end of document)\)")


def meant(word: str, known: Iterable[str], most: int = 20) -> str:
    """`; did you mean 'allow'?`, or what there is."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f" (there are: {', '.join(names[:most])})"


def place(text: str, *path: str, value: str | None = None) -> str:
    """`line 3, column 8` of a key, or of a text among its values; of the last part of the path that is found where the whole is not."""
    return _told(text, _at(_blanked(text), text, path, value))


def _told(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def _at(bare: str, text: str, path: tuple[str, ...], value: str | None) -> int:
    found = 0
    for start, end, keys in _assigned(bare, text):
        here = None
        if keys[: len(path)] == path:
            here = start
        elif keys and keys == path[: len(keys)]:
            # A key inside of an inline table, or a shorter part of the path.
            inner = re.search(rf"""[{{,]\s*["']?({re.escape(path[-1])})["']?[ \t]*=""", bare[start:end])
            here = start + inner.start(1) if inner else None
            found = here or found or start
        if here is not None:
            strings = () if value is None else _STRING.finditer(text, here, end)
            said = next((each.start() + 1 for each in strings if _read(each.group()) == value and bare[each.start()] in "\"'"), None)
            if value is None or said is not None:
                return said or here
            found = found or here
    return found


def _assigned(bare: str, text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """(where it begins, where it ends, the whole path) of each table and each key."""
    marks = sorted([(each.start(1), "table", each.group(1)) for each in _HEADER.finditer(bare)] + [(each.start(1), "key", each.group(1)) for each in _KEY.finditer(bare)])
    table: tuple[str, ...] = ()
    for number, (start, kind, written) in enumerate(marks):
        end = marks[number + 1][0] if number + 1 < len(marks) else len(text)
        parts = _parts(written)
        if kind == "table":
            table = parts
            # Where a table is named its own key is what a reader looks at.
            last = written.rstrip().rstrip("\"'").rfind(parts[-1]) if parts else 0
            yield start + max(0, last), end, table
        else:
            quoted = 1 if text[start : start + 1] in {'"', "'"} else 0
            yield start + quoted, end, (*table, *parts)


def _parts(written: str) -> tuple[str, ...]:
    found: list[str] = []
    try:
        data: Any = tomllib.loads(f"{written} = 0")
    except tomllib.TOMLDecodeError:
        return ()
    while isinstance(data, dict):
        key, data = next(iter(data.items()))
        found.append(key)
    return tuple(found)


def _read(written: str) -> str:
    try:
        return str(tomllib.loads(f"x = {written}")["x"])
    except tomllib.TOMLDecodeError:
        return written.strip("\"'")


def _blanked(text: str) -> str:
    """The text with its comments blank, each character where it was."""
    found, at = [], 0
    for each in re.finditer(f"{_STRING.pattern}|{_COMMENT.pattern}", text):
        found.append(text[at : each.start()])
        found.append(" " * len(each.group()) if each.group().startswith("#") else each.group())
        at = each.end()
    return "".join([*found, text[at:]])


def syntax(text: str, error: tomllib.TOMLDecodeError) -> str:
    """What a reader of TOML stumbled over: `line 2, column 10: Invalid value; ...`."""
    said = str(error)
    match = _AT.search(said)
    line, column = (int(match.group(1)), int(match.group(2))) if match and match.group(1) else (text.rstrip("\n").count("\n") + 1, len(text.rstrip("\n").rpartition("\n")[2]) + 1)
    lines = text.split("\n")
    what = _AT.sub("", said).strip().rstrip(".")
    return f"line {line}, column {column}: {what[:1].lower()}{what[1:]}{_guess(lines, line, column)}"


def _guess(lines: list[str], line: int, column: int) -> str:
    """What was probably meant where a reader stopped."""
    here = lines[line - 1] if line <= len(lines) else ""
    before = next((each for each in reversed(lines[: line - 1]) if each.strip() and not each.lstrip().startswith("#")), "")
    bare = re.match(r"[ \t]*([\w-]+)[ \t]*$", here)
    rest = here[column - 1 :]
    word = re.match(r"([A-Za-z][\w -]*?)\s*(?=[,\]\n]|$)", rest)
    if re.match(r"[ \t]*\[", here) and here.count('"') % 2:
        return f"; a quote is missing in {here.strip()}"
    if re.match(r"[ \t]*\[routes[. ]", here) and '"' not in here and "'" not in here:
        route = here.strip().strip("[]").partition("routes")[2].strip(" .")
        return f'; did you mean [routes."{route}"]?'
    if re.match(r"[ \t]*\[[^\]]*$", here) and "=" not in here:
        return f"; did you mean {here.strip()}]?"
    if "=" in here and here.count('"') % 2:
        return "; a quote is missing"
    if "=" in here and word and not rest.startswith(("true", "false")):
        return f'; did you mean "{word.group(1)}"?'
    if "=" in here and re.match(r"""["']""", rest):
        return "; is a comma missing before it?"
    if before.count("[") > before.count("]") and "=" in before:
        return f"; the list of {before.partition('=')[0].strip()} is not closed: is a ] missing?"
    if here.count("[") > here.count("]") and "=" in here:
        return f"; the list of {here.partition('=')[0].strip()} is not closed: is a ] missing?"
    if ":" in here and "=" not in here:
        return f"; did you mean {here.strip().replace(':', ' =', 1)}?"
    return f"; did you mean {bare.group(1)} = ...?" if bare else ""
