"""Owns markup that cannot be broken by what it shows: text becomes Html only by escaping."""

from __future__ import annotations

import re
from html import escape

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
"""Controls, invisible characters, and those that turn the direction of a line: they are shown by their number."""
_VOID = {"br", "meta", "link"}


class Html(str):
    """Markup; everything else is text and is escaped where it is put in."""

    __slots__ = ()


NOTHING = Html("")


def visible(value: object) -> str:
    """Text with what nobody sees written out."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", str(value))


def text(value: object) -> Html:
    """Text as markup."""
    return value if isinstance(value, Html) else Html(escape(visible(value)))


def el(tag: str, *inside: object, **attributes: str | bool | None) -> Html:
    """An element; attributes that are None or False are left out, `class_` is `class`, `aria_label` is `aria-label`."""
    shown = ""
    for name, value in attributes.items():
        if value is not None and value is not False:
            shown += f" {name.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
    return Html(f"<{tag}{shown}>" if tag in _VOID else f"<{tag}{shown}>{''.join(map(text, inside))}</{tag}>")


def join(*parts: object) -> Html:
    """Parts one after the other."""
    return Html("".join(map(text, parts)))


def cut(value: str, most: int) -> str:
    """A text within bounds, which says how much is left out."""
    return value if len(value) <= most else f"{value[:most]}\n… {len(value) - most:,} more characters: the JSON report has them"


def prose(value: str) -> Html:
    """A sentence in which `backticks` are code, as rules and hints write it."""
    parts = value.split("`")
    if len(parts) % 2 == 0:
        # An odd mark stands for itself.
        return text(value)
    return join(*(el("code", each) if number % 2 else each for number, each in enumerate(parts)))


def count(number: int, word: str, plural: str = "") -> str:
    """`1 break`, `2 breaks`."""
    return f"{number:,} {word if number == 1 else plural or f'{word}s'}"


def scrolling(label: str, *inside: object, class_: str = "scroll") -> Html:
    """What may be wider than a phone: it scrolls for itself, also by keyboard."""
    return el("div", *inside, class_=class_, tabindex="0", role="region", aria_label=label)
