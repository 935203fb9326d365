"""What loses a prototype in its first second: its start-up, settings of a certain form, paths and packages of the author's machine."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from toughen import config
from toughen.errors import AgentLostError, BootError
from toughen.explore.explore import Explorer
from toughen.lab.child import Record
from toughen.lab.environment import Environment, missing
from toughen.lab.opening import open_lab
from toughen.lab.variables import dummies, fitting
from toughen.pipeline import Run
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from conftest import Prototype

    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[..., AbstractContextManager[tuple[Lab, Blueprint]]]
    Write = Callable[[Mapping[str, str]], Prototype]

PLAIN = "toughen-lab-0123456789abcdef0123456789abcdef"
LIFESPAN = """
    import os
    from contextlib import asynccontextmanager
    from fastapi import FastAPI


    @asynccontextmanager
    async def lifespan(app):
        START
        yield


    app = FastAPI(lifespan=lifespan)


    @app.get("/key")
    def key():
        return os.environ.get("ENCRYPTION_KEY")
    """
STOCK = """
    import sqlite3
    from contextlib import asynccontextmanager
    from fastapi import FastAPI
    from models import MODELS

    wares = {}


    @asynccontextmanager
    async def lifespan(app):
        link = sqlite3.connect("stock.db")
        wares.update(link.execute("SELECT id, name FROM wares").fetchall())
        link.close()
        yield


    app = FastAPI(lifespan=lifespan)


    @app.get("/wares")
    def every():
        return wares
    """
SCRIPT = """
    import sqlite3

    link = sqlite3.connect("stock.db")
    link.execute("CREATE TABLE IF NOT EXISTS wares (id INTEGER PRIMARY KEY, name TEXT)")
    link.execute("INSERT INTO wares (name) VALUES ('cup')")
    link.commit()
    link.close()
    """
MODELS = """
    from sqlalchemy import create_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    MODELS = create_engine("sqlite:///stock.db")


    class Base(DeclarativeBase):
        pass


    class Ware(Base):
        __tablename__ = "wares"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
    """
READER = """
    from pathlib import Path


    def dotenv_values(path=".env"):
        lines = Path(__file__).with_name(path).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)
    """
FILED = """
    from dotenv import dotenv_values
    from flask import Flask, jsonify

    settings = dotenv_values(".env")
    app = Flask(__name__)
    app.secret_key = settings["SECRET_KEY"]


    @app.get("/")
    def home():
        return jsonify(secret=app.secret_key)
    """


def starting(*lines: str) -> dict[str, str]:
    """A FastAPI app with these lines as its start-up."""
    return {"main.py": LIFESPAN.replace("START", "\n        ".join(lines))}


def importing(line: str) -> dict[str, str]:
    """A Flask app whose import runs this line, which says in `held` what came of it."""
    return {"main.py": f"import base64\nimport os\nfrom flask import Flask, jsonify\n\napp = Flask(__name__)\n{line}\n\n\n@app.get('/')\ndef home():\n    return jsonify(held)\n"}


@pytest.fixture
def begun(tmp_path: Path) -> Boot:
    """Write a project and boot it with the variables that are made up for it, beside those `given`."""

    @contextlib.contextmanager
    def boot(files: Mapping[str, str], **given: str) -> Iterator[tuple[Lab, Blueprint]]:
        root = tmp_path / "prototype"
        for name, text in files.items():
            place = root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        sources = read(root)
        blueprint = survey(sources)
        assert blueprint.entry is not None
        variables = {**dummies(blueprint, root, sources.texts.values()).values, **given}
        ours = Environment(Path(sys.executable), f"3.{sys.version_info[1]}", "the tests' own environment", cached=True, own=False)
        with open_lab(root, blueprint.entry, ours, variables) as lab:
            yield lab, join(blueprint, lab.facts, sources)

    return boot


def ask(lab: Lab, target: str) -> Any:
    """The JSON of one answer of a fresh child, which must be 200."""
    with contextlib.closing(lab.child()) as child:
        answer = child.serve({"method": "GET", "target": target, "headers": [["Host", "localhost"]], "body_b64": ""}, Record()).response
    assert answer is not None
    assert answer.status == 200, answer.body
    return answer.json


def test_a_start_up_says_which_key_it_wants(begun: Boot) -> None:
    """A lifespan that refuses a key for its size starts with a made-up key of a size that fits."""
    wanted = "if len(key := os.environ['ENCRYPTION_KEY']) not in (16, 24, 32): raise ValueError(f'Invalid key size: {len(key)} bytes')"
    with begun(starting(wanted)) as (lab, _):
        assert lab.unstarted is None
        assert len(ask(lab, "/key")) == 32


def test_a_key_that_the_user_gave_is_left(begun: Boot) -> None:
    """A start-up that refuses what the user configured himself is refused: the value stays, and the reason is told."""
    wanted = "if len(key := os.environ['ENCRYPTION_KEY']) not in (16, 24, 32): raise ValueError(f'Invalid key size: {len(key)} bytes')"
    with begun(starting(wanted), ENCRYPTION_KEY="the-users-own") as (lab, _):
        assert lab.variables["ENCRYPTION_KEY"] == "the-users-own"
        assert lab.unstarted is not None
        assert "Invalid key size: 13 bytes" in lab.unstarted.message


def test_a_start_up_that_fails_for_ever_is_told_by_whoever_needs_it(begun: Boot) -> None:
    """The lab says what the start-up said, where it is begun and where a child is asked for, and where in the source that was."""
    with begun(starting("raise RuntimeError('the mill stands still')")) as (lab, _):
        assert lab.unstarted is not None
        with pytest.raises(BootError, match=r"RuntimeError: the mill stands still .*main\.py"):
            lab.begin()
        with pytest.raises(AgentLostError, match="the mill stands still"):
            lab.child()
        assert lab.unstarted is not None


def test_the_verdict_says_why_nothing_was_attacked(prototype: Write) -> None:
    """Where no preparation helps a start-up, the verdict is that it did not boot, in the start-up's own words."""
    project = prototype(starting("raise RuntimeError('the mill stands still')"))
    verdict = Run(project.root, config.read(project.root, only=("security/sql-injection",))).check()
    assert not verdict.booted
    assert "RuntimeError: the mill stands still" in verdict.why
    assert [each.id for each in verdict.blueprint.routes] == ["GET /key"]


