"""The audit of a prototype with tenants and roles, as a user runs it."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    import base64, hashlib, hmac, json, os, secrets, time
    from fastapi import Depends, FastAPI, Header, HTTPException
    from pydantic import BaseModel
    from sqlalchemy import Column, ForeignKey, Integer, String, create_engine
    from sqlalchemy.orm import Session, declarative_base, sessionmaker

    SECRET_KEY = os.environ["SECRET_KEY"]
    engine = create_engine("sqlite:///./notes.db", connect_args={"check_same_thread": False})
    SessionLocal = sessionmaker(bind=engine)
    Base = declarative_base()
    app = FastAPI()


    class Organization(Base):
        __tablename__ = "organizations"
        id = Column(Integer, primary_key=True)
        name = Column(String, unique=True, nullable=False)


    class User(Base):
        __tablename__ = "users"
        id = Column(Integer, primary_key=True)
        email = Column(String, unique=True, nullable=False)
        password = Column(String, nullable=False)
        role = Column(String, nullable=False, default="member")
        organization_id = Column(ForeignKey("organizations.id"), nullable=False)


    class Note(Base):
        __tablename__ = "notes"
        id = Column(Integer, primary_key=True)
        text = Column(String, nullable=False)
        user_id = Column(ForeignKey("users.id"), nullable=False)
        organization_id = Column(ForeignKey("organizations.id"), nullable=False)


    class Plan(Base):
        __tablename__ = "plans"
        id = Column(Integer, primary_key=True)
        title = Column(String, nullable=False)


    class Credentials(BaseModel):
        email: str
        password: str


    class NewNote(BaseModel):
        text: str


    class NewPlan(BaseModel):
        title: str


    Base.metadata.create_all(engine)


    def get_db():
        with SessionLocal() as db:
            yield db


    def part(raw):
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


    def sealed(text):
        return part(hmac.new(SECRET_KEY.encode(), text.encode(), "sha256").digest())


    def current_user(authorization: str = Header(""), db: Session = Depends(get_db)):
        head, _, seal = authorization.removeprefix("Bearer ").rpartition(".")
        if not head or not hmac.compare_digest(seal, sealed(head)):
            raise HTTPException(401, "Log in first")
        body = head.partition(".")[2]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        user = db.get(User, int(claims["sub"])) if claims["exp"] > time.time() else None
        if user is None:
            raise HTTPException(401, "Log in first")
        return user


    def require(*roles):
        def check(user: User = Depends(current_user)):
            if user.role not in roles:
                raise HTTPException(403, "Not for your role")
            return user
        return check


    @app.get("/health")
    def health():
        return {"status": "ok"}


    @app.post("/register", status_code=201)
    def register(data: Credentials, db: Session = Depends(get_db)):
        if db.query(User).filter(User.email == data.email).first():
            raise HTTPException(409, "taken")
        organization = Organization(name=data.email)
        db.add(organization)
        db.flush()
        salt = secrets.token_hex(8)
        held = hashlib.pbkdf2_hmac("sha256", data.password.encode(), salt.encode(), 1000).hex()
        user = User(email=data.email, password=salt + "$" + held, organization_id=organization.id)
        db.add(user)
        db.commit()
        return {"id": user.id}


    @app.post("/login")
    def login(data: Credentials, db: Session = Depends(get_db)):
        user = db.query(User).filter(User.email == data.email).first()
        salt = user.password.partition("$")[0] if user else ""
        if user is None or user.password != salt + "$" + hashlib.pbkdf2_hmac("sha256", data.password.encode(), salt.encode(), 1000).hex():
            raise HTTPException(401, "Wrong address or password")
        text = part(b'{"alg":"HS256","typ":"JWT"}') + "." + part(json.dumps({"sub": str(user.id), "exp": int(time.time()) + 3600}).encode())
        return {"access_token": text + "." + sealed(text)}


    @app.get("/notes")
    def notes(user: User = Depends(current_user), db: Session = Depends(get_db)):
        return [{"id": each.id, "text": each.text} for each in db.query(Note).filter(Note.user_id == user.id)]


    @app.post("/notes", status_code=201)
    def add(data: NewNote, user: User = Depends(current_user), db: Session = Depends(get_db)):
        note = Note(text=data.text, user_id=user.id, organization_id=user.organization_id)
        db.add(note)
        db.commit()
        return {"id": note.id, "text": note.text}


    @app.get("/notes/{note_id}")
    def read(note_id: int, user: User = Depends(current_user), db: Session = Depends(get_db)):
        note = db.query(Note).filter(Note.id == note_id, Note.organization_id == user.organization_id).first()
        if note is None or (note.user_id != user.id and user.role != "admin"):
            raise HTTPException(404, "No such note")
        return {"id": note.id, "text": note.text}


    @app.put("/notes/{note_id}")
    def change(note_id: int, data: NewNote, user: User = Depends(current_user), db: Session = Depends(get_db)):
        note = db.get(Note, note_id)
        if note is None or (FOREIGN):
            raise HTTPException(404, "No such note")
        note.text = data.text
        db.commit()
        return {"id": note.id, "text": note.text}


    @app.get("/plans")
    def plans(user: User = Depends(current_user), db: Session = Depends(get_db)):
        return [{"id": each.id, "title": each.title} for each in db.query(Plan)]


    @app.post("/plans", status_code=201)
    def add_plan(data: NewPlan, user: User = Depends(require("admin")), db: Session = Depends(get_db)):
        plan = Plan(title=data.title)
        db.add(plan)
        db.commit()
        return {"id": plan.id}
    """
