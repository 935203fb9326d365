"""Owns what a library does once, at its first use: done in the server before it forks, no child does it again."""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import islice
from typing import TYPE_CHECKING

from . import engines, routes

if TYPE_CHECKING:
    from .boot import App


_ENDPOINTS = 400


def up(app: App) -> None:
    """Do what SQLAlchemy does at the first query of a process, and FastAPI at the first request of a route."""
    _tie_mappers()
    engines.meet()
    _find_endpoints(app)


def _find_endpoints(app: App) -> None:
    """FastAPI reads the file of an endpoint, for the text of errors that may come, and remembers where it found it."""
    find = getattr(sys.modules.get("fastapi.routing"), "_extract_endpoint_context", None)
    if find is None or app.starlette is None:
        return
    with contextlib.suppress(Exception):
        for endpoint in islice(routes.endpoints(app.starlette), _ENDPOINTS):
            find(endpoint)


def _tie_mappers() -> None:
    """Tie SQLAlchemy's mappers together.

    A prototype whose mappers do not fit says so at its first query, in words that a second attempt no longer has: it is
    tried in a process of its own first.
    """
    orm = sys.modules.get("sqlalchemy.orm")
    configure = getattr(orm, "configure_mappers", None)
    if configure is None or not _goes_well(configure):
        return
    with contextlib.suppress(Exception):
        configure()


def _goes_well(step: object) -> bool:
    """Try a step in a process that ends with it."""
    if not callable(step):
        return False
    read, write = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        return False
    if not pid:
        try:
            step()
            os.write(write, b"1")
        finally:
            os._exit(0)
    os.close(write)
    try:
        return os.read(read, 1) == b"1"
    finally:
        os.close(read)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
