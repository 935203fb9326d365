"""Owns security/path-traversal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from toughen import cures, flows, sinks
from toughen.exploits import paths, values
from toughen.model.blueprint import Place
from toughen.model.finding import Evidence, Severity
from toughen.model.trial import Experiment
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer, named, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Argument, Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Planted
    from toughen.rule import Judgement, Target

_FOLDERS = 3
"""Folders of the prototype, which the honest request opened, that a folder is planted beside."""


class PathTraversal(Rule):
    """A value from the request names a file, and nothing keeps it in its folder: any file of the server is read or written.

    Who pays: everybody. One request reads the settings with their secrets, or writes a file that runs.

    Example: `open(f"uploads/{name}")`.
    Instead: resolve the path and ask whether it still lies below its folder (`resolve().is_relative_to(folder)`), or
    `send_from_directory`; a name that an upload carries goes through `secure_filename`.

    Shown: a file of the lab's own, outside of the prototype's folders, with fresh content: it comes back in the answer, or it
    is opened, overwritten or deleted, or found in its folder by a name that no request holds. Where a path is kept by how it
    begins, the file lies beside the right folder, in one whose name begins as that one's does (`files` and `files_old`).

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
        honest = target.honest(route.id)
        folders = [each for each in (honest.last.folders if honest else ()) if each != "."][:_FOLDERS]
        for argument in values.texts(target, route, journey, values.ANYWHERE | {Place.FILE}):
            ways = [(shape, about, False) for shape, about in paths.shapes(values.honest(argument))]
            ways += [(shape, about, True) for each in folders for shape, about in paths.beside(each)]
            planted = paths.planted(journey, argument, folders)
            calls = [values.sent(journey, argument, shape) for shape, _, _ in ways]
            if not any(paths.escaped(trace, exchange) for exchange, trace in values.several(target, journey, calls, planted)):
                ways = ways[:1]
            yield from values.telling(
                lambda each: self.shows(target, each),
                (self._tried(journey, argument, shape, about, planted if inside else paths.planted(journey, argument), inside=inside) for shape, about, inside in ways),
            )

    @staticmethod
    def _tried(journey: Journey, argument: Argument, shape: str, about: str, planted: tuple[Planted, ...], *, inside: bool) -> Experiment:
        """One value; where the lab's file lies among the prototype's own, the honest request runs beside it too."""
        trials = values.trials(journey, argument, shape, planted)
        if inside:
            trials["control"] = replace(trials["control"], planted=planted)
        return Experiment(trials, f"{about} in {named(argument)}", (*values.facts(argument, shape), ("inside", "yes" if inside else "")))

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The honest request passes, and the lab's own file was read, listed, opened, overwritten or deleted."""
        unclear = values.controlled(traces)
        if unclear is not None:
            return unclear
        if experiment.fact("inside") and paths.escaped(traces["control"], traces["control"].last):
            return Unclear("the honest request meets the lab's own file too")
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
                (("field", field), ("done", done), ("inside", experiment.fact("inside"))),
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
        Broken("""import os
import re
from flask import Flask, jsonify, request
app = Flask(__name__)
ROOT = "./files"
os.makedirs(ROOT, exist_ok=True)
with open(os.path.join(ROOT, "welcome.txt"), "w") as start:
    start.write("Hello")

@app.get("/search")
def search():
    pattern = request.args.get("pattern", "Hello")
    folder = os.path.join(ROOT, request.args.get("folder", ""))
    root = os.path.abspath(ROOT)
    asked = os.path.abspath(folder)
    if not asked.startswith(root):
        return jsonify({"error": "Outside of the files"}), 400
    if not os.path.isdir(asked):
        return jsonify({"error": "No such folder"}), 400
    found = []
    for name in os.listdir(asked):
        with open(os.path.join(asked, name), errors="ignore") as file:
            if pattern in file.read():
                found.append(name)
    return jsonify({"files": found})
""", "GET /search", unseen="the path is asked about, and the question is not read"),
        Broken("""import fnmatch
import os
from flask import Flask, jsonify, request
app = Flask(__name__)
DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
os.makedirs(DATA, exist_ok=True)

@app.post("/search")
def search():
    data = request.get_json()
    if not isinstance(data, dict) or not isinstance(data.get("filename"), str) or not isinstance(data.get("folder", ""), str):
        return jsonify({"error": "filename is required"}), 400
    start = os.path.join(DATA, data.get("folder", "").lstrip("/"))
    found = []
    for root, folders, names in os.walk(start):
        for name in names:
            if fnmatch.fnmatch(name, data["filename"] + "*"):
                found.append(os.path.join(root, name))
    return jsonify({"files": found})
""", "POST /search"),
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

@app.get("/search")
def search():
    root, asked = os.path.abspath(UPLOADS), os.path.abspath(os.path.join(UPLOADS, request.args.get("folder", "")))
    if asked != root and not asked.startswith(root + os.sep):
        abort(404)
    return jsonify(os.listdir(asked) if os.path.isdir(asked) else [])

@app.get("/me")
def me():
    return jsonify({"agent": request.headers.get("User-Agent", ""), "path": request.cookies.get("last", "/")})

@app.get("/all")
def everything():
    wanted = request.args.get("wanted", "welcome")
    here = os.path.dirname(os.path.abspath(__file__))
    return jsonify([name for _, _, names in os.walk(here) for name in names if wanted in name or name.endswith(".txt")])

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
