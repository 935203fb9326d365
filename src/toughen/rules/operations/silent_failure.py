"""Owns operations/silent-failure."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import hearing, silences
from toughen.model.finding import Evidence, Severity
from toughen.model.source import Location
from toughen.model.trial import Experiment, Fault, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples import desk, parcels
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.twists import answer, shown, succeeded
from toughen.vitals import tells

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target
    from toughen.silences import Silence

_SAYS = range(502, 505)
"""Answers that say themselves that something behind is down."""
_UNSEEN = "that nothing is written is seen when the error is forced"
_ITEMS = PLAIN + """    start.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")

@app.post("/items")
def add():
    try:
        name = request.get_json()["name"]
        with get_db() as conn:
            made = conn.execute("INSERT INTO items (name) VALUES (?)", (name,)).lastrowid
        return jsonify({"id": made, "name": name}), 201
    except Exception as e:
        return jsonify({"error": "Could not save"}), 500
"""
_WELCOME = SESSION + """
import httpx

class Member(Base):
    __tablename__ = "members"
    id = Column(Integer, primary_key=True)
    email = Column(String)

class NewMember(BaseModel):
    email: str

Base.metadata.create_all(engine)

def welcome(email: str):
    try:
        httpx.post("https://mail.example/v3/send", json={"to": email}, timeout=5).raise_for_status()
    except Exception:
        pass

@app.post("/members", status_code=201)
def join(new: NewMember, db: Session = Depends(get_db)):
    member = Member(email=new.email)
    db.add(member)
    db.commit()
    welcome(member.email)
    return {"id": member.id}
"""
_RATES = """import requests
from flask import Flask, jsonify
app = Flask(__name__)

@app.errorhandler(Exception)
def unexpected(error):
    return jsonify({"error": "Something went wrong"}), 500

@app.get("/rates")
def rates():
    found = requests.get("https://rates.example/latest", timeout=5).json()
    return jsonify({"usd": found["usd"]})
