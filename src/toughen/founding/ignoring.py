"""Owns the line of .gitignore that is laid: proofs and snapshots hold rows of the database that lies beside the source."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from toughen.founding.laid import Laid, changed, text_of
from toughen.store import FOLDER

if TYPE_CHECKING:
    from toughen.founding.ground import Ground

FILE = ".gitignore"
LINE = f"{FOLDER}/"


def laid(ground: Ground) -> Laid:
    """The whole folder: what the gate needs of it is made anew where it is run."""
    if not ground.git:
        return Laid(FILE, "not written: this folder is in no git repository")
    before = text_of(ground.base, FILE)
    if before is None:
        return Laid(FILE, "it is no file of UTF-8", by_hand=f"{LINE}\n")
    if re.search(rf"^/?(\*\*/)?{re.escape(FOLDER)}/?[ \t]*\r?$", before, re.MULTILINE):
        return Laid(FILE, f"has {LINE} already")
    end = "\r\n" if "\r\n" in before else "\n"
    gap = end if before and not before.endswith("\n") else ""
    return changed(FILE, LINE, before, f"{before}{gap}{LINE}{end}")