OPEN, CLOSED = "note.organization_id == user.organization_id and note.user_id != user.id", "note.user_id != user.id"


def test_every_cell_is_decided_and_a_hole_between_tenants_is_proven(prototype: Write) -> None:
    """The owner's check that is skipped for other tenants is a proven break; all else is decided as the source has it, also for credentials that mean nothing."""
    project = prototype({"main.py": APP.replace("FOREIGN", OPEN)})
    before = project.digest()
    done = project.toughen("audit", project.root.name, "--format", "json")
    assert done.returncode == 10, (done.stdout[-2000:], done.stderr)
    report = json.loads(done.stdout)
    assert [each["id"] for each in report["findings"] if each["status"] == "proven"] == ["security/object-authorization@PUT /notes/{note_id}#write"]
    cells = {(f"{each['method']} {each['path']}", each["who"], each["whose"]): each["access"] for each in report["matrix"]}
    assert {each["who"] for each in report["matrix"]} == {"anonymous", "garbage", "foreign-signed", "expired", "user", "admin"}
    assert report["coverage"]["authorization"] == {"cells": len(cells), "untested": 0, "undecided": 1, "missing": 1} | {
        each: report["coverage"]["authorization"][each] for each in ("allowed", "refused")
    }
    read = {key[1:]: access for key, access in cells.items() if key[0] == "GET /notes/{note_id}"}
    assert read == {
        **{(who, "-"): "refused" for who in ("anonymous", "garbage", "foreign-signed", "expired")},
        ("user", "own"): "allowed", ("user", "other's"): "refused", ("user", "other tenant's"): "refused",
        ("admin", "own"): "allowed", ("admin", "other's"): "allowed", ("admin", "other tenant's"): "refused",
    }  # fmt: skip
    assert cells["PUT /notes/{note_id}", "user", "other tenant's"] == "missing"
    assert (cells["POST /plans", "user", "-"], cells["POST /plans", "admin", "-"]) == ("refused", "allowed")
    assert {access for key, access in cells.items() if key[0] in {"GET /health", "POST /register", "POST /login"}} == {"allowed"}
    policy = tomllib.loads((project.root / "toughen-policy.toml").read_text())["routes"]
    assert policy["GET /notes/{note_id}"] == {"allow": ["owner", "admin"]}
    assert policy["GET /health"] == {"allow": ["anyone"]}
    assert policy["POST /plans"] == {"allow": ["admin"]}
    after = project.digest()
    assert {name for name in after if after[name] != before.get(name)} == {"toughen-policy.toml"}
    assert not project.left_behind()


def test_a_reviewed_policy_is_the_oracle(prototype: Write) -> None:
    """What the policy no longer allows is proven; a route without a line and one that refuses whom it allows are told; else nothing is."""
    project = prototype({"main.py": APP.replace("FOREIGN", CLOSED)})
    assert project.toughen("audit", project.root.name).returncode == 0
    file = project.root / "toughen-policy.toml"
    drawn = file.read_text()
    assert "ask" not in tomllib.loads(drawn)["routes"]["GET /plans"]
    assert project.toughen("audit", project.root.name).returncode == 0
    assert file.read_text() == drawn
    file.write_text(drawn.replace('[routes."GET /plans"]\nallow = ["users"]', '[routes."GET /plans"]\nallow = ["admin"]'))
    done = project.toughen("audit", project.root.name)
    assert done.returncode == 10, (done.stdout, done.stderr)
    assert "security/function-authorization on GET /plans" in done.stdout
    assert "the reviewed policy does not allow it" in done.stdout
    file.write_text(drawn.replace('[routes."GET /plans"]\nallow = ["users"]\n', "").replace('[routes."POST /plans"]\nallow = ["admin"]', '[routes."POST /plans"]\nallow = ["user", "admin"]'))
    done = project.toughen("audit", project.root.name, "--no-write")
    assert done.returncode == 11, (done.stdout, done.stderr)
    assert "GET /plans has no line in toughen-policy.toml" in done.stderr
    assert "POST /plans refuses user, whom toughen-policy.toml allows it" in done.stderr


@pytest.mark.long
def test_what_the_reviewed_policy_allows_is_meant(prototype: Write) -> None:
    """The same hole between tenants is no finding where the owner's policy says that he wants it."""
    project = prototype({"main.py": APP.replace("FOREIGN", OPEN)})
    assert project.toughen("audit", project.root.name).returncode == 10
    file = project.root / "toughen-policy.toml"
    drawn = file.read_text()
    allowed = tomllib.loads(drawn)["routes"]["PUT /notes/{note_id}"]["allow"]
    line = "allow = " + json.dumps(allowed)
    at = drawn.index(line, drawn.index('[routes."PUT /notes/{note_id}"]'))
    file.write_text(drawn[:at] + "allow = " + json.dumps([*allowed, "user on other tenant's"]) + drawn[at + len(line) :])
    done = project.toughen("audit", project.root.name)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert "object-authorization" not in done.stdout
