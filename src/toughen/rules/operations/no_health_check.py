"""Owns operations/no-health-check."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import probing, vitals
from toughen.codemod.module import UnmendableError
from toughen.middleware import Installation, urlconf
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Unmended
from toughen.model.source import Location
from toughen.model.trial import EVERY, Experiment, Fault, Trial
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples import desk, parcels
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.templates import health
from toughen.twists import answer, shown, succeeded
from toughen.wiring import Wiring, application, named_after

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target
    from toughen.wiring import Application

_BRIEF = "Answer GET /healthz with 200 as long as the process serves, and GET /readyz with 200 only while the database answers `SELECT 1` within two seconds, else with 503."
_UNSEEN = "whether an address tells is seen when it is asked"
_MODULES = ("health", "health_checks", "probes")
_PATHS = ("/healthz", "/readyz")
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

@app.get("/api/items")
def items():
    return jsonify([dict(each) for each in get_db().execute("SELECT * FROM items")])
"""
_ASYNC = """from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy import Column, Integer, String, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import declarative_base
engine = create_async_engine("sqlite+aiosqlite:///./app.db")
sessions = async_sessionmaker(engine)
Base = declarative_base()

class City(Base):
    __tablename__ = "cities"
    id = Column(Integer, primary_key=True)
    name = Column(String)

@asynccontextmanager
async def lifespan(app):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield

app = FastAPI(lifespan=lifespan)

@app.get("/ping")
async def ping():
    return "pong"

@app.get("/cities")
async def cities():
    async with sessions() as session:
        return [each.name for each in (await session.scalars(select(City))).all()]
"""
_MODELS = {
    "shop/__init__.py": """from flask import Flask
from .models import db
from .views import pages

def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///shop.db"
    db.init_app(app)
    app.register_blueprint(pages, url_prefix="/api/v1")
    with app.app_context():
        db.create_all()
    return app
""",
    "shop/models.py": """from flask_sqlalchemy import SQLAlchemy
db = SQLAlchemy()

class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80))
""",
    "shop/views.py": """from flask import Blueprint, jsonify
from .models import Item, db
pages = Blueprint("pages", __name__)

@pages.route("/items")
def items():
    return jsonify([each.name for each in Item.query.all()])

@pages.route("/health")
def health():
    try:
        db.session.execute(db.text("SELECT 1"))
        state = "up"
    except Exception as error:
        state = "down"
    return jsonify({"status": "ok", "database": state})
""",
}


