"""Owns input/crash."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from toughen import repairs
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.sweep import crashed, facts, grouped, honest_types, longest, said, swept, trial
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_SITES, _VALUES = 6, 10


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

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Sweep all wrong values first; then each line that crashes gets one experiment with all that crash there."""
        crashes = swept(target, journey, route)
        types, fits = honest_types(target, route), longest(target, journey, crashes)
        keys: set[str] = set()
        for group in grouped(crashes)[:_SITES]:
            fields = list(dict.fromkeys(each.wrong.field for each in group))
            key = "again" if group[0].wrong.kind == "again" else "+".join(fields)
            key = f"{key}-{group[0].wrong.kind}" if key in keys else key
            keys.add(key)
            about = group[0].wrong.about + (f" (and {len(group) - 1} more)" if len(group) > 1 else "")
            hostile = {f"hostile-{number}": trial(journey, each.wrong) for number, each in enumerate(_spread(group))}
            detail = (("key", key), ("fields", facts(group, types, fits)), ("route", facts(crashes, types, fits)))
            yield Experiment({"control": Trial(journey.calls, journey.grants), **hostile}, about, detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request succeeds, a wrong one ends in an exception that nobody handled."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        for hostile in (traces[name].last for name in experiment.trials if name.startswith("hostile")):
            if not crashed(hostile):
                continue
            failure = hostile.failure
            source = re.findall(r'File "[^"\n]*", line \d+, in [^\n]*\n([^\n]*)', failure.traceback) if failure else []
            place = failure.location if failure else None
            own = re.search(rf'{re.escape(place.file)}", line {place.line}, in [^\n]*\n([^\n]*)', failure.traceback) if failure and place else None
            return Holds(
                Evidence(
                    f"{experiment.about} ends in {said(hostile)}",
                    {
                        "request": shown(hostile), "answer": answer(hostile), "honest": shown(control), "honest answer": answer(control),
                        "exception": said(hostile), "traceback": failure.traceback if failure else "",
                    },
                    place,
                    (
                        ("exception", failure.type if failure else ""), ("source", own.group(1).strip() if own else "".join(source[-1:]).strip()),
                        ("fields", experiment.fact("fields")), ("route", experiment.fact("route")),
                    ),
                    key=experiment.fact("key"),
                )
            )
        return Fails()

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """Tighten the boundary where the value enters."""
        yield from repairs.crash(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(
            """import sqlite3
from flask import Flask, jsonify, request

app = Flask(__name__)

def get_db():
    conn = sqlite3.connect("notes.db")
    conn.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, title TEXT NOT NULL, pages INTEGER)")
    return conn

@app.route("/notes", methods=["POST"])
def add_note():
    data = request.get_json()
    if not data or not data.get("title"):
        return jsonify({"error": "Title is required"}), 400
    conn = get_db()
    cur = conn.execute("INSERT INTO notes (title, pages) VALUES (?, ?)", (data["title"], data.get("pages", 1)))
    conn.commit()
    conn.close()
    return jsonify({"id": cur.lastrowid, "title": data["title"]}), 201
""",
            "POST /notes",
        ),
        Broken(
            """from fastapi import FastAPI, Depends, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, Float, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

engine = create_engine("sqlite:///./shop.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()

class Product(Base):
    __tablename__ = "products"
    id = Column(Integer, primary_key=True)
    sku = Column(String)
    stock = Column(Integer)

Base.metadata.create_all(engine)

class ProductIn(BaseModel):
    sku: str
    stock: int

class ProductOut(ProductIn):
    id: int

app = FastAPI()

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()

@app.post("/products", response_model=ProductOut, status_code=201)
def create_product(product: ProductIn, db: Session = Depends(get_db)):
    row = Product(sku=product.sku, stock=product.stock)
    db.add(row)
    db.commit()
    db.refresh(row)
    return row
""",
            "POST /products", ("fastapi", "sqlalchemy"),
        ),
        Broken(
            """import sqlite3
from flask import Flask, jsonify, request

app = Flask(__name__)

def get_db():
    conn = sqlite3.connect("users.db")
    conn.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE NOT NULL)")
    return conn

@app.route("/subscribe", methods=["POST"])
def subscribe():
    email = request.form.get("email", "")
    if "@" not in email:
        return jsonify({"error": "A valid email is required"}), 400
    conn = get_db()
    conn.execute("INSERT INTO users (email) VALUES (?)", (email,))
    conn.commit()
    return jsonify({"message": "Subscribed"}), 201
""",
            "POST /subscribe",
        ),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(
            """from flask import Flask, jsonify, request

app = Flask(__name__)
orders = []

@app.route("/orders", methods=["POST"])
def create_order():
    data = request.get_json(silent=True)
    try:
        name, amount = str(data["name"]), int(data["amount"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return jsonify({"error": "name and amount are required"}), 400
    orders.append((name, amount))
    return jsonify({"number": len(orders)}), 201

@app.route("/reports", methods=["POST"])
def report():
    return jsonify({"rows": len(orders) // 0}), 200
""",
            "wrong values are answered 400 by the handler, and the other route answers 500 to the honest request too",
        ),
    ]


def _spread(group: list) -> list:  # type: ignore[type-arg]
    """The most telling of a group: every field and kind once, then the others."""
    seen: set[tuple[str, str]] = set()
    first = [each for each in group if (pair := (each.wrong.field, each.wrong.kind)) not in seen and not seen.add(pair)]  # type: ignore[func-returns-value]
    return first[:_VALUES]
