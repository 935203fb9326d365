"""Tasks that a prototype hands to workers of its own: no broker is there, and none is waited for; where one is to fail, Celery itself meets that."""

from __future__ import annotations

from contextlib import contextmanager
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from toughen.lab.credentials import Wallet
from toughen.lab.environment import Environment, Needs, build
from toughen.lab.opening import open_lab
from toughen.lab.target import LabTarget
from toughen.model.blueprint import Place
from toughen.model.finding import Finding, Proven, Refuted, Severity, Status
from toughen.model.journey import Argument, Call, Journey, Literal
from toughen.model.patch import Unmended
from toughen.model.trial import Fault, Trial
from toughen.rules import named
from toughen.survey import join, read, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from toughen.model.finding import Outcome

SHOP = """
    import sqlite3
    from celery import Celery, chain
    from flask import Flask, jsonify, request
    from kombu.exceptions import OperationalError

    app = Flask(__name__)
    queue = Celery("shop", broker="{broker}", backend="{backend}")
    queue.conf.update({settings})


    def run(statement, *values):
        conn = sqlite3.connect("shop.db")
        cursor = conn.execute(statement, values)
        conn.commit()
        rows, number = cursor.fetchall(), cursor.lastrowid
        conn.close()
        return rows, number


    run("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item TEXT, status TEXT)")


    @queue.task(name="shop.pack")
    def pack(order):
        run("UPDATE orders SET status = 'packed' WHERE id = ?", order)
        return order


    def made():
        return run("INSERT INTO orders (item, status) VALUES (?, 'new')", request.json["item"])[1]


    @app.get("/orders")
    def orders():
        return jsonify(run("SELECT id, item, status FROM orders")[0])


    @app.post("/orders")
    def order():
        return jsonify(task=pack.delay(made()).id), 202


    @app.post("/named")
    def by_name():
        return jsonify(task=queue.send_task("shop.pack", args=[made()]).id), 202


    @app.post("/chained")
    def chained():
        number = made()
        chain(pack.si(number), pack.si(number)).delay()
        return jsonify(ok=True), 202


    @app.post("/waited")
    def waited():
        return jsonify(packed=pack.delay(made()).get(timeout=5)), 201


    @app.post("/careful")
    def careful():
        try:
            pack.delay(made())
        except OperationalError:
            return jsonify(error="try again later"), 503
        return jsonify(ok=True), 202


    @app.post("/state")
    def state():
        return jsonify(state=queue.AsyncResult(pack.delay(made()).id).state), 202


    @app.post("/told")
    def told():
        made()
        asked = queue.control.inspect(timeout=1).active()
        queue.control.revoke("7", terminate=True)
        return jsonify(asked=asked), 202


    @app.post("/row")
    def row():
        return jsonify(task=pack.delay(sqlite3.connect(":memory:")).id), 202
    """
REDIS, AMQP = "redis://localhost:6379/0", "amqp://guest:guest@rabbitmq:5672//"
ROUTES = ("orders", "named", "chained", "waited", "careful", "state", "told", "row")


def call(name: str) -> Call:
    return Call(f"POST /{name}", (Argument(Place.JSON, ("item",), Literal("lamp")),), body="json")


JOURNEYS = {each.route: Journey(each.route, (each,), 202, anonymous=True) for each in map(call, ROUTES)}


@pytest.fixture(scope="module")
def environment() -> Environment:
    """An environment with Celery."""
    return build(Needs("the tests", requirements=("celery[redis]", "flask")))


@contextmanager
def shop(root: Path, environment: Environment, broker: str, settings: str = "") -> Iterator[LabTarget]:
    """A shop that hands its work on."""
    root.mkdir(exist_ok=True)
    source = SHOP.format(broker=broker, backend=broker if broker == REDIS else "rpc://", settings=settings)
    (root / "main.py").write_text(dedent(source).lstrip("\n"))
    sources = read(root)
    blueprint = survey(sources)
    assert blueprint.entry is not None
    with open_lab(root, blueprint.entry, environment, {}) as lab:
        lab.world.discover()
        digest = lab.world.take().digest
        yield LabTarget(lab, join(blueprint, lab.facts, sources), Wallet(), digest, JOURNEYS)


