"""Faults of a MySQL server around one request, as each driver meets them."""

from __future__ import annotations

from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.errors import EnvironmentFailedError
from toughen.lab import mysql
from toughen.lab.credentials import Wallet
from toughen.lab.environment import Needs, build
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.journey import Call
from toughen.model.trial import Fault, Trial
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.model.trace import Exchange

APP = """
    import {driver}
    from flask import Flask, jsonify

    app = Flask(__name__)


    def link():
        return {driver}.connect(host="db.example.com", user="shop", password="secret", database="shop")


    start = link()
    cursor = start.cursor()
    cursor.execute("CREATE TABLE IF NOT EXISTS items (id INT PRIMARY KEY, stock INT)")
    cursor.execute("INSERT IGNORE INTO items VALUES (1, 5)")
    start.commit()
    start.close()


    @app.post("/buy")
    def buy():
        for attempt in range(2):
            conn = link()
            try:
                cursor = conn.cursor()
                cursor.execute("UPDATE items SET stock = stock - 1 WHERE id = 1")
                cursor.execute("UPDATE items SET stock = stock - 1 WHERE id = 1")
                conn.commit()
                return jsonify(attempts=attempt + 1)
            except {driver}.Error as error:
                if attempt or error.args[0] not in (1213, 1205):
                    raise
            finally:
                conn.close()
    """
DRIVERS = ("pymysql", "MySQLdb", "mysql.connector")
CODES = {"serialization": ("1213",), "deadlock": ("1213",), "timeout": ("1205",), "full": ("1114",), "lost": ("2006", "2013", "2055")}


@pytest.fixture(params=DRIVERS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, LabTarget]]:
    """A shop on a server of the lab's own, by each driver."""
    if lacks := mysql.lacking():
        pytest.skip(lacks)
    driver = request.param
    packages = ("flask", {"pymysql": "pymysql", "MySQLdb": "mysqlclient", "mysql.connector": "mysql-connector-python"}[driver])
    try:
        environment = build(Needs("the tests", requirements=packages))
    except EnvironmentFailedError as error:
        pytest.skip(f"{driver} cannot be installed here: {error.hint}")
    root = tmp_path / "shop"
    root.mkdir()
    (root / "main.py").write_text(dedent(APP).format(driver=driver).lstrip("\n"))
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    with open_lab(root, blueprint.entry, environment, {}, server="mysql") as lab:
        lab.world.discover()
        lab.world.take()
        yield driver, LabTarget(lab, join(blueprint, lab.facts, sources), Wallet())


def served(target: LabTarget, kind: str = "", at: int = 1, times: int = 0) -> Exchange:
    """One purchase while that goes wrong."""
    return target.anew(Trial((Call("POST /buy"),), fault=Fault(kind, at, times) if kind else None)).last


def test_what_the_server_says_is_what_the_driver_raises(target: tuple[str, LabTarget]) -> None:
    """Each driver raises its own error of that number; of the rows nothing is left; once the fault is over, an attempt that the prototype makes again succeeds."""
    driver, shop = target
    assert served(shop).status == 200
    for kind, codes in CODES.items():
        trace = shop.anew(Trial((Call("POST /buy"),), fault=Fault(kind, 1)))
        assert trace.last.failure is not None, kind
        assert trace.last.failure.type.startswith(driver), (kind, trace.last.failure)
        assert any(code in trace.last.failure.message for code in codes), (kind, trace.last.failure)
        assert not trace.changes, kind
    again = served(shop, "deadlock", times=1)
    assert again.response is not None
    assert again.response.json == {"attempts": 2}


def test_a_server_that_is_gone(target: tuple[str, LabTarget]) -> None:
    """From the statement that is named on, what is connected breaks off and nobody answers; a request after it finds the server as it was."""
    driver, shop = target
    at_once, later = served(shop, "down", at=0), served(shop, "down", at=1)
    assert at_once.failure is not None
    assert at_once.failure.type.startswith(driver)
    assert ("2003" in at_once.failure.message, at_once.statements) == (True, ())
    assert later.failure is not None
    assert later.failure.type.startswith(driver)
    assert any(code in later.failure.message for code in CODES["lost"]), later.failure
    assert later.statements[0].error is None
    assert any(each.error for each in later.statements[1:])
    assert served(shop).status == 200
