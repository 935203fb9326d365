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


def made_up(root: Path, engine: str, default: str, *, mysql: bool = True, **files: str) -> Dummies:
    """What is made up for the small app with these files beside it, on a machine that can have MySQL or cannot."""
    (root / "main.py").write_text(dedent(APP).format(engine=engine, default=default))
    for name, text in files.items():
        (root / ("." + name.replace("_", "."))).write_text(text)
    sources = read(root)
    return dummies(survey(sources), root, sources.texts.values(), mysql=mysql)


@pytest.mark.parametrize(("engine", "address"), [(SYNC, "sqlite:///./toughen-lab.db"), (WAITING, "sqlite+aiosqlite:///./toughen-lab.db")])
def test_a_server_is_replaced_where_sqlalchemy_speaks_to_it(tmp_path: Path, engine: str, address: str) -> None:
    """The address of a server that the lab cannot have, from the .env or a default, becomes SQLite's, for the kind of engine that the source makes."""
    expected = Dummies({"DATABASE_URL": address, "BACKUP_DATABASE_URL": address}, ("DATABASE_URL", "BACKUP_DATABASE_URL"))
    assert made_up(tmp_path, engine, "mysql://db/x", env="DATABASE_URL=mariadb://db/x\nSERVICE_MODE=fast\n", mysql=False) == expected
    assert made_up(tmp_path, engine, "mssql://db/x", env="DATABASE_URL=oracle://db/x\nSERVICE_MODE=fast\n") == expected


def test_mysql_stays_mysql(tmp_path: Path) -> None:
    """The address of a server that the lab starts is left as it stands, and the server is told of, whoever speaks to it."""
    for engine in (SYNC, WAITING, "import pymysql"):
        assert made_up(tmp_path, engine, "mysql://b/x", env="DATABASE_URL=mariadb://db/x\nSERVICE_MODE=fast\n") == Dummies({}, server="mysql")


@pytest.mark.parametrize(
    ("engine", "needs", "address"),
    [
        (SYNC, "mysqlclient", "mysql://"), (SYNC, "flask\nPyMySQL==1.1.1", "mysql+pymysql://"), (SYNC, "mysql-connector-python", "mysql+mysqlconnector://"),
        (WAITING, "aiomysql", "mysql+aiomysql://"), ("import MySQLdb", "", "mysql://"), (f"{SYNC}; import pymysql", "", "mysql+pymysql://"),
    ],
)
def test_an_address_of_mysql_that_is_missing(tmp_path: Path, engine: str, needs: str, address: str) -> None:
    """Where nothing supplies the address, it is one for the driver that the source or the requirements name."""
    (tmp_path / "requirements.txt").write_text(needs)
    found = made_up(tmp_path, engine, "")
    assert found.values["DATABASE_URL"] == f"{address}toughen:toughen@localhost:3306/toughen"
    assert found.server == "mysql"


def test_a_file_stays_what_it_is(tmp_path: Path) -> None:
    """An address of SQLite's own is left alone."""
    assert made_up(tmp_path, SYNC, "sqlite:///a.db", env="DATABASE_URL=sqlite:///b.db\nSERVICE_MODE=fast\n") == Dummies({})


def test_without_sqlalchemy_nothing_is_replaced(tmp_path: Path) -> None:
    """Who speaks to the server's own driver cannot be given SQLite."""
    assert made_up(tmp_path, "import pymysql", "mysql://db/x", env="DATABASE_URL=mysql://db/x\nSERVICE_MODE=fast\n", mysql=False) == Dummies({})


def test_postgres_stays_postgres(tmp_path: Path) -> None:
    """A prototype written for PostgreSQL gets a server, and its own address stays as it is: the driver's hook decides where it leads."""
    assert made_up(tmp_path, SYNC, "postgresql://b/x", env="DATABASE_URL=postgresql://db/x\nSERVICE_MODE=fast\n") == Dummies({}, server="postgresql")
    assert made_up(tmp_path, "import psycopg2", "", env="DATABASE_URL=postgresql://db/x\nSERVICE_MODE=fast\n").server == "postgresql"


@pytest.mark.parametrize(
    ("engine", "files", "address"),
    [
        (SYNC, {"requirements_txt": "psycopg2-binary==2.9"}, "postgresql://toughen:toughen@localhost:5432/toughen"),
        (SYNC, {"requirements_txt": "psycopg[binary]"}, "postgresql+psycopg://toughen:toughen@localhost:5432/toughen"),
        (WAITING, {"requirements_txt": "asyncpg"}, "postgresql+asyncpg://toughen:toughen@localhost:5432/toughen"),
        (WAITING + "; import psycopg", {}, "postgresql+psycopg://toughen:toughen@localhost:5432/toughen"),
        (WAITING + "; url = url.replace('postgresql://', 'postgresql+asyncpg://')", {}, "postgresql://toughen:toughen@localhost:5432/toughen"),
        (SYNC, {"env_example": "DATABASE_URL=postgresql+psycopg2://me:mine@db:5432/shop"}, "postgresql+psycopg2://me:mine@db:5432/shop"),
        (SYNC, {"env_example": "DATABASE_URL=postgresql://<user>:<password>@db:5432/shop"}, "postgresql://toughen:toughen@localhost:5432/toughen"),
        ("import psycopg2", {}, "postgresql://toughen:toughen@localhost:5432/toughen"),
        (SYNC, {"requirements_txt": "flask", "env_example": "DATABASE_URL=sqlite:///x.db"}, "sqlite:///./toughen-lab.db"),
    ],
)
def test_an_address_that_is_missing(tmp_path: Path, engine: str, files: dict[str, str], address: str) -> None:
    """Where nothing supplies the address, it is that of the sample, else one for the driver that the source or the requirements name."""
    for name in [each for each in files if each == "requirements_txt"]:
        (tmp_path / "requirements.txt").write_text(files[name])
    found = made_up(tmp_path, engine, "sqlite:///a.db" if "sqlite" in address else "", **{name: text for name, text in files.items() if name != "requirements_txt"})
    assert found.values["DATABASE_URL"] == address
    assert found.server == ("postgresql" if address.startswith("postgresql") else "")


def test_parts_of_an_address(tmp_path: Path) -> None:
    """Host, port, user, password and name are made up where the source reads them, nothing supplies them, and it speaks to PostgreSQL."""
    (tmp_path / "main.py").write_text(
        "import os, psycopg2\nfrom flask import Flask\napp = Flask(__name__)\n"
        "conn = psycopg2.connect(host=os.getenv('DB_HOST'), port=os.getenv('DB_PORT'), user=os.getenv('DB_USER'), password=os.getenv('DB_PASSWORD'), dbname=os.getenv('DB_NAME'))\n"
    )
    (tmp_path / ".env.example").write_text("DB_NAME=shop\n")
    sources = read(tmp_path)
    found = dummies(survey(sources), tmp_path, sources.texts.values())
    assert found == Dummies({"DB_HOST": "localhost", "DB_PORT": "5432", "DB_USER": "toughen", "DB_PASSWORD": "toughen", "DB_NAME": "shop"}, server="postgresql")


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
