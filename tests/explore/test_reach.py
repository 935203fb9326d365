"""What exploring reaches because it reads exceptions, branches, literals, pages and rows; each prototype booted for real."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toughen import config
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.model.journey import Journey
    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]

VALUES = """
    import uuid
    from datetime import datetime
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    tasks = {}


    def problem(data):
        if data.get("priority") not in ("low", "high"):
            return "invalid priority"
        return None


    @app.post("/tasks")
    def add():
        data = request.get_json()
        try:
            wrong = problem(data)
            if wrong:
                return jsonify(error=wrong), 400
            day = datetime.strptime(data["day"], "%d/%m/%Y")
            weight = int(data["weight"])
        except ValueError:
            return jsonify(error="cannot be used"), 500
        number = str(uuid.uuid4())
        tasks[number] = {"id": number, "day": day.isoformat(), "weight": weight, "owner": {"id": "nobody"}}
        return jsonify(tasks[number]), 201


    @app.get("/tasks")
    def every():
        return jsonify(list(tasks.values()))


    @app.get("/tasks/<tid>")
    def one(tid):
        if tid not in tasks:
            return jsonify(error="not found"), 404
        return jsonify(tasks[tid])


    @app.put("/tasks/<tid>")
    def change(tid):
        if tid not in tasks:
            return jsonify(error="not found"), 404
        tag = '"' + tasks[tid]["day"] + '"'
        if request.headers.get("If-Match") != tag:
            return jsonify(error="say which one"), 428
        tasks[tid]["weight"] = 0
        return jsonify(tasks[tid])


    @app.after_request
    def tagged(response):
        if request.method == "GET" and response.is_json and isinstance(response.get_json(), dict) and "day" in response.get_json():
            response.headers["ETag"] = '"' + response.get_json()["day"] + '"'
        return response
    """
LITERALS = """
    import os
    from flask import Flask, jsonify, request, session

    app = Flask(__name__)
    app.secret_key = "k"
    SERVICE_KEY = os.getenv("SERVICE_KEY", "letmein-1234")


    @app.post("/login")
    def login():
        data = request.get_json()
        if data["username"] != "chief" or data["password"] != "sesame":
            return jsonify(error="bad credentials"), 401
        session["who"] = data["username"]
        return jsonify(ok=True)


    @app.get("/office")
    def office():
        if "who" not in session:
            return jsonify(error="log in first"), 401
        return jsonify(secret=1)
    """
KEYS = """
    import os
    from fastapi import Depends, FastAPI, Header, HTTPException

    app = FastAPI()
    SERVICE_KEY = os.getenv("SERVICE_KEY", "letmein-1234")


    def guard(x_service_key: str = Header(default="")):
        if x_service_key != SERVICE_KEY:
            raise HTTPException(401, "Invalid API key")


    @app.get("/open")
    def free():
        return {"ok": True}


    @app.get("/inside", dependencies=[Depends(guard)])
    def inside():
        return {"ok": True}
    """
PAGES = """
    import secrets
    import sqlite3
    from flask import Flask, redirect, request, session

    app = Flask(__name__)
    app.secret_key = "k"


    def connect():
        return sqlite3.connect("app.db")


    db = connect()
    db.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, psw_hash TEXT)")
    db.commit()
    db.close()


    def page(action):
        session.setdefault("token", secrets.token_hex(8))
        return f'''<html><form method="post" action="{action}"><input type="hidden" name="csrf_token" value="{session["token"]}">
            <input name="username"><input type="password" name="password"><select name="plan"><option value="free">F</option></select></form></html>'''


    @app.before_request
    def check():
        if request.method == "POST" and request.form.get("csrf_token", "") != session.get("token"):
            return page(request.path)


    @app.route("/join", methods=["GET", "POST"])
    def join():
        if request.method == "GET":
            return page("/join")
        if request.form["plan"] != "free":
            return page("/join")
        db = connect()
        db.execute("INSERT INTO users (username, psw_hash) VALUES (?, ?)", (request.form["username"], request.form["password"]))
        db.commit()
        db.close()
        return redirect("/enter")


    @app.route("/enter", methods=["GET", "POST"])
    def enter():
        if request.method == "GET":
            return page("/enter")
        db = connect()
        row = db.execute("SELECT id FROM users WHERE username = ? AND psw_hash = ?", (request.form["username"], request.form["password"])).fetchone()
        db.close()
        if row is None:
            return page("/enter")
        session["user"] = row[0]
        return redirect("/desk")


    @app.get("/desk")
    def desk():
        if "user" not in session:
            return redirect("/enter?next=/desk")
        return "<html>yours</html>"
    """
MEMORY = """
    from flask import Flask, jsonify, request, session

    app = Flask(__name__)
    app.secret_key = "k"
    people = {}


    @app.post("/register")
    def register():
        data = request.get_json()
        if data["username"] in people:
            return jsonify(error="taken"), 409
        people[data["username"]] = data["password"]
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        data = request.get_json()
        if people.get(data["username"]) != data["password"]:
            return jsonify(error="wrong"), 401
        session["who"] = data["username"]
        return jsonify(ok=True)


    @app.get("/me")
    def me():
        if session.get("who") not in people:
            return jsonify(error="log in"), 401
        return jsonify(name=session["who"])
    """
ROWS = """
    import sqlite3
    from flask import Flask, jsonify, request, session

    app = Flask(__name__)
    app.secret_key = "k"


    def ask(statement, *values):
        db = sqlite3.connect("app.db")
        db.row_factory = sqlite3.Row
        cursor = db.execute(statement, values)
        rows = [dict(row) for row in cursor.fetchall()] if statement.startswith("SELECT") else cursor.rowcount
        db.commit()
        db.close()
        return rows


    @app.post("/register")
    def register():
        data = request.get_json()
        ask("INSERT INTO users (username, password) VALUES (?, ?)", data["username"], data["password"])
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        data = request.get_json()
        found = ask("SELECT * FROM users WHERE username = ? AND password = ?", data["username"], data["password"])
        if not found:
            return jsonify(error="wrong"), 401
        session["who"] = found[0]["id"]
        return jsonify(ok=True)


    @app.post("/visits")
    def book():
        raise RuntimeError("nobody wrote this yet")


    @app.get("/visits/<int:visit_id>")
    def visit(visit_id):
        if "who" not in session:
            return jsonify(error="log in"), 401
        found = ask("SELECT * FROM visits WHERE id = ? AND guest_id = ?", visit_id, session["who"])
        return jsonify(found[0]) if found else (jsonify(error="not found"), 404)


    @app.post("/teams/<int:user_id>")
    def team(user_id):
        if "who" not in session:
            return jsonify(error="log in"), 401
        if not ask("SELECT * FROM users WHERE id = ? AND leader_id = ?", user_id, session["who"]):
            return jsonify(error="nobody of yours"), 404
        ask("UPDATE users SET team = 'a' WHERE id = ?", user_id)
        return jsonify(ok=True)


    if __name__ == "__main__":
        ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, team TEXT, leader_id INTEGER REFERENCES users (id))")
        ask("CREATE TABLE IF NOT EXISTS visits (id INTEGER PRIMARY KEY, guest_id INTEGER REFERENCES users (id), day DATE)")
        app.run()
    """


def explored(project: Prototype) -> Verdict:
    """The verdict of a run that hardly attacks: one rule."""
    return Run(Path(project.root), config.read(project.root, only=("security/sql-injection",))).check()


def reached(verdict: Verdict) -> dict[str, Journey]:
    """Journeys by route."""
    return {each.route: each for each in verdict.journeys}


def test_exceptions_and_helpers_say_what_they_want(prototype: Write) -> None:
    """A format that was parsed for, a number, and a choice that a helper checks are all met; an id under any name is taken from its collection; a tag that a change wants is fetched."""
    found = reached(explored(prototype({"main.py": VALUES})))
    assert set(found) == {"POST /tasks", "GET /tasks", "GET /tasks/{tid}", "PUT /tasks/{tid}"}
    assert "GET /tasks/{tid}" in [call.route for call in found["PUT /tasks/{tid}"].calls[:-1]]


def test_a_log_in_whose_users_are_written_in_the_source(prototype: Write) -> None:
    """A name and a password that the source compares with open the door to what lies behind it."""
    verdict = explored(prototype({"main.py": LITERALS}))
    assert set(reached(verdict)) == {"POST /login", "GET /office"}
    assert [each.how for each in verdict.identities] == ["source"]


def test_a_key_that_the_source_compares_with(prototype: Write) -> None:
    """A key whose value is a default of the source is an identity, and what lies behind it is not reached without it."""
    verdict = explored(prototype({"main.py": KEYS}))
    found = reached(verdict)
    assert set(found) == {"GET /open", "GET /inside"}
    assert not found["GET /inside"].anonymous


def test_pages_with_tokens(prototype: Write) -> None:
    """A form's fields and its token are taken from the page, with the cookie that came with it; two users are minted through it."""
    verdict = explored(prototype({"main.py": PAGES}))
    found = reached(verdict)
    assert set(found) == {"GET /join", "POST /join", "GET /enter", "POST /enter", "GET /desk"}
    assert [each.name for each in verdict.identities] == ["user1", "user2"]
    assert found["GET /desk"].identity is not None


def test_users_who_live_in_memory(prototype: Write) -> None:
    """Somebody who signed up in a process's memory signs up again in every journey that needs him."""
    found = reached(explored(prototype({"main.py": MEMORY})))
    assert set(found) == {"POST /register", "POST /login", "GET /me"}
    assert [call.route for call in found["GET /me"].calls] == ["POST /register", "GET /me"]
    assert not found["GET /me"].anonymous


def test_rows_that_nobody_makes(prototype: Write) -> None:
    """A table that no working route fills gets rows of both users, told in the notes; a row that must be the asker's becomes his by a grant."""
    verdict = explored(prototype({"main.py": ROWS}))
    found = reached(verdict)
    assert set(found) == {"POST /register", "POST /login", "GET /visits/{visit_id}", "POST /teams/{user_id}"}
    assert any("visits" in note for note in verdict.notes)
    assert [(each.table, each.column) for each in found["POST /teams/{user_id}"].grants] == [("users", "leader_id")]
    assert [each.route for each in verdict.unreached] == ["POST /visits"]
