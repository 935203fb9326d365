"""Owns the patches of frameworks and servers: exceptions that become a 500, servers that must not start."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, Callable

from . import frames, starting, told
from .recorder import RECORDER

if TYPE_CHECKING:
    from types import ModuleType

    from .hooks import Finder


def keep_failures(module: ModuleType) -> None:
    """Note the exception that Flask is about to turn into a 500 or to propagate."""
    flask = module.Flask
    original = flask.handle_exception

    def handle_exception(self: Any, e: BaseException) -> Any:
        if RECORDER.active and RECORDER.failure is None:
            RECORDER.failure = e
        return original(self, e)

    flask.handle_exception = handle_exception


def keep_passing(module: ModuleType) -> None:
    """Note exceptions that a catch-all of the framework itself answers with a 500 (connexion, not the project)."""
    original = module.Logger.handle

    def handle(self: Any, record: Any) -> Any:
        if told.NOW is not None:
            told.NOW.note(record)
        if RECORDER.active and record.exc_info and record.levelno >= module.ERROR:
            error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
            if isinstance(error, BaseException) and frames.relative(record.pathname) is None:
                RECORDER.passing = error
        return original(self, record)

    module.Logger.handle = handle


def _no_start(*names: str) -> Callable[[ModuleType], None]:
    """Patch that makes functions (`run`, `Flask.run`) of a module return at once: the agent is the server."""

    def patch(module: ModuleType) -> None:
        def standing(name: str) -> Callable[..., None]:
            def stand_still(*args: Any, **keywords: Any) -> None:
                sys.stderr.write("toughen_agent: a server of the prototype was not started\n")
                starting.STARTED.append((name, args, keywords))

            return stand_still

        for name in names:
            owner: Any = module
            *path, last = name.split(".")
            for step in path:
                owner = getattr(owner, step, None)
            if owner is not None and hasattr(owner, last):
                setattr(owner, last, standing(name))

    return patch


def stub_uvloop(module: ModuleType) -> None:
    """Fill the stand-in for uvloop, whose loops bypass every socket hook, with asyncio's own loops."""
    stub: Any = module

    def install() -> None:
        """Leave asyncio's own loop in place."""

    def run(main: Any, *, debug: bool | None = None, **_keywords: object) -> Any:
        return asyncio.run(main, debug=debug)

    stub.install = install
    stub.run = run
    stub.new_event_loop = asyncio.new_event_loop
    stub.Loop = asyncio.SelectorEventLoop
    stub.__version__ = "0.0.0"
    policy = getattr(asyncio, "_DefaultEventLoopPolicy", None) or getattr(asyncio, "DefaultEventLoopPolicy", None)
    stub.EventLoopPolicy = policy


def register(finder: Finder) -> None:
    """Name the modules that are patched when the prototype imports them."""
    finder.when("flask.app", keep_failures)
    finder.when("flask.app", _no_start("Flask.run"))
    finder.when("logging", keep_passing)
    finder.when("uvicorn.main", _no_start("run"))
    finder.when("uvicorn", _no_start("run", "Server.run"))
    finder.when("hypercorn.asyncio", _no_start("serve"))
    finder.when("waitress", _no_start("serve"))
    finder.when("werkzeug.serving", _no_start("run_simple"))
    finder.when("uvloop", stub_uvloop, replace=True)
