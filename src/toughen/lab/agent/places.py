"""Owns where a SQLite database lies: its path, a folder that is made for it, and the author's own path found again here."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit


def path_of(database: Any, uri: bool) -> str:
    """Absolute path of a database, `:memory:` for one without a file."""
    name = os.fsdecode(database) if isinstance(database, (str, bytes, os.PathLike)) else str(database)
    if uri and name.startswith("file:"):
        parts = urlsplit(name)
        name = ":memory:" if "mode=memory" in parts.query else unquote(parts.path)
    if name == "" or name.startswith(":memory:"):
        return ":memory:"
    return os.path.realpath(name)


def made_room(path: str) -> bool:
    """Make the folder of a database where only that is missing: who deploys the prototype mounts one there."""
    folder = os.path.dirname(path)
    here = os.path.join(os.getcwd(), "")
    if not folder or os.path.isdir(folder) or not os.path.join(folder, "").startswith(here):
        return False
    try:
        os.makedirs(folder)
    except OSError:
        return False
    return True


def nearest(path: str) -> str:
    """Where the author's own `/Users/.../shop/app/data.db` lies here: the longest end of it whose folder the project has."""
    parts = [part for part in path.split("/") if part]
    if os.path.isdir(os.path.dirname(path)) or path == ":memory:":
        return ""
    for start in range(len(parts) - 1):
        below = os.path.join(os.getcwd(), *parts[start:-1])
        if os.path.isdir(below):
            return os.path.join(below, parts[-1])
    return os.path.join(os.getcwd(), parts[-1])
