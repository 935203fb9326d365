"""Owns the synthetic business application of the authorization audit: 221 routes, fifteen roles, tenants, owners."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ROUTES, ROLES = 221, 15
_NAMES = ["invoices", "orders", "quotes", "customers", "suppliers", "products", "warehouses", "shipments", "returns", "payments", "refunds", "contracts", "projects", "tasks", "tickets", "comments", "assets", "licences", "vehicles", "trips", "expenses", "budgets", "accounts", "ledgers", "reports", "audits", "meetings", "rooms", "bookings", "courses", "exams", "grades", "patients", "visits", "recipes", "menus", "campaigns", "leads", "deals", "articles", "pages", "surveys", "answers"]
_WRITERS = (
    ("clerk", "accountant", "manager"), ("seller", "sales_lead", "manager"), ("buyer", "purchaser", "manager"), ("picker", "warehouse_lead", "manager"),
    ("agent", "manager"), ("nurse", "teacher", "manager"),
)
_ALL = ("viewer", *dict.fromkeys(role for group in _WRITERS for role in group), "auditor", "admin")
_HEAD = '''"""A business application: {routes} routes, {roles} roles."""
import enum
import hashlib
import os
import secrets
from datetime import datetime, timedelta, timezone

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import OAuth2PasswordBearer
from pydantic import BaseModel, Field
from sqlalchemy import Column, Enum, ForeignKey, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

SECRET_KEY = os.environ["SECRET_KEY"]
engine = create_engine("sqlite:///./business.db", connect_args={{"check_same_thread": False}})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()
bearer = OAuth2PasswordBearer(tokenUrl="login")


class Role(str, enum.Enum):
{members}


class Tenant(Base):
    __tablename__ = "tenants"
    id = Column(Integer, primary_key=True)
    name = Column(String, unique=True, nullable=False)


class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    email = Column(String, unique=True, nullable=False)
    password_hash = Column(String, nullable=False)
    role = Column(Enum(Role), default=Role.viewer, nullable=False)
    tenant_id = Column(ForeignKey("tenants.id"), nullable=False)


class Registration(BaseModel):
    email: str = Field(min_length=3, max_length=100)
    password: str = Field(min_length=8, max_length=100)
    company: str = Field(min_length=2, max_length=100)


class Credentials(BaseModel):
    email: str = Field(max_length=100)
    password: str = Field(max_length=100)


class Content(BaseModel):
    title: str = Field(min_length=1, max_length=100)
    note: str = Field("", max_length=500)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


def hashed(password: str, salt: str) -> str:
    return salt + "$" + hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), 50_000).hex()


def current_user(token: str = Depends(bearer), db: Session = Depends(get_db)) -> User:
    try:
        user_id = int(jwt.decode(token, SECRET_KEY, algorithms=["HS256"])["sub"])
    except (jwt.PyJWTError, KeyError, ValueError):
        raise HTTPException(401, "Log in first")
    user = db.get(User, user_id)
    if user is None:
        raise HTTPException(401, "Log in first")
    return user


def require(*roles: Role):
    def check(user: User = Depends(current_user)) -> User:
        if user.role not in roles:
            raise HTTPException(403, "Not for your role")
        return user
    return check


@app.get("/health")
def health():
    return {{"status": "ok"}}


@app.post("/register", status_code=201)
def register(data: Registration, db: Session = Depends(get_db)):
    if db.query(User).filter(User.email == data.email).first():
        raise HTTPException(409, "This address is taken")
    tenant = Tenant(name=data.company + " " + secrets.token_hex(4))
    db.add(tenant)
    db.flush()
    user = User(email=data.email, password_hash=hashed(data.password, secrets.token_hex(8)), tenant_id=tenant.id)
    db.add(user)
    db.commit()
    return {{"id": user.id, "email": user.email}}


@app.post("/login")
def login(data: Credentials, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.email == data.email).first()
    if user is None or not secrets.compare_digest(user.password_hash, hashed(data.password, user.password_hash.partition("$")[0])):
        raise HTTPException(401, "Wrong address or password")
    expires = datetime.now(timezone.utc) + timedelta(hours=1)
    return {{"access_token": jwt.encode({{"sub": str(user.id), "exp": expires}}, SECRET_KEY, algorithm="HS256")}}


@app.get("/me")
def me(user: User = Depends(current_user)):
    return {{"id": user.id, "email": user.email, "role": user.role}}


@app.get("/staff")
def staff(user: User = Depends(require(Role.admin)), db: Session = Depends(get_db)):
    return [{{"id": each.id, "email": each.email, "role": each.role}} for each in db.query(User).filter(User.tenant_id == user.tenant_id)]


@app.get("/staff/{{user_id}}")
def colleague(user_id: int, user: User = Depends(require(Role.admin)), db: Session = Depends(get_db)):
    found = db.query(User).filter(User.id == user_id, User.tenant_id == user.tenant_id).first()
    if found is None:
        raise HTTPException(404, "No such user")
    return {{"id": found.id, "email": found.email, "role": found.role}}
'''
_PART = """

