"""Routes that hand out files and look into folders; the prototype is booted for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toughen import config
from toughen.model.journey import Literal
from toughen.pipeline import Run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    import os
    from pathlib import Path
    from flask import Flask, request, jsonify, send_from_directory
    app = Flask(__name__)
    app.config["REPORTS"] = "reports"
    HERE = os.path.dirname(os.path.abspath(__file__))
    SONGS = os.path.join(HERE, "songs")
    BOOKS = Path(__file__).resolve().parent / "books"
    ELSEWHERE = "/usr/no/such/place"

    def inside(name):
        return os.path.join(SONGS, name)

    @app.get("/songs/<filename>")
    def song(filename):
        path = inside(filename)
        if not os.path.isfile(path):
            return jsonify(error="no such song"), 404
        with open(path) as found:
            return found.read()

    @app.get("/books")
    def books():
        place = BOOKS / request.args["directory"]
        if not place.is_dir():
            return jsonify(error="no such folder"), 400
        return jsonify(sorted(each.name for each in place.iterdir()))

    @app.get("/reports/<name>")
    def report(name):
        return send_from_directory(app.config["REPORTS"], name)

    @app.get("/elsewhere/<name>")
    def elsewhere(name):
        return open(os.path.join(ELSEWHERE, name)).read() if os.path.exists(os.path.join(ELSEWHERE, name)) else ("no", 404)
    """


def test_files_and_folders_are_there_to_be_asked_for(prototype: Write) -> None:
    """The project's own file is asked for where there is one, else one of the lab's is put where the source looks; nothing is put outside the copy, or into the project."""
    project = prototype({"app.py": APP, "reports/june.txt": "rain"})
    before = project.digest()
    verdict = Run(project.root, config.read(project.root, only=("security/path-traversal",))).check()
    found = {each.route: [value.value for argument in each.call.arguments if isinstance(value := argument.value, Literal)] for each in verdict.journeys}
    assert found == {"GET /songs/{filename}": ["tgsown.txt"], "GET /books": ["tgfolder"], "GET /reports/{name}": ["june.txt"]}
    assert any(note == "put files into songs, books, where routes look for some" for note in verdict.notes)
    after = project.digest()
    assert {name for name in after if not name.startswith(".toughen")} == {name for name in before if not name.startswith(".toughen")}
