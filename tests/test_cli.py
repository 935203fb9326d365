"""The command line, as a user types it."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING
from xml.etree.ElementTree import fromstring

import pytest

from toughen.lab import mysql

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Prototype

    Write = Callable[[Mapping[str, str]], Prototype]

CRASHES = """
    from flask import Flask, jsonify, request
    app = Flask(__name__)
    notes = []


    @app.post("/double")
    def double():
        return jsonify(result=int(request.get_json()["n"]) * 2)
    """


SHOP = """
    import sqlite3
    from flask import Flask, jsonify, request
    app = Flask(__name__)


    def connect():
        return sqlite3.connect("shop.db", timeout=5)


    with connect() as setup:
        setup.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, stock INTEGER)")
        setup.execute("INSERT OR IGNORE INTO items VALUES (1, 5)")


    @app.post("/items/<int:item_id>/refill")
    def refill(item_id):
        number = int(request.get_json()["number"])
        if number <= 0 or number > 1000:
            return jsonify(error="between 1 and 1000"), 400
        db = connect()
        row = db.execute("SELECT stock FROM items WHERE id = ?", (item_id,)).fetchone()
        if row is None:
            db.close()
            return jsonify(error="no such item"), 404
        db.execute("UPDATE items SET stock = ? WHERE id = ?", (row[0] + number, item_id))
        db.commit()
        db.close()
        return jsonify(stock=row[0] + number)
    """


def test_a_check_tells_what_breaks(prototype: Write) -> None:
    """Exit code 10, the report on standard output, progress on standard error, a proof beside the project, nothing else."""
    project = prototype({"main.py": CRASHES})
    before = project.digest()
    done = project.toughen("check", project.root.name, "--format", "json", "--only", "input/crash")
    assert done.returncode == 10, done.stderr
    report = json.loads(done.stdout)
    finding = next(each for each in report["findings"] if each["status"] == "proven")
    assert finding["route"] == {"method": "POST", "path": "/double"}
    assert (project.root / finding["proof"]).is_file()
    assert "prove" in done.stderr
    assert project.digest() == before
    assert project.left_behind() == []
    again = project.toughen("replay", str(project.root / finding["proof"]))
    assert again.returncode == 10, again.stderr
    assert "it still breaks" in again.stdout


def test_a_threshold_lets_lesser_breaks_pass(prototype: Write) -> None:
    """Below the threshold a proven break is told and does not fail."""
    project = prototype({"main.py": CRASHES, "toughen.toml": 'threshold = "critical"\n'})
    done = project.toughen("check", project.root.name, "--only", "input/crash")
    assert done.returncode == 0, done.stderr
    assert "input/crash on POST /double" in done.stdout


def test_static_executes_nothing(prototype: Write) -> None:
    """`--static` reads the source: a project that cannot even be imported is still surveyed, exit code 0."""
    project = prototype({"main.py": CRASHES + "\n    raise RuntimeError\n"})
    done = project.toughen("check", project.root.name, "--static")
    assert done.returncode == 0, done.stderr
    assert "1 routes" in done.stdout
    assert not (project.root / ".toughen").exists()


def test_a_build_server_hears_what_breaks_and_how_long_it_was_looked_for(prototype: Write) -> None:
    """The case of that break and route fails, with the time that its attacks took; the exit code is that of every format."""
    project = prototype({"main.py": CRASHES})
    done = project.toughen("check", project.root.name, "--format", "junit", "--only", "input/crash")
    assert done.returncode == 10, done.stderr
    root = fromstring(done.stdout)  # noqa: S314 - toughen's own
    [case] = root.iter("testcase")
    assert (case.get("classname"), case.get("name")) == ("toughen.input.crash", "POST /double")
    assert case.find("failure") is not None
    assert float(case.get("time", "0")) > 0


def test_a_dry_run_leaves_standard_output_to_the_report(prototype: Write) -> None:
    """What a program reads there is the report alone, with the repair in it; the diff goes to standard error."""
    project = prototype({"main.py": CRASHES})
    done = project.toughen("fix", project.root.name, "--dry-run", "--format", "sarif", "--only", "input/crash")
    [run] = json.loads(done.stdout)["runs"]
    [result] = [each for each in run["results"] if each["properties"]["status"] == "proven"]
    assert result["ruleId"] == "input/crash"
    assert result["properties"]["mend"] == "kept", done.stderr
    assert result["fixes"][0]["artifactChanges"][0]["artifactLocation"]["uri"] == "main.py"
    assert "+++ b/main.py" in done.stderr
    assert next(each for each in run["tool"]["driver"]["rules"] if each["id"] == "input/crash")["help"]["text"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "nowhere"), "nowhere is not a folder"),
        (("check", ".", "--format", "xml"), "--format must be text, json, "),
        (("check", ".", "--only", "race/nothing"), "there is no break 'race/nothing'"),
        (("check", ".", "--budget", "0"), "more than 0 seconds"),
        (("check", ".", "--colour"), "--colour"),
        (("replay", "nowhere.json"), "no proof"),
        (("explain", "race/lost-updat"), "did you mean race/lost-update?"),
    ],
)
def test_a_wrong_word_is_answered_with_one_sentence(prototype: Write, arguments: tuple[str, ...], said: str) -> None:
    """Bad arguments end with exit code 2 and what is wrong, before anything is executed."""
    project = prototype({"main.py": CRASHES})
    done = project.toughen(*arguments)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_uncommitted_work_is_refused_before_anything_runs(prototype: Write) -> None:
    """`fix` in a folder without a clean git tree ends with exit code 2 at once and changes nothing."""
    project = prototype({"main.py": CRASHES})
    before = project.digest()
    done = project.toughen("fix", project.root.name)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert project.digest() == before


def test_a_repair_is_a_commit_and_the_proof_is_gone(prototype: Write) -> None:
    """`fix --dry-run` writes nothing; `fix --commit` makes one commit a mend and one for its tests, touches only what it mends, and every stored proof replays as gone."""
    project = prototype({"main.py": SHOP, "notes.txt": "mine", ".gitignore": ".venv\n.toughen\n__pycache__\n"})

    def git(*arguments: str) -> str:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.com")
        return subprocess.run(["git", *who, *arguments], cwd=project.root, capture_output=True, text=True, check=True).stdout

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "as it was written")
    before = project.digest()
    dry = project.toughen("fix", project.root.name, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert project.digest() == before
    assert "+++ b/main.py" in dry.stdout
    done = project.toughen("fix", project.root.name, "--commit", "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    proven = [each for each in report["findings"] if each["status"] == "proven"]
    assert {each["break"] for each in proven} >= {"input/crash", "race/lost-update"}
    kept = [each for each in report["mends"] if each["outcome"] == "kept"]
    assert report["tests"]["files"] == ["tests/test_hardened.py"]
    assert len(git("log", "--format=%s").splitlines()) == 1 + len(kept) + 1
    laid = {"health.py", "observability.py", "ops/alerts.yml", "ops/log-alerts.yml", "tests/test_hardened.py"}
    assert set(git("diff", "--name-only", "HEAD~" + str(len(kept) + 1)).split()) == {"main.py", *laid}
    assert git("status", "--porcelain") == ""
    for each in proven:
        again = project.toughen("replay", str(project.root / each["proof"]))
        assert again.returncode == 0, (each["id"], again.stdout, again.stderr)
        assert "gone" in again.stdout


SERVER = """
    import os
    from fastapi import FastAPI, HTTPException
    from sqlalchemy import Column, Integer, create_engine
    from sqlalchemy.orm import declarative_base, sessionmaker

    engine = create_engine(os.environ["DATABASE_URL"])
    Session = sessionmaker(bind=engine)
    Base = declarative_base()


    class Item(Base):
        __tablename__ = "items"
        id = Column(Integer, primary_key=True)
        stock = Column(Integer, nullable=False)


    Base.metadata.create_all(engine)
    with Session() as first:
        if first.get(Item, 1) is None:
            first.add(Item(id=1, stock=5))
            first.commit()
    app = FastAPI()


    @app.post("/items/{item_id}/take")
    def take(item_id: int):
        with Session() as session:
            item = session.query(Item).filter(Item.id == item_id).with_for_update().first()
            if item is None or item.stock < 1:
                raise HTTPException(409, "sold out")
            item.stock = item.stock - 1
            session.commit()
            return {"stock": item.stock}
    """


def test_another_database_is_no_witness_of_a_race(prototype: Write) -> None:
    """A row lock that another server takes and SQLite has not: nothing is proven of races where SQLite stands in, and the report says so."""
    project = prototype({"main.py": SERVER, ".env": "DATABASE_URL=mssql+pyodbc://shop:secret@db.internal/shop\n"})
    done = project.toughen("check", project.root.name, "--only", "race", "--format", "json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    report = json.loads(done.stdout)
    assert report["coverage"]["reached"] == 1, report["coverage"]
    assert {each["break"] for each in report["inconclusive"] if "stands in" in each["reason"]} >= {"race/lost-update", "race/check-then-act"}
    alone = prototype({"main.py": SERVER, ".env": "DATABASE_URL=sqlite:///./shop.db\n"})
    done = alone.toughen("check", alone.root.name, "--only", "race", "--format", "json")
    assert not [each for each in json.loads(done.stdout)["inconclusive"] if "stands in" in each["reason"]], done.stdout


@pytest.mark.parametrize(("database", "scheme", "driver"), [("postgresql", "postgresql", "psycopg2-binary"), ("mysql", "mysql+pymysql", "pymysql")])
def test_a_prototype_for_a_server_is_tested_on_one(prototype: Write, database: str, scheme: str, driver: str) -> None:
    """On a server of its own, with its tables made: a row lock holds a race off there, and without the lock the race is proven."""
    if database == "mysql" and (lacks := mysql.lacking()):
        pytest.skip(lacks)
    files = {"main.py": SERVER, ".env": f"DATABASE_URL={scheme}://shop:secret@db.internal/shop\n", "requirements.txt": f"fastapi\nsqlalchemy\n{driver}\n"}
    locked = prototype(files)
    done = locked.toughen("check", locked.root.name, "--only", "race", "--format", "json")
    assert done.returncode == 0, (done.stdout, done.stderr)
    report = json.loads(done.stdout)
    assert (report["prototype"]["database"], report["coverage"]["reached"], report["inconclusive"]) == (database, 1, []), report
    bare = prototype({**files, "main.py": SERVER.replace(".with_for_update()", "")})
    done = bare.toughen("check", bare.root.name, "--only", "race", "--format", "json")
    assert done.returncode == 10, (done.stdout, done.stderr)
    assert {each["break"] for each in json.loads(done.stdout)["findings"]} & {"race/lost-update", "race/check-then-act"}


def test_explain_is_the_rules_page(prototype: Write) -> None:
    """`explain` prints a rule's own words with its numbers."""
    done = prototype({}).toughen("explain", "race/lost-update")
    assert done.returncode == 0
    assert done.stdout.startswith("race/lost-update: ")
    assert "CWE-362" in done.stdout


