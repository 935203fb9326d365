"""Owns sample backends whose requests are sent twice: payments, orders, notes."""

from __future__ import annotations

from toughen.specimens import PLAIN, SESSION

PAYMENTS = SESSION + """
from fastapi import Header

class Payment(Base):
    __tablename__ = "payments"
    id = Column(Integer, primary_key=True)
    amount = Column(Integer)
    idempotency_key = Column(String)

class NewPayment(BaseModel):
    amount: int

Base.metadata.create_all(engine)

@app.get("/payments")
def payments(db: Session = Depends(get_db)):
    return [{"id": each.id, "amount": each.amount} for each in db.query(Payment)]

@app.post("/payments", status_code=201)
def pay(data: NewPayment, idempotency_key: str = Header(...), db: Session = Depends(get_db)):
    earlier = db.query(Payment).filter(Payment.idempotency_key == idempotency_key).first()
    if earlier:
        return {"id": earlier.id, "amount": earlier.amount}
    payment = Payment(amount=data.amount, idempotency_key=idempotency_key)
    db.add(payment)
    db.commit()
    return {"id": payment.id, "amount": payment.amount}
"""
REFUNDS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS refunds (id INTEGER PRIMARY KEY, amount INTEGER, idempotency_key TEXT)")

@app.route("/refunds")
def refunds():
    conn = get_db()
    rows = conn.execute("SELECT id, amount FROM refunds").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/refunds", methods=["POST"])
def refund():
    data = request.get_json()
    key = data["idempotency_key"]
    conn = get_db()
    made = conn.execute("INSERT INTO refunds (amount, idempotency_key) VALUES (?, ?)", (int(data["amount"]), key)).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201
"""
REMEMBERED = SESSION + """
from fastapi import Header

class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item = Column(String)

class NewOrder(BaseModel):
    item: str

Base.metadata.create_all(engine)
answered = {}

@app.get("/orders")
def orders(db: Session = Depends(get_db)):
    return [{"id": each.id, "item": each.item} for each in db.query(Order)]

@app.post("/orders", status_code=201)
def order(data: NewOrder, idempotency_key: str | None = Header(default=None), db: Session = Depends(get_db)):
    if idempotency_key and idempotency_key in answered:
        return answered[idempotency_key]
    made = Order(item=data.item)
    db.add(made)
    db.commit()
    answer = {"id": made.id, "item": made.item}
    if idempotency_key:
        answered[idempotency_key] = answer
    return answer
"""
CHARGED = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, amount INTEGER, charge TEXT)")

import requests

@app.route("/orders")
def orders():
    conn = get_db()
    rows = conn.execute("SELECT id, amount, charge FROM orders").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/orders", methods=["POST"])
def order():
    amount = int(request.get_json()["amount"])
    charge = requests.post("https://api.cards.example/v1/charges", json={"amount": amount}, timeout=5).json()
    conn = get_db()
    made = conn.execute("INSERT INTO orders (amount, charge) VALUES (?, ?)", (amount, charge["id"])).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201
"""
TAGS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS tags (id INTEGER PRIMARY KEY, name TEXT)")

@app.route("/tags")
def tags():
    conn = get_db()
    rows = conn.execute("SELECT id, name FROM tags").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/tags", methods=["POST"])
def tag():
    name = request.get_json()["name"]
    conn = get_db()
    row = conn.execute("SELECT id FROM tags WHERE name = ?", (name,)).fetchone()
    if row is None:
        made = conn.execute("INSERT INTO tags (name) VALUES (?)", (name,)).lastrowid
        conn.commit()
    else:
        made = row["id"]
    conn.close()
    return jsonify({"id": made})
"""
NOTES = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, body TEXT)")

@app.route("/notes")
def notes():
    conn = get_db()
    rows = conn.execute("SELECT id, body FROM notes").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.route("/notes", methods=["POST"])
def note():
    conn = get_db()
    made = conn.execute("INSERT INTO notes (body) VALUES (?)", (request.get_json()["body"],)).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201
"""
ONLY_MEMORY = """from uuid import uuid4
from fastapi import FastAPI, HTTPException, Request
from pydantic import BaseModel
app = FastAPI()
seen = {}

class NewPayment(BaseModel):
    amount: int

@app.get("/health")
def health():
    return {"ok": True}

@app.post("/payments", status_code=201)
def pay(data: NewPayment, request: Request):
    key = request.headers.get("Idempotency-Key")
    if not key:
        raise HTTPException(400, "Idempotency-Key header is missing")
    if key not in seen:
        seen[key] = {"id": str(uuid4()), "amount": data.amount}
    return seen[key]
"""
UNIQUE = (
    PAYMENTS.replace("idempotency_key = Column(String)", "idempotency_key = Column(String, unique=True)")
    .replace("from fastapi import Header", "from fastapi import Header\nfrom sqlalchemy.exc import IntegrityError")
    .replace('    db.commit()\n    return {"id": payment.id', """    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        payment = db.query(Payment).filter(Payment.idempotency_key == idempotency_key).one()
    return {"id": payment.id""")
)
CANCELS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER)")
    start.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, item_id INTEGER, quantity INTEGER, status TEXT)")
    start.execute("INSERT OR IGNORE INTO items (id, name, stock) VALUES (1, 'tea', 50)")