@pytest.mark.parametrize(
    ("files", "did"),
    [({"models.py": "MODELS = ()\n", "init_db.py": SCRIPT}, "ran init_db.py"), ({"models.py": MODELS}, "created wares")],
    ids=["script", "create_all"],
)
def test_a_start_up_that_reads_a_table_begins_once_it_is_there(begun: Boot, files: dict[str, str], did: str) -> None:
    """What boots only after its tables were made, by the project's own script or its models, is prepared first, and then explored."""
    with begun({"main.py": STOCK, **files}) as (lab, blueprint):
        assert lab.unstarted is not None
        explored = Explorer(lab, blueprint, read(lab.project).texts).run()
        assert lab.unstarted is None
        assert [each.route for each in explored.journeys] == ["GET /wares"]
        assert any(did in note for note in explored.notes), explored.notes


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("held = len(bytes.fromhex(os.environ['CIPHER_KEY']))", "CIPHER_KEY", 32),
        ("held = len(base64.b64decode(os.environ['CIPHER_KEY']))", "CIPHER_KEY", 32),
        ("held = int(os.environ['TOKEN_VALIDITY'])", "TOKEN_VALIDITY", 30),
        ("held = int(os.environ['BCRYPT_LOG_ROUNDS'])", "BCRYPT_LOG_ROUNDS", 10),
    ],
    ids=["hex", "base64", "number", "rounds"],
)
def test_an_import_says_in_which_form_it_wants_a_value(begun: Boot, line: str, name: str, value: int) -> None:
    """A made-up text that Python itself could not read as hex, base64 or a number is made up again so that it can; rounds of a hash stay few."""
    with begun(importing(line)) as (lab, _):
        assert lab.variables[name] != PLAIN
        assert ask(lab, "/") == value


FERNET = "dG91Z2hlbi1sYWItMDEyMzQ1Njc4OWFiY2RlZjAxMjM="
HEX = "0123456789abcdef" * 4
SIZED = "0123456789abcdef" * 2


@pytest.mark.parametrize(
    ("said", "held", "found"),
    [
        ("ValueError: Fernet key must be 32 url-safe base64-encoded bytes.", {"FERNET_KEY": PLAIN, "OWNER": PLAIN}, {"FERNET_KEY": FERNET}),
        ("ValueError: non-hexadecimal number found in fromhex() arg at position 0", {"APP_SECRET": PLAIN}, {"APP_SECRET": HEX}),
        ("binascii.Error: Incorrect padding", {"DATA_CIPHER": PLAIN}, {"DATA_CIPHER": FERNET}),
        ("ValueError: Invalid key size (352) for AES.", {"AES_KEY": PLAIN, "AES_IV": PLAIN}, {"AES_KEY": SIZED, "AES_IV": SIZED}),
        ("ValueError: AES key must be either 16, 24, or 32 bytes long", {"AES_KEY": HEX}, {"AES_KEY": SIZED}),
        ("ValueError: Invalid key size: 13", {"AES_KEY": "the users own"}, {}),
        ("ValueError: Invalid key size: 32", {"AES_KEY": SIZED}, {}),
        ("invalid literal for int() with base 10: 'toughen' line 3: DAYS_KEPT = int(os.environ['KEPT'])", {"KEPT": PLAIN, "DAYS": PLAIN}, {"KEPT": "30"}),
        ("invalid literal for int() with base 10: 'many' line 3: int(os.environ['KEPT'])", {"KEPT": "many"}, {}),
        ("could not convert string to float: 'toughen' line 3: float(os.environ['HASH_COST'])", {"HASH_COST": PLAIN}, {"HASH_COST": "10"}),
        ("RuntimeError: the mill stands still", {"SECRET_KEY": PLAIN}, {}),
    ],
)  # fmt: skip
def test_only_what_was_made_up_is_made_up_again(said: str, held: dict[str, str], found: dict[str, str]) -> None:
    """The words of cryptography, binascii and int() change the made-up values that they can mean: keys, or the variable that stands in the line."""
    assert fitting(said, held) == found


