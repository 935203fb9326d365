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
from toughen.lab import boot as booting
from toughen.lab.child import Record
from toughen.lab.environment import Environment, missing
from toughen.lab.opening import open_lab
from toughen.lab.variables import asked_for, dummies, fitting
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
SLOW = """
    import time
    from contextlib import asynccontextmanager
    from fastapi import FastAPI


    @asynccontextmanager
    async def lifespan(app):
        with open("begun.txt", "a") as file:
            file.write("begun\\n")
        time.sleep(600)
        yield


    app = FastAPI(lifespan=lifespan)


    @app.get("/wares")
    def every():
        return []
    """
ALIVE = """
    import threading
    import time

    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    """
FLAG = """
    import os
    from flask import Flask, jsonify


    def flag(key):
        value = os.getenv(key, "0")
        if value not in ("0", "1"):
            raise ValueError(f"{key} must be 0 or 1")
        return value == "1"


    OPEN = flag("SHOP_OPEN")
    app = Flask(__name__)


    @app.get("/")
    def home():
        return jsonify(open=OPEN, given="SHOP_OPEN" in os.environ)
    """
ROUNDS = ("BCRYPT_WORK_FACTOR", "BCRYPT_ROUNDS", "BCRYPT_MAX_ROUNDS")
HASHING = """
    import os
    from flask import Flask, jsonify

    app = Flask(__name__)
    rounds = [int(os.environ["BCRYPT_WORK_FACTOR"]), int(os.environ["BCRYPT_ROUNDS"]), int(os.environ["BCRYPT_MAX_ROUNDS"])]


    @app.get("/")
    def home():
        return jsonify(rounds)
    """
READER = """
    from pathlib import Path


    def dotenv_values(path=".env"):
        lines = Path(__file__).with_name(path).read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)
    """
FROM_HERE = """
    from pathlib import Path


    def dotenv_values(path):
        lines = Path(path).read_text().splitlines() if Path(path).is_file() else []
        return dict(line.split("=", 1) for line in lines if "=" in line)
    """
QUOTES = r"""
    import re
    from pathlib import Path

    BINDING = re.compile(r'([^=\s]+)=(?:"((?:\\"|[^"])*)"|([^\n]*))(?:\n|$)')
    MEANS = {"n": "\n", "r": "\r", "t": "\t"}


    def dotenv_values(path):
        text, found, place = Path(path).read_text(), {}, 0
        while place < len(text):
            binding = BINDING.match(text, place)
            name, quoted, plain = binding.groups()
            found[name] = plain if quoted is None else re.sub(r'\\([\\"nrt])', lambda each: MEANS.get(each[1], each[1]), quoted)
            place = binding.end()
        return found
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


@pytest.mark.parametrize("refusal", ["raise ValueError(f'Invalid key size: {len(key)} bytes')", "raise SystemExit('ENCRYPTION_KEY must be 32 bytes')"], ids=["error", "exit"])
def test_a_start_up_says_which_key_it_wants(begun: Boot, refusal: str) -> None:
    """A lifespan that refuses a key for its size, or ends the process for it, starts with a made-up key of a size that fits."""
    wanted = f"if len(key := os.environ['ENCRYPTION_KEY']) not in (16, 24, 32): {refusal}"
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


def test_a_start_up_that_leaves_gives_its_reason(begun: Boot) -> None:
    """A lifespan that ends the process with some words is told by them, not as a process that was lost."""
    with begun(starting("import sys", "sys.exit('the mill stands still')")) as (lab, _):
        assert lab.unstarted is not None
        assert "SystemExit: the mill stands still" in lab.unstarted.message
        with pytest.raises(AgentLostError, match="the mill stands still"):
            lab.child()


def test_a_process_of_its_own_says_which_key_it_wants(begun: Boot) -> None:
    """Where forking is unsafe, a lifespan that refuses a key for its size starts with one that fits all the same."""
    wanted = "if len(key := os.environ['ENCRYPTION_KEY']) not in (16, 24, 32): raise ValueError(f'Invalid key size: {len(key)} bytes')"
    with begun({"main.py": ALIVE + starting(wanted)["main.py"]}) as (lab, _):
        assert lab.whole
        assert lab.unstarted is None
        assert len(ask(lab, "/key")) == 32


@pytest.mark.parametrize("failure", ["RuntimeError", "SystemExit"])
def test_a_process_of_its_own_that_does_not_start_says_why(begun: Boot, failure: str) -> None:
    """Where forking is unsafe, a lifespan that fails is remembered and told in its own words, and nothing of its process is left open."""
    with begun({"main.py": ALIVE + starting(f"raise {failure}('the mill stands still')")["main.py"]}) as (lab, _):
        assert lab.whole
        assert lab.unstarted is not None
        assert f"{failure}: the mill stands still" in lab.unstarted.message
        with pytest.raises(BootError, match=rf"{failure}: the mill stands still .*main\.py"):
            lab.begin()


def test_a_start_up_that_takes_too_long_is_begun_once_more_and_no_further(begun: Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    """What never ends with its start-up is not begun again after each way of preparing a database: none of the project's scripts is run."""
    monkeypatch.setattr(booting, "FORK_SECONDS", 1.5)
    script = "open('prepared.txt', 'w').close()\n"
    with begun({"main.py": SLOW, "models.py": MODELS, "init_db.py": script, "seed.py": script}) as (lab, blueprint):
        assert lab.unstarted is not None
        with pytest.raises(BootError, match="it takes too long"):
            Explorer(lab, blueprint, read(lab.project).texts).run()
        assert (lab.project / "begun.txt").read_text() == "begun\n" * 2
        assert not (lab.project / "prepared.txt").exists()


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


