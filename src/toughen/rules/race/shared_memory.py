"""Owns race/shared-memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import memories
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Exchange, Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_TODOS = """from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()
todos = []

class Todo(BaseModel):
    title: str

@app.get("/todos")
def list_todos():
    return todos

@app.post("/todos", status_code=201)
def add(todo: Todo):
    made = {"id": len(todos) + 1, "title": todo.title}
    todos.append(made)
    return made

@app.get("/todos/{todo_id}")
def show(todo_id: int):
    for each in todos:
        if each["id"] == todo_id:
            return each
    raise HTTPException(404, "No such todo")
"""
_NOTES = """from uuid import uuid4
from flask import Flask, jsonify, request
app = Flask(__name__)

class Notes:
    def __init__(self):
        self._kept = {}

    def save(self, text):
        key = uuid4().hex
        self._kept[key] = text
        return key

    def find(self, key):
        return self._kept.get(key)

notes = Notes()

@app.post("/notes")
def write():
    return jsonify({"id": notes.save(request.get_json()["text"])}), 201

@app.get("/notes/<key>")
def read(key):
    text = notes.find(key)
    return jsonify({"text": text}) if text is not None else (jsonify({"error": "no such note"}), 404)
"""
_SEATS = """from flask import Flask, jsonify
app = Flask(__name__)
seats = 40

@app.get("/seats")
def left():
    return jsonify({"left": seats})

@app.post("/seats/book")
def book():
    global seats
    if seats < 1:
        return jsonify({"error": "sold out"}), 409
    seats -= 1
    return jsonify({"ok": True})
"""
_CACHED = SESSION + """
class Todo(Base):
    __tablename__ = "todos"
    id = Column(Integer, primary_key=True)
    title = Column(String)

class NewTodo(BaseModel):
    title: str

Base.metadata.create_all(engine)
known = {}

@app.post("/todos", status_code=201)
def add(data: NewTodo, db: Session = Depends(get_db)):
    made = Todo(title=data.title)
    db.add(made)
    db.commit()
    known[made.id] = made.title
    return {"id": made.id}

@app.get("/todos/{todo_id}")
def show(todo_id: int, db: Session = Depends(get_db)):
    if todo_id not in known:
        row = db.get(Todo, todo_id)
        if row is None:
            raise HTTPException(404, "No such todo")
        known[todo_id] = row.title
    return {"title": known[todo_id]}
"""
_LIMITED = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)")

attempts = {}

@app.route("/notes")
def notes():
    conn = get_db()
    rows = conn.execute("SELECT id, body FROM notes").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/notes", methods=["POST"])
def note():
    attempts[request.remote_addr] = attempts.get(request.remote_addr, 0) + 1
    if attempts[request.remote_addr] > 100:
        return jsonify({"error": "slow down"}), 429
    conn = get_db()
    made = conn.execute("INSERT INTO notes (body) VALUES (?)", (request.get_json()["body"],)).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201
"""
_REGISTRY = """from fastapi import FastAPI, HTTPException
app = FastAPI()
handlers = {}

def handler(name):
    def keep(function):
        handlers[name] = function
        return function
    return keep

@handler("upper")
def upper(text):
    return text.upper()

@app.get("/handlers")
def names():
    return sorted(handlers)

@app.post("/run/{name}")
def run(name: str, text: str):
    if name not in handlers:
        raise HTTPException(404, "No such handler")
    return {"result": handlers[name](text)}
"""
_FILED = """import json
import os
from flask import Flask, jsonify, request
app = Flask(__name__)
FILE = "todos.json"
todos = json.load(open(FILE)) if os.path.exists(FILE) else []

def load():
    return json.load(open(FILE)) if os.path.exists(FILE) else []

@app.get("/todos")
def show():
    return jsonify(load())

@app.post("/todos")
def add():
    todos.append({"title": request.get_json()["title"]})
    with open(FILE, "w") as file:
        json.dump(todos, file)
    return jsonify({"ok": True}), 201
"""


