"""Owns what a library does once, at its first use: done in the server before it forks, no child does it again."""

from __future__ import annotations

import contextlib
import os
import sys
from itertools import islice
from typing import TYPE_CHECKING

from . import engines, routes, tables

if TYPE_CHECKING:
    from typing import Any, Callable

    from .boot import App


_ENDPOINTS = 400


def up(app: App) -> None:
    """Do what SQLAlchemy does at the first query of a process, and FastAPI at the first request of a route."""
    _tie_mappers()
    engines.meet()
    _find_endpoints(app.starlette)


def up_for_tests(untold: Callable[[], bool]) -> None:
    """The same for tests, which name no application; mappers only where `untold` holds once they are tied.

    It is asked in the process that tries it: where a guard is asked while they are tied, each run has to ask it.
    """
    _tie_mappers(untold)
    for each in tables.objects("starlette.applications", "Starlette"):
        _find_endpoints(each)


def _find_endpoints(app: Any) -> None:
    """FastAPI reads the file of an endpoint, for the text of errors that may come, and remembers where it found it."""
    find = getattr(sys.modules.get("fastapi.routing"), "_extract_endpoint_context", None)
    if find is None or app is None:
        return
    with contextlib.suppress(Exception):
        for endpoint in islice(routes.endpoints(app), _ENDPOINTS):
            find(endpoint)


def _tie_mappers(untold: Callable[[], bool] = lambda: True) -> None:
    """Tie SQLAlchemy's mappers together.

    A prototype whose mappers do not fit says so at its first query, in words that a second attempt no longer has: it is
    tried in a process of its own first.
    """
    orm = sys.modules.get("sqlalchemy.orm")
    configure = getattr(orm, "configure_mappers", None)
    if configure is None:
        return

    def step() -> bool:
        configure()
        return untold()

    if not _goes_well(step):
        return
    with contextlib.suppress(Exception):
        configure()


def _goes_well(step: Callable[[], bool]) -> bool:
    """Try a step in a process that ends with it."""
    read, write = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        return False
    if not pid:
        try:
            if step():
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
