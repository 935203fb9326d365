"""Small prototypes as they were and as they are mended, with what a run would have learned of them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from toughen.model.blueprint import Blueprint, Column, Entry, EnvironmentVariable, Place, Route, Suite, Table
from toughen.model.finding import Evidence, Finding, Severity, Status
from toughen.model.identity import Credential, Identity
from toughen.model.journey import Argument, Call, Extract, Journey, Literal
from toughen.model.source import Location
from toughen.model.trace import Exchange, Response, RowChange, Statement, Trace
from toughen.model.trial import Experiment, Trial
from toughen.regressions import Known, Shown, Unwritten, assembled, drafted, grounds, place_of

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.model.blueprint import Json
    from toughen.regressions import Draft

PASSWORD = "Tg7!passW0rd"

NOTES = """
import os
import secrets
import sqlite3

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

DATABASE = os.getenv("NOTES_DB_PATH", "notes.db")
app = FastAPI()


def connect():
    database = sqlite3.connect(DATABASE)
    database.row_factory = sqlite3.Row
    return database


with connect() as start:
    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, role TEXT DEFAULT 'user')")
    start.execute("CREATE TABLE IF NOT EXISTS sessions (token TEXT PRIMARY KEY, user_id INTEGER)")
    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER, title TEXT, stars INTEGER)")


class Person(BaseModel):
    username: str
    password: str


class Note(BaseModel):
    title: str
    stars: int = 1{bound}


def who(authorization: str = Header("")):
    with connect() as database:
        user = database.execute("SELECT users.* FROM users JOIN sessions ON sessions.user_id = users.id WHERE token = ?", (authorization.removeprefix("Bearer "),)).fetchone()
    if user is None:
        raise HTTPException(401)
    return user


@app.post("/signup", status_code=201)
def sign_up(person: Person):
    with connect() as database:
        key = database.execute("INSERT INTO users (username, password) VALUES (?, ?)", (person.username, person.password)).lastrowid
    return {{"id": key}}


@app.post("/login")
def log_in(person: Person):
    with connect() as database:
        user = database.execute("SELECT * FROM users WHERE username = ? AND password = ?", (person.username, person.password)).fetchone()
    if user is None:
        raise HTTPException(401)
    token = secrets.token_hex(16)
    with connect() as database:
        database.execute("INSERT INTO sessions (token, user_id) VALUES (?, ?)", (token, user["id"]))
    return {{"token": token}}


@app.post("/notes", status_code=201)
def write(note: Note, user=Depends(who)):
    with connect() as database:
        key = database.execute("INSERT INTO notes (user_id, title, stars) VALUES (?, ?, ?)", (user["id"], note.title, note.stars)).lastrowid
    return {{"id": key, "title": note.title}}


@app.get("/notes")
def mine(user=Depends(who)):
    with connect() as database:
        return [dict(each) for each in database.execute("SELECT * FROM notes WHERE user_id = ?", (user["id"],))]


@app.get("/notes/{{note_id}}")
def read(note_id: int, user=Depends(who)):
    with connect() as database:
        note = database.execute("SELECT * FROM notes WHERE id = ?", (note_id,)).fetchone()
    if note is None{owner}:
        raise HTTPException(404)
    return dict(note)


@app.delete("/notes")
def clear(user=Depends(who)):
    if user["role"] != "admin":
        raise HTTPException(403)
    with connect() as database:
        database.execute("DELETE FROM notes")
    return {{"cleared": True}}{unguarded}
