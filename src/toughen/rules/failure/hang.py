"""Owns failure/hang."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import outages, patience, recovery
from toughen.codemod.clients import LONGEST
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Patch
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.twists import answer, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.codemod.clients import ClientCall
    from toughen.handling import Handler
    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_WEATHER = """import requests
from flask import Flask, jsonify
app = Flask(__name__)
API_KEY = "demo"

@app.route("/weather/<city>")
def weather(city):
    response = requests.get("https://api.weather.example/v1/current", params={"q": city, "key": API_KEY})
    data = response.json()
    return jsonify({"city": city, "temperature": data["main"]["temp"], "sky": data["weather"][0]["description"]})
"""
_CHAT = """import httpx
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()

class Question(BaseModel):
    text: str

@app.post("/ask")
async def ask(question: Question):
    async with httpx.AsyncClient(timeout=None) as client:
        response = await client.post(
            "https://api.llm.example/v1/chat/completions",
            json={"model": "small", "messages": [{"role": "user", "content": question.text}]},
        )
    return {"answer": response.json()["choices"][0]["message"]["content"]}
"""
_CONTACT = """import smtplib
from email.message import EmailMessage
from flask import Flask, jsonify, request
app = Flask(__name__)

def send_mail(subject, text):
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = subject, "site@example.com", "owner@example.com"
    message.set_content(text)
    with smtplib.SMTP("smtp.mail.example", 587) as server:
        server.starttls()
        server.login("site@example.com", "secret")
        server.send_message(message)

@app.route("/contact", methods=["POST"])
def contact():
    data = request.get_json()
    if not data or not data.get("message"):
        return jsonify({"error": "message is required"}), 400
    send_mail("Contact", str(data["message"]))
    return jsonify({"status": "sent"})
"""
_RATES = """import json
import urllib.request
from fastapi import FastAPI, HTTPException
app = FastAPI()

@app.get("/convert")
def convert(amount: float, to: str = "EUR"):
    with urllib.request.urlopen("https://rates.example/latest/USD", timeout=120) as answer:
        rates = json.load(answer)["rates"]
    if to not in rates:
        raise HTTPException(status_code=404, detail="Unknown currency")
    return {"amount": amount * rates[to]}
"""
_ORDERS = SESSION + """
import aiohttp

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item = Column(String)

class NewOrder(BaseModel):
    item: str

Base.metadata.create_all(engine)

@app.post("/orders", status_code=201)
async def order(new: NewOrder, db: Session = Depends(get_db)):
    async with aiohttp.ClientSession() as session:
        async with session.post("https://stock.example/reserve", json={"item": new.item}) as response:
            reserved = await response.json()
    made = Order(item=new.item)
    db.add(made)
    db.commit()
    return {"id": made.id, "reserved": reserved["ok"]}
"""
_BEHIND = """from fastapi import BackgroundTasks, FastAPI
import requests
app = FastAPI()

def tell(name: str):
    requests.post("https://chat.example/hook", json={"text": name + " signed up"})

@app.post("/newsletter")
def subscribe(name: str, tasks: BackgroundTasks):
    tasks.add_task(tell, name)
    return {"ok": True}
"""

_LAST = """import requests
from flask import Flask, jsonify
app = Flask(__name__)
last = {"level": "low"}

@app.route("/alerts")
def alerts():
    try:
        response = requests.get("https://alerts.example/now")
        response.raise_for_status()
        last["level"] = response.json()["level"]
    except (requests.ConnectionError, requests.HTTPError):
        return jsonify({"level": last["level"], "live": False})
    return jsonify({"level": last["level"], "live": True})
