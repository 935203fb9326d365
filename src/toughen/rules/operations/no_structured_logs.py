"""Owns operations/no-structured-logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import hearing
from toughen.codemod.module import UnmendableError
from toughen.middleware import Installation, middleware, nobody_mailed
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.model.trial import Experiment, Fault, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples import desk, parcels
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.templates import observability
from toughen.twists import answer, shown, succeeded
from toughen.vitals import spoken_for
from toughen.wiring import Wiring, application, named_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target
    from toughen.wiring import Application

_BRIEF = "Write one structured line for each request that fails, with its level, its cause and an id that the client is answered in X-Request-ID."
_MAILED = "django.request"
"""The logger whose errors Django mails to administrators by default."""
_MODULES = ("observability", "request_logs")
_UNSEEN = "what an error leaves behind is seen when one is forced"
_NOTES = SESSION + """
class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    text = Column(String)

Base.metadata.create_all(engine)

@app.get("/notes")
def notes(db: Session = Depends(get_db)):
    return [each.text for each in db.query(Note).all()]
"""
_SHOP = PLAIN + """    start.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")

@app.get("/items")
def items():
    return jsonify([dict(each) for each in get_db().execute("SELECT * FROM items")])
"""
_FACTORY = {
    "shop/__init__.py": """import logging
from flask import Flask
from .views import pages

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")

def create_app():
    app = Flask(__name__)
    app.register_blueprint(pages)
    return app
""",
    "shop/views.py": """from flask import Blueprint, jsonify
pages = Blueprint("pages", __name__)

@pages.route("/opening-hours")
def hours():
    return jsonify({"monday": "9-17"})
""",
}
_JSON = """
class JsonFormatter(logging.Formatter):
    def format(self, record):
        return json.dumps({"level": record.levelname, "message": record.getMessage(), "request_id": request_id.get()})

handler = logging.StreamHandler()
handler.setFormatter(JsonFormatter())
logging.basicConfig(level=logging.INFO, handlers=[handler])
request_id = contextvars.ContextVar("request_id", default="-")
log = logging.getLogger("notes")

@app.middleware("http")
async def traced(request: Request, call_next):
    request_id.set(request.headers.get("x-request-id") or str(uuid.uuid4()))
    try:
        response = await call_next(request)
    except Exception:
        log.exception("request failed")
        return JSONResponse({"detail": "Internal error"}, status_code=500)
    response.headers["x-request-id"] = request_id.get()
    return response
"""


class NoStructuredLogs(Rule):
    """An error leaves no line in the logs that a program can search, or that can be joined with the request it befell.

    Who pays: whoever is called at night. A customer says that it did not work; nobody finds his request among tracebacks of
    many lines, nothing counts the errors, and no alarm can be built on prose.

    Shown: an exception is put into the first line of a handler, once for the application, and all that the process writes is
    read: standard output and error, and the log files that are open. Not one structured line (a JSON object, or pairs of
    key=value) says that it is an error and names the request: by the id that was sent as `X-Request-ID` or in `traceparent`, by
    the one that the client is answered, or under a name like `request_id`. The traceback that the server in front writes is
    prose, and so is its line of access. What Django mails by default is heard where its settings name administrators.

    Example: `app = Flask(__name__)` and nothing more; `logging.basicConfig(level=logging.INFO)`.
    Instead: one line of JSON for each request that fails (structlog), with an id that a middleware reads or makes.

    References: CWE-778; OWASP Top 10 2021 A09; ASVS 5.0 V16.2.4, V16.3.4.
    """

    id = "operations/no-structured-logs"
    title = "An error cannot be found in the logs"
    severity = Severity.LOW
    cwe = (778,)
    owasp = "API8:2023"
    asvs = "V16.2.4"
    order = 92
    whole = True
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """On one route that is no health check: the handler raises, and what is written meanwhile is heard."""
        if route.id != spoken_for(target):
            return
        app = application(target.blueprint.entry, target.texts()) or middleware(target.blueprint, target.texts())
        place = (("file", app.module.file), ("line", str(app.statement.lineno))) if app is not None else ()
        lost = (("lost", _MAILED),) if nobody_mailed(target.blueprint, target.texts()) else ()
        failing = Trial((*journey.calls[:-1], hearing.asking(journey.call)), journey.grants, fault=Fault("raise"), heard=True)
        yield Experiment({"control": Trial(journey.calls, journey.grants), "error": failing}, "an exception that nobody expects", (*place, *lost))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes; the forced error leaves no structured line with level and request."""
        control, failed = traces["control"].last, traces["error"].last
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        if failed.told is None or failed.status is None or (failed.status < 500 and not failed.told.raised):  # noqa: PLR2004
            return Unclear(f"the error that was put into the handler did not come about: {answer(failed)}")
        line, instead = hearing.telling(failed)
        if line:
            return Fails()
        if unseen := hearing.elsewhere(failed, control, tuple(filter(None, [experiment.fact("lost")]))):
            return Unclear(unseen)
        facts = {"request": shown(failed), "error": "RuntimeError in the handler's first line", "answer": answer(failed), "written": hearing.sample(failed.told) or "nothing"}
        place = Location(experiment.fact("file"), int(experiment.fact("line")), None) if experiment.fact("file") else None
        return Holds(Evidence(f"an unhandled error leaves {instead}: no structured line with its level and the request's id", {**facts}, place))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A module that logs failed requests, by structlog; by the standard library where that cannot be had."""
        app = middleware(blueprint, sources) if blueprint.framework == "django" else application(blueprint.entry, sources)
        if app is None:
            yield Unmended("where the application is made is not seen, or there are several", _BRIEF)
            return
        if any(("def install(app):" in text or "class RequestLog" in text) and "request_failed" in text for text in sources.values()):
            yield Unmended("failed requests are logged by a module of the project already", _BRIEF)
            return
        for structlog in (True, False):
            try:
                yield _patch(finding, blueprint, sources, app, structlog=structlog)
            except UnmendableError as error:
                yield Unmended(error.message, _BRIEF)
                return

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_NOTES, "GET /notes", SESSION_NEEDS, unseen=_UNSEEN),
        Broken(_SHOP, "GET /items", unseen=_UNSEEN),
        Broken("from shop import create_app\napp = create_app()\n", "GET /opening-hours", files=_FACTORY, unseen=_UNSEEN),
        Broken(_NOTES.replace("app = FastAPI()", "logging.basicConfig(level=logging.INFO)\nlog = logging.getLogger(__name__)\napp = FastAPI()\n").replace("from fastapi import", "import logging\nfrom fastapi.responses import JSONResponse\nfrom fastapi import", 1) + """
