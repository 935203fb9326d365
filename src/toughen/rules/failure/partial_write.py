"""Owns failure/partial-write."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import atomicity, halves, outboxes, timeline, untold
from toughen.model.finding import Evidence, Severity
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples.messages import KEPT, PAID_OUT, SHIPPED, SHIPPED_SURELY
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.timeline import row_facts
from toughen.twists import answer, shown, succeeded

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target

_WALLETS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS wallets (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER)")
    start.execute("INSERT OR IGNORE INTO wallets (id, owner, balance) VALUES (1, 'ann', 500), (2, 'bob', 500)")

@app.route("/wallets/<int:wallet_id>")
def show(wallet_id):
    conn = get_db()
    row = conn.execute("SELECT * FROM wallets WHERE id = ?", (wallet_id,)).fetchone()
    conn.close()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "no such wallet"}), 404)

@app.route("/wallets/<int:wallet_id>/send", methods=["POST"])
def send(wallet_id):
    data = request.get_json()
    amount, to = int(data["amount"]), int(data["to"])
    conn = get_db()
    if conn.execute("SELECT id FROM wallets WHERE id = ?", (to,)).fetchone() is None:
        conn.close()
        return jsonify({"error": "no such wallet"}), 404
    paid = conn.execute("UPDATE wallets SET balance = balance - ? WHERE id = ? AND balance >= ?", (amount, wallet_id, amount)).rowcount
    if not paid or amount <= 0 or to == wallet_id:
        conn.close()
        return jsonify({"error": "not enough"}), 400
    conn.commit()
    conn.execute("UPDATE wallets SET balance = balance + ? WHERE id = ?", (amount, to))
    conn.commit()
    conn.close()
    return jsonify({"sent": amount}), 201
"""
_SHOP = SESSION + """
class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    stock = Column(Integer, default=10)

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item_id = Column(Integer)

Base.metadata.create_all(engine)

@app.post("/items", status_code=201)
def add(name: str, db: Session = Depends(get_db)):
    item = Item(name=name, stock=10)
    db.add(item)
    db.commit()
    return {"id": item.id}

@app.get("/items")
def items(db: Session = Depends(get_db)):
    return [{"id": each.id, "stock": each.stock} for each in db.query(Item)]

@app.get("/orders")
def orders(db: Session = Depends(get_db)):
    return [{"id": each.id, "item": each.item_id} for each in db.query(Order)]

@app.post("/items/{item_id}/order", status_code=201)
def order(item_id: int, db: Session = Depends(get_db)):
    hit = db.query(Item).filter(Item.id == item_id, Item.stock > 0).update({Item.stock: Item.stock - 1})
    if not hit:
        raise HTTPException(404, "No such item, or sold out")
    db.commit()
    made = Order(item_id=item_id)
    db.add(made)
    db.commit()
    db.refresh(made)
    return {"id": made.id}
"""

_STATES = """
class Payment(Base):
    __tablename__ = "payments"
    id = Column(Integer, primary_key=True)
    amount = Column(Integer)
    state = Column(String, default="pending")

Base.metadata.create_all(engine)

@app.get("/payments")
def payments(db: Session = Depends(get_db)):
    return [{"id": each.id, "state": each.state} for each in db.query(Payment)]

@app.post("/payments", status_code=201)
def pay(amount: int, db: Session = Depends(get_db)):
    made = Payment(amount=amount, state="pending")
    db.add(made)
    db.commit()
    made.state = "paid"
    db.commit()
    return {"id": made.id}
"""
_PUT = """
class Setting(Base):
    __tablename__ = "settings"
    id = Column(Integer, primary_key=True)
    name = Column(String, unique=True)
    value = Column(Integer)

Base.metadata.create_all(engine)
with SessionLocal() as start:
    if start.query(Setting).count() == 0:
        start.add_all([Setting(name="low", value=1), Setting(name="high", value=9)])
        start.commit()

@app.get("/settings")
def settings(db: Session = Depends(get_db)):
    return {each.name: each.value for each in db.query(Setting)}

@app.put("/settings")
def put(low: int, high: int, db: Session = Depends(get_db)):
    db.query(Setting).filter(Setting.name == "low").update({Setting.value: low})
    db.commit()
    db.query(Setting).filter(Setting.name == "high").update({Setting.value: high})
    db.commit()
    return {"low": low, "high": high}
"""
_VIEWS = """
class Post(Base):
    __tablename__ = "posts"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    views = Column(Integer, default=0)

class Comment(Base):
    __tablename__ = "comments"
    id = Column(Integer, primary_key=True)
    post_id = Column(Integer)
    text = Column(String)

Base.metadata.create_all(engine)

@app.post("/posts", status_code=201)
def write(title: str, db: Session = Depends(get_db)):
    post = Post(title=title, views=0)
    db.add(post)
    db.commit()
    return {"id": post.id}

@app.get("/posts/{post_id}")
def show(post_id: int, db: Session = Depends(get_db)):
    post = db.get(Post, post_id)
    if post is None:
        raise HTTPException(404, "No such post")
    return {"title": post.title, "views": post.views, "comments": [each.text for each in db.query(Comment).filter(Comment.post_id == post_id)]}

@app.post("/posts/{post_id}/comments", status_code=201)
def comment(post_id: int, text: str, db: Session = Depends(get_db)):
    if not db.query(Post).filter(Post.id == post_id).update({Post.views: Post.views + 1}):
        raise HTTPException(404, "No such post")
    db.commit()
    db.add(Comment(post_id=post_id, text=text))
    db.commit()
    return {"ok": True}
"""

