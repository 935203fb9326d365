"""Owns failure/no-retry."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import outages, retries
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import SESSION, SESSION_NEEDS
from toughen.twists import answer, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Exchange, Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_RATE = """import requests
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/rate/<to>")
def rate(to):
    try:
        response = requests.get("https://rates.example/latest/USD", timeout=5)
        response.raise_for_status()
    except requests.RequestException:
        return jsonify({"error": "No rates at the moment"}), 502
    rates = response.json()["rates"]
    if to not in rates:
        return jsonify({"error": "Unknown currency"}), 404
    return jsonify({"rate": rates[to]})
"""
_QUOTE = """import httpx
from fastapi import FastAPI, HTTPException
app = FastAPI()

@app.get("/quote")
async def quote():
    async with httpx.AsyncClient(timeout=5) as client:
        response = await client.get("https://quotes.example/random")
    if response.status_code != 200:
        raise HTTPException(status_code=502, detail="No quote at the moment")
    return {"quote": response.json()["quote"]}
"""
_TRIES = """import time
import requests
from flask import Flask, jsonify
app = Flask(__name__)

def fetch(url):
    for attempt in range(3):
        try:
            response = requests.get(url, timeout=5)
            response.raise_for_status()
            return response.json()
        except requests.RequestException:
            time.sleep(0.1 * 2 ** attempt)
    return None

@app.route("/news")
def news():
    data = fetch("https://news.example/top")
    if data is None:
        return jsonify({"error": "No news at the moment"}), 502
    return jsonify({"title": data["title"]})
"""
_PAY = SESSION + """
import httpx

class Payment(Base):
    __tablename__ = "payments"
    id = Column(Integer, primary_key=True)
    amount = Column(Integer)
    charge = Column(String)

class NewPayment(BaseModel):
    amount: int

Base.metadata.create_all(engine)

def charge(amount: int) -> str:
    for attempt in range(3):
        try:
            answer = httpx.post("https://api.pay.example/v1/charges", json={"amount": amount}, timeout=5)
            answer.raise_for_status()
            return answer.json()["id"]
        except httpx.HTTPError:
            if attempt == 2:
                raise HTTPException(status_code=502, detail="The payment failed")

@app.post("/payments", status_code=201)
def pay(new: NewPayment, db: Session = Depends(get_db)):
    if not 0 < new.amount < 100000:
        raise HTTPException(status_code=400, detail="Wrong amount")
    payment = Payment(amount=new.amount, charge=charge(new.amount))
    db.add(payment)
    db.commit()
    return {"id": payment.id}
