"""Owns failure/lost-job."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import afterwards, durable, outboxes, timeline, untold
from toughen.model.finding import Evidence, Severity
from toughen.model.patch import Patch
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.messages import KEPT, LATER, LATER_SURELY, THREADED
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.timeline import row_facts
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_ORDERS = SESSION + """
from fastapi import BackgroundTasks

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item = Column(String)
    status = Column(String, default="pending")

class NewOrder(BaseModel):
    item: str

Base.metadata.create_all(engine)

def process(order_id: int):
    with SessionLocal() as db:
        order = db.get(Order, order_id)
        order.status = "packed"
        db.commit()

@app.get("/orders")
def orders(db: Session = Depends(get_db)):
    return [{"id": each.id, "item": each.item, "status": each.status} for each in db.query(Order)]

@app.post("/orders", status_code=202)
def order(data: NewOrder, background_tasks: BackgroundTasks, db: Session = Depends(get_db)):
    made = Order(item=data.item, status="pending")
    db.add(made)
    db.commit()
    background_tasks.add_task(process, made.id)
    return {"id": made.id}
"""
_REPORTS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS sales (id INTEGER PRIMARY KEY, amount INTEGER)")
    start.execute("CREATE TABLE IF NOT EXISTS reports (id INTEGER PRIMARY KEY, title TEXT, total INTEGER)")

import threading

def build(title):
    conn = get_db()
    total = conn.execute("SELECT COALESCE(SUM(amount), 0) FROM sales").fetchone()[0]
    conn.execute("INSERT INTO reports (title, total) VALUES (?, ?)", (title, total))
    conn.commit()
    conn.close()

@app.route("/reports")
def reports():
    conn = get_db()
    rows = conn.execute("SELECT id, title, total FROM reports").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/reports", methods=["POST"])
def report():
    title = request.get_json()["title"]
    threading.Thread(target=build, args=(title,)).start()
    return jsonify({"accepted": title}), 202
"""
_SLOWLY = _ORDERS.replace("def process(order_id: int):\n", "def process(order_id: int):\n    time.sleep(1)\n").replace("from fastapi import BackgroundTasks", "import time\nfrom fastapi import BackgroundTasks")
_TASK = (
    _ORDERS.replace("def process(order_id: int):", "async def process(order_id: int):\n    await asyncio.sleep(0)").replace("from fastapi import BackgroundTasks", "import asyncio")
    .replace("def order(data: NewOrder, background_tasks: BackgroundTasks,", "async def order(data: NewOrder,").replace("background_tasks.add_task(process, made.id)", "asyncio.create_task(process(made.id))")
)
_LOGGED = _ORDERS.replace(
    """def process(order_id: int):
    with SessionLocal() as db:
        order = db.get(Order, order_id)
        order.status = "packed"
        db.commit()
""",
    """def process(order_id: int):
    with SessionLocal() as db:
        db.add(Seen(order_id=order_id))
        db.commit()
""",
).replace("Base.metadata.create_all", """class Seen(Base):
    __tablename__ = "seen"
    id = Column(Integer, primary_key=True)
    order_id = Column(Integer)

Base.metadata.create_all""")
_RESUMED = _ORDERS.replace('@app.get("/orders")', """@app.on_event("startup")
def resume():
    with SessionLocal() as db:
        left = [each.id for each in db.query(Order).filter(Order.status == "pending")]
    for each in left:
        process(each)

@app.get("/orders")""", 1)


