"""Owns the in-process caller of WSGI apps."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any, Callable, Optional

from . import threads, together
from .answers import PIECE, SERVER, Answer, Request, Stream
from .recorder import RECORDER

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from .together import Hold

Finished = Callable[[Answer, Optional[BaseException]], None]
Outcome = tuple[Answer, Optional[BaseException]]


class WsgiCaller:
    """Calls one WSGI app in the child's main thread."""

    def __init__(self, app: Any, limit: int) -> None:
        """Take the app and the bytes of a body to keep."""
        self._app = app
        self._limit = limit

    def live(self, life: Coroutine[Any, Any, None]) -> None:
        """Run the child's whole life without an event loop, which views of the prototype may want to start."""
        try:
            life.send(None)
        except StopIteration:
            return
        message = "the child's life waits for an event loop"
        raise RuntimeError(message)

    async def start(self) -> None:
        """Do nothing: WSGI knows no lifespan."""

    async def stop(self) -> None:
        """Do nothing: WSGI knows no lifespan."""

    async def serve(self, requests: Iterable[dict[str, Any]], begin: Callable[[], None], end: Finished) -> None:
        """Serve a batch: `begin()` before and `end(answer, error)` after each request."""
        # Made for the whole batch at once: code that runs between two requests finds the caches cold.
        for environ in [_environ(Request(message)) for message in requests]:
            answer = Answer(self._limit)
            begin()
            error = self._call(environ, answer, keep=environ["REQUEST_METHOD"] != "HEAD")
            if RECORDER.patience:
                threads.patient(RECORDER.patience)
            end(answer, error)

    async def pair(self, requests: Iterable[dict[str, Any]], hold: Hold) -> tuple[list[Outcome], dict[str, Any]]:
        """Serve two requests at once in two threads; what came of each, and how they met."""
        environs = [_environ(Request(message)) for message in requests]
        answers = [Answer(self._limit) for _ in environs]
        errors: list[BaseException | None] = [None, None]

        def one(index: int) -> Callable[[], None]:
            def serve() -> None:
                errors[index] = self._call(environs[index], answers[index], keep=environs[index]["REQUEST_METHOD"] != "HEAD")

            return serve

        told = together.in_threads(hold, one(0), one(1))
        return list(zip(answers, errors)), told

    def _call(self, environ: dict[str, Any], answer: Answer, *, keep: bool) -> BaseException | None:
        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Callable[[bytes], None]:
            del exc_info
            answer.status = int(str(status).split(" ", 1)[0])
            answer.headers = [(str(name), str(value)) for name, value in headers]
            return answer.add

        try:
            pieces = self._app(environ, start_response)
            try:
                for piece in pieces:
                    if keep:
                        answer.add(piece)
                RECORDER.answered(answer)
            finally:
                close = getattr(pieces, "close", None)
                if close is not None:
                    close()
        except BaseException as error:
            return error
        return None


_SAME: dict[str, Any] = {
    "SCRIPT_NAME": "",
    "SERVER_NAME": SERVER[0],
    "SERVER_PORT": str(SERVER[1]),
    "SERVER_PROTOCOL": "HTTP/1.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
    "wsgi.input_terminated": True,
}
"""What every request has in common."""
_REMEMBERED = 500
_KEYS: dict[bytes, str] = {}
"""Keys of headers by their names."""


def _environ(request: Request) -> dict[str, Any]:
    query = request.query.decode("latin-1")
    uri = request.raw_path.decode("latin-1")
    uri = uri + "?" + query if query else uri
    environ = _SAME.copy()
    environ["REQUEST_METHOD"] = request.method
    environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = request.client[0], str(request.client[1])
    environ["PATH_INFO"] = request.path.decode("latin-1")
    environ["QUERY_STRING"] = query
    environ["REQUEST_URI"] = environ["RAW_URI"] = uri
    packed = request.packed
    environ["wsgi.input"] = io.BytesIO(request.body) if packed is None else io.BufferedReader(Stream(packed), PIECE)
    environ["wsgi.errors"] = sys.stderr
    for name, raw_value in request.headers:
        key = _KEYS.get(name) or _key(name)
        value = raw_value.decode("latin-1")
        if key in environ and key[:5] == "HTTP_":
            value = environ[key] + ("; " if key == "HTTP_COOKIE" else ",") + value
        environ[key] = value
    return environ


def _key(name: bytes) -> str:
    key = name.decode("latin-1").upper().replace("-", "_")
    key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + key
    if len(_KEYS) < _REMEMBERED:
        _KEYS[name] = key
    return key
