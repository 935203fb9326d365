"""Owns failure/outage."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import outages, recovery
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import SESSION, SESSION_NEEDS
from toughen.twists import answer, succeeded

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

_RATE = """import requests
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/convert")
def convert():
    amount = float(request.args.get("amount", 1))
    to = request.args.get("to", "EUR")
    response = requests.get("https://rates.example/latest/USD", timeout=10)
    rates = response.json()["rates"]
    if to not in rates:
        return jsonify({"error": "Unknown currency"}), 404
    return jsonify({"amount": amount * rates[to]})
"""
_PAY = SESSION + """
import httpx

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    total = Column(Integer)
    charge = Column(String)

class NewOrder(BaseModel):
    total: int

Base.metadata.create_all(engine)

async def charge(total: int) -> str:
    async with httpx.AsyncClient(timeout=8) as client:
        response = await client.post("https://pay.example/v1/charges", json={"amount": total})
        return response.json()["charge_id"]

@app.post("/orders", status_code=201)
async def order(new: NewOrder, db: Session = Depends(get_db)):
    if new.total <= 0:
        raise HTTPException(status_code=400, detail="total must be positive")
    made = Order(total=new.total, charge=await charge(new.total))
    db.add(made)
    db.commit()
    return {"id": made.id}
"""
_MAIL = """import smtplib
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.route("/invite", methods=["POST"])
def invite():
    email = request.get_json()["email"]
    server = smtplib.SMTP("smtp.mail.example", 587, timeout=10)
    server.starttls()
    server.sendmail("site@example.com", [email], "Subject: Welcome")
    server.quit()
    return jsonify({"invited": email})
"""
_CACHED = """import json
import urllib.request
from fastapi import FastAPI
app = FastAPI()

@app.get("/headlines")
def headlines():
    with urllib.request.urlopen("https://news.example/top", timeout=10) as answer:
        found = json.load(answer)["articles"]
    return [{"title": each["title"]} for each in found]
"""
_CONTROLLED = """import requests
from fastapi import FastAPI, HTTPException
app = FastAPI()

@app.get("/quote")
def quote():
    try:
        response = requests.get("https://quotes.example/random", timeout=10)
        response.raise_for_status()
    except requests.RequestException:
        raise HTTPException(status_code=503, detail="No quote at the moment")
    return {"quote": response.json()["quote"]}
"""

_KNOWN = """import requests
from flask import Flask, jsonify, request
app = Flask(__name__)
FALLBACK = {"EUR": 0.92, "GBP": 0.79}

@app.route("/rates")
def rates():
    base = request.args.get("base", "USD")
    response = requests.get(f"https://rates.example/latest/{base}", timeout=10)
    if response.status_code != 200:
        app.logger.warning("rates: %s", response.status_code)
        return jsonify({"base": base, "rates": FALLBACK, "live": False})
    return jsonify({"base": base, "rates": response.json()["rates"], "live": True})
"""
_TIMELY = """import httpx
from fastapi import FastAPI
app = FastAPI()
last = {"eur": 0.92}

async def rate(currency: str) -> float:
    try:
        async with httpx.AsyncClient(timeout=5) as client:
            response = await client.get("https://rates.example/latest/USD")
            return response.json()["rates"][currency.upper()]
    except httpx.TimeoutException:
        return last.get(currency, 1.0)

@app.get("/price/{currency}")
async def price(currency: str, amount: float = 10.0):
    return {"amount": round(amount * await rate(currency), 2), "currency": currency}
"""
_ABOVE = """import json
import urllib.error
import urllib.request
from flask import Flask, jsonify
app = Flask(__name__)
DEFAULT = ["news", "sport"]

def fetch_topics():
    with urllib.request.urlopen("https://topics.example/top", timeout=5) as answer:
        return json.load(answer)["topics"]

@app.route("/topics")
def topics():
    try:
        found = fetch_topics()
    except urllib.error.HTTPError:
        found = DEFAULT
    return jsonify({"topics": found})
