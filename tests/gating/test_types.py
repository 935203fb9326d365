"""The gate of types: the project's own checker as it is configured, else strict on what is new and on nothing that others are to blame for."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from toughen.gatekeeping import DOWN, Changes, CouldNot, Done, Faults, Untouched
from toughen.gates.types import Types, configured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Ground

OK = Done((0,), "")


def looked(site: Ground) -> Faults:
    said = Types().look(site)
    assert isinstance(said, Faults), said
    return said


@pytest.mark.parametrize(("files", "which"), [
    ({"mypy.ini": ""}, "mypy"),
    ({".mypy.ini": ""}, "mypy"),
    ({"pyproject.toml": "[tool.mypy]\n"}, "mypy"),
    ({"setup.cfg": "[mypy]\n"}, "mypy"),
    ({"setup.cfg": "no section\n", "pyproject.toml": "broken = ["}, ""),
    ({"pyrightconfig.json": "{}"}, "pyright"),
    ({"pyproject.toml": "[tool.basedpyright]\n"}, "pyright"),
    ({}, ""),
])
def test_configured(tmp_path: Path, files: Mapping[str, str], which: str) -> None:
    """The checker is the one that the project says how to run; what cannot be read says nothing."""
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert configured(tmp_path) == which


def test_own(ground: Callable[..., Ground]) -> None:
    """Every error of the project's own checker is a fault, known again by its line's text, wherever that moves."""
    said = "main.py:2: error: Incompatible types in assignment  [assignment]\nmain.py:3: note: see there\n./other.py:9: error: Something\n"
    site = ground({"main.py": "x = 1\nx = ''\n", "mypy.ini": ""}, done=[Done((1,), said)])
    faults = looked(site).faults
    assert [(each.key, each.strict) for each in faults] == [("main.py assignment: x = ''", False), ("other.py misc: ", False)]
    assert site.asked[0][-1] == ".", "nothing says which files"
    assert site.brought == [{}]


@pytest.mark.parametrize("files", [{"mypy.ini": "[mypy]\nfiles = src\n"}, {"pyproject.toml": "[tool.mypy]\npackages = ['app']\n"}, {"setup.cfg": "[mypy]\nfiles=.\n", "mypy.ini": "\ufeff[["}])
def test_own_files(ground: Callable[..., Ground], files: Mapping[str, str]) -> None:
    """Where the configuration says which files are checked, nothing is added."""
    site = ground({"main.py": "", **files}, done=[OK])
    looked(site)
    assert (site.asked[0][-1] == ".") == ("[[" in files.get("mypy.ini", ""))


def test_new_lines(ground: Callable[..., Ground]) -> None:
    """Without a checker of the project's own, new lines are held to strict types, and old ones to nothing; no baseline lets them through."""
    said = "main.py:1: error: Function is missing a type annotation  [no-untyped-def]\nmain.py:2: error: Function is missing a type annotation  [no-untyped-def]\n"
    site = ground({"main.py": "def a(x): ...\ndef b(x): ...\n"}, new=Changes("HEAD", {"main.py": frozenset({2}), "gone.py": frozenset({1}), "README.md": frozenset({1})}), done=[Done((1,), said)])
    told = looked(site)
    assert [(each.key, each.strict) for each in told.faults] == [("main.py no-untyped-def: def b(x): ...", True)]
    assert told.why == "1 line that came since the baseline, mypy --strict"
    assert site.asked[0][-1] == "main.py"


def test_plugins(ground: Callable[..., Ground]) -> None:
    """pydantic's plugin is loaded where it is used, and left out where it cannot be; one that the project configures is installed."""
    new = Changes("HEAD", {"main.py": frozenset({1})})
    broken = Done((2,), "error: Error importing plugin")
    site = ground({"main.py": "from pydantic import BaseModel\n"}, new=new, done=[broken, OK])
    assert not looked(site).faults
    assert ["pydantic.mypy" in each["toughen-mypy.ini"] for each in site.brought] == [True, False]
    lacks = Done((2,), "x: error: Error importing plugin \"mypy_django_plugin.main\": No module named 'mypy_django_plugin'".replace('"mypy_django_plugin.main":', "mypy_django_plugin.main"))
    site = ground({"main.py": "", "mypy.ini": ""}, done=[lacks, OK])
    assert not looked(site).faults
    assert len(site.asked) == 2


