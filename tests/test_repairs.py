"""Repairs of wrong input: which words a finding chooses, in which order, and why it is left to a brief."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from toughen import repairs
from toughen.model.finding import Evidence, Finding, Severity, Status
from toughen.model.patch import Patch, Unmended
from toughen.model.source import Location
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from toughen.model.blueprint import Blueprint

    Repair = Callable[[Finding, Blueprint, Mapping[str, str]], Iterator[Patch | Unmended]]
    Offers = Callable[[str, Repair, str, dict[str, str]], list[Patch | Unmended]]

TYPED = """import sqlite3
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()
conn = sqlite3.connect("shop.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS members (id INTEGER PRIMARY KEY, name TEXT, age INTEGER, role TEXT)")


class Member(BaseModel):
    name: str
    age: int
    role: str = "user"


@app.post("/members")
def join(member: Member):
    data = member.model_dump()
    conn.execute("INSERT INTO members (name, age, role) VALUES (?, ?, ?)", tuple(data.values()))
    conn.commit()
    return {"name": member.name}
"""
UNTYPED = """import sqlite3
from flask import Flask, jsonify, request

app = Flask(__name__)
conn = sqlite3.connect("users.db", check_same_thread=False)
conn.execute("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, is_admin INTEGER)")


@app.route("/users/<int:user_id>", methods=["PUT"])
def change(user_id):
    data = request.get_json()
    if not data:
        return jsonify({"error": "No data"}), 400
    for key, value in data.items():
        setattr(app, key, value)
    return jsonify({"id": user_id})


@app.route("/users", methods=["POST"])
def add():
    data = request.get_json()
    age = int(data.get("age", 0))
    conn.execute("INSERT INTO users (email) VALUES (?)", (data["email"],))
    conn.commit()
    return jsonify({"age": age}), 201
"""


def entry(field: str, *kinds: str, kind: str = "any", place: str = "json", path: tuple[str, ...] | None = None) -> dict[str, Any]:
    """What the sweep tells of one field that crashes."""
    return {"field": field, "place": place, "path": list((field,) if path is None else path), "kinds": list(kinds), "type": kind, "fits": None}


def crashes(*own: dict[str, Any], exception: str = "ValueError", source: str = "") -> dict[str, str]:
    """The facts of a crash."""
    return {"fields": json.dumps(own), "route": json.dumps(own), "exception": exception, "source": source}


@pytest.fixture
def offers(tmp_path: Path) -> Offers:
    """What a repair offers for a finding with these facts, on a project that is surveyed for real."""

    def ask(source: str, repair: Repair, route: str, facts: dict[str, str]) -> list[Patch | Unmended]:
        (tmp_path / "main.py").write_text(source)
        sources = read(tmp_path)
        line = next((number for number, text in enumerate(source.splitlines(), 1) if facts.get("source") and facts["source"] in text), 1)
        evidence = Evidence("shown", {}, Location("main.py", line), tuple(facts.items()))
        finding = Finding("input/any", route, Location("main.py", line), Status.PROVEN, Severity.HIGH, "shown", evidence)
        return list(repair(finding, survey(sources), sources.texts))

    return ask


def first(made: list[Patch | Unmended]) -> str:
    """The text of main.py after the first offer."""
    assert isinstance(made[0], Patch), made
    return made[0].changes[0].after


def test_only_the_kinds_that_crash_are_refused(offers: Offers) -> None:
    """A huge whole number of a typed body gets the database's bounds; the fields beside it stay as they are."""
    text = first(offers(TYPED, repairs.crash, "POST /members", crashes(entry("age", "huge", kind="integer"))))
    field = next(line for line in text.splitlines() if line.strip().startswith("age:"))
    assert "ge=-(2**63)" in field, field
    assert "le=2**63 - 1" in field, field
    assert "    name: str\n" in text
    assert '    role: str = "user"\n' in text


def test_an_untyped_body_is_tested_as_a_whole(offers: Offers) -> None:
    """The body must be an object, the cast is answered, and the text that must be text is asked."""
    facts = crashes(entry("body", "body", path=()), entry("age", "string", kind="integer"), entry("email", "list", kind="string"))
    text = first(offers(UNTYPED, repairs.crash, "POST /users", facts))
    assert "isinstance(data, dict)" in text
    assert "age must be a number" in text
    assert "email must be a string" in text