"""


class Hang(Rule):
    """A service that the app calls says nothing, and neither does the app.

    Who pays: everybody. A worker that waits answers nobody else; when each of them waits for the same service, the whole
    site is down because somebody else's is. Most clients wait for ever, or for minutes, unless they are told not to.

    Shown: the service takes the connection and never answers. The request is seen to wait without an end, or for longer
    than the 30 seconds after which servers (gunicorn) kill a worker; the same request with an answer succeeds.

    Example: `requests.get(url)`; `httpx.AsyncClient(timeout=None)`; `smtplib.SMTP(host)`.
    Instead: `requests.get(url, timeout=10)`: a time-out on every call, and an answer for when it is over.

    References: CWE-400, CWE-1088; OWASP API Top 10 2023 API10 (unsafe consumption of APIs); ASVS 5.0 V16.5.2.
    """

    id = "failure/hang"
    title = "A service that does not answer keeps the app waiting"
    severity = Severity.HIGH
    cwe = (400, 1088)
    owasp = "API10:2023"
    asvs = "V16.5.2"
    order = 54

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Calls that wait for ever, or longer than a worker may."""

        def says(_: Handler, call: ClientCall) -> str:
            seconds = call.patience
            if not call.speaks or (seconds is not None and seconds <= LONGEST):
                return ""
            return f"{call.name} waits {'for ever' if seconds is None else f'{seconds:g} seconds'} for a service that does not answer"

        yield from outages.suspected(blueprint, sources, self.id, says)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each service that the honest request calls takes the connection and says nothing."""
        yield from outages.experiments(target, route, journey, ("hang",))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request succeeds; without an answer from outside it waits on."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        waiting = traces["hang"].last
        outgoing = outages.met(experiment, waiting)
        if outgoing is None:
            return Unclear(outages.missed(experiment, waiting))
        if waiting.ended != "hung":
            return Fails() if waiting.response is not None else Unclear(f"the request ended otherwise: {waiting.ended}")
        place = f" (called at {outgoing.location})" if outgoing.location else ""
        return Holds(
            Evidence(
                f"{outgoing.host} takes the connection and says nothing, and the request waits for more than {LONGEST} s{place}",
                {**outages.facts(waiting, control, outgoing, "the connection is taken, nothing is answered"), "answer": f"none within {LONGEST} s"},
                outgoing.location,
                (("host", outgoing.host),),
                outages.key(experiment),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A time-out for that call; first with what the code goes on with where the call fails otherwise."""
        for offer in patience.timed(finding, sources):
            if isinstance(offer, Patch):
                yield from recovery.fallen_back(finding, blueprint, sources, after=offer)
            yield offer

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_WEATHER, "GET /weather/{city}", ("flask", "requests")),
        Broken(_CHAT, "POST /ask", ("fastapi", "httpx")),
        Broken(_CONTACT, "POST /contact"),
        Broken(_RATES, "GET /convert", ("fastapi",)),
        Broken(_ORDERS, "POST /orders", (*SESSION_NEEDS, "aiohttp")),
        Broken(_LAST, "GET /alerts", ("flask", "requests")),
        Broken(
            PLAIN.replace("import sqlite3\n", "import sqlite3\nimport requests\n") + """
    start.execute("CREATE TABLE IF NOT EXISTS parcels (id INTEGER PRIMARY KEY, code TEXT)")

http = requests.Session()
http.headers["X-Key"] = "demo"

@app.route("/parcels", methods=["POST"])
def add_parcel():
    code = request.get_json()["code"]
    state = http.get(f"https://parcels.example/track/{code}").json()["state"]
    conn = get_db()
    conn.execute("INSERT INTO parcels (code) VALUES (?)", (code,))
    conn.commit()
    conn.close()
    return jsonify({"code": code, "state": state}), 201
""", "POST /parcels", ("flask", "requests")),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_WEATHER.replace('"key": API_KEY})', '"key": API_KEY}, timeout=10)'), "it gives up after ten seconds", ("flask", "requests")),
        Sound(_CHAT.replace("timeout=None", ""), "httpx gives up after five seconds by itself", ("fastapi", "httpx")),
        Sound(_CHAT.replace("timeout=None", "timeout=httpx.Timeout(20.0, connect=5.0)"), "it gives up after twenty seconds", ("fastapi", "httpx")),
        Sound(_LAST.replace('/now")', '/now", timeout=3)'), "it gives up after three seconds", ("flask", "requests")),
        Sound(_BEHIND, "what hangs does so behind the answer", ("fastapi", "requests"), alike="the source does not tell that the call is made behind the answer"),
        Sound(_CONTACT.replace("587)", "587, timeout=15)"), "it gives up after fifteen seconds"),
        Sound(_CHAT.replace("timeout=None", "timeout=None").replace("response = await client.post(", "response = await asyncio.wait_for(client.post(").replace("        )\n    return", "        ), 20)\n    return").replace("import httpx\n", "import asyncio\nimport httpx\n"), "the call as a whole has its end after twenty seconds", ("fastapi", "httpx"), alike="the client itself waits for ever"),
    ]
