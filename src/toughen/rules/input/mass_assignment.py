"""Owns input/mass-assignment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import repairs, signs
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.journey import Literal
from toughen.model.trial import Experiment, Trial
from toughen.raising import open_to_clients, power
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.sweep import same_value, written_rows
from toughen.timeline import row_facts
from toughen.twists import POWER, UNSEEN, answer, changed, powerful, shown, succeeded, unseen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Json, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class MassAssignment(Rule):
    """A field that only the server may set is taken from the request: a role, a balance, a verified flag.

    Who pays: everybody else. One extra key in the JSON makes its sender an administrator, or rich.

    Example: `for key, value in data.items(): setattr(user, key, value)`; `User(**payload)`.
    Instead: name the fields that a client may set, at the boundary; drop the others.

    References: CWE-915; OWASP API3:2023; ASVS 5.0 V15.3.3.
    """

    id = "input/mass-assignment"
    title = "The request sets a field that only the server may set"
    severity = Severity.CRITICAL
    cwe = (915,)
    owasp = "API3:2023"
    asvs = "V15.3.3"
    order = 30

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Columns of power that the keys of a body, or one of its fields, may reach."""
        yield from signs.assigned(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each power column of the rows that the request writes, as one more field beside the honest ones."""
        place = Place.FORM if journey.call.body in {"form", "multipart"} else Place.JSON
        sender = target.identity(journey.identity or "")
        if route.method in {"GET", "DELETE"} or powerful(sender):
            return
        fields = ",".join(sorted({str(each.path[0]) for each in journey.call.arguments if each.path and each.place is place}))
        for table, row in written_rows(target, route):
            for column in table.columns:
                value = power(column, row.get(column.name), target) if POWER.search(column.name) else None
                if value is None or journey.call.argument(place, (column.name,)):
                    continue
                call = journey.call.with_argument(place, (column.name,), Literal(value))
                trials = {"control": Trial(journey.calls, journey.grants), "hostile": Trial((*journey.calls[:-1], call), journey.grants)}
                asked = "yes" if open_to_clients(target, route, table, column.name, row.get(column.name), value) else ""
                detail = (("table", table.name), ("column", column.name), ("value", str(value)), ("fields", fields), ("asked", asked))
                yield Experiment(trials, f"{column.name} = {value!r}", detail)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The hostile value stands in the row, where the honest request leaves another one."""
        control, hostile = traces["control"], traces["hostile"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        table, column, value = (experiment.fact(name) for name in ("table", "column", "value"))
        if any(same_value(each.after.get(column), value) for each in changed(control) if each.table == table and column in each.columns):
            return Unclear(f"the honest request sets {table}.{column} to {value} as well")
        bad = tuple(each for each in changed(hostile) if each.table == table and column in each.columns and same_value(each.after.get(column), value))
        if not bad:
            return Unclear(UNSEEN) if unseen(hostile, lambda each: same_value(each, value)) else Fails()
        if experiment.fact("asked"):
            return Unclear(f"the route asks for {column}, and nothing says that a client may not set {table}.{column}")
        facts: dict[str, Json] = {"request": shown(hostile.last), "answer": answer(hostile.last), "rows": [*row_facts(bad)]}
        message = f"{experiment.about} in the request is written to {table}.{column}, which an honest client cannot set"
        place = next((each.location for each in reversed(hostile.last.statements) if table.lower() in each.writes), None)
        return Holds(Evidence(message, facts, place, (("table", table), ("column", column), ("fields", experiment.fact("fields"))), key=column))

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An allow-list of what honest clients send, or the field taken out of reach."""
        yield from repairs.assignment(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(
            """from flask import Flask, jsonify, request
from flask_sqlalchemy import SQLAlchemy
app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///app.db"
db = SQLAlchemy(app)

class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80))
    is_admin = db.Column(db.Boolean, default=False)

with app.app_context():
    db.create_all()

@app.route("/users", methods=["POST"])
def create_user():
    user = User(name=request.get_json()["name"])
    db.session.add(user)
    db.session.commit()
    return jsonify({"id": user.id}), 201

