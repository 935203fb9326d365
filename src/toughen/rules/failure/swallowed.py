"""Owns failure/swallowed."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, ClassVar

from toughen import claims, outages
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.timeline import row_facts
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.clients import ClientCall
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_CONTACT = """import smtplib
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/contact", methods=["POST"])
def contact():
    data = request.get_json()
    if not data or not data.get("message"):
        return jsonify({"error": "message is required"}), 400
    try:
        with smtplib.SMTP("smtp.mail.example", 587, timeout=10) as server:
            server.sendmail("site@example.com", ["owner@example.com"], "Subject: Contact\\n\\n" + str(data["message"]).encode("ascii", "replace").decode())
    except Exception as e:
        print("mail failed", e)
    return jsonify({"message": "Your message was sent"})
"""
_PAY = SESSION + """
import httpx

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    total = Column(Integer)
    status = Column(String, default="pending")

class NewOrder(BaseModel):
    total: int

Base.metadata.create_all(engine)

@app.post("/orders", status_code=201)
def pay(new: NewOrder, db: Session = Depends(get_db)):
    if not 0 < new.total < 100000:
        raise HTTPException(status_code=400, detail="Wrong total")
    order = Order(total=new.total)
    try:
        httpx.post("https://api.pay.example/v1/charges", json={"amount": new.total}, timeout=10)
    except httpx.HTTPError:
        raise HTTPException(status_code=502, detail="The payment failed")
    order.status = "paid"
    db.add(order)
    db.commit()
    return {"id": order.id, "status": order.status}
"""
_INVITE = PLAIN.replace("import sqlite3\n", "import sqlite3\nimport requests\n") + """
    start.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, email TEXT)")
    start.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, email TEXT, status TEXT)")

def notify(text):
    try:
        requests.post("https://chat.example/hooks/T1", json={"text": text}, timeout=5)
    except requests.RequestException:
        app.logger.warning("the chat was not told")

@app.route("/signup", methods=["POST"])
def signup():
    email = str(request.get_json()["email"])
    conn = get_db()
    conn.execute("INSERT INTO members (email) VALUES (?)", (email,))
    conn.commit()
    conn.close()
    notify(email + " signed up")
    return jsonify({"message": "Thank you for your order of news, a welcome mail was sent"}), 201

@app.route("/orders", methods=["POST"])
def order():
    email = str(request.get_json()["email"])
    conn = get_db()
    conn.execute("INSERT INTO orders (email, status) VALUES (?, 'confirmed')", (email,))
    conn.commit()
    conn.close()
    notify("a new order")
    return jsonify({"status": "confirmed"}), 201

@app.route("/sum", methods=["POST"])
def total():
    numbers = request.get_json()["numbers"]
    notify("somebody counts")
    return jsonify({"sum": len(str(numbers))})
"""
_LATER = """from fastapi import BackgroundTasks, FastAPI
import requests
app = FastAPI()

def deliver(text: str):
    try:
        requests.post("https://mail.example/v3/send", json={"text": text}, timeout=10)
    except requests.RequestException:
        pass

@app.post("/feedback", status_code=202)
def feedback(text: str, tasks: BackgroundTasks):
    tasks.add_task(deliver, text)
    return {"message": "Thank you for your feedback"}
