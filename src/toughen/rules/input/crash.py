"""Owns input/crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from toughen import repairs, signs
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.sweep import crashed, line_of, said, sites, trial
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_SITES = 6

_REFUSING = "request_validation_exception_handler"
"""FastAPI's own refusal: where only its answer fails (NaN is no JSON), the handler never saw the value, and the client is told 500 for 422."""


class Crash(Rule):
    """A wrong value ends in an exception that nobody handles: the client gets a 500 and the log a traceback.

    Who pays: every client that sends a typo, and whoever is woken by the alarm. A caller who knows it can fill the
    log and, where the failing code holds a lock or a connection, take the service down.

    Example: `{"amount": "ten"}` reaches `float(data["amount"])`; `[1]` reaches `data.get("name")`; an id of 10**30
    reaches the database driver; the same sign-up twice reaches a unique key.
    Instead: check kind and bounds where the value enters, and answer 400 or 422 that says which field is wrong.

    References: CWE-20, CWE-248; OWASP API8:2023; RFC 9110 section 15.5.1 (400) and 15.6.1 (500).
    """

    id = "input/crash"
    title = "A wrong value crashes the request"
    severity = Severity.MEDIUM
    cwe = (20, 248)
    owasp = "API8:2023"
    asvs = "V2.2.1"
    order = 50

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Values of the request whose kind nothing checks before something raises on a wrong one."""
        yield from signs.crashes(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Sweep all wrong values first; then each line that crashes gets one experiment with the values that crash there."""
        found, every = sites(target, route, journey, _SITES)
        for site in found:
            hostile = {f"hostile-{number}": trial(journey, wrong) for number, wrong in enumerate(site.wrongs)}
            told = {f"hostile-{number}": {"about": wrong.about, "field": wrong.field, "path": list(wrong.path), "kind": wrong.kind} for number, wrong in enumerate(site.wrongs)}
            detail = (("key", site.key), ("fields", site.fields), ("route", every), ("told", json.dumps(told)))
            yield Experiment({"control": Trial(journey.calls, journey.grants), **hostile}, site.about, detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request succeeds, a wrong one ends in an exception that nobody handled."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        for hostile in (traces[name].last for name in experiment.trials if name != "control"):
            if crashed(hostile):
                failure = hostile.failure
                shows = {"request": shown(hostile), "answer": answer(hostile), "honest": shown(control), "exception": said(hostile)}
                place = (("exception", failure.type if failure else ""), ("source", line_of(failure)))
                detail = (*place, ("fields", experiment.fact("fields")), ("route", experiment.fact("route")))
                shows["traceback"] = failure.traceback if failure else ""
                message = f"{experiment.about} ends in {said(hostile)}"
                refused = failure is not None and failure.location is None and _REFUSING in failure.traceback
                # Nobody but who looks for it sends a number that no column holds.
                far = {each["kind"] for each in json.loads(experiment.fact("told") or "{}").values()} == {"huge"}
                return Holds(Evidence(message, {**shows}, failure.location if failure else None, detail, experiment.fact("key"), Severity.LOW if refused or far else None))
        return Fails()

    def only(self, experiment: Experiment, names: frozenset[str]) -> Experiment | None:
        """Each wrong value crashes by itself."""
        told = {name: each for name, each in json.loads(experiment.fact("told") or "{}").items() if name in names}
        if not told:
            return None
        kinds = {(tuple(each["path"]), each["kind"]) for each in told.values()}
        facts = [{**each, "kinds": [kind for kind in each["kinds"] if (tuple(each["path"]), kind) in kinds]} for each in json.loads(experiment.fact("fields"))]
        first = next(iter(told.values()))
        key = "+".join(dict.fromkeys(each["field"] for each in told.values()))
        detail = {
            "key": f"{key}-left" if key == experiment.fact("key") else key, "fields": json.dumps([each for each in facts if each["kinds"]]),
            "route": experiment.fact("route"), "told": json.dumps(told),
        }  # fmt: skip
        about = first["about"] + (f" (and {len(told) - 1} more)" if len(told) > 1 else "")
        return Experiment({name: each for name, each in experiment.trials.items() if name == "control" or name in told}, about, tuple(detail.items()))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Tighten the boundary where the value enters."""
        yield from repairs.crash(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(
            """from flask import Flask, jsonify, request
app = Flask(__name__)
notes = {}

@app.route("/notes", methods=["POST"])
def add_note():
    data = request.get_json()
    if not data or not data.get("title"):
        return jsonify({"error": "Title is required"}), 400
    notes[len(notes) + 1] = str(data["title"])
    return jsonify({"id": len(notes)}), 201
""", "POST /notes"),
        Broken(
            """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("users.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, age INTEGER)")

@app.route("/users", methods=["POST"])
def add_user():
    email, age = request.form.get("email", ""), 0
    if "@" not in email:
        return jsonify({"error": "A valid email is required"}), 400
    conn.execute("INSERT INTO users (email, age) VALUES (?, ?)", (email, age))
    conn.commit()
    return jsonify({"message": "created"}), 201
""", "POST /users"),
        Broken(
            """from flask import Flask, jsonify, request
app = Flask(__name__)
replies = []

@app.errorhandler(Exception)
def failed(error):
    return jsonify({"error": "An internal error occurred"}), 500

@app.route("/replies", methods=["POST"])
def reply():
    data = request.get_json()
    if not data or "text" not in data:
        return jsonify({"error": "Missing text"}), 400
    replies.append(data["text"].strip())
    return jsonify({"replies": len(replies)}), 201
""", "POST /replies"),
        Broken(
            """import sqlite3
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()
conn = sqlite3.connect("shop.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER)")

class Item(BaseModel):
    name: str
    stock: int

@app.post("/items", status_code=201)
def create_item(item: Item):
    new = conn.execute("INSERT INTO items (name, stock) VALUES (?, ?)", (item.name, item.stock)).lastrowid
    conn.commit()
    return {"id": new, **item.dict()}

@app.get("/items/{item_id}")
def get_item(item_id: int):
    row = conn.execute("SELECT name FROM items WHERE id = ?", (item_id,)).fetchone()
    if not row:
        raise HTTPException(status_code=404, detail="Item not found")
    return {"name": row[0]}
""", "POST /items", ("fastapi",)),
        Broken(
            """from fastapi import FastAPI
from pydantic import BaseModel

dishes = []

class Dish(BaseModel):
    name: str
    price: float

def create_app():
    app = FastAPI(title="Menu")

    @app.put("/menu", status_code=201)
    def add_dish(dish: Dish):
        dishes.append(dish)
        return {"id": len(dishes), "name": dish.name, "price": dish.price}

    return app

app = create_app()
""", "PUT /menu", ("fastapi",), unseen="what a number may be is the model's, and what JSON may be the answer's"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(
            """from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/orders", methods=["POST"])
def create_order():
    try:
        amount = int(request.get_json(silent=True)["amount"])
    except (TypeError, KeyError, ValueError):
        return jsonify({"error": "amount is required"}), 400
    return jsonify({"amount": amount}), 201

@app.route("/reports", methods=["POST"])
def report():
    return jsonify({"rows": 1 // 0}), 200
""", "the handler answers 400 by itself, and the other route answers the honest request with 500 too"),
        Sound(
            """from flask import Flask, jsonify, request
app = Flask(__name__)
app.config["DEBUG"] = True

@app.route("/orders", methods=["POST"])
def create_order():
    return jsonify({"item": request.form["item"][:80]}), 201
""", "Flask answers 400 for a missing key; only its debug mode raises it, so that a developer sees where"),
        Sound(
            """from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/beats", methods=["POST"])
def beat():
    data = request.get_json(silent=True)
    name = data.get("name") if isinstance(data, dict) else None
    if not isinstance(name, str) or not 0 < len(name) < 80:
        return jsonify({"error": "no such service"}), 500
    return jsonify({"name": name}), 201
""", "a 500 that the handler answers on purpose is a wrong status; nothing crashed"),
    ]