def test_a_project_says_itself_how_long_a_key_is(begun: Boot) -> None:
    """An import that wants exactly 32 characters of a key, and says so in its own words, gets them."""
    wanted = "held = len(os.environ['CIPHER_KEY'])\nif held != 32:\n    raise ValueError('CIPHER_KEY must be exactly 32 characters')"
    with begun(importing(wanted)) as (lab, _):
        assert ask(lab, "/") == 32


def test_a_number_that_is_read_over_several_lines(begun: Boot) -> None:
    """Where the failing line does not name the variable, the only text that was made up is the one that should have been a number; of two, neither is guessed."""
    spread = "held = int(\n    os.environ['KEPT']\n)"
    with begun(importing(spread)) as (lab, _):
        assert lab.variables == {"KEPT": "30"}
        assert ask(lab, "/") == 30
    with pytest.raises(BootError, match="invalid literal for int"), begun(importing(f"name = os.environ['OWNER']\n{spread}")):
        pass


def test_rounds_of_hashing_stay_few(begun: Boot) -> None:
    """Whatever else the name of a variable speaks of, the rounds of a hash are a number that is done in no time."""
    with begun({"main.py": HASHING}) as (lab, _):
        assert all(4 <= rounds <= 12 for rounds in ask(lab, "/"))


@pytest.mark.parametrize("name", ROUNDS)
def test_rounds_of_hashing_stay_few_where_nothing_told_of_them(name: str) -> None:
    """A failed import that asks for the rounds, or that cannot read them as a number, gets as few of them."""
    assert 4 <= int(asked_for(f"KeyError: '{name}' in os.environ")[name]) <= 12
    assert 4 <= int(fitting("invalid literal for int() with base 10: 'toughen'", {name: PLAIN})[name]) <= 12


