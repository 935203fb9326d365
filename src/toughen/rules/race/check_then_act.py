"""Owns race/check-then-act."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen.atomicity import mends, read_modify_writes
from toughen.model.finding import Evidence, Severity, Suspicion
from toughen.model.source import Location
from toughen.oracle import read_before, same_rows, serial, succeeded, telling_write
from toughen.pairs import pairs
from toughen.rule import Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.twists import answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import Trace
    from toughen.model.trial import Experiment
    from toughen.rule import Judgement, Target


_IDENTITY = (401, 403)
"""Refusals for want of a credential: a token that was used up is no check of the business."""


class CheckThenAct(Rule):
    """A condition is checked, then acted upon: of two requests at once, both pass the check.

    Who pays: the second customer, and then the business. The last ticket is sold twice, a room is booked twice, a balance is
    spent twice.

    Example: `if account.balance < amount: refuse`, and some lines later `account.balance -= amount`.
    Instead: the condition stands in the UPDATE and the rows that it hit are counted; or the row is locked before it is
    read; or a unique key decides and its violation is answered.
    """

    id = "race/check-then-act"
    title = "Two requests at once both pass a check that only one may pass"
    severity = Severity.CRITICAL
    cwe = (367, 362)
    order = 61
    single = True
    BROKEN: ClassVar[list[Broken]] = [
        Broken(
            """
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

engine = create_engine("sqlite:///./shop.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()


class Ticket(Base):
    __tablename__ = "tickets"
    id = Column(Integer, primary_key=True)
    show = Column(String)
    remaining = Column(Integer)


Base.metadata.create_all(engine)
app = FastAPI()


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.post("/tickets")
def create(show: str, remaining: int, db: Session = Depends(get_db)):
    ticket = Ticket(show=show, remaining=remaining)
    db.add(ticket)
    db.commit()
    db.refresh(ticket)
    return {"id": ticket.id}


@app.post("/tickets/{ticket_id}/buy")
def buy(ticket_id: int, db: Session = Depends(get_db)):
    ticket = db.query(Ticket).filter(Ticket.id == ticket_id).first()
    if not ticket or ticket.remaining < 1:
        raise HTTPException(status_code=400, detail="Sold out")
    ticket.remaining -= 1
    db.commit()
    return {"ok": True}
""",
            "POST /tickets/{ticket_id}/buy",
            ("fastapi", "sqlalchemy"),
        ),
        Broken(
            """
import sqlite3

from flask import Flask, jsonify, request

app = Flask(__name__)


def get_db():
    conn = sqlite3.connect("rooms.db")
    conn.row_factory = sqlite3.Row
    return conn


conn = get_db()
conn.execute("CREATE TABLE IF NOT EXISTS bookings (id INTEGER PRIMARY KEY, room TEXT, day TEXT)")
conn.commit()
conn.close()


@app.route("/bookings", methods=["POST"])
def book():
    data = request.get_json()
    conn = get_db()
    taken = conn.execute("SELECT id FROM bookings WHERE room = ? AND day = ?", (data["room"], data["day"])).fetchone()
    if taken:
        conn.close()
        return jsonify({"error": "The room is taken"}), 409
    conn.execute("INSERT INTO bookings (room, day) VALUES (?, ?)", (data["room"], data["day"]))
    conn.commit()
    conn.close()
    return jsonify({"ok": True}), 201
""",
            "POST /bookings",
        ),
        Broken(
            """
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine
from sqlalchemy.orm import Session, declarative_base, sessionmaker

engine = create_engine("sqlite:///./rooms.db", connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(bind=engine)
Base = declarative_base()


class Booking(Base):
    __tablename__ = "bookings"
    id = Column(Integer, primary_key=True)
    room = Column(String)
    day = Column(String)


class NewBooking(BaseModel):
    room: str
    day: str


Base.metadata.create_all(engine)
app = FastAPI()


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.post("/bookings")
def book(booking: NewBooking, db: Session = Depends(get_db)):
    if db.query(Booking).filter(Booking.room == booking.room, Booking.day == booking.day).first():
        raise HTTPException(status_code=409, detail="The room is taken")
    db.add(Booking(room=booking.room, day=booking.day))
    db.commit()
    return {"ok": True}
""",
            "POST /bookings",
            ("fastapi", "sqlalchemy"),
        ),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(
            """
import sqlite3

from flask import Flask, jsonify, request

app = Flask(__name__)
setup = sqlite3.connect("rooms.db")
setup.execute("CREATE TABLE IF NOT EXISTS bookings (id INTEGER PRIMARY KEY, room TEXT, day TEXT, UNIQUE (room, day))")
setup.commit()
setup.close()


@app.route("/bookings", methods=["POST"])
def book():
    data = request.get_json()
    conn = sqlite3.connect("rooms.db")
    try:
        if conn.execute("SELECT id FROM bookings WHERE room = ? AND day = ?", (data["room"], data["day"])).fetchone():
            return jsonify({"error": "The room is taken"}), 409
        conn.execute("INSERT INTO bookings (room, day) VALUES (?, ?)", (data["room"], data["day"]))
        conn.commit()
    except sqlite3.IntegrityError:
        return jsonify({"error": "The room is taken"}), 409
    finally:
        conn.close()
    return jsonify({"ok": True}), 201
""",
            "a unique key decides, and its violation is answered",
        ),
        Sound(
            """
import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)
setup = sqlite3.connect("notes.db")
setup.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)")
setup.execute("INSERT INTO notes (body) VALUES ('milk')")
setup.commit()
setup.close()


