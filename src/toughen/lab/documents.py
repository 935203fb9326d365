"""Owns bodies that are no form and no JSON: a text as it stands, an XML document, a message as mail servers pass it on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from toughen.model.blueprint import Json

KINDS = {"text": "text/plain; charset=utf-8", "xml": "application/xml; charset=utf-8", "email": "message/rfc822"}
"""Kind of body -> its content type."""
TAG, ATTRIBUTE, PAYLOAD = "#tag", "@", "#payload"
"""Name of a key that says what an element is called, beginning of one that is an attribute, name of a message's own text."""
_ROOT = "data"


def rendered(kind: str, tree: Json) -> bytes:
    """The body: of a text its one value, of XML an element for each key, of a message a header for each key."""
    match kind, tree:
        case "xml", dict():
            text = f'<?xml version="1.0" encoding="UTF-8"?>\n{_element(_ROOT, tree)}'
        case "email", dict():
            headers = {name: value for name, value in tree.items() if name != PAYLOAD}
            text = "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + f"\r\n{tree.get(PAYLOAD, 'A message.')}\r\n"
        case _, dict():
            text = "".join(map(_plain, tree.values()))
        case _:
            text = _plain(tree)
    return text.encode("utf-8", "surrogatepass")


def _element(tag: str, value: Json) -> str:
    match value:
        case list():
            return "".join(_element(tag, each) for each in value)
        case dict():
            own = str(value.get(TAG, tag))
            attributes = "".join(f" {name[1:]}={quoteattr(_plain(each))}" for name, each in value.items() if name.startswith(ATTRIBUTE))
            inner = "".join(_element(name, each) for name, each in value.items() if name != TAG and not name.startswith(ATTRIBUTE))
            return f"<{own}{attributes}>{inner}</{own}>"
    return f"<{tag}>{escape(_plain(value))}</{tag}>"


def _plain(value: Json) -> str:
    return "" if value is None else str(value)