"""
BROKEN = {"main.py": NOTES.format(bound="", owner="", unguarded="").replace('def clear(user=Depends(who)):\n    if user["role"] != "admin":\n        raise HTTPException(403)\n', "def clear():\n")}
MENDED = {"main.py": NOTES.format(bound=" if False else Field(1, ge=0)", owner=' or note["user_id"] != user["id"]', unguarded="")}


def argument(place: Place, name: str, value: Json | Extract) -> Argument:
    return Argument(place, (name,), value if isinstance(value, Extract) else Literal(value))


def json_call(route: str, by: str | None = None, **values: Json) -> Call:
    return Call(route, tuple(argument(Place.JSON, name, value) for name, value in values.items()), by, body="json" if values else None)


def answered(call: Call, status: int, body: Json = None, *, wrote: str = "") -> Exchange:
    method, _, path = call.route.partition(" ")
    statements = (Statement(f"INSERT INTO {wrote}", verb="insert", writes=(wrote,)),) if wrote else ()
    return Exchange(method, path, "", Response(status, body=str(body), json=body, is_json=True), statements=statements)


def trace(*statuses: int, bodies: tuple[Json, ...] = ()) -> Trace:
    given = (*bodies, *(None for _ in statuses))
    return Trace(tuple(answered(Call("GET /"), status, body) for status, body in zip(statuses, given, strict=False)))


def person(number: int, role: str = "user", kind: str = "user") -> Identity:
    name = f"tguser{10 + number}"
    row: dict[str, Json] = {"id": number, "username": name, "password": PASSWORD, "role": role}
    return Identity(
        f"{kind}{number if kind == 'user' else 1}", role, Credential((("Authorization", f"Bearer {name}"),)), "signup", row, "users",
        json_call("POST /login", username=name, password=PASSWORD), ("token",), ("Authorization", "Bearer "),
    )


PEOPLE = (person(1), person(2), person(3, "admin", "admin"))
SIGN_UP = json_call("POST /signup", username="tguser6", password=PASSWORD)
WRITE = json_call("POST /notes", "user1", title="tg64title")
ROUTES = (("POST", "/signup", "sign_up"), ("POST", "/login", "log_in"), ("POST", "/notes", "write"), ("GET", "/notes/{note_id}", "read"), ("DELETE", "/notes", "clear"))


def known(files: dict[str, str], suite: Suite | None = None, **rest: object) -> Known:
    blueprint = Blueprint(
        "notes", "fastapi", Entry("main:app", "main.py", "named main", "fastapi"), tuple(Route(method, path, Location("main.py", 1, function)) for method, path, function in ROUTES),
        (
            Table("users", (Column("id", primary_key=True), Column("username", unique=True), Column("role"))),
            Table("notes", (Column("id", primary_key=True), Column("user_id"), Column("title"), Column("stars"))),
        ),
        environment=(EnvironmentVariable("NOTES_DB_PATH", required=False, default="notes.db", location=Location("main.py", 7)),), suite=suite or Suite(), database="sqlite",
    )
    journeys = {"POST /signup": Journey("POST /signup", (SIGN_UP,), 201, anonymous=True), "POST /notes": Journey("POST /notes", (WRITE,), 201)}
    honest = {
        "POST /signup": Trace((answered(SIGN_UP, 201, {"id": 9}, wrote="users"),), final_changes=(RowChange("users", "inserted", after={"id": 9}),)),
        "POST /notes": Trace((answered(WRITE, 201, {"id": 7, "title": "tg64title"}, wrote="notes"),), final_changes=(RowChange("notes", "inserted", after={"id": 7, "title": "tg64title"}),)),
    }
    return Known(blueprint, files, PEOPLE, journeys, honest, {"notes": ({"id": 1, "user_id": 1, "title": "first"},)}, **rest)  # type: ignore[arg-type]


def finding(break_id: str, route: str, key: str = "", message: str = "it breaks") -> Finding:
    evidence = Evidence(message, key=key)
    return Finding(break_id, route, Location("main.py", 1), Status.PROVEN, Severity.HIGH, message, evidence)


def shown(found: Finding, trials: dict[str, tuple[Call, ...]], before: dict[str, Trace], after: dict[str, Trace], about: str = "") -> Shown:
    return Shown(found, Experiment({name: Trial(calls) for name, calls in trials.items()}, about), before, after)


def read_note(by: str | None, note: Json | Extract) -> Call:
    return Call("GET /notes/{note_id}", (argument(Place.PATH, "note_id", note),), by)


FOREIGN = shown(
    finding("security/object-authorization", "GET /notes/{note_id}", "read", "user2 reads what belongs to user1 (title holds tgn0123456789abcdef)"),
    {"control": (WRITE, read_note("user1", Extract(0, ("id",)))), "attack": (WRITE, read_note("user2", Extract(0, ("id",))))},
    {"control": trace(201, 200), "attack": trace(201, 200)}, {"control": trace(201, 200), "attack": trace(201, 404)},
)
NEGATIVE = shown(
    finding("input/nonsense", "POST /notes", "stars", "stars = -17 is accepted (201) and stored: notes 1: inserted"),
    {"control": (json_call("POST /notes", "user1", title="tg64title", stars=2),), "hostile": (json_call("POST /notes", "user1", title="tg64title", stars=-17),), "lower": (json_call("POST /notes", "user1", title="tg64title", stars=-17000),)},
    {name: trace(201) for name in ("control", "hostile", "lower")}, {"control": trace(201), "hostile": trace(422), "lower": trace(422)}, "stars = -17",
)
STRANGER = shown(
    finding("security/no-authentication", "DELETE /notes", message="an anonymous request deletes rows of notes"),
    {"control": (json_call("DELETE /notes", "admin1"),), "anonymous": (json_call("DELETE /notes"),)},
    {"control": trace(200), "anonymous": trace(200)}, {"control": trace(200), "anonymous": trace(401)},
)


def first(of: Known, each: Shown, ground: int = 0) -> Draft:
    """The first variant of a test."""
    offered = grounds(of)
    assert not isinstance(offered, str), offered
    drafts = drafted(of, each, offered[ground].client, writable=offered[ground].writable)
    assert not isinstance(drafts, Unwritten), drafts
    return drafts[0]


def file_of(of: Known, *each: Shown, existing: str = "", ground: int = 0) -> str:
    offered = grounds(of)
    assert not isinstance(offered, str), offered
    return assembled(of, offered[ground], [first(of, one, ground) for one in each], existing)


def outcomes(root: Path, files: dict[str, str], of: Known, text: str) -> dict[str, str]:
    """Run a file of tests against a project with plain pytest: what became of each."""
    place = root / place_of(of.blueprint)
    for name, content in {**files, place_of(of.blueprint): text}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "-p", "no:toughen", str(place)], cwd=root, capture_output=True, text=True, timeout=100, check=False)
    told = {}
    for line in done.stdout.splitlines():
        word, _, rest = line.partition(" ")
        if word in {"PASSED", "FAILED", "ERROR"} and "::" in rest:
            told[rest.partition("::")[2].partition(" ")[0]] = word
    assert told, done.stdout + done.stderr
    return told
