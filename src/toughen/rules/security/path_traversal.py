"""Owns security/path-traversal."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import paths, values
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment
from toughen.rule import Broken, Fails, Holds, Rule, Sound
from toughen.twists import answer, named, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.rule import Judgement, Target


class PathTraversal(Rule):
    """A value from the request names a file, and nothing keeps it in its folder: any file of the server is read or written.

    Who pays: everybody. One request reads the settings with their secrets, or writes a file that runs.

    Example: `open(f"uploads/{name}")`.
    Instead: resolve the path and ask whether it still lies below its folder (`resolve().is_relative_to(folder)`), or
    `send_from_directory`; a name that an upload carries goes through `secure_filename`.

    Shown: a file of the lab's own, outside of the prototype's folders, with fresh content: it comes back in the answer,
    or it is overwritten or deleted.

    References: CWE-22; OWASP API8:2023; ASVS 5.0 V5.3.2.
    """

    id = "security/path-traversal"
    title = "A value from the request leads to files outside of their folder"
    severity = Severity.CRITICAL
    cwe = (22, 73)
    owasp = "API8:2023"
    asvs = "V5.3.2"
    order = 10

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Each text value and each uploaded file's name as a path that leads to the lab's own file."""
        for argument in values.texts(target, route, journey, values.ANYWHERE | {Place.FILE}):
            shapes = list(paths.shapes(values.honest(argument)))
            calls = [values.sent(journey, argument, shape) for shape, _ in shapes]
            if not any(paths.escaped(trace, exchange) for exchange, trace in values.several(target, journey, calls, paths.planted())):
                shapes = shapes[:1]
            yield from values.telling(
                lambda each: self.shows(target, each),
                (
                    Experiment(values.trials(journey, argument, shape, paths.planted()), f"{about} in {named(argument)}", values.facts(argument, shape))
                    for shape, about in shapes
                ),
            )

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the lab's own file was read, listed, overwritten or deleted."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        hostile, field = traces["hostile"], experiment.fact("field")
        done = paths.escaped(hostile, hostile.last)
        if not done:
            return Fails()
        seen = next(iter(values.sightings(hostile, hostile.last, paths.EVENTS)), None)
        return Holds(
            Evidence(
                f"{field} leads out of its folder: a file that lies elsewhere was {done}",
                {"request": shown(hostile.last), "answer": answer(hostile.last), "path": seen.text[:600] if seen else "", "honest": shown(traces["control"].last)},
                seen.location if seen else None,
                (("field", field), ("done", done)),
                key=field,
            )
        )

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Files that are opened by a path which takes in a value of the request."""
        yield from flows.suspected(self.id, blueprint, sources, sinks.PATH)

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """The path resolved and kept below its folder; an upload stored under a safe name."""
        yield from cures.path(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken("""import os
from flask import Flask, jsonify, request
app = Flask(__name__)
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "notes")
os.makedirs(FOLDER, exist_ok=True)

@app.post("/notes")
def save():
    data = request.get_json()
    with open(os.path.join(FOLDER, data["title"]), "w") as file:
        file.write(data["text"])
    return jsonify({"message": "saved"}), 201

@app.get("/notes")
def titles():
    return jsonify(os.listdir(FOLDER))
""", "POST /notes"),
        Broken("""from pathlib import Path
from fastapi import FastAPI, HTTPException
app = FastAPI()
PAGES = Path(__file__).parent / "pages"
PAGES.mkdir(exist_ok=True)
(PAGES / "welcome.txt").write_text("Hello")

@app.get("/pages")
def page(name: str = "welcome.txt"):
    path = PAGES / name
    if not path.exists():
        raise HTTPException(status_code=404, detail="No such page")
    return {"text": path.read_text()}
""", "GET /pages", ("fastapi",)),
        Broken("""import os
from flask import Flask, jsonify, request
app = Flask(__name__)
UPLOADS = "uploads"
os.makedirs(UPLOADS, exist_ok=True)

@app.post("/upload")
def upload():
    if "file" not in request.files:
        return jsonify({"error": "No file"}), 400
    file = request.files["file"]
    file.save(os.path.join(UPLOADS, file.filename))
    return jsonify({"name": file.filename}), 201
""", "POST /upload"),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound("""import os
from flask import Flask, abort, jsonify, request, send_from_directory
from werkzeug.utils import secure_filename
app = Flask(__name__)
UPLOADS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "uploads")
os.makedirs(UPLOADS, exist_ok=True)

@app.post("/upload")
def upload():
    file = request.files["file"]
    name = secure_filename(file.filename)
    file.save(os.path.join(UPLOADS, name))
    return jsonify({"name": name}), 201

@app.get("/welcome")
def welcome():
    name = request.args.get("name", "welcome.txt")
    path = os.path.realpath(os.path.join(UPLOADS, name))
    if not path.startswith(UPLOADS + os.sep):
        abort(404)
    if not os.path.exists(path):
        return jsonify({"text": "nothing yet"})
    with open(path) as file:
        return jsonify({"text": file.read()})

@app.get("/files/<path:name>")
def download(name):
    return send_from_directory(UPLOADS, name)
""", "a safe name, a path that is resolved and kept below its folder, and Flask's own function"),
        Sound("""from pathlib import Path
from fastapi import FastAPI, HTTPException
app = FastAPI()
PAGES = (Path(__file__).parent / "pages").resolve()
PAGES.mkdir(exist_ok=True)
(PAGES / "welcome.txt").write_text("Hello")

@app.get("/pages")
def page(name: str = "welcome.txt"):
    path = (PAGES / name).resolve()
    if not path.is_relative_to(PAGES) or not path.is_file():
        raise HTTPException(status_code=404, detail="No such page")
    return {"text": path.read_text()}

@app.get("/parts")
def part(name: str = "welcome.txt"):
    found = next((each for each in PAGES.iterdir() if each.name == name), None)
    if found is None:
        raise HTTPException(status_code=404, detail="No such page")
    return {"text": found.read_text()}
""", "the path is resolved and kept below its folder, or chosen from what lies there", ("fastapi",)),
    ]
