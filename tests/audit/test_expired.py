"""Credentials that have ended, of prototypes whose key nobody knows: it is drawn at random at every start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    import base64, hashlib, hmac, json, secrets, sqlite3
    from datetime import datetime, timedelta, timezone
    from flask import Flask, abort, jsonify, request

    app = Flask(__name__)
    KEY = secrets.token_hex(32)


    def ask(statement, *values):
        link = sqlite3.connect("notes.db")
        link.row_factory = sqlite3.Row
        rows = [dict(row) for row in link.execute(statement, values)]
        link.commit()
        link.close()
        return rows


    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")
    ask("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), body TEXT)")


    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


    def sealed(text):
        return part(hmac.new(KEY.encode(), text.encode(), "sha256").digest())


    def me():
        head, _, seal = request.headers.get("Authorization", "").removeprefix("Bearer ").rpartition(".")
        if not head or not hmac.compare_digest(seal, sealed(head)):
            abort(401)
        body = head.partition(".")[2]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        if ENDED:
            abort(401)
        return int(claims["sub"])


    @app.post("/register")
    def register():
        body = request.get_json()
        ask("INSERT INTO users (username, password) VALUES (?, ?)", body["username"], hashlib.sha256(body["password"].encode()).hexdigest())
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        body = request.get_json()
        rows = ask("SELECT * FROM users WHERE username = ? AND password = ?", body["username"], hashlib.sha256(body["password"].encode()).hexdigest())
        if not rows:
            return jsonify(error="wrong"), 401
        ends = datetime.now(timezone.utc) + timedelta(minutes=30)
        text = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps({"sub": str(rows[0]["id"]), "exp": int(ends.timestamp())}).encode())
        return jsonify(access_token=text + "." + sealed(text))


    @app.get("/notes")
    def notes():
        return jsonify(ask("SELECT * FROM notes WHERE user_id = ?", me()))


    @app.post("/notes")
    def write():
        owner = me()
        ask("INSERT INTO notes (user_id, body) VALUES (?, ?)", owner, str(request.get_json()["body"])[:80])
        return jsonify(ok=True), 201
    """


def audited(project: Prototype) -> dict[str, Any]:
    """The report of an audit."""
    done = project.toughen("audit", project.root.name, "--format", "json", "--no-write")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.parametrize(("ended", "access"), [('claims["exp"] < datetime.now(timezone.utc).timestamp()', {"refused"}), ("False", {"undecided", "missing"})])
def test_who_was_logged_in_an_hour_ago_asks_again(prototype: Write, ended: str, access: set[str]) -> None:
    """A log-in by a clock that was put back hands out what has ended by now: it is refused, or taken where nothing looks at its end."""
    report = audited(prototype({"main.py": APP.replace("ENDED", ended)}))
    cells = {(each["method"], each["path"]): each for each in report["matrix"] if each["who"] == "expired"}
    assert {cells[method, "/notes"]["access"] for method in ("GET", "POST")} <= access
    assert cells["GET", "/notes"]["access"] in access
    control = next(each for each in report["matrix"] if (each["method"], each["path"], each["who"]) == ("POST", "/notes", "user"))
    assert control["access"] == "allowed"