class {model}(Base):
    __tablename__ = "{name}"
    id = Column(Integer, primary_key=True)
    title = Column(String(100), nullable=False)
    note = Column(String(500), nullable=False)
    owner_id = Column(ForeignKey("users.id"), nullable=False)
    tenant_id = Column(ForeignKey("tenants.id"), nullable=False)


@app.get("/{name}")
def list_{name}(user: User = Depends(require({readers})), db: Session = Depends(get_db)):
    return [{{"id": each.id, "title": each.title, "note": each.note}} for each in db.query({model}).filter({model}.tenant_id == user.tenant_id).limit(100)]


@app.post("/{name}", status_code=201)
def add_{name}(data: Content, user: User = Depends(require({writers})), db: Session = Depends(get_db)):
    made = {model}(title=data.title, note=data.note, owner_id=user.id, tenant_id=user.tenant_id)
    db.add(made)
    db.commit()
    return {{"id": made.id, "title": made.title, "note": made.note}}


@app.get("/{name}/{{item_id}}")
def read_{name}(item_id: int, user: User = Depends(require({readers})), db: Session = Depends(get_db)):
    found = db.query({model}).filter({model}.id == item_id, {model}.tenant_id == user.tenant_id).first()
    if found is None:
        raise HTTPException(404, "No such entry")
    return {{"id": found.id, "title": found.title, "note": found.note}}


@app.put("/{name}/{{item_id}}")
def change_{name}(item_id: int, data: Content, user: User = Depends(require({writers})), db: Session = Depends(get_db)):
    found = db.query({model}).filter({model}.id == item_id, {model}.tenant_id == user.tenant_id).first()
    if found is None:
        raise HTTPException(404, "No such entry")
    if found.owner_id != user.id and user.role not in (Role.manager, Role.admin):
        raise HTTPException(403, "Not yours")
    found.title, found.note = data.title, data.note
    db.commit()
    return {{"id": found.id, "title": found.title, "note": found.note}}


@app.delete("/{name}/{{item_id}}", status_code=204)
def remove_{name}(item_id: int, user: User = Depends(require({writers})), db: Session = Depends(get_db)):
    found = db.query({model}).filter({model}.id == item_id, {model}.tenant_id == user.tenant_id).first()
    if found is None:
        raise HTTPException(404, "No such entry")
    if found.owner_id != user.id and user.role not in (Role.manager, Role.admin):
        raise HTTPException(403, "Not yours")
    db.delete(found)
    db.commit()
"""


def write(folder: Path) -> None:
    """Write the application into an empty folder."""
    parts = [_HEAD.format(routes=ROUTES, roles=ROLES, members="\n".join(f'    {role} = "{role}"' for role in _ALL))]
    for number, name in enumerate(_NAMES):
        group = _WRITERS[number % len(_WRITERS)]
        writers, readers = (*group, "admin"), (*group, "admin", "auditor", "viewer")
        told = {"writers": ", ".join(f"Role.{each}" for each in writers), "readers": ", ".join(f"Role.{each}" for each in readers)}
        parts.append(_PART.format(name=name, model=name.title().rstrip("s") or name.title(), **told))
    parts.append("\n\nBase.metadata.create_all(engine)\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text("".join(parts))
    (folder / "requirements.txt").write_text("fastapi\nsqlalchemy\npyjwt\npython-multipart\n")
