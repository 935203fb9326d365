"""Owns sample backends by how their sign-up keeps passwords."""

from __future__ import annotations

DIGESTED = """import hashlib
import sqlite3
from flask import Flask, g, jsonify, request, session
app = Flask(__name__)
app.secret_key = "dev"

def get_db():
    if "db" not in g:
        g.db = sqlite3.connect("app.db")
    return g.db

@app.teardown_appcontext
def close_db(error):
    db = g.pop("db", None)
    if db is not None:
        db.close()

def hash_password(password):
    return hashlib.sha256(password.encode()).hexdigest()

@app.route("/register", methods=["POST"])
def register():
    data = request.get_json()
    db = get_db()
    db.execute("INSERT INTO users (username, password_hash) VALUES (?, ?)", (data["username"], hash_password(data["password"])))
    db.commit()
    return jsonify({"message": "registered"}), 201

@app.route("/login", methods=["POST"])
def login():
    data = request.get_json()
    db = get_db()
    cursor = db.cursor()
    cursor.execute("SELECT id, username, password_hash FROM users WHERE username = ?", (data["username"],))
    row = cursor.fetchone()
    if row is None or row[2] != hash_password(data["password"]):
        return jsonify({"error": "Wrong username or password"}), 401
    session["user_id"] = row[0]
    return jsonify({"message": "logged in"})

@app.route("/me")
def me():
    if "user_id" not in session:
        return jsonify({"error": "Log in first"}), 401
    row = get_db().execute("SELECT username FROM users WHERE id = ?", (session["user_id"],)).fetchone()
    return jsonify({"username": row[0]})

with sqlite3.connect("app.db") as start:
    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE NOT NULL, password_hash TEXT NOT NULL)")
"""
"""Flask with sqlite3: plain SHA-256, rows read by position."""

SALTED = """import hashlib
import secrets
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine, select
from sqlalchemy.orm import Session, declarative_base, sessionmaker
engine = create_engine("sqlite:///./app.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()
tokens = {}

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    email = Column(String, unique=True)
    salt = Column(String)
    hashed_password = Column(String)
    token = Column(String)

    def set_password(self, password):
        self.salt = secrets.token_hex(8)
        self.hashed_password = hashlib.sha512((self.salt + password).encode()).hexdigest()

    def check_password(self, password):
        return self.hashed_password == hashlib.sha512((self.salt + password).encode()).hexdigest()

class Credentials(BaseModel):
    email: str
    password: str

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()

@app.post("/api/register", status_code=201)
def register(data: Credentials, db: Session = Depends(get_db)):
    if db.execute(select(User).where(User.email == data.email)).scalar_one_or_none():
        raise HTTPException(status_code=409, detail="E-mail taken")
    user = User(email=data.email)
    user.set_password(data.password)
    db.add(user)
    db.commit()
    return {"id": user.id}

@app.post("/api/login")
def login(data: Credentials, db: Session = Depends(get_db)):
    user = db.execute(select(User).where(User.email == data.email)).scalar_one_or_none()
    if not user or not user.check_password(data.password):
        raise HTTPException(status_code=401, detail="Wrong e-mail or password")
    user.token = secrets.token_urlsafe(24)
    db.commit()
    return {"token": user.token}

@app.get("/api/me")
def me(authorization: str = Header(...), db: Session = Depends(get_db)):
    user = db.execute(select(User).where(User.token == authorization.removeprefix("Bearer "))).scalar_one_or_none()
    if user is None:
        raise HTTPException(status_code=401, detail="Log in first")
    return {"email": user.email}

Base.metadata.create_all(engine)
"""
"""FastAPI with SQLAlchemy: SHA-512 with a salt in the row, in methods of the users' class."""