@app.get("/items")
def items():
    conn = get_db()
    rows = conn.execute("SELECT * FROM items").fetchall()
    conn.close()
    return jsonify([dict(row) for row in rows])

@app.post("/orders")
def order():
    data = request.get_json()
    quantity, item = int(data["quantity"]), int(data["item_id"])
    conn = get_db()
    if quantity < 1 or conn.execute("UPDATE items SET stock = stock - ? WHERE id = ? AND stock >= ?", (quantity, item, quantity)).rowcount == 0:
        conn.close()
        return jsonify({"error": "sold out"}), 409
    made = conn.execute("INSERT INTO orders (item_id, quantity, status) VALUES (?, ?, 'placed')", (item, quantity)).lastrowid
    conn.commit()
    conn.close()
    return jsonify({"id": made}), 201

@app.post("/orders/<int:order_id>/cancel")
def cancel(order_id):
    conn = get_db()
    order = conn.execute("SELECT * FROM orders WHERE id = ?", (order_id,)).fetchone()
    if order is None:
        conn.close()
        return jsonify({"error": "no such order"}), 404
    conn.execute("UPDATE orders SET status = 'cancelled' WHERE id = ?", (order_id,))
    conn.execute("UPDATE items SET stock = stock + ? WHERE id = ?", (order["quantity"], order["item_id"]))
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
"""
"""An order that is cancelled twice gives its pieces back twice."""
CANCELLED = CANCELS.replace("status = 'cancelled' WHERE id = ?\", (order_id,))", "status = 'cancelled' WHERE id = ? AND status <> 'cancelled'\", (order_id,)).rowcount").replace(
    """    conn.execute("UPDATE orders SET""", """    cancelled = conn.execute("UPDATE orders SET"""
).replace("""    conn.execute("UPDATE items SET stock = stock + ?""", """    if not cancelled:
        conn.close()
        return jsonify({"error": "cancelled already"}), 409
    conn.execute("UPDATE items SET stock = stock + ?""")
LOANS = SESSION + """
class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    holder = Column(String)
    balance = Column(Integer, default=0)

class Loan(Base):
    __tablename__ = "loans"
    id = Column(Integer, primary_key=True)
    account_id = Column(Integer)
    amount = Column(Integer)
    status = Column(String, default="pending")

class NewAccount(BaseModel):
    holder: str

class NewLoan(BaseModel):
    account_id: int
    amount: int

Base.metadata.create_all(engine)

@app.post("/accounts", status_code=201)
def open_account(data: NewAccount, db: Session = Depends(get_db)):
    account = Account(holder=data.holder, balance=0)
    db.add(account)
    db.commit()
    return {"id": account.id}

@app.get("/accounts/{account_id}")
def account(account_id: int, db: Session = Depends(get_db)):
    found = db.get(Account, account_id)
    if found is None:
        raise HTTPException(status_code=404, detail="No such account")
    return {"id": found.id, "balance": found.balance}

@app.post("/loans", status_code=201)
def ask(data: NewLoan, db: Session = Depends(get_db)):
    if data.amount < 1 or db.get(Account, data.account_id) is None:
        raise HTTPException(status_code=404, detail="No such account")
    loan = Loan(account_id=data.account_id, amount=data.amount)
    db.add(loan)
    db.commit()
    return {"id": loan.id}

@app.post("/loans/{loan_id}/approve")
def approve(loan_id: int, db: Session = Depends(get_db)):
    loan = db.query(Loan).filter(Loan.id == loan_id).first()
    if loan is None:
        raise HTTPException(status_code=404, detail="No such loan")
    loan.status = "approved"
    db.query(Account).filter(Account.id == loan.account_id).update({Account.balance: Account.balance + loan.amount})
    db.commit()
    return {"status": loan.status}
"""
"""A loan that is approved twice is paid out twice."""
NOTIFIED = SESSION.replace("from fastapi import", "import httpx\nfrom fastapi import") + """
class Order(Base):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    item = Column(String)

class NewOrder(BaseModel):
    item: str

Base.metadata.create_all(engine)

def tell_the_warehouse(item):
    httpx.post("https://warehouse.example/v1/shipments", json={"item": item}, timeout=5)

@app.get("/orders")
def orders(db: Session = Depends(get_db)):
    return [{"id": each.id, "item": each.item} for each in db.query(Order)]

@app.post("/orders", status_code=201)
def order(data: NewOrder, db: Session = Depends(get_db)):
    made = Order(item=data.item)
    db.add(made)
    tell_the_warehouse(data.item)
    db.commit()
    return {"id": made.id}
"""
"""The warehouse hears of an order before there is one."""
