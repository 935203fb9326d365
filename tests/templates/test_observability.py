"""What the module of a mended project logs of failed requests, and what it answers."""

from __future__ import annotations

import ast
import importlib.util
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from toughen.templates import observability

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from _pytest.capture import CaptureFixture


@pytest.fixture
def bare() -> Iterator[None]:
    """Logging as a fresh process has it."""
    own = logging.getLogger("requests")
    own.handlers.clear()
    yield
    own.handlers.clear()
    own.propagate = True


def made(folder: Path, *, flask: bool) -> Any:
    """The module as a project without structlog has it."""
    (folder / "request_logs.py").write_text(observability.module(flask=flask, structlog=False))
    spec = importlib.util.spec_from_file_location("request_logs", folder / "request_logs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("flask", [True, False])
@pytest.mark.parametrize("structlog", [True, False])
def test_every_variant_is_a_program(*, flask: bool, structlog: bool) -> None:
    """Each text parses, imports what it uses, and says nothing of who wrote it."""
    text = observability.module(flask=flask, structlog=structlog)
    tree = ast.parse(text)
    assert ("import structlog" in text) is structlog
    assert "toughen" not in text
    assert any(isinstance(each, ast.FunctionDef) and each.name == "install" for each in tree.body)


@pytest.mark.usefixtures("bare")
def test_flask_logs_one_line(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    """One line of JSON has the id that was sent and the cause; the client is told the id and nothing of the inside; a 500 on purpose is logged as well."""
    flask = pytest.importorskip("flask")
    app = flask.Flask("shop")
    made(tmp_path, flask=True).install(app)

    @app.get("/boom")
    def boom() -> None:
        message = "inside"
        raise ValueError(message)

    @app.get("/refused")
    def refused() -> tuple[str, int]:
        return "no", 500

    @app.get("/fine")
    def fine() -> str:
        return "yes"

    client = app.test_client()
    answer = client.get("/boom", headers={"X-Request-ID": "sent-by-proxy", "Accept": "application/json"})
    assert (answer.status_code, answer.json, answer.headers["X-Request-ID"]) == (500, {"error": "Internal Server Error", "request_id": "sent-by-proxy"}, "sent-by-proxy")
    assert client.get("/refused", headers={"X-Request-ID": "bad id\tx"}).headers["X-Request-ID"] != "bad id\tx"
    assert client.get("/fine").status_code == 200
    first, second = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (first["level"], first["request_id"], first["path"], first["status"]) == ("error", "sent-by-proxy", "/boom", 500)
    assert "ValueError: inside" in first["exception"]
    assert (second["path"], second["status"], "exception" in second) == ("/refused", 500, False)


@pytest.mark.usefixtures("bare")
def test_fastapi_logs_one_line(tmp_path: Path, capsys: CaptureFixture[str]) -> None:
    """The same, and the exception goes on to the server, whose own traceback is left out; a handler that the application has answers itself."""
    fastapi = pytest.importorskip("fastapi")
    testing = pytest.importorskip("fastapi.testclient")
    for own in (False, True):
        app = fastapi.FastAPI()
        made(tmp_path, flask=False).install(app)

        @app.get("/boom")
        async def boom() -> None:
            message = "inside"
            raise ValueError(message)

        if own:
            @app.exception_handler(Exception)
            async def answered(request: object, error: Exception) -> Any:
                return fastapi.responses.JSONResponse({"mine": True}, 500)

        answer = testing.TestClient(app, raise_server_exceptions=False).get("/boom", headers={"X-Request-ID": "sent-by-proxy"})
        assert answer.json() == ({"mine": True} if own else {"detail": "Internal Server Error", "request_id": "sent-by-proxy"})
        with pytest.raises(ValueError, match="inside"):
            testing.TestClient(app).get("/boom")
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(each["level"], each["status"], "ValueError: inside" in each["exception"]) for each in lines] == [("error", 500, True)] * 2
        assert lines[0]["request_id"] == "sent-by-proxy"
    assert not logging.getLogger("uvicorn.error").filter(logging.LogRecord("uvicorn.error", 40, "", 0, "Exception in ASGI application\n", None, sys.exc_info()))