def test_a_taken_key_is_answered_where_it_was_violated(offers: Offers) -> None:
    """The INSERT alone is wrapped, the connection rolled back, and the answer names the field."""
    facts = crashes(entry("email", "again", kind="string"), exception="sqlite3.IntegrityError", source="INSERT INTO users")
    text = first(offers(UNTYPED, repairs.crash, "POST /users", facts))
    assert "except sqlite3.IntegrityError" in text
    assert "conn.rollback()" in text
    assert "409" in text


def test_a_repeat_that_no_key_refused_is_left_to_a_brief(offers: Offers) -> None:
    """A 500 of another kind is no taken key: the reason names the exception, the brief what must hold."""
    made = offers(UNTYPED, repairs.crash, "POST /users", crashes(entry("email", "again"), exception="TypeError", source="INSERT INTO users"))
    assert isinstance(made[0], Unmended)
    assert "TypeError, which is no taken key" in made[0].reason
    assert "409" in made[0].brief


def test_the_whole_application_answers_overflow_last(offers: Offers) -> None:
    """Where the number that overflows is read outside of the handler, one error handler is the last offer, and says that it is wide."""
    made = offers(UNTYPED, repairs.crash, "POST /users", crashes(entry("age", "huge", kind="integer"), exception="OverflowError"))
    last = made[-1]
    assert isinstance(last, Patch)
    assert "@app.errorhandler(OverflowError)" in last.changes[0].after
    assert "on all routes" in last.note


def test_a_senseless_number_is_bounded_where_it_enters(offers: Offers) -> None:
    """What is paid must be above zero first and from zero on next; anything else only from zero on."""
    facts = {"field": "age", "place": "json", "keys": '["age"]', "type": "integer"}
    loose = offers(TYPED, repairs.number, "POST /members", facts)
    assert len(loose) == 1
    assert "age: int = Field(ge=0)" in first(loose)
    strict = offers(TYPED, repairs.number, "POST /members", {**facts, "strict": "yes"})
    assert [("gt=0" in each.changes[0].after, "ge=0" in each.changes[0].after) for each in strict if isinstance(each, Patch)] == [(True, False), (False, True)]


def test_a_number_that_is_cast_is_limited_behind_the_cast(offers: Offers) -> None:
    """In an untyped handler the bound follows `age = int(...)`."""
    text = first(offers(UNTYPED, repairs.number, "POST /users", {"field": "age", "place": "json", "keys": '["age"]', "type": "integer"}))
    lines = text.splitlines()
    assert lines[next(number for number, line in enumerate(lines) if "age = int(" in line) + 1].strip() == "if not 0 <= age:"


def test_a_number_deep_in_an_untyped_body_is_left_to_a_brief(offers: Offers) -> None:
    """Nothing is guessed about a list of objects that no model declares."""
    made = offers(UNTYPED, repairs.number, "PUT /users/{user_id}", {"field": "quantity", "place": "json", "keys": '["items", 0, "quantity"]', "type": "integer"})
    assert isinstance(made[0], Unmended)
    assert made[0].reason == "the number lies deep in an untyped body"


def test_a_field_of_power_is_kept_out_of_a_typed_body(offers: Offers) -> None:
    """The dump leaves it out; the model keeps it, since answers may use it."""
    made = offers(TYPED, repairs.assignment, "POST /members", {"table": "members", "column": "role", "fields": "name,age"})
    texts = [each.changes[0].after for each in made if isinstance(each, Patch)]
    assert any('exclude={"role"}' in each for each in texts)
    assert all('role: str = "user"' in each for each in texts)


def test_an_untyped_body_keeps_what_honest_clients_send(offers: Offers) -> None:
    """The loop skips other keys, and the note says which may pass."""
    made = offers(UNTYPED, repairs.assignment, "PUT /users/{user_id}", {"table": "users", "column": "is_admin", "fields": "email"})
    assert 'if key not in ("email",):' in first(made)
    assert isinstance(made[0], Patch)
    assert "Clients may set email" in made[0].note


def test_without_honest_keys_harmless_columns_are_allowed(offers: Offers) -> None:
    """Neither the key nor a column of power is on the list."""
    text = first(offers(UNTYPED, repairs.assignment, "PUT /users/{user_id}", {"table": "users", "column": "is_admin", "fields": ""}))
    assert 'if key not in ("email",):' in text


def test_a_finding_outside_of_the_project_is_left_to_a_brief(offers: Offers) -> None:
    """No variant is tried where the handler is not the project's own."""
    made = offers(UNTYPED, repairs.number, "GET /elsewhere", {"field": "age", "place": "json", "keys": '["age"]'})
    assert isinstance(made[0], Unmended)
    assert "not in the project's own source" in made[0].reason
