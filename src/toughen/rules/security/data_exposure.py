"""Owns security/data-exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import banners, disclosure, showing
from toughen.backends import PEOPLE
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, FLASK, MODELS, MODELS_NEEDS
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


_UNDECIDED = "whether other users may see {} of each other is written nowhere: no page keeps it for administrators"
PHONES = "import secrets\n" + FLASK.replace("(username, password) VALUES (?, ?)", "(username, password, phone) VALUES (?, ?, ?)").replace(
    'generate_password_hash(data["password"])))', 'generate_password_hash(data["password"]), data["phone"]))'
).replace("password TEXT NOT NULL)", "password TEXT NOT NULL, phone TEXT, reset_code TEXT, api_key TEXT)").replace("with db() as start:", """@app.get("/me")
@login_required
def me():
    row = db().execute("SELECT * FROM users WHERE id = ?", (session["user_id"],)).fetchone()
    return jsonify({"id": row["id"], "username": row["username"], "phone": row["phone"]})

with db() as start:""")
"""Users with a phone number, a reset code and a key; each sees his own number."""


class DataExposure(Rule):
    """An answer holds what nobody should be given: a password or its hash, a reset code, other people's phone numbers, the version of the software.

    Who pays: the users. The screen may not show it, but whoever looks at the answer does: hashes are guessed at leisure,
    codes open accounts, addresses are sold.

    Shown: a text that was planted in the password, code, card, phone or e-mail column of one user stands in the answer to
    another one or to anybody; or the password column of a row that the request read stands in its answer; or (low) a header
    that the source sets names the software with its version, which says which known holes are worth a try. Names, one's own
    data, the token that log-in hands out and what administrators see are left alone; whether an e-mail address may be seen
    by all who are logged in is left undecided where nothing in the prototype says it.

    Example: `return db.query(User).all()`, or `jsonify([dict(row) for row in rows])` of `SELECT * FROM users`.
    Instead: name what is shown: a `response_model` without the column, a dictionary of the fields that are meant.

    References: CWE-200, CWE-213; OWASP API3:2023; ASVS 5.0 V15.3.1.
    """

    id = "security/data-exposure"
    title = "An answer holds passwords, codes or other people's private data"
    severity = Severity.HIGH
    cwe = (200, 213)
    owasp = "API3:2023"
    asvs = "V15.3.1"
    order = 30

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The honest request, with a text planted in the row of somebody else."""
        yield from disclosure.experiments(target, journey)
        yield from banners.experiments(target, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """What was planted, or what the row holds, stands in the answer."""
        control, about, table = traces["control"], experiment.fact("kind"), experiment.fact("table")
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if about == banners.KIND:
            told = banners.evidence(experiment, control.last)
            return Holds(told) if told else Fails()
        if about == "own":
            found = disclosure.own(experiment, control)
            return self._holds(experiment, control, found, "the answer holds {} of a user as it stands in " + table, "") if found else Fails()
        if about == "newcomer":
            return self._given(experiment, traces["planted"])
        trace, values = traces["planted"], dict(each.split("=", 1) for each in experiment.fact("planted").split(","))
        if not succeeded(trace.last):
            return Unclear(f"with other texts in the row of {experiment.fact('victim')} the request does not succeed: {answer(trace.last)}")
        columns = disclosure.seen(experiment, trace)
        if about == "secret" and experiment.fact("powerful"):
            columns = [each for each in columns if disclosure.kind(each) == "password"]
        decided = [each for each in columns if about == "secret" or each in experiment.fact("decided").split(",")]
        if not decided:
            return Unclear(_UNDECIDED.format(", ".join(columns))) if columns and not experiment.fact("decided") else Fails()
        who = experiment.fact("asker") or "anybody"
        return self._holds(experiment, trace, {each: values[each] for each in decided}, f"{who} is shown {{}} of {experiment.fact('victim')}", "personal" if about == "personal" else "")

    def _given(self, experiment: Experiment, trace: Trace) -> Judgement:
        if not succeeded(trace.last):
            return Unclear(f"after somebody signed up the request does not succeed: {answer(trace.last)}")
        found = disclosure.marked(experiment, trace)
        decided = {each: value for each, value in found.items() if each in experiment.fact("decided").split(",")}
        if not decided:
            return Unclear(_UNDECIDED.format(", ".join(found))) if found and not experiment.fact("decided") else Fails()
        return self._holds(experiment, trace, decided, f"{experiment.fact('asker') or 'anybody'} is shown {{}} of {experiment.fact('victim')}", "")

    def _holds(self, experiment: Experiment, trace: Trace, found: Mapping[str, str], message: str, key: str) -> Holds:
        read = disclosure.reading(experiment, trace, list(found.values())) if experiment.fact("table") else None
        names, first = ", ".join(found), next(iter(found.values()))
        where = disclosure.place(trace.last, first)
        detail = (("columns", ",".join(found)), ("table", experiment.fact("table")), ("place", where), ("code", "yes" if experiment.fact("stranger") and "password" not in {disclosure.kind(each) for each in found} else ""))
        facts: dict[str, Json] = {"request": shown(trace.last), "answer": answer(trace.last), "columns": [*found], "shown": [f"{column}: {value}" for column, value in found.items()], "place": where}
        return Holds(Evidence(message.format(names), facts, read.location if read else None, detail, key=key))

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that hand out a column of the users which nobody may see."""
        yield from showing.suspected(self.id, blueprint, sources)
        yield from banners.suspected(self.id, blueprint, sources)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The columns left out where the answer is put together; the header that names the software, where it is set."""
        if finding.evidence is not None and finding.evidence.fact("kind") == banners.KIND:
            yield from banners.removed(finding, blueprint, sources)
            return
        yield from showing.mends(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(FASTAPI + """
Base.metadata.create_all(engine)

@app.get("/users")
def everybody(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return db.query(User).all()
""", "GET /users", FASTAPI_NEEDS),
        Broken(FASTAPI + """
class Profile(BaseModel):
    id: int
    username: str
    password: str

    class Config:
        from_attributes = True

Base.metadata.create_all(engine)

@app.get("/users/{user_id}", response_model=Profile)
def profile(user_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(status_code=404, detail="Not found")
    return found
""", "GET /users/{user_id}", FASTAPI_NEEDS),
        Broken(FLASK + """
@app.get("/members")
@login_required
def members():
    rows = db().execute("SELECT * FROM users ORDER BY username").fetchall()
    return jsonify({"members": [dict(row) for row in rows]})
""", "GET /members"),
        Broken(FLASK.replace("import sqlite3", "import json\nimport sqlite3").replace("import Flask,", "import Flask, Response,") + """
def every(table):
    return [dict(zip(row.keys(), row)) for row in db().execute("SELECT * FROM %s ORDER BY id" % table)]

@app.get("/staff")
@login_required
def staff():
    return Response(json.dumps({"staff": every("users")}), 200, mimetype="application/json")
""", "GET /staff", unseen="what a helper of any table gives is not seen in the source"),
        Broken(MODELS.replace("    role = db", """    def to_dict(self):
        return {column.name: getattr(self, column.name) for column in self.__table__.columns}

    role = db""") + """
with app.app_context():
    db.create_all()

@app.route("/me")
def me():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify(user.to_dict())
""", "GET /me", MODELS_NEEDS),
        Broken(PHONES + """
@app.get("/people")
def people():
    rows = db().execute("SELECT id, username, phone FROM users").fetchall()
    return jsonify([{"name": row["username"], "phone": row["phone"]} for row in rows])
""", "GET /people", unseen="that a phone number is private is said by who asks"),
        Broken(PHONES + """
@app.post("/forgot")
def forgot():
    code = secrets.token_hex(4)
    with db() as conn:
        hit = conn.execute("UPDATE users SET reset_code = ? WHERE username = ?", (code, request.get_json()["username"])).rowcount
    if not hit:
        return jsonify({"error": "Unknown user"}), 404
    return jsonify({"message": "Code sent", "code": code})
""", "POST /forgot", unmended="another way", unseen="the code is read from no row"),
        Broken("""import os
import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
app = FastAPI()
bearer = HTTPBearer()
KEY = os.environ.get("JWT_KEY", "0b1c2d3e4f5a69788796a5b4c3d2e1f00b1c2d3e")
users = {}

class SignUp(BaseModel):
    username: str
    email: str
    password: str

class Login(BaseModel):
    username: str
    password: str

def current(credentials: HTTPAuthorizationCredentials = Depends(bearer)):
    try:
        name = jwt.decode(credentials.credentials, KEY, algorithms=["HS256"])["sub"]
    except jwt.PyJWTError:
        raise HTTPException(status_code=401, detail="Log in first")
    if name not in users:
        raise HTTPException(status_code=401, detail="Log in first")
    return users[name]

@app.post("/signup", status_code=201)
def signup(data: SignUp):
    if data.username in users:
        raise HTTPException(status_code=409, detail="Taken")
    users[data.username] = data.model_dump()
    return {"username": data.username}

@app.post("/login")
def login(data: Login):
    user = users.get(data.username)
    if user is None or user["password"] != data.password:
        raise HTTPException(status_code=401, detail="Wrong")
    token = jwt.encode({"sub": data.username}, KEY, algorithm="HS256")
    return {"token": token}

@app.get("/users")
def everybody(user: dict = Depends(current)):
    return list(users.values())
""", "GET /users", ("fastapi", "pyjwt"), unseen="the users live in a dictionary"),
        Broken(FLASK + """
@app.get("/health")
def health():
    answer = jsonify({"ok": True})
    answer.headers["X-Powered-By"] = "Flask/2.0.1 Python/3.9"
    return answer
""", "GET /health"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(FLASK + """
@app.get("/health")
def health():
    answer = jsonify({"ok": True})
    answer.headers["X-Powered-By"] = "patience"
    answer.headers["X-Api-Version"] = "2.0"
    return answer
""", "a header that names no software, and one with the version of what is offered"),
        Sound(FASTAPI + """
class Profile(BaseModel):
    id: int
    username: str

Base.metadata.create_all(engine)

@app.get("/users", response_model=list[Profile])
def everybody(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return db.query(User).all()

@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"id": user.id, "username": user.username, "secure": bool(user.password)}

@app.post("/check")
def check(data: Credentials, user: User = Depends(get_current_user)):
    return {"same": user.password == data.password}
""", "the model of the answer leaves the password out", FASTAPI_NEEDS),
        Sound(PHONES + """
    start.execute("CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), title TEXT)")

@app.post("/posts")
@login_required
def add():
    with db() as conn:
        new = conn.execute("INSERT INTO posts (user_id, title) VALUES (?, ?)", (session["user_id"], request.get_json()["title"])).lastrowid
    return jsonify({"id": new}), 201

@app.get("/posts")
def posts():
    rows = db().execute("SELECT posts.id, posts.title, users.username FROM posts JOIN users ON users.id = posts.user_id").fetchall()
    return jsonify([dict(row) for row in rows])

@app.post("/forgot")
def forgot():
    with db() as conn:
        conn.execute("UPDATE users SET reset_code = ? WHERE username = ?", (secrets.token_hex(16), request.get_json()["username"]))
    return jsonify({"message": "Look into your mail"})

@app.post("/key")
@login_required
def key():
    made = secrets.token_hex(16)
    with db() as conn:
        conn.execute("UPDATE users SET api_key = ? WHERE id = ?", (made, session["user_id"]))
    return jsonify({"api_key": made})
""", "authors' names, one's own row, a key that its owner makes; the code is not in the answer"),
        Sound(PEOPLE + """
class Member(Base):
    __tablename__ = "members"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"))
    email = Column(String)

@app.get("/names")
def names(db: Session = Depends(get_db)):
    return [{"name": each.username} for each in db.query(User).all()]
""", "names of users are for everybody", FASTAPI_NEEDS),
        Sound(MODELS.replace("    role = db", """    phone = db.Column(db.String(20))

    def to_dict(self):
        return {column.name: getattr(self, column.name) for column in self.__table__.columns if column.name != "password"}

    role = db""") + """
with app.app_context():
    db.create_all()

@app.route("/me")
def me():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify(user.to_dict())

@app.route("/admin/users")
def everybody():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    if user.role != "admin":
        return jsonify({"error": "Admins only"}), 403
    return jsonify([each.to_dict() for each in User.query.all()])

@app.route("/members")
def members():
    user = current_user()
    if not user:
        return jsonify({"error": "Log in first"}), 401
    return jsonify([{"id": each.id, "name": each.email.partition("@")[0]} for each in User.query.all()])
""", "the administrator's list, one's own phone number, names made of addresses", MODELS_NEEDS),
    ]