_PAID = SESSION.replace("from fastapi import", "import httpx\nfrom fastapi import") + """
class Seat(Base):
    __tablename__ = "seats"
    id = Column(Integer, primary_key=True)
    row = Column(String)
    left = Column(Integer, default=20)

class Ticket(Base):
    __tablename__ = "tickets"
    id = Column(Integer, primary_key=True)
    seat_id = Column(Integer)
    state = Column(String)

Base.metadata.create_all(engine)

@app.post("/seats", status_code=201)
def open_row(row: str, db: Session = Depends(get_db)):
    seat = Seat(row=row, left=20)
    db.add(seat)
    db.commit()
    return {"id": seat.id}

@app.get("/seats")
def seats(db: Session = Depends(get_db)):
    return [{"id": each.id, "left": each.left} for each in db.query(Seat)]

@app.get("/tickets")
def tickets(db: Session = Depends(get_db)):
    return [{"id": each.id, "state": each.state} for each in db.query(Ticket)]

@app.post("/seats/{seat_id}/book", status_code=201)
def book(seat_id: int, db: Session = Depends(get_db)):
    if not db.query(Seat).filter(Seat.id == seat_id, Seat.left > 0).update({Seat.left: Seat.left - 1}):
        raise HTTPException(404, "No such row, or sold out")
    db.commit()
    httpx.post("https://api.pay.example/v1/charges", json={"seat": seat_id}, timeout=5).raise_for_status()
    db.add(Ticket(seat_id=seat_id, state="paid"))
    db.commit()
    return {"booked": seat_id}
"""
"""A seat is taken, then paid for outside, then there is a ticket."""
_SAGA = _PAID.replace("""    db.commit()
    httpx.post("https://api.pay.example/v1/charges", json={"seat": seat_id}, timeout=5).raise_for_status()
    db.add(Ticket(seat_id=seat_id, state="paid"))
    db.commit()
""", """    ticket = Ticket(seat_id=seat_id, state="pending")
    db.add(ticket)
    db.commit()
    try:
        httpx.post("https://api.pay.example/v1/charges", json={"seat": seat_id}, timeout=5).raise_for_status()
    except httpx.HTTPError:
        db.query(Seat).filter(Seat.id == seat_id).update({Seat.left: Seat.left + 1})
        ticket.state = "failed"
        db.commit()
        raise HTTPException(502, "The payment service does not answer")
    db.add(Receipt(ticket_id=ticket.id))
    ticket.state = "paid"
    db.commit()
""").replace("Base.metadata.create_all(engine)", """class Receipt(Base):
    __tablename__ = "receipts"
    id = Column(Integer, primary_key=True)
    ticket_id = Column(Integer)

Base.metadata.create_all(engine)

@app.get("/receipts")
def receipts(db: Session = Depends(get_db)):
    return [each.id for each in db.query(Receipt)]""")

_TELLS = (
    "What must hold afterwards: what the rows say was told outside, was told, whenever the process ends. Write the message down in the transaction of the rows (an outbox), and have it sent from there, "
    "also after a restart, with a key by which whoever gets it twice knows it; or note in the row that it is pending, and come back to it."
)


