"""Owns a reader for the part of YAML that OpenAPI documents use: block and flow collections, scalars, anchors refused."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toughen.model.blueprint import Json

_KEY: Final = re.compile(
    r"""^(?P<key>"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s\[\]{},#&*!|>'"%@`-][^#]*?|-[^\s#][^#]*?):(?:\s+(?P<rest>.*))?$"""
)
_INTEGER: Final = re.compile(r"^[-+]?(?:0|[1-9]\d*)$")
_FLOAT: Final = re.compile(r"^[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)?$")
_CONSTANTS: Final[dict[str, Json]] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_DEEPEST: Final = 60
_LARGEST: Final = 60_000


class YamlError(ValueError):
    """The text uses something that this reader does not know."""


def parse(text: str) -> Json:
    """The first document of a text; JSON too. Raises YamlError."""
    stripped = text.lstrip()
    if stripped.startswith(("{", "[")):
        try:
            value: Json = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise YamlError(str(error)) from error
        return value
    reader = _Reader(text)
    return reader.document()


class _Reader:
    def __init__(self, text: str) -> None:
        lines = text.split("\n")
        if len(lines) > _LARGEST:
            raise YamlError("too many lines")
        self.raw = lines
        self.at = 0

    def document(self) -> Json:
        self.skip()
        while self.at < len(self.raw) and (self.raw[self.at].startswith(("---", "%"))):
            self.at += 1
            self.skip()
        if self.at >= len(self.raw):
            return None
        return self.node(self.indent(), 0)

    def skip(self) -> None:
        """Go past blank lines and comments."""
        while self.at < len(self.raw):
            line = self.raw[self.at].strip()
            if line and not line.startswith("#"):
                return
            self.at += 1

    def indent(self) -> int:
        line = self.raw[self.at]
        bare = line.lstrip(" ")
        if bare.startswith("\t"):
            raise YamlError(f"tab in indentation on line {self.at + 1}")
        return len(line) - len(bare)

    def node(self, indent: int, depth: int) -> Json:
        if depth > _DEEPEST:
            raise YamlError("nested too deeply")
        content = self.raw[self.at].strip()
        if content == "-" or content.startswith("- "):
            return self.sequence(indent, depth)
        if _KEY.match(_uncommented(content)):
            return self.mapping(indent, depth)
        return self.inline(content, indent - 1, depth)

    def sequence(self, indent: int, depth: int) -> Json:
        found: list[Json] = []
        while True:
            self.skip()
            if self.at >= len(self.raw) or self.indent() != indent:
                return found
            content = self.raw[self.at].strip()
            if content != "-" and not content.startswith("- "):
                return found
            rest = content[1:].lstrip()
            if not _uncommented(rest):
                self.at += 1
                found.append(self.below(indent, depth))
                continue
            inner = indent + len(content) - len(rest)
            if rest == "-" or rest.startswith("- ") or _KEY.match(_uncommented(rest)):
                # The element starts on this line: read it as if the dash were indentation.
                self.raw[self.at] = " " * inner + rest
                found.append(self.node(inner, depth + 1))
            else:
                found.append(self.inline(rest, indent, depth))

    def mapping(self, indent: int, depth: int) -> Json:
        found: dict[str, Json] = {}
        while True:
            self.skip()
            if self.at >= len(self.raw) or self.indent() != indent or self.raw[self.at].startswith(("---", "...")):
                return found
            content = self.raw[self.at].strip()
            match = _KEY.match(_uncommented(content))
            if match is None:
                raise YamlError(f"no key on line {self.at + 1}")
            key = _scalar(match["key"].strip())
            rest = (match["rest"] or "").strip()
            if not rest:
                self.at += 1
                value = self.below(indent, depth, sequences=True)
            else:
                value = self.inline(content[content.index(":", len(match["key"])) + 1 :].strip(), indent, depth)
            found[_name(key)] = value

    def below(self, indent: int, depth: int, *, sequences: bool = False) -> Json:
        """The block under a key or a dash; a sequence may stand at the key's own indentation."""
        self.skip()
        if self.at >= len(self.raw):
            return None
        inner = self.indent()
        dash = self.raw[self.at].lstrip().startswith("- ") or self.raw[self.at].strip() == "-"
        if inner > indent or (sequences and dash and inner == indent):
            return self.node(inner, depth + 1)
        return None

    def inline(self, content: str, indent: int, depth: int) -> Json:
        """A value that starts on the current line."""
        if content[:1] in {"|", ">"}:
            return self.literal(content, indent)
        if content[:1] in {"&", "*", "!"}:
            raise YamlError(f"anchors and tags are not read (line {self.at + 1})")
        self.at += 1
        if content[:1] in {"[", "{"}:
            while not _closed(content) and self.at < len(self.raw) and len(content) < _LARGEST:
                content += " " + _uncommented(self.raw[self.at].strip())
                self.at += 1
            value, rest = _flow(_uncommented(content), depth)
            if rest.strip():
                raise YamlError(f"text after a flow collection near line {self.at}")
            return value
        quote = content[:1]
        if quote in {'"', "'"}:
            while not _ended(content, quote) and self.at < len(self.raw) and len(content) < _LARGEST:
                content += " " + self.raw[self.at].strip()
                self.at += 1
            return _scalar(_quoted(content, quote))
        content = _uncommented(content)
        while self.at < len(self.raw):
            line = self.raw[self.at]
            if not line.strip() or line.lstrip().startswith("#") or self.indent() <= indent:
                break
            if _KEY.match(_uncommented(line.strip())):
                break
            content += " " + _uncommented(line.strip())
            self.at += 1
        return _scalar(content)

    def literal(self, header: str, indent: int) -> str:
        self.at += 1
        lines: list[str] = []
        inner: int | None = None
        while self.at < len(self.raw):
            line = self.raw[self.at]
            if line.strip():
                if self.indent() <= indent:
                    break
                inner = self.indent() if inner is None else inner
            lines.append(line[inner or 0 :])
            self.at += 1
        text = "\n".join(lines) if header.startswith("|") else " ".join(each.strip() for each in lines)
        return text.rstrip() if "-" in header else text.rstrip() + "\n"


def _name(key: Json) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return "null" if key is None else str(key)


def _uncommented(text: str) -> str:
    """The text without a trailing comment; a `#` inside quotes is none."""
    if "#" not in text:
        return text.rstrip()
    quote = ""
    for index, char in enumerate(text):
        if quote:
            if char == quote:
                quote = ""
        elif char in "\"'" and (index == 0 or text[index - 1] in " [{,:"):
            quote = char
        elif char == "#" and (index == 0 or text[index - 1] in " \t"):
            return text[:index].rstrip()
    return text.rstrip()


def _ended(text: str, quote: str) -> bool:
    return _quoted_end(text, quote) > 0


def _quoted_end(text: str, quote: str) -> int:
    index = 1
    while index < len(text):
        if quote == '"' and text[index] == "\\":
            index += 2
            continue
        if text[index] == quote:
            if quote == "'" and text[index + 1 : index + 2] == "'":
                index += 2
                continue
            return index
        index += 1
    return 0


def _quoted(text: str, quote: str) -> str:
    end = _quoted_end(text, quote)
    if not end:
        raise YamlError("a quoted string does not end")
    return text[: end + 1]


def _closed(text: str) -> bool:
    depth, quote = 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char in "[{":
            depth += 1
        elif char in "]}":
            depth -= 1
    return depth <= 0


def _scalar(text: str) -> Json:
    if text[:1] == '"':
        try:
            value: Json = json.loads(text)
        except ValueError:
            return text[1:-1]
        return value
    if text[:1] == "'":
        return text[1:-1].replace("''", "'")
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.match(text) and len(text) < 19:  # noqa: PLR2004 - longer digits are identifiers
        return int(text)
    return float(text) if _FLOAT.match(text) else text


def _flow(text: str, depth: int) -> tuple[Json, str]:
    """A flow value at the start of the text, and what follows it."""
    text = text.lstrip()
    if depth > _DEEPEST:
        raise YamlError("nested too deeply")
    if text.startswith("["):
        return _flow_list(text[1:], depth)
    if text.startswith("{"):
        return _flow_map(text[1:], depth)
    if text[:1] in {'"', "'"}:
        token = _quoted(text, text[0])
        return _scalar(token), text[len(token) :]
    end = min((found for char in ",]}" if (found := text.find(char)) >= 0), default=len(text))
    return _scalar(text[:end].strip()), text[end:]


def _flow_list(text: str, depth: int) -> tuple[Json, str]:
    found: list[Json] = []
    while True:
        text = text.lstrip(" ,")
        if not text:
            raise YamlError("a flow sequence does not end")
        if text.startswith("]"):
            return found, text[1:]
        value, text = _flow(text, depth + 1)
        found.append(value)


def _flow_map(text: str, depth: int) -> tuple[Json, str]:
    found: dict[str, Json] = {}
    while True:
        text = text.lstrip(" ,")
        if not text:
            raise YamlError("a flow mapping does not end")
        if text.startswith("}"):
            return found, text[1:]
        if text[0] in "\"'":
            token = _quoted(text, text[0])
            key, text = _name(_scalar(token)), text[len(token) :].lstrip()
        else:
            end = text.find(":")
            if end < 0:
                raise YamlError("a key of a flow mapping has no value")
            key, text = text[:end].strip(), text[end:]
        if not text.startswith(":"):
            raise YamlError("a key of a flow mapping has no value")
        value, text = _flow(text[1:], depth + 1)
        found[key] = value
