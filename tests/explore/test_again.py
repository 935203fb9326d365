"""What exploring reaches because it makes a row again, lets a good answer count, sends a token twice and grants a role; each prototype booted for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.explore.search import attempt, new_state
from toughen.explore.session import Session
from toughen.lab.credentials import Wallet
from toughen.lab.environment import existing
from toughen.lab.opening import open_lab
from toughen.lab.requests import Resolver, assemble
from toughen.model.blueprint import Place
from toughen.model.identity import Credential
from toughen.model.journey import Argument, Call, Literal
from toughen.pipeline import Run
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.explore.session import RouteState
    from toughen.model.journey import Journey
    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]
    Attempt = Callable[[Mapping[str, str], str], tuple[RouteState, int]]

STORE = """
    import sqlite3


    def ask(statement, *values):
        link = sqlite3.connect("shop.db")
        link.row_factory = sqlite3.Row
        try:
            rows = [dict(row) for row in link.execute(statement, values).fetchall()]
            link.commit()
            return rows
        finally:
            link.close()
    """
CATEGORIES = """
    from flask import Flask, jsonify, request
    from store import ask

    app = Flask(__name__)
    ask("CREATE TABLE IF NOT EXISTS categories (id INTEGER PRIMARY KEY, name TEXT)")
    ask("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, category_id INTEGER, name TEXT)")
    if not ask("SELECT id FROM products"):
        ask("INSERT INTO products (category_id, name) VALUES (1, 'cup')")


    @app.get("/products")
    def products():
        return jsonify(ask("SELECT * FROM products"))


    @app.post("/categories")
    def add():
        ask("INSERT INTO categories (name) VALUES (?)", request.get_json()["name"])
        return jsonify(message="made"), 201


    @app.get("/categories/<int:category_id>")
    def one(category_id):
        found = ask("SELECT * FROM categories WHERE id = ?", category_id)
        return jsonify(found[0]) if found else (jsonify(error="not found"), 404)
    """
MEMORY = """
    from fastapi import FastAPI, HTTPException
    from pydantic import BaseModel

    app = FastAPI()
    carts = {}


    class Cart(BaseModel):
        owner: str
        coupon: str | None = None


    @app.post("/carts", status_code=201)
    def add(cart: Cart):
        if "coupon" in cart.model_fields_set:
            raise HTTPException(400, "coupons are for others")
        carts[len(carts) + 1] = cart
        return {"cart": len(carts)}
    """
QUOTE = """
    from fastapi import FastAPI, HTTPException
    from pydantic import BaseModel
    from store import ask

    app = FastAPI()
    ask("CREATE TABLE IF NOT EXISTS prices (id INTEGER PRIMARY KEY, name TEXT, price INTEGER)")
    if not ask("SELECT id FROM prices"):
        ask("INSERT INTO prices (name, price) VALUES ('cup', 4)")


    class Quote(BaseModel):
        pieces: int
        coupon: str | None = None


    @app.post("/quote")
    def quote(wanted: Quote):
        if "coupon" in wanted.model_fields_set:
            raise HTTPException(400, "coupons are for others")
        return {"sum": wanted.pieces * ask("SELECT price FROM prices")[0]["price"]}
    """
CARGO = """
    from flask import Flask, jsonify, request, session
    from store import ask

    app = Flask(__name__)
    app.secret_key = "k"
    ask("CREATE TABLE IF NOT EXISTS usuarios (id INTEGER PRIMARY KEY, nome TEXT UNIQUE, senha TEXT, cargo TEXT DEFAULT 'Cliente')")


    @app.post("/join")
    def join():
        data = request.get_json()
        ask("INSERT INTO usuarios (nome, senha) VALUES (?, ?)", data["nome"], data["senha"])
        return jsonify(ok=True), 201


    @app.post("/enter")
    def enter():
        data = request.get_json()
        found = ask("SELECT * FROM usuarios WHERE nome = ? AND senha = ?", data["nome"], data["senha"])
        if not found:
            return jsonify(error="wrong"), 401
        session["who"] = found[0]["id"]
        return jsonify(ok=True)


    @app.get("/board")
    def board():
        found = ask("SELECT * FROM usuarios WHERE id = ?", session.get("who", 0))
        if not found:
            return jsonify(error="log in"), 401
        if found[0]["cargo"].lower() != "gerente":
            return jsonify(error="you may not"), 403
        return jsonify(board=1)
    """
FILES = """
    import json
    import os
    from flask import Flask, redirect, render_template_string, request, session

    app = Flask(__name__)
    app.secret_key = "k"
    JOIN = "<form method=post><input name=name><input name=secret_word type=password><input name=city></form>"
    ENTER = "<form method=post><input name=name><input name=secret_word type=password></form>"


    def place(name):
        return os.path.join("data", f"{name}.json")


    def load(name):
        if not name or not os.path.exists(place(name)):
            return None
        with open(place(name)) as file:
            return json.load(file)


    def save(user):
        os.makedirs("data", exist_ok=True)
        with open(place(user["name"]), "w") as file:
            json.dump(user, file)


    @app.route("/register", methods=["GET", "POST"])
    def register():
        if request.method == "GET":
            return render_template_string(JOIN)
        user = {"name": request.form.get("username"), "password": request.form.get("password"), "city": request.form.get("city"), "notes": []}
        if not user["name"] or not user["password"]:
            return render_template_string(JOIN), 400
        if load(user["name"]):
            return "that name is taken", 409
        save(user)
        return redirect("/login")


    @app.route("/login", methods=["GET", "POST"])
    def login():
        if request.method == "GET":
            return render_template_string(ENTER)
        user = load(request.form.get("username"))
        if not user or user["password"] != request.form.get("password"):
            return "wrong name or password", 401
        session["name"] = user["name"]
        return redirect("/notes")


    @app.get("/notes")
    def notes():
        user = load(session.get("name"))
        return {"notes": user["notes"]} if user else redirect("/login")


    @app.post("/notes")
    def add():
        user = load(session.get("name"))
        if not user:
            return redirect("/login")
        user["notes"].append(request.form.get("text"))
        save(user)
        return {"notes": user["notes"]}
    """
COUNTED = """
    import os
    from flask import Flask, redirect, request, session
    from store import ask

    app = Flask(__name__)
    app.secret_key = "k"
    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")


    @app.before_request
    def count():
        os.makedirs("visits", exist_ok=True)
        with open(os.path.join("visits", str(session.get("who", 0))), "a") as file:
            file.write("x")


    @app.post("/register")
    def register():
        ask("INSERT INTO users (username, password) VALUES (?, ?)", request.form["username"], request.form["password"])
        return redirect("/login")


    @app.post("/login")
    def login():
        found = ask("SELECT id FROM users WHERE username = ? AND password = ?", request.form["username"], request.form["password"])
        if not found:
            return "wrong", 401
        session["who"] = found[0]["id"]
        return redirect("/notes")


    @app.get("/notes")
    def notes():
        return {"notes": []} if session.get("who") else redirect("/login")
    """
GREETING = """
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    @app.post("/greet")
    def greet():
        return jsonify(said=f"hello {request.form.get('name')} of {request.form.get('city', 'nowhere')}")
    """
TWICE = """
    import secrets
    from flask import Flask, jsonify, request
    from store import ask

    app = Flask(__name__)
    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")
    ask("CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, user_id INTEGER, kind TEXT, csrf TEXT)")
    ask("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER, text TEXT)")


    def fresh(answer, user_id, kind):
        token, csrf = secrets.token_hex(16), secrets.token_hex(8)
        ask("INSERT INTO tokens VALUES (?, ?, ?, ?)", token, user_id, kind, csrf)
        answer.set_cookie(f"{kind}_token_cookie", token, httponly=True)
        answer.set_cookie(f"csrf_{kind}_token", csrf)
        return answer


    def holder(kind):
        found = ask("SELECT * FROM tokens WHERE token = ? AND kind = ?", request.cookies.get(f"{kind}_token_cookie", ""), kind)
        if not found:
            return None
        if request.method == "GET":
            return None if "X-CSRF-TOKEN" in request.headers else found[0]["user_id"]
        return found[0]["user_id"] if request.headers.get("X-CSRF-TOKEN") == found[0]["csrf"] else None


    @app.post("/register")
    def register():
        data = request.get_json()
        ask("INSERT INTO users (username, password) VALUES (?, ?)", data["username"], data["password"])
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        data = request.get_json()
        found = ask("SELECT id FROM users WHERE username = ? AND password = ?", data["username"], data["password"])
        if not found:
            return jsonify(error="wrong"), 401
        answer = fresh(jsonify(ok=True), found[0]["id"], "access")
        return fresh(answer, found[0]["id"], "refresh")


    @app.post("/token/refresh")
    def refresh():
        who = holder("refresh")
        return fresh(jsonify(ok=True), who, "access") if who else (jsonify(error="log in"), 401)


    @app.get("/notes")
    def notes():
        who = holder("access")
        return jsonify(ask("SELECT * FROM notes WHERE user_id = ?", who)) if who else (jsonify(error="log in"), 401)


    @app.post("/notes")
    def add():
        who = holder("access")
        if who is None:
            return jsonify(error="log in"), 401
        ask("INSERT INTO notes (user_id, text) VALUES (?, ?)", who, request.get_json()["text"])
        return jsonify(ok=True), 201
    """


@pytest.fixture
def first_attempt(prototype: Write) -> Attempt:
    """Boot a project and try once, as nobody, to reach one route of it: what is known then, and how many requests that took."""

    def tried(files: Mapping[str, str], wanted: str) -> tuple[RouteState, int]:
        root = prototype(files).root
        sources = read(root)
        blueprint = survey(sources)
        assert blueprint.entry is not None
        ours = existing(root, blueprint.entry.framework)
        assert ours is not None
        with open_lab(root, blueprint.entry, ours, {}) as lab:
            session = Session(lab, join(blueprint, lab.facts, sources), sources.texts, Wallet())
            state = new_state(next(each for each in session.blueprint.routes if each.id == wanted))
            assert attempt(session, state, None) == (state.reached is not None)
            session.reset()
        return state, session.requests

    return tried


def explored(project: Prototype) -> Verdict:
    """The verdict of a run that hardly attacks: one rule."""
    return Run(project.root, config.read(project.root, only=("security/sql-injection",))).check()


def reached(verdict: Verdict) -> dict[str, Journey]:
    """Journeys by route."""
    return {each.route: each for each in verdict.journeys}


def test_a_row_that_is_made_again_bears_the_old_number(prototype: Write) -> None:
    """The number that a product refers to found no category; once the category is made (again), the same request is sent again."""
    found = reached(explored(prototype({"app.py": CATEGORIES, "store.py": STORE})))
    assert set(found) == {"GET /products", "POST /categories", "GET /categories/{category_id}"}


def test_memory_is_written_unseen(first_attempt: Attempt) -> None:
    """Where the state lies in a module's dictionary, the first accepted change is the success: nobody asks for what optional fields would do."""
    state, requests = first_attempt({"main.py": MEMORY}, "POST /carts")
    assert state.reached is not None
    assert requests == 1
    assert not state.shallow


