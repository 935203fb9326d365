"""Owns the process that the lab starts: it loads the prototype once and forks a child for each trial."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
import signal
import sys
import threading
import time
import warnings
from functools import partial
from typing import Any, Callable

from . import (
    aside,
    boot,
    demand,
    dj_requests,
    dj_sqlite,
    engines,
    facts,
    frames,
    frameworks,
    heard,
    late,
    mysql,
    outbound,
    postgres,
    prepare,
    queues,
    readers,
    rest,
    schemas,
    sqlite,
    warm,
)
from .asgi import AsgiCaller
from .child import BODY_LIMIT, Child
from .hooks import Finder
from .wire import Message, Wire

_PR_SET_PDEATHSIG = 1


def main(config: Message) -> None:
    """Serve the lab until it says quit or goes away."""
    Server(config).run()


class Server:
    """The fork server; in "whole" mode it becomes the one child itself."""

    def __init__(self, config: Message) -> None:
        """Connect to the lab and hook the interpreter before anything of the prototype is imported."""
        self._config = config
        self._app: boot.App | None = None
        self._failed: Message | None = None
        self._wire = Wire(config["socket"])
        self._prctl = _prctl()
        self._late = late.Late()
        self._settled: AsgiCaller | None = None
        """In a process that has been through the app's start-up: what went through it."""
        frames.own(config["root"])
        sqlite.install()
        finder = Finder()
        frameworks.register(finder)
        demand.register(finder)
        dj_requests.register(finder)
        dj_sqlite.register(finder)
        queues.register(finder)
        heard.register(finder)
        schemas.register(finder)
        rest.install()
        aside.install(finder)
        outbound.install(finder, config.get("outbound"), config.get("allow") or ())
        postgres.install(finder, config.get("postgres"))
        mysql.install(finder, config.get("mysql"))
        readers.register(finder)
        finder.install()

    def run(self) -> None:
        """Load, tell, obey."""
        self._wire.send({"hello": "server", "pid": os.getpid(), "python": platform.python_version()})
        boot.settle(self._config)
        started = time.perf_counter()
        try:
            self._app = boot.load(self._config.get("entry"))
        except boot.LoadFailedError as error:
            self._failed = {"failed": {"stage": error.stage, "failure": frames.failure(error.cause)}}
        seconds = time.perf_counter() - started
        aside.settled()
        if self._app is not None and fork_safety() == "safe":
            warm.up(self._app)
        gc.collect()
        if self._failed is None:
            self._wire.send({"ready": self._facts(), "seconds": round(seconds, 3)})
        else:
            self._wire.send(self._failed)
        gc.freeze()
        self._attend()

    def _attend(self) -> None:
        while True:
            order = self._wire.receive()
            if order is None or order.get("do") == "quit":
                return
            if self._config.get("mode") == "whole" and order.get("do") in ("serve", "call", "rows"):
                _to_the_end(partial(self._live, {}, order))
            answer = self._obey(order)
            if answer is not None:
                self._wire.send(answer)

    def _obey(self, order: Message) -> Message | None:
        do = order.get("do")
        if do == "fork":
            return self._fork(order)
        if do == "prepare":
            done = prepare.run(str(order.get("step")), self._app, self._config)
            gc.collect()
            gc.freeze()
            return {"prepared": done}
        if do == "facts":
            return {"ready": self._facts()}
        if do == "import":
            return {"imported": late.bring_in(list(order.get("modules") or ()))}
        return {"failed": {"stage": "order", "failure": _plain_failure("unknown order: " + repr(do))}}

    def _facts(self) -> dict[str, Any]:
        prepare.quiesce()
        postgres.look()
        mysql.look()
        known = facts.facts(self._app)
        known["fork"] = fork_safety()
        known["lifespan"] = self._app is not None and self._app.asgi
        gc.freeze()
        return known

    def _fork(self, order: Message) -> Message | None:
        if self._app is None:
            return self._failed or {"failed": {"stage": "entry", "failure": _plain_failure("no entry was loaded")}}
        if self._config.get("mode") == "whole":
            _to_the_end(partial(self._live, order))
        self._late.bring_in()
        self._late.look()
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        # The kernel reaps children that nobody waits for.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        parent = os.getpid()
        try:
            with warnings.catch_warnings():
                # Threads that rest are begun anew where they are wanted.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError as error:
            return {"failed": {"stage": "fork", "failure": frames.failure(error)}}
        finally:
            if os.getpid() == parent:
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if pid:
            return None
        for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN if number == signal.SIGPIPE else signal.SIG_DFL)
        if self._prctl is not None:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(71)
        self._wire.close()
        postgres.reborn()
        mysql.reborn()
        _to_the_end(partial(self._settle if order.get("settle") else self._live, order))
        return None

    def _settle(self, order: Message) -> None:
        """Go through the app's start-up once and fork children from there, to the end of this process."""
        assert self._app is not None
        self._wire = Wire(self._config["socket"])
        self._wire.send({"hello": "settled", "id": order.get("id"), "pid": os.getpid()})
        caller = AsgiCaller(self._app.target, int(self._config.get("body_limit") or BODY_LIMIT))
        sockets = _sockets()
        aside.starts(now=True)
        try:
            caller.live(caller.start())
        except BaseException as error:
            self._wire.send({"failed": {"stage": "lifespan", "failure": frames.failure(error)}})
            return
        aside.settled()
        caller.live(engines.let_go())
        prepare.quiesce()
        postgres.look()
        mysql.look()
        reason = fork_safety()
        if reason == "safe":
            others = _sockets() - postgres.sockets() - mysql.sockets() - sockets
            reason = caller.bound() or ("a connection is open" if others else "") or sqlite.held() or "safe"
        self._settled = caller
        # Children tell what they import to the process that they came from.
        self._late = late.Late()
        gc.collect()
        gc.freeze()
        self._wire.send({"ready": {"fork": reason}})
        self._attend()

    def _live(self, order: Message, first: Message | None = None) -> None:
        """Be the child, on the server's own connection where the lab's first order came by it."""
        if self._app is None:
            message = "no entry was loaded"
            raise RuntimeError(message)
        self._late.look()
        wire = Wire(self._config["socket"]) if first is None else self._wire
        child = Child(self._app, self._config, order, wire, self._late, self._settled)
        try:
            child.run(first)
        except (SystemExit, KeyboardInterrupt) as error:
            if child.begun:
                raise
            wire.send({"failed": {"stage": "lifespan", "failure": frames.failure(error)}})


