from __future__ import annotations

from textwrap import dedent

import pytest

from toughen.comparing import comparisons, conditions, listed, passed
from toughen.handling import parsed
from toughen.model.blueprint import Column, Table

USERS = Table("users", tuple(Column(each, primary_key=each == "id") for each in ("id", "username", "password", "role")), model="User")


def project(source: str) -> tuple[object, ...]:
    return tuple(parsed({"main.py": dedent(source)}).values())


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("user = db.query(User).first()\n    if user.password == data.password:\n        pass", ("data.password", "user.password", "", False)),
        ("user = db.query(User).first()\n    if user is None or user['password'] != data['password']:\n        return", ("data['password']", "user['password']", "", True)),
        ("user = q()\n    if hashlib.sha256(password.encode()).hexdigest() == user.password:\n        pass", ("password", "user.password", "hashlib.sha256(password.encode()).hexdigest()", False)),
        ("user = q()\n    if hmac.compare_digest(user.password, password):\n        pass", ("password", "user.password", "", False)),
        ("row = conn.execute('SELECT id, password FROM users WHERE username = ?', (name,)).fetchone()\n    if row[1] == password:\n        pass", ("password", "row[1]", "", False)),
        ("row = conn.execute('SELECT * FROM users WHERE username = ?', (name,)).fetchone()\n    stored = row[2]\n    if stored != password:\n        return", ("password", "stored", "", True)),
    ],
)
def test_a_stored_password_that_is_compared(body: str, found: tuple[str, str, str, bool]) -> None:
    """What was sent, what is stored, what it was stored as, and whether it is the test of a refusal."""
    told = list(comparisons(project(f"import hashlib, hmac\ndef login(data, password, name, conn, db, q):\n    {body}\n"), USERS, "password"))  # type: ignore[arg-type]
    assert [(each.plain, each.kept, each.former, each.negative) for each in told] == [found]


@pytest.mark.parametrize(
    "body",
    [
        "if data.password != data.confirm_password:\n        return",
        "if data['password'] != data['password2']:\n        return",
        "if password == '':\n        return",
        "if password != confirm:\n        return",
        "user = q()\n    if check_password_hash(user.password, password):\n        pass",
        "user = q()\n    if user.role == data.role:\n        pass",
        "row = conn.execute('SELECT id, role FROM users WHERE username = ?', (name,)).fetchone()\n    if row[1] == password:\n        pass",
    ],
)
def test_what_is_no_comparison_with_a_stored_password(body: str) -> None:
    """A repetition, an empty one, a library's check, and other columns."""
    assert not list(comparisons(project(f"def login(data, password, confirm, name, conn, q):\n    {body}\n"), USERS, "password"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("test", "places"),
    [
        ("if user.password != password:\n        return None\n    session['user'] = user.id", [(2, True)]),
        ("if user is None or user.password != password:\n        raise ValueError\n    session['user'] = user.id", [(2, True)]),
        ("if not (user and user.password == password):\n        return None\n    session['user'] = user.id", [(2, True)]),
        ("if user and user.password == password:\n        session['user'] = user.id", [(3, False)]),
        ("if user.password != password:\n        count()\n    else:\n        session['user'] = user.id", [(5, False)]),
        ("if user and user.password != password:\n        return None\n    session['user'] = 1", []),
        ("if user.password == password or user.role == 'guest':\n        session['user'] = user.id", []),
        ("if user.password != password:\n        return None\n    elif user.role:\n        pass", []),
        ("ok = user.password == password\n    return ok", []),
    ],
)
def test_where_the_right_password_has_just_been_given(test: str, places: list[tuple[int, bool]]) -> None:
    """Only where the test's outcome says so: one that is also true of nobody does not."""
    modules = project(f"def login(user, password, session):\n    {test}\n")
    (only,) = comparisons(modules, USERS, "password")  # type: ignore[arg-type]
    assert [(each.statement.lineno, each.behind) for each in passed(only, modules, USERS, "password")] == places  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("user = db.query(User).filter(User.username == name, User.password == password).first()", ("user", "password", "")),
        ("user = User.query.filter_by(username=name, password=md5(password.encode()).hexdigest()).first()", ("user", "password", "md5(password.encode()).hexdigest()")),
        ("user = conn.execute('SELECT * FROM users WHERE username = ? AND password = ?', (name, password)).fetchone()", ("user", "password", "")),
        ("cur.execute('SELECT id FROM users WHERE password = %s AND username = %s', (password, name))\n    row = cur.fetchone()", ("row", "password", "")),
    ],
)
def test_a_query_that_asks_by_password(statement: str, found: tuple[str, str, str]) -> None:
    """The name that takes the row, what was sent, and what it is compared as."""
    told = list(conditions(project(f"from hashlib import md5\ndef login(name, password, db, conn, cur):\n    {statement}\n"), USERS, "password"))  # type: ignore[arg-type]
    assert [(each.name, each.plain, each.former) for each in told] == [found]


def test_columns_of_a_select() -> None:
    """In order; of a star all of the table's; none where the statement is no select."""
    assert listed("SELECT u.id, password AS secret FROM users u", USERS) == ["id", "secret"]
    assert listed("SELECT * FROM users", USERS) == ["id", "username", "password", "role"]
    assert listed("DELETE FROM users", USERS) == []