def test_not_asked(ground: Callable[..., Ground]) -> None:
    """What cannot be told is no yes, and says what to do; without new lines there is nothing to tell."""
    files = {"main.py": "x = 1\n"}
    some = Changes("HEAD", {"main.py": frozenset({1})})
    assert "write a baseline" in str(Types().look(ground(files)))
    assert "no line is new" in looked(ground(files, new=Changes("HEAD", {}))).why
    assert isinstance(Types().look(ground(files, changed=Changes("HEAD", {"README.md": frozenset({1})}))), Untouched)
    assert Types().look(ground(files, new=some, booted=False)) is DOWN
    for done, said in ((None, "mypy cannot be had here"), (Done((None,), ""), "mypy takes longer"), (Done((2,), "mypy: error: it crashed"), "mypy does not run: mypy: error: it crashed")):
        told = Types().look(ground(files, new=some, done=[done]))
        assert isinstance(told, CouldNot)
        assert told.reason.startswith(said)


def test_pyright(ground: Callable[..., Ground]) -> None:
    """pyright's errors are faults, its warnings are not; what is no report is told."""
    diagnostics = [{"severity": level, "file": f"/copy/project/{name}", "range": {"start": {"line": 0}}, "rule": "reportX", "message": "bad\nmore"} for level, name in (("error", "main.py"), ("error", "stray.py"), ("warning", "main.py"))]
    files = {"main.py": "x = 1\n", "pyrightconfig.json": "{}"}
    told = looked(ground(files, done=[Done((1,), "starting\n" + json.dumps({"version": "1.1", "generalDiagnostics": diagnostics}))]))
    assert [(each.key, each.message) for each in told.faults] == [("main.py reportX: x = 1", "bad [reportX]"), ("stray.py reportX: ", "bad [reportX]")]
    for done, said in ((None, "pyright cannot be had here"), (Done((None,), ""), "pyright takes longer"), (Done((1,), ""), "pyright does not run: it says nothing"), (Done((1,), "{}"), "pyright does not run: {}")):
        assert said in str(Types().look(ground(files, done=[done])))
    assert Types().look(ground(files, booted=False)) is DOWN


def test_nobody_elses_fault(ground: Callable[..., Ground], tmp_path: Path) -> None:
    """mypy itself: what untyped libraries, old code, and attributes that exist when the program runs are to blame for is no fault of a new line; a missing annotation is."""
    text = "import old\nimport nowhere\nfrom old import json\n\n\nclass Note(old.db.Model):\n    pass\n\n\ndef told() -> dict[str, int]:\n    return old.load()\n\n\ndef bare(x):\n    return x\n\n\nvalue = old.load()  # type: ignore[no-untyped-call]\n"
    files = {"main.py": text, "old.py": "import json\nfrom typing import Any\n\n\nclass Made:\n    Model: Any\n\n    def __init__(self) -> None:\n        self.Model = object\n\n\ndb = Made()\n\n\ndef load():\n    return json.loads('{}')\n"}
    site = ground(files, new=Changes("HEAD", {"main.py": frozenset(range(1, 30))}), done=[OK])
    looked(site)
    (site.root / "toughen-mypy.ini").write_text(site.brought[0]["toughen-mypy.ini"])
    done = subprocess.run([sys.executable, "-m", *site.asked[0]], cwd=site.root, capture_output=True, text=True, check=False)
    site.done = [Done((done.returncode,), done.stdout)]
    assert [each.message for each in looked(site).faults] == ["Function is missing a type annotation [no-untyped-def]"], done.stdout
