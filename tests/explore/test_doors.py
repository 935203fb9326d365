"""What exploring gets past: log-ins where nobody is refused, forms with a marker, lists that are empty, limits, files written by the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.explore.search import attempt, new_state
from toughen.explore.session import Session
from toughen.lab.credentials import Wallet
from toughen.lab.environment import existing
from toughen.lab.opening import open_lab
from toughen.model.blueprint import Place
from toughen.pipeline import Run
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.explore.session import RouteState
    from toughen.model.journey import Journey
    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]
    Attempts = Callable[..., list[RouteState]]

STORE = """
    import contextlib
    import sqlite3


    def ask(statement, *values):
        with contextlib.closing(sqlite3.connect("shop.db")) as link, link:
            link.row_factory = sqlite3.Row
            return [dict(row) for row in link.execute(statement, values).fetchall()]
    """
ACCOUNTS = """
    from flask import Flask, jsonify, redirect, request, session
    from store import ask

    app = Flask(__name__)
    app.secret_key = "k"
    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")
    FORM = '<form method="post"><input name="username"><input name="password" type="password"></form>'


    @app.route("/register", methods=["GET", "POST"])
    def register():
        if request.method == "GET":
            return FORM
        ask("INSERT INTO users (username, password) VALUES (?, ?)", request.form["username"], request.form["password"])
        return redirect("/login")


    def known():
        found = ask("SELECT id FROM users WHERE username = ? AND password = ?", request.form["username"], request.form["password"])
        session["who"] = found[0]["id"] if found else 0
        return bool(found)
    """
OPEN = (
    ACCOUNTS
    + """

    @app.get("/account")
    def account():
        return redirect("/login")


    @app.get("/home")
    def home():
        return jsonify(who=session.get("who", 0))


    @app.route("/login", methods=["GET", "POST"])
    def login():
        if request.method == "GET":
            return FORM
        return ANSWER
    """
)
MARKED = (
    ACCOUNTS
    + """

    @app.get("/notes")
    def notes():
        return jsonify(notes=[]) if session.get("who") else redirect("/login")


    @app.route("/login", methods=["GET", "POST"])
    def login():
        if request.method == "POST" and MARK in request.form:
            return redirect("/notes") if known() else ("wrong name or password", 401)
        return FORM.replace("</form>", '<button name="loginForm" value="1">go</button></form>')
    """
)
MOVIES = """
    from fastapi import FastAPI, HTTPException
    from pydantic import BaseModel

    app = FastAPI()
    movies = []


    class Movie(BaseModel):
        id: int
        title: str


    @app.post("/movies", status_code=201)
    def add(movie: Movie):
        movies.append(movie)
        return {"message": "added"}


    @app.get("/movies/{id}")
    def one(id: int):
        for movie in movies:
            if movie.id == id:
                return movie
        raise HTTPException(404, "there is no such movie")
    """
LIST = """

    @app.get("/movies")
    def every():
        if not movies:
            raise HTTPException(404, "there are no movies")
        return [movie.title for movie in movies]
    """
LIMITED = """
    import time
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse

    app = FastAPI()
    last = {}


    @app.middleware("http")
    async def limit(request, call_next):
        if time.monotonic() - last.get("all", -1) < 1:
            return JSONResponse({"detail": "too many requests"}, 429)
        last["all"] = time.monotonic()
        return await call_next(request)
    """
STORED = (
    LIMITED
    + """
    from store import ask

    ask("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)")


    @app.get("/notes")
    def every():
        return ask("SELECT text FROM notes")


    @app.post("/notes")
    def add(text: str):
        ask("INSERT INTO notes (text) VALUES (?)", text)
        return {"ok": True}
    """
)
HELD = (
    LIMITED
    + """
    notes = []


    @app.post("/notes")
    def add(text: str):
        notes.append(text)
        return {"ok": True}


    @app.get("/notes")
    def every():
        return notes


    @app.get("/count")
    def count():
        return {"count": len(notes)}
    """
)
FILES = """
    import json
    import os
    import secrets
    from flask import Flask, g, jsonify, redirect, request

    app = Flask(__name__)
    FORM = '<form method="post"><input name="username"><input name="password" type="password"></form>'


    def load(place):
        if not os.path.exists(place):
            return {}
        with open(place) as file:
            return json.load(file)


    def save(place, what):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w") as file:
            json.dump(what, file)


    @app.before_request
    def begin():
        key = request.cookies.get("session", "")
        g.key = key if key.isalnum() else secrets.token_hex(16)
        g.session = load(f"flask_session/{g.key}")
        g.session["visits"] = g.session.get("visits", 0) + 1
        save(f"flask_session/{g.key}", g.session)


    @app.after_request
    def end(answer):
        save(f"flask_session/{g.key}", g.session)
        answer.set_cookie("session", g.key)
        return answer


    @app.route("/register", methods=["GET", "POST"])
    def register():
        if request.method == "GET":
            return FORM
        save(f"data/{request.form['username']}.json", {"password": request.form["password"]})
        return redirect("/login")


    @app.route("/login", methods=["GET", "POST"])
    def login():
        if request.method == "GET":
            return FORM
        if load(f"data/{request.form['username']}.json").get("password") != request.form["password"]:
            return "wrong name or password", 401
        g.session["who"] = request.form["username"]
        return redirect("/notes")


    @app.route("/notes", methods=["GET", "POST"])
    def notes():
        if "who" not in g.session:
            return redirect("/login")
        return jsonify(who=g.session["who"], text=request.form.get("text"))
    """


@pytest.fixture
def attempts(prototype: Write) -> Attempts:
    """Boot a project and try once each, as nobody and one right after the other, to reach some of its routes: what is known then."""

    def tried(files: Mapping[str, str], *wanted: str) -> list[RouteState]:
        root = prototype(files).root
        sources = read(root)
        blueprint = survey(sources)
        assert blueprint.entry is not None
        ours = existing(root, blueprint.entry.framework)
        assert ours is not None
        with open_lab(root, blueprint.entry, ours, {}) as lab:
            session = Session(lab, join(blueprint, lab.facts, sources), sources.texts, Wallet())
            states = [new_state(next(each for each in session.blueprint.routes if each.id == route)) for route in wanted]
            for state in states:
                attempt(session, state, None)
            session.reset()
        return states

    return tried


def explored(project: Prototype) -> Verdict:
    """The verdict of a run that hardly attacks: one rule."""
    return Run(project.root, config.read(project.root, only=("security/sql-injection",))).check()


def reached(verdict: Verdict) -> dict[str, Journey]:
    """Journeys by route."""
    return {each.route: each for each in verdict.journeys}


def body(state: RouteState) -> object:
    """The JSON of the answer that counts as the route's success."""
    assert state.reached is not None
    answer = state.reached.exchange.response
    assert answer is not None
    return answer.json


