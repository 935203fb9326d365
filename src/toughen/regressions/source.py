"""Owns Python source that is written for people: values, names that stand for them, and lines of bearable length."""

from __future__ import annotations

import ast
import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

WIDE = 110
"""Characters of a line after which its arguments stand below each other."""
_LONG, _ROUND = 200, 15
"""Characters of a text, and digits of a round number, that nobody wants to read."""


@dataclass(frozen=True, slots=True)
class Code:
    """An expression, written as it stands."""

    text: str


def written(value: object) -> str:
    """A value as Python source; text of one letter many times over is written as a product."""
    match value:
        case Code(text):
            return text
        case str() if len(value) > _LONG and len(set(value)) == 1:
            return f"{value[0]!r} * {len(value)}".replace("'", '"')
        case str() if (digits := round_number(value)) is not None:
            return f"str({'-' if value.startswith('-') else ''}10**{digits})"
        case str():
            return quoted(value)
        case float() if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124 - not a number
            return f'float("{value}")'
        case int() if not isinstance(value, bool) and abs(value) > 10**_ROUND and str(abs(value)).rstrip("0") == "1":
            return f"{'-' if value < 0 else ''}10**{len(str(abs(value))) - 1}"
        case dict():
            return "{" + ", ".join(f"{written(key)}: {written(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(written(each) for each in value) + "]"
        case tuple():
            return "(" + ", ".join(written(each) for each in value) + ("," if len(value) == 1 else "") + ")"
    return repr(value)


def round_number(text: str) -> int | None:
    """Of how many noughts a number of many digits is made, None for any other text."""
    digits = text.removeprefix("-")
    return len(digits) - 1 if len(digits) > _ROUND and digits.isdigit() and digits.rstrip("0") == "1" else None


def quoted(text: str) -> str:
    """A string literal in double quotes, where it holds none."""
    plain = repr(text)
    if plain.startswith("'") and '"' not in plain:
        return f'"{plain[1:-1]}"'
    return plain


def formatted(parts: Sequence[Code | str]) -> str:
    """An f-string of texts and expressions; a plain one where there is no expression."""
    if not any(isinstance(each, Code) for each in parts):
        return quoted("".join(str(each) for each in parts))
    inside = "".join(f"{{{each.text}}}" if isinstance(each, Code) else each.replace("{", "{{").replace("}", "}}").replace("\\", "\\\\").replace('"', '\\"') for each in parts)
    return f'f"{inside}"'.replace('["', "['").replace('"]', "']")


def call(function: str, arguments: Iterable[str], *, before: str = "", after: str = "", indent: int = 4) -> list[str]:
    """A call in one line, or with one argument a line."""
    given = list(arguments)
    whole = f"{before}{function}({', '.join(given)}){after}"
    if len(whole) + indent <= WIDE or not given:
        return [whole]
    return [f"{before}{function}(", *(line for each in given for line in _spread(f"    {each},", indent)), f"){after}"]


def _spread(line: str, indent: int) -> list[str]:
    """An argument that is a dictionary too long for one line, with one key a line."""
    match = re.fullmatch(r"(\s*\w+=)\{(.*)\},", line)
    if len(line) + indent <= WIDE or match is None:
        return [line]
    try:
        tree = ast.parse("{" + match.group(2) + "}", mode="eval").body
    except SyntaxError:
        return [line]
    if not isinstance(tree, ast.Dict) or any(key is None for key in tree.keys):
        return [line]
    text = "{" + match.group(2) + "}"
    pairs = [f"{ast.get_source_segment(text, key)}: {ast.get_source_segment(text, value)}" for key, value in zip(tree.keys, tree.values, strict=True) if key is not None]
    return [f"{match.group(1)}{{", *(f"        {each}," for each in pairs), "    },"]


def word(text: str) -> str:
    """Text as a part of a name: `Product ID` becomes `product_id`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", parts.lower()).strip("_")


def singular(text: str) -> str:
    """`categories` -> `category`, `orders` -> `order`."""
    if text.endswith("ies"):
        return f"{text[:-3]}y"
    if text.endswith(("sses", "xes", "ches", "shes")):
        return text[:-2]
    return text[:-1] if text.endswith("s") and not text.endswith(("ss", "us", "is")) else text


def named(text: str, taken: set[str]) -> str:
    """A name for a variable that is not taken yet."""
    base = word(text) or "value"
    if base[0].isdigit() or keyword.iskeyword(base):
        base = f"the_{base}"
    name = base
    for number in range(2, 100):
        if name not in taken:
            break
        name = f"{base}{number}"
    taken.add(name)
    return name
