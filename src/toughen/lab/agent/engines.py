"""Owns SQLAlchemy's engines for servers: what each asks at its first connection, and the connections that it keeps."""

from __future__ import annotations

from typing import Any

from . import my_server, pg_server

_SECONDS = 10


def _engines() -> list[tuple[Any, bool]]:
    """SQLAlchemy's engines for the lab's servers, with whether their driver is asynchronous."""
    kinds: tuple[str, ...] = ("postgresql",) if pg_server.server() is not None else ()
    if my_server.server() is not None:
        kinds += ("mysql", "mariadb")
    if not kinds:
        return []
    from . import tables

    found = tables.objects("sqlalchemy.engine.base", "Engine")
    return [
        (engine, bool(getattr(engine.dialect, "is_async", False)))
        for engine in found
        if engine.dialect.name in kinds
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
