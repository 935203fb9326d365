"""SQL that a function puts together in several steps."""

from __future__ import annotations

import pytest

from toughen.codemod import Draft, Module, bind_pieces
from toughen.model.patch import Unmended

STEPS = """import psycopg2

def search(title, genre, ids, sort):
    query = "SELECT id FROM books WHERE kind LIKE 'a%'"
    if title:
        query += f" AND title LIKE '%{title}%'"
    if genre:
        query = query + " AND genre = '" + genre + "'"
    for each in ids:
        query += f" OR id = {each}"
    query += f" ORDER BY {sort} LIMIT 5"
    cur.execute(query)
    return cur.fetchall()
"""
BOUND = """import psycopg2

def search(title, genre, ids, sort):
    query = "SELECT id FROM books WHERE kind LIKE 'a%%'"
    values = []
    if title:
        query += " AND title LIKE %s"
        values.append(f"%{title}%")
    if genre:
        query = query + " AND genre = %s"
        values.append(genre)
    for each in ids:
        query += " OR id = %s"
        values.append(each)
    query += f" ORDER BY {sort} LIMIT 5"
    cur.execute(query, values)
    return cur.fetchall()
"""


def applied(text: str, part: str = "execute(") -> Draft | Unmended:
    line = next(number for number, each in enumerate(text.splitlines(), 1) if part in each)
    return bind_pieces(Module("main.py", text), line)


def test_values_are_collected_where_the_text_is() -> None:
    """In the order of the steps, with a literal `%` doubled for a driver that reads places; a direction of sorting stays in the text."""
    draft = applied(STEPS)
    assert isinstance(draft, Draft), draft
    assert draft.done() == BOUND


def test_a_second_application_finds_nothing() -> None:
    """What is bound stays as it is."""
    assert isinstance(applied(BOUND), Unmended)


def test_the_values_join_a_list_that_is_there() -> None:
    """A dictionary of SQLAlchemy's gets one more name."""
    text = """from sqlalchemy import text

def search(title, genre):
    query = "SELECT id FROM books WHERE 1 = 1"
    params = {}
    if title:
        query += f" AND title = '{title}'"
    if genre:
        query += " AND genre = :genre"
        params["genre"] = genre
    return db.session.execute(text(query), params).all()
"""
    draft = applied(text)
    assert isinstance(draft, Draft), draft
    assert 'query += " AND title = :title"\n        params["title"] = title\n' in draft.done()
    assert "execute(text(query), params)" in draft.done()


@pytest.mark.parametrize(
    ("steps", "reason"),
    [
        ('query = "SELECT id FROM books"\n    query += f" ORDER BY {sort}"', "cannot be bound"),
        ('query = "SELECT id FROM books"\n    query += more()', "cannot be read|not built from literals|step"),
        ('query = f"SELECT id FROM books WHERE id = {sort}"', "not built step by step"),
        ('query = "SELECT id FROM books"\n    query += f" WHERE id = {sort}"\n    cur.execute("EXPLAIN " + query)', "executed more than once"),
    ],
)
def test_what_cannot_be_bound_is_left_with_a_reason(steps: str, reason: str) -> None:
    """Names of columns, steps from elsewhere, a single step, and a text that is run twice."""
    import re

    draft = applied(f"import sqlite3\n\ndef search(sort):\n    {steps}\n    conn.execute(query)\n", "conn.execute(")
    assert isinstance(draft, Unmended)
    assert re.search(reason, draft.reason), draft.reason
