"""Races, numbers and fields that are meant, beside the same prototype with one thing wrong: each booted and attacked for real."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from toughen import config
from toughen.model.finding import Status
from toughen.pipeline import Run
from toughen.specimens import FASTAPI, FASTAPI_NEEDS, MODELS, MODELS_NEEDS, PLAIN, SESSION, SESSION_NEEDS

if TYPE_CHECKING:
    from pathlib import Path

LOST, CHECKED = "race/lost-update", "race/check-then-act"


def proven(root: Path, only: tuple[str, ...], source: str, needs: tuple[str, ...] = ("flask",)) -> set[tuple[str, str]]:
    """(break, route) of all that is proven; the prototype's routes were reached."""
    (root / "main.py").write_text(source)
    (root / "requirements.txt").write_text("\n".join(needs) + "\n")
    verdict = Run(root, config.read(root, only=only)).check()
    assert verdict.journeys, verdict.why
    return {(each.break_id, each.route or "") for each in verdict.findings if each.status is Status.PROVEN}


def changed(source: str, *changes: tuple[str, str]) -> str:
    """The source with each text replaced, which must be there."""
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


WALLETS = SESSION + """
from sqlalchemy import update

class Wallet(Base):
    __tablename__ = "wallets"
    id = Column(Integer, primary_key=True)
    owner = Column(String)
    balance = Column(Integer, default=100)
    version = Column(Integer, default=1)
    views = Column(Integer, default=0)

class NewWallet(BaseModel):
    owner: str

class Spend(BaseModel):
    amount: int

Base.metadata.create_all(engine)

@app.post("/wallets", status_code=201)
def create(data: NewWallet, db: Session = Depends(get_db)):
    wallet = Wallet(owner=data.owner, balance=100, version=1, views=0)
    db.add(wallet)
    db.commit()
    return {"id": wallet.id}

@app.post("/wallets/{wallet_id}/spend")
def spend(wallet_id: int, data: Spend, db: Session = Depends(get_db)):
    wallet = db.get(Wallet, wallet_id)
    if wallet is None or data.amount <= 0 or wallet.balance < data.amount:
        raise HTTPException(400, "Not enough")
    taken = wallet.balance - data.amount
    done = db.execute(update(Wallet).where(Wallet.id == wallet_id, Wallet.version == wallet.version).values(balance=taken, version=wallet.version + 1))
    if done.rowcount == 0:
        db.rollback()
        raise HTTPException(409, "Somebody was faster; try again")
    db.commit()
    return {"ok": True}

@app.get("/wallets/{wallet_id}")
def show(wallet_id: int, db: Session = Depends(get_db)):
    wallet = db.get(Wallet, wallet_id)
    if wallet is None:
        raise HTTPException(404, "No such wallet")
    wallet.views += 1
    db.commit()
    return {"id": wallet.id}

@app.post("/wallets/{wallet_id}/view")
def view(wallet_id: int, db: Session = Depends(get_db)):
    wallet = db.get(Wallet, wallet_id)
    if wallet is None:
        raise HTTPException(404, "No such wallet")
    wallet.views += 1
    db.commit()
    return {"ok": True}
"""


