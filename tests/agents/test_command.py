"""`toughen accept` and `toughen mcp` as commands."""

from __future__ import annotations

import difflib
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Prototype

FINDING = "security/sql-injection@GET /notes/search#word"
OPEN = """execute(f"SELECT id, title FROM notes WHERE title LIKE '%{word}%'")"""
BOUND = """execute("SELECT id, title FROM notes WHERE title LIKE ?", (f"%{word}%",))"""


def _diff(root: Path, old: str, new: str) -> str:
    before = (root / "app.py").read_text()
    assert old in before
    return "".join(difflib.unified_diff(before.splitlines(keepends=True), before.replace(old, new).splitlines(keepends=True), "a/app.py", "b/app.py"))


def test_a_patch_is_accepted_by_the_command_from_a_file_or_from_standard_input(notes: Prototype) -> None:
    """Exit code 0 and the file is changed; 10 with the step and the reason where it is refused; 2 with a hint where it cannot be tried at all."""
    assert notes.toughen("check", notes.root.name, "--only", "security/sql-injection").returncode == 10
    good, closed = _diff(notes.root, OPEN, BOUND), _diff(notes.root, f"    rows = db().{OPEN}", f"    abort(404)\n    rows = db().{OPEN}")
    before = notes.digest()

    def accept(patch: str, *options: str, finding: str = FINDING) -> subprocess.CompletedProcess[str]:
        return subprocess.run(notes.command("accept", "-", notes.root.name, "--finding", finding, *options), cwd=notes.root.parent, input=patch, capture_output=True, text=True, timeout=120, check=False)

    done = accept(closed)
    assert (done.returncode, done.stdout.partition(":")[0]) == (10, "refused (control)"), done.stderr
    done = accept(good, "--dry-run")
    assert (done.returncode, done.stdout) == (0, f"accepted: {FINDING}\nwould change: app.py\n"), done.stderr
    assert notes.digest() == before
    (notes.root.parent / "good.diff").write_text(good)
    done = notes.toughen("accept", "good.diff", notes.root.name, "--finding", FINDING)
    assert (done.returncode, done.stdout) == (0, f"accepted: {FINDING}\nchanged: app.py\n"), done.stderr
    assert BOUND in (notes.root / "app.py").read_text()
    done = accept(good)
    assert done.returncode == 2
    assert "hunk 1 of app.py" in done.stderr
    done = accept("", finding=FINDING)
    assert (done.returncode, "the patch is empty" in done.stderr) == (2, True)
    done = accept(good, finding="security/sql-injection@GET /notes/search")
    assert (done.returncode, f"did you mean {FINDING}?" in done.stderr) == (2, True)
    done = notes.toughen("accept", "nowhere.diff", notes.root.name, "--finding", FINDING)
    assert (done.returncode, "the patch cannot be read" in done.stderr) == (2, True)
    assert notes.left_behind() == []


def test_without_the_sdk_the_command_says_what_to_install(tmp_path: Path) -> None:
    """`toughen mcp` needs an extra; the rest of toughen does not."""
    code = "import sys; sys.modules['mcp'] = sys.modules['mcp.server'] = None; sys.argv = ['toughen', 'mcp']; from toughen.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "pip install 'toughen[mcp]'" in done.stderr
    done = subprocess.run([sys.executable, "-m", "toughen", "mcp", "--root", "nowhere"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "is not a folder" in done.stderr) == (2, True)
    assert done.stdout == ""