@app.route("/notes/<int:note_id>", methods=["DELETE"])
def remove(note_id):
    conn = sqlite3.connect("notes.db")
    row = conn.execute("SELECT id FROM notes WHERE id = ?", (note_id,)).fetchone()
    if row is None:
        conn.close()
        return jsonify({"error": "no such note"}), 404
    conn.execute("DELETE FROM notes WHERE id = ?", (note_id,))
    conn.commit()
    conn.close()
    return "", 204
""",
            "deleting twice leaves what deleting once leaves",
        ),
        Sound(
            """
import sqlite3

from flask import Flask, jsonify

app = Flask(__name__)
setup = sqlite3.connect("tickets.db")
setup.execute("CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY, remaining INTEGER)")
setup.execute("INSERT INTO tickets (remaining) VALUES (1)")
setup.commit()
setup.close()


@app.route("/tickets/<int:ticket_id>/buy", methods=["POST"])
def buy(ticket_id):
    conn = sqlite3.connect("tickets.db")
    row = conn.execute("SELECT remaining FROM tickets WHERE id = ?", (ticket_id,)).fetchone()
    if row is None or row[0] < 1:
        conn.close()
        return jsonify({"error": "sold out"}), 400
    sold = conn.execute("UPDATE tickets SET remaining = remaining - 1 WHERE id = ? AND remaining > 0", (ticket_id,)).rowcount
    conn.commit()
    conn.close()
    if not sold:
        return jsonify({"error": "sold out"}), 400
    return jsonify({"ok": True})
""",
            "the condition stands in the UPDATE, and the rows that it hit are counted",
        ),
    ]

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that read a row and write it back without a lock."""
        for route, line, what, checked in read_modify_writes(blueprint, sources):
            if not checked:
                continue
            place = Location(route.handler.file, line, route.handler.function)
            yield Suspicion(self.id, route.id, place, f"{what}, after a check: two requests at once may both pass it")

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The resource suffices for exactly one of the two."""
        for pair in pairs(target, route, journey, room=1):
            yield from pair.experiments()

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """One after the other, the second is refused; at once, both succeed."""
        control = traces["control"]
        if not succeeded(control.exchanges[-2]):
            return Unclear("the honest request does not succeed on its own")
        refused = control.exchanges[-1]
        if succeeded(refused):
            return Fails()
        if refused.status is None or refused.status >= 500 or refused.status in _IDENTITY:  # noqa: PLR2004
            return Unclear(f"one after the other, the second request is not refused by a check ({answer(refused)})")
        race = traces["race"]
        one, two = race.exchanges[-2:]
        if not (succeeded(one) and succeeded(two)):
            return Fails()
        if not all(any(each.writes and each.rows != 0 for each in exchange.statements) for exchange in (one, two)):
            return Fails()
        reverse = traces["reverse"]
        if not succeeded(reverse.exchanges[-2]) or succeeded(reverse.exchanges[-1]):
            return Unclear("the other order ends differently")
        orders = {"ab": control, "ab_again": traces["again"], "ba": reverse, "a": traces["first"], "b": traces["second"]}
        if serial(race, orders):
            return Fails()
        if one.method in {"PUT", "DELETE"} and same_rows(race, orders):
            # PUT and DELETE are idempotent (RFC 9110 9.2.2): done twice, and the rows are as after once.
            return Fails()
        write = telling_write(one, race)
        table = write.writes[0] if write else ""
        return Holds(
            Evidence(
                f"two requests at once both succeed ({one.status}, {two.status}); one after the other, "
                f"the second is refused ({refused.status})",
                {
                    "requests": [f"{each.method} {each.target} {each.request_body}".strip() for each in (one, two)],
                    "answers": [each.status for each in (one, two)],
                    "refusal": (refused.response.body if refused.response else "")[:300],
                    "schedule": list(race.schedule),
                    "rows": [f"{each.kind} {each.table}" for each in race.changes],
                },
                write.location if write else None,
                (("table", table), ("statement", write.text if write else ""), ("read", read_before(one, table))),
                key="",
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An UPDATE with its condition, a lock, one write transaction: whichever survives first."""
        yield from mends(finding, blueprint, sources)
