"""Owns one child: it runs the lifespan, serves what the lab sends over its own connection, and dies."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import inspect
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from . import (
    aside,
    broken,
    canaries,
    clock,
    faults,
    frames,
    lines,
    memory,
    mysql,
    postgres,
    sqlite,
    starting,
    threads,
    together,
    told,
)
from .asgi import AsgiCaller
from .boot import speaks_asgi
from .gate import Gate
from .recorder import RECORDER, plain_json
from .wsgi import WsgiCaller

if TYPE_CHECKING:
    from .answers import Answer
    from .boot import App
    from .late import Late
    from .wire import Message, Wire

SERVER_ERROR = 500
BODY_LIMIT = 1 << 20
"""Bytes of an answer's body that are kept, where the lab names no other number."""


class Child:
    """Serves requests to one loaded app until the lab says quit or goes away."""

    def __init__(
        self, app: App, config: Message, order: Message, wire: Wire, late: Late, settled: AsgiCaller | None = None
    ) -> None:
        """Put the recorders of this process in place."""
        self._app = app
        self._order = order
        self._wire = wire
        self._late = late
        self._settled = settled is not None
        self.begun = False
        """Whether its start-up is done."""
        limit = int(config.get("body_limit") or BODY_LIMIT)
        start = str(order.get("started") or config.get("started") or "")
        target = starting.served(start, app, config) if start else app.target
        asgi = app.asgi if target is app.target else speaks_asgi(target)
        self._caller: AsgiCaller | WsgiCaller = settled or (AsgiCaller if asgi else WsgiCaller)(target, limit)
        if settled is not None:
            settled.reborn()
        self._modules = len(sys.modules)
        self._came: set[str] = set()
        self._record: Message = {}
        self._started = 0.0
        self._size = 0
        canaries.install()
        threads.install()

    def run(self, first: Message | None = None) -> None:
        """Say hello, start up, serve, shut down; no hello where the first order is there already."""
        self._caller.live(self._live(first))

    async def _live(self, first: Message | None) -> None:
        if first is None:
            self._wire.send({"hello": "child", "id": self._order.get("id"), "pid": os.getpid()})
        if self._order.get("lines"):
            lines.install(self._app)
        try:
            if not self._settled:
                RECORDER.early = []
                aside.starts(now=True)
                await self._caller.start()
                aside.settled()
        except BaseException as error:
            self._wire.send({"failed": {"stage": "lifespan", "failure": frames.failure(error)}})
            return
        if self._order.get("gate"):
            RECORDER.gate = Gate(self._wire, lambda: list(RECORDER.outgoing))
            sqlite.never_wait()
        self.begun = True
        if first is None:
            self._wire.send({"ready": {}})
        while True:
            order, first = first or self._wire.receive(), None
            if order is None:
                return
            do = order.get("do")
            if do == "serve":
                await self._serve(order)
            elif do == "pair":
                self._wire.send(await self._pair(order))
            elif do == "call":
                self._wire.send(await self._call(order))
            elif do == "rows":
                self._wire.send({"tables": sqlite.memory_tables()})
            elif do == "clock":
                clock.shift(float(order.get("seconds") or 0))
                self._wire.send({"shifted": order.get("seconds")})
            elif do == "loaded":
                self._wire.send({"files": _loaded()})
            elif do == "quit":
                await self._caller.stop()
                return
            else:
                self._wire.send({"failed": {"stage": "order", "failure": _unknown(do)}})

    async def _serve(self, order: Message) -> None:
        self._record = order.get("record") or {}
        if self._record.get("lines"):
            lines.install(self._app)
        await self._caller.serve(order.get("requests") or (), self._begin, self._end)

    def _begin(self) -> None:
        RECORDER.begin(self._record)
        if "patience" in self._record:
            RECORDER.patience = float(self._record["patience"] or 0)
        if "dies" in self._record:
            RECORDER.dies = self._die if self._record["dies"] else None
        if "cut" in self._record:
            RECORDER.cut, RECORDER.falls = int(self._record["cut"]), self._fall
        if RECORDER.fault:
            faults.WAITS.begin(self._wire)
            if RECORDER.gone():
                postgres.hang_up()
                mysql.hang_up()
            if RECORDER.fault["kind"] == "raise":
                broken.breaks(self._app)
        if RECORDER.lines:
            lines.begin()
        if self._record.get("told"):
            told.begin()
        self._size = memory.largest() if self._record.get("memory") else 0
        self._started = time.perf_counter()

    def _end(self, answer: Answer, error: BaseException | None) -> None:
        spent = time.perf_counter() - self._started
        if error is None and answer.status is not None:
            RECORDER.answer = answer
        threads.join()
        cause = error or RECORDER.failure or RECORDER.passing
        heard = told.end() if told.NOW is not None else None
        ran = lines.end(cause) if RECORDER.lines else None
        waited = faults.WAITS.end() if RECORDER.fault else 0.0
        exchange = RECORDER.end()
        if waited:
            exchange["waited"] = round(waited, 1)
        if RECORDER.slept:
            exchange["slept"] = round(RECORDER.slept, 3)
        if ran is not None:
            exchange.update(ran)
        if heard is not None:
            # What comes out of the app is written by the server in front of it.
            exchange["told"] = {**heard, "raised": error is not None}
        leaves = error is not None and not isinstance(error, Exception)
        if answer.status is None and not leaves:
            # What a server in front of the app sends when nothing came back.
            answer.status = SERVER_ERROR
        answer.tell(exchange)
        if error is None and (answer.status or 0) < SERVER_ERROR:
            # What the framework passed on was answered by someone: no failure.
            cause = None
        if cause is not None:
            exchange["failure"] = frames.failure(cause)
        for each in (error, RECORDER.failure, RECORDER.passing):
            frames.forget(each)
        RECORDER.failure = RECORDER.passing = cause = None
        exchange["milliseconds"] = round(spent * 1000, 3)
        if self._size:
            exchange["grown"] = memory.largest() - self._size
        if len(sys.modules) != self._modules:
            exchange["imported"] = names = self._imported()
            self._late.tell(names)
        self._wire.send(exchange)
        if leaves:
            # SystemExit or KeyboardInterrupt out of a handler ends a worker.
            os._exit(1)

    def _die(self, answer: Answer) -> None:
        """Tell what happened until the client had its answer, and end there."""
        exchange = RECORDER.end()
        answer.tell(exchange)
        exchange["milliseconds"] = round((time.perf_counter() - self._started) * 1000, 3)
        self._wire.send(exchange)
        os._exit(0)

    def _fall(self) -> None:
        """Tell what happened until now, and end there."""
        answer = RECORDER.answer
        exchange = RECORDER.end()
        if answer is not None:
            answer.tell(exchange)
        self._wire.send({**exchange, "fallen": True, "milliseconds": round((time.perf_counter() - self._started) * 1000, 3)})
        os._exit(0)

    def _imported(self) -> list[str]:
        """Modules of others that came in since the last time; the server can import them before it forks again."""
        known, came = self._late.known, self._came
        names = [name for name in list(sys.modules) if name not in known and name not in came]
        came.update(names)
        self._modules = len(sys.modules)
        told = []
        for name in names:
            spec = getattr(sys.modules.get(name), "__spec__", None)
            origin = getattr(spec, "origin", None)
            if spec is not None and (origin is None or frames.relative(str(origin)) is None) and name[:2] != "__":
                told.append(name)
        return told

    async def _pair(self, order: Message) -> Message:
        """Two requests at once in this process, and how each was answered."""
        RECORDER.begin({})
        outcomes, met = await self._caller.pair(order.get("requests") or (), together.Hold(order.get("stop") or {}))
        RECORDER.end()
        told: list[Message] = []
        for answer, error in outcomes:
            exchange: Message = {}
            if answer.status is None and error is not None:
                answer.status = SERVER_ERROR
            answer.tell(exchange)
            if error is not None:
                exchange["failure"] = frames.failure(error)
                frames.forget(error)
            told.append(exchange)
        return {"pair": told, **met}

    async def _call(self, order: Message) -> Message:
        module, _, path = str(order.get("function") or "").partition(":")
        try:
            target: Any = importlib.import_module(module)
            for part in path.split("."):
                target = getattr(target, part)
            with self._context():
                result = target(*(order.get("arguments") or ()), **(order.get("keywords") or {}))
                if inspect.isawaitable(result):
                    result = await result if self._app.asgi else asyncio.run(_finish(result))
        except BaseException as error:
            return {"failed": {"stage": "call", "failure": frames.failure(error)}}
        return {"returned": _readable(result)}

    def _context(self) -> Any:
        """Flask's functions want an application context around them."""
        flask = self._app.flask
        return flask.test_request_context("/") if flask is not None else contextlib.nullcontext()


def _loaded() -> list[str]:
    """Files of installed packages that are loaded, below the folder that they are installed in."""
    files = [str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())]
    parts = [file.rpartition("-packages" + os.sep) for file in files]
    return [name for before, found, name in parts if found and before.endswith((os.sep + "site", os.sep + "dist"))]


async def _finish(awaitable: Any) -> Any:
    return await awaitable


def _readable(result: object) -> Any:
    """Return the result as JSON; bytes that are text come as text, which is what tokens are."""
    if isinstance(result, bytes):
        try:
            return result.decode("utf-8")
        except UnicodeDecodeError:
            return plain_json(result)
    if isinstance(result, tuple):
        return [_readable(each) for each in result]
    return plain_json(result)


def _unknown(do: object) -> dict[str, Any]:
    return {"type": "ProtocolError", "message": "unknown order: " + repr(do), "place": None, "traceback": ""}
