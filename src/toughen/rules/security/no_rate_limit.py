"""Owns security/no-rate-limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import guessing, throttling
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, FLASK
from toughen.twists import answer, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

CODES = FLASK.replace("from functools", "import secrets\nfrom functools").replace("app = Flask", "tries = []\napp = Flask").replace(
    "password TEXT NOT NULL)", "password TEXT NOT NULL, reset_code TEXT)"
).replace("with db() as start:", """@app.post("/password/forgot")
def forgot():
    code = str(secrets.randbelow(900000) + 100000)
    with db() as conn:
        hit = conn.execute("UPDATE users SET reset_code = ? WHERE username = ?", (code, request.get_json()["username"])).rowcount
    return (jsonify({"message": "look into your mail"}), 200) if hit else (jsonify({"error": "Not found"}), 404)

@app.post("/password/new")
def new_password():
    data = request.get_json()
    user = db().execute("SELECT * FROM users WHERE username = ?", (data["username"],)).fetchone()
    if user is None or not user["reset_code"] or user["reset_code"] != data["code"]:
        return jsonify({"error": "Wrong code"}), 400
    with db() as conn:
        conn.execute("UPDATE users SET password = ?, reset_code = NULL WHERE id = ?", (generate_password_hash(data["new_password"]), user["id"]))
    return jsonify({"message": "changed"})

with db() as start:""")
"""A new password by a code of six digits."""
_AUTH = FASTAPI.partition("SECRET_KEY")[2]
ROUTED = {
    "database.py": """from sqlalchemy import create_engine
