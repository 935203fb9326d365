"""Owns security/sql-injection."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import access
from toughen.injection import around, escaped, shapes
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Marker
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer, literal, named, shown, succeeded, unsent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_BRIEF = "Pass the value as a bound parameter; where it is a name or a direction, choose it from a list of your own."


class SqlInjection(Rule):
    """A value from the request becomes part of the SQL text: whoever sends it writes the query.

    Who pays: every user. One request reads or deletes any table, or logs in as anybody.

    Example: `f"SELECT * FROM users WHERE name = '{name}'"`.
    Instead: bound parameters: `execute("SELECT * FROM users WHERE name = ?", (name,))`.

    Shown: a fresh canary with a quote behind it ends the literal that it was put into, in the text that reached the driver.

    References: CWE-89; OWASP API8:2023; ASVS 5.0 V1.2.4.
    """

    id = "security/sql-injection"
    title = "A value from the request becomes part of the SQL"
    severity = Severity.CRITICAL
    cwe = (89,)
    owasp = "API8:2023"
    asvs = "V1.2.4"
    order = 10

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text or untyped value with a canary and a quote, or a canary in a comment where no quote is needed."""
        control = Trial(journey.calls, journey.grants)
        for argument in (*journey.call.arguments, *unsent(target, route, journey)):
            sent = argument.place in {Place.HEADER, Place.COOKIE} and argument in journey.call.arguments
            if argument.place is Place.FILE or sent or isinstance(literal(argument), bool | dict | list):
                continue
            for shape, about in shapes(argument):
                call = journey.call.with_argument(argument.place, argument.path, Marker("injected", shape))
                yield Experiment(
                    {"control": control, "hostile": Trial((*journey.calls[:-1], call), journey.grants)},
                    f"{about} in {named(argument)}", (("field", named(argument)), ("shape", shape)),
                )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The canary and what follows it stand in the text of a statement, outside of every literal."""
        control, hostile = traces["control"], traces["hostile"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        canary = hostile.markers.get("injected", "")
        found = next((each for each in hostile.last.statements if canary and escaped(each.text, canary, experiment.fact("shape"))), None)
        if found is None:
            return Fails()
        return Holds(
            Evidence(
                f"{experiment.fact('field')} becomes part of the SQL text: {around(found, canary)}",
                {
                    "request": shown(hostile.last), "answer": answer(hostile.last), "statement": found.text[:600],
                    "error": found.error or "", "honest": shown(control.last),
                },
                found.location,
                (("field", experiment.fact("field")), ("statement", found.text[:600])),
                key=experiment.fact("field"),
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Statements whose text takes in a value that could be bound."""
        yield from access.unbound(self.id, blueprint, sources)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The value bound at the statement; where that lies in a helper, at the caller's line that builds the text."""
        yield from access.bound(finding, blueprint, sources, _BRIEF)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("app.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS books (id INTEGER PRIMARY KEY, title TEXT, pages INTEGER DEFAULT 100)")

@app.post("/books")
def add():
    conn.execute("INSERT INTO books (title) VALUES (?)", (request.get_json()["title"],))
    conn.commit()
    return jsonify({"message": "added"}), 201

@app.get("/books/search")
def search():
    title = request.args.get("q", "")
    query = f"SELECT id, title FROM books WHERE title LIKE '%{title}%' ORDER BY id"
    return jsonify(conn.execute(query).fetchall())

@app.get("/books")
def page():
    start = request.args.get("start", "0")
    return jsonify(conn.execute("SELECT id, title FROM books WHERE id > " + start).fetchall())
""", "GET /books/search"),
        Broken("""from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import create_engine, text
app = FastAPI()
engine = create_engine("sqlite:///./app.db")
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT, city TEXT)"))

class Member(BaseModel):
    name: str

@app.post("/members", status_code=201)
def add(member: Member):
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO members (name, city) VALUES ('{member.name}', 'Rome')"))
    return {"name": member.name}
""", "POST /members", ("fastapi", "sqlalchemy")),
        Broken("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)

def query(sql, values=()):
    with sqlite3.connect("app.db") as conn:
        return conn.execute(sql, values).fetchall()

query("CREATE TABLE IF NOT EXISTS pets (id INTEGER PRIMARY KEY, name TEXT)")

@app.post("/pets")
def add():
    query("INSERT INTO pets (name) VALUES (?)", (request.get_json()["name"],))
    return jsonify({"message": "added"}), 201

@app.get("/pets")
def find():
    return jsonify(query("SELECT id, name FROM pets WHERE name = '%s'" % request.args.get("name", "")))
""", "GET /pets"),
        Broken("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("app.db", check_same_thread=False)
conn.row_factory = sqlite3.Row
conn.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT, category TEXT, price INTEGER DEFAULT 5)")

@app.post("/products")
def add():
    data = request.get_json()
    conn.execute("INSERT INTO products (name, category) VALUES (?, ?)", (data["name"], data["category"]))
    conn.commit()
    return jsonify({"message": "added"}), 201

@app.get("/products/search")
def search():
    name, category = request.args.get("query", ""), request.args.get("category", "")
    if category:
        query = f"SELECT * FROM products WHERE category = '{category}' AND name LIKE '%{name}%'"
    else:
        query = f"SELECT * FROM products WHERE name LIKE '%{name}%'"
    cursor = conn.execute(query)
    return jsonify([dict(row) for row in cursor.fetchall()])
""", "GET /products/search", unseen="its text has a step in each branch"),
        Broken("""from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import create_engine, text
app = FastAPI()
engine = create_engine("sqlite:///./app.db")
with engine.begin() as connection:
    connection.execute(text("CREATE TABLE IF NOT EXISTS films (id INTEGER PRIMARY KEY, title TEXT, genre TEXT)"))

class Film(BaseModel):
    title: str
    genre: str

@app.post("/films", status_code=201)
def add(film: Film):
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO films (title, genre) VALUES (:title, :genre)"), {"title": film.title, "genre": film.genre})
    return {"title": film.title}

@app.get("/films")
def find(title: str = "", genre: str = "", order: str = "id"):
    sql = "SELECT id, title, genre FROM films WHERE 1 = 1"
    if title:
        sql += f" AND title LIKE '%{title}%'"
    if genre:
        sql += " AND genre = '" + genre + "'"
    sql += " ORDER BY " + ("title" if order == "title" else "id")
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(text(sql)).mappings().all()]
""", "GET /films", ("fastapi", "sqlalchemy"), unseen="its text is put together in several steps"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("app.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS books (id INTEGER PRIMARY KEY, title TEXT)")

@app.post("/books")
def add():
    conn.execute("INSERT INTO books (title) VALUES (?)", (request.get_json()["title"],))
    conn.commit()
    return jsonify({"message": "added"}), 201

@app.get("/books")
def search():
    order = "title" if request.args.get("sort") == "title" else "id"
    ids = [int(each) for each in request.args.get("ids", "1").split(",")]
    marks = ", ".join("?" * len(ids))
    return jsonify(conn.execute(f"SELECT id, title FROM books WHERE id IN ({marks}) OR title = ? ORDER BY {order}", (*ids, request.args.get("q", ""))).fetchall())

@app.get("/books/quoted")
def quoted():
    title = request.args.get("title", "").replace("'", "''")
    return jsonify(conn.execute(f"SELECT id, title FROM books WHERE title = '{title}'").fetchall())
""", "values are bound, or escaped; names come from a list; only placeholders are put into the text"),
    ]
