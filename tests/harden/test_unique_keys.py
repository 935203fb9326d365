"""Claims about the mend by a unique key: it decides in tables that are there already, by the project's own migrations where it has some, and its proof replays."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Refuted
from toughen.model.patch import Kept
from toughen.pipeline import Run

if TYPE_CHECKING:
    from pathlib import Path

MAIN = """
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

engine = create_engine("postgresql://postgres:postgres@localhost:5432/rooms")
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()
app = FastAPI()


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


class Booking(Base):
    __tablename__ = "bookings"
    id = Column(Integer, primary_key=True)
    room = Column(String)
    day = Column(String)


class NewBooking(BaseModel):
    room: str
    day: str


Base.metadata.create_all(engine)


@app.post("/bookings", status_code=201)
def book(booking: NewBooking, db: Session = Depends(get_db)):
    if db.query(Booking).filter(Booking.room == booking.room, Booking.day == booking.day).first():
        raise HTTPException(status_code=409, detail="The room is taken")
    db.add(Booking(room=booking.room, day=booking.day))
    db.commit()
    return {"ok": True}
"""
ENV = """
from alembic import context
from main import Base, engine

with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = '''
"""bookings

Revision ID: 1a2b
Revises:
"""
import sqlalchemy as sa
from alembic import op

revision = "1a2b"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table("bookings", sa.Column("id", sa.Integer, primary_key=True), sa.Column("room", sa.String), sa.Column("day", sa.String))


def downgrade():
    op.drop_table("bookings")
'''
INI = "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n"


def project(root: Path, *, migrated: bool) -> None:
    """A booking service over PostgreSQL, its tables by its models or by Alembic."""
    (root / "requirements.txt").write_text("fastapi\nsqlalchemy\npsycopg2-binary\n" + ("alembic\n" if migrated else ""))
    files = {"main.py": MAIN.replace("Base.metadata.create_all(engine)\n", "") if migrated else MAIN}
    if migrated:
        files |= {"migrations/env.py": ENV, "migrations/versions/1a2b_bookings.py": FIRST, "alembic.ini": INI}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(dedent(text).lstrip("\n"))


@pytest.mark.parametrize("migrated", [False, pytest.param(True, marks=pytest.mark.long)], ids=["by its models", "by Alembic"])
def test_a_unique_key_decides(tmp_path: Path, *, migrated: bool) -> None:
    """A room that is looked for and then booked gets a unique key, in a revision where there are some; the stored proof is refuted by the mended tree."""
    project(tmp_path, migrated=migrated)
    verdict = Run(tmp_path, config.read(tmp_path, only=("race/check-then-act",))).fix(write=True, commit=False)
    (outcome,) = [outcome for finding, outcome in verdict.mends if finding == "race/check-then-act@POST /bookings"]
    assert isinstance(outcome, Kept), outcome
    assert 'UniqueConstraint("room", "day")' in (tmp_path / "main.py").read_text()
    revisions = sorted(each.name for each in (tmp_path / "migrations" / "versions").glob("*_unique_*.py")) if migrated else []
    assert len(revisions) == int(migrated)
    assert ("CREATE UNIQUE INDEX" in outcome.patch.note) is not migrated
    (proof,) = (tmp_path / ".toughen" / "proofs").glob("*.json")
    assert isinstance(Run(tmp_path, config.read(tmp_path)).replay(proof)[1], Refuted)
