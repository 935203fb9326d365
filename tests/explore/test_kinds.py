"""Kinds of people beside the users, each with a sign-up and a log-in of its own; the prototype is booted for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Status
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]

MARKET = """
    import secrets
    import sqlite3
    from flask import Flask, abort, jsonify, request, session
    from werkzeug.security import check_password_hash, generate_password_hash

    app = Flask(__name__)
    app.secret_key = "dev"


    def ask(statement, *values):
        link = sqlite3.connect("market.db")
        link.row_factory = sqlite3.Row
        found = link.execute(statement, values)
        rows, key = [dict(row) for row in found], found.lastrowid
        link.commit()
        link.close()
        return rows, key


    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, role TEXT DEFAULT 'customer')")
    ask("CREATE TABLE IF NOT EXISTS wishes (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), title TEXT)")
    ask("CREATE TABLE IF NOT EXISTS merchants (id INTEGER PRIMARY KEY, email TEXT UNIQUE, password TEXT, token TEXT)")
    ask("CREATE TABLE IF NOT EXISTS offers (id INTEGER PRIMARY KEY, merchant_id INTEGER REFERENCES merchants (id), title TEXT, cost REAL)")
    ask("CREATE TABLE IF NOT EXISTS printers (id INTEGER PRIMARY KEY, label TEXT, device_key TEXT)")


    def user():
        if "user" not in session:
            abort(401)
        return session["user"]


    def merchant():
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        rows, _ = ask("SELECT id FROM merchants WHERE token = ?", token) if scheme == "Bearer" else ([], 0)
        if not rows:
            return None
        return rows[0]["id"]


    @app.post("/register")
    def register():
        body = request.get_json()
        ask("INSERT INTO users (username, password) VALUES (?, ?)", body["username"], generate_password_hash(body["password"]))
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        body = request.get_json()
        rows, _ = ask("SELECT * FROM users WHERE username = ?", body["username"])
        if not rows or not check_password_hash(rows[0]["password"], body["password"]):
            return jsonify(error="wrong"), 401
        session["user"] = rows[0]["id"]
        return jsonify(ok=True)


    @app.post("/wishes")
    def wish():
        _, key = ask("INSERT INTO wishes (user_id, title) VALUES (?, ?)", user(), str(request.get_json()["title"])[:80])
        return jsonify(id=key), 201


    @app.get("/wishes/<int:wish_id>")
    def wished(wish_id):
        rows, _ = ask("SELECT * FROM wishes WHERE id = ? AND user_id = ?", wish_id, user())
        return jsonify(rows[0]) if rows else (jsonify(error="not found"), 404)


    @app.post("/merchants/register")
    def open_shop():
        body = request.get_json()
        ask("INSERT INTO merchants (email, password) VALUES (?, ?)", body["email"], generate_password_hash(body["password"]))
        return jsonify(ok=True), 201


    @app.post("/merchants/login")
    def shop_login():
        body = request.get_json()
        rows, _ = ask("SELECT * FROM merchants WHERE email = ?", body["email"])
        if not rows or not check_password_hash(rows[0]["password"], body["password"]):
            return jsonify(error="wrong"), 401
        token = rows[0]["token"] or secrets.token_hex(16)
        ask("UPDATE merchants SET token = ? WHERE id = ?", token, rows[0]["id"])
        return jsonify(access_token=token)


    @app.post("/offers")
    def offer():
        shop = merchant()
        if shop is None:
            return jsonify(error="merchants only"), 401
        body = request.get_json()
        _, key = ask("INSERT INTO offers (merchant_id, title, cost) VALUES (?, ?, ?)", shop, str(body["title"])[:80], float(body["cost"]))
        return jsonify(id=key), 201


    @app.get("/offers/<int:offer_id>/cost")
    def cost(offer_id):
        shop = merchant()
        if shop is None:
            return jsonify(error="merchants only"), 401
        rows, _ = ask("SELECT * FROM offers WHERE id = ? AND merchant_id = ?", offer_id, shop)
        return jsonify(rows[0]) if rows else (jsonify(error="not found"), 404)


    @app.delete("/offers/<int:offer_id>")
    def withdraw(offer_id):
        shop = merchant()
        if shop is None:
            return jsonify(error="merchants only"), 401
        rows, _ = ask("SELECT * FROM offers WHERE id = ? AND merchant_id = ?", offer_id, shop)
        if not rows:
            return jsonify(error="not found"), 404
        ask("DELETE FROM offers WHERE id = ?", offer_id)
        return jsonify(ok=True)


    @app.post("/printers")
    def printer():
        key = secrets.token_urlsafe(24)
        ask("INSERT INTO printers (label, device_key) VALUES (?, ?)", str(request.get_json()["label"])[:40], key)
        return jsonify(device_key=key), 201


    @app.get("/printers/queue")
    def queue():
        rows, _ = ask("SELECT id FROM printers WHERE device_key = ?", request.headers.get("X-Device-Key", ""))
        if not rows:
            return jsonify(error="unknown device"), 403
        return jsonify(printer=rows[0]["id"], jobs=[])
    """
RULES = ("security/object-authorization", "security/function-authorization", "security/no-authentication")


def checked(project: Prototype) -> Verdict:
    """Explored, and attacked where authorization is at stake."""
    return Run(project.root, config.read(project.root, only=RULES)).check()


def proven(verdict: Verdict) -> list[str]:
    """Ids of what was proven."""
    return sorted(each.id for each in verdict.findings if each.status is Status.PROVEN)


@pytest.mark.long
def test_each_kind_of_people_reaches_its_own(prototype: Write) -> None:
    """Users, merchants who log in elsewhere, and devices that are handed a key: two of each, and every route is reached by whom it is for."""
    verdict = checked(prototype({"main.py": MARKET}))
    assert not verdict.unreached
    by = {each.route: each.identity for each in verdict.journeys}
    assert (by["POST /wishes"], by["POST /offers"], by["GET /printers/queue"]) == ("user1", "merchant1", "printer1")
    assert {(each.name, each.role, each.table) for each in verdict.identities} == {
        ("user1", "customer", "users"), ("user2", "customer", "users"),
        ("merchant1", "merchant", "merchants"), ("merchant2", "merchant", "merchants"),
        ("printer1", "printer", "printers"), ("printer2", "printer", "printers"),
    }


@pytest.mark.long
def test_that_kinds_may_different_things_breaks_nothing(prototype: Write) -> None:
    """Merchants are no higher users, nor users lower merchants; what each owns is theirs alone here."""
    assert proven(checked(prototype({"main.py": MARKET}))) == []


@pytest.mark.long
def test_what_one_merchant_owns_another_must_not_touch(prototype: Write) -> None:
    """Whose offer it is, is told by the merchants' own key: another merchant deletes it here, and may not look at what it cost."""
    before, mark, after = MARKET.partition("def withdraw")
    broken = before + mark + after.replace('"SELECT * FROM offers WHERE id = ? AND merchant_id = ?", offer_id, shop', '"SELECT * FROM offers WHERE id = ?", offer_id')
    assert proven(checked(prototype({"main.py": broken}))) == ["security/object-authorization@DELETE /offers/{offer_id}#write"]