@app.route("/users/<int:user_id>", methods=["PUT"])
def update_user(user_id):
    user = db.get_or_404(User, user_id)
    data = request.get_json()
    for key, value in data.items():
        setattr(user, key, value)
    db.session.commit()
    return jsonify({"id": user.id, "name": user.name})
""", "PUT /users/{user_id}", ("flask", "flask-sqlalchemy")),
        Broken(
            """import sqlite3
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()
conn = sqlite3.connect("app.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT, role TEXT DEFAULT 'user')")

class Member(BaseModel):
    name: str
    role: str = "user"

@app.post("/members", status_code=201)
def join(member: Member):
    data = member.dict()
    columns, marks = ", ".join(data), ", ".join("?" * len(data))
    conn.execute(f"INSERT INTO members ({columns}) VALUES ({marks})", tuple(data.values()))
    conn.commit()
    return {"name": member.name}
""", "POST /members", ("fastapi",)),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(
            """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
conn = sqlite3.connect("app.db", check_same_thread=False, isolation_level=None)
conn.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT, role TEXT DEFAULT 'user', is_active BOOLEAN)")

@app.route("/members", methods=["POST"])
def join():
    data = {key: value for key, value in request.get_json().items() if key in ("name", "is_active")}
    given = (data["name"], data.get("role", "user"), data.get("is_active", True))
    new = conn.execute("INSERT INTO members (name, role, is_active) VALUES (?, ?, ?)", given).lastrowid
    return jsonify({"id": new}), 201
""", "the body is filtered by an allow-list, the role has a default of the server, and a flag that is on for everybody can only be switched off"),
        Sound(
            """import os, secrets
from enum import Enum
import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import Column, ForeignKey, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker
from werkzeug.security import check_password_hash, generate_password_hash
engine = create_engine("sqlite:///./lessons.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
KEY = os.environ.get("JWT_KEY") or secrets.token_hex(32)
app = FastAPI()
bearer = HTTPBearer()

class Role(str, Enum):
    pupil = "pupil"
    tutor = "tutor"

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    username = Column(String(40), unique=True, nullable=False)
    password = Column(String(200), nullable=False)
    role = Column(String(20), nullable=False)

class Lesson(Base):
    __tablename__ = "lessons"
    id = Column(Integer, primary_key=True)
    title = Column(String(80), nullable=False)
    tutor_id = Column(Integer, ForeignKey("users.id"), nullable=False)

Base.metadata.create_all(engine)

class SignUp(BaseModel):
    username: str
    password: str
    role: Role = Role.pupil

class Login(BaseModel):
    username: str
    password: str

class NewLesson(BaseModel):
    title: str

def get_db():
    with SessionLocal() as db:
        yield db

def me(credentials: HTTPAuthorizationCredentials = Depends(bearer), db: Session = Depends(get_db)):
    try:
        user = db.get(User, int(jwt.decode(credentials.credentials, KEY, algorithms=["HS256"])["sub"]))
    except jwt.PyJWTError:
        raise HTTPException(401, "Log in first") from None
    if user is None:
        raise HTTPException(401, "Log in first")
    return user

@app.post("/users", status_code=201)
def join(data: SignUp, db: Session = Depends(get_db)):
    if db.query(User).filter(User.username == data.username).first():
        raise HTTPException(409, "Taken")
    db.add(User(username=data.username, password=generate_password_hash(data.password), role=data.role.value))
    db.commit()
    return {"username": data.username, "role": data.role}

@app.post("/login")
def login(data: Login, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.username == data.username).first()
    if user is None or not check_password_hash(user.password, data.password):
        raise HTTPException(401, "Wrong name or password")
    return {"access_token": jwt.encode({"sub": str(user.id)}, KEY, algorithm="HS256")}

@app.post("/lessons", status_code=201)
def offer(data: NewLesson, user: User = Depends(me), db: Session = Depends(get_db)):
    if user.role != "tutor":
        raise HTTPException(403, "Tutors only")
    lesson = Lesson(title=data.title, tutor_id=user.id)
    db.add(lesson)
    db.commit()
    return {"id": lesson.id}
""", "sign-up asks what somebody is here, and offers nothing that rules over others", ("fastapi", "sqlalchemy", "pyjwt", "werkzeug"),
            alike="that a tutor has no power over others is not written",
        ),
    ]