def test_a_flag_that_is_left_out(begun: Boot) -> None:
    """An app whose wrapper supplies a default and raises for anything but 0 and 1 boots, and its variable is not made up."""
    with begun({"main.py": FLAG}) as (lab, _):
        assert lab.variables == {}
        assert ask(lab, "/") == {"open": False, "given": False}


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
        ("invalid literal for int() with base 10: 'toughen' line 3: held = int(", {"KEPT": PLAIN, "DAYS": "30"}, {"KEPT": "30"}),
        ("invalid literal for int() with base 10: 'toughen' line 3: held = int(", {"KEPT": PLAIN, "DAYS": PLAIN}, {}),
        ("ValueError: AES_KEY must be exactly 32 characters", {"AES_KEY": PLAIN, "OWNER": PLAIN}, {"AES_KEY": SIZED}),
        ("could not convert string to float: 'toughen' line 3: float(os.environ['HASH_COST'])", {"HASH_COST": PLAIN}, {"HASH_COST": "10"}),
        ("RuntimeError: the mill stands still", {"SECRET_KEY": PLAIN}, {}),
        (f"2 validation errors for Settings\nMODE\n  Input should be 'TEST', 'DEV' or 'PROD' [input_value='{PLAIN}']", {"MODE": PLAIN}, {"MODE": "DEV"}),
        ("1 validation error for Settings\nworkers\n  Input should be a valid integer, unable to parse", {"WORKERS": PLAIN, "OWNER": PLAIN}, {"WORKERS": "30"}),
        ("1 validation error for Settings\nMODE\n  Input should be 'DEV' or 'PROD'", {"MODE": "mine"}, {}),
    ],
)  # fmt: skip
def test_only_what_was_made_up_is_made_up_again(said: str, held: dict[str, str], found: dict[str, str]) -> None:
    """The words of cryptography, binascii, pydantic and int() change the made-up values that they can mean: keys, or the variable that stands in the line."""
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


def test_a_file_is_read_where_the_imports_start(begun: Boot, tmp_path: Path) -> None:
    """A prototype that starts in a folder of the project and reads `.env` from there finds one; the user's own tree gets none, neither here nor there."""
    main = "import helper\n" + dedent(FILED)
    with begun({"backend/main.py": main, "backend/helper.py": "x = 1\n", "backend/dotenv.py": FROM_HERE, "README.md": "shop\n"}) as (lab, _):
        assert lab.entry.import_root == "backend"
        assert lab.unstarted is None
        assert ask(lab, "/") == {"secret": lab.variables["SECRET_KEY"]}
    assert not list((tmp_path / "prototype").rglob(".env"))


@pytest.mark.parametrize(
    "value",
    ["-----BEGIN KEY-----\nabc=\n-----END KEY-----\n", 'first "quoted"\nsecond', "a\\b\nc\\nd", "\n\n", '{"a": 1}', "C:\\new"],
    ids=["pem", "quotes", "backslashes", "blank", "json", "plain"],
)
def test_a_value_of_several_lines_is_read_back(begun: Boot, value: str) -> None:
    """A prototype that reads `.env` as python-dotenv does gets a value with line breaks, quotes and backslashes as it is, and the next variable too."""
    more = dedent(FILED).replace("jsonify(secret=app.secret_key)", 'jsonify(settings["SECRET_KEY"], settings["SHOP_OWNER"], len(settings))')
    with begun({"main.py": more, "dotenv.py": QUOTES}, SECRET_KEY=value, SHOP_OWNER="ann") as (lab, _):
        assert ask(lab, "/") == [value, "ann", 2]


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


def test_a_database_in_a_folder_at_the_top_is_the_projects(begun: Boot, tmp_path: Path) -> None:
    """A path that consists of a folder and a name, as a container mounts it, opens the file in the project's folder of that name."""
    database = tmp_path / "prototype/shopdata/shop.db"
    database.parent.mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(database)) as link:
        link.execute("CREATE TABLE people (name TEXT)")
        link.execute("INSERT INTO people VALUES ('ann')")
        link.commit()
    with begun({"main.py": ELSEWHERE.replace("/Users/someone/shop/app/data.db", "/shopdata/shop.db")}) as (lab, _):
        assert ask(lab, "/names") == ["ann"]
        assert [str(Path(each).relative_to(lab.project)) for each in lab.opened] == ["shopdata/shop.db"]
        assert not (lab.project / "shop.db").exists()


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