class PartialWrite(Rule):
    """A request that is cut off in the middle leaves half of its change behind.

    Who pays: whoever's money was taken and never arrived. A worker dies often: at every deployment, when memory runs out,
    when a server in front of it loses patience.

    Shown: the process is killed between two of the request's transactions, and a new one starts. Rows that the whole
    request changes are changed, others of it are not; and the same request sent again does not lead to what
    it leads to alone. Or a service outside refuses after the first of them, the request fails, and the same is left. Or its rows
    are committed, and a service that the whole request tells of them (a payment, a shipment) never hears of it. Rows that
    nobody reads (a log), and rows that say themselves how far they got (`pending`), count for nothing.

    Example: `sender.balance -= amount; db.commit(); receiver.balance += amount; db.commit()`.
    Instead: one transaction around what belongs together, committed once at its end.

    References: CWE-460, CWE-667; OWASP ASVS 5.0 V2.3.3.
    """

    id = "failure/partial-write"
    title = "A request that is cut off leaves half of its change"
    severity = Severity.HIGH
    cwe = (460, 667)
    asvs = "V2.3.3"
    order = 58
    single = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that commit a change and go on to write more, or to tell somebody outside."""
        yield from halves.suspected(self.id, blueprint, sources)
        yield from untold.suspected(self.id, blueprint, sources, later=False)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Killed before each later write, or let down by a service outside, and sent again afterwards."""
        yield from halves.experiments(target, route, journey)
        yield from untold.between(target, route, journey)

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Part of the change is there and part is not, and the same request again does not end as the whole one."""
        if experiment.fact("untold"):
            return untold.judged(experiment, traces)
        control, killed = traces["control"], traces["killed"]
        if not succeeded(control.last):
            return Unclear(f"the honest request does not succeed: {answer(control.last)}")
        host = experiment.fact("host")
        if killed.last.ended != ("answered" if host else "killed"):
            slow = killed.last.ended == "timeout"
            return Unclear("cut off there, the request comes to no end in time" if slow else "the request did not come to that statement a second time")
        if host and succeeded(killed.last):
            return Fails()
        half = halves.half(control, killed, experiment.fact("seen").split(","))
        if half is None or halves.healed(traces):
            return Fails()
        point = int(experiment.fact("point"))
        write = control.last.statements[point] if point < len(control.last.statements) else None
        there, missing = row_facts(half.there), row_facts(half.missing)
        again = traces["retried"].last
        story = timeline.told(
            [shown(control.last)[:60], "the same, sent again"], timeline.cut(control.last, point, again, f"{host} refuses: {answer(killed.last)}" if host else ""),
            row_facts(traces["retried"].changes), row_facts(control.changes),
        )  # fmt: skip
        cut = f"{host} refuses, the request fails, and it leaves" if host else "cut off in the middle, it leaves"
        return Holds(
            Evidence(
                f"{cut} {there[0]} without {missing[0]}",
                {
                    "request": shown(control.last), "is there": [*there], "is missing": [*missing], "killed before": write.text if write else None,
                    "timeline": story, "sent again": answer(again), "leaves then": [*row_facts(halves.repeated(traces))],
                },
                write.location if write else None,
                (("statement", write.text if write else ""), ("table", half.missing[0].table)),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """One commit, at the end; what is told outside behind it is written down in front of it."""
        if finding.evidence is not None and finding.evidence.fact("untold"):
            yield from outboxes.mends(finding, blueprint, sources, _TELLS)
            return
        yield from atomicity.joined(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(_WALLETS, "POST /wallets/{wallet_id}/send"),
        Broken(_SHOP, "POST /items/{item_id}/order", SESSION_NEEDS),
        Broken(_PAID, "POST /seats/{seat_id}/book", (*SESSION_NEEDS, "httpx"), unmended="httpx.post between the commits cannot be taken back"),
        Broken(SHIPPED, "POST /orders", (*SESSION_NEEDS, "httpx")),
        Broken(PAID_OUT, "POST /accounts/{account_id}/withdraw", ("flask", "requests")),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(_WALLETS.replace('        return jsonify({"error": "not enough"}), 400\n    conn.commit()\n', '        return jsonify({"error": "not enough"}), 400\n'), "one transaction, committed at its end"),
        Sound(_SHOP.replace('sold out")\n    db.commit()\n    made', 'sold out")\n    made'), "one transaction, committed at its end", SESSION_NEEDS),
        Sound(_SHOP.replace("    made = Order(item_id=item_id)\n    db.add(made)\n    db.commit()\n", "    made = Log(item_id=item_id)\n    db.add(made)\n    db.commit()\n").replace(
            "class Order(Base):", """class Log(Base):
    __tablename__ = "log"
    id = Column(Integer, primary_key=True)
    item_id = Column(Integer)

class Order(Base):"""), "what may be missing is a line of a log that nobody reads", SESSION_NEEDS, alike="who reads a table is seen by use"),
        Sound(SHIPPED.replace("    made = Order(item=data.item, amount=data.amount)\n    db.add(made)\n", "    made = db.query(Order).filter(Order.item == data.item).first()\n    if made is None:\n        made = Order(item=data.item, amount=data.amount)\n        db.add(made)\n"),
            "sent again it is told, and the rows stay as they are", (*SESSION_NEEDS, "httpx"), alike="what sending it again leads to is seen by use"),
        Sound(SHIPPED_SURELY, "what is told is written down, and the next process sends it", (*SESSION_NEEDS, "httpx"), KEPT),
        Sound(SHIPPED.replace("/v1/shipments", "/v1/messages"), "a note that may be lost", (*SESSION_NEEDS, "httpx")),
        Sound(SESSION + _STATES, "one row that gets less far says itself how far it got", SESSION_NEEDS, alike="what a state means"),
        Sound(SESSION + _PUT, "sent again it leads to what it leads to alone", SESSION_NEEDS, alike="whether it may be repeated"),
        Sound(_SAGA.replace("    db.commit()\n    try:", "    db.commit()\n    db.refresh(ticket)\n    try:"), "what is there says that it is not paid yet, and a refusal is made good", (*SESSION_NEEDS, "httpx"), alike="two commits, and what the first one leaves is known as such"),
        Sound(SESSION + _VIEWS, "what is there already only counts who looked", SESSION_NEEDS),
    ]