from sqlalchemy.orm import declarative_base, sessionmaker
engine = create_engine("sqlite:///./shop.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
""",
    "routers/__init__.py": "",
    "routers/auth.py": """import jwt
from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import Session
from database import Base, SessionLocal
router = APIRouter(prefix="/auth")
SECRET_KEY""" + _AUTH.replace("@app.", "@router.") + """
@router.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"username": user.username}
""",
}
"""The same log-in in a router of its own file."""


class NoRateLimit(Rule):
    """Passwords and short codes can be guessed for as long as somebody likes.

    Who pays: users with a common password, and whoever gets a code of four or six digits: a program tries thousands an
    hour, and a code of six digits falls in a day.

    Shown: dozens of wrong passwords (or codes) from one client are all answered alike, and the right one opens directly
    after. A 429, a lock in the user's row, a code that is used up, a captcha or a growing delay ends it. Limits of a proxy
    in front are not seen. Codes that are too long to be guessed need no limit.

    Example: `POST /login` that compares and answers 401, as often as it is asked.
    Instead: a few tries a minute for each client (flask-limiter, slowapi), and a code that dies after five wrong tries.

    References: CWE-307, CWE-799; OWASP API2:2023 and API4:2023; ASVS 5.0 V6.3.1.
    """

    id = "security/no-rate-limit"
    title = "Passwords or codes can be guessed without end"
    severity = Severity.MEDIUM
    cwe = (307, 799)
    owasp = "API2:2023"
    asvs = "V6.3.1"
    order = 65
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Many wrong tries, then the right one."""
        yield from guessing.experiments(target, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """All tries are answered alike, and the right one still opens."""
        reason = guessing.unfit(experiment, traces)
        if reason:
            return Unclear(reason)
        control, trace = traces["control"], traces["guesses"]
        wrong = guessing.tries(experiment, trace)
        if guessing.limited(wrong) or not guessing.opened(trace, control):
            return Fails()
        if not experiment.fact("enough"):
            return Unclear(f"its source speaks of a limit, and {len(wrong)} tries did not meet it")
        what, fields = experiment.fact("secret"), experiment.fact("fields")
        facts: dict[str, Json] = {"tries": len(wrong), "each": answer(wrong[-1]), "request": shown(wrong[-1]), "then": answer(trace.last)}
        return Holds(Evidence(f"{len(wrong)} wrong {what}s in a row are answered alike, and the right one opens directly after", facts, None, (("fields", fields), ("secret", what))))

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Log-ins of a project that counts nothing."""
        yield from throttling.suspected(self.id, blueprint, sources)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The project's own limiter on this route, else the one of its framework."""
        yield from throttling.mends(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(FLASK, "POST /login"),
        Broken(FASTAPI + """
Base.metadata.create_all(engine)
""", "POST /login", FASTAPI_NEEDS),
        Broken(CODES, "POST /password/new", unseen="only what is sent tells how short the code is"),
        Broken("""from fastapi import FastAPI
from database import Base, engine
from routers import auth
app = FastAPI(title="Shop")
app.include_router(auth.router)
Base.metadata.create_all(engine)
""", "POST /auth/login", FASTAPI_NEEDS, files=ROUTED),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(FLASK.replace("app.secret_key", """from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
limiter = Limiter(get_remote_address, app=app, default_limits=["200 per day", "50 per hour"])
app.secret_key""", 1), "the limiter's default holds for every route", ("flask", "flask-limiter")),
        Sound(FLASK.replace("password TEXT NOT NULL)", "password TEXT NOT NULL, failures INTEGER DEFAULT 0)").replace("""    if user is None or not check_password_hash(user["password"], data["password"]):
""", """    if user is not None and user["failures"] >= 5:
        return jsonify({"error": "Wrong username or password"}), 401
    if user is None or not check_password_hash(user["password"], data["password"]):
        with db() as conn:
            conn.execute("UPDATE users SET failures = failures + 1 WHERE username = ?", (data["username"],))
"""), "after five wrong passwords the user is locked, and the answer does not say it", alike="what is counted in a row is not seen in the source"),
        Sound(FASTAPI.replace("""@app.post("/login")
def login(""", """seen = {}

@app.post("/login")
def login(request: Request, """).replace("""    user = db.query(User).filter(User.username == data.username, """, """    now = time.monotonic()
    recent = [each for each in seen.get(request.client.host, []) if now - each < 60]
    if len(recent) >= 20:
        raise HTTPException(status_code=429, detail="Too many tries")
    seen[request.client.host] = [*recent, now]
    user = db.query(User).filter(User.username == data.username, """).replace("import jwt", "import time\nimport jwt").replace("HTTPException\n", "HTTPException, Request\n", 1) + """
Base.metadata.create_all(engine)
""", "a limit of its own in memory", FASTAPI_NEEDS),
        Sound(CODES.replace("secrets.randbelow(900000) + 100000", "secrets.token_urlsafe(24)").replace('@app.post("/login")', '@app.post("/enter")').replace("""    if user is None or not check""", """    if tries.count(data["username"]) > 9:
        return jsonify({"error": "Too many tries"}), 429
    tries.append(data["username"])
    if user is None or not check"""), "a code of 24 random bytes needs no limit"),
        Sound("""import sqlite3
from flask import Flask, abort, jsonify, redirect, request
app = Flask(__name__)

def db():
    conn = sqlite3.connect("links.db")
    conn.row_factory = sqlite3.Row
    return conn

with db() as start:
    start.executescript('''CREATE TABLE IF NOT EXISTS links (code TEXT PRIMARY KEY, target TEXT NOT NULL, hits INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE IF NOT EXISTS currencies (code TEXT PRIMARY KEY, name TEXT NOT NULL, rate REAL NOT NULL);
    INSERT OR IGNORE INTO currencies VALUES ('CHF', 'Swiss franc', 0.95), ('JPY', 'Yen', 162.4);
    INSERT OR IGNORE INTO links VALUES ('ab3k9', 'https://example.com/', 0);''')

@app.get("/l/<code>")
def follow(code):
    with db() as conn:
        row = conn.execute("SELECT target FROM links WHERE code = ?", (code,)).fetchone()
        if row is None:
            abort(404)
        conn.execute("UPDATE links SET hits = hits + 1 WHERE code = ?", (code,))
    return redirect(row["target"])

@app.get("/rates")
def rate():
    row = db().execute("SELECT name, rate FROM currencies WHERE code = ?", (request.args["currency_code"],)).fetchone()
    return jsonify(dict(row)) if row else (jsonify({"error": "No such currency"}), 404)
""", "a short link's code and a currency's are addresses, and known to all"),
        Sound(FLASK.replace("app.secret_key", """from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
limiter = Limiter(get_remote_address, app=app, default_limits=["240 per day"])
app.secret_key""", 1), "ten an hour all day long is a limit, though a wide one", ("flask", "flask-limiter")),
    ]
