"""Races on a MySQL server: proven there, mended, and gone there afterwards; its snapshots and its counts of rows are not those of others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toughen.lab import mysql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

RAW = """
    import pymysql
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    def link():
        return pymysql.connect(host="db.example.com", user="shop", password="secret", database="shop", cursorclass=pymysql.cursors.DictCursor)


    def prepare():
        db = link()
        cur = db.cursor()
        cur.execute("CREATE TABLE IF NOT EXISTS accounts (id INT AUTO_INCREMENT PRIMARY KEY, owner VARCHAR(50), balance INT NOT NULL)")
        cur.execute("CREATE TABLE IF NOT EXISTS tickets (id INT AUTO_INCREMENT PRIMARY KEY, title VARCHAR(50), remaining INT NOT NULL)")
        cur.execute("SELECT COUNT(*) AS n FROM accounts")
        if cur.fetchone()["n"] == 0:
            cur.execute("INSERT INTO accounts (owner, balance) VALUES ('ann', 100), ('bob', 100)")
            cur.execute("INSERT INTO tickets (title, remaining) VALUES ('opera', 3)")
        db.commit()
        db.close()


    prepare()


    @app.post("/accounts/<int:account>/fee")
    def fee(account):
        db = link()
        cur = db.cursor()
        cur.execute("SELECT balance FROM accounts WHERE id = %s", (account,))
        row = cur.fetchone()
        if row is None:
            return jsonify(error="no such account"), 404
        rest = row["balance"] - max(1, row["balance"] // 50)
        cur.execute("UPDATE accounts SET balance = %s WHERE id = %s", (rest, account))
        db.commit()
        return jsonify(balance=rest)


    @app.post("/tickets/<int:ticket>/buy")
    def buy(ticket):
        db = link()
        cur = db.cursor()
        cur.execute("SELECT remaining FROM tickets WHERE id = %s", (ticket,))
        row = cur.fetchone()
        if row is None:
            return jsonify(error="no such ticket"), 404
        if row["remaining"] < 1:
            return jsonify(error="sold out"), 409
        cur.execute("UPDATE tickets SET remaining = remaining - 1 WHERE id = %s", (ticket,))
        db.commit()
        return jsonify(ok=True)
    """
MAPPED = """
    import secrets

    from fastapi import Depends, FastAPI, HTTPException
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
    from pydantic import BaseModel
    from sqlalchemy import Column, Integer, String, create_engine, func, select
    from sqlalchemy.orm import Session, declarative_base, sessionmaker

    engine = create_engine("mysql+pymysql://root:root@localhost:3306/wallet")
    SessionLocal = sessionmaker(bind=engine)
    Base = declarative_base()


    class User(Base):
        __tablename__ = "users"
        id = Column(Integer, primary_key=True)
        name = Column(String(50), unique=True)
        password = Column(String(80))
        token = Column(String(50), unique=True)
        balance = Column(Integer, default=100)


    class Item(Base):
        __tablename__ = "items"
        id = Column(Integer, primary_key=True)
        name = Column(String(50))
        stock = Column(Integer, default=5)


    Base.metadata.create_all(engine)
    with SessionLocal() as start:
        if not start.scalar(select(func.count(Item.id))):
            start.add(Item(name="lamp", stock=5))
            start.commit()
    app = FastAPI()
    bearer = HTTPBearer()


    def get_db():
        db = SessionLocal()
        try:
            yield db
        finally:
            db.close()


    def current(held: HTTPAuthorizationCredentials = Depends(bearer), db: Session = Depends(get_db)):
        user = db.query(User).filter(User.token == held.credentials).first()
        if user is None:
            raise HTTPException(401, "who")
        return user


    class Credentials(BaseModel):
        name: str
        password: str


    class Amount(BaseModel):
        amount: int


    @app.post("/register")
    def register(body: Credentials, db: Session = Depends(get_db)):
        if db.query(User).filter(User.name == body.name).first():
            raise HTTPException(409, "taken")
        user = User(name=body.name, password=body.password, token=secrets.token_hex(16), balance=100)
        db.add(user)
        db.commit()
        return {"id": user.id}


    @app.post("/login")
    def login(body: Credentials, db: Session = Depends(get_db)):
        user = db.query(User).filter(User.name == body.name, User.password == body.password).first()
        if user is None:
            raise HTTPException(401, "wrong")
        return {"access_token": user.token, "token_type": "bearer"}


    @app.post("/withdraw")
    def withdraw(body: Amount, user: User = Depends(current), db: Session = Depends(get_db)):
        if body.amount <= 0:
            raise HTTPException(422, "amount")
        if user.balance < body.amount:
            raise HTTPException(400, "funds")
        user.balance = user.balance - body.amount
        db.commit()
        return {"balance": user.balance}


    @app.post("/items/{item_id}/buy")
    def buy(item_id: int, user: User = Depends(current), db: Session = Depends(get_db)):
        item = db.query(Item).filter(Item.id == item_id).first()
        if item is None:
            raise HTTPException(404, "none")
        if item.stock < 1:
            raise HTTPException(400, "sold out")
        item.stock = item.stock - 1
        db.commit()
        return {"stock": item.stock}
    """
CASES = {
    "PyMySQL": ("app.py", RAW, "flask\npymysql\n", {"POST /accounts/{account}/fee", "POST /tickets/{ticket}/buy"}),
    "SQLAlchemy, rows that were read before, within the same snapshot": ("main.py", MAPPED, "fastapi\nsqlalchemy\npymysql\n", {"POST /withdraw", "POST /items/{item_id}/buy"}),
}
RACES = "race/lost-update", "race/check-then-act"


@pytest.mark.long
@pytest.mark.parametrize("case", list(CASES))
def test_a_race_is_mended(prototype: Write, case: str) -> None:
    """Each handler's race is proven on MySQL; once it is mended the same requests succeed, and no race is left there."""
    if lacks := mysql.lacking():
        pytest.skip(lacks)
    name, source, needs, broken = CASES[case]
    project = prototype({name: source, "requirements.txt": needs})
    found = json.loads(_ran(project, "check", 10))
    assert found["prototype"]["database"] == "mysql"
    proven = {f"{each['route']['method']} {each['route']['path']}" for each in found["findings"] if each["status"] == "proven" and each["break"] in RACES}
    assert proven == broken
    assert project.toughen("fix", project.root.name, "--only", "race", "--force", seconds=300).returncode == 0
    again = json.loads(_ran(project, "check", 0))
    assert [each for each in again["findings"] if each["status"] == "proven"] == []
    assert again["coverage"]["reached"] == found["coverage"]["reached"]


def _ran(project: Prototype, verb: str, code: int) -> str:
    done = project.toughen(verb, project.root.name, "--only", "race", "--format", "json", seconds=300)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout
