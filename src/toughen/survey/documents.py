"""Owns what is read out of a body that is parsed as XML or as a message: its elements and attributes, its headers."""

from __future__ import annotations

import re
from typing import Final

from toughen.model.blueprint import Place
from toughen.survey.reading import Origin

ROOT: Final = Origin(Place.FORM)
TEXT: Final = Origin(Place.FORM, ("body",))
"""The body itself, where nothing parses it."""
_PARSERS: Final = {
    "fromstring": "xml", "XML": "xml", "parseString": "xml", "message_from_string": "email", "message_from_bytes": "email", "parsestr": "email", "parsebytes": "email",
}
WRAPS: Final = frozenset({"BytesIO", "StringIO", "bytes", "str"})
_ALL: Final = frozenset({"findall", "iter", "iterfind", "getElementsByTagName"})
_ONE: Final = frozenset({"find", "findtext"})


def parsed_as(name: str) -> str | None:
    """What a function of that name makes of a body; None where it parses none."""
    module, _, last = name.rpartition(".")
    if last == "parse" and re.search(r"(^|\.)(ET|ElementTree|etree|minidom)$", module):
        return "xml"
    return _PARSERS.get(last)


def below(document: str, holder: Origin, attr: str, key: str | None) -> Origin | None:
    """What a method of an element or message gives: `find("name")`, `findall("person")`, `get("id")`, `get_payload()`."""
    if document == "email":
        return holder.below("#payload") if attr in {"get_payload", "get_content", "get_body"} and not holder.path else None
    if key is None:
        return holder if attr in {"getroot", "strip", "iter"} else None
    if attr == "get":
        return holder.below(f"@{key}")
    if attr in _ALL | _ONE:
        for tag in [each for each in key.split("/") if each not in {"", ".", "*"}]:
            holder = holder.below(tag)
        return holder
    return None


def attribute(holder: Origin, attr: str) -> Origin | None:
    """What an attribute of an element is: its text is the element, its tag a name for it."""
    if attr in {"text", "attrib"}:
        return holder
    return holder.below("#tag") if attr == "tag" else None
