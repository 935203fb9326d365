"""What the module of a mended project answers when it is asked whether it is alive and ready."""

from __future__ import annotations

import ast
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from toughen.templates import health

if TYPE_CHECKING:
    from pathlib import Path

BOTH = ("/healthz", "/readyz")


@pytest.mark.parametrize("flask", [True, False])
@pytest.mark.parametrize("kind", ["", *health._ASKS])
def test_every_variant_is_a_program(kind: str, *, flask: bool) -> None:
    """Each text parses, has what it imports, and says nothing of who wrote it; an address that is there already is left out."""
    text = health.module(kind, BOTH, flask=flask)
    ast.parse(text)
    assert "toughen" not in text
    assert ("contextlib" in text) is (kind in {"connection", "generator", "session"})
    assert "/healthz" not in health.module(kind, ("/readyz",), flask=flask)


def test_flask_turns_with_the_database(tmp_path: Path) -> None:
    """Alive whatever happens, ready as long as the database answers."""
    flask = pytest.importorskip("flask")
    names: dict[str, Any] = {}
    exec(health.module("connection", BOTH, flask=True), names)  # noqa: S102 - the text is ours
    app = flask.Flask("shop")
    folder = tmp_path / "data"
    folder.mkdir()
    names["install"](app, lambda: sqlite3.connect(folder / "shop.db"))
    client = app.test_client()
    assert [client.get(each).status_code for each in BOTH] == [200, 200]
    (folder / "shop.db").unlink()
    folder.rmdir()
    assert [client.get(each).status_code for each in BOTH] == [200, 503]


def test_fastapi_does_not_wait_for_ever() -> None:
    """A database that says nothing is not ready once the time is over; dependencies of all routes do not ask a probe for a password."""
    fastapi = pytest.importorskip("fastapi")
    testing = pytest.importorskip("fastapi.testclient")
    names: dict[str, Any] = {}
    exec(health.module("connection", BOTH, flask=False), names)  # noqa: S102 - the text is ours
    names["SECONDS"] = 0.1

    def refused() -> None:
        raise fastapi.HTTPException(401)

    def silent() -> Any:
        import time

        time.sleep(1)
        return sqlite3.connect(":memory:")

    app = fastapi.FastAPI(dependencies=[fastapi.Depends(refused)])
    names["install"](app, silent)
    client = testing.TestClient(app)
    assert [client.get(each).status_code for each in BOTH] == [200, 503]
