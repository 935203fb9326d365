"""Owns the claims about how requests reach ASGI and WSGI apps, and what comes back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FASTAPI = """
    from contextlib import asynccontextmanager
    from fastapi import BackgroundTasks, FastAPI, Request
    from fastapi.responses import StreamingResponse
    from starlette.middleware.base import BaseHTTPMiddleware

    @asynccontextmanager
    async def lifespan(app):
        events.append("up")
        yield {"engine": "started"}
        open("down.txt", "w").write("down")

    events = []
    app = FastAPI(lifespan=lifespan)

    async def passing(request, call_next):
        return await call_next(request)
    app.add_middleware(BaseHTTPMiddleware, dispatch=passing)

    @app.get("/state")
    async def state(request: Request):
        return [events, request.state.engine]
    @app.get("/big")
    async def big():
        async def parts():
            for _ in range(1000):
                yield b"x" * 100_000
        return StreamingResponse(parts())
    @app.get("/boom")
    async def boom():
        return {}["missing"]
    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        def fail():
            raise ValueError("in the background")
        tasks.add_task(fail)
        return "sent"
    @app.post("/echo/{x}")
    async def echo(x: str, request: Request):
        return [x, request.url.query, (await request.body()).decode(), request.headers["x-a"], request.client.host]
"""

FLASK = """
    from flask import Flask, request
    app = Flask(__name__)
    closed = []
    @app.get("/boom")
    def boom():
        return helper()
    def helper():
        raise RuntimeError("no luck")
    @app.get("/teapot")
    def teapot():
        from werkzeug.exceptions import ImATeapot
        raise ImATeapot
    @app.post("/echo/<x>")
    def echo(x):
        return [x, request.query_string.decode(), request.data.decode(), request.headers["x-a"], request.remote_addr]
    @app.get("/big")
    def big():
        def parts():
            try:
                for _ in range(1000):
                    yield b"x" * 100_000
            finally:
                closed.append(1)
        return app.response_class(parts())
    @app.get("/closed")
    def was_closed():
        return str(len(closed))
    @app.get("/handled")
    def handled():
        raise KeyError("quiet")
    @app.errorhandler(KeyError)
    def quiet(error):
        return "handled", 400
"""


@pytest.fixture(scope="module")
def fastapi(boot: Callable[..., Any]) -> Iterator[Any]:
    """A FastAPI app with a lifespan and a middleware that reads ahead."""
    return boot(FASTAPI)


@pytest.fixture(scope="module")
def flask(boot: Callable[..., Any]) -> Iterator[Any]:
    """A Flask app."""
    return boot(FLASK)


def test_lifespan_stays_open(fastapi: Any) -> None:
    """Start-up runs once before the first request, its state reaches every request, shut-down runs at quit."""
    child = fastapi.child()
    exchanges = child.serve(("GET", "/state"), ("GET", "/state"))
    assert [each["body"] for each in exchanges] == [b'[["up"],"started"]'] * 2
    child.send({"do": "quit"})
    with pytest.raises(EOFError):
        child.receive()
    assert (fastapi.root / "down.txt").read_text() == "down"


def test_context_variables_do_not_leak(boot: Callable[..., Any]) -> None:
    """What one request sets is not seen by the next of the same batch."""
    host = boot(
        """
        import contextvars
        current = contextvars.ContextVar("current", default="nobody")
        async def app(scope, receive, send):
            before = current.get()
            current.set(scope["path"])
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": before.encode()})
        """
    )
    assert [each["body"] for each in host.child().serve(("GET", "/ann"), ("GET", "/bob"))] == [b"nobody"] * 2


def test_error_that_the_prototype_answers_softly(boot: Callable[..., Any]) -> None:
    """A handler for 500 that answers with something else has dealt with the exception: no failure."""
    host = boot(
        """
        from flask import Flask
        app = Flask(__name__)
        @app.get("/")
        def home():
            raise RuntimeError("no luck")
        @app.errorhandler(500)
        def soft(error):
            return "try later", 202
        """
    )
    told = host.child().serve(("GET", "/"))[0]
    assert (told["status"], told["failure"]) == (202, None)


@pytest.mark.parametrize("app", ["fastapi", "flask"])
def test_request_arrives_whole(app: str, request: pytest.FixtureRequest) -> None:
    """Path, query, body, headers and client are what a server would give."""
    child = request.getfixturevalue(app).child()
    told = child.serve(("POST", "/echo/a%20b%C3%A9?q=1&r=%2F", b"raw", {"X-A": "v"}))[0]
    import json

    assert json.loads(told["body"]) == ["a b\u00e9", "q=1&r=%2F", "raw", "v", "1.2.3.4"]


@pytest.mark.parametrize("app", ["fastapi", "flask"])
def test_long_bodies_are_cut_and_counted(app: str, request: pytest.FixtureRequest) -> None:
    """Of 100 MB the first 64 kB are kept; the size is the true one."""
    told = request.getfixturevalue(app).child().serve(("GET", "/big"))[0]
    assert (len(told["body"]), told["size"]) == (1 << 16, 100_000_000)


def test_wsgi_iterable_is_closed(flask: Any) -> None:
    """`close()` of the answer's iterable is called, as WSGI asks."""
    assert flask.child().serve(("GET", "/big"), ("GET", "/closed"))[1]["body"] == b"1"


