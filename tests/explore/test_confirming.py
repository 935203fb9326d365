"""Sign-ups that ask for more than a name: a captcha, an account that is confirmed first; the prototype is booted for real."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    import random, secrets, smtplib, sqlite3
    from email.message import EmailMessage
    from flask import Flask, request, jsonify, session
    from werkzeug.security import generate_password_hash, check_password_hash

    app = Flask(__name__)
    app.secret_key = secrets.token_hex(16)

    def db():
        link = sqlite3.connect("club.db")
        link.row_factory = sqlite3.Row
        return link

    with db() as link:
        link.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, password TEXT, confirmed INTEGER DEFAULT 0, confirm_token TEXT)")
        link.execute("CREATE TABLE IF NOT EXISTS captchas (id TEXT PRIMARY KEY, answer TEXT)")
        link.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), text TEXT)")

    @app.get("/captcha")
    def captcha():
        key, first, second = secrets.token_hex(8), random.randint(1, 9), random.randint(1, 9)
        with db() as link:
            link.execute("INSERT INTO captchas VALUES (?, ?)", (key, str(first + second)))
        return jsonify(captcha_id=key, image="data:image/png;base64,AAAA")

    @app.post("/register")
    def register():
        data = request.get_json()
        row = db().execute("SELECT answer FROM captchas WHERE id = ?", (data.get("captcha_id"),)).fetchone()
        if row is None or row["answer"] != str(data.get("captcha_answer")):
            return jsonify(error="Wrong captcha"), 400
        if "@" not in data["email"] or len(data["password"]) < 8:
            return jsonify(error="Bad data"), 400
        token = secrets.token_urlsafe(16)
        with db() as link:
            link.execute("DELETE FROM captchas WHERE id = ?", (data["captcha_id"],))
            link.execute("INSERT INTO users (email, password, confirm_token) VALUES (?, ?, ?)", (data["email"], generate_password_hash(data["password"]), TOKEN))
        message = EmailMessage()
        message["To"], message["From"], message["Subject"] = data["email"], "club@example.com", "Confirm"
        message.set_content("Open http://localhost/confirm/" + token)
        with smtplib.SMTP("localhost", 25) as server:
            server.send_message(message)
        return jsonify(ok=True), 201

    CONFIRM

    @app.post("/login")
    def login():
        data = request.get_json()
        user = db().execute("SELECT * FROM users WHERE email = ?", (data["email"],)).fetchone()
        if user is None or not check_password_hash(user["password"], data["password"]):
            return jsonify(error="wrong"), 401
        if not user["confirmed"]:
            return jsonify(error="Confirm your e-mail first"), 403
        session["uid"] = user["id"]
        return jsonify(ok=True)

    @app.post("/notes")
    def add():
        if "uid" not in session:
            return jsonify(error="log in"), 401
        with db() as link:
            key = link.execute("INSERT INTO notes (user_id, text) VALUES (?, ?)", (session["uid"], request.get_json()["text"])).lastrowid
        return jsonify(id=key), 201

    @app.get("/notes/<int:note_id>")
    def one(note_id):
        if "uid" not in session:
            return jsonify(error="log in"), 401
        row = db().execute("SELECT * FROM notes WHERE id = ? AND user_id = ?", (note_id, session["uid"])).fetchone()
        return (jsonify(dict(row)), 200) if row else (jsonify(error="none"), 404)

    @app.delete("/me")
    def gone():
        if "uid" not in session:
            return jsonify(error="log in"), 401
        with db() as link:
            link.execute("DELETE FROM users WHERE id = ?", (session["uid"],))
        session.clear()
        return "", 204

    @app.post("/logout-everybody")
    def out():
        if "uid" not in session:
            return jsonify(error="log in"), 401
        app.secret_key = secrets.token_hex(16)
        session.clear()
        return "", 204
    """
ROUTE = """
    @app.get("/confirm/<token>")
    def confirm(token):
        with db() as link:
            found = link.execute("UPDATE users SET confirmed = 1 WHERE confirm_token = ?", (token,)).rowcount
        return (jsonify(ok=True), 200) if found else (jsonify(error="no such token"), 404)
"""
STORED = APP.replace("TOKEN))", "token))").replace("    CONFIRM\n", ROUTE)
MAILED = APP.replace("TOKEN))", "hash_of(token)))").replace("    CONFIRM\n", ROUTE.replace("(token,)", "(hash_of(token),)")).replace("    def db():", "    def hash_of(token):\n        return hashlib.sha256(token.encode()).hexdigest()\n\n    def db():", 1).replace("import random", "import hashlib, random", 1)
BY_HAND = APP.replace("TOKEN))", "None))").replace("    CONFIRM\n", "")


@pytest.mark.parametrize(
    ("app", "unreached"),
    [
        pytest.param(STORED, set(), id="code in the row"),
        pytest.param(MAILED, {"/confirm/{token}"}, id="code in a mail", marks=pytest.mark.long),
        pytest.param(BY_HAND, set(), id="by hand", marks=pytest.mark.long),
    ],
)
def test_whoever_signs_up_solves_the_captcha_and_confirms_the_account(prototype: Write, app: str, unreached: set[str]) -> None:
    """Each captcha is fetched anew and solved from its row; the account is confirmed by the code of its row or mail, else by its flag; what deletes the sender or logs everybody out spoils no cell."""
    project = prototype({"app.py": app})
    done = project.toughen("audit", project.root.name, "--format", "json", "--no-write")
    report = json.loads(done.stdout)
    assert {each["path"] for each in report["coverage"]["unreached"]} == unreached
    assert [each["name"] for each in report["identities"]] == ["user1", "user2"]
    cells = {(f"{each['method']} {each['path']}", each["who"], each["whose"]): each["access"] for each in report["matrix"]}
    assert {access for (route, _, _), access in cells.items() if route.partition(" ")[2] not in unreached} <= {"allowed", "refused"}
    assert cells["GET /notes/{note_id}", "user", "own"] == "allowed"
    assert cells["GET /notes/{note_id}", "user", "other's"] == "refused"
    assert not [each for each in report["findings"] if each["status"] == "proven"]
