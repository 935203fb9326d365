"""Owns the booting of twins, with the drivers that they speak to."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.environment import Environment, Needs, build
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget, Memory
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .twins import Twin

    Make = Callable[[], LabTarget]
    Opened = Callable[[Twin], AbstractContextManager[Make]]

REQUIREMENTS = ("aiosqlite", "asyncpg", "fastapi", "flask", "flask-sqlalchemy", "psycopg2-binary", "psycopg[binary]", "sqlalchemy[asyncio]", "sqlmodel")
_NEEDS = Needs("the tests", requirements=REQUIREMENTS)


@pytest.fixture(scope="session")
def environment() -> Environment:
    """An environment with every driver."""
    return build(_NEEDS)


@contextlib.contextmanager
def booted(root: Path, environment: Environment, twin: Twin) -> Iterator[Make]:
    """Write a prototype and boot it; what comes makes Targets that remember nothing of each other."""
    root.mkdir(exist_ok=True)
    (root / "main.py").write_text(twin.source)
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    with open_lab(root, blueprint.entry, environment, {}, postgres=twin.stack.postgres) as lab:
        assert lab.unstarted is None
        joined = join(blueprint, lab.facts, sources)
        digest = lab.world.take().digest
        yield lambda: LabTarget(lab, joined, Wallet(), digest, twin.journeys, memory=Memory())


@pytest.fixture
def opened(tmp_path: Path, environment: Environment) -> Opened:
    """Boot a twin, with a PostgreSQL server and with a Python of its own where it wants one."""

    def opened(twin: Twin) -> AbstractContextManager[Make]:
        wanted = twin.stack.python
        own = build(replace(_NEEDS, python=wanted)) if wanted else environment
        if wanted and own.version != wanted:
            pytest.skip(f"there is no Python {wanted}")
        return booted(tmp_path / "shop", own, twin)

    return opened
