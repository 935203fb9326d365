"""Owns security/csrf."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import riding, samesite
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FLASK
from toughen.timeline import row_facts
from toughen.twists import answer, changed, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

PROFILE = FLASK.replace("password TEXT NOT NULL)", "password TEXT NOT NULL, city TEXT)").replace("with db() as start:", """@app.post("/profile")
@login_required
def profile():
    city = request.form["city"]
    with db() as conn:
        conn.execute("UPDATE users SET city = ? WHERE id = ?", (city, session["user_id"]))
    return jsonify({"city": city})

with db() as start:""")
"""A form that changes one's own row, logged in by the session's cookie."""
COOKIES = """import secrets
import sqlite3
from fastapi import Cookie, Depends, FastAPI, Form, HTTPException, Response
app = FastAPI()

def db():
    conn = sqlite3.connect("app.db", check_same_thread=False)
    conn.row_factory = sqlite3.Row
    return conn

with db() as start:
    start.executescript('''CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, city TEXT);
    CREATE TABLE IF NOT EXISTS logins (token TEXT PRIMARY KEY, user_id INTEGER)''')

def current(sid: str = Cookie(default="")):
    row = db().execute("SELECT user_id FROM logins WHERE token = ?", (sid,)).fetchone()
    if row is None:
        raise HTTPException(status_code=401, detail="Log in first")
    return row["user_id"]

@app.post("/register", status_code=201)
def register(username: str = Form(), password: str = Form()):
    with db() as conn:
        conn.execute("INSERT INTO users (username, password) VALUES (?, ?)", (username, password))
    return {{"message": "registered"}}

@app.post("/login")
def login(response: Response, username: str = Form(), password: str = Form()):
    user = db().execute("SELECT * FROM users WHERE username = ? AND password = ?", (username, password)).fetchone()
    if user is None:
        raise HTTPException(status_code=401, detail="Wrong username or password")
    token = secrets.token_hex(16)
    with db() as conn:
        conn.execute("INSERT INTO logins (token, user_id) VALUES (?, ?)", (token, user["id"]))
    response.set_cookie("sid", token{how})
    return {{"message": "logged in"}}

@app.post("/profile")
def profile(city: str = Form(), user: int = Depends(current)):
    with db() as conn:
        conn.execute("UPDATE users SET city = ? WHERE id = ?", (city, user))
    return {{"city": city}}
"""
"""FastAPI with a cookie of its own, set as `how` says."""
TOKENS = """import sqlite3
import jwt
from flask import Flask, jsonify, make_response, request
app = Flask(__name__)
KEY = "a-key-of-this-example-0123456789abcdef"

def db():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

with db() as start:
    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL, city TEXT)")

def current_user():
    try:
        return jwt.decode(request.cookies.get("token", ""), KEY, algorithms=["HS256"])["sub"]
    except jwt.PyJWTError:
        return None

@app.post("/register")
def register():
    data = request.get_json()
    with db() as conn:
        conn.execute("INSERT INTO users (username, password) VALUES (?, ?)", (data["username"], data["password"]))
    return jsonify({"message": "registered"}), 201

@app.post("/login")
def login():
    data = request.get_json()
    user = db().execute("SELECT * FROM users WHERE username = ? AND password = ?", (data["username"], data["password"])).fetchone()
    if user is None:
        return jsonify({"error": "Wrong username or password"}), 401
    response = make_response(jsonify({"message": "logged in"}))
    response.set_cookie("token", jwt.encode({"sub": user["username"]}, KEY, algorithm="HS256"), httponly=True)
    return response

@app.post("/city")
def city():
    user = current_user()
    if user is None:
        return jsonify({"error": "Log in first"}), 401
    with db() as conn:
        conn.execute("UPDATE users SET city = ? WHERE username = ?", (request.form["city"], user))
    return jsonify({"city": request.form["city"]})