def said(target: LabTarget, break_id: str, name: str) -> list[Outcome]:
    """What a rule says of a route."""
    rule, known = named(break_id), target.blueprint.route(f"POST /{name}")
    assert rule is not None
    assert known is not None
    return list(rule.prove(target, known))


@pytest.mark.parametrize("broker", [REDIS, AMQP])
def test_without_a_broker_tasks_count_as_handed_over(tmp_path: Path, environment: Environment, broker: str) -> None:
    """However they are sent, the request succeeds at once and nobody works on them; one that is waited for is done; what cannot be sent fails as it would."""
    with shop(tmp_path / "shop", environment, broker) as target:
        for name, status, left in (("orders", 202, "new"), ("named", 202, "new"), ("chained", 202, "new"), ("careful", 202, "new"), ("state", 202, "new"), ("waited", 201, "packed")):
            trace = target.anew(Trial((call(name),)))
            assert (trace.last.status, [each.after["status"] for each in trace.changes]) == (status, [left]), name
            assert [(each.host, each.request) for each in trace.last.outgoing] == [("localhost" if broker == REDIS else "rabbitmq", "TASK shop.pack")], name
            assert trace.last.milliseconds < 5000, name
        state = target.anew(Trial((call("state"),))).last.response
        assert state is not None
        assert state.json == {"state": "PENDING"}
        told = target.anew(Trial((call("told"),))).last
        assert told.response is not None
        assert told.response.json == {"asked": None}
        assert [each.request for each in told.outgoing] == ["CONTROL active", "CONTROL revoke"]
        row = target.anew(Trial((call("row"),))).last
        assert row.failure is not None
        assert row.failure.type == "kombu.exceptions.EncodeError"


def test_a_task_that_is_done_at_once_is_done(tmp_path: Path, environment: Environment) -> None:
    """Where the project's own settings have tasks done at once, they are done before the answer, whatever the broker."""
    with shop(tmp_path / "shop", environment, REDIS, "task_always_eager=True") as target:
        trace = target.anew(Trial((call("orders"),)))
        assert (trace.last.status, [each.after["status"] for each in trace.changes]) == (202, ["packed"])
        assert trace.last.outgoing == ()


@pytest.mark.long
def test_a_broker_that_refuses(tmp_path: Path, environment: Environment) -> None:
    """Celery tries again as it does and gives up: a request that does not expect that crashes, and one that answers 503 does not. What a broker never says (an HTTP status) is not claimed."""
    with shop(tmp_path / "shop", environment, AMQP) as target:
        found = [each for each in said(target, "failure/outage", "orders") if isinstance(each, Proven)]
        assert [each.proof.evidence.message for each in found] == ["rabbitmq refuses the connection, and the request crashes with kombu.exceptions.OperationalError"]
        assert found[0].proof.evidence.location is not None
        assert found[0].proof.evidence.location.function == "order"
        assert [type(each) for each in said(target, "failure/outage", "careful")] == [Refuted]
        assert not [each for each in said(target, "failure/no-retry", "careful") if isinstance(each, Proven)]
        assert target.anew(Trial((call("orders"),), fault=Fault("error", host="rabbitmq"))).last.outgoing == ()
        rule = named("failure/outage")
        assert rule is not None
        proof = found[0].proof
        finding = Finding("failure/outage", "POST /orders", found[0].proof.evidence.location, Status.PROVEN, Severity.MEDIUM, "", proof.evidence, proof)
        offers = list(rule.mend(finding, target.blueprint, target.texts()))
        assert offers
        assert isinstance(offers[-1], Unmended)


@pytest.mark.long
def test_a_broker_that_says_nothing(tmp_path: Path, environment: Environment) -> None:
    """Celery's client for Redis waits without an end for a server that takes the connection and says nothing."""
    with shop(tmp_path / "shop", environment, REDIS) as target:
        found = [each for each in said(target, "failure/hang", "careful") if isinstance(each, Proven)]
        assert [each.proof.evidence.message.partition(",")[0] for each in found] == ["localhost takes the connection and says nothing"]
