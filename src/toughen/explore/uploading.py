"""Owns what a route wants uploaded: the kinds of file that its refusal, or the source, names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.explore.outcomes import message
from toughen.explore.values import Candidate
from toughen.model.blueprint import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toughen.explore.session import Plan, Session
    from toughen.model.trace import Exchange

_KIND = re.compile(r"(?<![\w/])\.?(txt|text|md|markdown|csv|json|pdf|jpe?g|png|gif|svg|html?|xml|ya?ml|zip|wav)(?![\w/])", re.IGNORECASE)
_ENDS = re.compile(r"endswith\(\s*(\([^)]*\)|[^)]*)\)|==\s*(['\"]\.\w+['\"])")
"""How a source asks for one suffix: `name.endswith('.zip')`, `suffix == '.zip'`."""
_ALLOWED = re.compile(r"^[ \t]*[\w.]*(?:\[['\"])?\w*(?:ALLOWED|EXTENSION|SUPPORTED|ACCEPTED)\w*(?:['\"]\])?\s*(?::[^=\n]+)?=\s*(\{[^}]*\}|\[[^\]]*\]|\([^)]*\))", re.MULTILINE | re.IGNORECASE)
_UNREADABLE = re.compile(r"codec can't decode|UnicodeDecodeError|invalid start byte")
_MOST = 4


def file_plans(session: Session, plan: Plan, exchange: Exchange) -> Iterator[Plan]:
    """Plans that upload another kind of file than the one that was refused."""
    keys = [key for key, _ in plan.values if key[0] is Place.FILE]
    if not keys:
        return
    said = " ".join([message(exchange), *(each.message for each in (*((exchange.failure,) if exchange.failure else ()), *exchange.handled))])
    kinds = [each.lower() for each in _KIND.findall(said)]
    if _UNREADABLE.search(said):
        kinds += ["txt", "csv"]
    kinds += [kind.lower() for text in session.sources.values() for held in _ENDS.findall(text) for kind in _KIND.findall(" ".join(held))]
    kinds += [kind.lower() for text in session.sources.values() for held in _ALLOWED.findall(text) for kind in _KIND.findall(held)]
    for kind in list(dict.fromkeys(kinds))[:_MOST]:
        yield plan.put({key: Candidate(f"upload.{kind}", "raised") for key in keys}, "raised")
