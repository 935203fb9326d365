"""Owns the booting of twins, with the drivers that they speak to."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from toughen.errors import EnvironmentFailedError
from toughen.lab import mysql
from toughen.lab.credentials import Wallet
from toughen.lab.environment import Environment, Needs, build
from toughen.lab.memory import Memory
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from .twins import Twin

    Make = Callable[[], LabTarget]
    Opened = Callable[[Twin], AbstractContextManager[Make]]

REQUIREMENTS = ("aiosqlite", "asyncpg", "django>=5.1", "fastapi", "flask", "flask-sqlalchemy", "psycopg2-binary", "psycopg[binary]", "sqlalchemy[asyncio]", "sqlmodel")
MYSQL = ("aiomysql", "fastapi", "flask", "mysql-connector-python", "pymysql", "sqlalchemy[asyncio]")
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
    with open_lab(root, blueprint.entry, environment, {}, server=twin.stack.server) as lab:
        assert lab.unstarted is None
        joined = join(blueprint, lab.facts, sources)
        digest = lab.world.take().digest
        yield lambda: LabTarget(lab, joined, Wallet(), digest, twin.journeys, memory=Memory())


def _mysql(driver: str) -> Environment:
    """An environment with the drivers of MySQL; mysqlclient must be compiled."""
    if lacks := mysql.lacking():
        pytest.skip(lacks)
    try:
        return build(Needs("the tests", requirements=(*MYSQL, "mysqlclient") if driver == "MySQLdb" else MYSQL))
    except EnvironmentFailedError as error:
        pytest.skip(f"{driver} cannot be installed here: {error.hint}")


@pytest.fixture
def opened(tmp_path: Path, environment: Environment) -> Opened:
    """Boot a twin, with a server and with a Python of its own where it wants one."""

    def opened(twin: Twin) -> AbstractContextManager[Make]:
        if twin.stack.mysql:
            return booted(tmp_path / "shop", _mysql(twin.stack.driver), twin)
        wanted = twin.stack.python
        own = build(replace(_NEEDS, python=wanted)) if wanted else environment
        if wanted and own.version != wanted:
            pytest.skip(f"there is no Python {wanted}")
        return booted(tmp_path / "shop", own, twin)

    return opened
