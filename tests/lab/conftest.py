"""Owns the booting of small prototypes for the tests of the lab."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.environment import Environment
from toughen.lab.opening import open_lab
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

OURS = Environment(Path(sys.executable), f"3.{sys.version_info[1]}", "the tests' own environment", cached=True, own=False)


@pytest.fixture
def booted(tmp_path: Path) -> Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]:
    """Write a project and boot it with the tests' own interpreter."""

    @contextlib.contextmanager
    def boot(files: Mapping[str, str]) -> Iterator[tuple[Lab, Blueprint]]:
        root = tmp_path / "prototype"
        for name, text in files.items():
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        sources = read(root)
        blueprint = survey(sources)
        assert blueprint.entry is not None
        with open_lab(root, blueprint.entry, OURS, {}) as lab:
            yield lab, join(blueprint, lab.facts, sources)

    return boot
