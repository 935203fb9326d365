"""How much memory a request takes: told by the agent, of a body that arrives in pieces."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from toughen.lab.child import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint
    from toughen.model.trace import Exchange

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

MIB = 1 << 20
FLASK = """
    import hashlib
    from flask import Flask, jsonify, request
    app = Flask(__name__)
    KEPT = []

    @app.post("/whole")
    def whole():
        data = request.get_data()
        return jsonify(sum=hashlib.sha256(data).hexdigest())

    @app.post("/pieces")
    def pieces():
        found, largest = hashlib.sha256(), 0
        while True:
            piece = request.stream.read(50_000)
            if not piece:
                return jsonify(sum=found.hexdigest(), largest=largest)
            largest = max(largest, len(piece))
            found.update(piece)
    """
FASTAPI = """
    import hashlib
    from fastapi import FastAPI, Request
    app = FastAPI()

    @app.post("/whole")
    async def whole(request: Request):
        return {"sum": hashlib.sha256(await request.body()).hexdigest()}

    @app.post("/pieces")
    async def pieces(request: Request):
        found, largest = hashlib.sha256(), 0
        async for piece in request.stream():
            found.update(piece)
            largest = max(largest, len(piece))
        return {"sum": found.hexdigest(), "largest": largest}
    """


def _sent(lab: Lab, path: str, body: bytes, *, memory: bool = True) -> Exchange:
    child = lab.child()
    request: dict[str, Any] = {
        "method": "POST", "target": path, "headers": [["Host", "localhost"], ["Content-Type", "application/octet-stream"], ["Content-Length", str(len(body))]],
        "body_b64": base64.b64encode(body).decode(),
    }
    try:
        return child.serve(request, Record(memory=memory))
    finally:
        child.close()


@pytest.mark.parametrize("app", [FLASK, FASTAPI], ids=["flask", "fastapi"])
def test_what_is_held_whole_grows_and_what_streams_does_not(booted: Boot, app: str) -> None:
    """A body arrives as it was sent, in pieces of what a server hands on; who keeps it grows by at least its size, who does not by next to nothing."""
    with booted({"app.py": app}) as (lab, _):
        for size in (0, 1, 100_000, 16 * MIB, 40 * MIB):
            body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
            for path in ("/whole", "/pieces"):
                exchange = _sent(lab, path, body)
                assert exchange.status == 200, exchange.response
                assert exchange.response is not None
                told: Any = exchange.response.json
                assert told["sum"] == hashlib.sha256(body).hexdigest()
                assert told.get("largest", 0) <= 1 << 16
                assert exchange.grown is not None
                if size >= MIB and path == "/whole":
                    assert exchange.grown > size * 0.9, (path, size)
                if path == "/pieces":
                    assert exchange.grown < 4 * MIB, (path, size)
        assert _sent(lab, "/whole", b"x", memory=False).grown is None
