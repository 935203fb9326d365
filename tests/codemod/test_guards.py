"""Claims about guard: the sibling's guard comes along with its parameter and imports, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toughen.codemod import Module, guard

if TYPE_CHECKING:
    from collections.abc import Callable

FLASK = """
from functools import wraps
from flask import Flask, jsonify, session
app = Flask(__name__)

def token_required(f):
    @wraps(f)
    def inner(*args, **kwargs):
        user = {'id': 1}
        return f(user, *args, **kwargs)
    return inner

@app.get('/mine')
@token_required
def mine(current_user):
    return jsonify(current_user)

@app.get('/all/<int:key>')
def everything(key):
    '''All.'''
    return jsonify([key])

@app.get('/inline')
def inline():
    if 'user_id' not in session:
        return jsonify({'error': 'Log in'}), 401
    return jsonify([])
"""

FASTAPI = """
from fastapi import FastAPI, Depends
from auth import get_current_user, User
from db import get_db
app = FastAPI()

@app.get('/mine')
def mine(db=Depends(get_db), user: User = Depends(get_current_user)):
    return user

@app.delete('/items/{item_id}')
def remove(item_id: int, db=Depends(get_db)):
    return item_id

@app.get('/admin', dependencies=[Depends(get_current_user)])
def admin():
    return 1
"""


def test_decorator_and_its_parameter_are_copied(changed: Callable[..., Any]) -> None:
    """The decorator goes below the route, and the user that it hands over comes first."""
    assert changed(FLASK, lambda m: guard(m, "everything", "mine")) == [
        "-def everything(key):",
        "+@token_required",
        "+def everything(current_user, key):",
    ]


def test_guarded_flask_handler_still_answers(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """Flask calls the guarded handler with user and path value."""
    app = run(mended(FLASK, lambda m: guard(m, "everything", "mine")))["app"]
    assert app.test_client().get("/all/7").json == [7]


def test_opening_statements_are_copied_behind_the_docstring(changed: Callable[..., Any]) -> None:
    """An inline guard opens the handler as it opens the sibling."""
    assert changed(FLASK, lambda m: guard(m, "everything", "inline")) == [
        "+    if 'user_id' not in session:",
        "+        return jsonify({'error': 'Log in'}), 401",
    ]


def test_dependency_is_copied_and_the_database_is_not(changed: Callable[..., Any]) -> None:
    """The guard's Depends comes last; get_db is no guard."""
    assert changed(FASTAPI, lambda m: guard(m, "remove", "mine")) == [
        "-def remove(item_id: int, db=Depends(get_db)):",
        "+def remove(item_id: int, db=Depends(get_db), user: User = Depends(get_current_user)):",
    ]


def test_dependencies_of_a_route_are_copied(changed: Callable[..., Any]) -> None:
    """`dependencies=[...]` joins the other route's decorator."""
    assert changed(FASTAPI, lambda m: guard(m, "remove", "admin")) == [
        "-@app.delete('/items/{item_id}')",
        "+@app.delete('/items/{item_id}', dependencies=[Depends(get_current_user)])",
    ]


def test_imports_come_along_from_another_file(changed: Callable[..., Any]) -> None:
    """A sibling in another file brings the imports of its guard."""
    source = "from fastapi import APIRouter\nrouter = APIRouter()\n\n@router.get('/x')\ndef x():\n    return 1\n"
    home = Module("other.py", FASTAPI)
    assert changed(source, lambda m: guard(m, "x", "mine", source=home)) == [
        "-from fastapi import APIRouter",
        "+from fastapi import APIRouter, Depends",
        "+from auth import User, get_current_user",
        "-def x():",
        "+def x(user: User = Depends(get_current_user)):",
    ]


def test_a_guard_defined_below_is_refused(refused: Callable[..., Any]) -> None:
    """A decorator that does not exist yet when the function is defined would break the boot."""
    source = """
    @app.get('/a')
    def a():
        return 1

    def login_required(f):
        return f

    @app.get('/b')
    @login_required
    def b():
        return 2
    """
    assert "defined below" in refused(source, lambda m: guard(m, "a", "b"))


def test_a_sibling_without_guard_is_refused(refused: Callable[..., Any]) -> None:
    """Nothing is invented where nothing can be copied."""
    assert "no guard" in refused(FLASK, lambda m: guard(m, "mine", "everything"))


def test_a_local_guard_of_another_file_is_refused(refused: Callable[..., Any]) -> None:
    """A decorator that only the sibling's file defines cannot be imported by guessing."""
    source = "from flask import Flask\napp = Flask(__name__)\n@app.get('/x')\ndef x():\n    return '1'\n"
    assert "not imported here" in refused(source, lambda m: guard(m, "x", "mine", source=Module("other.py", FLASK)))


def test_a_log_in_is_no_guard(refused: Callable[..., Any]) -> None:
    """Statements that read the body before they answer 401 check a password and guard nothing."""
    source = """
    from flask import request
    @app.post('/login')
    def login():
        data = request.get_json()
        if data['password'] != 'x':
            return {'error': 'Wrong password'}, 401
        return 'ok'
    @app.get('/all')
    def everything():
        return 'ok'
    """
    assert "no guard" in refused(source, lambda m: guard(m, "everything", "login"))


def test_of_an_if_with_an_else_only_the_refusal_is_copied(mended: Callable[[str, Any], str]) -> None:
    """A sibling that does its work in the `else` lends its refusal, without what it reads from the body before."""
    source = (
        "from flask import Flask, request\napp = Flask(__name__)\n\ndef check(header):\n    return {'error': 'no'}\n\n"
        "@app.post('/a')\ndef first():\n    data = request.get_json()\n    claims = check(request.headers.get('Authorization'))\n"
        "    if 'error' in claims:\n        return claims, 401\n    else:\n        return data\n\n@app.get('/b')\ndef second():\n    return {'b': 1}\n"
    )
    text = mended(source, lambda module: guard(module, "second", "first"))
    body = text[text.index("def second") :]
    assert "claims = check(request.headers.get('Authorization'))\n    if 'error' in claims:\n        return claims, 401\n    return {'b': 1}" in body
    assert "get_json" not in body
