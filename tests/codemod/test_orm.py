"""Claims about scope and owned over SQLAlchemy: the owner is asked for, by the smallest change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from toughen.codemod import owned, scope, scope_orm

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = "from sqlalchemy import select\n\n\ndef show(note_id, db, me):\n"


@pytest.mark.parametrize(
    ("load", "wanted"),
    [
        (
            "db.query(Note).filter(Note.id == note_id).first()",
            "db.query(Note).filter(Note.id == note_id, Note.owner_id == me.id).first()",
        ),
        ("db.query(models.Note).all()", "db.query(models.Note).filter(models.Note.owner_id == me.id).all()"),
        ("Note.query.filter_by(id=note_id).first()", "Note.query.filter_by(id=note_id, owner_id=me.id).first()"),
        ("Note.query.get(note_id)", "Note.query.filter_by(id=note_id, owner_id=me.id).first()"),
        ("Note.query.get_or_404(note_id)", "Note.query.filter_by(id=note_id, owner_id=me.id).first_or_404()"),
        ("db.session.get(Note, note_id)", "db.session.query(Note).filter_by(id=note_id, owner_id=me.id).first()"),
        ("db.get_or_404(Note, note_id)", "Note.query.filter_by(id=note_id, owner_id=me.id).first_or_404()"),
        (
            "db.scalars(select(Note).where(Note.id == note_id)).first()",
            "db.scalars(select(Note).where(Note.id == note_id, Note.owner_id == me.id)).first()",
        ),
        ("db.scalars(select(Note)).all()", "db.scalars(select(Note).where(Note.owner_id == me.id)).all()"),
    ],
)
def test_queries_are_limited_to_the_owner(mended: Callable[..., Any], load: str, wanted: str) -> None:
    """Filters get one more condition, loads by key become filtered queries."""
    text = mended(f"{HEAD}    note = {load}\n    return note\n", lambda m: scope_orm(m, 5, "owner_id", "me.id"))
    assert text == f"{HEAD}    note = {wanted}\n    return note\n"


def test_an_awaited_get_stays_asynchronous(mended: Callable[..., Any]) -> None:
    """`await session.get` becomes an awaited select."""
    source = "async def show(note_id, session, me):\n    note = await session.get(Note, note_id)\n    return note\n"
    text = mended(source, lambda m: scope_orm(m, m.function("show").body[0].lineno, "owner_id", "me.id"))
    wanted = "(await session.execute(select(Note).filter_by(id=note_id, owner_id=me.id))).scalar_one_or_none()"
    assert wanted in text
    assert text.startswith("from sqlalchemy import select\n")


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ("db.query(func.count(Note.id)).scalar()", "names no model"),
        ("db.query(Note).filter(Note.owner_id == 1).first()", "already names"),
        ("db.query(Note).first(), db.query(User).first()", "2 SQLAlchemy queries"),
        ("load(note_id)", "0 SQLAlchemy queries"),
    ],
)
def test_unclear_queries_are_refused(refused: Callable[..., Any], load: str, reason: str) -> None:
    """Functions only, several queries, none, and owners that are there are refused."""
    assert reason in refused(f"{HEAD}    note = {load}\n", lambda m: scope_orm(m, 5, "owner_id", "me.id"))


def test_scope_chooses_by_the_statement(mended: Callable[..., Any]) -> None:
    """The one word serves SQL text and SQLAlchemy."""
    raw = "import sqlite3\ndef show(c, i, me):\n    return c.execute('SELECT * FROM n WHERE id = ?', (i,)).fetchone()\n"
    assert "AND owner_id = ?', (i, me))" in mended(raw, lambda m: scope(m, 3, "owner_id", "me"))


def test_the_handlers_own_not_found_is_extended(changed: Callable[..., Any]) -> None:
    """A test that follows the load gets the owner, and the answer stays the app's."""
    source = """
    @app.get('/notes/{note_id}')
    def show(note_id, db, me):
        note = load(db, note_id)
        if not note:
            raise HTTPException(status_code=404, detail='No note')
        return note.text
    """
    assert changed(source, lambda m: owned(m, 4, "owner_id", "me.id")) == [
        "-    if not note:",
        "+    if not note or note.owner_id != me.id:",
    ]


def test_rows_read_by_key_are_compared_by_key(changed: Callable[..., Any]) -> None:
    """sqlite3 rows are compared by key, and a refusal in the file's style follows the load."""
    source = """
    from flask import jsonify
    @app.get('/notes/<int:note_id>')
    def show(note_id):
        row = conn.execute('SELECT * FROM n WHERE id = ?', (note_id,)).fetchone()
        if row:
            return jsonify({'text': row['text']})
        return jsonify({'error': 'Note not found'}), 404
    """
    assert changed(source, lambda m: owned(m, 5, "user_id", "session['user_id']")) == [
        "+    if row is not None and row['user_id'] != session['user_id']:",
        "+        return jsonify({'error': 'Not found'}), 404",
    ]


def test_tuples_are_refused(refused: Callable[..., Any]) -> None:
    """Where rows are read by position the owner's place is unknown."""
    source = "@app.get('/')\ndef show():\n    row = load()\n    return row[1]\n"
    assert "by position" in refused(source, lambda m: owned(m, 3, "user_id", "me"))