def test_a_log_in_that_sends_the_right_password_home(prototype: Write) -> None:
    """Where every page shows something or sends everybody away, a log-in opens that sends whoever has the right password to another page, and shows its form again otherwise."""
    verdict = explored(prototype({"app.py": OPEN.replace("ANSWER", 'redirect("/home") if known() else FORM'), "store.py": STORE}))
    assert [(each.name, each.how) for each in verdict.identities] == [("user1", "signup"), ("user2", "signup")]
    names = [each.row["username"] for each in verdict.identities]
    assert len(set(names)) == 2
    login = reached(verdict)["POST /login"]
    assert login.status == 302
    assert {each.path[-1] for each in login.call.arguments if each.place is Place.FORM} == {"username", "password"}


@pytest.mark.parametrize(
    "answer",
    ['(known(), redirect("/home"))[1]', "(known(), FORM)[1]", "(known(), jsonify(ok=True))[1]"],
    ids=["elsewhere", "form", "json"],
)
def test_a_log_in_that_answers_everybody_alike_opens_no_door(prototype: Write, answer: str) -> None:
    """Who is answered as with a wrong password has not logged in, whatever cookie he gets: nobody is minted."""
    verdict = explored(prototype({"app.py": OPEN.replace("ANSWER", answer), "store.py": STORE}))
    assert verdict.booted
    assert verdict.identities == ()
    assert "POST /register" in reached(verdict)


def test_a_log_in_whose_form_has_a_marker(prototype: Write) -> None:
    """A log-in that looks for its button's name in the form before it reads name and password opens, and the page behind it."""
    verdict = explored(prototype({"app.py": MARKED.replace("MARK", '"loginForm"'), "store.py": STORE}))
    found = reached(verdict)
    assert [(each.name, each.how) for each in verdict.identities] == [("user1", "signup"), ("user2", "signup")]
    assert set(found) == {"GET /register", "POST /register", "GET /login", "POST /login", "GET /notes"}
    assert {each.path[-1] for each in found["POST /login"].call.arguments} == {"username", "password", "loginForm"}
    assert (found["GET /notes"].status, found["GET /notes"].anonymous) == (200, False)


