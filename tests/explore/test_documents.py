"""Requests of a kind that forms and JSON do not cover; the prototype is booted for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import config
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

DOCUMENTS = """
    import json, sqlite3
    import xml.etree.ElementTree as ET
    from email import message_from_string
    from flask import Flask, request, jsonify
    app = Flask(__name__)
    db = sqlite3.connect("kept.db", check_same_thread=False)
    db.execute("CREATE TABLE IF NOT EXISTS kept (id INTEGER PRIMARY KEY, text TEXT, number INTEGER)")

    def keep(text, number=1):
        db.execute("INSERT INTO kept (text, number) VALUES (?, ?)", (text, number))
        db.commit()
        return jsonify(ok=True), 201

    @app.post("/hook")
    def hook():
        try:
            event = json.loads(request.get_data(as_text=True))
        except ValueError:
            return "no JSON", 400
        return keep(event["type"])

    @app.post("/note")
    def note():
        text = request.get_data(as_text=True)
        return keep(text) if text else ("No data", 400)

    @app.post("/import")
    def imported():
        if not request.data:
            return "No data", 400
        try:
            root = ET.fromstring(request.data)
        except ET.ParseError:
            return "no XML", 400
        if root.tag != "staff" and root.tag != "people":
            return "another document", 400
        people = root.findall("person")
        for person in people:
            keep(person.find("name").text + person.get("id"), int(person.findtext("age")))
        return jsonify(read=len(people)), 201 if people else 400

    @app.post("/mail")
    def mail():
        message = message_from_string(request.get_data(as_text=True))
        if "@" not in (message["From"] or "") or not message["List-Unsubscribe"]:
            return "no sender", 400
        return keep(message["From"] + message.get_payload())
    """


def test_bodies_that_are_documents(prototype: Write) -> None:
    """A body that is read as it stands is sent as what the handler makes of it: JSON, a text, XML with its elements and attributes, a message with its headers."""
    root = prototype({"app.py": DOCUMENTS}).root
    found = {each.route: each for each in Run(root, config.read(root, only=("security/debug-mode",))).check().journeys}
    assert {route: each.call.body for route, each in found.items()} == {"POST /hook": "json", "POST /note": "text", "POST /import": "xml", "POST /mail": "email"}
    names = {each.path for each in found["POST /import"].call.arguments}
    assert {("#tag",), ("person", 0, "name"), ("person", 0, "age"), ("person", 0, "@id")} <= names


INSIDE = """
    from fastapi import FastAPI, HTTPException, Request
    app = FastAPI()

    @app.get("/reset")
    def reset(request: Request):
        came_from = request.client.host
        if came_from != "127.0.0.1":
            raise HTTPException(403, "Forbidden")
        return {"done": True}

    @app.get("/who")
    def who(request: Request):
        return {"host": request.client.host}
    """


def test_routes_that_answer_the_machine_itself_only(prototype: Write) -> None:
    """Who asks comes from elsewhere; what refuses him by his address is asked from inside, and by nobody else."""
    root = prototype({"app.py": INSIDE}).root
    verdict = Run(root, config.read(root, only=("security/no-authentication",))).check()
    assert {each.route: each.call.inside for each in verdict.journeys} == {"GET /reset": True, "GET /who": False}
    inside = next(each.call for each in verdict.journeys if each.call.inside)
    assert (inside.by("somebody").inside, inside.by(None).inside) == (False, True)


ARCHIVES = """
    import zipfile
    from flask import Flask, request, jsonify
    app = Flask(__name__)
    app.config["TEXT_EXTENSIONS"] = {".txt", ".md", ".csv", ".json", ".xml", ".html"}

    @app.post("/unpack")
    def unpack():
        file = request.files.get("file")
        if file is None or not file.filename.lower().endswith(".zip"):
            return "Invalid input", 400
        with zipfile.ZipFile(file.stream) as archive:
            return jsonify(archive.namelist())
    """


def test_the_suffix_that_a_handler_asks_for_comes_before_those_of_lists(prototype: Write) -> None:
    """A refusal that says nothing: the source's own test of the file's name says what is wanted."""
    root = prototype({"app.py": ARCHIVES}).root
    verdict = Run(root, config.read(root, only=("security/debug-mode",))).check()
    assert [each.route for each in verdict.journeys] == ["POST /unpack"]
