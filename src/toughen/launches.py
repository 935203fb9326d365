"""Owns sample backends by how they are started."""

from __future__ import annotations

NOTES = """
class Note(Base):
    __tablename__ = "notes"
    id = Column(Integer, primary_key=True)
    body = Column(String)

class NewNote(BaseModel):
    body: str
    stars: int = 1

Base.metadata.create_all(engine)

@app.post("/notes", status_code=201)
def add(data: NewNote, db: Session = Depends(get_db)):
    note = Note(body=data.body.upper()[: 100 // data.stars])
    db.add(note)
    db.commit()
    return {"id": note.id}

@app.get("/notes")
def notes(db: Session = Depends(get_db)):
    return [{"id": each.id, "body": each.body} for each in db.query(Note).all()]
"""
"""A number that divides, whose default is harmless; what stands before it declares `Base`, `engine` and `app`."""

FACTORY = """from flask import Flask
from config import Config
from rates import rates

def create_app():
    app = Flask(__name__)
    app.config.from_object(Config)
    app.register_blueprint(rates, url_prefix="/api")
    return app
"""
"""Flask by a factory, configured by a class, started by a script of its own in a container."""
FACTORY_FILES = {
    "config.py": """class Config:
    DEBUG = True
    JSON_SORT_KEYS = False
""",
    "rates.py": """from flask import Blueprint, jsonify, request
rates = Blueprint("rates", __name__)
RATES = {"EUR": 1.0, "USD": 1.1}

@rates.get("/rates")
def convert():
    amount = float(request.args.get("amount", "1"))
    return jsonify({name: amount * rate for name, rate in RATES.items()})
""",
    "run.py": """from main import create_app
app = create_app()

if __name__ == "__main__":
    app.run(host="0.0.0.0")
""",
    "Dockerfile": """FROM python:3.11-slim
WORKDIR /app
COPY . .
RUN pip install -r requirements.txt
CMD ["python", "run.py"]
""",
}