@app.exception_handler(Exception)
async def failed(request, error):
    log.error("Unhandled error: %s", error, exc_info=True)
    return JSONResponse({"error": "Something went wrong"}, status_code=500)
""", "GET /notes", SESSION_NEEDS, unseen=_UNSEEN),
        Broken(_SHOP.replace("import sqlite3\n", "import functools\nimport sqlite3\n", 1).replace("@app.get", """
@app.errorhandler(Exception)
def failed(error):
    print("ERROR:", error)
    return jsonify({"error": "Something went wrong"}), 500

@app.get""", 1), "GET /items", unseen=_UNSEEN),
        Broken("", "GET /bookings/", desk.NEEDS, desk.BOOKINGS, unseen=_UNSEEN),
        Broken("", "GET /api/orders/", desk.REST, parcels.CHARGES, unseen=_UNSEEN),
        Broken("", "GET /bookings/", desk.NEEDS, desk.UNHEARD, unseen=_UNSEEN),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_NOTES.replace("app = FastAPI()", "app = FastAPI()\n" + _JSON).replace("from fastapi import Depends, FastAPI, HTTPException", "import contextvars, json, logging, uuid\nfrom fastapi.responses import JSONResponse\nfrom fastapi import Depends, FastAPI, HTTPException, Request"), "a formatter of its own writes one line of JSON with the request's id", SESSION_NEEDS),
        Sound(_SHOP.replace("import sqlite3\n", "import sqlite3, sys, traceback, uuid\n", 1).replace("from flask import Flask", "from flask import Flask, g").replace("@app.get", """
@app.before_request
def begin():
    g.request_id = request.headers.get("X-Request-ID", uuid.uuid4().hex)

@app.errorhandler(Exception)
def failed(error):
    print(f'level=error request_id={g.request_id} path={request.path} error="{type(error).__name__}"', file=sys.stderr)
    return jsonify({"error": "Something went wrong"}), 500

@app.get""", 1), "pairs of key and value hold the level and the id that was sent"),
        Sound(_SHOP.replace("import sqlite3\n", "import sqlite3\nimport structlog\n", 1).replace("@app.get", """
structlog.configure(processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
log = structlog.get_logger()

@app.before_request
def begin():
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(correlation_id=request.headers.get("X-Correlation-ID", ""), path=request.path)

@app.errorhandler(500)
def failed(error):
    log.error("unhandled", exc_info=error.original_exception)
    return jsonify({"error": "Something went wrong"}), 500

@app.get""", 1), "structlog writes the line, beside the traceback that Flask writes itself", ("flask", "structlog")),
        Sound(_NOTES.replace("app = FastAPI()", """logger.remove()
logger.add("app.log", serialize=True)
app = FastAPI()

@app.middleware("http")
async def traced(request: Request, call_next):
    with logger.contextualize(request_id=request.headers.get("x-request-id") or uuid.uuid4().hex):
        try:
            return await call_next(request)
        except Exception:
            logger.exception("request failed")
            raise
""").replace("from fastapi import Depends, FastAPI, HTTPException", "import uuid\nfrom loguru import logger\nfrom fastapi import Depends, FastAPI, HTTPException, Request"), "loguru writes it to a file as JSON, and the error goes on to the server", (*SESSION_NEEDS, "loguru")),
        Sound("", "a formatter of the project's writes what Django logs, with the request's id", desk.NEEDS, desk.LOGGED),
    ]


def _installed(blueprint: Blueprint, sources: Mapping[str, str], app: Application, *, structlog: bool) -> Installation:
    """The module of Django's, in front of its other middleware."""
    wiring = Installation(blueprint, sources, app)
    wiring.stand(f"{wiring.place(_MODULES, observability.module(flask=False, structlog=structlog, django=True))}.RequestLog", first=True)
    return wiring


def _patch(finding: Finding, blueprint: Blueprint, sources: Mapping[str, str], app: Application, *, structlog: bool) -> Patch:
    if blueprint.framework == "django":
        wiring: Wiring = _installed(blueprint, sources, app, structlog=structlog)
    else:
        wiring = Wiring(blueprint, sources, app)
        alias = wiring.beside(_MODULES, observability.module(flask=app.flask, structlog=structlog))
        wiring.install(f"{alias}.install({app.name})")
    wiring.lay("ops/log-alerts.yml", observability.alerts(named_after(blueprint)))
    if structlog:
        wiring.need(observability.STRUCTLOG)
    how = "structlog" if structlog else "the standard library, since structlog could not be had"
    note = f"One line of JSON on standard output for each request that fails, written by {how}; ops/log-alerts.yml counts them where Loki collects them."
    return wiring.patch(finding.id, "Log failed requests in one structured line with the request's id", note, ("structlog",) if structlog else ())
