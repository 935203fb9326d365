"""Owns sample backends that keep something in variables of a module."""

from __future__ import annotations

from toughen.specimens import PLAIN, SESSION

TODOS = """from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()
todos = []

class Todo(BaseModel):
    title: str

@app.get("/todos")
def list_todos():
    return todos

@app.post("/todos", status_code=201)
def add(todo: Todo):
    made = {"id": len(todos) + 1, "title": todo.title}
    todos.append(made)
    return made

@app.get("/todos/{todo_id}")
def show(todo_id: int):
    for each in todos:
        if each["id"] == todo_id:
            return each
    raise HTTPException(404, "No such todo")
"""
NOTES = """from uuid import uuid4
from flask import Flask, jsonify, request
app = Flask(__name__)

class Notes:
    def __init__(self):
        self._kept = {}

    def save(self, text):
        key = uuid4().hex
        self._kept[key] = text
        return key

    def find(self, key):
        return self._kept.get(key)

notes = Notes()

@app.post("/notes")
def write():
    return jsonify({"id": notes.save(request.get_json()["text"])}), 201

@app.get("/notes/<key>")
def read(key):
    text = notes.find(key)
    return jsonify({"text": text}) if text is not None else (jsonify({"error": "no such note"}), 404)
"""
SEATS = """from flask import Flask, jsonify
app = Flask(__name__)
seats = 40

@app.get("/seats")
def left():
    return jsonify({"left": seats})

@app.post("/seats/book")
def book():
    global seats
    if seats < 1:
        return jsonify({"error": "sold out"}), 409
    seats -= 1
    return jsonify({"ok": True})
"""
CACHED = SESSION + """
class Todo(Base):
    __tablename__ = "todos"
    id = Column(Integer, primary_key=True)
    title = Column(String)

class NewTodo(BaseModel):
    title: str

Base.metadata.create_all(engine)
known = {}

@app.post("/todos", status_code=201)
def add(data: NewTodo, db: Session = Depends(get_db)):
    made = Todo(title=data.title)
    db.add(made)
    db.commit()
    known[made.id] = made.title
    return {"id": made.id}

@app.get("/todos/{todo_id}")
def show(todo_id: int, db: Session = Depends(get_db)):
    if todo_id not in known:
        row = db.get(Todo, todo_id)
        if row is None:
            raise HTTPException(404, "No such todo")
        known[todo_id] = row.title
    return {"title": known[todo_id]}
"""
LIMITED = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)")

attempts = {}

@app.route("/notes")
def notes():
    conn = get_db()
    rows = conn.execute("SELECT id, body FROM notes").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/notes", methods=["POST"])
def note():
    attempts[request.remote_addr] = attempts.get(request.remote_addr, 0) + 1
    if attempts[request.remote_addr] > 100:
        return jsonify({"error": "slow down"}), 429
    conn = get_db()
    made = conn.execute("INSERT INTO notes (body) VALUES (?)", (request.get_json()["body"],)).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201
"""
REGISTRY = """from fastapi import FastAPI, HTTPException
app = FastAPI()
handlers = {}

def handler(name):
    def keep(function):
        handlers[name] = function
        return function
    return keep

@handler("upper")
def upper(text):
    return text.upper()

@app.get("/handlers")
def names():
    return sorted(handlers)

@app.post("/run/{name}")
def run(name: str, text: str):
    if name not in handlers:
        raise HTTPException(404, "No such handler")
    return {"result": handlers[name](text)}
"""
FILED = """import json
import os
from flask import Flask, jsonify, request
app = Flask(__name__)
FILE = "todos.json"
todos = json.load(open(FILE)) if os.path.exists(FILE) else []

def load():
    return json.load(open(FILE)) if os.path.exists(FILE) else []

@app.get("/todos")
def show():
    return jsonify(load())

@app.post("/todos")
def add():
    todos.append({"title": request.get_json()["title"]})
    with open(FILE, "w") as file:
        json.dump(todos, file)
    return jsonify({"ok": True}), 201
"""
DEPOSITS = """import asyncio
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()
accounts = {}
lock = asyncio.Lock()