class LostJob(Rule):
    """What was accepted is done after the answer, in the memory of the process: where the process ends, nobody does it.

    Who pays: the customer whose order was accepted and stays pending for ever. A process ends at every deployment, when memory
    runs out, and where a container is moved.

    Shown: the process is killed as soon as the client has its answer (2xx), a new one starts and is given some seconds, and
    rows that the whole request writes and that somebody reads are missing, or a service outside was never told what is posted to
    it otherwise (a payment, a shipment, a booking). Without the kill they come. Lines of a log that nobody reads, mail and notes
    count for nothing; where a scheduler or a loop may come back to it later, nothing is said.

    Example: `background_tasks.add_task(process, order.id); return {"status": "accepted"}`.
    Instead: rows are written before the answer; what takes long stands in a table (as pending) that a worker reads, also
    after a restart, or in a queue that outlives the process (DBOS, Celery). What is told outside is written down with the rows
    that it is about (an outbox), and sent from there.

    References: CWE-460, CWE-693; https://docs.dbos.dev.
    """

    id = "failure/lost-job"
    title = "Accepted work is lost when the process ends"
    severity = Severity.HIGH
    cwe = (460,)
    order = 59
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that hand on work which writes rows, or has somebody outside do something."""
        yield from afterwards.suspected(self.id, blueprint, sources)
        yield from untold.suspected(self.id, blueprint, sources, later=True)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The process ends with the answer."""
        yield from afterwards.experiments(target, route, journey)
        yield from untold.behind(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """The client was told that it is accepted, and its rows never come, or nobody outside hears of it."""
        if experiment.fact("untold"):
            return untold.judged(experiment, traces)
        control = traces["control"]
        number = next(iter(afterwards.late(control.last)), None)
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        if number is None:
            return Fails()
        died = traces["died"].exchanges[-2]
        if died.ended != "killed" or not succeeded(died) or traces["died"].last.response is None:
            return Unclear("its process did not end with the answer, or no new one came up")
        missing = afterwards.lost(traces, {each.lower() for each in experiment.fact("seen").split(",")})
        if not missing:
            return Fails()
        if experiment.fact("finisher"):
            return Unclear(f"{experiment.fact('finisher')} may come back to it later")
        write = control.last.statements[number]
        story = timeline.told([shown(control.last)[:60]], timeline.unfinished(control.last), [afterwards.told(missing[0], traces["died"])], row_facts(control.changes))
        return Holds(
            Evidence(
                f"the client is told {died.status}, the process ends, and after a restart {afterwards.told(missing[0], traces['died'])}",
                {
                    "request": shown(control.last), "answer": answer(died), "is missing": [*row_facts(missing)], "is there": [*row_facts(traces["died"].changes)],
                    "done after the answer": write.text, "timeline": story,
                },
                write.location,
                (("statement", write.text), ("table", missing[0].table)),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """What is only rows is done before the answer; what is told outside is written down beside them; what takes long is written down, and resumed after a restart."""
        if finding.evidence is not None and finding.evidence.fact("untold"):
            yield from outboxes.mends(finding, blueprint, sources, _BRIEF)
            yield from durable.mends(finding, blueprint, sources, _BRIEF)
            return
        offers = list(afterwards.first(finding, blueprint, sources, _BRIEF))
        if any(isinstance(each, Patch) for each in offers):
            yield from offers
            return
        yield from durable.mends(finding, blueprint, sources, _BRIEF)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_ORDERS, "POST /orders", SESSION_NEEDS),
        Broken(_REPORTS, "POST /reports"),
        Broken(_SLOWLY, "POST /orders", SESSION_NEEDS),
        Broken(_TASK, "POST /orders", SESSION_NEEDS),
        Broken(LATER, "POST /orders", (*SESSION_NEEDS, "httpx")),
        Broken(THREADED, "POST /bookings", ("flask", "requests")),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_ORDERS.replace("background_tasks.add_task(process, made.id)", "process(made.id)"), "it is done before the answer", SESSION_NEEDS),
        Sound(LATER_SURELY, "what is told is written down, and the next process sends it", (*SESSION_NEEDS, "httpx"), KEPT, alike="that the next process does what is left is seen by use"),
        Sound(LATER.replace("/v1/shipments", "/hooks/new-order"), "a note that may be lost", (*SESSION_NEEDS, "httpx")),
        Sound(_LOGGED, "what may be missing is a line that nobody reads", SESSION_NEEDS, alike="who reads a table is seen by use"),
        Sound(_RESUMED, "what is pending is done when the next process starts", SESSION_NEEDS, alike="what a start-up finishes is seen by use"),
        Sound(_REPORTS.replace("    threading.Thread(target=build, args=(title,)).start()\n", "    worker = threading.Thread(target=build, args=(title,))\n    worker.start()\n    worker.join()\n"), "the answer waits for the thread", alike="whether a thread is waited for"),
    ]


_BRIEF = (
    "What must hold afterwards: what was accepted is done, whenever the process ends. Either before the answer, where it takes no time; or write it down first (a row that is pending, in the transaction of the "
    "request) and have a worker do what is pending, also after a restart: a durable workflow (DBOS, on the database that is there), or a queue with a worker of its own. Each step may be done twice: make that harmless."
)
