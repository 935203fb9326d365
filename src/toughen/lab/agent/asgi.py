"""Owns the in-process caller of ASGI apps: one event loop for a child, the lifespan kept open in it."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
import time
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import aside, threads, together
from .answers import SERVER, Answer, Request, pieces
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Iterator

    from .together import Hold

Event = dict[str, Any]
Finished = Callable[[Answer, Optional[BaseException]], None]
Outcome = tuple[Answer, Optional[BaseException]]

SPEC = {"version": "3.0", "spec_version": "2.3"}
SHUTDOWN_SECONDS = 5.0


class LifespanFailedError(Exception):
    """The app says that its start-up failed."""


class AsgiCaller:
    """Calls one ASGI app; requests of a batch run one after the other, each in a task of its own."""

    def __init__(self, app: Any, limit: int) -> None:
        """Make the loop that everything of this child runs in."""
        self._app = app
        self._limit = limit
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._state: dict[str, Any] = {}
        self._messages: asyncio.Queue[Event]
        self._born = 0
        """Tasks that the loop was asked for."""
        self._others: set[Any] = set()
        """Tasks that were there before the request and go on beside it."""
        self._counted = -1
        self._hold: Hold | None = None
        """Where the first of two requests at once stands still."""
        create = self._loop.create_task

        def create_task(coroutine: Any, *args: Any, **keywords: Any) -> Any:
            self._born += 1
            return create(coroutine if self._hold is None else self._hold.wraps(coroutine), *args, **keywords)

        self._create = create
        self._loop.create_task = create_task  # type: ignore[method-assign,assignment]
        self._lifespan: asyncio.Task[None] | None = None

    def bound(self) -> str:
        """Why what the start-up left behind cannot go on in a forked process; empty where it can."""
        held: Any = self._loop
        loop: asyncio.AbstractEventLoop = self._loop
        private = ("_selector", "_ssock", "_csock", "_internal_fds", "_make_self_pipe", "_scheduled")
        if not isinstance(loop, asyncio.SelectorEventLoop) or not all(hasattr(loop, name) for name in private):
            return "its event loop cannot be made anew"
        if asyncio.all_tasks(loop) - {self._lifespan} or not all(each.cancelled() for each in held._scheduled):
            return "tasks of its start-up go on beside the requests"
        if len(held._selector.get_map()) > 1:
            return "its event loop waits for a connection"
        return ""

    def reborn(self) -> None:
        """Give the loop, in a process that was forked with it, eyes and ears of its own."""
        loop: Any = self._loop
        shared, loop._selector = loop._selector, selectors.DefaultSelector()
        shared.close()
        for end in (loop._ssock, loop._csock):
            end.close()
        loop._internal_fds -= 1
        loop._make_self_pipe()
        asyncio.set_event_loop(loop)

    def live(self, life: Coroutine[Any, Any, None]) -> None:
        """Run the child's whole life in one task: worker threads live as long as the task that they began under."""
        self._loop.run_until_complete(life)

    async def start(self) -> None:
        """Run the lifespan's start-up; raises what the app raised there."""
        self._messages = asyncio.Queue()
        started: asyncio.Future[str | None] = self._loop.create_future()
        self._stopped: asyncio.Future[None] = self._loop.create_future()
        await self._messages.put({"type": "lifespan.startup"})

        async def send(event: Event) -> None:
            kind = event["type"]
            if kind == "lifespan.startup.complete" and not started.done():
                started.set_result(None)
            elif kind == "lifespan.startup.failed" and not started.done():
                started.set_result(str(event.get("message") or "start-up failed"))
            elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed") and not self._stopped.done():
                self._stopped.set_result(None)

        scope = {"type": "lifespan", "asgi": SPEC, "state": self._state}
        begun = contextvars.copy_context()
        begun.run(aside.BEGUN.set, True)
        task = self._lifespan = begun.run(self._loop.create_task, self._app(scope, self._messages.get, send))
        first: list[Any] = [task, started]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if started.done():
            message = started.result()
            if message is None:
                await aside.first_turns({task, asyncio.current_task()})
                return
            # The exception itself tells more than the text that the framework sent.
            await asyncio.wait([task], timeout=1)
            error = task.exception() if task.done() and not task.cancelled() else None
            raise error if error is not None else LifespanFailedError(message[-2000:])
        # An app that does not know lifespans ends or raises before it answers: that is allowed.
        self._lifespan = None
        error = task.exception() if not task.cancelled() else None
        if error is not None and not isinstance(error, Exception):
            raise error

    async def serve(self, requests: Iterable[dict[str, Any]], begin: Callable[[], None], end: Finished) -> None:
        """Serve a batch: `begin()` before and `end(answer, error)` after each request."""
        done: asyncio.Future[None] = self._loop.create_future()
        # Made for the whole batch at once: code that runs between two requests finds the caches cold.
        waiting = iter([_Call(self._app, Request(message), Answer(self._limit), self._loop) for message in requests])
        context = contextvars.copy_context()
        RECORDER.tasks = self._tasks

        def following() -> None:
            call = next(waiting, None)
            if call is None:
                done.set_result(None)
                return
            # A task for each, each started by the one before: context variables of one request must not
            # reach the next, and a loop that waits for tasks one by one would turn twice as often.
            self._current = context.run(self._create, one(call, call.scope(self._state)))

        async def one(call: _Call, scope: dict[str, Any]) -> None:
            try:
                if self._counted != self._born:
                    # Listing tasks is dear, and only what was born meanwhile can have stayed.
                    self._others = asyncio.all_tasks() - {asyncio.current_task()}
                    self._counted = self._born
                begin()
                error = await call.run(scope)
                if RECORDER.patience:
                    await self._patient()
                end(call.answer, error)
                following()
            except BaseException as error:
                done.set_exception(error if isinstance(error, Exception) else RuntimeError(repr(error)))

        following()
        await done

    async def pair(self, requests: Iterable[dict[str, Any]], hold: Hold) -> tuple[list[Outcome], dict[str, Any]]:
        """Serve two requests at once in this loop; what came of each, and how they met."""
        calls = [_Call(self._app, Request(message), Answer(self._limit), self._loop) for message in requests]
        errors: list[BaseException | None] = [None, None]

        async def one(index: int) -> None:
            errors[index] = await calls[index].run(calls[index].scope(self._state))

        self._hold = hold
        try:
            told = await together.in_tasks(hold, one(0), one(1), self._loop.create_task)
        finally:
            self._hold = None
        return [(call.answer, error) for call, error in zip(calls, errors)], told

    def _tasks(self) -> list[Any]:
        """Tasks of the running request."""
        return [task for task in asyncio.all_tasks(self._loop) if task not in self._others]

    async def _patient(self) -> None:
        """Let what the request left behind come to its end: its tasks, and threads that are at work for it."""
        until = time.monotonic() + RECORDER.patience
        still = 0
        aside.free()
        while time.monotonic() < until and still < threads.quiet():
            count = len(RECORDER.statements)
            await asyncio.sleep(threads.LOOK)
            mine = [task for task in self._tasks() if task is not asyncio.current_task()]
            still = 0 if mine or threads.busy() or len(RECORDER.statements) != count else still + 1

    async def stop(self) -> None:
        """Run the lifespan's shut-down."""
        if self._lifespan is None or self._lifespan.done():
            return
        await self._messages.put({"type": "lifespan.shutdown"})
        waiting: list[Any] = [self._lifespan, self._stopped]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=SHUTDOWN_SECONDS)


