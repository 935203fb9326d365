"""How people come to be where a sign-up asks for no password; each prototype booted for real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toughen import config
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

OPEN = """
    import secrets
    import sqlite3
    from flask import Flask, abort, jsonify, request

    app = Flask(__name__)


    def ask(statement, *values):
        link = sqlite3.connect("todo.db")
        found = link.execute(statement, values)
        rows, key = found.fetchall(), found.lastrowid
        link.commit()
        link.close()
        return rows, key


    ask("CREATE TABLE IF NOT EXISTS people (id INTEGER PRIMARY KEY, login TEXT UNIQUE, token TEXT)")
    ask("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, person_id INTEGER REFERENCES people (id), title TEXT)")


    def person():
        rows, _ = ask("SELECT id FROM people WHERE token = ?", request.headers.get("Authorization", ""))
        if not rows:
            abort(401)
        return rows[0][0]


    @app.post("/people")
    def join():
        token = secrets.token_urlsafe(24)
        _, key = ask("INSERT INTO people (login, token) VALUES (?, ?)", str(request.get_json()["login"])[:80], token)
        return jsonify(id=key, token=token), 201


    @app.post("/items")
    def add():
        owner = person()
        _, key = ask("INSERT INTO items (person_id, title) VALUES (?, ?)", owner, str(request.get_json()["title"])[:80])
        return jsonify(id=key), 201


    @app.get("/items")
    def items():
        rows, _ = ask("SELECT id, title FROM items WHERE person_id = ?", person())
        return jsonify([{"id": key, "title": title} for key, title in rows])
    """


def test_a_sign_up_hands_out_the_token_itself(prototype: Write) -> None:
    """Where a name is all that a sign-up wants, two users are minted by it, and what their tokens open is reached."""
    project = prototype({"app.py": OPEN})
    verdict = Run(Path(project.root), config.read(project.root, only=("security/sql-injection",))).check()
    assert [(each.name, each.how) for each in verdict.identities] == [("user1", "signup"), ("user2", "signup")]
    found = {each.route: each for each in verdict.journeys}
    assert set(found) == {"POST /people", "POST /items", "GET /items"}
    assert not found["GET /items"].anonymous