class NoHealthCheck(Rule):
    """Nothing tells whether the application is alive and ready: a load balancer goes on sending customers to an instance whose database is gone.

    Who pays: customers, whose requests end in errors that another instance would have answered, and whoever finds out from them
    instead of from a probe.

    Shown: with every database gone, an honest request fails, and of all addresses that might tell (declared routes that are called
    so, and the well-known names at the root and below the API's prefixes: /healthz, /readyz, /status, /ping and others) none
    answers otherwise than before, or none is there at all. A check of liveness that asks nobody is right as long as one of
    readiness turns. An application without a database needs one address that answers. What only the deployment asks (a
    TCP probe, another port) is not seen.

    Example: `@app.get("/health")` that returns `{"status": "ok"}`, whatever happens.
    Instead: `/healthz` that answers while the process serves, `/readyz` that answers 503 while the database does not.

    References: CWE-778, CWE-703; ASVS 5.0 V16.5.2.
    """

    id = "operations/no-health-check"
    title = "Nothing tells that it is down"
    severity = Severity.LOW
    cwe = (778, 703)
    asvs = "V16.5.2"
    order = 93
    whole = True
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """On one route that asks a database: every address that might tell, with it and without it."""
        data = vitals.data_route(target)
        if route.id != (data or vitals.spoken_for(target)):
            return
        app = application(target.blueprint.entry, target.texts()) or urlconf(target.blueprint, target.texts())
        detail = (("file", app.module.file), ("line", str(app.statement.lineno))) if app is not None else ()
        calls = vitals.candidates(target.blueprint)
        trials = {"control": Trial(journey.calls, journey.grants), "asked": Trial(calls, workers="one")}
        if data:
            trials["down"] = Trial(journey.calls, journey.grants, fault=Fault("down"))
            trials["asked-down"] = Trial(calls, fault=Fault("down", call=EVERY), workers="one")
        yield Experiment(trials, "the database is gone" if data else "whoever asks whether it is alive", detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes and fails without the database; no address turns with it."""
        control, asked = traces["control"].last, traces["asked"].exchanges
        if not succeeded(control):
            return Unclear(f"the honest request does not succeed: {answer(control)}")
        if any(each.status is None for each in asked):
            return Unclear("the process did not answer all that it was asked")
        alive = vitals.alive(asked)
        lost = traces["down"].last if "down" in experiment.trials else None
        needed = lost is not None and not succeeded(lost)
        told = [asked[index].target for index in alive]
        if needed and any(vitals.turned(traces["asked-down"].exchanges[index]) for index in alive):
            return Fails()
        if not needed and alive:
            return Fails()
        if shut := vitals.shut(asked):
            return Unclear(f"{shut}: whether it would tell is not seen")
        place = Location(experiment.fact("file"), int(experiment.fact("line")), None) if experiment.fact("file") else None
        facts: dict[str, Json] = {"request": shown(control), "asked": ", ".join(each.target for each in asked[:-1])}
        if needed and lost is not None:
            well = [f"GET {asked[index].target} without its database: {answer(traces['asked-down'].exchanges[index])}" for index in alive[:3]]
            facts["answers"] = [f"{shown(lost)} without its database: {answer(lost)}", *well]
        if told:
            message = f"with the database gone {shown(control)} fails, and GET {told[0]} answers {asked[alive[0]].status} as before"
        else:
            message = f"none of {len(asked) - 1} addresses tells that it is alive" + (", or that its database is gone" if needed else "")
        return Holds(Evidence(message, facts, place, (("needed", "yes" if needed else ""),)))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """A module that answers both, told of the database that the project has."""
        app = urlconf(blueprint, sources) if blueprint.framework == "django" else application(blueprint.entry, sources)
        paths = tuple(each for each in _PATHS if blueprint.route(f"GET {each}") is None)
        if app is None:
            yield Unmended("where the application is made is not seen, or there are several", _BRIEF)
        elif "/readyz" not in paths:
            yield Unmended("GET /readyz is there already: let it ask the database", _BRIEF)
        else:
            try:
                needed = finding.evidence is not None and bool(finding.evidence.fact("needed"))
                wiring = (_installed if blueprint.framework == "django" else _wired)(blueprint, sources, app, paths, needed=needed)
                wiring.lay("ops/alerts.yml", health.alerts(named_after(blueprint)))
                note = "ops/alerts.yml alarms on a probe of /readyz: the probe itself (Prometheus' blackbox exporter, a load balancer) is to be set up where it is deployed."
                yield wiring.patch(finding.id, f"Answer {' and '.join(f'GET {each}' for each in paths)}", note)
            except UnmendableError as error:
                yield Unmended(error.message, _BRIEF)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_NOTES + """
@app.get("/health")
def health():
    return {"status": "ok"}
""", "GET /notes", SESSION_NEEDS, unseen=_UNSEEN),
        Broken(_SHOP, "GET /api/items", unseen=_UNSEEN),
        Broken(_ASYNC, "GET /cities", ("fastapi", "sqlalchemy", "aiosqlite", "greenlet"), unseen=_UNSEEN),
        Broken("from shop import create_app\napp = create_app()\n", "GET /api/v1/items", ("flask", "flask-sqlalchemy"), files=_MODELS, unseen=_UNSEEN),
        Broken("""from flask import Flask, jsonify
app = Flask(__name__)

@app.route("/opening-hours")
def hours():
    return jsonify({"monday": "9-17"})
""", "GET /opening-hours", unseen=_UNSEEN),
        Broken("", "GET /bookings/", desk.NEEDS, desk.BOOKINGS, unseen=_UNSEEN),
        Broken("", "GET /api/orders/", desk.REST, parcels.CHARGES, unseen=_UNSEEN),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_NOTES.replace("from fastapi import Depends, FastAPI, HTTPException", "from fastapi import Depends, FastAPI, HTTPException\nfrom sqlalchemy import text") + """
@app.get("/healthz")
def alive():
    return {"status": "ok"}

@app.get("/readyz")
def ready(db: Session = Depends(get_db)):
    try:
        db.execute(text("SELECT 1"))
    except Exception:
        raise HTTPException(status_code=503, detail="database")
    return {"status": "ready"}
""", "one address asks nobody, the other one asks the database", SESSION_NEEDS),
        Sound(_SHOP.replace("@app.get", """def answered(application):
    def inner(environ, start_response):
        if environ["PATH_INFO"] == "/health":
            try:
                get_db().execute("SELECT 1")
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [b"ok"]
            except sqlite3.Error:
                start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
                return [b"down"]
        return application(environ, start_response)
    return inner
app.wsgi_app = answered(app.wsgi_app)

@app.get""", 1), "no route of the application, but what stands in front of it, answers"),
        Sound("""from fastapi import FastAPI
inner = FastAPI()
app = FastAPI()
app.mount("/api", inner)

@inner.get("/hours")
def hours():
    return {"monday": "9-17"}

@inner.get("/hours/sunday")
def sunday():
    return {"sunday": "closed"}

@inner.get("/ping")
def ping():
    return "pong"
""", "it has no database, and a mounted application answers that it is alive", ("fastapi",)),
        Sound(_SHOP + """
@app.get("/api/status")
def status():
    return jsonify({"items": get_db().execute("SELECT COUNT(*) FROM items").fetchone()[0]})
""", "what is called status fails with the database"),
        Sound("", "a middleware of Django's asks the database and answers", desk.NEEDS, desk.PROBED),
    ]


def _wired(blueprint: Blueprint, sources: Mapping[str, str], app: Application, paths: tuple[str, ...], *, needed: bool) -> Wiring:
    """The module beside the application, told of its database."""
    wiring = Wiring(blueprint, sources, app)
    kind, database = "", ""
    if needed:
        kind, database, needs = probing.asked(app, blueprint, sources)
        wiring.borrow(needs)
    alias = wiring.beside(_MODULES, health.module(kind, paths, flask=app.flask))
    wiring.install(f"{alias}.install({app.name}{f', {database}' if database else ''})")
    return wiring


def _installed(blueprint: Blueprint, sources: Mapping[str, str], app: Application, paths: tuple[str, ...], *, needed: bool) -> Wiring:
    """The module of Django's, with its paths in front of the URLconf's others."""
    wiring = Installation(blueprint, sources, app)
    wiring.place(_MODULES, health.django("connection" if needed else "", paths))
    wiring.answer([f'path("{each[1:]}", {{}}.{each[1:]})' for each in paths])
    return wiring
