"""What a prototype is given before it is served: folders that git does not keep, commands and scripts that make its tables, no package for a module of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from toughen.errors import BootError
from toughen.explore.explore import Explorer
from toughen.lab.child import Record
from toughen.lab.environment import Environment
from toughen.lab.opening import open_lab
from toughen.survey import read, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from toughen.explore.explore import Explored
    from toughen.lab.boot import Lab
    from toughen.model.blueprint import Blueprint

    Boot = Callable[[Mapping[str, str]], AbstractContextManager[tuple[Lab, Blueprint]]]

STATIC = """
    from fastapi import FastAPI
    from fastapi.staticfiles import StaticFiles

    app = FastAPI()
    app.mount("/files", StaticFiles(directory="PLACE"), name="files")


    @app.get("/")
    def home():
        return "here"
    """
LOGGING = """
    import logging
    from flask import Flask, jsonify

    app = Flask(__name__)
    logging.basicConfig(filename="PLACE", level=logging.INFO)


    @app.get("/")
    def home():
        logging.info("somebody came")
        return jsonify("here")
    """
STARTING = """
    from contextlib import asynccontextmanager
    from fastapi import FastAPI


    @asynccontextmanager
    async def lifespan(app):
        with open("uploads/begun.txt", "w") as file:
            file.write("begun")
        yield


    app = FastAPI(lifespan=lifespan)


    @app.get("/")
    def home():
        return "here"
    """
SETTINGS = """
    import json
    from flask import Flask, jsonify

    app = Flask(__name__)
    settings = json.load(open("settings/main.json"))


    @app.get("/")
    def home():
        return jsonify(settings)
    """
SHOP = """
    import sqlite3
    import click
    from flask import Flask, jsonify
    from flask.cli import with_appcontext

    app = Flask(__name__)


    def note(name):
        with open("commands.txt", "a") as file:
            file.write(name + "\\n")


    @app.get("/wares")
    def wares():
        link = sqlite3.connect("shop.db")
        try:
            return jsonify([row[0] for row in link.execute("SELECT name FROM wares")])
        finally:
            link.close()
    """
TABLES = """
        link = sqlite3.connect("shop.db")
        link.execute("CREATE TABLE wares (id INTEGER PRIMARY KEY, name TEXT)")
        link.execute("INSERT INTO wares (name) VALUES ('cup')")
        link.commit()
        link.close()
    """
INIT = (
    SHOP
    + """

    @click.command("init-db")
    @with_appcontext
    def init_db_command():
        \"\"\"Clear the existing data and create new tables.\"\"\""""
    + TABLES
    + """

    app.cli.add_command(init_db_command)
    """
)
COMMANDS = (
    SHOP
    + """

    @app.cli.command("create-tables")
    def tables():
        note("create-tables")


    @app.cli.command(name="setup-shop")
    @click.option("--size", default=1)
    def shop(size):
        note("setup-shop")


    @app.cli.command()
    def init_db_command():
        note("init-db")


    @app.cli.command()
    @with_appcontext
    def seed_wares():
        note("seed-wares")"""
    + TABLES
    + """

    @app.cli.command("send-letters")
    def init_letters():
        note("send-letters")


    @app.cli.command()
    def drop_wares():
        note("drop-wares")


    @app.cli.command("count")
    @with_appcontext
    def count_command():
        note("count")
    """
)
BELOW = """
    import sqlite3
    from flask import Flask, jsonify
    from helper import names

    app = Flask(__name__)


    @app.get("/wares")
    def wares():
        link = sqlite3.connect("../database/app.db")
        try:
            return jsonify(names(link))
        finally:
            link.close()
    """
HELPER = """
    def names(link):
        return [row[0] for row in link.execute("SELECT name FROM wares")]
    """
SCRIPT = """
    import sqlite3

    link = sqlite3.connect("database/app.db")
    link.execute("CREATE TABLE IF NOT EXISTS wares (id INTEGER PRIMARY KEY, name TEXT)")
    link.execute("INSERT INTO wares (name) VALUES ('cup')")
    link.commit()
    link.close()
    """


