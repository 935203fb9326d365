"""How a project words its SQL."""

from __future__ import annotations

from toughen.codemod.statements import executions
from toughen.handling import Place, parsed
from toughen.phrasing import alike, bound

HELPER = """import sqlite3

def run(text, values=None, fetch=True):
    conn = sqlite3.connect("app.db")
    cursor = conn.execute(text, values or ())
    result = cursor.fetchall() if fetch else None
    conn.commit()
    return result

def login(name, password):
    return run(f"SELECT id FROM users WHERE name = '{name}' AND password = '{password}'")

def join(name, password):
    run(f"INSERT INTO users (name, password) VALUES ('{name}', '{password}')", fetch=False)

def find(name):
    return run(f"SELECT id FROM users WHERE name = '{name}'")

def make(name):
    return run("INSERT INTO users (name) VALUES (?) RETURNING id", (name,))
"""


def test_statements_on_a_column_are_bound_and_others_left() -> None:
    """What asks for the password, or stores it, gets its values beside the text; a search by name is another's business."""
    now = bound({"main.py": HELPER}, "users", "password")["main.py"]
    assert '"SELECT id FROM users WHERE name = ? AND password = ?", (name, password))' in now
    assert '"INSERT INTO users (name, password) VALUES (?, ?)", fetch=False, values=(name, password)' in now
    assert "WHERE name = '{name}'\")" in now


def test_nothing_is_bound_twice() -> None:
    """Bound sources stay as they are."""
    once = bound({"main.py": HELPER}, "users", "password")
    assert bound(once, "users", "password") == once


def test_a_new_statement_is_run_as_others_that_give_nothing_back() -> None:
    """With `fetch=False`, as an INSERT of the project has it; not as the one that returns its row."""
    sources = bound({"main.py": HELPER}, "users", "password")
    project = tuple(parsed(sources).values())
    place = Place(project[0], project[0].function("login"))
    call = next(executions(place.module, place.node.body[0], project)).call
    assert alike(place, call, '"UPDATE users SET password = ? WHERE id = ?"', "(new, 1)", project) == (
        'run("UPDATE users SET password = ? WHERE id = ?", values=(new, 1), fetch=False)'
    )


def test_a_helper_that_only_reads_gives_no_wording() -> None:
    """Where no statement of the project's writes by that helper, it is not known how to."""
    source = HELPER.partition("def join")[0]
    project = tuple(parsed({"main.py": source}).values())
    place = Place(project[0], project[0].function("login"))
    call = next(executions(place.module, place.node.body[0], project)).call
    assert alike(place, call, '"UPDATE users SET a = ?"', "(1,)", project) == ""
