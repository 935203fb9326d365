"""Owns security/weak-token."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import guessing, signing, tokens
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, FLASK
from toughen.timeline import row_facts
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_HOW = {
    "garbled": "a token with a made-up signature is taken", "unsigned": "a token that says `alg: none` and has no signature is taken",
    "emptied": "a token without its signature is taken",
}  # fmt: skip

CODES = (
    ("import hashlib\nimport random\nimport secrets\nimport time\n" + FLASK).replace("{", "{{").replace("}", "}}").replace("password TEXT NOT NULL)", "password TEXT NOT NULL, reset_code TEXT)").replace("with db() as start:", """@app.post("/password/forgot")
def forgot():
    data = request.get_json()
    code = {make}
    with db() as conn:
        hit = conn.execute("UPDATE users SET reset_code = ? WHERE username = ?", (code, data["username"])).rowcount
    return (jsonify({{"message": "look into your mail"}}), 200) if hit else (jsonify({{"error": "Not found"}}), 404)

@app.post("/password/new")
def new_password():
    data = request.get_json()
    user = db().execute("SELECT * FROM users WHERE username = ?", (data["username"],)).fetchone()
    if user is None or not user["reset_code"] or user["reset_code"] != data["code"]:
        return jsonify({{"error": "Wrong code"}}), 400
    with db() as conn:
        conn.execute("UPDATE users SET password = ?, reset_code = NULL WHERE id = ?", (generate_password_hash(data["new_password"]), user["id"]))
    return jsonify({{"message": "changed"}})

with db() as start:""")
)
"""A new password by a code that is made as `make` says."""
BEARER = """import datetime
from functools import wraps
import jwt
from flask import Flask, g, jsonify, request
from werkzeug.security import check_password_hash, generate_password_hash
import sqlite3
app = Flask(__name__)
SECRET = "a-key-of-this-example-0123456789abcdef"

def db():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

def read_token(token):
    try:
        return jwt.decode(token, SECRET, algorithms=["HS256"])
    except jwt.InvalidSignatureError:
        try:
            return jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError:
            return None
    except jwt.PyJWTError:
        return None

def token_required(view):
    @wraps(view)
    def wrapped(*args, **kwargs):
        claims = read_token(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if claims is None:
            return jsonify({"error": "Log in first"}), 401
        g.user_id = int(claims["sub"])
        return view(*args, **kwargs)
    return wrapped

@app.post("/register")
def register():
    data = request.get_json()
    with db() as conn:
        conn.execute("INSERT INTO users (username, password) VALUES (?, ?)", (data["username"], generate_password_hash(data["password"])))
    return jsonify({"message": "registered"}), 201

@app.post("/login")
def login():
    data = request.get_json()
    user = db().execute("SELECT * FROM users WHERE username = ?", (data["username"],)).fetchone()
    if user is None or not check_password_hash(user["password"], data["password"]):
        return jsonify({"error": "Wrong username or password"}), 401
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    return jsonify({"token": jwt.encode({"sub": str(user["id"]), "exp": ends}, SECRET, algorithm="HS256")})

@app.get("/me")
@token_required
def me():
    row = db().execute("SELECT id, username FROM users WHERE id = ?", (g.user_id,)).fetchone()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "Not found"}), 404)

with db() as start:
    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL)")
"""
"""Flask with bearer tokens; what the signature does not fit is read without it."""
ENDING = ("import time\n" + FASTAPI).replace('{"sub": user.username}', '{"sub": user.username, "exp": int(time.time()) + 3600}').replace("def get_db():", """class Change(BaseModel):
    old_password: str
    new_password: str

