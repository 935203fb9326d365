"""The whole command on prototypes that misbehave: a clear end, the right exit code, and no trace."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from toughen.errors import BootError
from toughen.lab.opening import open_lab
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

SHOP = """
    import sqlite3
    from flask import Flask, jsonify, request

    app = Flask(__name__)
    db = sqlite3.connect("shop.db")
    db.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER)")
    db.execute("INSERT INTO items (name, stock) VALUES ('apple', 5)")
    db.commit()
    db.close()


    @app.get("/items")
    def items():
        db = sqlite3.connect("shop.db")
        rows = db.execute("SELECT id, name, stock FROM items").fetchall()
        db.close()
        return jsonify([{"id": id, "name": name, "stock": stock} for id, name, stock in rows])


    @app.post("/items")
    def add():
        db = sqlite3.connect("shop.db")
        body = request.get_json()
        db.execute("INSERT INTO items (name, stock) VALUES (?, ?)", (body["name"], int(body["stock"])))
        db.commit()
        db.close()
        return jsonify(ok=True), 201
    """

BOOTS_NOT = [
    pytest.param("from flask import Flask\napp = Flask(__name__)\nraise RuntimeError('no luck')\n", "no luck", id="crash-on-import"),
    pytest.param("from flask import Flask\nimport surely_no_such_package_4711\napp = Flask(__name__)\n", "surely_no_such_package_4711", id="missing-package"),
    pytest.param("from flask import Flask\nimport os\napp = Flask(__name__)\nos._exit(0)\n", "ended while it was imported", id="exit-on-import"),
    pytest.param("from flask import Flask\nimport os, signal\napp = Flask(__name__)\nos.kill(os.getppid(), 9)\nos.kill(os.getpid(), 9)\n", "ended while it was imported", id="kill-on-import"),
]


@pytest.mark.parametrize(("source", "said"), BOOTS_NOT)
def test_what_does_not_boot(prototype: Write, source: str, said: str) -> None:
    """A prototype that does not boot ends with exit code 3 and says why; what the source shows is still reported."""
    project = prototype({"main.py": source})
    before = project.digest()
    done = project.toughen("check", project.root.name)
    assert done.returncode == 3, done.stderr
    assert said in done.stdout + done.stderr
    assert "Traceback (most recent call last)" not in done.stderr
    assert project.digest() == before
    assert project.left_behind() == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({}, "", id="empty"),
        pytest.param({"notes.txt": "hello"}, "", id="no-python"),
        pytest.param({"main.py": "print('hello')\n"}, "", id="no-app"),
        pytest.param({"main.py": "from flask import Flask\napp = Flask(__name__)\n@app.route('/'\n"}, "main.py", id="syntax-error"),
        pytest.param({"manage.py": "from django.core.management import execute_from_command_line\ndef main(:\n"}, "manage.py cannot be read", id="django-syntax-error"),
        pytest.param({"main.py": "x = " + "(" * 5000 + ")" * 5000}, "", id="deep-nesting"),
        pytest.param({"main.py": "\x00\x01\x02"}, "", id="binary"),
    ],
)
def test_nothing_to_survey(prototype: Write, files: Mapping[str, str], said: str) -> None:
    """A folder without an application ends with exit code 3 and one clear sentence, not with our traceback."""
    project = prototype(files)
    before = project.digest()
    done = project.toughen("check", project.root.name)
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert done.stderr.strip().splitlines()[-1]
    assert said in done.stdout + done.stderr
    assert "Traceback (most recent call last)" not in done.stderr
    assert project.digest() == before
    assert project.left_behind() == []


def test_a_hang_on_import_is_given_up(prototype: Write) -> None:
    """A prototype that never finishes its import is ended after the time that it is given, and the error says so."""
    project = prototype({"main.py": "import time\nfrom flask import Flask\napp = Flask(__name__)\ntime.sleep(600)\n"})
    from pathlib import Path as RealPath

    from toughen.lab.environment import Environment

    entry = survey(read(project.root)).entry
    assert entry is not None
    ours = Environment(RealPath(project.root / ".venv/bin/python"), "3.11", "ours", cached=True, own=False)
    began = time.monotonic()
    with pytest.raises(BootError, match="longer than 2 s"), open_lab(project.root, entry, ours, {}, import_seconds=2):
        pass
    assert time.monotonic() - began < 15
    assert project.left_behind() == []


MISBEHAVING = SHOP + """
    import os, signal, subprocess, time


    @app.get("/exit")
    def leave():
        os._exit(3)


    @app.get("/never")
    def never():
        while True:
            time.sleep(1)


    @app.get("/big")
    def big():
        return "x" * 100_000_000


    @app.get("/daemon")
    def daemon():
        subprocess.Popen(["sleep", "3333"], start_new_session=True)
        return "ok"


    @app.get("/write")
    def write():
        with open("PLACE", "w") as file:
            file.write("x")
        return "written"


    @app.get("/parent")
    def parent():
        os.kill(os.getppid(), signal.SIGKILL)
        return "killed"
    """


def test_handlers_that_misbehave(prototype: Write, tmp_path: Path) -> None:
    """Handlers that exit, hang, flood, leave daemons or write outside are named; the others are attacked, and nothing is seen outside."""
    outside = tmp_path / "outside.txt"
    project = prototype({"main.py": MISBEHAVING.replace("PLACE", str(outside))})
    before = project.digest()
    done = project.toughen("check", project.root.name, "--format", "json", "--only", "input/crash", seconds=240)
    assert done.returncode == 10, done.stderr
    report = json.loads(done.stdout)
    unreached = {each["path"]: each["reason"] for each in report["coverage"]["unreached"]}
    assert "died" in unreached["/exit"]
    assert "never ended" in unreached["/never"]
    assert set(unreached) <= {"/exit", "/never", "/parent"}, unreached
    assert {each["route"]["path"] for each in report["findings"] if each["status"] == "proven"} >= {"/items"}
    assert not outside.exists()
    assert project.digest() == before
    assert project.left_behind() == []


@pytest.mark.parametrize("after", [0.3, 0.9, 1.6, 2.5, 4.0])
def test_an_interrupt_leaves_nothing(prototype: Write, after: float) -> None:
    """Ctrl-C at any moment ends the run within seconds, with exit code 130 (or its own, once the report is out), no trace and no process."""
    project = prototype({"main.py": SHOP})
    before = project.digest()
    process = subprocess.Popen(
        project.command("check", project.root.name), cwd=project.root.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    time.sleep(after)
    finished = process.poll() is not None
    process.send_signal(signal.SIGINT)
    report, said = process.communicate(timeout=20)
    if not finished:
        assert process.returncode == 130 or (process.returncode == 10 and "Took " in report), said
        assert "Traceback" not in said
    deadline = time.monotonic() + 5
    while project.left_behind() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert project.left_behind() == []
    assert project.digest() == before


def test_an_interrupt_behind_the_answer_is_no_signal() -> None:
    """Ctrl-C once the answer is out, while Python takes itself down: the exit code is the answer's, or 130 just before, and never the signal's."""
    for after in (0.0, 0.005, 0.01, 0.02):
        process = subprocess.Popen([sys.executable, "-m", "toughen", "--version"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("toughen ")
        time.sleep(after)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode in {0, 130}, said
        assert "Traceback" not in said
