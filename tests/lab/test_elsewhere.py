"""Folders outside the project: which the source keeps files in, and that only the box ever has them."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from toughen.explore.explore import Explorer
from toughen.lab import sandbox
from toughen.lab.child import Record
from toughen.lab.elsewhere import missing, wanted
from toughen.survey import read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

APP = """
    import os, sqlite3
    from pathlib import Path
    from flask import Flask, jsonify, request, send_from_directory
    app = Flask(__name__)
    app.config["UPLOAD_FOLDER"] = "/var/tgtest-songs"
    os.makedirs("/tgtest-data/db", exist_ok=True)
    LINK = sqlite3.connect("/tgtest-data/db/shop.sqlite", check_same_thread=False)
    LINK.execute("CREATE TABLE IF NOT EXISTS songs (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    LINK.commit()

    @app.post("/songs")
    def add():
        name = os.path.basename(request.json["name"])
        Path(app.config["UPLOAD_FOLDER"], name).write_text("la la")
        LINK.execute("INSERT INTO songs (name) VALUES (?)", (name,))
        LINK.commit()
        return jsonify(sorted(os.listdir(app.config["UPLOAD_FOLDER"])))

    @app.get("/songs")
    def songs():
        return jsonify(files=sorted(os.listdir(app.config["UPLOAD_FOLDER"])), rows=[row[0] for row in LINK.execute("SELECT name FROM songs ORDER BY id")])

    @app.get("/download/<filename>")
    def download(filename):
        return send_from_directory(app.config["UPLOAD_FOLDER"], filename)
    """

LIBRARY = """
    import os
    from flask import Flask, send_from_directory
    app = Flask(__name__)

    @app.get("/download/<filename>")
    def download(filename):
        base = os.getenv("SONGS", "/var/tgtest-songs")
        return send_from_directory(base, filename)
    """


def _machine() -> list[Path]:
    return sorted([*Path("/").iterdir(), *Path("/var").iterdir()])


def _ask(lab: Lab, method: str, target: str, body: bytes = b"") -> Any:
    child = lab.child()
    headers = [["Host", "localhost"], ["Content-Type", "application/json"], ["Content-Length", str(len(body))]]
    answer = child.serve({"method": method, "target": target, "headers": headers, "body_b64": base64.b64encode(body).decode()}, Record()).response
    child.close()
    assert answer is not None
    assert answer.status == 200, answer.body
    return answer.json


def _full(lab: Lab) -> None:
    if "namespaces" not in (lab.box.shut() or () if lab.box else ()):
        pytest.skip(f"this system's sandbox shows no folders: {lab.level()}")


def test_what_it_keeps_outside_is_its_state(booted: Boot) -> None:
    """Files and a database in folders that this machine lacks are written, restored between trials, and never seen on the machine; what the machine has there is still there."""
    before = _machine()
    with booted({"app.py": APP}) as (lab, _):
        _full(lab)
        assert lab.world.elsewhere == ("/tgtest-data", "/var/tgtest-songs")
        assert lab.elsewhere()[0].startswith("outside the project it keeps files in /tgtest-data, /var/tgtest-songs, which this machine lacks")
        lab.world.take()
        assert [database.name for database in lab.world.databases] == [".private/tgtest--data/db/shop.sqlite"]
        assert _ask(lab, "POST", "/songs", b'{"name": "tune"}') == ["tune"]
        assert _ask(lab, "GET", "/songs") == {"files": ["tune"], "rows": ["tune"]}
        assert _machine() == before
        lab.restore()
        assert _ask(lab, "GET", "/songs") == {"files": [], "rows": []}
    assert _machine() == before


def test_a_file_is_put_where_a_route_looks_for_one(booted: Boot) -> None:
    """The route that hands out files of such a folder is reached, and a fresh boot has the file again."""
    with booted({"app.py": LIBRARY}) as (lab, blueprint):
        _full(lab)
        found = Explorer(lab, blueprint, read(lab.project).texts).run()
        assert "GET /download/{filename}" in {each.route for each in found.journeys}, found.notes
        assert any("into /var/tgtest-songs" in note for note in found.notes), found.notes
        held = lab.place("/var/tgtest-songs/tgsown.txt")
        assert held is not None
        held.unlink()
        lab.boot()
        assert held.is_file()
        assert lab.place("/etc/passwd") is None
        assert lab.place("/var/tgtest-songs/../../etc/passwd") is None
        assert lab.place("../outside") is None


def test_a_box_that_cannot_show_a_folder_is_as_it_was_and_says_so(tmp_path: Path, booted: Boot) -> None:
    """Where a folder cannot be shown the program runs without it, what it could see it still sees, and the reader is told."""
    work, python = tmp_path / "work", Path(sys.executable)
    work.mkdir()
    code = "import os; print(os.path.exists('/tgtest'), os.path.isdir('/usr'), os.path.isdir('/var'))"
    for place, shown, said in ((work, ("/tgtest",), "True True True"), (work / "no such folder", (), "False True True")):
        box = sandbox.start(
            [[str(python), "-c", code]], work=work, cwd=work, python=python, environment=sandbox.scrubbed(work, {}), name="t", elsewhere={"/tgtest": str(place)}
        )
        assert box.finish(20) == 0
        if "namespaces" in (box.shut() or ()):
            assert box.elsewhere() == shown
            assert said in box.output()
        box.close()
    with booted({"app.py": APP}) as (lab, _):
        lab.world.elsewhere = (*lab.world.elsewhere, "/tgtest-lost")
        assert lab.elsewhere()[-1].startswith("it keeps files in ")
        assert "/tgtest-lost, which this machine lacks and this sandbox cannot show" in lab.elsewhere()[-1]
        assert lab.place("/tgtest-lost/x") is None


def test_nothing_is_laid_over_what_the_machine_has(tmp_path: Path) -> None:
    """System folders, folders that are there, and links are left alone; of what is not there the outermost folder counts."""
    assert missing("/tgtest-data/a/b") == "/tgtest-data"
    assert missing("/var/tgtest-songs") == "/var/tgtest-songs"
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in ("/", "", "/etc/tgtest", "/usr/share/tgtest", "/home/tgtest", "/tmp/tgtest", "/root/x", "/dev/tgtest", "/var", str(tmp_path), "data", "/tgtest/../etc", f"/{'x' * 300}"):
        assert missing(folder) is None, folder
    if not str(tmp_path).startswith("/tmp"):
        assert missing(f"{tmp_path}/link/below") is None


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import os\nDATA = '/tgdata'\n\ndef look(name):\n    return os.path.join(DATA, name)\n", ("/tgdata",)),
        ("import os\n\ndef look(name):\n    base = '/tgdata'\n    for x in os.walk(os.path.join(base, name)):\n        print(x)\n", ("/tgdata",)),
        ("from pathlib import Path\nSONGS = Path('/var/tgsongs')\n", ("/var/tgsongs",)),
        ("def save(name, text):\n    with open(f'/tgdata/logs/{name}.txt', 'w') as f:\n        f.write(text)\n", ("/tgdata/logs",)),
        ("import os\nUPLOADS = os.environ.get('UPLOADS', '/tgapp/uploads')\nos.makedirs(UPLOADS, exist_ok=True)\n", ("/tgapp/uploads",)),
        ("import logging\nh = logging.FileHandler('/var/log/tgapp/app.log')\n", ("/var/log/tgapp",)),
        ("from sqlalchemy import create_engine\ne = create_engine('sqlite:////tgdata/shop.db')\n", ()),
        ("app.config.from_mapping(UPLOAD_FOLDER='/tgapp/up')\n\ndef x(f):\n    f.save(join(app.config['UPLOAD_FOLDER'], 'x'))\n\ndef join(a, b): ...\n", ("/tgapp/up",)),
        # What is an address of a page, or goes through names that no call for files takes.
        ("@app.get('/tgdata')\ndef page():\n    return redirect('/tglogin')\n", ()),
        ("LOGIN = '/tglogin'\napp.add_url_rule(LOGIN, view_func=page)\nPAGES = {'path': '/tgpage'}\n", ()),
        ("import os\nX = '/etc/tgapp'\nos.makedirs(X)\nopen('/usr/tg/x')\n", ()),
        ("import os\nX = os.path.join('static', 'x')\ny = '/tga'.join(['b'])\nz = 'q'.replace('/tgb', '')\n", ()),
    ],
)  # fmt: skip
def test_what_the_source_keeps_files_in(source: str, found: tuple[str, ...]) -> None:
    """Literals that reach a call for files are folders of the prototype's, whatever names they pass through; addresses are not."""
    assert wanted({"app.py": dedent(source)}, {}) == found


def test_settings_of_another_module_and_of_the_environment() -> None:
    """A folder that one module sets and another uses counts, and so does one that a variable names."""
    texts = {"settings.py": "MEDIA = '/tgmedia'\nHOMEPAGE = '/tghome'\n", "app.py": "import os, settings\nprint(os.listdir(settings.MEDIA))\n"}
    assert wanted(texts, {"UPLOAD_DIR": "/tgup", "API_ROOT": "/tgapi", "DATABASE_URL": "sqlite:////tgdb/x.db"}) == ("/tgmedia", "/tgup")