def test_a_change_that_writes_nothing_and_takes_no_more(first_attempt: Attempt) -> None:
    """A good answer that wrote no row counts after all, where everything that could make it write is refused; it stays marked as no control for writes."""
    state, requests = first_attempt({"main.py": QUOTE, "store.py": STORE}, "POST /quote")
    assert state.reached is not None
    assert [key[1] for key, _ in state.reached.plan.values] == [("pieces",)]
    assert requests > 2
    assert state.shallow


@pytest.mark.parametrize("refusal", ["raise HTTPException(401, 'log in first')", "raise HTTPException(403, 'coupons are for others')", "import os; os._exit(3)"], ids=["401", "403", "dies"])
def test_a_change_whose_optional_field_is_for_others(first_attempt: Attempt, refusal: str) -> None:
    """A good answer counts as reached at once, where its optional field alone is refused for want of a right, or ends the process."""
    app = QUOTE.replace('raise HTTPException(400, "coupons are for others")', refusal)
    assert app != QUOTE
    state, _ = first_attempt({"main.py": app, "store.py": STORE}, "POST /quote")
    assert state.reached is not None
    assert [key[1] for key, _ in state.reached.plan.values] == [("pieces",)]
    assert state.shallow


def test_a_form_that_takes_nothing_for_an_answer(first_attempt: Attempt) -> None:
    """A handler that asks its form for keys, and does without them, is reached with those keys filled in."""
    state, _ = first_attempt({"main.py": GREETING}, "POST /greet")
    assert state.reached is not None
    sent = {key: candidate.value for key, candidate in state.reached.plan.values}
    assert set(sent) == {(Place.FORM, ("name",)), (Place.FORM, ("city",))}
    answer = state.reached.exchange.response
    assert answer is not None
    assert answer.json == {"said": f"hello {sent[Place.FORM, ('name',)]} of {sent[Place.FORM, ('city',)]}"}


