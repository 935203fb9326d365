"""Owns failure/leaky-error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import leaks
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_WEATHER = """import requests
from flask import Flask, jsonify
app = Flask(__name__)
API_KEY = "8f4a1c02e77b"

@app.route("/weather/<city>")
def weather(city):
    try:
        response = requests.get("https://api.weather.example/data", params={"q": city, "appid": API_KEY}, timeout=10)
        response.raise_for_status()
        return jsonify({"temperature": response.json()["main"]["temp"]})
    except Exception as e:
        return jsonify({"error": str(e)}), 500
"""
_NOTES = SESSION + """
class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    text = Column(String)

class NewNote(BaseModel):
    text: str

Base.metadata.create_all(engine)

@app.post("/notes", status_code=201)
def add_note(new: NewNote, db: Session = Depends(get_db)):
    try:
        note = Note(text=new.text)
        db.add(note)
        db.commit()
    except Exception as e:
        db.rollback()
        raise HTTPException(status_code=500, detail=f"Could not save the note: {e}")
    return {"id": note.id}
"""
_TRACED = PLAIN.replace("import sqlite3\n", "import sqlite3\nimport traceback\n") + """
    start.execute("CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, title TEXT)")

@app.errorhandler(Exception)
def failed(error):
    return jsonify({"error": "Something went wrong", "trace": traceback.format_exc()}), 500

@app.route("/tasks", methods=["POST"])
def add_task():
    title = str(request.get_json()["title"])
    conn = get_db()
    conn.execute("INSERT INTO tasks (title) VALUES (?)", (title,))
    conn.commit()
    conn.close()
    return jsonify({"title": title}), 201
"""
_ASK = """import httpx
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel
app = FastAPI()

class Question(BaseModel):
    text: str

@app.post("/ask")
async def ask(question: Question):
    try:
        async with httpx.AsyncClient(timeout=10) as client:
            response = await client.post("https://llm.example/v1/chat/completions?api_key=sk-4711abcd", json={"q": question.text})
            response.raise_for_status()
            return {"answer": response.json()["choices"][0]["message"]["content"]}
    except httpx.HTTPError as error:
        message = f"The model failed: {error}"
        return JSONResponse({"error": message}, status_code=502)
"""

_LATE = _WEATHER.replace("    except Exception as e:", """    except requests.Timeout:
        return jsonify(last[city] if city in last else last["anywhere"])
    except Exception as e:""").replace('API_KEY = "8f4a1c02e77b"\n', 'API_KEY = "8f4a1c02e77b"\nlast = {"anywhere": {"temperature": 11.5}}\n')


class LeakyError(Rule):
    """When something fails, the answer tells strangers how the app is built.

    Who pays: the owner. Exceptions hold what nobody outside should read: the key that a service is called with, the text of
    statements, names of tables, paths, addresses of servers inside. It is the first thing that an attacker looks for.

    Shown: a service that the request calls fails, or the database does (it is locked, full, breaks off, or nobody answers), and the answer holds
    a traceback, a path, a SQL statement, an object or exception of the program, a connection string, the address of a server inside, a key, or
    what the database server said. The honest answer holds nothing of it, and it is not what the client sent. What a framework shows in debug mode is security/debug-mode.

    Example: `except Exception as e: return jsonify({"error": str(e)}), 500`.
    Instead: a constant text for the client, and `logging.exception` for those who have to mend it.

    References: CWE-209; OWASP API Top 10 2023 API8; ASVS 5.0 V16.5.1.
    """

    id = "failure/leaky-error"
    title = "An error tells strangers how the app is built"
    severity = Severity.MEDIUM
    cwe = (209,)
    owasp = "API8:2023"
    asvs = "V16.5.1"
    order = 70
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers of exceptions that answer with what the exception says."""
        yield from leaks.suspected(blueprint, sources, self.id)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """What the request needs fails."""
        yield from leaks.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The answer to a failure holds what is the program's own business."""
        control = traces["control"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        answered = False
        for kind in (name for name in experiment.trials if name != "control"):
            exchange = traces[kind].last
            answered = answered or (exchange.response is not None and exchange.ended == "answered")
            found = leaks.given_away(exchange, control, experiment.fact("files"))
            if found is not None:
                what, piece = found
                return Holds(
                    Evidence(
                        f"when {leaks.HAPPENS[kind]}, the answer holds {what}",
                        {"request": shown(control), "what happens": leaks.HAPPENS[kind], "answer": answer(exchange), "it holds": piece, "honest answer": answer(control)},
                        exchange.last_line,
                        (("kind", kind), *((name, experiment.fact(name)) for name in ("host", "call", "function") if experiment.fact(name))),
                        severity=Severity.HIGH if what.startswith("the key") else Severity.LOW if what == leaks.DATABASE else None,
                    )
                )
        return Fails() if answered else Unclear("the failure could not be brought about")

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """What the code goes on with where a service fails otherwise; a constant text, and the exception in the log."""
        yield from leaks.concealing(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_WEATHER, "GET /weather/{city}", ("flask", "requests")),
        Broken(_NOTES, "POST /notes", SESSION_NEEDS),
        Broken(_LATE, "GET /weather/{city}", ("flask", "requests")),
        Broken(_TRACED, "POST /tasks", unseen="what answers for every route is suspected once, for no route in particular"),
        Broken(_ASK, "POST /ask", ("fastapi", "httpx")),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_WEATHER.replace('"error": str(e)', '"error": "The weather is not available"'), "a constant text", ("flask", "requests")),
        Sound(_LATE.replace("requests.Timeout", "(requests.RequestException, ValueError)").replace('"error": str(e)', '"error": "The weather is not available"'), "it goes on with what was known last", ("flask", "requests")),
        Sound(_NOTES.replace('f"Could not save the note: {e}"', '"Could not save the note"'), "a constant text", SESSION_NEEDS),
        Sound(
            _TRACED.replace('"trace": traceback.format_exc()', '"id": "err-1"'), "the client gets a number that the log knows"),
        Sound(_ASK.replace('    except httpx.HTTPError as error:\n        message = f"The model failed: {error}"', '    except httpx.HTTPStatusError as error:\n        message = f"The model answered {error.response.status_code}"').replace(
            '        return JSONResponse({"error": message}, status_code=502)\n',
            '        return JSONResponse({"error": message}, status_code=502)\n    except httpx.HTTPError as error:\n        return JSONResponse({"error": f"The model failed: {error}"}, status_code=502)\n'),
            "what the connection's error says gives nothing away, and of the answer only its status is told", ("fastapi", "httpx"), alike="what the exception says is known only when it is raised"),
        Sound(_WEATHER.replace('except Exception as e:\n        return jsonify({"error": str(e)}), 500', 'except requests.RequestException:\n        return jsonify({"error": f"no weather for /{city}/app.py"}), 502'), "the client's own words", ("flask", "requests")),
    ]
