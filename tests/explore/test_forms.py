"""What exploring reaches where every change wants the token of a page: forms without an action, pages seen for another row, JSON with a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.explore.forms import named
from toughen.model.blueprint import Place
from toughen.model.journey import Extract
from toughen.model.trace import Exchange, Response
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.model.journey import Journey
    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]

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
GUARD = """
    import secrets
    from flask import render_template_string, request, session


    def refusal():
        token = request.form.get("csrf_token") or request.headers.get("X-CSRFToken")
        if request.method == "POST" and (not token or token != session.get("token")):
            return "The CSRF token is missing.", 400
        return None


    def form(*names):
        session.setdefault("token", secrets.token_hex(16))
        fields = "".join(f'<input name="{name}" type="{"password" if name == "password" else "text"}">' for name in names)
        return render_template_string(
            '<form method="post"><input type="hidden" name="csrf_token" value="{{ session.token }}">' + fields + "<button>go</button></form>"
        )
    """
ACCOUNTS = """
    from flask import Flask, jsonify, redirect, request, session
    from guard import form, refusal
    from store import ask

    app = Flask(__name__)
    app.secret_key = "k"
    app.before_request(refusal)
    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")


    @app.route("/register", methods=["GET", "POST"])
    def register():
        if request.method == "GET":
            return form("username", "password")
        ask("INSERT INTO users (username, password) VALUES (?, ?)", request.form["username"], request.form["password"])
        return redirect("/login")


    @app.route("/login", methods=["GET", "POST"])
    def login():
        if request.method == "GET":
            return form("username", "password")
        found = ask("SELECT id FROM users WHERE username = ? AND password = ?", request.form["username"], request.form["password"])
        if not found:
            return REFUSAL
        session["who"] = found[0]["id"]
        return redirect("/me")


    @app.get("/me")
    def me():
        found = ask("SELECT id, username FROM users WHERE id = ?", session.get("who", 0))
        return jsonify(found[0]) if found else redirect("/login")
    """
BOOKS = """
    from flask import Flask, jsonify, redirect, request
    from guard import form, refusal
    from store import ask

    app = Flask(__name__)
    app.secret_key = "k"
    app.before_request(refusal)
    ask("CREATE TABLE IF NOT EXISTS books (id INTEGER PRIMARY KEY, title TEXT, open INTEGER)")
    if not ask("SELECT id FROM books"):
        ask("INSERT INTO books (title, open) VALUES ('dune', 0), ('emma', 1)")


    @app.get("/books")
    def books():
        return jsonify(ask("SELECT id, title FROM books"))


    @app.get("/books/<int:book_id>/edit")
    def page(book_id):
        found = ask("SELECT id FROM books WHERE id = ? AND open = 0", book_id)
        return form("title") if found else ("there is no such page", 404)


    @app.post("/books/<int:book_id>/edit")
    def edit(book_id):
        if not ask("SELECT id FROM books WHERE id = ? AND open = 1", book_id):
            return "there is no such book", 404
        ask("UPDATE books SET title = ? WHERE id = ?", request.form["title"], book_id)
        return redirect("/books")


    @app.post("/api/books")
    def add():
        ask("INSERT INTO books (title, open) VALUES (?, 1)", request.get_json()["title"])
        return jsonify(ok=True), 201
    """


def explored(project: Prototype) -> Verdict:
    """The verdict of a run that hardly attacks: one rule."""
    return Run(project.root, config.read(project.root, only=("security/sql-injection",))).check()


def reached(verdict: Verdict) -> dict[str, Journey]:
    """Journeys by route."""
    return {each.route: each for each in verdict.journeys}


def last(journey: Journey, place: Place) -> dict[object, object]:
    """What the last request sends in one place; a value out of an earlier answer as its Extract."""
    return {each.path[-1]: getattr(each.value, "value", each.value) for each in journey.call.arguments if each.place is place}


@pytest.mark.parametrize("refusal", ['form("username", "password")', '(form("username", "password"), 400)', 'redirect("/login")'], ids=["page", "400", "redirect"])
def test_forms_that_are_posted_to_their_own_page(prototype: Write, refusal: str) -> None:
    """Sign-up and log-in whose forms have no action, and a token of the session, are reached, and the page behind them by a user alone."""
    verdict = explored(prototype({"app.py": ACCOUNTS.replace("REFUSAL", refusal), "guard.py": GUARD, "store.py": STORE}))
    found = reached(verdict)
    assert set(found) == {"GET /register", "POST /register", "GET /login", "POST /login", "GET /me"}
    assert [each.how for each in verdict.identities] == ["signup", "signup"]
    assert (found["GET /me"].status, found["GET /me"].anonymous) == (200, False)
    # Nobody has a token before he has seen a page: the page is a step of the way.
    assert [each.route for each in found["POST /register"].calls[:-1]] in (["GET /register"], ["GET /login"])
    assert isinstance(last(found["POST /register"], Place.FORM)["csrf_token"], Extract)


def test_the_token_of_any_page_will_do(prototype: Write) -> None:
    """An edit form for one row is sent with the token of the page for another, where the row that may be edited has no page of its own."""
    found = reached(explored(prototype({"app.py": BOOKS, "guard.py": GUARD, "store.py": STORE})))
    assert set(found) == {"GET /books", "GET /books/{book_id}/edit", "POST /books/{book_id}/edit", "POST /api/books"}
    edit = found["POST /books/{book_id}/edit"]
    page = next(each for each in edit.calls if each.route == "GET /books/{book_id}/edit")
    assert [getattr(each.value, "value", each.value) for each in page.arguments] == [1]
    assert (edit.status, edit.call.body) == (302, "form")
    # Of the list's two books it is the second one.
    assert last(edit, Place.PATH)["book_id"] in {2, Extract(0, (1, "id"))}
    assert last(edit, Place.FORM)["csrf_token"] == Extract(edit.calls.index(page), ("#field", "csrf_token"))


def test_a_script_sends_the_token_in_a_header(prototype: Write) -> None:
    """A route that takes JSON is reached with a page's token as `X-CSRFToken`, and not without it."""
    added = reached(explored(prototype({"app.py": BOOKS, "guard.py": GUARD, "store.py": STORE})))["POST /api/books"]
    assert (added.status, added.call.body) == (201, "json")
    assert set(last(added, Place.JSON)) == {"title"}
    assert last(added, Place.HEADER) == {"X-CSRFToken": Extract(0, ("#field", "csrf_token"))}
    assert [each.route for each in added.calls[:-1]] == ["GET /books/{book_id}/edit"]


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ('<form method="post">', True),
        ('<form method="post" action="">', True),
        ('<form method="post" action="#">', True),
        ('<form method="post" action="?next=%2F">', True),
        ('<form method="post" action="/books/3/edit?x=1">', True),
        ('<form method="post" action="/books/4/edit">', False),
        ("<form>", False),
        ('<form method="get" action="/books/3/edit">', False),
    ],
)
def test_where_a_form_is_posted_to(tag: str, found: bool) -> None:  # noqa: FBT001 - the two sides of one claim
    """A form without an action is posted to its own page, whatever stands behind the question mark; one with another action, or that is not posted, is not."""
    page = Response(200, (("content-type", "text/html"),), f'{tag}<input type="hidden" name="csrf_token" value="t"><input name="title"></form>')
    told = named(Exchange("GET", "/books/3/edit?from=list", "", page), "/books/3/edit")
    assert (None if told is None else [each.name for each in told]) == (["title"] if found else None)
