"""Owns the yardstick: an app called in-process in a plain loop, without the agent, the lab or a hook.

Run as `python raw.py module:app ASKED ANSWERED`, two named pipes: batches of requests come as lines of JSON, and each is
answered with the seconds that it took. It imports nothing of toughen.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import io
import json
import sys
import time
from typing import IO, Any

Request = dict[str, Any]


def _wsgi(app: Any, requests: list[Request]) -> None:  # noqa: ANN401
    for request in requests:
        target, _, query = request["target"].partition("?")
        body = request["body"].encode()
        environ = {
            "REQUEST_METHOD": request["method"], "SCRIPT_NAME": "", "PATH_INFO": target, "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1", "SERVER_PORT": "8000", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_HOST": "localhost",
            "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body)), "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(body), "wsgi.errors": sys.stderr,
            "wsgi.multithread": False, "wsgi.multiprocess": False, "wsgi.run_once": False,
        }  # fmt: skip
        status = ""

        def start_response(told: str, *_: object) -> None:
            nonlocal status
            status = told

        pieces = app(environ, start_response)
        b"".join(pieces)
        pieces.close()
        assert status[:1] == "2", status


async def _asgi(app: Any, requests: list[Request]) -> None:  # noqa: ANN401
    for request in requests:
        # As servers do: what one request sets in its context must not reach the next.
        await asyncio.create_task(_call(app, request))


async def _call(app: Any, request: Request) -> None:  # noqa: ANN401
    target, _, query = request["target"].partition("?")
    body = request["body"].encode()
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "root_path": "",
        "method": request["method"], "path": target, "raw_path": target.encode(), "query_string": query.encode(),
        "headers": headers, "server": ("127.0.0.1", 8000), "client": ("127.0.0.1", 50000), "state": {},
    }  # fmt: skip
    status = 0
    pieces = []

    async def receive(body: bytes = body) -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: dict[str, Any], pieces: list[bytes] = pieces) -> None:
        nonlocal status
        status = event.get("status", status)
        pieces.append(event.get("body", b""))

    await app(scope, receive, send)
    b"".join(pieces)
    assert status // 100 == 2, status  # noqa: PLR2004


async def _live(app: Any, asked: IO[str], answered: IO[str]) -> None:  # noqa: ANN401
    for line in asked:
        requests = json.loads(line)
        began = time.perf_counter()
        if inspect.iscoroutinefunction(type(app).__call__):
            await _asgi(app, requests)
        else:
            _wsgi(app, requests)
        print(time.perf_counter() - began, file=answered, flush=True)


def main() -> None:
    """Serve batches until the input ends."""
    entry, asked, answered = sys.argv[1:]
    module, _, name = entry.partition(":")
    sys.path.insert(0, ".")
    app = getattr(importlib.import_module(module), name)
    with open(asked, encoding="utf-8") as reader, open(answered, "w", encoding="utf-8") as writer:  # noqa: PTH123
        asyncio.run(_live(app, reader, writer))


if __name__ == "__main__":
    main()
