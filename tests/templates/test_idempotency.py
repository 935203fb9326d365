"""Claims about the module that keeps idempotency keys: for each framework and each way to a database, a key is done once and answered again as the first time."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import RedirectResponse, StreamingResponse
from flask import Flask, Response, jsonify, redirect, request
from sqlalchemy import create_engine

from toughen.templates import idempotency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def made(kind: str, key: str, *, flask: bool) -> dict[str, Any]:
    """What the module of that kind defines."""
    names: dict[str, Any] = {}
    exec(compile(idempotency.module(kind, key, "?", flask=flask), "idempotency.py", "exec"), names)  # noqa: S102 - what the template writes
    return names


def ways(kind: str, path: Path) -> Callable[[], Any]:
    """What gives the database, as a project has it."""
    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, check_same_thread=False)

    def generator() -> Iterator[sqlite3.Connection]:
        yield connect()

    engine = create_engine(f"sqlite:///{path}")
    return {"engine": lambda: engine, "connection": connect, "generator": generator}[kind]


def post(app: FastAPI, amount: int = 5, **headers: str) -> httpx.Response:
    """What an ASGI application answers to an order."""
    async def sent() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://shop") as client:
            return await client.post("/orders", json={"amount": amount}, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return asyncio.run(sent())


@pytest.mark.parametrize("kind", ["engine", "connection", "generator"])
@pytest.mark.parametrize("key", ["header idempotency_key", "json reference"])
def test_flask_does_a_key_once(tmp_path: Path, kind: str, key: str) -> None:
    """The second request with a key does nothing and is answered as the first; another body is refused, a refused one may come again, and one without a key passes."""
    done: list[int] = []
    app = Flask("shop")

    @app.post("/orders")
    def order() -> Any:
        amount = request.get_json()["amount"]
        if amount < 0:
            return jsonify(error="no"), 400
        done.append(amount)
        return jsonify(number=len(done)), 201

    made(kind, key, flask=True)["install"](app, ways(kind, tmp_path / "shop.db"))
    client = app.test_client()

    def send(amount: int, value: str | None) -> tuple[int, Any, str | None]:
        in_body = key.startswith("json") and value is not None
        answer = client.post("/orders", json={"amount": amount, **({"reference": value} if in_body else {})}, headers={"Idempotency-Key": value} if value and not in_body else {})
        return answer.status_code, answer.get_json(), answer.headers.get("Idempotency-Replayed")

    assert send(5, "a") == (201, {"number": 1}, None)
    assert send(5, "a") == (201, {"number": 1}, "true")
    assert send(6, "a")[0] == 422
    assert send(5, "b") == (201, {"number": 2}, None)
    assert send(-1, "c")[0] == send(-1, "c")[0] == 400
    assert send(7, None) == (201, {"number": 3}, None)
    assert done == [5, 5, 7]


@pytest.mark.parametrize("kind", ["engine", "connection", "generator"])
def test_fastapi_does_a_key_once(tmp_path: Path, kind: str) -> None:
    """The same in front of an ASGI application; somebody else's key of that name is another one."""
    done: list[int] = []
    app = FastAPI()

    @app.post("/orders", status_code=201)
    def order(amount: dict[str, int]) -> dict[str, int]:
        done.append(amount["amount"])
        return {"number": len(done)}

    app.add_middleware(made(kind, "header Idempotency-Key", flask=False)["Idempotency"], database=ways(kind, tmp_path / "shop.db"))

    def send(amount: int, value: str, who: str = "ann") -> tuple[int, Any, str | None]:
        answer = post(app, amount, idempotency_key=value, authorization=who)
        return answer.status_code, answer.json(), answer.headers.get("idempotency-replayed")

    assert send(5, "a") == (201, {"number": 1}, None)
    assert send(5, "a") == (201, {"number": 1}, "true")
    assert send(6, "a")[0] == 422
    assert send(5, "a", "ben") == (201, {"number": 2}, None)
    assert post(app, 7).json() == {"number": 3}
    assert done == [5, 5, 7]


def test_a_key_whose_request_never_ended_is_refused(tmp_path: Path) -> None:
    """Where the first one was begun and nobody knows how it ended, the second is refused, and nothing is done twice."""
    names = made("connection", "header Idempotency-Key", flask=False)
    way = ways("connection", tmp_path / "shop.db")
    app = FastAPI()
    done: list[int] = []

    @app.post("/orders")
    def order() -> dict[str, int]:
        done.append(1)
        raise OSError("the power goes")

    app.add_middleware(names["Idempotency"], database=way)
    assert post(app, idempotency_key="a").status_code == 500
    assert post(app, idempotency_key="a").status_code == 409
    assert done == [1]


@pytest.mark.parametrize("framework", ["flask", "asgi"])
def test_a_redirect_leads_to_the_same_place_again(tmp_path: Path, framework: str) -> None:
    """Whoever sends the key of a form again is led where the first one was led."""
    way = ways("connection", tmp_path / "shop.db")
    names = made("connection", "header Idempotency-Key", flask=framework == "flask")
    if framework == "flask":
        app = Flask("shop")
        app.post("/orders")(lambda: redirect("/orders/1", 303))
        names["install"](app, way)
        client = app.test_client()
        answers: list[Any] = [client.post("/orders", headers={"Idempotency-Key": "a"}) for _ in range(2)]
    else:
        other = FastAPI()
        other.post("/orders")(lambda: RedirectResponse("/orders/1", 303))
        other.add_middleware(names["Idempotency"], database=way)
        answers = [post(other, idempotency_key="a") for _ in range(2)]
    assert [(each.status_code, each.headers["location"]) for each in answers] == [(303, "/orders/1")] * 2
    assert answers[1].headers["idempotency-replayed"] == "true"


def test_what_is_streamed_is_answered_whole(tmp_path: Path) -> None:
    """An ASGI application that answers in pieces is answered whole, the first time and again; done once."""
    app, done = FastAPI(), list[int]()

    @app.post("/orders")
    def order() -> StreamingResponse:
        done.append(1)
        return StreamingResponse(iter(["a,", "b,", "c"]), media_type="text/csv")

    app.add_middleware(made("connection", "header Idempotency-Key", flask=False)["Idempotency"], database=ways("connection", tmp_path / "shop.db"))
    first, again = (post(app, idempotency_key="a") for _ in range(2))
    assert (first.text, again.text, done) == ("a,b,c", "a,b,c", [1])
    assert again.headers["content-type"] == first.headers["content-type"] == "text/csv; charset=utf-8"


def test_what_flask_streams_is_done_once(tmp_path: Path) -> None:
    """A stream of Flask's goes out as it comes; whoever sends the key again hears that it was done, and nothing is done twice."""
    app, done = Flask("shop"), list[int]()

    @app.post("/orders")
    def order() -> Any:
        done.append(1)
        return Response(iter(["a,", "b"]), mimetype="text/csv")

    made("connection", "header Idempotency-Key", flask=True)["install"](app, ways("connection", tmp_path / "shop.db"))
    client = app.test_client()
    answers = [client.post("/orders", headers={"Idempotency-Key": "a"}) for _ in range(2)]
    assert [(each.status_code, each.get_data(as_text=True)) for each in answers] == [(200, "a,b"), (200, "")]
    assert done == [1]
