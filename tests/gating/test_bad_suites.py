"""Suites that misbehave, as a user runs into them: the report names the test, the files stay, nothing is left running."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

APP = """
    from flask import Flask

    app = Flask(__name__)


    @app.get("/notes")
    def listed():
        return {"notes": []}
    """
GOOD = """
    from main import app


    def test_listed():
        assert app.test_client().get("/notes").status_code == 200


    def test_stranger():
        assert app.test_client().get("/nowhere").status_code == 404
    """
WILD = """
    import os, pathlib, random, shutil, subprocess, sys, time

    HERE = pathlib.Path(__file__).resolve().parent


    def test_exit():
        os._exit(0)


    def test_writes():
        (HERE / "main.py").write_text("broken(")
        (HERE / "more.txt").write_text("x")


    def test_moves():
        os.chdir("/")


    def test_prints():
        for _ in range(50_000):
            print("x" * 100)
        os.write(1, b"y" * 1_000_000)


    def test_starts():
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)


    def test_takes_away():
        os.chdir(HERE)
        shutil.rmtree(HERE)


    def test_after_that():
        assert not HERE.joinpath("main.py").exists()
    """


def told(project: Prototype, *gates: str) -> dict[str, dict[str, Any]]:
    """Gate -> what it says; the project's files stay, and no process does."""
    before = project.digest()
    done = project.toughen("gate", project.root.name, *(part for each in gates for part in ("--only", each)), "--format", "json", "-o", "gate.json", seconds=500)
    assert done.returncode in {0, 11}, done.stderr
    assert project.digest() == before
    assert project.left_behind() == []
    return {each["gate"]: each for each in json.loads((project.root.parent / "gate.json").read_text())["gates"]}


def test_wild(prototype: Write) -> None:
    """Tests that end their process, rewrite the source, move away, print megabytes, leave processes and take the whole folder away: the one that ends its process is told by its name, the others go on, and the project is as it was."""
    tests = told(prototype({"main.py": APP, "test_notes.py": GOOD, "test_wild.py": WILD}), "tests")["tests"]
    said = {each["key"]: each["message"] for each in tests["faults"]}
    assert list(said) == ["test_wild.py::test_exit"], tests
    assert "something calls os._exit" in said["test_wild.py::test_exit"]
    assert tests["measured"]["passed"] == "8"


@pytest.mark.parametrize(("text", "said"), [
    ("import os\nos._exit(0)\n\n\ndef test_x(): ...\n", "their process ends while it imports them"),
    ("import sys\nsys.exit(3)\n\n\ndef test_x(): ...\n", "SystemExit"),
    ("import nowhere_to_be_found.at_all\n\n\ndef test_x(): ...\n", "No module named 'nowhere_to_be_found'"),
])
def test_import(prototype: Write, text: str, said: str) -> None:
    """What happens while tests are imported is told in words; that is no yes."""
    tests = told(prototype({"main.py": APP, "tests/test_x.py": text}), "tests")["tests"]
    assert tests["state"] == "not checked"
    assert said in tests["why"]


@pytest.mark.long
@pytest.mark.parametrize(("text", "said", "passed"), [
    ("import time\n\n\ndef test_bad():\n    time.sleep(3600)\n", "test_bad.py::test_bad fails: it does not end", "2"),
    ("import os, signal\n\n\ndef test_bad():\n    os.kill(os.getppid(), signal.SIGKILL)\n", "one of them may end processes that are not its own", ""),
    ("import urllib.request\n\n\ndef test_bad():\n    urllib.request.urlopen('http://example.org', timeout=5)\n", "URLError", "2"),
    ("import threading, time\n\n\ndef test_bad():\n    threading.Thread(target=time.sleep, args=(3600,)).start()\n", '"faults": []', "3"),
])
def test_long(prototype: Write, text: str, said: str, passed: str) -> None:
    """A test that hangs is given up and named; one that kills what runs it, one that wants a network, and one that leaves a thread are told, and end."""
    gates = told(prototype({"main.py": APP, "test_notes.py": GOOD, "test_bad.py": text}), "tests", "coverage", "guards")
    assert said in json.dumps(gates["tests"])
    assert gates["tests"]["measured"].get("passed", "") == passed
