"""Owns race/lost-update."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.atomicity import mends, read_modify_writes
from toughen.model.finding import Evidence, Severity, Suspicion
from toughen.model.source import Location
from toughen.oracle import read_before, serial, succeeded, updated
from toughen.pairs import AMPLE, pairs
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
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
    BROKEN: ClassVar[list[Broken]] = [
        Broken(
            """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

engine = create_engine("sqlite:///./blog.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()


class Post(Base):
    __tablename__ = "posts"
    id = Column(Integer, primary_key=True)
    title = Column(String)
    likes = Column(Integer, default=0)


Base.metadata.create_all(engine)
app = FastAPI()


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


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
""",
            "POST /posts/{post_id}/like",
            ("fastapi", "sqlalchemy"),
        ),
        Broken(
            """
import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)


def get_db():
    conn = sqlite3.connect("wallet.db")
    conn.row_factory = sqlite3.Row
    return conn


def init_db():
    conn = get_db()
    conn.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT, points INTEGER)")
    if conn.execute("SELECT count(*) FROM accounts").fetchone()[0] == 0:
        conn.execute("INSERT INTO accounts (owner, points) VALUES ('ann', 10)")
    conn.commit()
    conn.close()


init_db()


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
""",
            "POST /accounts/{account_id}/earn",
        ),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(
            """
import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)
setup = sqlite3.connect("wallet.db")
setup.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT, points INTEGER)")
setup.execute("INSERT INTO accounts (owner, points) VALUES ('ann', 10)")
setup.commit()
setup.close()


@app.route("/accounts/<int:account_id>/earn", methods=["POST"])
def earn(account_id):
    conn = sqlite3.connect("wallet.db")
    row = conn.execute("SELECT points FROM accounts WHERE id = ?", (account_id,)).fetchone()
    if row is None:
        conn.close()
        return jsonify({"error": "no such account"}), 404
    conn.execute("UPDATE accounts SET points = points + 5 WHERE id = ?", (account_id,))
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
""",
            "the database adds: the read only finds out whether the row is there",
        ),
        Sound(
            """
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

engine = create_engine("sqlite:///./shop.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()


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
app = FastAPI()


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


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
""",
            "the INSERT takes SQLite's write lock before the read: the second request waits",
            ("fastapi", "sqlalchemy"),
        ),
    ]

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that read a row and write it back without a lock."""
        for route, line, what, _ in read_modify_writes(blueprint, sources):
            place = Location(route.handler.file, line, route.handler.function)
            yield Suspicion(self.id, route.id, place, f"{what}: of two requests at once, one change may be lost")

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """Both requests have room; they are stopped between read and write."""
        honest = target.honest(route.id)
        if honest is None or not updated(honest.last, target.habits()):
            return
        for pair in pairs(target, route, journey, room=AMPLE):
            yield from pair.experiments()

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """Both succeed one after the other and at once, and the rows are those of no serial order."""
        control = traces["control"]
        if not all(map(succeeded, control.exchanges[-2:])):
            return Unclear("the two honest requests do not both succeed one after the other")
        race = traces["race"]
        one, two = race.exchanges[-2:]
        if not (succeeded(one) and succeeded(two)):
            return Fails()
        reverse = traces["reverse"]
        if not all(map(succeeded, reverse.exchanges[-2:])):
            return Unclear("the two honest requests do not both succeed one after the other")
        orders = {"ab": control, "ab_again": traces["again"], "ba": reverse, "a": traces["first"], "b": traces["second"]}
        if serial(race, orders):
            return Fails()
        lost = _lost(control, race)
        if lost is None:
            return Fails()
        table, column, expected, found = lost
        write = next((each for each in reversed(one.statements) if table.lower() in each.writes), None)
        return Holds(
            Evidence(
                f"two requests at once leave {table}.{column} at {found}; one after the other they leave {expected}",
                {
                    "requests": [f"{each.method} {each.target} {each.request_body}".strip() for each in (one, two)],
                    "answers": [each.status for each in (one, two)],
                    "schedule": list(race.schedule),
                    "expected": expected, "found": found, "statement": write.text if write else None,
                },
                write.location if write else None,
                (("table", table), ("column", column), ("statement", write.text if write else ""), ("read", read_before(one, table))),
                key="",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An UPDATE with its condition, a lock, one write transaction: whichever survives first."""
        yield from mends(finding, blueprint, sources)


def _lost(control: Trace, race: Trace) -> tuple[str, str, float, float] | None:
    """(table, column, serial value, value after the race) of the first number that differs in a row that both updated."""
    after = {(each.table, str(next(iter(each.before.values()), None))): each for each in race.changes if each.kind == "updated"}
    for change in control.changes:
        if change.kind != "updated":
            continue
        other = after.get((change.table, str(next(iter(change.before.values()), None))))
        for column in change.columns:
            expected = change.after.get(column)
            found = other.after.get(column) if other else change.before.get(column)
            if isinstance(expected, int | float) and isinstance(found, int | float) and expected != found:
                return change.table, column, expected, found
    made = {(each.table, index): each for index, each in enumerate(race.changes) if each.kind == "inserted"}
    for index, change in enumerate(control.changes):
        other = made.get((change.table, index))
        if change.kind == "inserted" and other is not None:
            for column, expected in change.after.items():
                found = other.after.get(column)
                if isinstance(expected, int | float) and isinstance(found, int | float) and expected != found:
                    return change.table, column, expected, found
    return None
