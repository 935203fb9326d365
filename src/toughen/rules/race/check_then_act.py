"""Owns race/check-then-act."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from toughen import contention, quotas, thirds, uniqueness
from toughen.atomicity import mends
from toughen.backends import TICKETS
from toughen.doors import is_idle
from toughen.model.finding import Evidence, Severity
from toughen.oracle import same_rows, serial, succeeded, telling_write
from toughen.pairs import apart, noted_once, orders, pairs, steer, stumbles, switches, told
from toughen.rule import Aside, Broken, Fails, Holds, Rule, Sound, Unclear
from toughen.samples import attempts, desk, stock
from toughen.samples.bills import CHARGED_IF_ENOUGH, COLLECTED
from toughen.samples.places import AT_ONCE, COUNTED, EVENTS, PAIRED, PAIRED_SEATED, SEATED, THREE
from toughen.specimens import PLAIN, SESSION, SESSION_NEEDS
from toughen.twists import UNSEEN, answer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from toughen.model.blueprint import Blueprint, Route
    from toughen.model.finding import Finding, Suspicion
    from toughen.model.journey import Journey
    from toughen.model.patch import Patch, Unmended
    from toughen.model.trace import RowChange, Trace
    from toughen.model.trial import Experiment
    from toughen.pairs import Pair
    from toughen.rule import Judgement, Target


_IDENTITY = (401, 403)
"""Refusals for want of a credential: a token that was used up is no check of the business."""


def _twice(rows: Sequence[RowChange]) -> bool:
    """Whether all that happened is the same link of two rows twice (a follow, a like): no quantity, no text, no state is anybody's loss."""
    told_of = [each for each in rows if each.kind != "updated" or not all(is_idle(name) for name in each.columns)]
    said = [{name: value for name, value in each.after.items() if name.lower() != "id" and not is_idle(name)} for each in told_of]
    linking = len({each.table for each in told_of}) == 1 and all(each.kind == "inserted" for each in told_of) and all(name.lower().endswith("_id") for each in said for name in each)
    return len(said) > 1 and linking and all(each == said[0] for each in said)


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
    waits = True

    def suspect(self, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Suspicion]:
        """Handlers that act behind a check of what they read, with neither a lock nor a unique key."""
        yield from contention.raced(self.id, blueprint, sources)

    def experiments(self, target: Target, route: Route, journey: Journey) -> Iterator[Experiment]:
        """The resource suffices for exactly one of the two; then for one more than they have already; then for two of three."""
        detail = (("switches", "yes"),) if switches(target, route, journey) else ()
        same: Pair | None = None
        for pair in pairs(target, route, journey, room=1):
            same = same or pair
            yield from pair.experiments(detail)
        for compete in (quotas.last_place, quotas.last_of_many, quotas.only_place):
            competing = compete(target, route, journey)
            if competing is not None:
                yield from competing.experiments(detail)
        three = thirds.overtaken(target, same, pairs(target, route, journey, room=2), limited=True) if same is not None else None
        if three is not None:
            yield three

    def judge(self, experiment: Experiment, traces: Mapping[str, Trace]) -> Judgement:
        """One after the other, the second is refused; at once, both succeed."""
        if experiment.fact(thirds.THREE):
            return thirds.judged(traces)
        control = traces["control"]
        if not succeeded(control.exchanges[-2]):
            return Unclear("the honest request does not succeed on its own")
        refused = control.exchanges[-1]
        if succeeded(refused):
            return Fails()
        if refused.status is None or refused.status >= 500 or refused.status in _IDENTITY:  # noqa: PLR2004
            return Unclear(f"one after the other, the second request is not refused by a check ({answer(refused)})")
        if not succeeded(traces["second"].last):
            # Whatever the first one does, the second is nobody's business here: another one's row.
            return Fails()
        if apart(traces):
            return Unclear(UNSEEN)
        race = traces["race"]
        one, two = race.exchanges[-2:]
        if not (succeeded(one) and succeeded(two)):
            stumble = stumbles(traces)
            return Aside(*stumble) if stumble else Fails()
        if not all(any(each.writes and each.rows != 0 for each in exchange.statements) for exchange in (one, two)):
            return Fails()
        reverse = traces["reverse"]
        if not succeeded(reverse.exchanges[-2]) or succeeded(reverse.exchanges[-1]):
            return Unclear("the other order ends differently")
        serially = orders(traces)
        if serial(race, serially):
            return Fails()
        if one.method in {"GET", "PUT", "DELETE"} and same_rows(race, serially):
            # They are idempotent (RFC 9110 9.2.2): done twice, and the rows are as after once.
            return Fails()
        if experiment.fact("switches") and same_rows(race, serially) and same_rows(traces["first"], serially, among=("b",)):
            return Unclear("both are told yes, and a state is switched as one alone switches it: nobody is seen to lose by it")
        if same_rows(race, serially) and all(each.kind == "inserted" for each in race.final_changes or race.changes):
            return Unclear("both are told yes, and what one alone adds was added once: a key decided, and the second is told what holds")
        if noted_once(experiment, traces):
            return Unclear("the same person is told yes twice, and the rows are as after once: nobody is seen to lose by it")
        write = telling_write(one, race)
        table = write.writes[0] if write else ""
        return Holds(
            Evidence(
                f"two requests at once both succeed ({one.status}, {two.status}); one after the other, "
                f"the second is refused ({refused.status})",
                {
                    **told(race, traces["control"]),
                    "refusal": (refused.response.body if refused.response else "")[:300],
                    "rows": [f"{each.kind} {each.table}" for each in race.changes],
                },
                write.location if write else None,
                (*steer(one, write, table), ("keys", ";".join(",".join(key) for key in uniqueness.asked(one, race, table)))), severity=Severity.MEDIUM if _twice(race.changes) else None,
            )
        )

    def mend(self, finding: Finding, blueprint: Blueprint, sources: Mapping[str, str]) -> Iterator[Patch | Unmended]:
        """An UPDATE with its condition, a lock, one write transaction: whichever survives first."""
        yield from mends(finding, blueprint, sources)

    BROKEN: ClassVar[list[Broken]] = [
        Broken(THREE, "POST /bookings"),
        Broken(EVENTS, "POST /events/{event_id}/join"),
        Broken(PAIRED, "POST /events/{event_id}/join"),
        Broken(attempts.TICKETS, "POST /tickets/{ticket_id}/buy", SESSION_NEEDS, unseen="the write bears its condition"),
        Broken(TICKETS + """
@app.post("/tickets/{ticket_id}/buy")
def buy(ticket_id: int, db: Session = Depends(get_db)):
    ticket = db.query(Ticket).filter(Ticket.id == ticket_id).first()
    if not ticket or ticket.remaining < 1:
        raise HTTPException(status_code=400, detail="Sold out")
    ticket.remaining -= 1
    db.commit()
    return {"ok": True}
""", "POST /tickets/{ticket_id}/buy", SESSION_NEEDS),
        Broken(PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS bookings (id INTEGER PRIMARY KEY, room TEXT, day TEXT)")

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
""", "POST /bookings"),
        Broken(SESSION + """
class Booking(Base):
    __tablename__ = "bookings"
    id = Column(Integer, primary_key=True)
    room = Column(String)
    day = Column(String)

class NewBooking(BaseModel):
    room: str
    day: str

Base.metadata.create_all(engine)

@app.post("/bookings")
def book(booking: NewBooking, db: Session = Depends(get_db)):
    if db.query(Booking).filter(Booking.room == booking.room, Booking.day == booking.day).first():
        raise HTTPException(status_code=409, detail="The room is taken")
    db.add(Booking(room=booking.room, day=booking.day))
    db.commit()
    return {"ok": True}
""", "POST /bookings", SESSION_NEEDS),
        Broken(COLLECTED, "POST /bills", unseen="statements that are run elsewhere are not read"),
        Broken("", "POST /bookings/new/", desk.NEEDS, desk.BOOKINGS),
        Broken("", "POST /api/reservations/", desk.REST, desk.RESERVATIONS),
        Broken("", "POST /items/{pk}/take/", desk.NEEDS, stock.ITEMS),
    ]
    SOUND: ClassVar[list[Sound]] = [
        Sound(attempts.TICKETS_REFUSED, "where every attempt is lost, it says so", SESSION_NEEDS),
        Sound(THREE.replace("    conn = get_db()\n    held", '    conn = get_db()\n    conn.execute("BEGIN IMMEDIATE")\n    held'), "the count is taken under SQLite's write lock"),
        Sound(CHARGED_IF_ENOUGH, "the statement that takes has the check in it, and a miss takes all of it back"),
        Sound(PAIRED_SEATED, "two for each event are counted under SQLite's write lock"),
        Sound(SEATED, "seats are counted under SQLite's write lock"),
        Sound(THREE.replace(COUNTED, AT_ONCE), "the count stands in the INSERT, and the rows that it made are counted"),
        Sound(PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS bookings (id INTEGER PRIMARY KEY, room TEXT, day TEXT, UNIQUE (room, day))")

@app.route("/bookings", methods=["POST"])
def book():
    data = request.get_json()
    conn = get_db()
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
""", "a unique key decides, and its violation is answered"),
        Sound(PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)")
    start.execute("INSERT OR IGNORE INTO notes (id, body) VALUES (1, 'milk')")

@app.route("/notes/<int:note_id>", methods=["DELETE"])
def remove(note_id):
    conn = get_db()
    row = conn.execute("SELECT id FROM notes WHERE id = ?", (note_id,)).fetchone()
    if row is None:
        conn.close()
        return jsonify({"error": "no such note"}), 404
    conn.execute("DELETE FROM notes WHERE id = ?", (note_id,))
    conn.commit()
    conn.close()
    return "", 204
""", "deleting twice leaves what deleting once leaves"),
        Sound(PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS tickets (id INTEGER PRIMARY KEY, remaining INTEGER)")
    start.execute("INSERT OR IGNORE INTO tickets (id, remaining) VALUES (1, 1)")

@app.route("/tickets/<int:ticket_id>/buy", methods=["POST"])
def buy(ticket_id):
    conn = get_db()
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
""", "the condition stands in the UPDATE, and the rows that it hit are counted"),
        Sound("", "a unique key of the model decides, and its violation is answered", desk.NEEDS, desk.BOOKINGS_KEPT),
        Sound("", "the condition stands in Django's UPDATE, and a row is found or made over a unique key", desk.NEEDS, stock.ITEMS_COUNTED),
        Sound("", "the row is locked in a transaction before it is read", desk.NEEDS, stock.ITEMS_LOCKED),
    ]
