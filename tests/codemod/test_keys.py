"""Claims about taken and unique: a violated key is answered like the check, and keys are declared once."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import taken, unique

if TYPE_CHECKING:
    from collections.abc import Callable

ORM = """
from fastapi import FastAPI, HTTPException
from sqlalchemy.orm import Session
app = FastAPI()

@app.post('/users')
def register(user, db: Session):
    existing = db.query(User).filter(User.email == user.email).first()
    if existing:
        raise HTTPException(status_code=400, detail='Email already registered')
    db.add(User(email=user.email))
    db.commit()
    return {'ok': True}
"""

RAW = """
import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
PATH = ''

@app.post('/users')
def register():
    conn = sqlite3.connect(PATH)
    conn.execute('INSERT INTO users (email) VALUES (?)', (request.json['email'],))
    conn.commit()
    conn.close()
    return jsonify({'ok': True})
"""


def test_the_checks_refusal_answers_the_violation(changed: Callable[..., Any], at: Callable[..., Any]) -> None:
    """The commit is wrapped, rolled back, and refused in the check's words."""
    assert changed(ORM, lambda m: taken(m, at(m.text, "db.commit"))) == [
        "+from sqlalchemy.exc import IntegrityError",
        "-    db.commit()",
        "+    try:",
        "+        db.commit()",
        "+    except IntegrityError:",
        "+        db.rollback()",
        "+        raise HTTPException(status_code=400, detail='Email already registered')",
    ]


def test_a_raw_insert_is_wrapped_with_its_commit(
    mended: Callable[..., Any], run: Callable[..., Any], at: Callable[..., Any], tmp_path: object
) -> None:
    """sqlite3 says 409 the second time, in the framework's style, and the table keeps one row."""
    names = run(mended(RAW, lambda m: taken(m, at(m.text, "INSERT"), text="Email taken")))
    names["PATH"] = f"{tmp_path}/u.db"
    conn = sqlite3.connect(names["PATH"])
    conn.execute("CREATE TABLE users (email TEXT UNIQUE)")
    conn.commit()
    client = names["app"].test_client()
    answers = [client.post("/users", json={"email": "a@b.c"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json == {"error": "Email taken"}
    assert conn.execute("SELECT count(*) FROM users").fetchone() == (1,)


def test_a_try_that_is_there_gets_one_more_handler(changed: Callable[..., Any]) -> None:
    """A broad handler around the write is preceded by the narrow one."""
    source = """
    import sqlite3
    from flask import jsonify
    @app.post('/u')
    def register():
        conn = connect()
        try:
            conn.execute('INSERT INTO u VALUES (1)')
            conn.commit()
        except Exception as e:
            return jsonify({'error': str(e)}), 500
        return jsonify({'error': 'a b'}), 400
    """
    assert changed(source, lambda m: taken(m, 8)) == [
        "+    except sqlite3.IntegrityError:",
        "+        conn.rollback()",
        "+        return jsonify({'error': 'Already exists'}), 409",
    ]


def test_handled_violations_and_unknown_drivers_are_refused(refused: Callable[..., Any]) -> None:
    """Nothing is added where it is handled, or where the exception's name is unknown."""
    handled = (
        "import sqlite3\ndef f(c):\n    try:\n        c.commit()\n    except sqlite3.IntegrityError:\n        pass\n"
    )
    assert "handled here already" in refused(handled, lambda m: taken(m, 4))
    assert "unknown" in refused("def f(c):\n    c.commit()\n", lambda m: taken(m, 2))


MODEL = """
from sqlalchemy import Column, Integer
class Vote(Base):
    __tablename__ = 'votes'
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer)
    poll_id = Column(Integer)
"""


def test_one_column_is_unique_by_itself(changed: Callable[..., Any]) -> None:
    """A single column gets the argument."""
    lines = changed(MODEL, lambda m: unique(m, "Vote", ["user_id"]))
    assert lines == ["-    user_id = Column(Integer)", "+    user_id = Column(Integer, unique=True)"]


def test_several_columns_get_a_constraint(changed: Callable[..., Any]) -> None:
    """A key of two columns is declared in the table's arguments."""
    assert changed(MODEL, lambda m: unique(m, "Vote", ["user_id", "poll_id"])) == [
        "-from sqlalchemy import Column, Integer",
        "+from sqlalchemy import Column, Integer, UniqueConstraint",
        "+",
        "+    __table_args__ = (UniqueConstraint('user_id', 'poll_id'),)",
    ]


def test_ddl_in_the_source_is_extended_and_still_valid(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """The mended CREATE TABLE is SQL that sqlite3 takes, and it refuses the second row."""
    source = "DDL = '''\n    CREATE TABLE IF NOT EXISTS votes (\n        user_id INTEGER,\n"
    source += "        poll_id INTEGER\n    )\n'''\n"
    conn = sqlite3.connect(":memory:")
    conn.execute(run(mended(source, lambda m: unique(m, "votes", ["user_id", "poll_id"])))["DDL"])
    conn.execute("INSERT INTO votes VALUES (1, 2)")
    with pytest.raises(sqlite3.IntegrityError):
        conn.execute("INSERT INTO votes VALUES (1, 2)")


def test_an_awaited_commit_is_rolled_back_with_await(mended: Callable[..., Any], at: Callable[..., Any]) -> None:
    """An AsyncSession's rollback is awaited as its commit is."""
    source = ORM.replace("def register", "async def register").replace("    db.commit()", "    await db.commit()")
    text = mended(source, lambda m: taken(m, at(m.text, "await db.commit")))
    assert "    except IntegrityError:\n        await db.rollback()\n" in text
