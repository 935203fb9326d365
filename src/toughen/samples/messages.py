"""Owns example apps that have somebody outside do something for rows of theirs: before the answer and behind it."""

from __future__ import annotations

from toughen.specimens import PLAIN, SESSION
from toughen.templates import outbox

SHIPPED = SESSION.replace("from fastapi import", "import httpx\nfrom fastapi import") + """
class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item = Column(String)
    amount = Column(Integer)

class NewOrder(BaseModel):
    item: str
    amount: int

Base.metadata.create_all(engine)

@app.get("/orders")
def orders(db: Session = Depends(get_db)):
    return [{"id": each.id, "item": each.item, "amount": each.amount} for each in db.query(Order)]

@app.post("/orders", status_code=201)
def order(data: NewOrder, db: Session = Depends(get_db)):
    if data.amount <= 0:
        raise HTTPException(status_code=400, detail="amount must be positive")
    made = Order(item=data.item, amount=data.amount)
    db.add(made)
    db.commit()
    db.refresh(made)
    response = httpx.post("https://warehouse.example/v1/shipments", json={"order": made.id, "item": made.item}, timeout=5)
    response.raise_for_status()
    return {"id": made.id, "item": made.item}
"""
"""An order is committed, then the warehouse is told."""
PAID_OUT = PLAIN.replace("import sqlite3\n", "import sqlite3\nimport requests\n") + """
    start.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER)")
    start.execute("INSERT OR IGNORE INTO accounts (id, owner, balance) VALUES (1, 'ann', 900), (2, 'bob', 900)")

def pay_out(owner, amount):
    requests.post("https://api.bank.example/v1/payouts", json={"to": owner, "amount": amount}, timeout=10).raise_for_status()

@app.route("/accounts/<int:account_id>")
def show(account_id):
    conn = get_db()
    row = conn.execute("SELECT owner, balance FROM accounts WHERE id = ?", (account_id,)).fetchone()
    conn.close()
    return (jsonify(dict(row)), 200) if row else (jsonify({"error": "no such account"}), 404)

@app.route("/accounts/<int:account_id>/withdraw", methods=["POST"])
def withdraw(account_id):
    amount = int(request.get_json()["amount"])
    conn = get_db()
    row = conn.execute("SELECT owner FROM accounts WHERE id = ?", (account_id,)).fetchone()
    if row is None or amount <= 0:
        conn.close()
        return jsonify({"error": "no such account"}), 404
    hit = conn.execute("UPDATE accounts SET balance = balance - ? WHERE id = ? AND balance >= ?", (amount, account_id, amount)).rowcount
    if not hit:
        conn.close()
        return jsonify({"error": "not enough"}), 400
    conn.commit()
    pay_out(row["owner"], amount)
    conn.close()
    return jsonify({"withdrawn": amount}), 201
"""
"""Money leaves the account, then the bank is told to pay it out."""
LATER = SHIPPED.replace("def order(data: NewOrder, db", "def order(data: NewOrder, tasks: BackgroundTasks, db").replace("from fastapi import Depends", "from fastapi import BackgroundTasks, Depends").replace(
    """    response = httpx.post("https://warehouse.example/v1/shipments", json={"order": made.id, "item": made.item}, timeout=5)
    response.raise_for_status()
""", "    tasks.add_task(ship, made.id, data.item)\n",
).replace('@app.get("/orders")', """def ship(order_id: int, item: str):
    httpx.post("https://warehouse.example/v1/shipments", json={"order": order_id, "item": item}, timeout=5).raise_for_status()

@app.get("/orders")""")
"""The warehouse is told behind the answer."""
THREADED = PLAIN.replace("import sqlite3\n", "import sqlite3\nimport threading\nimport requests\n") + """
    start.execute("CREATE TABLE IF NOT EXISTS bookings (id INTEGER PRIMARY KEY, room TEXT, nights INTEGER)")

def confirm(booking_id, room):
    requests.post("https://hotel.example/api/reservations", json={"booking": booking_id, "room": room}, headers={"X-Api-Key": "demo"}, timeout=10)

@app.route("/bookings")
def bookings():
    conn = get_db()
    rows = conn.execute("SELECT id, room, nights FROM bookings").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/bookings", methods=["POST"])
def book():
    data = request.get_json()
    room, nights = str(data["room"]), int(data["nights"])
    conn = get_db()
    cursor = conn.execute("INSERT INTO bookings (room, nights) VALUES (?, ?)", (room, nights))
    conn.commit()
    booking_id = cursor.lastrowid
    conn.close()
    threading.Thread(target=confirm, args=(booking_id, room)).start()
    return jsonify({"id": booking_id}), 202
"""
"""The hotel is told by a thread."""

_INSTALLED = ("app = FastAPI()\n", "app = FastAPI()\noutbox.install(app, lambda: engine)\n")
_PUT = """    db.flush()
    outbox.put(db, {function}, {given})
    db.commit()
    db.refresh(made)
"""
SHIPPED_SURELY = SHIPPED.replace("import httpx\n", "import outbox\n").replace(*_INSTALLED).replace("    db.commit()\n    db.refresh(made)\n", _PUT.format(function="outbox.post", given='"https://warehouse.example/v1/shipments", json={"order": made.id}')).replace(
    """    response = httpx.post("https://warehouse.example/v1/shipments", json={"order": made.id, "item": made.item}, timeout=5)
    response.raise_for_status()
""", "    outbox.send()\n",
)
LATER_SURELY = LATER.replace("import httpx\n", "import httpx\nimport outbox\n").replace(*_INSTALLED).replace("def ship(", "@outbox.sender\ndef ship(").replace("    db.commit()\n    db.refresh(made)\n", _PUT.format(function="ship", given="made.id, data.item")).replace(
    "tasks.add_task(ship, made.id, data.item)", "tasks.add_task(outbox.deliver)"
)
KEPT = {"outbox.py": outbox.module("engine", "?", flask=False, postgres=False, client="httpx")}
"""Messages that a process leaves are sent by the next one."""