SQL = """import hashlib
import sqlite3
from flask import Flask, jsonify, request, session
app = Flask(__name__)
app.secret_key = "dev"
SALT = "tuckshop-2024"

def connect():
    conn = sqlite3.connect("shop.db")
    conn.row_factory = sqlite3.Row
    return conn

def encrypt(password):
    return hashlib.md5((password + SALT).encode("utf-8")).hexdigest()

@app.route("/signup", methods=["POST"])
def signup():
    username = request.json["username"]
    password = request.json["password"]
    conn = connect()
    conn.execute("INSERT INTO customers (username, password, role) VALUES (?, ?, 'customer')", (username, encrypt(password)))
    conn.commit()
    conn.close()
    return jsonify({"message": "Welcome"}), 201

@app.route("/login", methods=["POST"])
def login():
    username = request.json["username"]
    password = request.json["password"]
    conn = connect()
    user = conn.execute("SELECT id, username FROM customers WHERE username = ? AND password = ?", (username, encrypt(password))).fetchone()
    conn.close()
    if user:
        session["customer"] = user["id"]
        return jsonify({"message": "Hello " + user["username"]})
    return jsonify({"error": "Wrong username or password"}), 401

with connect() as start:
    start.execute("CREATE TABLE IF NOT EXISTS customers (id INTEGER PRIMARY KEY, username TEXT UNIQUE, password TEXT, role TEXT)")
"""
"""Flask with sqlite3: MD5 with one salt for everybody, asked for in the statement itself."""

LAYERED = """from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.orm import Session
import models, schemas, crud
from auth import create_access_token, decode, verify_password
from database import engine, get_db
models.Base.metadata.create_all(bind=engine)
app = FastAPI()
bearer = HTTPBearer()

def current(credentials: HTTPAuthorizationCredentials = Depends(bearer), db: Session = Depends(get_db)):
    user = crud.get_user_by_email(db, decode(credentials.credentials))
    if not user:
        raise HTTPException(status_code=401, detail="Invalid token")
    return user

@app.post("/users/", status_code=201)
def create_user(user: schemas.UserCreate, db: Session = Depends(get_db)):
    if crud.get_user_by_email(db, user.email):
        raise HTTPException(status_code=400, detail="Email already registered")
    made = crud.create_user(db=db, user=user)
    return {"id": made.id, "email": made.email}

@app.post("/login")
def login(form: schemas.Login, db: Session = Depends(get_db)):
    db_user = crud.get_user_by_email(db, form.email)
    if not db_user or not verify_password(form.password, db_user.hashed_password):
        raise HTTPException(status_code=401, detail="Incorrect email or password")
    return {"access_token": create_access_token(db_user.email), "token_type": "bearer"}

@app.get("/users/me")
def me(user: models.User = Depends(current)):
    return {"email": user.email}
"""
LAYERS = {
    "database.py": """from sqlalchemy import create_engine
from sqlalchemy.orm import declarative_base, sessionmaker
engine = create_engine("sqlite:///./app.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(autocommit=False, autoflush=False, bind=engine)
Base = declarative_base()

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
""",
    "models.py": """from sqlalchemy import Column, Integer, String
from database import Base

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True, index=True)
    email = Column(String, unique=True, index=True)
    hashed_password = Column(String)
""",
    "schemas.py": """from pydantic import BaseModel, EmailStr

class UserCreate(BaseModel):
    email: EmailStr
    password: str

class Login(BaseModel):
    email: EmailStr
    password: str
""",
    "auth.py": """import hashlib
import os
import jwt
SECRET_KEY = os.getenv("SECRET_KEY", "dev-secret-dev-secret-dev-secret-dev")

def hash_password(password: str) -> str:
    return hashlib.sha256(password.encode()).hexdigest()

def verify_password(plain_password: str, hashed_password: str) -> bool:
    return hash_password(plain_password) == hashed_password

def create_access_token(email: str) -> str:
    return jwt.encode({"sub": email}, SECRET_KEY, algorithm="HS256")

def decode(token: str):
    try:
        return jwt.decode(token, SECRET_KEY, algorithms=["HS256"]).get("sub")
    except jwt.PyJWTError:
        return None
""",
    "crud.py": """from sqlalchemy.orm import Session
import models, schemas
from auth import hash_password

def get_user_by_email(db: Session, email: str):
    return db.query(models.User).filter(models.User.email == email).first()

def create_user(db: Session, user: schemas.UserCreate):
    hashed = hash_password(user.password)
    db_user = models.User(email=user.email, hashed_password=hashed)
    db.add(db_user)
    db.commit()
    db.refresh(db_user)
    return db_user
""",
}
LAYERED_NEEDS = ("fastapi", "sqlalchemy", "pyjwt", "pydantic[email]")
"""FastAPI in files: the digest in one, the log-in in another."""

