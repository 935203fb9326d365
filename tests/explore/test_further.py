"""What exploring reaches where a prototype is laid out, kept or guarded in a way of its own; each prototype booted for real."""

from __future__ import annotations

import sqlite3
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

STORE = """
    import sqlite3

    PLACE = "{place}"


    def ask(statement, *values):
        link = sqlite3.connect(PLACE)
        link.row_factory = sqlite3.Row
        try:
            rows = [dict(row) for row in link.execute(statement, values).fetchall()]
            link.commit()
            return rows
        finally:
            link.close()
    """
DESK = """
    import hashlib
    from pathlib import Path

    from fastapi import Depends, FastAPI, Header, HTTPException, Request
    from fastapi.responses import HTMLResponse, RedirectResponse
    from pydantic import BaseModel
    from .store import ask

    app = FastAPI()
    HEADLINE = Path("club/static/headline.txt").read_text()
    ask("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, badge_no TEXT UNIQUE, nickname TEXT, password TEXT)")


    class Hasher:
        @staticmethod
        def hash_password(text):
            return hashlib.sha256(text.encode()).hexdigest()


    class Newcomer(BaseModel):
        badge_no: str
        nickname: str
        password: str


    class Known(BaseModel):
        username: str
        password: str


    def holder(token):
        found = ask("SELECT * FROM members WHERE 'member-of-the-club-' || id || '-' || substr(password, 1, 12) = ?", token or "")
        return found[0] if found else None


    def member(authorization: str = Header(default="")):
        found = holder(authorization.removeprefix("Bearer "))
        if found is None:
            raise HTTPException(401, "who are you?")
        return found


    @app.post("/join", status_code=201)
    def join(newcomer: Newcomer):
        if ask("SELECT id FROM members WHERE badge_no = ?", newcomer.badge_no):
            raise HTTPException(409, "badge is taken")
        ask("INSERT INTO members (badge_no, nickname, password) VALUES (?, ?, ?)", newcomer.badge_no, newcomer.nickname, Hasher.hash_password(newcomer.password))
        return {"badge_no": newcomer.badge_no}


    @app.post("/enter")
    def enter(known: Known):
        found = ask("SELECT * FROM members WHERE badge_no = ? AND password = ?", known.username, Hasher.hash_password(known.password))
        if not found:
            raise HTTPException(401, "wrong")
        return {"access_token": f"member-of-the-club-{found[0]['id']}-{found[0]['password'][:12]}"}


    @app.get("/me")
    def me(who=Depends(member)):
        return {"nickname": who["nickname"]}


    @app.get("/login-page")
    def login_page():
        return HTMLResponse("<p>log in</p>")


    @app.get("/desk")
    def desk(request: Request):
        who = holder(request.cookies.get("club_token"))
        if who is None:
            return RedirectResponse("/login-page", 302)
        return HTMLResponse(f"<h1>{HEADLINE}</h1>{who['nickname']}")
    """
SHELF = """
    import json
    from flask import Flask, jsonify, request
    from store import ask

    app = Flask(__name__)
    ask("CREATE TABLE IF NOT EXISTS crates (id INTEGER PRIMARY KEY, label TEXT)")
    ask("CREATE TABLE IF NOT EXISTS loads (id INTEGER PRIMARY KEY, crate_id INTEGER REFERENCES crates (id), notes TEXT)")


    def field(name):
        data = request.get_json(silent=True)
        if not data or name not in data:
            return None
        return data[name]


    @app.before_request
    def params():
        if request.path == "/loads" and request.method == "POST":
            request.given = {key: value for key, value in request.json.items() if key in ("crate_id", "notes")} if request.json is not None else dict(None)


    @app.post("/crates")
    def crate():
        label = field("label")
        if label is None:
            return jsonify(error="label is required"), 400
        ask("INSERT INTO crates (label) VALUES (?)", label)
        return jsonify(message="made"), 201


    @app.post("/loads")
    def load():
        crate_id, notes = request.given["crate_id"], request.given["notes"]
        if not ask("SELECT id FROM crates WHERE id = ?", crate_id):
            return jsonify(error="no such crate"), 404
        ask("INSERT INTO loads (crate_id, notes) VALUES (?, ?)", crate_id, str(notes))
        return jsonify(message="loaded"), 201


    @app.post("/crates/<int:crate_id>/scrap")
    def scrap(crate_id):
        if not ask("SELECT id FROM crates WHERE id = ?", crate_id):
            return jsonify(error="no such crate"), 400
        if ask("SELECT id FROM loads WHERE crate_id = ?", crate_id):
            return jsonify(error="it is in use"), 400
        ask("DELETE FROM crates WHERE id = ?", crate_id)
        return jsonify(message="scrapped")


    @app.post("/papers")
    def papers():
        paper = request.files["paper"]
        if not paper.filename.endswith((".md", ".txt")):
            return jsonify(error="only .md and .txt are taken"), 415
        return jsonify(size=len(paper.read().decode("utf-8")))


    @app.get("/records")
    def records():
        with open("ledger.json") as file:
            return jsonify(json.load(file))


    @app.get("/records/<number>")
    def record(number):
        with open("ledger.json") as file:
            known = json.load(file)
        return jsonify(known[number]) if number in known else (jsonify(error="not found"), 404)
    """
OLD = """
    from flask import Flask, jsonify, request
    from flask_sqlalchemy import SQLAlchemy

    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + app.root_path + "/old.db"
    db = SQLAlchemy(app)


    class Plant(db.Model):
        __tablename__ = "plants"
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40), nullable=False)
        height = db.Column(db.Integer)


    class Pot(db.Model):
        __tablename__ = "pots"
        id = db.Column(db.Integer, primary_key=True)
        colour = db.Column(db.String(40), unique=True)


    with app.app_context():
        db.create_all()


    @app.get("/plants")
    def plants():
        return jsonify([{"id": each.id, "height": each.height} for each in Plant.query.all()])


    @app.get("/pots")
    def pots():
        return jsonify([each.id for each in Pot.query.all()])


    @app.post("/pots")
    def pot():
        db.session.add(Pot(colour=request.get_json()["colour"]))
        db.session.commit()
        return jsonify(ok=True), 201
    """