def get_db():""")
"""Bearer tokens that end after an hour."""


class WeakToken(Rule):
    """Tokens and codes say who somebody is, and anybody can write them, guess them, or do without.

    Who pays: every user. Whoever writes a token that is not checked is whoever he says he is; a code of four digits, or one
    that is made of the time, opens the account that it was sent to; a token without an end opens it for ever.

    Shown: a token with a made-up, an emptied or no signature is taken where nonsense is refused; a token signed with a word
    that everybody tries is taken; log-in hands out a token that never ends; a code is the same for everybody, made of the
    clock or of the user's name, or so short that it can be tried out while nothing ends the trying; a password is changed by
    somebody who proved nothing. A key that stands in the source is told as a hardcoded secret.

    Example: `jwt.decode(token, options={"verify_signature": False})`, `random.randint(1000, 9999)`.
    Instead: `jwt.decode(token, KEY, algorithms=["HS256"])`, an `exp` of minutes or hours, `secrets.token_urlsafe()`.

    References: CWE-347, CWE-345, CWE-613, CWE-640, CWE-330; OWASP API2:2023; ASVS 5.0 V9.1.1.
    """

    id = "security/weak-token"
    title = "Tokens or codes can be forged, guessed, or never end"
    severity = Severity.CRITICAL
    cwe = (347, 613, 640, 330, 345)
    owasp = "API2:2023"
    asvs = "V9.1.1"
    order = 15

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Tokens with another signature, the token of log-in, codes that are made, passwords that are reset."""
        yield from tokens.all_of(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """What the kind of experiment asks."""
        control = traces["control"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        match experiment.fact("kind"):
            case "signature" | "signed":
                return self._forged(experiment, traces)
            case "expiry":
                return self._endless(experiment, control)
            case "code":
                return self._code(experiment, traces)
            case _:
                return self._reset(experiment, traces)

    def _forged(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        control, nonsense, attack = traces["control"], traces["nonsense"], traces["attack"]
        if succeeded(nonsense.last):
            return Unclear("a credential that means nothing is not refused")
        if not succeeded(attack.last) or not guessing.alike(attack.last, control.last):
            return Fails()
        how, key = experiment.fact("how"), experiment.fact("key")
        message = _HOW.get(how, f"a token signed with the key {key!r}, which everybody tries, is taken")
        facts: dict[str, Json] = {"request": shown(attack.last), "answer": answer(attack.last), "as": experiment.fact("who"), "nonsense": answer(nonsense.last)}
        return Holds(Evidence(f"{message}, as the one of {experiment.fact('who')}", facts, None, (("kind", experiment.fact("kind")),), key="key" if key or how == "signed" else "signature"))

    def _endless(self, experiment: Experiment, control: Trace) -> Judgement:
        found = tokens.handed_out(control.last)
        if not found:
            return Unclear("no signed token is handed out")
        token = next((each for each in found if not tokens.ends(each, age=bool(experiment.fact("age")))), None)
        if token is None:
            return Fails()
        claims = tokens.decoded(token.split(".")[1])
        facts: dict[str, Json] = {"request": shown(control.last), "claims": {**claims}}
        return Holds(Evidence("the token that log-in hands out never ends: it says nothing of the time, and nothing else does", facts, None, (("kind", "expiry"),), key="expiry"))

    def _code(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        why, column = tokens.guessable(experiment, traces), experiment.fact("column")
        if not why:
            return Fails()
        if why.startswith("has "):
            guesses = traces["guesses"]
            wrong = guesses.exchanges[int(experiment.fact("before")) : -1]
            if not succeeded(guesses.last):
                return Fails()
            if guessing.limited(wrong):
                return Fails()
            why += f", and after {len(wrong)} wrong ones at {experiment.fact('use')} the right one still opens"
        made = tokens.made(traces["control"])
        read = next((each for each in traces["control"].last.statements if each.writes and each.location), None)
        facts: dict[str, Json] = {"request": shown(traces["control"].last), "column": f"{experiment.fact('table')}.{column}", "values": [str(each[2]) for name in ("control", "again") if (each := tokens.made(traces[name]))]}
        detail = (("kind", "code"), ("column", column), ("table", experiment.fact("table")), ("value", str(made[2]) if made else ""))
        return Holds(Evidence(f"{column} {why}", facts, read.location if read else None, detail, key="code"))

    def _reset(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        attack = traces["attack"]
        change = tokens.taken_over(experiment, attack)
        if change is None:
            return Fails()
        wrong = experiment.fact("wrong")
        message = f"anybody gives {experiment.fact('victim')} a new password" + (f": with a wrong {wrong}" if wrong else ": nothing but who it is for is asked")
        facts: dict[str, Json] = {"request": shown(attack.last), "answer": answer(attack.last), "rows": [*row_facts((change,))]}
        return Holds(Evidence(message, facts, None, (("kind", "reset"),), key="reset"))

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Signatures that are not checked, tokens without an end, codes of few digits."""
        yield from signing.suspected(self.id, blueprint, sources)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The signature checked by pinned algorithms, an end for tokens, codes drawn at random."""
        yield from signing.mends(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(FASTAPI.replace('SECRET_KEY, algorithms=["HS256"])', 'SECRET_KEY, algorithms=["HS256"], options={"verify_signature": False})') + """
Base.metadata.create_all(engine)

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "username": user.username}
""", "GET /me", FASTAPI_NEEDS),
        Broken(BEARER, "GET /me", ("flask", "pyjwt")),
        Broken(FASTAPI + """
Base.metadata.create_all(engine)

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "username": user.username}
""", "POST /login", FASTAPI_NEEDS),
        Broken(CODES.format(make="str(random.randint(1000, 9999))"), "POST /password/forgot"),
        Broken(CODES.format(make='hashlib.md5((data["username"] + str(int(time.time()))).encode()).hexdigest()'), "POST /password/forgot"),
        Broken(FLASK.replace("with db() as start:", """@app.post("/password/reset")
def reset():
    data = request.get_json()
    with db() as conn:
        hit = conn.execute("UPDATE users SET password = ? WHERE username = ?", (generate_password_hash(data["new_password"]), data["username"])).rowcount
    return (jsonify({"message": "changed"}), 200) if hit else (jsonify({"error": "Unknown user"}), 404)

with db() as start:"""), "POST /password/reset", unmended="for you to say"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(ENDING + """
Base.metadata.create_all(engine)

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "username": user.username}

@app.post("/password")
def change(data: Change, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    if user.password != data.old_password:
        raise HTTPException(status_code=400, detail="Wrong password")
    user.password = data.new_password
    db.commit()
    return {"message": "changed"}
""", "the signature is checked, tokens end, a new password wants the old one", FASTAPI_NEEDS),
        Sound(CODES.format(make="secrets.token_urlsafe(24)"), "a code of 24 random bytes, which is asked for"),
        Sound(CODES.format(make='f"{secrets.randbelow(10000):04d}"').replace("""        return jsonify({"error": "Wrong code"}), 400
""", """        with db() as conn:
            conn.execute("UPDATE users SET reset_code = NULL WHERE username = ? AND reset_tries >= 4", (data["username"],))
            conn.execute("UPDATE users SET reset_tries = reset_tries + 1 WHERE username = ?", (data["username"],))
        return jsonify({"error": "Wrong code"}), 400
""").replace("reset_code TEXT", "reset_code TEXT, reset_tries INTEGER DEFAULT 0"), "a short code that dies after five wrong tries"),
    ]