def test_a_project_that_reads_its_own_file_gets_one(begun: Boot, tmp_path: Path) -> None:
    """The copy of a project that reads `.env` by itself gets one with what is made up; the user's own tree gets none."""
    with begun({"main.py": FILED, "dotenv.py": READER}) as (lab, _):
        assert ask(lab, "/") == {"secret": lab.variables["SECRET_KEY"]}
        assert (lab.project / ".env").read_text() == f"SECRET_KEY={lab.variables['SECRET_KEY']}\n"
    assert not (tmp_path / "prototype" / ".env").exists()


def test_a_file_of_the_projects_own_is_kept(begun: Boot) -> None:
    """A project with a `.env` of its own keeps it byte for byte, also where it lacks a variable."""
    own = "# mine\r\nSECRET_KEY=own secret  \n"
    with begun({"main.py": FILED, "dotenv.py": READER, "other.py": "import os\nos.environ['MORE_KEY']\n", ".env": own}) as (lab, _):
        assert "MORE_KEY" in lab.variables
        assert (lab.project / ".env").read_bytes() == own.encode()
        assert ask(lab, "/") == {"secret": "own secret  "}


ELSEWHERE = """
    import sqlite3
    from flask import Flask, jsonify

    app = Flask(__name__)


    @app.get("/names")
    def names():
        link = sqlite3.connect("/Users/someone/shop/app/data.db")
        found = [row[0] for row in link.execute("SELECT name FROM people")]
        link.close()
        return jsonify(found)


    @app.get("/refused")
    def refused():
        try:
            sqlite3.connect("/proc/data.db")
        except sqlite3.OperationalError as error:
            return jsonify(str(error))
        return jsonify("opened")
    """


def test_a_package_without_a_word_of_it_is_imported(begun: Boot) -> None:
    """An app whose relative imports make its folder a package boots from the folder above, though no `__init__.py` says so."""
    routes = "from fastapi import APIRouter\n\nrouter = APIRouter()\n\n\n@router.get('/x')\ndef x():\n    return __name__\n"
    entry = "from fastapi import FastAPI\nfrom .api import router\n\napp = FastAPI()\napp.include_router(router)\n"
    with begun({"app/app.py": entry, "app/api.py": routes, "main1.py": "from app import app\nprint(app)\n"}) as (lab, _):
        assert ask(lab, "/x") == "app.api"


@pytest.mark.parametrize("place", ["app/data.db", "data.db"])
def test_a_database_at_the_authors_own_path_is_the_projects(begun: Boot, tmp_path: Path, place: str) -> None:
    """An absolute path that is nowhere here opens the file under the longest end of it whose folder the project has, else in its working directory."""
    database = tmp_path / "prototype" / place
    database.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(database)) as link:
        link.execute("CREATE TABLE people (name TEXT)")
        link.execute("INSERT INTO people VALUES ('ann')")
        link.commit()
    with begun({"main.py": ELSEWHERE}) as (lab, _):
        assert ask(lab, "/names") == ["ann"]
        assert [str(Path(each).relative_to(lab.project)) for each in lab.opened] == [place]
        assert lab.world.rows("people") == [{"name": "ann"}]


def test_a_folder_that_is_there_is_the_one_that_is_meant(begun: Boot) -> None:
    """A database that cannot be opened in a folder that exists fails as ever, and none is made anywhere else."""
    with begun({"main.py": ELSEWHERE}) as (lab, _):
        assert ask(lab, "/refused") == "unable to open database file"
        assert not list(lab.project.rglob("data.db"))


def test_what_is_to_be_installed_for_something_is_a_package() -> None:
    """Libraries that name an optional package of theirs in the words of an instruction are understood."""
    assert missing("AssertionError: Install 'email_validator' for email validation support.") == "email-validator"
    assert missing("ImportError: install `bcrypt` to hash passwords") == "bcrypt"
    assert missing("please install 'it' yourself") is None
