"""The gate of lint: what is wrong whoever wrote it; nothing that a framework, a server or a reader of the package uses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toughen.gatekeeping import Changes, CouldNot, Faults, Untouched
from toughen.gates.lint import Lint, escapes, unused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Ground

RUFF = {"ruff": Path(sys.executable).parent / "ruff"}


def keys(site: Ground) -> list[str]:
    said = Lint().look(site)
    assert isinstance(said, Faults), said
    return sorted(each.key for each in said.faults)


def script(place: Path, text: str) -> dict[str, Path]:
    place.write_text(f"#!{sys.executable}\n{text}")
    place.chmod(0o755)
    return {"ruff": place}


def test_curated(ground: Callable[..., Ground]) -> None:
    """Where nothing is configured: undefined names and swallowed failures are faults, style and FastAPI's own way are not; a file that does not parse is one."""
    site = ground({"main.py": "from fastapi import Depends, FastAPI\n\napp = FastAPI( )\n\n\n@app.get('/')\ndef read(x = Depends(print)):\n    try:\n        return missing\n    except Exception:\n        pass\n", "broken.py": "def x(:\n"}, programs=RUFF)
    told = keys(site)
    assert "main.py F821: return missing" in told
    assert "main.py S110: except Exception:" in told
    assert any(each.startswith("broken.py") for each in told)
    assert not any("B008" in each or "E2" in each for each in told)


def test_imports_with_a_purpose(ground: Callable[..., Ground]) -> None:
    """An import that nobody uses is a fault, unless it runs a module of the project's own (signals, views) or a package hands its names on."""
    site = ground({
        "app/__init__.py": "import os\nfrom .models import Book\nfrom . import views\n", "app/models.py": "class Book: ...\n", "app/views.py": "import json\nimport app.models\nfrom app.models import Book\n",
    }, programs=RUFF)
    assert keys(site) == ["app/__init__.py F401: import os", "app/views.py F401: from app.models import Book", "app/views.py F401: import json"]


@pytest.mark.parametrize("files", [{"ruff.toml": ""}, {".ruff.toml": ""}, {"pyproject.toml": "[tool.ruff]\n"}, {"../ruff.toml": ""}])
def test_configured(ground: Callable[..., Ground], files: Mapping[str, str]) -> None:
    """ruff as the project configures it, in its folder or above it in its repository."""
    site = ground({"main.py": "import os\n", **files}, programs=RUFF)
    (site.root.parent / ".git").mkdir()
    said = Lint().look(site)
    assert isinstance(said, Faults)
    assert said.measured["ruff"] == "as the project configures it"
    assert said.measured["release"].startswith("ruff ")
    assert [each.key for each in said.faults] == ["main.py F401: import os"]


def test_above_the_repository(ground: Callable[..., Ground]) -> None:
    """What lies above the project's repository, or does not parse, is not its configuration."""
    site = ground({"main.py": "", "pyproject.toml": "broken = ["}, programs=RUFF)
    (site.root / ".git").mkdir()
    (site.root.parent / "ruff.toml").write_text("")
    said = Lint().look(site)
    assert isinstance(said, Faults)
    assert said.measured["ruff"].startswith("curated")


def test_not_asked(ground: Callable[..., Ground], tmp_path: Path) -> None:
    """Without ruff, or with one that fails, nothing is known; without a change in Python nothing is asked."""
    files = {"main.py": "x = 1\n"}
    assert Lint().look(ground(files)) == CouldNot("ruff cannot be had here", "install ruff in the project's environment")
    told = Lint().look(ground(files, programs=script(tmp_path / "fails", "import sys; sys.exit('Failed to parse ruff.toml')")))
    assert told == CouldNot("ruff does not run: Failed to parse ruff.toml")
    assert isinstance(Lint().look(ground(files, programs={"ruff": tmp_path / "nowhere"})), CouldNot)
    assert keys(ground(files, programs=script(tmp_path / "odd", "print(3)"))) == []
    assert isinstance(Lint().look(ground(files, changed=Changes("HEAD", {"a.html": frozenset()}))), Untouched)


def test_too_slow(ground: Callable[..., Ground], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ruff is ended after its time."""
    monkeypatch.setattr("toughen.gates.lint._SECONDS", 0.3)
    assert "ruff takes longer" in str(Lint().look(ground({"main.py": ""}, programs=script(tmp_path / "slow", "import time; time.sleep(60)"))))


def test_elsewhere(ground: Callable[..., Ground], tmp_path: Path) -> None:
    """What ruff says of a file that is none of the project's is left out."""
    report = [{"filename": "/elsewhere/main.py", "code": "F401", "message": "x", "location": {"row": 1}}, "odd", {"filename": None}]
    assert keys(ground({"main.py": ""}, programs=script(tmp_path / "says", f"print({json.dumps(json.dumps(report))})"))) == []


def test_unused(ground: Callable[..., Ground]) -> None:
    """A function that nothing names is unused; one that a framework, a server, a template, a schedule or another language's file names is not."""
    site = ground({
        "main.py": "import functools\n\n\ndef app(): ...\n\n\ndef lonely(): ...\n\n\ndef shown(): ...\n\n\ndef queued(): ...\n\n\nclass Lost: ...\n\n\nclass Form(dict): ...\n\n\n@functools.cache\ndef decorated(): ...\n\n\ndef __getattr__(name): ...\n\n\ndef lambda_handler(): ...\n\n\ndef named(): ...\n\n\ntable = {'x': 'named'}\n",
        "gunicorn.conf.py": "def post_fork(server, worker): ...\n", "tests/test_main.py": "def test_x(): ...\n", "broken.py": "def x(:\n",
        "templates/page.html": "{{ shown() }}", "deploy/worker.service": "ExecStart=python -m main queued", "node_modules/x.json": "lonely", ".hidden/x.toml": "lonely",
    })
    (site.root / "link.json").symlink_to(site.root / "templates/page.html")
    assert [each.key for each in unused(site)] == ["main.py unused: lonely", "main.py unused: Lost"]


def test_escapes(ground: Callable[..., Ground]) -> None:
    """`Any` and ignores that name no error are faults on new lines, and on these alone; in a text they are words."""
    text = "import typing\nfrom typing import Any\nx: Any = 1\ny: int = ''  # type: ignore\nz = ''  # type: ignore[assignment]\nq = 1  # noqa\nw = 1  # noqa: E501\ns = '# noqa'\n\n\ndef f(a: dict[str, typing.Any], b) -> Any:\n    return a\n\n\ndef g(): ...\n"
    site = ground({"main.py": text, "broken.py": "x = '''", "tests/test_x.py": "x = 1  # noqa\n"}, new=Changes("HEAD", {name: frozenset(range(1, 99)) - {3} for name in ("main.py", "broken.py", "tests/test_x.py", "gone.py")}))
    found = list(escapes(site))
    assert [each.location.line for each in found if each.location] == [11, 11, 4, 6]
    assert all(each.strict for each in found)
    site.new = None
    assert list(escapes(site)) == []


def test_ruff_is_there() -> None:
    """The other tests of this file run ruff itself."""
    assert shutil.which(str(RUFF["ruff"]))
