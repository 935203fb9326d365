"""Rows made of rows that are there."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from toughen.lab.copies import copies, keys_of
from toughen.lab.sqlite import SqliteFile
from toughen.model.blueprint import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS = Table(
    "members",
    (Column("id", "integer", primary_key=True), Column("email", "string", unique=True, max_length=40), Column("team_id", "integer", references=("teams", "id")), Column("ref", "string")),
    (("email",),),
)
UUID = "0b8f3f2c-9a4d-4c51-8d0e-1f2a3b4c5d6e"


def test_keys_are_made_anew_and_the_rest_is_kept() -> None:
    """Numbers go on from the largest, addresses of mail stay such, and the rows come in turn."""
    made = list(copies(MEMBERS, ["id", "email", "team_id", "ref"], [(7, "a@x.org", 1, "r"), (4, "b@x.org", 2, "s")], 4, {"id": 7}))
    assert [row[0] for row in made] == [8, 9, 10, 11]
    assert [row[1] for row in made] == ["0a@x.org", "1b@x.org", "2a@x.org", "3b@x.org"]
    assert [row[2:] for row in made] == [[1, "r"], [2, "s"], [1, "r"], [2, "s"]]


def test_a_key_of_uuids_gets_new_ones() -> None:
    """A key that is a UUID stays one, in the form that it had."""
    table = Table("tokens", (Column("id", "string", primary_key=True),))
    (row,) = copies(table, ["id"], [(UUID,)], 1, {})
    assert row[0] != UUID
    assert len(row[0]) == len(UUID)


def test_a_key_that_only_refers_cannot_be_copied() -> None:
    """One like for each user and post: a second one of both would violate the key."""
    likes = Table("likes", (Column("user_id", "integer", references=("users", "id")), Column("post_id", "integer", references=("posts", "id"))), (("user_id", "post_id"),))
    assert keys_of(likes) is None
    assert list(copies(likes, ["user_id", "post_id"], [(1, 1)], 3, {})) == []


def test_a_table_takes_all_of_them_or_none(tmp_path: Path) -> None:
    """The newest rows are copied in one transaction; a table that refuses one of them stays as it was."""
    path = tmp_path / "app.db"
    with sqlite3.connect(path) as live:
        live.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE, owner INTEGER CHECK (owner < 3))")
        live.execute("INSERT INTO notes VALUES (1, 'a', 1), (2, NULL, 2)")
    live.close()
    held = SqliteFile(path, "app.db")
    before = held.size()
    assert held.multiply("Notes", 1200) == 1200
    assert held.size() > before
    assert len(held.rows("notes") or {}) == 1202
    assert held.multiply("nothing", 5) == 0
