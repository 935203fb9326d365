"""Owns the claims about how a project's own database is asked."""

from __future__ import annotations

import pytest

from toughen import probing
from toughen.codemod.module import UnmendableError
from toughen.model.blueprint import Blueprint, Entry
from toughen.wiring import application

MADE = "from flask import Flask\napp = Flask(__name__)\n"


def asked(main: str, **others: str) -> tuple[str, str, str]:
    """(kind, expression, the file afterwards) of a project."""
    sources = {"main.py": main, **{f"{name}.py": text for name, text in others.items()}}
    entry = Entry("main:app", "main.py", "", "flask")
    app = application(entry, sources)
    assert app is not None
    kind, expression, draft = probing.asked(app, Blueprint("shop", "flask", entry), sources)
    return kind, expression, draft.done()


@pytest.mark.parametrize(("behind", "kind", "expression"), [
    ("from sqlalchemy import create_engine\nengine = create_engine('sqlite://')\n", "engine", "lambda: engine"),
    ("from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy(app)\n", "engine", "lambda: db.engine"),
    ("import sqlite3\ndef get_db():\n    return sqlite3.connect('a.db')\n", "connection", "lambda: get_db()"),
    ("import sqlite3\nfrom flask import g\ndef get_db():\n    if 'db' not in g:\n        g.db = sqlite3.connect('a.db')\n    return g.db\n", "kept", "lambda: get_db()"),
    ("import sqlite3\nfrom contextlib import contextmanager\n@contextmanager\ndef conn():\n    c = sqlite3.connect('a.db')\n    yield c\n", "manager", "lambda: conn()"),
    ("import psycopg2\ndef get_db():\n    c = psycopg2.connect('x')\n    yield c\n", "generator", "lambda: get_db()"),
    ("import sqlite3\nPATH = 'a.db'\n@app.route('/')\ndef index():\n    return str(sqlite3.connect(PATH).execute('SELECT 1').fetchone())\n", "connection", "lambda: sqlite3.connect(PATH)"),
    ("from sqlalchemy.ext.asyncio import async_sessionmaker\nsessions = async_sessionmaker(make())\n", "async-session", "lambda: sessions()"),
])  # fmt: skip
def test_of_the_same_file(behind: str, kind: str, expression: str) -> None:
    """An engine, what makes sessions, a function that connects, or the call itself; what stands behind the line is looked up when it is asked."""
    assert asked(MADE + behind)[:2] == (kind, expression)


def test_of_another_file() -> None:
    """What another file has is named as this one imports it, or imported."""
    database = "from sqlalchemy import create_engine\nengine = create_engine('sqlite://')\n"
    assert asked("from database import engine\n" + MADE, database=database)[1] == "lambda: engine"
    kind, expression, text = asked("from database import helper\n" + MADE, database=database + "def helper():\n    return 1\n")
    assert (kind, expression) == ("engine", "lambda: database.engine")
    assert "import database\n" in text


def test_what_is_not_seen_is_said() -> None:
    """A helper that wants an argument, and a pool, are left to a person."""
    with pytest.raises(UnmendableError, match="neither an engine"):
        asked(MADE + "import sqlite3\ndef link(path):\n    return sqlite3.connect(path)\n")