"""


class Outage(Rule):
    """A service that the app calls is down, and the app's own route crashes with it.

    Who pays: customers, who see an internal error without a word of what to do, and whoever is woken for a crash that is none.
    A client cannot tell it from a bug; nothing says when to try again.

    Shown: the service refuses the connection, or answers 500, or is too slow for the call's time-out, and the request ends in an
    exception that nobody handles; the same request succeeds when the service answers. An answer of 502, 503 or 504, a refusal, or
    a success without what the service would have given are all right.

    Example: `rates = requests.get(url, timeout=10).json()["rates"]`.
    Instead: catch what the client raises around the call, and answer 502 (504 when its time is over), or what was known last: where
    the code goes on without the service in one failure (`except Timeout: return cached`), the mend lets it do so in each of them.

    References: CWE-755, CWE-703; OWASP API Top 10 2023 API10; ASVS 5.0 V16.5.2.
    """

    id = "failure/outage"
    title = "A service that is down crashes the request"
    severity = Severity.MEDIUM
    cwe = (755, 703)
    owasp = "API10:2023"
    asvs = "V16.5.2"
    order = 55

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Calls whose exceptions nobody catches."""

        def says(handler: Handler, call: ClientCall) -> str:
            return f"what {call.name} raises when the service is down is caught nowhere" if call.speaks and not outages.caught(handler, call) else ""

        yield from outages.suspected(blueprint, sources, self.id, says)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each service that the honest request calls is down, failing, or silent."""
        yield from outages.experiments(target, route, journey, tuple(outages.SAID))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request succeeds; when the service fails it ends in an exception that nobody handles."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        fallen = [(kind, traces[kind].last) for kind in ("refused", "error") if outages.unhandled(traces[kind].last)]
        if not fallen and outages.unhandled(traces["hang"].last):
            fallen = [("hang", traces["hang"].last)]
        if not fallen:
            met = [kind for kind in ("refused", "error") if outages.met(experiment, traces[kind].last) is not None]
            return Fails() if met else Unclear(outages.missed(experiment, traces["refused"].last))
        kind, exchange = fallen[0]
        outgoing, failure = outages.met(experiment, exchange), exchange.failure
        if outgoing is None or failure is None:
            return Unclear(outages.missed(experiment, exchange))
        place = outgoing.location
        return Holds(
            Evidence(
                f"{outgoing.host} {outages.SAID[kind]}, and the request crashes with {failure.type}",
                {
                    **outages.facts(exchange, control, outgoing, " or ".join(outages.SAID[each] for each, _ in fallen)),
                    "exception": f"{failure.type}: {failure.message[:200]}", "called at": str(place) if place else None,
                },
                place or failure.location,
                (("host", outgoing.host), ("call", f"{place.file}:{place.line}" if place else ""), ("kinds", ",".join(each for each, _ in fallen))),
                outages.key(experiment),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """What the code goes on with where the call fails otherwise; else what the call raises, answered with 502."""
        yield from recovery.fallen_back(finding, blueprint, sources)
        yield from recovery.recovered(finding, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_RATE, "GET /convert", ("flask", "requests")),
        Broken(_PAY, "POST /orders", (*SESSION_NEEDS, "httpx")),
        Broken(_MAIL, "POST /invite"),
        Broken(_CACHED, "GET /headlines", ("fastapi",)),
        Broken(_CONTROLLED.replace("        response.raise_for_status()\n", ""), "GET /quote", ("fastapi", "requests"), unseen="what it raises is caught; that an answer may tell of an error is not seen"),
        Broken(_RATE.replace('    response = requests.get("https://rates.example/latest/USD", timeout=10)\n    rates = response.json()["rates"]', '    rates = requests.get("https://rates.example/latest/USD", timeout=10).json()["rates"]'), "GET /convert", ("flask", "requests")),
        Broken(_KNOWN, "GET /rates", ("flask", "requests")),
        Broken(_TIMELY, "GET /price/{currency}", ("fastapi", "httpx")),
        Broken(_ABOVE, "GET /topics"),
        Broken(_KNOWN.replace("""        app.logger.warning("rates: %s", response.status_code)
        return jsonify({"base": base, "rates": FALLBACK, "live": False})""", """        return jsonify({"error": "No rates for this currency"}), 404"""), "GET /rates", ("flask", "requests")),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_CONTROLLED, "it answers 503", ("fastapi", "requests")),
        Sound(_RATE.replace('    response = requests.get("https://rates.example/latest/USD", timeout=10)\n    rates = response.json()["rates"]', """    try:
        rates = requests.get("https://rates.example/latest/USD", timeout=10).json()["rates"]
    except Exception:
        rates = {"EUR": 0.9, "GBP": 0.8}"""), "it goes on with what was known last", ("flask", "requests")),
        Sound(_KNOWN.replace("    response = requests.get", "    try:\n        response = requests.get").replace("timeout=10)\n", """timeout=10)
    except requests.RequestException:
        return jsonify({"base": base, "rates": FALLBACK, "live": False})
"""), "each failure ends with what was known last", ("flask", "requests")),
        Sound(_ABOVE.replace("except urllib.error.HTTPError", "except OSError"), "the caller goes on with its default whatever happens"),
        Sound(_MAIL.replace("    server = smtplib", "    try:\n        server = smtplib").replace("    server.starttls()", "        server.starttls()").replace("    server.sendmail", "        server.sendmail").replace("    server.quit()", '        server.quit()\n    except (OSError, smtplib.SMTPException):\n        return jsonify({"error": "The mail could not be sent"}), 500'), "a 500 that the handler answers on purpose, with words, is no crash"),
        Sound(_CONTROLLED.replace("""    try:
        response = requests.get("https://quotes.example/random", timeout=10)
        response.raise_for_status()
    except requests.RequestException:
        raise HTTPException(status_code=503, detail="No quote at the moment")
""", """    response = requests.get("https://quotes.example/random", timeout=10)
    response.raise_for_status()
""").replace("app = FastAPI()\n", """app = FastAPI()

@app.exception_handler(requests.RequestException)
def unavailable(request, error):
    return JSONResponse({"error": "A service is not available"}, status_code=503)
""").replace("from fastapi import FastAPI, HTTPException", "from fastapi import FastAPI\nfrom fastapi.responses import JSONResponse"), "a handler of the application answers 503", ("fastapi", "requests")),
    ]