def test_users_who_live_in_files(prototype: Write) -> None:
    """Who signs up is written to a file and sent to the log-in page: that is no refusal, he logs in, and the pages behind the log-in open to him alone."""
    verdict = explored(prototype({"app.py": FILES}))
    found = reached(verdict)
    assert set(found) == {f"{method} /{page}" for method in ("GET", "POST") for page in ("register", "login", "notes")}
    joined = found["POST /register"]
    assert {argument.path for argument in joined.call.arguments} >= {("username",), ("password",), ("city",)}
    assert verdict.identities
    for route in ("GET /notes", "POST /notes"):
        assert found[route].identity in {each.name for each in verdict.identities}
        assert not found[route].anonymous


def test_a_guard_that_keeps_a_file_is_a_guard(prototype: Write) -> None:
    """Sending strangers to the log-in page is a refusal, also where each visit writes a file (of a session, of a counter)."""
    found = reached(explored(prototype({"app.py": COUNTED, "store.py": STORE})))
    assert set(found) == {"POST /register", "POST /login", "GET /notes"}
    assert (found["GET /notes"].status, found["GET /notes"].anonymous) == (200, False)


def test_a_token_that_is_submitted_twice(prototype: Write) -> None:
    """Routes that want a cookie's token in a header too, each its own and reads none, are reached by who logged in, and by nobody else."""
    found = reached(explored(prototype({"app.py": TWICE, "store.py": STORE})))
    assert set(found) == {"POST /register", "POST /login", "POST /token/refresh", "GET /notes", "POST /notes"}
    assert {route for route, each in found.items() if each.anonymous} == {"POST /register", "POST /login"}