class _Call:
    """One request: the app's three arguments and what came back."""

    __slots__ = ("_app", "_complete", "_loop", "_pieces", "_sent", "_waiting", "answer", "request")

    def __init__(self, app: Any, request: Request, answer: Answer, loop: asyncio.AbstractEventLoop) -> None:
        self._app = app
        self.request = request
        self.answer = answer
        self._loop = loop
        self._sent = False
        self._pieces: Iterator[bytes] | None = None
        self._complete = False
        self._waiting: list[asyncio.Future[None]] = []

    def scope(self, state: dict[str, Any]) -> dict[str, Any]:
        request = self.request
        return {
            "type": "http",
            "asgi": SPEC,
            "http_version": "1.1",
            "server": SERVER,
            "client": request.client,
            "scheme": "http",
            "root_path": "",
            "method": request.method,
            "path": request.path.decode("utf-8", "replace"),
            "raw_path": request.raw_path,
            "query_string": request.query,
            "headers": request.headers,
            "state": state.copy(),
        }

    async def run(self, scope: dict[str, Any]) -> BaseException | None:
        try:
            await self._app(scope, self.receive, self.send)
        except BaseException as error:
            return error
        finally:
            self._finish()
        return None

    async def receive(self) -> Event:
        if not self._sent and self.request.packed is not None:
            self._pieces = self._pieces or pieces(self.request.packed)
            piece = next(self._pieces, b"")
            self._sent = not piece
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}
        if not self._sent:
            self._sent = True
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        if not self._complete:
            # As with a real client: it stays connected until it has the whole answer.
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiting.append(waiter)
            await waiter
        return {"type": "http.disconnect"}

    async def send(self, event: Event) -> None:
        kind = event["type"]
        if kind == "http.response.start":
            answer = self.answer
            answer.status = int(event["status"])
            answer.headers = [
                (str(name, "latin-1"), str(value, "latin-1")) for name, value in event.get("headers") or ()
            ]
        elif kind == "http.response.body":
            if self.answer.status is None:
                message = "the body came before the start of the response"
                raise RuntimeError(message)
            if self.request.method != "HEAD":
                self.answer.add(event.get("body") or b"")
            if not event.get("more_body") or self.answer.whole():
                RECORDER.answered(self.answer)
            if not event.get("more_body"):
                RECORDER.answer = self.answer
                self._finish()

    def _finish(self) -> None:
        self._complete = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)
