"""Owns sample backends by the keys that they sign with."""

from __future__ import annotations

CONFIGURED = """from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.orm import Session
from auth import current_user, sign
from database import Base, User, engine, get_db
from schemas import Credentials
app = FastAPI()
Base.metadata.create_all(engine)

@app.post("/api/register", status_code=201)
def register(data: Credentials, db: Session = Depends(get_db)):
    if db.query(User).filter(User.email == data.email).first():
        raise HTTPException(status_code=409, detail="E-mail taken")
    db.add(User(email=data.email, password=data.password))
    db.commit()
    return {"message": "registered"}

@app.post("/api/login")
def login(data: Credentials, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.email == data.email, User.password == data.password).first()
    if user is None:
        raise HTTPException(status_code=401, detail="Wrong e-mail or password")
    return {"token": sign(user.id)}

@app.get("/api/profile")
def profile(user: User = Depends(current_user)):
    return {"id": user.id, "email": user.email}
"""
"""FastAPI in files with settings of pydantic's, and the key of its tokens twice in the middle of a call."""
CONFIGURED_FILES = {
    "config.py": """from pydantic_settings import BaseSettings, SettingsConfigDict

class Settings(BaseSettings):
    app_name: str = "Profiles"
    database_url: str = "sqlite:///./app.db"
    model_config = SettingsConfigDict(env_file=".env")

settings = Settings()
""",
    "schemas.py": """from pydantic import BaseModel

class Credentials(BaseModel):
    email: str
    password: str
""",
    "database.py": """from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import declarative_base, sessionmaker
from config import settings
engine = create_engine(settings.database_url, connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
    email = Column(String, unique=True)
    password = Column(String)

def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
""",
    "auth.py": """from datetime import datetime, timedelta, timezone
import jwt
from fastapi import Depends, Header, HTTPException
from sqlalchemy.orm import Session
from config import settings
from database import User, get_db

def sign(user_id):
    expires = datetime.now(timezone.utc) + timedelta(hours=2)
    return jwt.encode({"user_id": user_id, "app": settings.app_name, "exp": expires}, "9f3c1ab7d20e4c58a7716be2f0d43911", algorithm="HS256")

def current_user(authorization: str = Header(...), db: Session = Depends(get_db)):
    try:
        claims = jwt.decode(authorization.removeprefix("Bearer "), "9f3c1ab7d20e4c58a7716be2f0d43911", algorithms=["HS256"])
    except jwt.PyJWTError:
        raise HTTPException(status_code=401, detail="Invalid token")
    user = db.get(User, claims["user_id"])
    if user is None:
        raise HTTPException(status_code=401, detail="Invalid token")
    return user
""",
}
KEYED = """from fastapi import Depends, FastAPI, Header, HTTPException
app = FastAPI()
API_KEY = "rk-2f9d8c7b6a5e4d3c"
reports = [{"id": 1, "title": "January"}]

def require_key(x_api_key: str = Header(...)):
    if x_api_key != API_KEY:
        raise HTTPException(status_code=401, detail="Wrong API key")

@app.get("/reports", dependencies=[Depends(require_key)])
def all_reports():
    return reports

@app.get("/health")
def health():
    return {"status": "ok"}
"""
"""FastAPI whose routes ask for one key, which stands in the source."""
