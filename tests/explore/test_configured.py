"""Identities that the settings introduce, tried on a prototype that is booted for real."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from toughen import config
from toughen.model.finding import Inconclusive, Proven, Status
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest
    from conftest import Prototype

    from toughen.model.verdict import Verdict

    Write = Callable[[Mapping[str, str]], Prototype]

TOKEN = "audit-5f1d3c9a7b2e4d60"
BANK = f"""
    import hashlib
    import sqlite3
    from flask import Flask, abort, jsonify, request, session

    app = Flask(__name__)
    app.secret_key = "dev"
    AUDITORS = {{"{hashlib.sha256(TOKEN.encode()).hexdigest()}"}}


    def ask(statement, *values):
        link = sqlite3.connect("bank.db")
        link.row_factory = sqlite3.Row
        rows = [dict(row) for row in link.execute(statement, values)]
        link.commit()
        link.close()
        return rows


    ask("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT)")
    ask("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), body TEXT)")


    def me():
        if "user" not in session:
            abort(401)
        return session["user"]


    @app.post("/register")
    def register():
        body = request.get_json()
        ask("INSERT INTO users (username, password) VALUES (?, ?)", body["username"], body["password"])
        return jsonify(ok=True), 201


    @app.post("/login")
    def login():
        body = request.get_json()
        rows = ask("SELECT * FROM users WHERE username = ? AND password = ?", body["username"], body["password"])
        if not rows:
            return jsonify(error="wrong"), 401
        session["user"] = rows[0]["id"]
        return jsonify(ok=True)


    @app.post("/notes")
    def write():
        ask("INSERT INTO notes (user_id, body) VALUES (?, ?)", me(), str(request.get_json()["body"])[:80])
        return jsonify(ok=True), 201


    @app.get("/notes")
    def notes():
        return jsonify(ask("SELECT * FROM notes WHERE user_id = ?", me()))


    @app.get("/audit/notes")
    def audited():
        found = hashlib.sha256(request.headers.get("X-Audit-Token", "").encode()).hexdigest()
        if found not in AUDITORS:
            abort(403)
        return jsonify(ask("SELECT * FROM notes"))


    @app.get("/audit/search")
    def searched():
        found = hashlib.sha256(request.headers.get("X-Audit-Token", "").encode()).hexdigest()
        if found not in AUDITORS:
            abort(403)
        return jsonify(ask(f"SELECT id FROM notes WHERE body LIKE '%{{request.args.get('term', '')}}%'"))


    @app.post("/operators/login")
    def operators():
        body = request.get_json()
        if hashlib.sha256(f"{{body['number']}}:{{body['pin']}}".encode()).hexdigest() != "{hashlib.sha256(b'7:4711').hexdigest()}":
            return jsonify(error="wrong number or pin"), 401
        session["operator"] = 7
        return jsonify(ok=True)


    @app.delete("/operators/notes")
    def purge():
        if "operator" not in session:
            abort(401)
        ask("DELETE FROM notes WHERE body = ''")
        return jsonify(ok=True)
    """
SETTINGS = """
    [identities.auditor]
    token = "env:AUDIT_TOKEN"
    [identities.operator]
    login = { path = "/operators/login", number = 7, pin = "4711" }
    """


def checked(project: Prototype) -> Verdict:
    """Explored, and attacked where authorization is at stake."""
    return Run(project.root, config.read(project.root, only=("security/object-authorization", "security/function-authorization", "security/no-authentication"))).check()


def test_who_is_introduced_opens_what_nobody_else_can(prototype: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token whose header is found out and a log-in by number and pin reach their routes; that they may what users may not breaks nothing."""
    monkeypatch.setenv("AUDIT_TOKEN", TOKEN)
    project = prototype({"main.py": BANK, "toughen.toml": SETTINGS})
    verdict = checked(project)
    by = {each.route: each.identity for each in verdict.journeys}
    assert by["GET /audit/notes"] == "auditor"
    assert by["DELETE /operators/notes"] == "operator"
    assert by["GET /notes"] == "user1"
    assert {(each.name, each.role, each.how) for each in verdict.identities if each.how == "settings"} == {("auditor", "auditor", "settings"), ("operator", "operator", "settings")}
    assert not [each.id for each in verdict.findings if each.status is Status.PROVEN]
    assert not any("settings" in each for each in verdict.notes)


def test_nobody_is_let_in_without_them(prototype: Write) -> None:
    """The same prototype without the table: the control of the test above."""
    reached = {each.route for each in checked(prototype({"main.py": BANK})).journeys}
    assert "GET /notes" in reached
    assert not reached & {"GET /audit/notes", "DELETE /operators/notes"}


def test_what_does_not_work_is_told_with_what_happened(prototype: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that means nothing, a wrong pin and a route that is not there: each is named, and used for nothing."""
    monkeypatch.setenv("AUDIT_TOKEN", "audit-of-last-year-0000")
    wrong = SETTINGS.replace("4711", "0815") + '    [identities.lost]\n    login = { path = "/operator/login", pin = "1" }\n'
    verdict = checked(prototype({"main.py": BANK, "toughen.toml": wrong}))
    told = {name: note for note in verdict.notes for name in ("auditor", "operator", "lost") if note.startswith(f"identities.{name} of the settings was not used")}
    assert "changed nothing on" in told["auditor"]
    assert "POST /operators/login was answered with" in told["operator"]
    assert "there is no route POST /operator/login" in told["lost"]
    assert not [each for each in verdict.identities if each.how == "settings"]


def test_a_proof_by_who_was_introduced_is_replayed_with_what_the_settings_say_then(prototype: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored proof holds no token; with the token at hand it is shown again in a fresh boot, and without one nothing is concluded."""
    monkeypatch.setenv("AUDIT_TOKEN", TOKEN)
    project = prototype({"main.py": BANK, "toughen.toml": SETTINGS})
    verdict = Run(project.root, config.read(project.root, only=("security/sql-injection",))).check()
    [finding] = [each for each in verdict.findings if each.route == "GET /audit/search"]
    [file] = [each for each in (project.root / ".toughen" / "proofs").rglob("*.json") if "audit-search" in each.name]
    assert not [each for each in (project.root / ".toughen").rglob("*") if each.is_file() and TOKEN.encode() in each.read_bytes()]
    again, outcome = Run(project.root, config.read(project.root)).replay(file)
    assert again.id == finding.id
    assert isinstance(outcome, Proven)
    monkeypatch.setenv("AUDIT_TOKEN", "audit-of-last-year-0000")
    _, later = Run(project.root, config.read(project.root)).replay(file)
    assert isinstance(later, Inconclusive)
