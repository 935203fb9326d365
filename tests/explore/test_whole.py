"""A whole exploration of two small prototypes, booted for real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toughen import config
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]

SESSIONS = """
    import sqlite3
    from flask import Flask, jsonify, request, session

    app = Flask(__name__)
    app.secret_key = "k"


    def connect():
        db = sqlite3.connect("app.db")
        db.row_factory = sqlite3.Row
        return db


    db = connect()
    db.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, role TEXT DEFAULT 'user')")
    db.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER, title TEXT)")
    db.commit()
    db.close()


    @app.post("/register")
    def register():
        body = request.get_json()
        if len(body["password"]) < 8:
            return jsonify(error="password too short"), 400
        db = connect()
        db.execute("INSERT INTO users (username, password) VALUES (?, ?)", (body["username"], body["password"]))
        db.commit()
        db.close()
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        body = request.get_json()
        db = connect()
        user = db.execute("SELECT * FROM users WHERE username = ? AND password = ?", (body["username"], body["password"])).fetchone()
        db.close()
        if user is None:
            return jsonify(error="wrong"), 401
        session["user_id"], session["role"] = user["id"], user["role"]
        return jsonify(ok=True)


    @app.post("/notes")
    def add():
        if "user_id" not in session:
            return jsonify(error="log in"), 401
        db = connect()
        note = db.execute("INSERT INTO notes (user_id, title) VALUES (?, ?)", (session["user_id"], request.get_json()["title"])).lastrowid
        db.commit()
        db.close()
        return jsonify(id=note), 201


    @app.get("/notes/<int:note_id>")
    def note(note_id):
        db = connect()
        row = db.execute("SELECT * FROM notes WHERE id = ? AND user_id = ?", (note_id, session.get("user_id"))).fetchone()
        db.close()
        return jsonify(dict(row)) if row else (jsonify(error="not found"), 404)


    @app.get("/admin")
    def admin():
        if session.get("role") != "admin":
            return jsonify(error="forbidden"), 403
        return jsonify(secret=1)


    @app.get("/broken")
    def broken():
        return {}["missing"]
    """
SCHEMAS = """
    from typing import Literal
    from fastapi import FastAPI, HTTPException
    from pydantic import BaseModel, Field

    app = FastAPI()
    items = {}


    class Item(BaseModel):
        name: str = Field(min_length=3, max_length=12)
        size: Literal["small", "large"]
        amount: int = Field(gt=10, le=12)


    @app.post("/items", status_code=201)
    def add(item: Item):
        items[len(items) + 1] = item
        return {"item_id": len(items)}


    @app.get("/items/{item_id}")
    def get(item_id: int):
        if item_id not in items:
            raise HTTPException(404)
        return items[item_id]
    """


def explored(project: Prototype) -> Verdict:
    """The verdict of a run that hardly attacks: one rule."""
    return Run(Path(project.root), config.read(project.root, only=("security/sql-injection",))).check()


def test_sign_up_log_in_roles_and_objects(prototype: Write) -> None:
    """Users of both roles are minted; every route that can be reached is; the one that always crashes says why and where."""
    verdict = explored(prototype({"main.py": SESSIONS}))
    assert {each.route for each in verdict.journeys} == {"POST /register", "POST /login", "POST /notes", "GET /notes/{note_id}", "GET /admin"}
    assert [(each.route, "KeyError" in each.reason and "main.py" in each.reason) for each in verdict.unreached] == [("GET /broken", True)]
    roles = [each.role for each in verdict.identities]
    assert roles.count("user") >= 2
    assert "admin" in roles
    admin = next(each for each in verdict.journeys if each.route == "GET /admin")
    assert admin.identity is not None
    assert admin.identity.startswith("admin")
    note = next(each for each in verdict.journeys if each.route == "GET /notes/{note_id}")
    assert [call.route for call in note.calls] == ["POST /notes", "GET /notes/{note_id}"]
    assert {call.identity for call in note.calls} == {note.identity}


def test_a_schema_and_memory(prototype: Write) -> None:
    """Bounds and choices of a schema are met at once; an object that lives in memory is made before it is read."""
    verdict = explored(prototype({"main.py": SCHEMAS}))
    assert {each.route for each in verdict.journeys} == {"POST /items", "GET /items/{item_id}"}
    item = next(each for each in verdict.journeys if each.route.startswith("GET"))
    assert [call.route for call in item.calls] == ["POST /items", "GET /items/{item_id}"]
    assert all(each.anonymous for each in verdict.journeys)