def test_escaped_exception_comes_with_the_500(fastapi: Any) -> None:
    """ServerErrorMiddleware sends its 500 and raises again: both are told, with the user's own line."""
    told = fastapi.child().serve(("GET", "/boom"))[0]
    assert (told["status"], told["failure"]["type"]) == (500, "KeyError")
    assert told["failure"]["place"][0] == "main.py"
    assert told["failure"]["place"][2] == "boom"


def test_exception_after_the_answer(fastapi: Any) -> None:
    """A background task that raises is a failure of a request that was answered with 200."""
    told = fastapi.child().serve(("GET", "/later"))[0]
    assert (told["status"], told["failure"]["message"]) == (200, "in the background")


@pytest.mark.parametrize("setting", ["", "app.config['TESTING'] = True", "app.config['PROPAGATE_EXCEPTIONS'] = True"])
def test_flask_exception_is_told_whatever_the_settings(boot: Callable[..., Any], setting: str) -> None:
    """Whether Flask answers with 500 or lets the exception out, the status is 500 and the failure names the line."""
    import textwrap

    told = boot(textwrap.dedent(FLASK) + setting).child().serve(("GET", "/boom"))[0]
    assert (told["status"], told["failure"]["type"], told["failure"]["place"][2]) == (500, "RuntimeError", "helper")


@pytest.mark.parametrize(("path", "status"), [("/teapot", 418), ("/handled", 400), ("/nowhere", 404)])
def test_answers_are_no_failures(flask: Any, path: str, status: int) -> None:
    """An HTTP exception, or one that the prototype's own error handler answers, is no failure."""
    told = flask.child().serve(("GET", path))[0]
    assert (told["status"], told["failure"]) == (status, None)


def test_failed_start_up_is_told(boot: Callable[..., Any]) -> None:
    """A start-up that raises is told as the lifespan's failure, with its place."""
    host = boot(
        """
        from contextlib import asynccontextmanager
        from fastapi import FastAPI
        @asynccontextmanager
        async def lifespan(app):
            raise ConnectionError("no database")
            yield
        app = FastAPI(lifespan=lifespan)
        """
    )
    failed = host.order_child().receive()["failed"]
    assert (failed["stage"], failed["failure"]["type"], failed["failure"]["place"][0]) == (
        "lifespan",
        "ConnectionError",
        "main.py",
    )


def test_bare_asgi_without_lifespan(boot: Callable[..., Any]) -> None:
    """An ASGI function that knows no lifespan serves; one that never answers gives a 500 without failure."""
    host = boot(
        """
        async def app(scope, receive, send):
            assert scope["type"] == "http"
            if scope["path"] == "/silent":
                return
            message = await receive()
            await send({"type": "http.response.start", "status": 201, "headers": [(b"x-b", b"1")]})
            await send({"type": "http.response.body", "body": message["body"]})
        """
    )
    told, silent = host.child().serve(("POST", "/", b"hi"), ("GET", "/silent"))
    assert (told["status"], told["headers"], told["body"]) == (201, [["x-b", "1"]], b"hi")
    assert (silent["status"], silent["failure"]) == (500, None)