class SharedMemory(Rule):
    """What the business owns lies in a variable: a restart forgets it, and a second worker never knew it.

    Who pays: everybody, at the first deployment. With two workers it is there or not there by chance.

    Shown: an honest request adds to a variable of a module, and another shows what was added. In one process it does; with
    a process for each request, as two workers are, it does not. What is also in a database or a file, caches, counters of
    attempts, and what is filled at import count for nothing.

    Example: `todos = []`, `todos.append(todo)` in one handler and `return todos` in another.
    Instead: a table. Where nothing else is there, SQLite takes one file and no server.

    References: CWE-362, CWE-567; https://12factor.net/processes.
    """

    id = "race/shared-memory"
    title = "What is stored is forgotten at the next restart"
    severity = Severity.MEDIUM
    cwe = (362, 567)
    order = 63

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Variables of modules that one route adds to and another reads."""
        yield from memories.suspected(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each variable is tried on the first route that reads it."""
        yield from memories.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """There in one process, and not in another."""
        control, apart = traces["control"], traces["apart"]
        refused = next((each for each in control.exchanges if not succeeded(each)), None)
        if refused is not None:
            return Unclear(f"the honest requests do not succeed: {answer(refused)}")
        if control.changes or any(each.written_files for each in control.exchanges):
            return Unclear("what is added is written to a database or a file, too")
        how, at = experiment.fact("how"), experiment.fact("at")
        if at and not succeeded(apart.exchanges[int(at)]):
            return Unclear("the request that adds does not succeed in a process of its own")
        here, there = _body(control.last), _body(apart.last)
        if how == "marked":
            canary = control.markers.get("kept", "")
            held = bool(canary) and canary in here and apart.markers.get("kept", "-") not in there
        elif how == "other":
            before = _body(traces["alone"].last)
            held = before == _body(traces["again"].last) == there and here != before
        else:
            held = not succeeded(apart.last) and (apart.last.status or 500) < 500  # noqa: PLR2004
        if not held:
            return Fails()
        name, file, line = experiment.fact("store"), experiment.fact("file"), int(experiment.fact("line"))
        asked = [shown(each) for each in control.exchanges[-2:]]
        return Holds(
            Evidence(
                f"{name} keeps what is added in the memory of one process: another one, or the same after a restart, does not know it",
                {"requests": [*asked], "in one process": answer(control.last), "in another": answer(apart.last), "added by": experiment.fact("writers"), "read by": experiment.fact("readers")},
                Location(file, line),
                (("store", name), ("writers", experiment.fact("writers")), ("readers", experiment.fact("readers"))),
                key=name,
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A brief: which variable, which routes, which table."""
        evidence = finding.evidence
        name, writers, readers = (evidence.fact(each) for each in ("store", "writers", "readers")) if evidence else ("it", "", "")
        where = f" in the database that is there ({blueprint.database})" if blueprint.database not in {None, "memory"} else ": SQLite takes one file and no server"
        yield Unmended(
            f"{name} wants a table, and which columns it has is the owner's to say",
            f"What must hold afterwards: what {writers} adds is there for {readers} in every process, also after a restart. Make a table for {name}{where}; write it in the one and read it in the others; "
            "its numbers come from the database, not from len() or a counter.",
        )

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_TODOS, "GET /todos", ("fastapi",), unmended="wants a table"),
        Broken(_NOTES, "GET /notes/{key}", unmended="wants a table"),
        Broken(_SEATS, "GET /seats", unmended="wants a table"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_CACHED, "what is in memory is in the database, too", SESSION_NEEDS),
        Sound(_LIMITED, "attempts are counted, and nobody's business is lost with them"),
        Sound(_REGISTRY, "what is filled at import is the same in every process", ("fastapi",)),
        Sound(_FILED, "what is added is in a file, from which it is read"),
    ]


def _body(exchange: Exchange) -> str:
    return exchange.response.body if exchange.response else ""
