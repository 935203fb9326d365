"""Owns input/nonsense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, ClassVar

from toughen import repairs, signs
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import PLAIN
from toughen.sweep import honest_types, signed
from toughen.timeline import row_facts
from toughen.twists import (
    PAID,
    UNSEEN,
    answer,
    changed,
    counted,
    negative,
    shown,
    succeeded,
    turned_back,
    unseen,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target

_NEGATIVE, _LOWER = -17, -17 * 10**6
_FAILED = 500


_LEDGER = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS wallets (id INTEGER PRIMARY KEY, name TEXT)")
    start.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, wallet_id INTEGER REFERENCES wallets(id), amount INTEGER, comment TEXT)")

@app.route("/wallets", methods=["POST"])
def open_wallet():
    conn = get_db()
    made = conn.execute("INSERT INTO wallets (name) VALUES (?)", (str(request.get_json()["name"]),)).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201

@app.route("/wallets/<int:wallet_id>")
def wallet(wallet_id):
    conn = get_db()
    row = conn.execute("SELECT * FROM wallets WHERE id = ?", (wallet_id,)).fetchone()
    total = conn.execute("SELECT SUM(amount) FROM entries WHERE wallet_id = ?", (wallet_id,)).fetchone()[0]
    conn.close()
    if row is None:
        return jsonify({"error": "no such wallet"}), 404
    return jsonify({"id": row["id"], "name": row["name"], "total": total or 0})

@app.route("/wallets/<int:wallet_id>/entries", methods=["POST"])
def enter(wallet_id):
    data = request.get_json()
    conn = get_db()
    if conn.execute("SELECT id FROM wallets WHERE id = ?", (wallet_id,)).fetchone() is None:
        conn.close()
        return jsonify({"error": "no such wallet"}), 404
    conn.execute("INSERT INTO entries (wallet_id, amount, comment) VALUES (?, ?, ?)", (wallet_id, int(data["amount"]), str(data["comment"])))
    conn.commit()
    conn.close()
    return jsonify({"ok": True}), 201
"""


class Nonsense(Rule):
    """A number that makes no sense is accepted and stored: a quantity of -17, a negative price, a payment of -17.

    Who pays: the business. An order for -17 pieces raises the stock, a transfer of -17 takes the money from the other
    side, a price of -17 pays the buyer.

    Example: `quantity: int` without a bound; `product.stock -= quantity`.
    Instead: state the bound where the value enters (`Field(gt=0)`, or a check that answers 400).

    References: CWE-20, CWE-1284; OWASP API8:2023; ASVS 5.0 V2.2.1.
    """

    id = "input/nonsense"
    title = "A number that makes no sense is accepted and stored"
    severity = Severity.HIGH
    cwe = (20, 1284)
    owasp = "API8:2023"
    asvs = "V2.2.1"
    order = 45

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Numbers without a lower bound that reach a quantity, an amount, or a sum in a row."""
        yield from signs.numbers(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each number that cannot be negative in any business, negative."""
        types = honest_types(target, route)
        for argument, name in counted(route, journey.call) if route.method != "GET" else ():
            if signed(target, route, name):
                continue
            text = isinstance(argument.value, Literal) and isinstance(argument.value.value, str)
            trials = {"control": journey.calls}
            for each, value in (("hostile", _NEGATIVE), ("lower", _LOWER)):
                trials[each] = (*journey.calls[:-1], journey.call.with_argument(argument.place, argument.path, Literal(str(value) if text else value)))
            detail = (("field", name), ("place", argument.place.value), ("keys", json.dumps(argument.path)), ("type", types.get(name, "")))
            yield Experiment({each: Trial(calls, journey.grants) for each, calls in trials.items()}, f"{name} = {_NEGATIVE}", detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """It is accepted, and rows hold the negative number or moved the wrong way."""
        control, hostile = traces["control"], traces["hostile"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if not succeeded(hostile.last):
            return Fails()
        turned = [each for each in changed(hostile) if each.kind == "updated" and turned_back(each, control)]
        low = [(each, name) for each in changed(hostile) for name in each.columns if negative(each.after.get(name), _NEGATIVE)]
        stored = [each for each, name in low if not negative(each.before.get(name), _NEGATIVE)]
        if not stored and not turned:
            return Unclear(UNSEEN) if unseen(hostile, lambda value: negative(value, _NEGATIVE)) else Fails()
        lower = traces["lower"].last if "lower" in experiment.trials else hostile.last
        if not succeeded(lower) and (lower.status or _FAILED) < _FAILED:
            return Unclear(f"a number far lower is refused ({lower.status}): what comes of it is checked, so one below zero may be meant")
        field = experiment.fact("field")
        strict = "yes" if turned or PAID.search(field) else ""
        facts: dict[str, Json] = {"request": shown(hostile.last), "answer": answer(hostile.last), "honest": shown(control.last)}
        facts["rows"] = [*row_facts(changed(hostile))]
        message = f"{experiment.about} is accepted ({hostile.last.status}) and stored: {row_facts(tuple(turned or stored))[0]}"
        return Holds(Evidence(message, facts, None, (*experiment.detail, ("strict", strict)), key=field))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A lower bound where the number enters."""
        yield from repairs.number(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(
            """import sqlite3
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()
conn = sqlite3.connect("shop.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS products (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER)")
conn.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, product_id INTEGER, quantity INTEGER)")
conn.execute("INSERT OR IGNORE INTO products VALUES (1, 'tea', 100)")
conn.commit()

class Order(BaseModel):
    product_id: int
    quantity: int

@app.post("/orders", status_code=201)
def order(o: Order):
    row = conn.execute("SELECT stock FROM products WHERE id = ?", (o.product_id,)).fetchone()
    if not row or row[0] < o.quantity:
        raise HTTPException(status_code=400, detail="Not in stock")
    conn.execute("UPDATE products SET stock = stock - ? WHERE id = ?", (o.quantity, o.product_id))
    conn.execute("INSERT INTO orders (product_id, quantity) VALUES (?, ?)", (o.product_id, o.quantity))
    conn.commit()
""", "POST /orders", ("fastapi",)),
        Broken(
            """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("pay.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS payments (id INTEGER PRIMARY KEY, payer TEXT, amount REAL)")

@app.route("/payments", methods=["POST"])
def pay():
    data = request.get_json()
    if not data or "payer" not in data:
        return jsonify({"error": "payer is required"}), 400
    conn.execute("INSERT INTO payments (payer, amount) VALUES (?, ?)", (data["payer"], data["amount"]))
    conn.commit()
    return jsonify({"status": "paid"}), 201
""", "POST /payments"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_LEDGER, "what is spent is an entry below zero: a wallet has what its entries add up to", alike="what entries add up to is seen by use"),
        Sound(
            """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("shop.db", check_same_thread=False, isolation_level=None)
conn.execute("CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, name TEXT, price REAL, celsius REAL)")

@app.route("/stock", methods=["POST"])
def add():
    data = request.get_json()
    if data["price"] < 0:
        return jsonify({"error": "price must be 0 or more"}), 400
    conn.execute("INSERT INTO stock (name, price, celsius) VALUES (?, ?, ?)", (data["name"], data["price"], data.get("celsius", -18)))
    return jsonify({"ok": True}), 201

@app.route("/adjustments", methods=["POST"])
def adjust():
    data = request.get_json()
    conn.execute("INSERT INTO stock (name, price) VALUES (?, ?)", (data["name"], float(data["amount"])))
    return jsonify({"ok": True}), 201
""", "a negative price is refused, temperatures below zero are real, and an adjustment has a sign"),
    ]
