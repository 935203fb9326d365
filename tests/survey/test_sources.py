"""Proves what belongs to a project, how it is decoded, and that the cache changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from toughen.errors import SurveyError
from toughen.survey import read
from toughen.survey.sources import LARGEST, decode

if TYPE_CHECKING:
    from pathlib import Path


def test_only_the_projects_own_files_are_read(tmp_path: Path) -> None:
    """Environments, dependencies, caches, build output and hidden folders are left out; a folder named env is not."""
    for name in (
        "main.py",
        "env/settings.py",
        ".hidden/x.py",
        "node_modules/x.py",
        "__pycache__/x.py",
        "lib/site-packages/x.py",
        "build/x.py",
        ".toughen/x.py",
        "venv/lib/x.py",
    ):
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x = 1\n")
    (tmp_path / "venv/pyvenv.cfg").write_text("home = /usr\n")
    assert sorted(read(tmp_path).texts) == ["env/settings.py", "main.py"]


def test_links_that_leave_the_root_are_not_followed(tmp_path: Path) -> None:
    """A link to a file or folder outside is no part of the project; a loop inside it ends."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("x = 1\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a.py").write_text("x = 1\n")
    (root / "link").symlink_to(outside)
    (root / "b.py").symlink_to(outside / "secret.py")
    (root / "loop").symlink_to(root)
    assert list(read(root).texts) == ["a.py"]


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Syntax errors, unknown encodings, nul bytes, nesting beyond reason and huge files are reported, never dropped."""
    (tmp_path / "good.py").write_text("x = 1\n")
    (tmp_path / "bad.py").write_text("def f(:\n")
    (tmp_path / "encoding.py").write_bytes(b"# coding: klingon\nx = 1\n")
    (tmp_path / "nul.py").write_bytes(b"x = 1\x00\n")
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000 + "\n")
    (tmp_path / "minus.py").write_text("x = " + "-" * 100_000 + "1\n")
    (tmp_path / "huge.py").write_text("#" * (LARGEST + 1))
    sources = read(tmp_path)
    assert list(sources.facts) == ["good.py"]
    assert {each.file for each in sources.unparsed} == {
        "bad.py", "encoding.py", "nul.py", "deep.py", "minus.py", "huge.py",
    }  # fmt: skip
    assert all(each.reason for each in sources.unparsed)


def test_source_is_decoded_as_python_does() -> None:
    """PEP 263: the cookie on the first two lines, a byte order mark, and UTF-8 otherwise."""
    assert decode(b"# -*- coding: latin-1 -*-\nx = '\xe9'\n") == "# -*- coding: latin-1 -*-\nx = '\u00e9'\n"
    assert decode(b"#!/usr/bin/python\n# vim: set fileencoding=latin-1 :\n'\xe9'").endswith("'\u00e9'")
    assert decode(b"\xef\xbb\xbfx = 1\r\n") == "x = 1\n"
    with pytest.raises(ValueError, match="utf-8"):
        decode(b"x = 1\n\n# coding: latin-1\n'\xe9'\n")


def test_the_cache_gives_the_same_facts(tmp_path: Path) -> None:
    """A second reading takes every fact from the cache, and a changed file is read anew."""
    root, cache = tmp_path / "root", tmp_path / "cache"
    root.mkdir()
    cache.mkdir()
    (root / "a.py").write_text("import os\nKEY = os.environ['KEY']\n\n\ndef f(x):\n    return g(x)\n")
    first = read(root, cache=cache)
    stored = json.loads((cache / "facts.json").read_text())
    assert len(stored["files"]) == 1
    assert read(root, cache=cache).facts == first.facts
    (root / "a.py").write_text("x = 1\n")
    assert read(root, cache=cache).facts["a.py"].assigned == {"x": (1, 1)}


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', "\x00", '{"version": 7, "files": {"a": 1}}'])
def test_a_broken_cache_is_only_a_miss(tmp_path: Path, content: str) -> None:
    """Whatever stands in the cache's place, the facts are right."""
    (tmp_path / "a.py").write_text("x = 1\n")
    cache = tmp_path / "cache.json"
    cache.write_text(content)
    assert read(tmp_path, cache=cache).facts["a.py"].assigned == {"x": (1, 1)}


def test_no_folder_is_an_error(tmp_path: Path) -> None:
    """A root that is no folder cannot be surveyed."""
    with pytest.raises(SurveyError):
        read(tmp_path / "nowhere")