class NewAccount(BaseModel):
    owner: str
    balance: int

class Deposit(BaseModel):
    amount: int

async def ask_the_bank(amount):
    await asyncio.sleep(0.001)

@app.get("/accounts")
async def all_accounts():
    return accounts

@app.post("/accounts", status_code=201)
async def open_account(data: NewAccount):
    number = len(accounts) + 1
    accounts[number] = {"owner": data.owner, "balance": data.balance}
    return {"id": number}

@app.post("/accounts/{account_id}/deposit")
async def deposit(account_id: int, data: Deposit):
    if account_id not in accounts:
        raise HTTPException(404, "no such account")
    balance = accounts[account_id]["balance"]
    await ask_the_bank(data.amount)
    accounts[account_id]["balance"] = balance + data.amount
    return {"ok": True}
"""
"""Between the read and the write a task gives way to others."""
LOCKED = DEPOSITS.replace("""    balance = accounts[account_id]["balance"]
    await ask_the_bank(data.amount)
    accounts[account_id]["balance"] = balance + data.amount
""", """    async with lock:
        balance = accounts[account_id]["balance"]
        await ask_the_bank(data.amount)
        accounts[account_id]["balance"] = balance + data.amount
""")
PIECES = """from threading import Lock
from flask import Flask, jsonify, request
app = Flask(__name__)
products = {}
lock = Lock()

@app.get("/products")
def all_products():
    return jsonify(list(products.values()))

@app.post("/products")
def add():
    data = request.get_json()
    number = len(products) + 1
    products[number] = {"id": number, "name": str(data["name"]), "pieces": int(data["pieces"])}
    return jsonify({"id": number}), 201

@app.post("/products/<int:product_id>/buy")
def buy(product_id):
    product = products.get(product_id)
    if product is None:
        return jsonify({"error": "no such product"}), 404
    if product["pieces"] < 1:
        return jsonify({"error": "sold out"}), 409
    product["pieces"] -= 1
    return jsonify({"ok": True})
"""
"""Two threads both see the last piece."""
COUNTED = PIECES.replace("""    if product["pieces"] < 1:
        return jsonify({"error": "sold out"}), 409
    product["pieces"] -= 1
""", """    with lock:
        if product["pieces"] < 1:
            return jsonify({"error": "sold out"}), 409
        product["pieces"] -= 1
""")

GIVEN = """from functools import lru_cache
from uuid import uuid4
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
app = FastAPI()

class Recipe(BaseModel):
    title: str

class Recipes:
    def __init__(self):
        self._kept = {}

    def create(self, title):
        key = uuid4().hex
        self._kept[key] = title
        return key

    def find(self, key):
        return self._kept.get(key)

@lru_cache
def get_recipes():
    return Recipes()

@app.post("/recipes", status_code=201)
def write(recipe: Recipe, recipes: Recipes = Depends(get_recipes)):
    return {"id": recipes.create(recipe.title)}

@app.get("/recipes/{key}")
def read(key: str, recipes: Recipes = Depends(get_recipes)):
    title = recipes.find(key)
    if title is None:
        raise HTTPException(status_code=404, detail="No such recipe")
    return {"title": title}
"""
"""What is kept in an object that a function makes once."""
MADE_LATER = """from flask import Flask, jsonify, request
app = Flask(__name__)
_board = None

class Board:
    def __init__(self):
        self.cards = []

    def pin(self, text):
        self.cards.append(text)

def get_board():
    global _board
    if _board is None:
        _board = Board()
    return _board

@app.post("/cards")
def pin():
    board = get_board()
    board.pin(request.get_json()["text"])
    return jsonify({"ok": True}), 201

@app.get("/cards")
def cards():
    board = get_board()
    return jsonify(board.cards)
"""
"""What is kept in an object that is made when somebody first asks for it."""
TWICE_MADE = GIVEN.replace("        self._kept = {}\n", "        self._kept = dict(SEEDED)\n").replace("class Recipe(BaseModel)", "SEEDED = {}\n\nclass Recipe(BaseModel)").replace("@lru_cache\n", "")
"""Each request gets an object of its own: what is kept is gone with it, in one process as in two."""