def ask(lab: Lab, target: str) -> Any:
    """The JSON of one answer of a fresh child, which must be 200."""
    child = lab.child()
    answer = child.serve({"method": "GET", "target": target, "headers": [["Host", "localhost"]], "body_b64": ""}, Record()).response
    child.close()
    assert answer is not None
    assert answer.status == 200, answer.body
    return answer.json


def explored(lab: Lab, blueprint: Blueprint) -> Explored:
    """What exploring finds, with the preparing that comes before it."""
    return Explorer(lab, blueprint, read(lab.project).texts).run()


def wares(found: Explored) -> list[str]:
    """What the page of the wares shows from the snapshot, which must be reached."""
    assert [each.route for each in found.journeys] == ["GET /wares"], found.notes
    return [row["name"] for row in found.target.rows("wares")]


@pytest.mark.parametrize(
    ("files", "folder"),
    [
        ({"main.py": STATIC.replace("PLACE", "media")}, "media"),
        ({"main.py": STATIC.replace("PLACE", "static/media/")}, "static/media"),
        ({"backend/main.py": "import helper\n" + dedent(STATIC).replace("PLACE", "../media"), "backend/helper.py": "x = 1\n"}, "media"),
        ({"main.py": LOGGING.replace("PLACE", "logs/app.log")}, "logs"),
        ({"main.py": LOGGING.replace("PLACE", "var/logs/app.log")}, "var/logs"),
        ({"main.py": STARTING}, "uploads"),
    ],
    ids=["static", "nested", "above", "log", "nested log", "start-up"],
)
def test_a_folder_that_git_does_not_keep_is_made(booted: Boot, tmp_path: Path, files: dict[str, str], folder: str) -> None:
    """An app whose folder for static files, logs or uploads is missing boots with an empty one in its copy; the user's own tree gets none."""
    with booted(files) as (lab, _):
        assert lab.unstarted is None
        assert (lab.project / folder).is_dir()
        assert ask(lab, "/") == "here"
    own = {each.relative_to(tmp_path / "prototype").as_posix() for each in (tmp_path / "prototype").rglob("*")}
    assert own == {*files, *(name.partition("/")[0] for name in files if "/" in name)}


@pytest.mark.parametrize(("app", "place"), [(STATIC, "../../x"), (LOGGING, "../../x"), (LOGGING, "/nowhere/x")], ids=["static", "log", "absolute log"])
def test_a_folder_outside_is_not_made(booted: Boot, app: str, place: str) -> None:
    """A folder that would lie outside the copy is never made: the prototype does not boot, and says what it lacks."""
    wanted = place if app is STATIC else place + "/app.log"
    with pytest.raises(BootError, match=r"does not exist|No such file or directory"), booted({"main.py": app.replace("PLACE", wanted)}):
        pass
    assert not Path("/nowhere").exists()