@pytest.mark.parametrize("versioned", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_version_in_the_where_ends_the_race_and_views_are_no_money(tmp_path: Path, versioned: bool) -> None:  # noqa: FBT001
    """Optimistic locking turns the slower one away; without it money is lost. What was looked at, by GET or POST, is nobody's loss."""
    source = WALLETS if versioned else changed(WALLETS, (", Wallet.version == wallet.version", ""))
    found = proven(tmp_path, (LOST, CHECKED), source, SESSION_NEEDS)
    assert found == (set() if versioned else {(LOST, "POST /wallets/{wallet_id}/spend"), (CHECKED, "POST /wallets/{wallet_id}/spend")})


SEATS = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS seats (id INTEGER PRIMARY KEY, free INTEGER)")
    start.execute("CREATE TABLE IF NOT EXISTS locks (id INTEGER PRIMARY KEY, what TEXT)")
    start.execute("INSERT OR IGNORE INTO seats (id, free) VALUES (1, 20)")

@app.post("/seats/<int:seat_id>/take")
def take(seat_id):
    conn = get_db()
    conn.execute("INSERT INTO locks (what) VALUES (?)", (f"seat-{seat_id}",))
    row = conn.execute("SELECT free FROM seats WHERE id = ?", (seat_id,)).fetchone()
    if row is None or row["free"] < 1:
        conn.rollback()
        conn.close()
        return jsonify({"error": "sold out"}), 400
    conn.execute("UPDATE seats SET free = ? WHERE id = ?", (row["free"] - 1, seat_id))
    conn.execute("DELETE FROM locks WHERE what = ?", (f"seat-{seat_id}",))
    conn.commit()
    conn.close()
    return jsonify({"ok": True})
"""


@pytest.mark.parametrize("first", [True, pytest.param(False, marks=pytest.mark.long)])
def test_who_writes_before_he_reads_waits(tmp_path: Path, first: bool) -> None:  # noqa: FBT001
    """An INSERT into a table of locks takes SQLite's write lock before the read."""
    source = SEATS if first else changed(SEATS, ('    conn.execute("INSERT INTO locks (what) VALUES (?)", (f"seat-{seat_id}",))\n', ""))
    route = "POST /seats/{seat_id}/take"
    assert proven(tmp_path, (LOST, CHECKED), source) == (set() if first else {(LOST, route), (CHECKED, route)})


LOANS = FASTAPI + """
from datetime import datetime
from sqlalchemy import Boolean, DateTime

class Loan(Base):
    __tablename__ = "loans"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"))
    book = Column(String)
    closed = Column(Boolean, default=False)
    closed_at = Column(DateTime)
    seen = Column(Integer)

class NewLoan(BaseModel):
    book: str

Base.metadata.create_all(engine)

@app.post("/loans", status_code=201)
def add(data: NewLoan, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    loan = Loan(user_id=user.id, book=data.book, closed=False)
    db.add(loan)
    db.commit()
    return {"id": loan.id}

@app.post("/loans/{loan_id}/close")
def close(loan_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    loan = db.get(Loan, loan_id)
    if loan is None or loan.closed:
        raise HTTPException(400, "Closed already")
    loan.closed = True
    loan.closed_at = datetime.now()
    db.commit()
    return {"ok": True}

@app.patch("/loans/{loan_id}/flip")
def flip(loan_id: int, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    loan = db.get(Loan, loan_id)
    if loan is None:
        raise HTTPException(404, "No such loan")
    loan.closed = not loan.closed
    loan.seen = int(datetime.now().timestamp() * 1000)
    db.commit()
    return {"ok": True}
"""


@pytest.mark.parametrize("taken", [False, pytest.param(True, marks=pytest.mark.long)], ids=["closed", "taken"])
def test_a_switch_that_two_turn_is_turned_once(tmp_path: Path, taken: bool) -> None:  # noqa: FBT001
    """Closing twice leaves what closing once leaves, and a flag is no number; where each takes the row for himself, one of them loses it."""
    source = changed(LOANS, ("    loan.closed = True\n", "    loan.closed = True\n    loan.user_id = user.id\n")) if taken else LOANS
    assert proven(tmp_path, (LOST, CHECKED), source, FASTAPI_NEEDS) == ({(CHECKED, "POST /loans/{loan_id}/close")} if taken else set())


def test_two_processes_share_no_memory(tmp_path: Path) -> None:
    """A PUT of what stands there afterwards loses nothing, though the race's rows cannot be seen where the database lives in memory."""
    source = changed(MODELS, ('"sqlite:///app.db"', '"sqlite:///:memory:"')) + """
class Offer(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    price = db.Column(db.Integer)

with app.app_context():
    db.create_all()
    db.session.add(Offer(id=1, price=5))
    db.session.commit()

@app.route("/offers/<int:offer_id>", methods=["PUT"])
def change(offer_id):
    offer = db.session.get(Offer, offer_id)
    if offer is None:
        return jsonify({"error": "No such offer"}), 404
    offer.price = int(request.get_json()["price"])
    db.session.commit()
    return jsonify({"ok": True})
"""
    assert not proven(tmp_path, (LOST, CHECKED), source, MODELS_NEEDS)


BOOK = FASTAPI.replace(
    "    password = Column(String, nullable=False)\n", '    password = Column(String, nullable=False)\n    role = Column(String, default="user")\n'
) + """
class Account(Base):
    __tablename__ = "accounts"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    name = Column(String, nullable=False)
    balance = Column(Float, default=0)

class Employee(Base):
    __tablename__ = "employees"
    id = Column(Integer, primary_key=True)
    user_id = Column(Integer, ForeignKey("users.id"), nullable=False)
    name = Column(String, nullable=False)
    role = Column(String)

class NewAccount(BaseModel):
    name: str
    balance: float = 0.0

class NewEmployee(BaseModel):
    name: str
    role: str | None = None

class Me(BaseModel):
    username: str
    role: str = "user"

Base.metadata.create_all(engine)

@app.post("/accounts", status_code=201)
def open_account(data: NewAccount, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    account = Account(user_id=user.id, **data.model_dump())
    db.add(account)
    db.commit()
    return {"id": account.id}

@app.post("/employees", status_code=201)
def hire(data: NewEmployee, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    employee = Employee(user_id=user.id, **data.model_dump())
    db.add(employee)
    db.commit()
    return {"id": employee.id}

@app.put("/me")
def change(data: Me, db: Session = Depends(get_db), user: User = Depends(get_current_user)):
    user.username = data.username
    if user.role == "admin":
        user.role = data.role
    db.commit()
    return {"id": user.id}
"""


@pytest.mark.parametrize("asked", [True, pytest.param(False, marks=pytest.mark.long)])
def test_what_a_client_is_asked_for_is_his_to_say(tmp_path: Path, asked: bool) -> None:  # noqa: FBT001
    """The opening balance of one's own book and an employee's role give no power; one's own role among the users does."""
    source = BOOK if asked else changed(BOOK, ('    if user.role == "admin":\n        user.role', "    user.role"))
    rule = "input/mass-assignment"
    assert proven(tmp_path, (rule,), source, FASTAPI_NEEDS) == (set() if asked else {(rule, "PUT /me")})


SIGNS = PLAIN + '''
    start.executescript("""CREATE TABLE IF NOT EXISTS stock (id INTEGER PRIMARY KEY, quantity INTEGER);
    CREATE TABLE IF NOT EXISTS entries (id INTEGER PRIMARY KEY, text TEXT, amount REAL);
    INSERT OR IGNORE INTO stock VALUES (1, 100)""")

@app.post("/stock/<int:stock_id>/move")
def move(stock_id):
    quantity = int(request.get_json()["quantity"])
    with get_db() as conn:
        done = conn.execute("UPDATE stock SET quantity = quantity + ? WHERE id = ? AND quantity + ? >= 0", (quantity, stock_id, quantity)).rowcount
    return (jsonify({"ok": True}), 200) if done else (jsonify({"error": "not enough"}), 400)

@app.post("/entries")
def enter():
    data = request.get_json()
    with get_db() as conn:
        conn.execute("INSERT INTO entries (text, amount) VALUES (?, ?)", (str(data["text"]), float(data["amount"])))
    return jsonify({"ok": True}), 201

@app.get("/summary")
def summary():
    row = get_db().execute("SELECT SUM(CASE WHEN amount < 0 THEN amount END) AS spent FROM entries").fetchone()
    return jsonify(dict(row))
'''


@pytest.mark.parametrize("meant", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_sign_that_something_asks_for_is_meant(tmp_path: Path, meant: bool) -> None:  # noqa: FBT001
    """A stock may not fall below zero, so it may be lowered; a query tells expenses by their sign. Where nothing asks, -17 makes no sense."""
    source = SIGNS if meant else changed(
        SIGNS, (' AND quantity + ? >= 0", (quantity, stock_id, quantity)', '", (quantity, stock_id)'), ("quantity + ?", "quantity - ?"), ("CASE WHEN amount < 0 THEN amount END", "amount")
    )
    rule = "input/nonsense"
    assert proven(tmp_path, (rule,), source) == (set() if meant else {(rule, "POST /stock/{stock_id}/move"), (rule, "POST /entries")})


UNANSWERED = PLAIN + """
    start.execute("CREATE TABLE IF NOT EXISTS seats (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, guest TEXT)")

@app.route("/seats", methods=["POST"])
def take():
    data = request.get_json()
    conn = get_db()
    try:
        if conn.execute("SELECT id FROM seats WHERE number = ?", (int(data["number"]),)).fetchone():
            return jsonify({"error": "taken"}), 409
        conn.execute("INSERT INTO seats (number, guest) VALUES (?, ?)", (int(data["number"]), str(data["guest"])))
        conn.commit()
        return jsonify({"ok": True}), 201
    finally:
        conn.close()
"""


def test_who_stumbles_under_contention_is_told_apart(tmp_path: Path) -> None:
    """A unique key keeps the rows sound and its violation ends in a 500: no race, and a suspicion that says what it wants; with an answer nothing is said."""
    (tmp_path / "main.py").write_text(UNANSWERED)
    (tmp_path / "requirements.txt").write_text("flask\n")
    verdict = Run(tmp_path, config.read(tmp_path, only=(CHECKED,))).check()
    told = [(each.status, each.route, each.message) for each in verdict.findings if "of two requests at once" in each.message]
    assert [(status, route) for status, route, _ in told] == [(Status.SUSPECTED, "POST /seats")]
    assert "UNIQUE constraint failed" in told[0][2]
    answered = changed(UNANSWERED, ("    finally:", '    except sqlite3.IntegrityError:\n        return jsonify({"error": "taken"}), 409\n    finally:'))
    (tmp_path / "main.py").write_text(answered)
    verdict = Run(tmp_path, config.read(tmp_path, only=(CHECKED,))).check()
    assert not [each.message for each in verdict.findings if "of two requests at once one ends" in each.message]