MANAGER = """
    from flask import Flask, jsonify, redirect, request, session
    from store import ask

    app = Flask(__name__)
    app.secret_key = "k"
    ask("CREATE TABLE IF NOT EXISTS pessoas (id INTEGER PRIMARY KEY, nome TEXT UNIQUE, senha TEXT, admin_role BOOLEAN DEFAULT 0)")


    def me():
        found = ask("SELECT * FROM pessoas WHERE id = ?", session.get("who", 0))
        return found[0] if found else None


    def chief():
        who = me()
        if who is None:
            return jsonify(error="log in"), 401
        if not who["admin_role"]:
            return jsonify(error="you may not"), 403
        return None


    @app.post("/join")
    def join():
        data = request.get_json()
        if ask("SELECT id FROM pessoas WHERE nome = ?", data["nome"]):
            return jsonify(error="taken"), 409
        ask("INSERT INTO pessoas (nome, senha) VALUES (?, ?)", data["nome"], data["senha"])
        return jsonify(ok=True), 201


    @app.post("/enter")
    def enter():
        data = request.get_json()
        found = ask("SELECT id FROM pessoas WHERE nome = ? AND senha = ?", data["nome"], data["senha"])
        if not found:
            return jsonify(error="wrong"), 401
        session["who"] = found[0]["id"]
        return jsonify(ok=True)


    @app.post("/check")
    def check():
        data = request.get_json()
        found = ask("SELECT nome FROM pessoas WHERE nome = ? AND senha = ?", data["nome"], data["senha"])
        return jsonify(found[0]) if found else (jsonify(error="wrong"), 401)


    @app.get("/board")
    def board():
        return chief() or jsonify(board=1)


    @app.get("/ledger")
    def ledger():
        return chief() or jsonify(ledger=1)
    """


def explored(project: Prototype) -> Verdict:
    """The verdict of a run that hardly attacks: one rule."""
    return Run(Path(project.root), config.read(project.root, only=("security/sql-injection",))).check()


def reached(verdict: Verdict) -> dict[str, Journey]:
    """Journeys by route."""
    return {each.route: each for each in verdict.journeys}


def test_a_package_at_the_root_with_pages_that_read_the_token_in_a_cookie(prototype: Write) -> None:
    """The root is imported by the name that its own paths give it; a badge is what `username` means; a page's success needs the token in its cookie."""
    project = prototype({"__init__.py": "", "main.py": DESK, "store.py": STORE.replace("{place}", "club.db"), "static/headline.txt": "The club"})
    verdict = explored(project)
    assert verdict.blueprint.entry is not None
    assert verdict.blueprint.entry.target == "club.main:app"
    found = reached(verdict)
    assert set(found) == {"POST /join", "POST /enter", "GET /me", "GET /login-page", "GET /desk"}
    assert (found["GET /desk"].status, found["GET /desk"].anonymous) == (200, False)
    assert "pages take the token in the cookie club_token" in verdict.notes
    assert [each.cookie for each in verdict.identities] == [("club_token", "")] * 2


def test_what_refusals_and_rows_ask_for(prototype: Write) -> None:
    """A field that only the refusal names, one more row to which nothing refers, a file of the wanted kind, one that lies elsewhere, ids that are keys."""
    ledger = '{"A7": {"of": "x", "sum": 1}, "B9": {"of": "y", "sum": 2}}'
    project = prototype({"app.py": SHELF, "store.py": STORE.replace("{place}", "/tmp/toughen-shelf.db"), "data/ledger.json": ledger})
    verdict = explored(project)
    assert set(reached(verdict)) == {
        "POST /crates", "POST /loads", "POST /crates/{crate_id}/scrap", "POST /papers", "GET /records", "GET /records/{number}"
    }
    assert any("copied data/ledger.json to ledger.json" in note for note in verdict.notes)
    # Its /tmp was a folder of the lab's own, put back with the rest.
    assert not Path("/tmp/toughen-shelf.db").exists()
    assert not (project.root / "ledger.json").exists()


def test_a_database_that_is_older_than_the_models(prototype: Write) -> None:
    """Rows are kept and get the columns that they lack; an empty table is made anew, with its constraints."""
    project = prototype({"app.py": OLD})
    with sqlite3.connect(project.root / "old.db") as old:
        old.execute("CREATE TABLE plants (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL)")
        old.execute("INSERT INTO plants (name) VALUES ('fern')")
        old.execute("CREATE TABLE pots (id INTEGER PRIMARY KEY)")
    old.close()
    verdict = explored(project)
    assert set(reached(verdict)) == {"GET /plants", "GET /pots", "POST /pots"}
    assert any("added height to the table plants" in note and "made the table pots anew, which lacked colour" in note for note in verdict.notes)


def test_who_is_known_but_may_not(prototype: Write) -> None:
    """A 403 that a garbled cookie does not get shows that the log-in works; a flag by another name makes chiefs; a log-in that hands out nothing is reached too."""
    verdict = explored(prototype({"app.py": MANAGER, "store.py": STORE.replace("{place}", "gente.db")}))
    found = reached(verdict)
    assert set(found) == {"POST /join", "POST /enter", "POST /check", "GET /board", "GET /ledger"}
    assert {found["GET /board"].identity, found["GET /ledger"].identity} == {"admin_role1"}
