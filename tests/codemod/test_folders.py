"""Claims about paths: whole names of folders are compared, and what lists a folder may be given the folder itself."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toughen.codemod.folders import kept, separated
from toughen.codemod.module import Module

if TYPE_CHECKING:
    from collections.abc import Callable

HEAD = """
import os
from flask import Flask, request
app = Flask(__name__)
ROOT = os.path.abspath('files')

@app.get('/look')
def look():
    name = request.args.get('name', '')
"""
ASKED = HEAD + """
    path = os.path.join(ROOT, name) if name else ROOT
    path = os.path.normpath(path)
    if not path.startswith(os.path.abspath(ROOT)):
        return '', 404
    return path
"""


def _separated(module: Module) -> Any:
    (function,) = module.functions
    return separated(module, function.body[0])


def test_a_folder_whose_name_begins_as_the_right_one_does_is_refused(mended: Callable[..., Any], run: Callable[..., Any]) -> None:
    """`/files_old` does not lie in `/files`; the folder itself and what lies in it pass as before."""
    client = run(mended(ASKED, _separated))["app"].test_client()
    assert client.get("/look?name=../files_old/x").status_code == 404
    assert client.get("/look?name=sub/x").text == str(Path("files/sub/x").resolve())
    assert client.get("/look").text == str(Path("files").resolve())


def test_texts_that_are_no_paths_are_left_alone(refused: Callable[..., Any]) -> None:
    """A name that begins with a word is no path, and neither is one that was not resolved."""
    source = HEAD + "    if name.startswith('x') or name.startswith(ROOT):\n        return '', 404\n    return name\n"
    assert "no path is compared" in refused(source, _separated)


def _kept(module: Module) -> Any:
    (call,) = [each for each in ast.walk(module.tree) if isinstance(each, ast.Call) and ast.unparse(each.func) in {"os.listdir", "open"}]
    return kept(module, call, call.args[0], lambda node: "name" in ast.unparse(node), 404, "Not found")


def test_the_folder_itself_may_be_listed(run: Callable[..., Any], tmp_path: Any, monkeypatch: Any) -> None:
    """And what lies beside it may not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "files").mkdir()
    (tmp_path / "files_old").mkdir()
    source = HEAD + "    folder = os.path.join(ROOT, name)\n    return os.listdir(folder)\n"
    client = run(_kept(Module("app.py", source)).done())["app"].test_client()
    assert client.get("/look").json == []
    assert client.get("/look?name=../files_old").status_code == 404
    assert client.get("/look?name=..").status_code == 404