@pytest.mark.parametrize(("more", "routes"), [(LIST, {"GET /movies"}), ("", set())], ids=["list", "one"])
def test_what_lies_in_a_list_is_made_first(prototype: Write, more: str, routes: set[str]) -> None:
    """Pages of what lies in a module's list are reached after one was made, under the number that its maker was given by the client."""
    found = reached(explored(prototype({"main.py": MOVIES + more})))
    assert set(found) == {"POST /movies", "GET /movies/{id}"} | routes
    for route in ("GET /movies/{id}", *routes):
        calls = found[route].calls
        assert [each.route for each in calls] == ["POST /movies", route]
        assert found[route].status == 200
    made, shown = found["GET /movies/{id}"].calls
    numbers = [each.value for each in made.arguments if each.path == ("id",)]
    assert numbers
    assert [each.value for each in shown.arguments] == numbers


def test_a_limit_is_forgotten_with_the_process(attempts: Attempts) -> None:
    """Where requests are counted in memory and the state lies in a file, the second request within a second is sent to a new process, which counts anew."""
    added, every = attempts({"main.py": STORED, "store.py": STORE}, "POST /notes", "GET /notes")
    assert body(added) == {"ok": True}
    notes = body(every)
    assert isinstance(notes, list)
    assert len(notes) == 1


def test_a_limit_is_waited_for_where_the_state_is_in_memory(attempts: Attempts) -> None:
    """Where the state is in memory too, the same process is asked again after a while, as often as it takes: it still knows what was added."""
    added, every, count = attempts({"main.py": HELD}, "POST /notes", "GET /notes", "GET /count")
    assert body(added) == {"ok": True}
    notes = body(every)
    assert isinstance(notes, list)
    assert len(notes) == 1
    assert body(count) == {"count": 1}


def test_a_guard_that_writes_sessions_refuses_and_a_sign_up_that_writes_a_file_does_not(prototype: Write) -> None:
    """Both send to the log-in page and write a file: who writes a session refused GET and POST, who writes somebody's data signed him up."""
    verdict = explored(prototype({"app.py": FILES}))
    found = reached(verdict)
    assert set(found) == {f"{method} /{page}" for method in ("GET", "POST") for page in ("register", "login", "notes")}
    assert (found["POST /register"].status, found["POST /register"].anonymous) == (302, True)
    assert verdict.identities
    for route in ("GET /notes", "POST /notes"):
        assert (found[route].status, found[route].anonymous) == (200, False)
        assert found[route].identity in {each.name for each in verdict.identities}


NAMED = """
import sqlite3
from flask import Flask, abort, jsonify, request, session
app = Flask(__name__)
app.secret_key = "a-key-of-this-example"


def db():
    conn = sqlite3.connect("club.db")
    conn.row_factory = sqlite3.Row
    return conn


with db() as start:
    start.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, password TEXT NOT NULL)")


def text(field):
    data = request.get_json(silent=True)
    value = data.get(field) if isinstance(data, dict) else None
    if not isinstance(value, str) or not value:
        abort(400)
    return value


@app.post("/members")
def join():
    name, password = text("name"), text("password")
    with db() as conn:
        conn.execute("INSERT INTO members (name, password) VALUES (?, ?)", (name, password))
    return jsonify({"name": name}), 201


@app.post("/login")
def login():
    name, password = text("name"), text("password")
    member = db().execute("SELECT * FROM members WHERE name = ? AND password = ?", (name, password)).fetchone()
    if member is None:
        return jsonify({"error": "Wrong"}), 401
    session["member"] = member["id"]
    return jsonify({"name": name})


@app.get("/members")
def members():
    if "member" not in session:
        return jsonify({"error": "Log in first"}), 401
    return jsonify([row["name"] for row in db().execute("SELECT name FROM members")])
"""


def test_a_log_in_that_asks_for_a_name(prototype: Write) -> None:
    """A log-in that calls the user's name no more than `name`, and says of no field that it is missing, opens."""
    verdict = explored(prototype({"app.py": NAMED}))
    assert [(each.name, each.how) for each in verdict.identities] == [("user1", "signup"), ("user2", "signup")]
    assert set(reached(verdict)) == {"POST /members", "POST /login", "GET /members"}
