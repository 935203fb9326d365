"""Owns the small backend that agents mend, and the client that speaks with `toughen mcp` as a coding agent does."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Prototype

APP = """
import sqlite3

from flask import Flask, abort, g, jsonify, request

app = Flask(__name__)


def db():
    if "db" not in g:
        g.db = sqlite3.connect("notes.db")
        g.db.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL)")
    return g.db


@app.teardown_appcontext
def close(_):
    if "db" in g:
        g.pop("db").close()


@app.post("/notes")
def add():
    title = (request.get_json(silent=True) or {}).get("title")
    if not isinstance(title, str) or not 1 <= len(title) <= 80:
        return jsonify(error="a title, please"), 400
    made = db().execute("INSERT INTO notes (title) VALUES (?)", (title,))
    db().commit()
    return jsonify(id=made.lastrowid, title=title), 201


@app.get("/notes")
def every():
    rows = db().execute("SELECT id, title FROM notes ORDER BY id").fetchall()
    return jsonify([{"id": row[0], "title": row[1]} for row in rows])


@app.get("/notes/search")
def search():
    word = request.args.get("word", "")
    rows = db().execute(f"SELECT id, title FROM notes WHERE title LIKE '%{word}%'").fetchall()
    return jsonify([{"id": row[0], "title": row[1]} for row in rows])
"""
TESTS = """
from app import app


def test_a_note_is_found():
    client = app.test_client()
    client.post("/notes", json={"title": "milk"})
    assert any(each["title"] == "milk" for each in client.get("/notes/search?word=mil").get_json())
"""
Served = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def notes(prototype: Callable[[Mapping[str, str]], Prototype]) -> Prototype:
    """A backend with an injection that `fix` mends, and a list without end that needs somebody to decide."""
    return prototype({"app.py": APP, "test_notes.py": TESTS})


@pytest.fixture
def served() -> Served:
    """A client whose server is `toughen mcp` in that folder."""

    @asynccontextmanager
    async def start(folder: Path, *arguments: str) -> AsyncIterator[Client]:
        with (folder / "errors.txt").open("w") as errors:
            async with Client(stdio_client(StdioServerParameters(command=sys.executable, args=["-m", "toughen", "mcp", *arguments], cwd=folder), errlog=errors)) as client:
                yield client

    return start