"""
"""Flask with a token in a cookie of its own."""


class Csrf(Rule):
    """A page of another site acts in the name of whoever is logged in here and looks at it.

    Who pays: the user. A hidden form on any page sends the request, the browser adds the cookie, and money, an address or a
    password is changed.

    Shown: the request in the shape of a form, with a foreign Origin, the cookies alone and no token, changes the same rows
    as the honest one, while without the cookies it does not. That a page was seen (a message counts as read) is no such change. A cookie with SameSite=Lax or Strict, a token of the page, a
    look at the Origin, and bodies that must be JSON end it.

    Example: `session["user_id"]` and `request.form` in a Flask prototype as it comes.
    Instead: `SESSION_COOKIE_SAMESITE = "Lax"`, and a token in the forms (Flask-WTF's CSRFProtect) beside it.

    References: CWE-352; OWASP A01:2021; ASVS 5.0 V3.5.1.
    """

    id = "security/csrf"
    title = "Another site's page acts in the name of whoever is logged in"
    severity = Severity.HIGH
    cwe = (352,)
    owasp = "A01:2021"
    asvs = "V3.5.1"
    order = 35
    single = True

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The honest request as another site's page can send it."""
        yield from riding.experiments(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The same rows change as by the honest request, and a browser sends the cookies along."""
        control, login = traces["control"], traces["login"]
        meant = riding.effects(control)
        if not succeeded(control.last) or not meant:
            return Unclear(f"the honest request changes nothing: {answer(control.last)}")
        if not riding.attributes(login.last):
            return Unclear(f"no cookie is set at log-in: {answer(login.last)}")
        if riding.protected(experiment, traces) or ("preflight" in traces and not riding.lets(traces["preflight"].last)):
            return Fails()
        if riding.effects(traces["nobody"]) & meant:
            return Unclear("the request changes the same rows without any cookie")
        attack = traces["attack"]
        if not riding.effects(attack) & meant:
            return Fails()
        if riding.looked_at(attack):
            return Unclear("the page is shown, and that it was seen is all that changes")
        if riding.left_out(experiment, traces):
            return Unclear("its CORS lets other sites' scripts send it, and browsers add only cookies with SameSite=None to those")
        facts: dict[str, Json] = {
            "request": shown(attack.last), "origin": riding.ORIGIN, "answer": answer(attack.last), "rows": [*row_facts(changed(attack))],
            "cookies": [f"{name}: {'SameSite=' + same if same else 'no SameSite'}" for name, same in riding.attributes(login.last).items()],
        }  # fmt: skip
        message = f"a page of another site ({experiment.fact('shape')}, no token) changes rows of {min(table for table, _, _ in meant)} in the name of {experiment.fact('who')}"
        detail = (("cookies", experiment.fact("cookies")), ("method", experiment.fact("method")))
        return Holds(Evidence(message, facts, None, detail))

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Forms of whoever is logged in by cookie, in a project that asks for no token."""
        yield from samesite.suspected(self.id, blueprint, sources)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """SameSite=Lax for the cookie that log-in sets."""
        yield from samesite.mends(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(PROFILE, "POST /profile"),
        Broken(PROFILE.replace('request.form["city"]', 'request.get_json(force=True)["city"]'), "POST /profile"),
        Broken(COOKIES.format(how=', httponly=True, samesite="none", secure=True'), "POST /profile", ("fastapi", "python-multipart")),
        Broken(TOKENS, "POST /city"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(PROFILE.replace("app.secret_key", 'app.config.update(SESSION_COOKIE_SAMESITE="Lax")\napp.secret_key', 1), "the session is SameSite=Lax"),
        Sound(PROFILE.replace('request.form["city"]', 'request.get_json()["city"]'), "only JSON is taken, which no form sends"),
        Sound(PROFILE.replace("    city = request", """    if not secrets.compare_digest(request.form.get("csrf_token", ""), session.get("csrf_token", "-")):
        return jsonify({"error": "The form is too old"}), 400
    city = request""").replace('@app.post("/profile")', """@app.get("/profile")
@login_required
def form():
    session["csrf_token"] = session.get("csrf_token") or secrets.token_hex(16)
    return f'<form method="post" action="/profile"><input name="city"><input type="hidden" name="csrf_token" value="{session["csrf_token"]}"></form>'

@app.post("/profile")""").replace("import sqlite3", "import secrets\nimport sqlite3", 1), "the form holds a token of the session"),
        Sound(PROFILE.replace("    city = request", """    if request.headers.get("Origin", request.host_url.rstrip("/")) != request.host_url.rstrip("/"):
        return jsonify({"error": "Not from here"}), 403
    city = request"""), "a foreign Origin is refused"),
        Sound(COOKIES.format(how=", httponly=True"), "what Starlette sets is SameSite=Lax", ("fastapi", "python-multipart"), alike="that the framework's default protects it is not written"),
        Sound("""import sqlite3
from flask import Flask, abort, render_template_string, request, session
from werkzeug.security import check_password_hash, generate_password_hash
app = Flask(__name__)
app.secret_key = "dev"

def db():
    conn = sqlite3.connect("mail.db")
    conn.row_factory = sqlite3.Row
    return conn

with db() as start:
    start.executescript('''CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, to_id INTEGER NOT NULL, body TEXT NOT NULL, is_new INTEGER NOT NULL DEFAULT 1);
    CREATE TABLE IF NOT EXISTS badges (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, unread INTEGER NOT NULL)''')

@app.post("/register")
def register():
    data = request.get_json()
    with db() as conn:
        conn.execute("INSERT INTO users (username, password) VALUES (?, ?)", (data["username"], generate_password_hash(data["password"])))
    return {"username": data["username"]}, 201

@app.post("/login")
def login():
    data = request.get_json()
    user = db().execute("SELECT * FROM users WHERE username = ?", (data["username"],)).fetchone()
    if user is None or not check_password_hash(user["password"], data["password"]):
        abort(401)
    session["user"] = user["id"]
    return {"username": user["username"]}

@app.post("/messages")
def write():
    data = request.get_json()
    to = db().execute("SELECT id FROM users WHERE username = ?", (data["to"],)).fetchone()
    if to is None or "user" not in session:
        abort(401 if to else 404)
    with db() as conn:
        conn.execute("INSERT INTO messages (to_id, body) VALUES (?, ?)", (to["id"], data["body"]))
    return {"to": data["to"]}, 201

@app.get("/messages")
def inbox():
    if "user" not in session:
        abort(401)
    with db() as conn:
        rows = conn.execute("SELECT body, is_new FROM messages WHERE to_id = ?", (session["user"],)).fetchall()
        conn.execute("UPDATE messages SET is_new = 0 WHERE to_id = ?", (session["user"],))
        conn.execute("DELETE FROM badges WHERE user_id = ?", (session["user"],))
        conn.execute("INSERT INTO badges (user_id, unread) VALUES (?, 0)", (session["user"],))
    return render_template_string("<ul>{% for row in rows %}<li>{{ row.body }}</li>{% endfor %}</ul>", rows=rows)
""", "whoever looks at his messages has seen them, and no form sends JSON"),
    ]
