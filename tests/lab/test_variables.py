"""Dummies for environment variables: what the project says of them, and SQLite for a server that the lab does not start."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.variables import Dummies, asked_for, dummies
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


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("openai.OpenAIError: Missing credentials. Please pass an `api_key`, or set the `OPENAI_API_KEY` environment variable.", ["OPENAI_API_KEY"]),
        ("decouple.UndefinedValueError: DB_NAME not found. Declare it as envvar or define a default value.", ["DB_NAME"]),
        ("RuntimeError: JWT_SECRET must be set", ["JWT_SECRET"]),
        ("File os.py, in environ: KeyError: 'MAIL_HOST'", ["MAIL_HOST"]),
        ("KeyError: 'MAIL_HOST'", []),
        ("ValidationError: 2 validation errors for Settings\nsecret_key\n  Field required [type=missing]\nport\n  Field required [type=missing]", ["SECRET_KEY", "PORT"]),
        ("ValueError: the number is not set", []),
    ],
)  # fmt: skip
def test_a_failed_import_says_which_variable_it_wants(said: str, found: list[str]) -> None:
    """Names that libraries, settings classes and projects ask for are read from what they say; a bare key is no variable."""
    assert list(asked_for(said)) == found


def test_its_own_secret_is_made_up_and_a_key_to_a_service_is_not(tmp_path: Path) -> None:
    """What the prototype signs with gets a value though it is read without need; a mode gets one that the source has settings for; a foreign key stays unset."""
    (tmp_path / "main.py").write_text(
        dedent(
            """
            import os
            from flask import Flask
            app = Flask(__name__)
            secret, key, mode = os.getenv("JWT_SECRET_KEY"), os.getenv("STRIPE_SECRET_KEY"), os.getenv("CONFIG_MODE")
            settings = {"development": {}, "production": {}}
            """
        )
    )
    sources = read(tmp_path)
    found = dummies(survey(sources), tmp_path, sources.texts.values()).values
    assert set(found) == {"JWT_SECRET_KEY", "CONFIG_MODE"}
    assert found["CONFIG_MODE"] == "development"


def test_a_sample_is_believed_only_where_it_can_be_meant(tmp_path: Path) -> None:
    """A sample that says words where a number or an algorithm is wanted is a hint for people."""
    (tmp_path / "main.py").write_text(
        "import os\nfrom flask import Flask\napp = Flask(__name__)\na, b, c = os.environ['ALGORITHM'], os.environ['EXPIRE_MINUTES'], os.environ['SECRET_KEY']\n"
    )
    (tmp_path / ".env.example").write_text("ALGORITHM=your-algorithm\nEXPIRE_MINUTES=how-long\nSECRET_KEY=top-secret\n")
    sources = read(tmp_path)
    assert dummies(survey(sources), tmp_path, sources.texts.values()).values == {"ALGORITHM": "HS256", "EXPIRE_MINUTES": "30", "SECRET_KEY": "top-secret"}
