"""Owns sample backends with tests of their own: some that bite, some that only look so."""

from __future__ import annotations

TRANSFER = """from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field
app = FastAPI()
accounts = {"ann": 100, "ben": 0}

class Transfer(BaseModel):
    to: str
    amount: int = Field(gt=0)

def caller(x_user: str = Header()):
    if x_user not in accounts:
        raise HTTPException(status_code=401, detail="Who are you?")
    return x_user

@app.get("/")
def home():
    return {"bank": "open"}

@app.get("/balance")
def balance(user: str = Depends(caller)):
    return {"balance": accounts[user]}

@app.post("/transfer")
def transfer(order: Transfer, user: str = Depends(caller)):
    if accounts[user] < order.amount:
        raise HTTPException(status_code=400, detail="Insufficient funds")
    accounts[user] -= order.amount
    accounts[order.to] = accounts.get(order.to, 0) + order.amount
    return {"balance": accounts[user]}
"""
_CLIENT = """import pytest
from fastapi.testclient import TestClient
import main

@pytest.fixture
def client():
    main.accounts.clear()
    main.accounts.update(ann=100, ben=0)
    return TestClient(main.app)

def test_balance(client):
    assert client.get("/balance", headers={"X-User": "ann"}).json() == {"balance": 100}

def test_transfer(client):
    answer = client.post("/transfer", json={"to": "ben", "amount": 30}, headers={"X-User": "ann"})
    assert answer.status_code == 200
    assert answer.json() == {"balance": 70}
"""
HAPPY = {"test_main.py": _CLIENT}
"""Everything that works is tried, and nothing that must not."""
BITING = {"test_main.py": _CLIENT + """
def test_not_more_than_there_is(client):
    answer = client.post("/transfer", json={"to": "ben", "amount": 101}, headers={"X-User": "ann"})
    assert answer.status_code == 400
    assert main.accounts == {"ann": 100, "ben": 0}

@pytest.mark.parametrize("amount", [0, -5])
def test_not_less_than_something(client, amount):
    assert client.post("/transfer", json={"to": "ben", "amount": amount}, headers={"X-User": "ann"}).status_code == 422

def test_nobody_is_refused(client):
    assert client.get("/balance", headers={"X-User": "eve"}).status_code == 401
"""}
"""Each guard has a test that fails without it."""
EMPTY_TESTS = {"test_main.py": """from fastapi.testclient import TestClient
import main
client = TestClient(main.app)

def test_balance():
    answer = client.get("/balance", headers={"X-User": "ann"})
    assert answer is not None

def test_transfer():
    try:
        answer = client.post("/transfer", json={"to": "ben", "amount": 1}, headers={"X-User": "ann"})
        assert answer.status_code == 200
    except AssertionError:
        pass
"""}
"""Tests that pass whatever is answered."""
FLASK_BOOK = """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
app.config["DB"] = "book.db"

def connect():
    conn = sqlite3.connect(app.config["DB"])
    conn.execute("CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, owner TEXT NOT NULL, text TEXT NOT NULL)")
    return conn

@app.post("/entries")
def add():
    data = request.get_json()
    if not data.get("text"):
        return jsonify({"error": "nothing to write"}), 400
    conn = connect()
    new = conn.execute("INSERT INTO entries (owner, text) VALUES (?, ?)", (data["owner"], data["text"])).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": new}), 201

@app.get("/entries/<int:entry_id>")
def show(entry_id):
    conn = connect()
    row = conn.execute("SELECT text FROM entries WHERE id = ?", (entry_id,)).fetchone()
    conn.close()
    if row is None:
        return jsonify({"error": "no such entry"}), 404
    return jsonify({"text": row[0]})
"""
UNITTEST = {"tests/test_book.py": """import os, tempfile, unittest
from main import app

class BookTests(unittest.TestCase):
    def setUp(self):
        self.file = tempfile.NamedTemporaryFile(suffix=".db", delete=False).name
        app.config["DB"] = self.file
        self.client = app.test_client()

    def tearDown(self):
        os.unlink(self.file)

    def test_an_entry_is_written_and_read(self):
        new = self.client.post("/entries", json={"owner": "ann", "text": "hello"}).get_json()["id"]
        self.assertEqual(self.client.get(f"/entries/{new}").get_json(), {"text": "hello"})

    def test_nothing_is_refused(self):
        self.assertEqual(self.client.post("/entries", json={"owner": "ann", "text": ""}).status_code, 400)

    def test_what_is_not_there(self):
        self.assertEqual(self.client.get("/entries/99").status_code, 404)
""", "tests/__init__.py": ""}
"""unittest, with setUp and a database of its own."""