def test_a_role_in_another_language_is_granted(prototype: Write) -> None:
    """Somebody gets the role that a page asks for in the column `cargo`, and the page opens to him alone."""
    verdict = explored(prototype({"app.py": CARGO, "store.py": STORE}))
    found = reached(verdict)
    assert verdict.blueprint.roles == ("gerente",)
    assert set(found) == {"POST /join", "POST /enter", "GET /board"}
    holders = {each.name: each.role for each in verdict.identities}
    assert found["GET /board"].identity is not None
    assert holders[found["GET /board"].identity] == "gerente"


HELD = (("csrf_access_token", "a"), ("csrf_refresh_token", "r"), ("session", "s"))


def sent(route: str, held: tuple[tuple[str, str], ...], *arguments: Argument, headers: tuple[tuple[str, str], ...] = ()) -> dict[str, str]:
    """Headers of a request whose name speaks of forgery."""
    request = assemble(Call(route, arguments), Resolver(lambda _: []), (), Credential(headers, held))
    found = [(name, value) for name, value in request["headers"] if "srf" in name.lower()]
    assert len(found) == len(dict(found))
    return dict(found)


@pytest.mark.parametrize(
    ("route", "held", "headers"),
    [
        ("POST /notes", HELD, {"X-CSRF-TOKEN": "a"}),
        ("PUT /notes", HELD, {"X-CSRF-TOKEN": "a"}),
        ("DELETE /notes", HELD, {"X-CSRF-TOKEN": "a"}),
        ("GET /notes", HELD, {}),
        ("HEAD /notes", HELD, {}),
        ("POST /token/refresh", HELD, {"X-CSRF-TOKEN": "r"}),
        ("POST /token/refresh", HELD[:1], {"X-CSRF-TOKEN": "a"}),
        ("POST /notes", (("XSRF-TOKEN", "x"),), {"X-XSRF-TOKEN": "x"}),
        ("POST /notes", (("csrftoken", "d"),), {"X-CSRFToken": "d"}),
        ("POST /notes", (("session", "s"),), {}),
    ],
)
def test_the_header_is_the_one_that_the_cookie_goes_with(route: str, held: tuple[tuple[str, str], ...], headers: dict[str, str]) -> None:
    """Flask's, Django's and Angular's names: a write says its cookie's token in the header of that name, the refreshing route its own; a read says none."""
    assert sent(route, held) == headers


@pytest.mark.parametrize("name", ["X-CSRF-TOKEN", "x-csrf-token"])
def test_a_credentials_own_header_is_sent_once(name: str) -> None:
    """A credential that has the header itself sends it as it is; the cookie's token is not sent beside it."""
    assert sent("POST /notes", HELD, headers=((name, "own"),)) == {name: "own"}


def test_a_header_of_its_own_wins() -> None:
    """A call that sets the header itself, in whatever case, sends what it says and nothing beside it."""
    own = Argument(Place.HEADER, ("x-csrf-token",), Literal("mine"))
    assert sent("POST /notes", HELD, own) == {"x-csrf-token": "mine"}