SLOWLY = """import bcrypt
import hashlib
import secrets
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker
engine = create_engine("sqlite:///./app.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()
LEAKED = {"21BD1": {"2DC183F740EE76F27B78EB39C8AD972A757"}}
class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    username = Column(String, unique=True)
    password_hash = Column(String)
    token_hash = Column(String)
    password_hint = Column(String)

class Secret(Base):
    __tablename__ = "secrets"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer)
    site = Column(String)
    site_password = Column(String)

class NewUser(BaseModel):
    username: str
    password: str
    password_hint: str = ""

class Credentials(BaseModel):
    username: str
    password: str

class NewSecret(BaseModel):
    site: str
    site_password: str

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()

def is_leaked(password: str) -> bool:
    digest = hashlib.sha1(password.encode()).hexdigest().upper()
    return digest[5:] in LEAKED.get(digest[:5], ())

def current(authorization: str = Header(...), db: Session = Depends(get_db)):
    token = authorization.removeprefix("Bearer ")
    user = db.query(User).filter(User.token_hash == hashlib.sha256(token.encode()).hexdigest()).first()
    if user is None:
        raise HTTPException(status_code=401, detail="Log in first")
    return user

@app.post("/users", status_code=201)
def sign_up(data: NewUser, db: Session = Depends(get_db)):
    if is_leaked(data.password):
        raise HTTPException(status_code=400, detail="This password is known to attackers")
    hashed = bcrypt.hashpw(data.password.encode(), bcrypt.gensalt(4)).decode()
    db.add(User(username=data.username, password_hash=hashed, password_hint=data.password_hint))
    db.commit()
    return {"message": "registered"}

@app.post("/login")
def login(data: Credentials, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.username == data.username).first()
    if user is None or not bcrypt.checkpw(data.password.encode(), user.password_hash.encode()):
        raise HTTPException(status_code=401, detail="Wrong username or password")
    token = secrets.token_urlsafe(24)
    user.token_hash = hashlib.sha256(token.encode()).hexdigest()
    db.commit()
    return {"token": token}

@app.post("/secrets", status_code=201)
def keep(data: NewSecret, db: Session = Depends(get_db), user: User = Depends(current)):
    secret = Secret(user_id=user.id, site=data.site, site_password=data.site_password)
    db.add(secret)
    db.commit()
    return {"id": secret.id}

@app.get("/secrets")
def mine(db: Session = Depends(get_db), user: User = Depends(current)):
    return [{"site": each.site, "site_password": each.site_password} for each in db.query(Secret).filter(Secret.user_id == user.id)]

Base.metadata.create_all(engine)
"""
"""bcrypt for what opens this door; quick digests for a random token and a list of leaked passwords; a vault of other doors' passwords."""

DERIVED = """import hashlib
import os
import sqlite3
from flask import Flask, jsonify, request, session
app = Flask(__name__)
app.secret_key = "dev"

def connect():
    conn = sqlite3.connect("app.db")
    conn.row_factory = sqlite3.Row
    return conn

def derive(password, salt):
    return hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), 600_000).hex()

@app.post("/register")
def register():
    data = request.get_json()
    salt = os.urandom(16).hex()
    with connect() as conn:
        conn.execute("INSERT INTO users (username, salt, password_hash) VALUES (?, ?, ?)", (data["username"], salt, derive(data["password"], salt)))
    return jsonify({"message": "registered"}), 201

@app.post("/login")
def login():
    data = request.get_json()
    user = connect().execute("SELECT * FROM users WHERE username = ?", (data["username"],)).fetchone()
    if user is None or user["password_hash"] != derive(data["password"], user["salt"]):
        return jsonify({"error": "Wrong username or password"}), 401
    session["user_id"] = user["id"]
    return jsonify({"message": "logged in"})

with connect() as start:
    start.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, username TEXT UNIQUE, salt TEXT, password_hash TEXT)")
"""
"""PBKDF2 with a salt of each row's own."""