@pytest.mark.long
def test_no_kind_is_made_of_a_table_that_opens_nothing(prototype: Write) -> None:
    """A table with a password that lets nobody in anywhere (the one of a share) adds nobody, and changes no row."""
    shared = MARKET.replace("merchants", "shares").replace('"Authorization"', '"X-Never"').replace('partition(" ")', 'partition("never")')
    verdict = checked(prototype({"main.py": shared}))
    assert {each.kind for each in verdict.identities} == {"user", "printer"}
    assert proven(verdict) == []


PAYOUTS = """

    ask("CREATE TABLE IF NOT EXISTS payouts (id INTEGER PRIMARY KEY, merchant_id INTEGER REFERENCES merchants (id), amount REAL)")
    ask("INSERT OR IGNORE INTO merchants (id, email, password) VALUES (100, 'first@example.com', 'locked')")


    @app.get("/payouts/<int:payout_id>")
    def payout(payout_id):
        shop = merchant()
        if shop is None:
            return jsonify(error="merchants only"), 401
        rows, _ = ask("SELECT * FROM payouts WHERE id = ? AND merchant_id = ?", payout_id, shop)
        return jsonify(rows[0]) if rows else (jsonify(error="not found"), 404)
    """


def test_rows_that_nobody_makes_are_written_for_whose_they_are(prototype: Write) -> None:
    """A table that refers to the merchants gets rows of merchants, whose keys are not those of the users."""
    verdict = checked(prototype({"main.py": MARKET.rstrip() + PAYOUTS}))
    assert {each.route: each.identity for each in verdict.journeys}.get("GET /payouts/{payout_id}") == "merchant1"
    assert proven(verdict) == []
