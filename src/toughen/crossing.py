"""Owns sample backends by which foreign sites may read their answers."""

from __future__ import annotations

from toughen.backends import NOTES
from toughen.specimens import FASTAPI

ECHOED = NOTES + """
@app.after_request
def cors(response):
    response.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
    response.headers["Access-Control-Allow-Credentials"] = "true"
    response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    return response
"""
"""Flask that repeats whatever origin asks."""

OPENED = NOTES.replace("app = Flask(__name__)", """from flask_cors import CORS
app = Flask(__name__)
CORS(app, supports_credentials=True)""", 1)
"""Flask-CORS without a list."""

COOKIES = """import secrets
from fastapi import Cookie, Depends, FastAPI, HTTPException, Response
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker
engine = create_engine("sqlite:///./app.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()
app.add_middleware(
    CORSMiddleware,
    allow_origins=["*"],
    allow_credentials=True,
    allow_methods=["*"],
    allow_headers=["*"],
)

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    email = Column(String, unique=True)
    password = Column(String)
    token = Column(String)

class Credentials(BaseModel):
    email: str
    password: str

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()

def current(session: str = Cookie(default=""), db: Session = Depends(get_db)):
    user = db.query(User).filter(User.token == session).first() if session else None
    if user is None:
        raise HTTPException(status_code=401, detail="Log in first")
    return user

@app.post("/register", status_code=201)
def register(data: Credentials, db: Session = Depends(get_db)):
    if db.query(User).filter(User.email == data.email).first():
        raise HTTPException(status_code=409, detail="E-mail taken")
    db.add(User(email=data.email, password=data.password))
    db.commit()
    return {"message": "registered"}

@app.post("/login")
def login(data: Credentials, response: Response, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.email == data.email, User.password == data.password).first()
    if user is None:
        raise HTTPException(status_code=401, detail="Wrong e-mail or password")
    user.token = secrets.token_urlsafe(24)
    db.commit()
    response.set_cookie("session", user.token, httponly=True, secure=True, samesite="none")
    return {"message": "logged in"}

@app.get("/me")
def me(user: User = Depends(current)):
    return {"email": user.email}

Base.metadata.create_all(engine)
"""
"""FastAPI whose own cookie goes to every site, and whose answers every site may read."""

BEHIND_A_NAME = NOTES + """
@app.after_request
def cors(response):
    origin = request.headers.get("Origin", "")
    if origin.startswith("https://notes.example"):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
    return response
"""
"""Flask that compares the beginning of the origin only."""

LISTED = COOKIES.replace('allow_origins=["*"]', 'allow_origins=["https://notes.example", "http://localhost:3000"]')
"""The same for two sites of its own."""

TOKENS = FASTAPI.replace("app = FastAPI()", """from fastapi.middleware.cors import CORSMiddleware
app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True, allow_methods=["*"], allow_headers=["*"])""", 1) + """
@app.get("/me")
def me(user: User = Depends(get_current_user)):
    return {"username": user.username}

Base.metadata.create_all(engine)
"""
"""FastAPI whose tokens travel in a header, which no browser adds by itself."""

OWN_SITE = ECHOED.replace('app.secret_key = "dev"', 'app.secret_key = "dev"\napp.config["SESSION_COOKIE_SAMESITE"] = "Lax"', 1)
"""The cookie stays with its own site."""

COMPARED = NOTES + """
SITES = {"https://notes.example", "https://app.notes.example"}

@app.after_request
def cors(response):
    origin = request.headers.get("Origin")
    if origin in SITES:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Vary"] = "Origin"
    return response
"""
"""Flask that repeats the origins of its own list."""

FORMS = """import sqlite3
from flask import Flask, redirect, request, session
from werkzeug.security import check_password_hash, generate_password_hash
app = Flask(__name__)
app.secret_key = "dev"

def db():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

@app.post("/register")
def register():
    with db() as conn:
        conn.execute("INSERT INTO users (username, password) VALUES (?, ?)", (request.form["username"], generate_password_hash(request.form["password"])))
    return redirect("/login")

@app.route("/login", methods=["GET", "POST"])
def login():
    if request.method == "GET":
        return "<form method=post><input name=username><input name=password type=password></form>"
    user = db().execute("SELECT * FROM users WHERE username = ?", (request.form["username"],)).fetchone()
    if user is None or not check_password_hash(user["password"], request.form["password"]):
        return "Wrong username or password", 401
    session["user_id"] = user["id"]
    return redirect("/notes")

@app.get("/notes")
def notes():
    if "user_id" not in session:
        return "Log in first", 401
    rows = db().execute("SELECT body FROM notes WHERE user_id = ?", (session["user_id"],)).fetchall()
    return "<br>".join(str(len(row["body"])) for row in rows) + "<form method=post><input name=body></form>"

@app.post("/notes")
def add():
    if "user_id" not in session:
        return "Log in first", 401
    with db() as conn:
        conn.execute("INSERT INTO notes (user_id, body) VALUES (?, ?)", (session["user_id"], request.form["body"]))
    return redirect("/notes")

with db() as start:
    start.executescript('''CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id), body TEXT NOT NULL)''')
"""
"""Flask with forms, whose session leaves SameSite to the browser."""