"""


class Swallowed(Rule):
    """A service fails, and the app tells its user that all went well.

    Who pays: the customer whose message nobody ever reads, or the shop that delivers what was never paid. Nobody looks for it, since
    everything says that it was done.

    Shown: the service that the request calls refuses the connection, or answers 500, and the app answers and writes what it answers and writes
    when all is well: that a mail was sent, where sending it was all that there was to do; or a row that says paid or
    sent. What is done by the way (a mail of welcome after the sign-up, a note to a chat, figures for statistics) counts for nothing,
    nor does what is done behind the answer.

    Example: `try: server.sendmail(...) except Exception: pass`, then `return {"message": "sent"}`; an answer whose status nobody looks at.
    Instead: answer 502, or keep what is to be done, say that it is pending, and do it again later.

    References: CWE-390, CWE-252; OWASP API Top 10 2023 API10; ASVS 5.0 V16.5.2.
    """

    id = "failure/swallowed"
    title = "Success is told although nothing was done"
    severity = Severity.HIGH
    cwe = (390, 252)
    owasp = "API10:2023"
    asvs = "V16.5.2"
    order = 56

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Calls that do something outside, with handlers that pass over what they raise, or whose answer nobody looks at."""

        def says(handler: Handler, call: ClientCall) -> str:
            if handler.route.method == "GET" or not call.speaks or call.name.rpartition(".")[2] in {"get", "head"}:
                return ""
            for place in handler.reach:
                for node in ast.walk(place.node):
                    if isinstance(node, ast.Try) and any(each is call.node for each in ast.walk(node)) and any(not isinstance(each.body[-1], ast.Raise | ast.Return) for each in node.handlers):
                        return f"what {call.name} raises is passed over"
                    if isinstance(node, ast.Expr) and call.name.startswith(("requests.", "httpx.")) and (node.value is call.node or (isinstance(node.value, ast.Await) and node.value.value is call.node)):
                        return f"nobody looks at what {call.name} answers"
            return ""

        yield from outages.suspected(blueprint, sources, self.id, says)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each service that is to do something fails."""
        yield from claims.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The service did nothing; the app says and writes that it did."""
        control = traces["control"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        found = False
        for kind in claims.KINDS:
            exchange = traces[kind].last
            outgoing = outages.met(experiment, exchange)
            found = found or outgoing is not None
            claim = claims.claimed(experiment, traces, kind)
            if claim is None or outgoing is None:
                continue
            place, row = outgoing.location, claim.startswith("the row")
            return Holds(
                Evidence(
                    f"{outgoing.host} {outages.SAID[kind]}, and {claim} all the same",
                    {**outages.facts(exchange, control.last, outgoing, outages.SAID[kind]), "rows": [*row_facts(traces[kind].final_changes)], "request": shown(control.last)},
                    place,
                    (("host", outgoing.host), ("call", f"{place.file}:{place.line}" if place else "")),
                    outages.key(experiment),
                    Severity.HIGH if row else Severity.MEDIUM,
                )
            )
        return Fails() if found else Unclear(f"the request did not come to call {experiment.fact('host')} again")

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An answer that says so."""
        yield from claims.told(finding, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_CONTACT, "POST /contact"),
        Broken(_PAY, "POST /orders", (*SESSION_NEEDS, "httpx")),
        Broken("""import httpx
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()

class Message(BaseModel):
    text: str

@app.post("/feedback")
async def feedback(message: Message):
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            await client.post("https://mail.example/v3/send", json={"text": message.text})
    except httpx.HTTPError:
        pass
    return {"status": "sent"}
""", "POST /feedback", ("fastapi", "httpx")),
        Broken(_INVITE.replace("    conn.execute(\"INSERT INTO orders (email, status) VALUES (?, 'confirmed')\", (email,))\n", "    requests.post(\"https://api.pay.example/v1/charges\", json={\"email\": email}, timeout=5)\n    conn.execute(\"INSERT INTO orders (email, status) VALUES (?, 'paid')\", (email,))\n"), "POST /orders", ("flask", "requests")),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_INVITE, "a note to a chat beside what the request does itself", ("flask", "requests"), alike="the source does not tell what matters and what is done by the way"),
        Sound(_LATER, "it is done behind the answer, which says no more than that it was taken", ("fastapi", "requests"), alike="the source does not tell that it is done behind the answer"),
        Sound(_CONTACT.replace('        print("mail failed", e)\n', '        print("mail failed", e)\n        return jsonify({"error": "The message could not be sent"}), 502\n'), "it says so"),
        Sound(_PAY.replace("        httpx.post(", "        answer = httpx.post(").replace("    except httpx.HTTPError:", "        answer.raise_for_status()\n    except httpx.HTTPError:"), "it says so", (*SESSION_NEEDS, "httpx")),
        Sound(_PAY.replace("        httpx.post(", "        answer = httpx.post(").replace('    except httpx.HTTPError:\n        raise HTTPException(status_code=502, detail="The payment failed")\n    order.status = "paid"\n', '        order.status = "paid" if answer.is_success else "pending"\n    except httpx.HTTPError:\n        order.status = "pending"\n'), "the row says that it is pending", (*SESSION_NEEDS, "httpx"), alike="what the handler writes is known only when it is done"),
        Sound(_CONTACT.replace('        print("mail failed", e)\n', '        with open("waiting.txt", "a") as waiting:\n            waiting.write(str(data["message"]) + "\\n")\n'), "what could not be sent is kept", alike="what the handler does instead is known only when it is done"),
    ]
