"""Owns the writing of small projects for the tests of survey."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.survey import Sources, read

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Callable[[Mapping[str, str]], Sources]:
    """Write files and read them as a project."""

    def write(files: Mapping[str, str]) -> Sources:
        for name, text in files.items():
            place = tmp_path / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return read(tmp_path)

    return write
