"""Claims about allow, withhold and closed: only what honest clients send is set, and the rest is dropped."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from toughen.codemod import allow, closed, withhold

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_setattr_loop_skips_other_keys(changed: Callable[..., Any]) -> None:
    """Keys that no honest client sends are passed over."""
    source = """
    @app.put('/me')
    def change(user):
        data = request.get_json()
        for key, value in data.items():
            setattr(user, key, value)
        return 'ok'
    """
    assert changed(source, lambda m: allow(m, "change", ["name", "email"])) == [
        "+        if key not in ('name', 'email'):",
        "+            continue",
    ]


def test_spread_bodies_are_filtered(changed: Callable[..., Any]) -> None:
    """`Model(**data)` gets a dict of the allowed keys."""
    source = "@app.post('/u')\ndef make():\n    data = request.json\n    return User(**data)\n"
    assert changed(source, lambda m: allow(m, "make", ["name"])) == [
        "-    return User(**data)",
        "+    return User(**{key: value for key, value in data.items() if key in ('name',)})",
    ]


DYNAMIC = """
import sqlite3
from flask import Flask, jsonify, request
app = Flask(__name__)
PATH = ''

@app.put('/users/<int:key>')
def update(key):
    data = request.get_json()
    if not data:
        return jsonify({'error': 'No data'}), 400
    columns = ', '.join(f'{name} = ?' for name in data)
    conn = sqlite3.connect(PATH)
    conn.execute(f'UPDATE users SET {columns} WHERE id = ?', [*data.values(), key])
    conn.commit()
    return jsonify({'ok': True})
"""


def test_dynamic_updates_set_allowed_columns_only(
    mended: Callable[..., Any], run: Callable[..., Any], tmp_path: object
) -> None:
    """A role is dropped, and a body of nothing else is refused instead of a broken `SET WHERE`."""
    names = run(mended(DYNAMIC, lambda m: allow(m, "update", ["name"])))
    names["PATH"] = f"{tmp_path}/u.db"
    conn = sqlite3.connect(names["PATH"])
    conn.execute("CREATE TABLE users (id INTEGER, name TEXT, role TEXT)")
    conn.execute("INSERT INTO users VALUES (1, 'a', 'user')")
    conn.commit()
    client = names["app"].test_client()
    assert client.put("/users/1", json={"name": "b", "role": "admin"}).status_code == 200
    assert client.put("/users/1", json={"role": "admin"}).json == {"error": "Nothing to update"}
    assert conn.execute("SELECT name, role FROM users").fetchone() == ("b", "user")


def test_a_loop_with_its_own_empty_test_is_enough(changed: Callable[..., Any]) -> None:
    """Where the app itself refuses an empty update, the loop only skips."""
    source = """
    @app.put('/me')
    def change():
        data = request.get_json()
        parts = []
        for key, value in data.items():
            parts.append(f'{key} = ?')
        if not parts:
            return {'error': 'No fields'}, 400
        return run(parts)
    """
    lines = changed(source, lambda m: allow(m, "change", ["name"]))
    assert lines == ["+        if key not in ('name',):", "+            continue"]


def test_withhold_reaches_every_way_into_a_column(mended: Callable[..., Any]) -> None:
    """Dumps exclude it, arguments and assignments go, defaults stay."""
    source = """
    @app.post('/u')
    def make(user: UserCreate, db):
        row = User(**user.dict())
        other = User(name=user.name, role=user.role)
        last = User(role=user.role, name=user.name)
        return row
    @app.put('/u')
    def change(row):
        data = request.get_json()
        role = data.get('role', 'user')
        if 'role' in data:
            row.role = data['role']
        row.name = data['name']
        return role
    """
    text = mended(source, lambda m: withhold(m, "make", "role"))
    assert "User(**user.dict(exclude={'role'}))" in text
    assert text.count("User(name=user.name)") == 2
    text = mended(source, lambda m: withhold(m, "change", "role"))
    assert "role = 'user'\n    row.name = data['name']" in text


def test_nothing_to_take_away_is_refused(refused: Callable[..., Any]) -> None:
    """Unknown ways into a column are left to a brief, and an empty allow-list is no list."""
    source = "@app.post('/u')\ndef make(user: UserCreate):\n    return build(user)\n"
    assert "nowhere that is known" in refused(source, lambda m: withhold(m, "make", "role"))
    assert "empty" in refused(source, lambda m: allow(m, "make", []))
    assert "reads no JSON body" in refused(source, lambda m: allow(m, "make", ["a"]))


def test_models_stop_taking_undeclared_keys(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """Each way to say extra=allow becomes ignore, and pydantic drops the key."""
    for body in (
        "class A(BaseModel):\n    model_config = ConfigDict(extra='allow')\n    x: int\n",
        "class A(BaseModel):\n    model_config = {'extra': 'allow'}\n    x: int\n",
        "class A(BaseModel, extra='allow'):\n    x: int\n",
    ):
        names = run(mended("from pydantic import BaseModel, ConfigDict\n\n" + body, lambda m: closed(m, "A")))
        assert names["A"](x=1, role="admin").model_dump() == {"x": 1}
