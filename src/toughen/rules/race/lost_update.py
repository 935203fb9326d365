"""Owns race/lost-update."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import contention, thirds
from toughen.atomicity import mends
from toughen.model.finding import Evidence, Severity
from toughen.oracle import differing_number, serial, succeeded, updated
from toughen.pairs import AMPLE, apart, known_again, orders, pairs, steer, stumbles, told, writes_number
from toughen.rule import Aside, Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples import attempts, desk, stock
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.twists import UNSEEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.pairs import Pair
    from toughen.rule import Judgement, Target


class LostUpdate(Rule):
    """A number is read, changed in Python and written back: of two requests at once, one change is lost.

    Who pays: whoever keeps the books. Two sales lower the stock by one; two deposits raise the balance once.

    Example: `item.stock -= 1; db.commit()`.
    Instead: let the database compute it (`UPDATE items SET stock = stock - 1 WHERE id = ? AND stock >= 1`, and count the
    rows that it hit), or lock the row before it is read.
    """

    id = "race/lost-update"
    title = "Two requests at once, and one of the two changes is lost"
    severity = Severity.CRITICAL
    cwe = (362, 367)
    order = 60
    single = True
    waits = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that compute a number from a row that they read, and write it back without a lock."""
        yield from contention.lost(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Both requests have room; they are stopped between read and write. What a GET counts by the way nobody asked for (RFC 9110 9.2.1)."""
        honest = target.honest(route.id)
        if route.method == "GET" or honest is None or not updated(honest.last, target.habits()) or not writes_number(honest):
            return
        same: Pair | None = None
        for pair in pairs(target, route, journey, room=AMPLE):
            same = same or pair
            yield from pair.experiments()
        three = thirds.overtaken(target, same, iter((same,)), limited=False) if same is not None else None
        if three is not None:
            yield three

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Both succeed one after the other and at once, and the rows are those of no serial order."""
        if experiment.fact(thirds.THREE):
            return thirds.judged(traces)
        control = traces["control"]
        if not all(map(succeeded, control.exchanges[-2:])):
            return Unclear("the two honest requests do not both succeed one after the other")
        if apart(traces):
            return Unclear(UNSEEN)
        race = traces["race"]
        one, two = race.exchanges[-2:]
        if not (succeeded(one) and succeeded(two)):
            stumble = stumbles(traces)
            return Aside(*stumble) if stumble else Fails()
        if differing_number(race, control) is None:
            return Fails()
        reverse = traces["reverse"]
        if not all(map(succeeded, reverse.exchanges[-2:])):
            return Unclear("the two honest requests do not both succeed one after the other")
        lost = differing_number(race, control, reverse)
        if lost is None or serial(race, orders(traces)):
            return Fails()
        if known_again(traces):
            return Fails()
        table, column, expected, found = lost
        write = next((each for each in reversed(one.statements) if table.lower() in each.writes), None)
        return Holds(
            Evidence(
                f"two requests at once leave {table}.{column} at {found}; one after the other they leave {expected}",
                {**told(race, control), "expected": expected, "found": found, "statement": write.text if write else None},
                write.location if write else None,
                steer(one, write, table, column),
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An UPDATE with its condition, a lock, one write transaction: whichever survives first."""
        yield from mends(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(SESSION + """
class Post(Base):
    __tablename__ = "posts"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    likes = Column(Integer, default=0)

Base.metadata.create_all(engine)

@app.post("/posts")
def create_post(title: str, db: Session = Depends(get_db)):
    post = Post(title=title, likes=0)
    db.add(post)
    db.commit()
    db.refresh(post)
    return {"id": post.id}

@app.post("/posts/{post_id}/like")
def like(post_id: int, db: Session = Depends(get_db)):
    post = db.query(Post).filter(Post.id == post_id).first()
    if post is None:
        raise HTTPException(status_code=404, detail="Post not found")
    post.likes += 1
    db.commit()
    return {"ok": True}
""", "POST /posts/{post_id}/like", SESSION_NEEDS),
        Broken(PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT, points INTEGER)")
    start.execute("INSERT OR IGNORE INTO accounts (id, owner, points) VALUES (1, 'ann', 10)")

@app.route("/accounts/<int:account_id>/earn", methods=["POST"])
def earn(account_id):
    conn = get_db()
    row = conn.execute("SELECT points FROM accounts WHERE id = ?", (account_id,)).fetchone()
    if row is None:
        conn.close()
        return jsonify({"error": "no such account"}), 404
    conn.execute("UPDATE accounts SET points = ? WHERE id = ?", (row["points"] + 5, account_id))
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
""", "POST /accounts/{account_id}/earn"),
        Broken(attempts.POINTS, "POST /accounts/{account_id}/earn", unseen="the write bears its condition"),
        Broken("", "POST /items/{pk}/fill/", desk.NEEDS, stock.ITEMS),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT, points INTEGER)")
    start.execute("INSERT OR IGNORE INTO accounts (id, owner, points) VALUES (1, 'ann', 10)")

@app.route("/accounts/<int:account_id>/earn", methods=["POST"])
def earn(account_id):
    conn = get_db()
    row = conn.execute("SELECT points FROM accounts WHERE id = ?", (account_id,)).fetchone()
    if row is None:
        conn.close()
        return jsonify({"error": "no such account"}), 404
    conn.execute("UPDATE accounts SET points = points + 5 WHERE id = ?", (account_id,))
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
""", "the database adds: the read only finds out whether the row is there"),
        Sound(SESSION + """
class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    stock = Column(Integer, default=50)

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item_id = Column(Integer)

class NewOrder(BaseModel):
    item_id: int

Base.metadata.create_all(engine)

@app.post("/items")
def create_item(name: str, db: Session = Depends(get_db)):
    item = Item(name=name, stock=50)
    db.add(item)
    db.commit()
    db.refresh(item)
    return {"id": item.id}

@app.post("/orders")
def create_order(order: NewOrder, db: Session = Depends(get_db)):
    made = Order(item_id=order.item_id)
    db.add(made)
    db.flush()
    item = db.query(Item).filter(Item.id == order.item_id).first()
    if item is None or item.stock < 1:
        db.rollback()
        raise HTTPException(status_code=400, detail="Out of stock")
    item.stock -= 1
    db.commit()
    return {"id": made.id}
""", "the INSERT takes SQLite's write lock before the read: the second request waits", SESSION_NEEDS),
        Sound(attempts.POINTS_REFUSED, "where every attempt is lost, it says so"),
        Sound("", "Django lets the database add", desk.NEEDS, stock.ITEMS_COUNTED),
    ]
