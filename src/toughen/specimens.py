"""Owns the beginnings of example apps as an AI assistant writes them: imports, a database, and sign-up and log-in where users are needed."""

from __future__ import annotations

PLAIN = """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)

def get_db():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

with get_db() as start:
"""
"""Flask with sqlite3, nobody logs in; what follows makes its own tables with `start`."""

SESSION = """from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker
engine = create_engine("sqlite:///./app.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
"""
"""FastAPI with SQLAlchemy, nobody logs in; what follows declares its tables and ends with `Base.metadata.create_all(engine)`."""
SESSION_NEEDS = ("fastapi", "sqlalchemy")

FLASK = """import sqlite3
from functools import wraps
from flask import Flask, jsonify, request, session
from werkzeug.security import check_password_hash, generate_password_hash
app = Flask(__name__)
app.secret_key = "dev"

def db():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

def login_required(view):
    @wraps(view)
    def wrapped(*args, **kwargs):
        if "user_id" not in session:
            return jsonify({"error": "Log in first"}), 401
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
    session["user_id"] = user["id"]
    return jsonify({"message": "logged in"})

with db() as start:
    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL)")
"""
"""Flask with sqlite3 and a session cookie; what follows makes its own tables with `start`."""

FASTAPI = """import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sqlalchemy import Column, Float, ForeignKey, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker
engine = create_engine("sqlite:///./app.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()
SECRET_KEY = "change-me-change-me-change-me-32"
bearer = HTTPBearer()

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    username = Column(String, unique=True, nullable=False)
    password = Column(String, nullable=False)

class Credentials(BaseModel):
    username: str
    password: str

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()

def get_current_user(credentials: HTTPAuthorizationCredentials = Depends(bearer), db: Session = Depends(get_db)):
    try:
        payload = jwt.decode(credentials.credentials, SECRET_KEY, algorithms=["HS256"])
    except jwt.PyJWTError:
        raise HTTPException(status_code=401, detail="Invalid token")
    user = db.query(User).filter(User.username == payload["sub"]).first()
    if user is None:
        raise HTTPException(status_code=401, detail="Invalid token")
    return user

@app.post("/register", status_code=201)
def register(data: Credentials, db: Session = Depends(get_db)):
    if db.query(User).filter(User.username == data.username).first():
        raise HTTPException(status_code=400, detail="Username taken")
    db.add(User(username=data.username, password=data.password))
    db.commit()
    return {"message": "registered"}

@app.post("/login")
def login(data: Credentials, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.username == data.username, User.password == data.password).first()
    if user is None:
        raise HTTPException(status_code=401, detail="Wrong username or password")
    return {"access_token": jwt.encode({"sub": user.username}, SECRET_KEY, algorithm="HS256"), "token_type": "bearer"}
"""
"""FastAPI with SQLAlchemy and a bearer token; what follows ends with `Base.metadata.create_all(engine)`."""
FASTAPI_NEEDS = ("fastapi", "sqlalchemy", "pyjwt")

MODELS = """from flask import Flask, jsonify, request, session
from flask_sqlalchemy import SQLAlchemy
app = Flask(__name__)
app.secret_key = "dev"
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///app.db"
db = SQLAlchemy(app)

class User(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    email = db.Column(db.String(120), unique=True, nullable=False)
    password = db.Column(db.String(120), nullable=False)
    role = db.Column(db.String(20), default="user")

def current_user():
    return db.session.get(User, session.get("user_id", 0))

@app.route("/signup", methods=["POST"])
def signup():
    data = request.get_json()
    user = User(email=data["email"], password=data["password"])
    db.session.add(user)
    db.session.commit()
    return jsonify({"id": user.id}), 201

@app.route("/login", methods=["POST"])
def login():
    data = request.get_json()
    user = User.query.filter_by(email=data["email"], password=data["password"]).first()
    if not user:
        return jsonify({"error": "Wrong e-mail or password"}), 401
    session["user_id"] = user.id
    return jsonify({"id": user.id})
"""
"""Flask-SQLAlchemy with a session cookie; what follows ends with `db.create_all()` in an application context."""
MODELS_NEEDS = ("flask", "flask-sqlalchemy")

QUERIES = """import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)

def run_query(query, params=None, fetch=True):
    conn = sqlite3.connect("bank.db")
    try:
        cursor = conn.cursor()
        cursor.execute(query, params or ())
        result = cursor.fetchall() if fetch else None
        if query.strip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            conn.commit()
        return result
    finally:
        conn.close()

run_query("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, city TEXT, token TEXT)", fetch=False)

@app.post("/register")
def register():
    data = request.get_json()
    if run_query("SELECT id FROM users WHERE username = ?", (data["username"],)):
        return jsonify({"error": "Taken"}), 400
    fields = ["username", "password"]
    values = [data["username"], data["password"]]
    for key in ("city",):
        if key in data:
            fields.append(key)
            values.append(data[key])
    run_query(f"INSERT INTO users ({', '.join(fields)}) VALUES ({', '.join(['?'] * len(fields))})", values, fetch=False)
    return jsonify({"message": "welcome"}), 201

@app.post("/login")
def login():
    data = request.get_json()
    username, password = data.get("username"), data.get("password")
    user = run_query("SELECT * FROM users WHERE username = ? AND password = ?", (username, password))
    if not user or len(user) == 0:
        return jsonify({"error": "Wrong name or password"}), 401
    user = user[0]
    token = f"{user[1]}-{user[0] * 7919}"
    run_query("UPDATE users SET token = ? WHERE id = ?", (token, user[0]), fetch=False)
    return jsonify({"token": token, "city": user[3]})

@app.post("/staff/login")
def staff_login():
    data = request.get_json()
    query = f"SELECT id, username FROM users WHERE username = '{data.get('username')}' AND password = '{data.get('password')}'"
    rows = run_query(query)
    if not rows:
        return jsonify({"error": "Wrong name or password"}), 401
    return jsonify({"id": rows[0][0], "name": rows[0][1]})

@app.get("/me")
def me():
    rows = run_query("SELECT username, city FROM users WHERE token = ?", (request.headers.get("Authorization", "").removeprefix("Bearer "),))
    return jsonify({"name": rows[0][0], "city": rows[0][1]}) if rows else (jsonify({"error": "Log in first"}), 401)
"""
"""A bank whose statements go through a helper that gives all rows, and whose log-in leaves the password to the statement."""
