"""Owns sample backends that try again when their row has moved under them, by its version."""

from __future__ import annotations

from toughen.specimens import PLAIN, SESSION

TICKETS = SESSION + """
class Ticket(Base):
    __tablename__ = "tickets"
    id = Column(Integer, primary_key=True)
    name = Column(String)
    remaining = Column(Integer)
    version = Column(Integer, default=1)

class Sale(Base):
    __tablename__ = "sales"
    id = Column(Integer, primary_key=True)
    ticket_id = Column(Integer)

Base.metadata.create_all(engine)

@app.post("/tickets")
def create(name: str, remaining: int, db: Session = Depends(get_db)):
    ticket = Ticket(name=name, remaining=remaining)
    db.add(ticket)
    db.commit()
    return {"id": ticket.id}

@app.post("/tickets/{ticket_id}/buy")
def buy(ticket_id: int, db: Session = Depends(get_db)):
    for _ in range(2):
        ticket = db.query(Ticket).filter(Ticket.id == ticket_id).first()
        if ticket is None:
            raise HTTPException(status_code=404, detail="No such ticket")
        if ticket.remaining < 1:
            raise HTTPException(status_code=409, detail="Sold out")
        hit = db.query(Ticket).filter(Ticket.id == ticket_id, Ticket.version == ticket.version).update(
            {"remaining": ticket.remaining - 1, "version": ticket.version + 1}
        )
        if hit == 1:
            break
        db.rollback()
    db.add(Sale(ticket_id=ticket_id))
    db.commit()
    return {"ok": True}
"""
"""Two attempts by version; where both are lost the sale is noted all the same."""
TICKETS_REFUSED = TICKETS.replace("        db.rollback()\n", '        db.rollback()\n    else:\n        raise HTTPException(status_code=409, detail="Try again")\n')

POINTS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT, points INTEGER, version INTEGER NOT NULL DEFAULT 1)")
    start.execute("INSERT OR IGNORE INTO accounts (id, owner, points) VALUES (1, 'ann', 10)")

@app.route("/accounts/<int:account_id>/earn", methods=["POST"])
def earn(account_id):
    conn = get_db()
    for attempt in range(2):
        row = conn.execute("SELECT points, version FROM accounts WHERE id = ?", (account_id,)).fetchone()
        if row is None:
            conn.close()
            return jsonify({"error": "no such account"}), 404
        hit = conn.execute(
            "UPDATE accounts SET points = ?, version = version + 1 WHERE id = ? AND version = ?",
            (row["points"] + 5, account_id, row["version"]),
        ).rowcount
        if hit:
            break
        conn.rollback()
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
"""
"""Two attempts by version; where both are lost the answer is yes all the same."""
POINTS_REFUSED = POINTS.replace("        conn.rollback()\n", '        conn.rollback()\n    else:\n        conn.close()\n        return jsonify({"error": "too many at once"}), 409\n')