SEATS = """
    import sqlite3
    from flask import Flask, jsonify, request

    app = Flask(__name__)


    def get_db():
        return sqlite3.connect("seats.db")


    with get_db() as start:
        start.execute("CREATE TABLE IF NOT EXISTS seats (id INTEGER PRIMARY KEY, number INTEGER, guest TEXT)")


    @app.post("/seats")
    def take():
        data = request.get_json()
        number, guest = int(data["number"]), str(data["guest"])
        conn = get_db()
        try:
            if conn.execute("SELECT id FROM seats WHERE number = ?", (number,)).fetchone():
                return jsonify({"error": "taken"}), 409
            made = conn.execute("INSERT INTO seats (number, guest) VALUES (?, ?)", (number, guest)).rowcount
            conn.commit()
            if not made:
                raise RuntimeError("somebody was faster")
            return jsonify({"ok": True}), 201
        finally:
            conn.close()
    """


def test_a_race_that_is_gone_and_ends_in_an_error_is_told_with_it(prototype: Write) -> None:
    """Where the rows stay sound now and the request that came too late crashes, `replay` says that the break is gone, and what is beside it."""
    project = prototype({"main.py": SEATS})
    done = project.toughen("check", project.root.name, "--only", "race/check-then-act", "--format", "json")
    [finding] = [each for each in json.loads(done.stdout)["findings"] if each["status"] == "proven"]
    source = (project.root / "main.py").read_text()
    sound = source.replace("VALUES (?, ?)", "SELECT ?, ? WHERE NOT EXISTS (SELECT 1 FROM seats WHERE number = ?)").replace("(number, guest)).rowcount", "(number, guest, number)).rowcount")
    assert sound != source
    (project.root / "main.py").write_text(sound)
    again = project.toughen("replay", str(project.root / finding["proof"]))
    assert again.returncode == 0, (again.stdout, again.stderr)
    assert "gone. Beside it: of two requests at once one ends in RuntimeError: somebody was faster" in again.stdout