"""


class SilentFailure(Rule):
    """An error is caught and nothing is written of it: it happens for weeks, and nobody hears.

    Who pays: customers, whose orders are answered with "could not save" (or with success), and the owner, who learns of it
    from them, without a word of why.

    Shown: what runs under a quiet `except` fails (the database is gone from that statement on, or the service refuses the
    connection) in an honest request. The request is answered with an error, or as if all were well without what it was to do; and
    meanwhile nothing comes out: no line on standard output or error, no log record, no growing log file, no exception for
    the server, no call to anybody outside, no row that keeps it. A line of access with a 500 in it is no word of why, nor
    is what Django notes of each such answer (`Internal Server Error: /orders/`). An
    answer of 502, 503 or 504 says itself that something behind is down. Where an error tracker is hooked in, nothing is proven.

    Example: `except Exception: return jsonify({"error": "Could not save"}), 500`.
    Instead: `logger.exception("add failed")` in the clause, and the same answer.

    References: CWE-390, CWE-778, CWE-755; OWASP Top 10 2021 A09; ASVS 5.0 V16.3.4.
    """

    id = "operations/silent-failure"
    title = "It fails, and nobody hears of it"
    severity = Severity.MEDIUM
    cwe = (390, 778, 755)
    owasp = "API8:2023"
    asvs = "V16.3.4"
    order = 90

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """For each quiet clause that this route is the first to run under: what it stands around fails."""
        sources = target.texts()
        if tells(route.path):
            return
        for silence in silences.silences(target.blueprint, sources):
            what = _first(target, silence, sources, route.id)
            if what is None:
                continue
            host, number = what
            fault = Fault("refused", number, 0, host) if host else Fault("down", number)
            honest = target.honest(route.id)
            later = honest is not None and any(each.behind for each in honest.last.outgoing)
            # The clause must be what takes the error: nothing is said of what others do with it.
            seen = target.run(Trial(journey.calls, journey.grants, traced=True, fault=fault, patient=later)).last
            ran = {line for file, lines in seen.lines if file == silence.module.file for line in lines}
            if not ran & set(silence.lines):
                continue
            place = silence.location
            detail = (
                ("file", place.file), ("line", str(place.line)), ("function", place.function or ""), ("number", str(silence.number)), ("host", host),
                ("key", silence.key), ("tracker", silences.tracker(target.blueprint, sources)),
            )
            trials = {
                "control": Trial(journey.calls, journey.grants), "failure": Trial(journey.calls, journey.grants, fault=fault, patient=later, heard=True),
                "usual": Trial(journey.calls, journey.grants, patient=later, heard=True),
            }
            yield Experiment(trials, f"what {place} stands around fails", detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes; where it fails nothing is written that is not written always."""
        control, failure = traces["control"], traces["failure"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        told = failure.last.told
        if told is None:
            return Unclear("what the process writes was not heard")
        if told.raised or (failure.last.status or 500) in _SAYS or hearing.loud(told):
            return Fails()
        effect = hearing.missed(control, failure, experiment.fact("host"))
        if not effect or hearing.beside(control, failure):
            return Fails()
        if tracker := experiment.fact("tracker"):
            return Unclear(f"nothing is written, and {tracker} may hear of it where it is deployed")
        usual = traces["usual"].last.told
        if usual is None or hearing.news(told, usual):
            return Fails() if usual is not None else Unclear("what the process writes was not heard")
        host = experiment.fact("host")
        line = hearing.status_line(told)
        happened = f"{host} refuses the connection" if host else "the database is gone"
        place = Location(experiment.fact("file"), int(experiment.fact("line")), experiment.fact("function") or None)
        facts = {"request": shown(failure.last), "what happens": happened, "answer": answer(failure.last), "honest answer": answer(control.last), "written": line or "nothing"}
        detail = (("function", experiment.fact("function")), ("number", experiment.fact("number")))
        return Holds(Evidence(f"{happened}, {effect}, and nothing is written of {'why' if line else 'it'}", {**facts}, place, detail, experiment.fact("key")))

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Nothing: that a clause says nothing is no fault where nothing fails under it, or others tell."""
        yield from ()

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A line that logs what is caught."""
        yield from silences.broken(finding, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_ITEMS, "POST /items", unseen=_UNSEEN),
        Broken(_WELCOME, "POST /members", (*SESSION_NEEDS, "httpx"), unseen=_UNSEEN),
        Broken(_RATES, "GET /rates", ("flask", "requests"), unseen=_UNSEEN),
        Broken(SESSION + """
class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    name = Column(String)

class NewItem(BaseModel):
    name: str

Base.metadata.create_all(engine)

@app.post("/items", status_code=201)
def add(new: NewItem, db: Session = Depends(get_db)):
    try:
        item = Item(name=new.name)
        db.add(item)
        db.commit()
        return {"id": item.id}
    except Exception as e:
        db.rollback()
        raise HTTPException(status_code=400, detail="Could not save")
""", "POST /items", SESSION_NEEDS, unseen=_UNSEEN),
        Broken(_WELCOME.replace("    welcome(member.email)\n", "    tasks.add_task(welcome, member.email)\n").replace("from fastapi import Depends", "from fastapi import BackgroundTasks, Depends").replace("def join(new: NewMember, ", "def join(new: NewMember, tasks: BackgroundTasks, "), "POST /members", (*SESSION_NEEDS, "httpx"), unseen=_UNSEEN),
        Broken(_ITEMS.replace("""    try:
        name = request.get_json()["name"]
        with get_db() as conn:
            made = conn.execute("INSERT INTO items (name) VALUES (?)", (name,)).lastrowid
        return jsonify({"id": made, "name": name}), 201
    except Exception as e:
        return jsonify({"error": "Could not save"}), 500
""", """    name = request.get_json()["name"]
    with get_db() as conn:
        made = conn.execute("INSERT INTO items (name) VALUES (?)", (name,)).lastrowid
    return jsonify({"id": made, "name": name}), 201
""").replace("@app.post", """def safe(view):
    @functools.wraps(view)
    def inner(*args, **kwargs):
        try:
            return view(*args, **kwargs)
        except Exception:
            return jsonify({"error": "Something went wrong"}), 500
    return inner

@app.post""").replace("def add", "@safe\ndef add").replace("import sqlite3", "import functools\nimport sqlite3"), "POST /items", unseen=_UNSEEN),
        Broken("", "POST /orders/", desk.NEEDS, parcels.QUIET, unseen=_UNSEEN),
        Broken("", "POST /api/orders/", desk.REST, parcels.QUIET_API, unseen=_UNSEEN),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_ITEMS.replace("    except Exception as e:\n", '    except Exception as e:\n        app.logger.exception("add failed")\n'), "the clause logs it"),
        Sound(_WELCOME.replace("    except Exception:\n        pass", '    except Exception as error:\n        print("no mail to", email, error)'), "it prints it", (*SESSION_NEEDS, "httpx")),
        Sound(_RATES.replace("@app.errorhandler(Exception)\ndef unexpected(error):\n", "@app.after_request\ndef told(response):\n    if response.status_code >= 500:\n        app.logger.error('%s %s -> %s', request.method, request.path, response.get_data(as_text=True))\n    return response\n\n@app.errorhandler(Exception)\ndef unexpected(error):\n").replace("Flask, jsonify", "Flask, jsonify, request"), "the handler is quiet, and what runs after each request logs", ("flask", "requests")),
        Sound(_ITEMS.replace('        return jsonify({"error": "Could not save"}), 500', '        return jsonify({"error": "The database is down"}), 503'), "an answer of 503 says it"),
        Sound(_ITEMS.replace("app = Flask(__name__)", 'sentry_sdk.init(dsn=os.environ.get("SENTRY_DSN"))\napp = Flask(__name__)').replace("import sqlite3", "import os\nimport sentry_sdk\nimport sqlite3"), "an error tracker is hooked in, and what it hears is known where it is deployed", ("flask", "sentry-sdk")),
        Sound(_RATES.replace("""@app.errorhandler(Exception)
def unexpected(error):
    return jsonify({"error": "Something went wrong"}), 500

""", "").replace("""    found = requests.get("https://rates.example/latest", timeout=5).json()
""", """    try:
        found = requests.get("https://rates.example/latest", timeout=5).json()
    except requests.RequestException:
        found = {"usd": 1.08}
"""), "it reads something, and goes on with what was known last", ("flask", "requests")),
        Sound(_ITEMS.replace('        return jsonify({"error": "Could not save"}), 500', """        with open("errors.txt", "a") as kept:
            kept.write(f"{e}\\n")
        return jsonify({"error": "Could not save"}), 500"""), "it keeps it in a file"),
        Sound(_ITEMS.replace('    except Exception as e:\n        return jsonify({"error": "Could not save"}), 500', '    except (KeyError, TypeError):\n        return jsonify({"error": "A name is wanted"}), 400'), "what is caught is the client's own mistake; a lost database is Flask's to log"),
        Sound("", "a view of Django's logs it", desk.NEEDS, parcels.HEARD),
    ]


def _first(target: Target, silence: Silence, sources: Mapping[str, str], wanted: str) -> tuple[str, int] | None:
    """What fails under a clause on the wanted route, where that is the first one that runs under it; None where it is not."""
    for route in target.blueprint.routes:
        if target.journey(route.id) is None or tells(route.path):
            continue
        honest = target.honest(route.id)
        what = silences.met(silence, honest.last, sources) if honest is not None else None
        if what is not None:
            return what if route.id == wanted else None
    return None