def _to_the_end(life: Callable[[], None]) -> None:
    """Live, and end this process with a code that says how it ended; never come back."""
    code = 0
    try:
        life()
    except OSError:
        code = 72
    except BaseException as error:
        sys.stderr.write("toughen_agent: " + frames.failure(error)["traceback"] + "\n")
        code = 73
    finally:
        for stream in (sys.stdout, sys.stderr):
            _flush(stream)
        os._exit(code)


def fork_safety() -> str:
    """`safe`, or why a fork would not be like a fresh process."""
    known = {threading.main_thread(), *aside.resting()}
    others = [thread.name for thread in threading.enumerate() if thread not in known]
    if others:
        return "threads alive after the import: " + ", ".join(others)
    busy = sqlite.busy_connections() + postgres.busy_connections() + mysql.busy_connections()
    if busy:
        return "a transaction is open after the import: " + ", ".join(busy)
    return postgres.bound() or mysql.bound() or "safe"


def _sockets() -> set[str]:
    """Sockets that this process holds, by what the kernel calls them."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            target = os.readlink("/proc/self/fd/" + name)
            if target.startswith("socket:"):
                found.add(target)
    return found


def _prctl() -> Any:
    try:
        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError, TypeError):
        return None


def _flush(stream: Any) -> None:
    # The prototype may have closed or replaced it.
    with contextlib.suppress(Exception):
        stream.flush()


def _plain_failure(message: str) -> dict[str, Any]:
    return {"type": "ProtocolError", "message": message, "place": None, "traceback": ""}
