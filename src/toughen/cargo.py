"""Owns example apps that hand out pages and take lists, texts, files and patterns, as an AI assistant writes them."""

from __future__ import annotations

from toughen.specimens import FASTAPI, PLAIN, SESSION

NOTES = PLAIN + """    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text VARCHAR(200) NOT NULL)")

@app.post("/notes")
def add():
    text = (request.get_json(silent=True) or {}).get("text")
    if not isinstance(text, str) or not 0 < len(text) <= 200:
        return jsonify({"error": "text is required"}), 400
    with get_db() as conn:
        new = conn.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid
    return jsonify({"id": new}), 201

@app.get("/notes")
def notes():
    try:
        page = int(request.args.get("page", 1))
        per_page = int(request.args.get("per_page", 20))
    except ValueError:
        return jsonify({"error": "page must be a number"}), 400
    rows = get_db().execute("SELECT id, text FROM notes ORDER BY id LIMIT ? OFFSET ?", (per_page, (page - 1) * per_page)).fetchall()
    return jsonify([dict(each) for each in rows])
"""  # noqa: S608 - an example of an app
"""Notes by pages of any size."""
SHOP = SESSION.replace("from pydantic import BaseModel", "from typing import List\nfrom pydantic import BaseModel, Field") + """
class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    name = Column(String(80), nullable=False)

class ItemIn(BaseModel):
    name: str = Field(min_length=1, max_length=80)

class Batch(BaseModel):
    items: List[ItemIn]

@app.post("/items", status_code=201)
def create(data: ItemIn, db: Session = Depends(get_db)):
    item = Item(name=data.name)
    db.add(item)
    db.commit()
    return {"id": item.id}

@app.post("/items/batch", status_code=201)
def create_many(data: Batch, db: Session = Depends(get_db)):
    for each in data.items:
        db.add(Item(name=each.name))
    db.commit()
    return {"created": len(data.items)}

@app.get("/items")
def items(skip: int = 0, limit: int = 100, db: Session = Depends(get_db)):
    return [{"id": each.id, "name": each.name} for each in db.query(Item).offset(skip).limit(limit).all()]

Base.metadata.create_all(engine)
"""
"""Items one by one, in lists of any length, and by pages of any size."""
OWN = FASTAPI.replace("    username: str\n    password: str", "    username: str = Field(max_length=40)\n    password: str = Field(max_length=100)").replace("import BaseModel", "import BaseModel, Field") + """
class Task(Base):
    __tablename__ = "tasks"
    id = Column(Integer, primary_key=True)
    title = Column(String(100), nullable=False)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False)

class TaskIn(BaseModel):
    title: str = Field(min_length=1, max_length=100)

@app.post("/tasks", status_code=201)
def add_task(data: TaskIn, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    task = Task(title=data.title, user_id=user.id)
    db.add(task)
    db.commit()
    return {"id": task.id}

@app.get("/tasks")
def tasks(db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    return [{"id": each.id, "title": each.title} for each in db.query(Task).filter(Task.user_id == user.id).all()]

Base.metadata.create_all(engine)
"""
"""Tasks of one's own."""
DIARY = SESSION + """
class Entry(Base):
    __tablename__ = "entries"
    id = Column(Integer, primary_key=True)
    title = Column(String, nullable=False)
    body = Column(String, nullable=False)

class EntryIn(BaseModel):
    title: str
    body: str

@app.post("/entries", status_code=201)
def add(data: EntryIn, db: Session = Depends(get_db)):
    entry = Entry(title=data.title, body=data.body)
    db.add(entry)
    db.commit()
    return {"id": entry.id}

@app.get("/entries/{entry_id}")
def read(entry_id: int, db: Session = Depends(get_db)):
    entry = db.query(Entry).filter(Entry.id == entry_id).first()
    if entry is None:
        raise HTTPException(status_code=404, detail="Not found")
    return {"title": entry.title, "body": entry.body}

Base.metadata.create_all(engine)
"""
"""A title and a body of any length."""
GALLERY = """import os
import uuid
from flask import Flask, jsonify, request, send_from_directory
app = Flask(__name__)
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pictures")
os.makedirs(FOLDER, exist_ok=True)

@app.post("/pictures")
def upload():
    if "picture" not in request.files:
        return jsonify({"error": "picture is required"}), 400
    picture = request.files["picture"]
    if not picture.mimetype.startswith("image/"):
        return jsonify({"error": "Only images are allowed"}), 400
    name = uuid.uuid4().hex + os.path.splitext(picture.filename)[1]
    picture.save(os.path.join(FOLDER, name))
    return jsonify({"name": name}), 201

@app.get("/pictures/<name>")
def show(name):
    return send_from_directory(FOLDER, name)
"""
"""Pictures by what the client says of them, under a name that ends as the client's."""
AVATARS = """import shutil
import uuid
from pathlib import Path
from fastapi import FastAPI, File, HTTPException, UploadFile
app = FastAPI()
FOLDER = Path(__file__).parent / "avatars"
FOLDER.mkdir(exist_ok=True)

@app.post("/avatars", status_code=201)
async def upload(file: UploadFile = File(...)):
    if not file.filename.lower().endswith((".png", ".jpg", ".jpeg")):
        raise HTTPException(status_code=400, detail="Only png and jpg files are allowed")
    name = uuid.uuid4().hex + Path(file.filename).suffix.lower()
    with open(FOLDER / name, "wb") as target:
        shutil.copyfileobj(file.file, target)
    return {"name": name}
"""
"""Pictures of any size, by the ending of their name."""
BUNDLES = """import os
import zipfile
from flask import Flask, jsonify, request
app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 8 * 1024 * 1024
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bundles")
os.makedirs(FOLDER, exist_ok=True)

@app.post("/bundles")
def upload():
    bundle = request.files.get("bundle")
    if bundle is None or not bundle.filename.endswith(".zip"):
        return jsonify({"error": "a .zip file is required"}), 400
    try:
        with zipfile.ZipFile(bundle) as archive:
            archive.extractall(FOLDER)
            names = archive.namelist()
    except zipfile.BadZipFile:
        return jsonify({"error": "not a zip file"}), 400
    return jsonify({"files": names}), 201
"""
"""Archives of up to 8 MiB, and what they hold of any size."""
FINDER = PLAIN.replace("import sqlite3", "import re\nimport sqlite3", 1) + """    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text VARCHAR(200) NOT NULL)")

@app.post("/notes")
def add():
    text = (request.get_json(silent=True) or {}).get("text")
    if not isinstance(text, str) or not 0 < len(text) <= 200:
        return jsonify({"error": "text is required"}), 400
    with get_db() as conn:
        new = conn.execute("INSERT INTO notes (text) VALUES (?)", (text,)).lastrowid
    return jsonify({"id": new}), 201

@app.get("/notes")
def notes():
    wanted = request.args.get("q", "")
    try:
        pattern = re.compile(wanted, re.IGNORECASE)
    except re.error:
        return jsonify({"error": "not a pattern"}), 400
    rows = get_db().execute("SELECT id, text FROM notes ORDER BY id DESC LIMIT 50").fetchall()
    return jsonify([dict(each) for each in rows if pattern.search(each["text"])])
"""  # noqa: S608 - an example of an app
"""Notes are sought by a pattern of the client's."""
TRIAL = """import re
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
app = FastAPI()

class Tried(BaseModel):
    pattern: str = Field(min_length=1, max_length=100)
    sample: str = Field(min_length=1, max_length=1000)

@app.post("/patterns/try")
def try_pattern(data: Tried):
    if len(data.pattern) > 90:
        raise HTTPException(status_code=400, detail="Too long")
    try:
        found = re.findall(data.pattern, data.sample)
    except re.error:
        raise HTTPException(status_code=400, detail="Not a pattern")
    return {"matches": len(found)}
"""
"""A pattern and a text are tried."""
BOOKS = PLAIN + """    start.execute("CREATE TABLE IF NOT EXISTS books (id INTEGER PRIMARY KEY, title VARCHAR(100) NOT NULL, shelf_id INTEGER NOT NULL DEFAULT 1)")
    start.execute("CREATE TABLE IF NOT EXISTS shelves (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    start.execute("INSERT OR IGNORE INTO shelves VALUES (1, 'history'), (2, 'poetry')")

@app.post("/books")
def add_book():
    title = (request.get_json(silent=True) or {}).get("title")
    if not isinstance(title, str) or not 0 < len(title) <= 100:
        return jsonify({"error": "title is required"}), 400
    with get_db() as conn:
        new = conn.execute("INSERT INTO books (title) VALUES (?)", (title,)).lastrowid
    return jsonify({"id": new}), 201

@app.get("/books")
def books():
    return jsonify([dict(each) for each in get_db().execute("SELECT id, title FROM books ORDER BY id").fetchall()])

@app.get("/shelves")
def shelves():
    return jsonify([dict(each) for each in get_db().execute("SELECT * FROM shelves").fetchall()])
"""  # noqa: S608 - an example of an app
"""A listing of all books, which anybody adds to, and one of shelves, which nobody does."""
COUNTS = """import csv
import io
from flask import Flask, jsonify, request
app = Flask(__name__)

@app.post("/count")
def count():
    table = request.files.get("table")
    if table is None or not table.filename.endswith(".csv"):
        return jsonify({"error": "a .csv file is required"}), 400
    try:
        text = table.read().decode("utf-8")
    except UnicodeDecodeError:
        return jsonify({"error": "not a text"}), 400
    rows = sum(1 for row in csv.reader(io.StringIO(text)) if row)
    return jsonify({"rows": rows})
"""
"""Rows of a table, counted and forgotten: the file is read whole."""
DIGESTS = """import hashlib
from fastapi import FastAPI, File, UploadFile
app = FastAPI()

@app.post("/digest")
async def digest(file: UploadFile = File(...)):
    content = await file.read()
    return {"name": file.filename, "sha256": hashlib.sha256(content).hexdigest()}
"""
"""A sum of a file that is read whole."""
WORDS = """import zipfile
from flask import Flask, jsonify, request
app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 8 * 1024 * 1024

@app.post("/words")
def words():
    bundle = request.files.get("bundle")
    if bundle is None or not bundle.filename.endswith(".zip"):
        return jsonify({"error": "a .zip file is required"}), 400
    found = 0
    try:
        with zipfile.ZipFile(bundle) as archive:
            for name in archive.namelist():
                found += len(archive.read(name).split())
    except zipfile.BadZipFile:
        return jsonify({"error": "not a zip file"}), 400
    return jsonify({"words": found})
"""
"""Words of an archive's texts: each is unpacked into memory."""
