"""Owns the hooks of PostgreSQL's drivers: which are put in place when the prototype imports them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import pg_server
from .pg_fork import bound, busy_connections, look, reborn, sockets

if TYPE_CHECKING:
    from .hooks import Finder, Patch

_SECONDS = 10
__all__ = ["bound", "busy_connections", "install", "let_go", "look", "meet", "reborn", "sockets"]


def install(finder: Finder, config: dict[str, Any] | None) -> None:
    """Lead every connection to the server that the lab names; where it names none, nobody answers."""
    pg_server.install(config)
    finder.when("psycopg2", _by("pg_psycopg2", "hook"))
    finder.when("psycopg2.extras", _by("pg_psycopg2", "hook_extras"))
    finder.when("psycopg", _by("pg_psycopg3", "hook"))
    finder.when("asyncpg", _by("pg_asyncpg", "hook"))


def _by(module: str, function: str) -> Patch:
    """A patch of a module of ours that is loaded when it is wanted: most prototypes have none of these drivers."""

    def patch(driver: Any) -> None:
        getattr(import_module("." + module, __package__), function)(driver)

    return patch


def _engines() -> list[tuple[Any, bool]]:
    """SQLAlchemy's engines for PostgreSQL, with whether their driver is asynchronous."""
    if pg_server.server() is None:
        return []
    from . import tables

    found = tables.objects("sqlalchemy.engine.base", "Engine")
    return [
        (engine, bool(getattr(engine.dialect, "is_async", False)))
        for engine in found
        if engine.dialect.name == "postgresql"
    ]


def meet() -> None:
    """Have SQLAlchemy ask the server what it asks at an engine's first connection, so that no request does."""
    for engine, is_async in _engines():
        try:
            if is_async:
                _meet_async(engine)
            else:
                engine.connect().close()
                engine.dispose()
        except Exception:
            continue


def _meet_async(engine: Any) -> None:
    import asyncio

    async def once() -> None:
        wrapper = _wrapped(engine)
        async with wrapper.connect():
            pass
        await wrapper.dispose()

    # asyncio.run() would leave the main thread without the loop that older Pythons make when they are asked for it.
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(once(), _SECONDS))
    finally:
        loop.close()


async def let_go() -> None:
    """Close the pooled connections that belong to the loop that this runs in."""
    for engine, is_async in _engines():
        try:
            if is_async:
                await _wrapped(engine).dispose()
        except Exception:
            continue


def _wrapped(engine: Any) -> Any:
    from sqlalchemy.ext.asyncio import AsyncEngine  # type: ignore[import-not-found, unused-ignore]

    return AsyncEngine(engine)
