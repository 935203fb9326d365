"""Owns text that comes from the prototype, made fit for a report: nothing in it is invisible, and nothing in it is markup."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from toughen.report.json import slug

if TYPE_CHECKING:
    from toughen.model.finding import Finding

_KEPT = "\n\t"
_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of controls, formats (they turn the direction of text: CVE-2021-42574), surrogates, and what has no meaning."""
_ZERO = "&#8203;"
_APART = ("", ":", "#")
"""Behind these a space of no width stands apart what hosts look for in the text that is shown: addresses, mentions, issues."""
_MARKUP = re.compile(r":(?=//|[A-Za-z])|#(?=\d)|[\\`*_\[\]<>#|~&$]|^[-+=]|(?<=@)|(?<=www)(?=\.)|(?<=GH)(?=-)", re.IGNORECASE)


def printable(text: object) -> str:
    r"""The text with everything that no reader sees written as an escape (`\x1b`, `\u202e`); lines end in one way."""
    return "".join(
        each if each in _KEPT or unicodedata.category(each) not in _UNSEEN else each.encode("unicode_escape").decode()
        for each in re.sub(r"\r\n?", "\n", str(text))
    )


def line(text: object, most: int = 200) -> str:
    """The text on one line of at most that many characters."""
    return shortened(" ".join(printable(text).split()), most)


def shortened(text: str, most: int) -> str:
    """The text, or its beginning and a mark that says that more follows."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def prose(text: object, most: int = 200) -> str:
    """One line for Markdown in which every character stands for itself: no markup, no link, no mention, no reference to an issue."""
    return _MARKUP.sub(lambda found: (f"&#{ord(found[0])};" if found[0] else "") + (_ZERO if found[0] in _APART else ""), line(text, most))


def code(text: object, most: int = 200) -> str:
    """The same in the letters of code; it may stand in a table, where backticks would not hold a `|`."""
    return f"<code>{prose(text, most)}</code>" if line(text, most) else ""


def fenced(text: str, language: str = "") -> str:
    """A block of code whose fence is longer than every one inside."""
    inner = printable(text).strip("\n")
    fence = "`" * max(3, 1 + max((len(each) for each in re.findall(r"`+", inner)), default=0))
    return f"{fence}{language}\n{inner}\n{fence}"


def proof(finding: Finding) -> str:
    """Where its proof lies, below the prototype's folder."""
    return f".toughen/proofs/{slug(finding.id)}.json"


def replay(finding: Finding) -> str:
    """The command that executes it again, in the prototype's folder; it holds no character that a shell or Markdown reads."""
    return f"toughen replay {proof(finding)}"
