"""Dummies for environment variables: what the project says of them, and SQLite for a server that the lab does not start."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.variables import Dummies, dummies
from toughen.survey import read, survey

if TYPE_CHECKING:
    from pathlib import Path

APP = """
    import os
    from flask import Flask
    {engine}

    app = Flask(__name__)
    url = os.environ["DATABASE_URL"]
    other = os.getenv("BACKUP_DATABASE_URL", "{default}")
    mode = os.environ["SERVICE_MODE"]


    @app.get("/")
    def home():
        return url
    """
SYNC, WAITING = "from sqlalchemy import create_engine; create_engine(url)", "from sqlalchemy.ext.asyncio import create_async_engine"


def made_up(root: Path, engine: str, default: str, **files: str) -> Dummies:
    """What is made up for the small app with these files beside it."""
    (root / "main.py").write_text(dedent(APP).format(engine=engine, default=default))
    for name, text in files.items():
        (root / ("." + name.replace("_", "."))).write_text(text)
    sources = read(root)
    return dummies(survey(sources), root, sources.texts.values())


@pytest.mark.parametrize(("engine", "address"), [(SYNC, "sqlite:///./toughen-lab.db"), (WAITING, "sqlite+aiosqlite:///./toughen-lab.db")])
def test_a_server_is_replaced_where_sqlalchemy_speaks_to_it(tmp_path: Path, engine: str, address: str) -> None:
    """The address of a server, from the .env or a default, becomes SQLite's, for the kind of engine that the source makes."""
    found = made_up(tmp_path, engine, "mysql://db/x", env="DATABASE_URL=postgresql://db/x\nSERVICE_MODE=fast\n")
    assert found == Dummies({"DATABASE_URL": address, "BACKUP_DATABASE_URL": address}, ("DATABASE_URL", "BACKUP_DATABASE_URL"))


def test_a_file_stays_what_it_is(tmp_path: Path) -> None:
    """An address of SQLite's own is left alone."""
    assert made_up(tmp_path, SYNC, "sqlite:///a.db", env="DATABASE_URL=sqlite:///b.db\nSERVICE_MODE=fast\n") == Dummies({})


def test_without_sqlalchemy_nothing_is_replaced(tmp_path: Path) -> None:
    """Who speaks to the server's own driver cannot be given SQLite."""
    assert made_up(tmp_path, "import psycopg2", "mysql://db/x", env="DATABASE_URL=postgresql://db/x\nSERVICE_MODE=fast\n") == Dummies({})


def test_the_sample_tells_what_nothing_supplies(tmp_path: Path) -> None:
    """A required variable takes the value of the project's own .env.example."""
    found = made_up(tmp_path, "", "sqlite:///a.db", env_example="SERVICE_MODE='fast'\n")
    assert found.values["SERVICE_MODE"] == "fast"