"""


class NoRetry(Rule):
    """A call to a service is given up at its first failure, or repeated where it must not be.

    Who pays: the customer. Connections break now and then; a question that is asked once more is answered. But a service that is down
    is not helped by a request that knocks without an end, and a payment that is sent twice is paid twice: a broken connection does
    not say whether the first one was done.

    Shown, one of four. A question (GET, or a request with an idempotency key) fails once, by a broken connection and by a 500, and
    the whole request fails though the next try would succeed (low). The service is down, and one request
    calls it more than eight times (medium), or at least three times without any pause (low). A call that does something, without an idempotency key, is sent twice when its
    connection breaks (medium).

    Example: `for _ in range(3): try: httpx.post(".../charges") ...`.
    Instead: `stamina.retry` around questions, three tries with growing pauses; an `Idempotency-Key` with what does something.

    References: CWE-754, CWE-1088; OWASP API Top 10 2023 API10; ASVS 5.0 V16.5.2.
    """

    id = "failure/no-retry"
    title = "A call is given up at once, or repeated where it must not be"
    severity = Severity.LOW
    cwe = (754, 1088)
    owasp = "API10:2023"
    asvs = "V16.5.2"
    order = 57

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each call fails once, and for good."""
        yield from retries.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """How often it was called, and how the request ended."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        usual, host = len(retries.calls(experiment, control)), experiment.fact("host")
        down, broken = traces["refused"].last, traces["reset"].last
        again = retries.calls(experiment, broken)
        number = int(experiment.fact("number") or 0)
        if outages.met(experiment, down) is None or outages.met(experiment, broken) is None:
            return Unclear(outages.missed(experiment, down))
        if len(retries.calls(experiment, down)) - usual >= retries.MANY:
            count = len(retries.calls(experiment, down))
            return self._holds(experiment, down, control, "endless", f"{host} is down, and one request calls it {count} times" + (" and goes on" if down.response is None else ""))
        if experiment.fact("kind") == "does" and len(again) > usual and again[number + 1].request == again[number].request and again[number + 1].sent == again[number].sent and not again[number + 1].key:
            return self._holds(experiment, broken, control, "twice", f"the connection to {host} breaks, and {again[number].request.rpartition(' ')[0]} is sent once more: it may be done twice")
        if tries := retries.hurries(experiment, traces):
            return self._holds(experiment, down, control, "hurried", f"{host} is down, and one request calls it {tries} times without a pause: the next try comes before anything can be well again")
        if retries.gives_up(experiment, traces):
            return self._holds(experiment, broken, control, "once", f"one broken connection to {host} fails the whole request; nothing is tried again")
        return Fails()

    def _holds(self, experiment: Experiment, exchange: Exchange, control: Exchange, kind: str, message: str) -> Holds:
        outgoing = outages.met(experiment, exchange)
        assert outgoing is not None
        place = outgoing.location
        told = "refuses every connection" if kind in {"endless", "hurried"} else "breaks one connection"
        facts: dict[str, Json] = {**outages.facts(exchange, control, outgoing, told), "connections": [*(each.request or each.host for each in retries.calls(experiment, exchange)[:12])]}
        detail = (("host", outgoing.host), ("kind", kind), ("call", f"{place.file}:{place.line}" if place else ""))
        return Holds(Evidence(message, facts, place, detail, f"{kind} {outages.key(experiment)}", None if kind in {"once", "hurried"} else Severity.MEDIUM))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """One question, asked again."""
        yield from retries.retried(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_RATE, "GET /rate/{to}", ("flask", "requests"), unseen="whether somebody tries again is seen when it fails"),
        Broken(_PAY, "POST /payments", (*SESSION_NEEDS, "httpx"), unmended="for a person to say", unseen="whether somebody tries again is seen when it fails"),
        Broken(_QUOTE, "GET /quote", ("fastapi", "httpx"), unseen="whether somebody tries again is seen when it fails"),
        Broken(_TRIES.replace("time.sleep(0.1 * 2 ** attempt)", "pass"), "GET /news", ("flask", "requests"), unmended="for a person to say", unseen="whether somebody tries again is seen when it fails"),
        Broken(_TRIES.replace("for attempt in range(3):", "attempt = 0\n    while True:").replace("time.sleep(0.1 * 2 ** attempt)", "attempt += 1"), "GET /news", ("flask", "requests"), unmended="for a person to say", unseen="whether somebody tries again is seen when it fails"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_TRIES, "three tries with growing pauses", ("flask", "requests")),
        Sound(_PAY.replace("timeout=5)", 'timeout=5, headers={"Idempotency-Key": key})').replace("    for attempt in", "    key = str(uuid.uuid4())\n    for attempt in").replace("import httpx\n", "import time\nimport uuid\nimport httpx\n").replace("            if attempt == 2:", "            time.sleep(0.1 * 2 ** attempt)\n            if attempt == 2:"), "the service knows the second one again", (*SESSION_NEEDS, "httpx")),
        Sound(_RATE.replace('        return jsonify({"error": "No rates at the moment"}), 502\n    rates = response.json()["rates"]', '        rates = {"EUR": 0.9}\n    else:\n        rates = response.json()["rates"]'), "it goes on with what was known last", ("flask", "requests")),
        Sound(_PAY.replace("range(3)", "range(1)").replace("attempt == 2", "True"), "what does something is given up at once, with reason", (*SESSION_NEEDS, "httpx")),
    ]