def test_a_link_of_the_users_leads_to_no_folder_elsewhere(booted: Boot, tmp_path: Path) -> None:
    """A link that leads out of the project is not copied: the folder below it is made in the copy, and nothing where the link leads."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "prototype").mkdir()
    (tmp_path / "prototype" / "shared").symlink_to(tmp_path / "elsewhere")
    with booted({"main.py": STATIC.replace("PLACE", "shared/media")}) as (lab, _):
        assert (lab.project / "shared" / "media").is_dir()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_link_of_the_prototypes_leads_to_no_folder_elsewhere(booted: Boot, tmp_path: Path) -> None:
    """Nor where the prototype itself makes such a link while it is imported: it does not boot, and nothing is made where the link leads."""
    (tmp_path / "elsewhere").mkdir()
    link = f"import os\nif not os.path.lexists('shared'):\n    os.symlink({str(tmp_path / 'elsewhere')!r}, 'shared')\n"
    with pytest.raises(BootError, match="does not exist"), booted({"main.py": link + dedent(STATIC).replace("PLACE", "shared/media")}):
        pass
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_file_that_is_missing_is_not_made(booted: Boot) -> None:
    """An app that reads a file which is not there fails in its own words: a folder alone does not help it."""
    with pytest.raises(BootError, match=r"No such file or directory: 'settings/main\.json'"), booted({"main.py": SETTINGS}):
        pass


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment that the lab may extend, which sees the tests' own packages; what it would install is sought nowhere but here."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    place = tmp_path / "environment"
    version = f"3.{sys.version_info[1]}"
    packages = place / "lib" / f"python{version}" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "own.pth").write_text("\n".join(each for each in sys.path if each.endswith("site-packages")))
    (place / "bin").mkdir()
    (place / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    (place / "pyvenv.cfg").write_text(f"home = {Path(sys.executable).resolve().parent}\n")
    (place / "complete.json").write_text('{"notes": []}')
    return Environment(place / "bin" / "python", version, "the tests' own environment", cached=True)


@pytest.mark.parametrize(
    ("missing", "files", "asks"),
    [
        ("app.core", {"app/__init__.py": ""}, False),
        ("app.core", {"app/models.py": "x = 1\n"}, False),
        ("settings.local", {"settings.py": "x = 1\n"}, False),
        ("toughen_no_such_package.core", {}, True),
    ],
    ids=["package", "folder", "file", "foreign"],
)  # fmt: skip
def test_a_missing_module_of_its_own_is_no_package(tmp_path: Path, environment: Environment, missing: str, files: dict[str, str], asks: bool) -> None:  # noqa: FBT001 - the two sides of one claim
    """Where the project has the folder or the file that the missing module belongs below, no package is asked for; where it has none, one is."""
    root = tmp_path / "prototype"
    for name, text in {"main.py": f"from flask import Flask\napp = Flask(__name__)\nimport {missing}\n", **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    entry = survey(read(root)).entry
    assert entry is not None
    with pytest.raises(BootError, match=f"No module named '{missing.partition('.')[0]}"), open_lab(root, entry, environment, {}):
        pass
    # Whoever adds to an environment locks the place of the copy first.
    assert any(tmp_path.glob("*.lock")) == asks


def test_flask_init_db(booted: Boot) -> None:
    """The command that Flask's tutorial makes tables with is run, and the page that reads them is reached."""
    with booted({"app.py": INIT}) as (lab, blueprint):
        found = explored(lab, blueprint)
        assert wares(found) == ["cup"]
        assert any("ran flask init-db" in note for note in found.notes), found.notes


def test_which_commands_prepare_a_database(booted: Boot) -> None:
    """Commands named for preparing, by the decorator or by the function, are run until the tables are there, those that seed last; no other is."""
    with booted({"app.py": COMMANDS}) as (lab, blueprint):
        found = explored(lab, blueprint)
        assert wares(found) == ["cup"]
        ran = (lab.project / "commands.txt").read_text().split()
    assert ran == ["create-tables", "init-db", "setup-shop", "seed-wares"]


def test_commands_are_left_alone_where_nothing_is_missing(booted: Boot) -> None:
    """A database that has its tables is not prepared by a command that makes them anew."""
    with booted({"app.py": COMMANDS + "\n\n    if True:" + TABLES.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")}) as (lab, blueprint):
        assert wares(explored(lab, blueprint))
        assert not (lab.project / "commands.txt").exists()


def test_a_script_is_started_from_the_projects_folder(booted: Boot) -> None:
    """A script that opens its database relative to the project's folder makes the tables of an app that starts in a folder of it."""
    files = {"backend/app.py": BELOW, "backend/helper.py": HELPER, "scripts/init_db.py": SCRIPT, "database/README": "app.db\n"}
    with booted(files) as (lab, blueprint):
        assert lab.entry.import_root == "backend"
        found = explored(lab, blueprint)
        assert wares(found) == ["cup"]
        assert any("ran scripts/init_db.py" in note for note in found.notes), found.notes
        assert (lab.project / "database" / "app.db").stat().st_size


@pytest.mark.parametrize("name", ["main.py/x", "x" * 300, "a\0b"], ids=["below a file", "long", "nul"])
def test_a_folder_that_cannot_be_is_no_crash(booted: Boot, name: str) -> None:
    """A prototype that says of an impossible folder that it is missing does not boot, and says so in its own words."""
    with pytest.raises(BootError, match="does not exist"), booted({"main.py": f"from flask import Flask\napp = Flask(__name__)\nraise RuntimeError(\"Directory '\" + {name!r} + \"' does not exist\")\n"}):
        pass
