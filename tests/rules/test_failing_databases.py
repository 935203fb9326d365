"""What answers say when a database fails: of a server the driver's own words, an address, a statement; with SQLite what the mapper adds."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.lab.credentials import Wallet
from toughen.lab.environment import Needs, build
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.journey import Argument, Call, Literal
from toughen.model.trial import Fault, Trial
from toughen.pipeline import Run
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from pathlib import Path

    from toughen.model.verdict import Verdict

LEAKY = "failure/leaky-error"
PLAIN = """
    import psycopg2
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    def connect():
        return psycopg2.connect(host="db.internal", port=5433, dbname="shop", user="shop", password="s3cret")


    with connect() as start, start.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS notes (id SERIAL PRIMARY KEY, body TEXT)")


    @app.post("/notes")
    def add():
        body = request.get_json()["body"]
        try:
            conn = connect()
            with conn, conn.cursor() as cursor:
                cursor.execute("INSERT INTO notes (body) VALUES (%s) RETURNING id", (body,))
                number = cursor.fetchone()[0]
            conn.close()
        except psycopg2.Error as error:
            return jsonify(error=str(error)), 500
        return jsonify(id=number), 201
    """
MAPPED = """
    from fastapi import Depends, FastAPI, HTTPException
    from pydantic import BaseModel
    from sqlalchemy import Column, Integer, String, create_engine
    from sqlalchemy.orm import Session, declarative_base, sessionmaker

    engine = create_engine("ADDRESS")
    SessionLocal = sessionmaker(bind=engine)
    Base = declarative_base()
    app = FastAPI()


    class Note(Base):
        __tablename__ = "notes"
        id = Column(Integer, primary_key=True)
        body = Column(String)


    class NewNote(BaseModel):
        body: str


    Base.metadata.create_all(engine)


    def get_db():
        db = SessionLocal()
        try:
            yield db
        finally:
            db.close()


    @app.post("/notes", status_code=201)
    def add(new: NewNote, db: Session = Depends(get_db)):
        try:
            note = Note(body=new.body)
            db.add(note)
            db.commit()
        except Exception as error:
            db.rollback()
            raise HTTPException(status_code=503, detail=f"not saved: {error}")
        return {"id": note.id}
    """
POSTGRES, SQLITE = "postgresql://shop:s3cret@db.internal:5433/shop", "sqlite:///./notes.db"
ASYNC = """
    import asyncpg
    from fastapi import FastAPI
    from fastapi.responses import JSONResponse
    from pydantic import BaseModel

    app = FastAPI()


    class NewNote(BaseModel):
        body: str


    @app.on_event("startup")
    async def begin():
        app.state.pool = await asyncpg.create_pool("postgresql://shop:s3cret@db.internal:5433/shop", min_size=1, max_size=4)
        await app.state.pool.execute("CREATE TABLE IF NOT EXISTS notes (id SERIAL PRIMARY KEY, body TEXT)")


    @app.post("/notes", status_code=201)
    async def add(new: NewNote):
        try:
            number = await app.state.pool.fetchval("INSERT INTO notes (body) VALUES ($1) RETURNING id", new.body)
        except (asyncpg.PostgresError, OSError) as error:
            return JSONResponse({"error": str(error)}, status_code=500)
        return {"id": number}
    """
CASES = {
    "psycopg2": (PLAIN, "flask\npsycopg2-binary\n", "jsonify(error=str(error)), 500", 'jsonify(error="not now"), 503'),
    "SQLAlchemy": (MAPPED.replace("ADDRESS", POSTGRES), "fastapi\nsqlalchemy\npsycopg2-binary\n", 'detail=f"not saved: {error}"', 'detail="not now"'),
    "asyncpg": (ASYNC, "fastapi\nasyncpg\n", 'JSONResponse({"error": str(error)}, status_code=500)', 'JSONResponse({"error": "not now"}, status_code=503)'),
    "SQLite, SQLAlchemy": (MAPPED.replace("ADDRESS", SQLITE), "fastapi\nsqlalchemy\n", 'detail=f"not saved: {error}"', 'detail="not now"'),
}
_FIRST = ("psycopg2", "SQLite, SQLAlchemy")
"""What every run of the tests asks."""


def checked(root: Path, source: str, requirements: str) -> Verdict:
    """What a check of that rule alone says."""
    root.mkdir()
    (root / "main.py").write_text(dedent(source).lstrip("\n"))
    (root / "requirements.txt").write_text(requirements)
    return Run(root, config.read(root, only=(LEAKY,))).check()


@pytest.mark.parametrize("kind", [pytest.param(each, marks=[] if each in _FIRST else [pytest.mark.long]) for each in CASES])
def test_what_the_database_says_is_kept_from_strangers(tmp_path: Path, kind: str) -> None:
    """A handler that answers what the driver's exception says is proven; one that answers 503 and a constant text is looked at as well, and silent."""
    source, requirements, leaks, says_nothing = CASES[kind]
    assert leaks in source
    broken = checked(tmp_path / "broken", source, requirements)
    assert [(each.break_id, each.route) for each in broken.findings if each.proof] == [(LEAKY, "POST /notes")], (broken.why, broken.inconclusive)
    sound = checked(tmp_path / "sound", source.replace(leaks, says_nothing), requirements)
    assert [each.route for each in sound.journeys] == ["POST /notes"]
    assert not sound.findings
    assert not sound.inconclusive


def test_a_disk_without_room(tmp_path: Path) -> None:
    """SQLite says that it is full as it does itself, from the statement on that is named; the request that handles it leaves no row."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "main.py").write_text(dedent(MAPPED.replace("ADDRESS", SQLITE)).lstrip("\n"))
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    call = Call("POST /notes", (Argument(Place.JSON, ("body",), Literal("milk")),), body="json")
    environment = build(Needs("the tests", requirements=("fastapi", "sqlalchemy")))
    with open_lab(root, blueprint.entry, environment, {}) as lab:
        lab.world.discover()
        lab.world.take()
        target = LabTarget(lab, join(blueprint, lab.facts, sources), Wallet())
        trace = target.anew(Trial((call,), fault=Fault("full")))
        assert trace.last.status == 503
        assert trace.last.response is not None
        assert "(sqlite3.OperationalError) database or disk is full" in trace.last.response.body
        assert trace.changes == ()
        assert target.anew(Trial((call,))).last.status == 201
